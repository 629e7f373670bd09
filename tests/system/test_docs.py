"""The documentation builds without a warning, and what it tells people to type works."""

import importlib.metadata
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import hop
from hop import cli, files, training
from hop.config import build
from hop.config import files as config_files

ROOT = Path(hop.__file__).parents[1]
PAGES = ("../README", "index", "quickstart", "data", "launching", "production", "trust")


def blocks(page: str, language: str = "") -> list[str]:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line
    for page in PAGES
    for block in blocks(page)
    for line in block.splitlines()
    if line.startswith(("hop ", "launch/local.sh "))
]


def test_the_site_builds_without_a_warning():
    """Where `make docs` builds it: what that has just built is not built again."""
    site = ROOT / "docs/_build/html"
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", ROOT / "docs", site]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (site / "reference.html").read_text()
    for name in ("hop.load", "hop.Operator.derivative", "hop.problem.Problem.lift"):
        assert f'id="{name}"' in page
    pages = {path.stem for path in (ROOT / "docs" / "results").glob("*.md")}
    assert pages == {path.stem for path in (site / "results").glob("*.html")}


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    for page in ("README", "CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert link.startswith("https://") or (ROOT / link).exists(), link


def test_contributing_names_targets_and_scripts_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {
        word for words in re.findall(r"\bmake((?: [a-z-]+)+)\b", text) for word in words.split()
    }
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"lint", "docs", "test", "mutations", "tables", "bench"} <= set(named) & set(targets)
    for path in re.findall(r"\b(?:docs|tests)/[\w/]+\.(?:py|md)", text):
        assert (ROOT / path).exists(), path


def test_the_version_is_the_same_everywhere():
    version = importlib.metadata.version("hop")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"({version})" in (ROOT / "CHANGELOG.md").read_text()


def test_the_gallery_is_up_to_date():
    """Else run `python docs/gallery.py`. Every model that ships has a card or is named on one."""
    gallery = runpy.run_path(str(ROOT / "docs" / "gallery.py"))
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert page == gallery["page"]()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == files.between(readme, "problems", gallery["table"]())
    for model in (ROOT / "pretrained").iterdir():
        assert f"`{model.name}`" in page or f'"{model.name}"' in page
    for card in gallery["CARDS"]:
        assert not card.picture or (ROOT / "docs" / card.picture).exists()


def test_the_page_of_settings_is_up_to_date():
    """Else run `python docs/settings.py`."""
    page = runpy.run_path(str(ROOT / "docs" / "settings.py"))["page"]()
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == page
    for words in ("| `steps` | `2000` | ", "### levenberg_marquardt", "| `linear` | `()` | "):
        assert words in page


