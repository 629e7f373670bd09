"""--problem=FILE.py[:CLASS]: a PDE of one's own on the command line."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import hop
from hop import cli
from hop.config import files
from hop.errors import UserError

EXAMPLE = Path(hop.__file__).parents[1] / "examples" / "reaction_diffusion.py"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with the example under a name of its own, with an option."""
    text = EXAMPLE.read_text().replace(
        '    derivatives = ("", "x", "xx")\n',
        '    derivatives = ("", "x", "xx")\n    force: float = 1.0\n',
    )
    (tmp_path / "own_layers.py").write_text(text.replace('u["xx"] - 1', 'u["xx"] - self.force'))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_layers", None)


SMALL = ["--config.network.widths=(6,)", "--config.path.eps=(0.5,0.3)", "--config.train.steps=4",
         "--config.train.points=32"]  # fmt: skip
TRAIN = ["train", "--config=own_layers.py", "--problem=own_layers.py", "--workdir=w", *SMALL]


def test_every_command_takes_it(home, capsys):
    own = "--problem=own_layers.py:ReactionDiffusion"
    assert cli.main([*TRAIN, "--config.problem.force=2.0"]) == 0
    assert cli.main(["evaluate", "--checkpoint=w", own, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.split("picture: ")[-1].split("\n", 1)[1])
    assert report["problem"] == "ReactionDiffusion"
    assert [stage["eps"] for stage in report["stages"]] == [0.5, 0.3]
    assert cli.main(["infer", "--checkpoint=w", own, "--output=u.npy", "--points=9"]) == 0
    problem = files.problem_class("own_layers.py")(force=2.0)
    op = hop.load("w", problem=problem)
    np.testing.assert_allclose(np.load("u.npy"), op(np.linspace(0, 1, 9)[:, None]), atol=1e-12)
    assert op.config.problem == {"force": 2.0}
    assert cli.main(["export", "--checkpoint=w", own, "--output=op.safetensors"]) == 0
    assert cli.main(["info", "w", own]) == 0
    assert "force=2.0" in capsys.readouterr().out
    refine = ["refine", "w", own, "--eps=0.2", "--workdir=r", *SMALL[2:]]
    assert cli.main(refine) == 0
    folder = home / "models"
    assert cli.main(["publish", "r", "mine", f"--folder={folder}", own]) == 0
    assert "problem=problem)" in (folder / "mine" / "README.md").read_text()


def test_a_class_that_was_changed_after_training_is_told(home):
    assert cli.main(TRAIN) == 0
    script = home / "own_layers.py"
    text = script.read_text()
    changed = text.replace('u["xx"] - self.force', 'u["xx"] - 2 * self.force')
    assert changed != text
    for now, told in (
        (text.replace("    force", "    # its size\n    force"), False),
        (changed, True),
    ):
        script.write_text(now)
        del sys.modules["own_layers"]
        for act in (
            lambda: cli.main(TRAIN),
            lambda: hop.load("w", problem=files.problem_class("own_layers.py")()),
        ):
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                assert act() != 1
            said = "class own_layers.ReactionDiffusion has changed since"
            assert any(said in str(one.message) for one in heard) == told


def test_a_class_trained_as_a_script_loads_from_its_module(home):
    script = home / "own_layers.py"
    text = script.read_text()
    short = "config.train.update(steps=4, dispatch=2)\n    config.path.eps = (0.5,)"
    text = text.replace("eps=0.01, ", "")
    script.write_text(text.replace("    return config", f"    {short}\n    return config"))
    subprocess.run([sys.executable, str(script), "w"], check=True, capture_output=True)
    op = hop.load("w", problem=files.problem_class("own_layers.py")())
    assert op.eps == 0.5
    (home / "other_layers.py").write_text(text)
    other = files.problem_class("other_layers.py")
    with pytest.raises(UserError, match=r"class own_layers.ReactionDiffusion; pass such an object"):
        hop.load("w", problem=other())
    del sys.modules["other_layers"]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("import hop\n", "f.py", "derives from hop.Problem; it holds none"),
        ("import hop\nclass A(hop.Problem): ...\nclass B(hop.Problem): ...\n", "f.py",
         "it holds A, B: name one, own_f.py:CLASS"),
        ("1 / 0\n", "f.py", "own_f.py fails: ZeroDivisionError: division by zero"),
        ("import hop\nclass A(hop.Problem): ...\nclass Be(hop.Problem): ...\n", "f.py:C",
         "holds no class 'C' that derives from hop.Problem; use one of A, Be"),
        ("", "g.py", "no file own_g.py; name one with a class of hop.Problem"),
    ],
)  # fmt: skip
def test_files_that_hold_no_problem_are_refused(home, text, name, said):
    (home / "own_f.py").write_text(text)
    with pytest.raises(UserError, match=said):
        files.problem_class(f"own_{name}")
    sys.modules.pop("own_f", None)


def test_what_does_not_fit_is_refused_in_one_line(home, capsys):
    (home / "json.py").write_text("import hop\nclass A(hop.Problem): ...\n")
    shutil.copy("own_layers.py", "own_plain.py")
    for argv, said in (
        (
            [*TRAIN[:1], "--config=own_layers.py", "--problem=json.py", "--workdir=w"],
            "rename the file",
        ),
        ([*TRAIN, "--config.problem.forse=2.0"], "forse"),
        ([*TRAIN[:1], "--config=configs/smoke.py", *TRAIN[2:4]], "the config names the problem"),
    ):
        assert cli.main(argv) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert not (home / "w").exists()