@pytest.mark.slow
def test_the_pictures_can_be_drawn_again(tmp_path):
    draw = "import pathlib, sys, pictures; pictures.main([], pathlib.Path(sys.argv[1]))"
    words = [sys.executable, "-c", draw, tmp_path]
    subprocess.run(words, cwd=ROOT / "docs", env=dict(os.environ, PYTHONPATH=str(ROOT)), check=True)
    text = (ROOT / "docs" / "concepts.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == set(re.findall(r"images/([\w.]+)", text))


class Parsed(Exception):  # noqa: N818
    """A command's flags are all known; it is not run."""


def typed(line: str, monkeypatch) -> None:
    """Parses a line of the documentation as its command would; reads the config it names."""
    words = shlex.split(line, comments=True)
    if words[0] == "launch/local.sh":
        words = ["hop", "train", *words[words.index("--") + 1 :]]
    real = cli.parse

    def only(*args, **kwargs):
        real(*args, **kwargs)
        raise Parsed

    monkeypatch.setattr(cli, "parse", only)
    command, argv = words[1], words[2:]
    if argv or command != "info":
        with pytest.raises(Parsed):
            cli.COMMANDS[command](argv)
    if command == "train":
        (config,) = (w.removeprefix("--config=") for w in argv if w.startswith("--config="))
        config_files.read(config, cli.split(argv)[0])


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    typed(line, monkeypatch)


def test_a_wrong_flag_is_noticed(monkeypatch):
    with pytest.raises(Exception, match="Unknown command line flag 'epsilon'"):
        typed("hop infer --checkpoint=burgers-steady --epsilon=0.1 --output=u.npy", monkeypatch)


def test_python_in_the_readme_and_in_production(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("../README", "python")
    names: dict = {}
    exec(block, names)
    assert names["u"].shape == names["u_x"].shape == (1, 500)
    (block,) = blocks("production", "python")
    exec(block, names)
    assert names["u"].shape == (2, len(names["op"].grid))
    assert names["u_x"].shape == (1, 200)
    assert np.isfinite(names["h"]).all()


def test_the_quickstart_in_python():
    names: dict = {}
    (block,) = blocks("quickstart", "python")
    exec(block, names)
    assert names["u"].shape == names["u_x"].shape == names["h"].shape == (1, 2200)
    assert 0 < names["found"].shift[0] < 1e-3


class Reader:
    """Does what the tutorial says, block by block, in a folder of its own.

    Training alone is cut short: it is prepared up to where it would be compiled, and gives an
    operator that has learned nothing. The one with samples and labels takes two steps.
    """

    SMALL = "train.steps=2", "network.branch=(4,)", "network.trunk=(4,)", "path.eps=(0.1,)"

    def __init__(self, capsys, listener):
        self.names: dict = {}
        self.operators: dict = {}
        self.right = ""
        self.capsys, self.listener = capsys, listener

    def include(self, path: str) -> None:
        name = "my_data.py" if path.endswith("my_data.py") else "my_pde.py"
        Path(name).write_text((ROOT / "docs" / path).read_text())

    def diff(self, body: str) -> None:
        """A mistake, until the next command."""
        removed, added = (line[1:] + "\n" for line in body.splitlines())
        self.right = Path("my_pde.py").read_text()
        assert self.right.count(removed) == 1
        Path("my_pde.py").write_text(self.right.replace(removed, added))

    def console(self, body: str) -> None:
        for block in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            line, *shown = block.splitlines()
            words = shlex.split(line)
            sys.modules.pop("my_pde", None)
            if words[0] == "python":
                runpy.run_path(words[1], run_name="__main__")
            elif words[1] == "train":
                self.train(words[2:])
            else:
                code = cli.main(words[1:])
                out, err = self.capsys.readouterr()
                self.compare(out + err, "\n".join(shown))
                assert (code == 2) == ("hop: error" in err)
        if self.right:
            Path("my_pde.py").write_text(self.right)
            self.right = ""

    def compare(self, printed: str, shown: str) -> None:
        """Word by word, but for rounding, which differs by machine, and what "…" leaves out."""
        printed = re.sub(r"\S+/datasets/", "~/tensorflow_datasets/", printed)
        printed, shown = (re.sub(r"\de[-+]\d\d", "#", text) for text in (printed, shown))
        pattern = ".*".join(map(re.escape, shown.split("…")))
        assert re.fullmatch(pattern + "\n?", printed, re.DOTALL), printed

    def train(self, argv: list[str]) -> None:
        fields, rest = cli.split(argv)
        given = dict(word.lstrip("-").split("=", 1) for word in rest)
        own = config_files.problem_class(given["problem"])
        if not any("labels" in word for word in fields):
            made = build(config_files.read(given["config"], fields, own), own())
            params = made.ansatz.init(jax.random.key(0))
            op = hop.Operator(made.ansatz, params, made.path.places[-1], made.config)
        else:
            fields += [f"--config.{word}" for word in self.SMALL]
            config = config_files.read(given["config"], fields, own)
            training.train(config, given["workdir"], self.listener(), problem=own())
            op = hop.load(given["workdir"], problem=own())
        self.operators[given["workdir"]] = op

    def python(self, body: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hop, "load", lambda workdir, problem: self.operators[workdir])
            exec(body, self.names)


@pytest.mark.slow
def test_the_tutorial_says_what_happens(tmp_path, monkeypatch, capsys, listener):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "datasets"))
    text, reader = (ROOT / "docs" / "extending.md").read_text(), Reader(capsys, listener)
    found = re.findall(r"^```(\S+)(.*)\n((?s:.*?))^```$", text, re.MULTILINE)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for kind, path, body in found:
            if kind == "{literalinclude}":
                reader.include(path.strip())
            elif kind != "text":
                getattr(reader, kind)(body)
    sys.modules.pop("my_pde")
    assert {kind for kind, *_ in found} == {"{literalinclude}", "console", "diff", "python", "text"}
    assert set(reader.operators) == {"runs/scalar", "runs/input", "runs/own", "runs/labels"}
    assert reader.names["found"]["v"].shape == (20, 441)
