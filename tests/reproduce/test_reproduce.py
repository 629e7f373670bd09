"""Tables: found by name, made of cached runs, rendered onto their pages from what was measured."""

import json
import os
import signal
from pathlib import Path
from string import Formatter

import pytest

import hop
import reproduce
from hop import provenance
from hop.checkpoints import Store, Workdir
from reproduce import Run, Table, making, parts
from reproduce import runs as running
from reproduce.__main__ import main
from reproduce.tables import table_2

ROOT = Path(reproduce.__file__).parents[1]
TINY = """
from hop.config import experiment

def get_config():
    config = experiment(problem="allen_cahn_1d", network="mlp")
    config.network.widths = (8,)
    config.path.eps = (0.5, 0.4)
    config.train.update(steps=20, points=32, dispatch=10)
    config.mesh.update(function=1, point=-1)
    return config
"""


def test_tables_are_found_by_name():
    assert reproduce.names()[:7] == ["1", "2", "4", "5", "6", "7", "8"]
    assert {"ablation", "front", "plane", "unit"} <= set(reproduce.names())
    index = (ROOT / "docs" / "results" / "README.md").read_text()
    for name in reproduce.names():
        assert isinstance(reproduce.find(name), Table)
        assert f"({reproduce.module_name(name)}.md)" in index
    with pytest.raises(hop.UserError, match="no table 'plan'; did you mean 'plane'"):
        reproduce.find("plan")


@pytest.mark.parametrize("name", reproduce.names())
def test_every_run_is_a_config(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    table = reproduce.find(name)
    for runs in table.runs.values():
        for run in runs.values():
            full = running.config_of(run, quick=False)
            if run.quick is not None:
                short = running.config_of(run, quick=True)
                assert (short.problem, short.strategy) == (full.problem, full.strategy)
                assert short.train.steps <= full.train.steps


@pytest.mark.parametrize("name", reproduce.names())
def test_pages_are_rendered_from_their_results(name):
    folder = ROOT / "docs" / "results"
    page = folder / f"{reproduce.module_name(name)}.md"
    if not page.exists():
        pytest.skip("not made yet")
    results = making.kept(folder, name)
    picture = page.with_suffix(".png").exists()
    assert making.render(reproduce.find(name), results, picture) == page.read_text()
    assert not results["quick"]
    for group, runs in results["runs"].items():
        for key, run in runs.items():
            assert run["command"] == reproduce.find(name).runs[group][key].command(False)


@pytest.mark.parametrize("name", reproduce.names())
def test_a_page_shows_all_that_its_table_says(name):
    page = (reproduce.TABLES / f"{reproduce.module_name(name)}.md").read_text()
    results = making.kept(ROOT / "docs" / "results", name)
    places = reproduce.find(name).places(results["runs"], results.get("measured"))
    assert {place for _, place, *_ in Formatter().parse(page) if place} == set(places)


def test_what_is_not_known_is_not_spoken_of():
    page = "About.\n\n{a} runs:\n\n{b}\n\n## {a} more\n\nOf them.\n\n## End\n\n{b} {c}"
    assert parts.fill(page, {"a": "", "b": "t", "c": "{u}"}) == "About.\n\nt\n\n## End\n\nt {u}"
    assert parts.fill(page, {"a": "2", "b": "", "c": ""}).endswith(
        "## 2 more\n\nOf them.\n\n## End"
    )


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A table of two runs, one of which must fail; its runs and pages go to a fresh folder."""
    (tmp_path / "tiny.py").write_text(TINY)
    config = f"{tmp_path}/tiny.py"
    wild = ["solver.learning_rate=1e30", "solver.optimizer=sgd"]
    table = Table(
        {"runs": {
            "good": Run(config, [], ["train.steps=10"]),
            "wild": Run(config, wild, None),
        }},
        lambda results, _: {
            "errors": parts.by_paper({}, (0.5, 0.4), results["runs"]),
            "made": parts.made(results["runs"]),
        },
        draw=running.picture_of("good"),
    )  # fmt: skip
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "tiny.md").write_text("# Tiny\n\n{errors}\n\n{made}\n")
    monkeypatch.setattr(reproduce, "TABLES", tmp_path / "pages")
    monkeypatch.setattr(reproduce, "names", lambda: ["tiny"])
    monkeypatch.setattr(reproduce, "find", lambda name: table)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(**changes):
    options = {"only": None, "quick": False, "workdir": "runs", "output": "", "report": False}
    making.make(**(options | changes))


def test_a_table_end_to_end(tiny, capsys, monkeypatch):
    with pytest.raises(hop.RunError, match="no page for table tiny: no runs found in runs; with"):
        make(report=True)
    assert not list(tiny.glob("runs/*"))  # nothing was trained
    assert not list(tiny.glob("hop-tables/*"))
    make()
    page = tiny / "hop-tables" / "tiny.md"
    text = page.read_text()
    results = json.loads(page.with_suffix(".json").read_text())
    good, wild = results["runs"]["runs"].values()
    assert [row["eps"] for row in good["stages"]] == [0.5, 0.4]
    for row in good["stages"]:
        assert f"{row['l2re']:.1e}" in text
    assert "hop: wild | failed | failed" in text
    assert "wild failed: stage at s=0, eps=0.5 failed" in text
    assert "![Tiny](tiny.png)" in text
    assert wild["stages"] == []
    # A second time nothing is trained, and the page is the same.
    monkeypatch.setattr(running.training, "train", None)
    make()
    assert page.read_text() == text
    assert "hop train --config=" in text


def test_quick_pages_are_labelled_and_apart(tiny):
    make(quick=True)
    page = tiny / "hop-tables" / "quick" / "tiny.md"
    text = page.read_text()
    assert "(quick)" in text
    assert "Quick: one seed, few steps" in text
    assert "wild" not in text
    assert "--config.train.steps=10" in text
    with pytest.raises(hop.UserError, match="holds the quick results of table tiny"):
        make(output=str(page.parent))


def test_a_run_cut_short_is_finished(tiny, monkeypatch, listener):
    whole = running.training.train

    def cut(config, workdir, reporter, command):
        whole(config, workdir, listener(interrupt_after=3))

    monkeypatch.setattr(running.training, "train", cut)
    with pytest.raises(KeyboardInterrupt):
        make()
    (folder,) = (tiny / "runs").iterdir()
    with pytest.raises(hop.RunError, match="no page for table tiny"):
        make(report=True)
    assert not (folder / "scores.json").exists()  # a report leaves it unfinished
    first = folder / "stages" / "0" / "_CHECKPOINT_METADATA"
    made = first.stat().st_mtime_ns
    monkeypatch.setattr(running.training, "train", whole)
    make()
    assert json.loads((folder / "scores.json").read_text())["stages"][-1]["eps"] == 0.4
    assert first.stat().st_mtime_ns == made  # the finished stage was not trained again


def test_sigterm_in_the_last_window_of_a_run_is_heard_by_the_next(tiny, monkeypatch, capfd):
    def window(self, record, remaining):
        if record["stage"] == 1 and remaining == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as there:
        there.setattr(running.Console, "window", window)
        assert main(["--workdir=runs"]) == 75
    assert "hop: ended by SIGTERM after the last step" in capfd.readouterr().err
    (folder,) = (tiny / "runs").iterdir()  # the next run was not begun, and this one is whole
    assert [info.eps for info in Store(folder).stages()] == [0.5, 0.4]


def test_a_run_trained_elsewhere(tiny, monkeypatch, capsys, listener):
    config = running.config_of(reproduce.find("tiny").runs["runs"]["good"], quick=False)
    home = running.folder_of(config, Path("runs"))
    page = tiny / "hop-tables" / "tiny.md"
    with Workdir.open(home, True):
        make()
    assert f"tiny: good: {home}" in (said := capsys.readouterr().out)
    assert "good is left out: " in said
    assert "wild failed" in page.read_text()  # the others went on
    with monkeypatch.context() as there:
        there.setattr(provenance, "machine", lambda: "a cluster")
        running.training.train(config, home, listener())
    make(report=True)
    assert "`python -m reproduce --only=tiny`, a cluster, " in page.read_text()


def test_an_unknown_table_is_one_line(capfd, monkeypatch):
    monkeypatch.setattr(running, "result", None)
    assert main(["--only=99"]) == 2
    assert "no table '99'; use one of 1, 2, 4" in capfd.readouterr().err
    assert main(["--only="]) == 2
    assert "no table ''; use one of 1, 2, 4" in capfd.readouterr().err
    assert main(["--only=1, table_4"]) == 2
    assert "no table 'table_4'; did you mean '4'" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["workdir", "output"])
@pytest.mark.parametrize("folder", ["/proc/nope", "tiny.py"])
def test_folders_are_tried_before_training(tiny, monkeypatch, flag, folder):
    monkeypatch.setattr(running.training, "train", None)
    with pytest.raises(hop.UserError, match=f"--{flag}={folder} cannot be written to: .*; give"):
        make(**{flag: folder})


def test_a_command_names_each_field_once():
    run = Run("c.py", ["train.steps=9", "path.eps=(0.5,)", "train.steps=7"], ["train.steps=3"])
    eps = "--config.path.eps=(0.5,)"
    assert run.words(False) == ["--config.train.steps=7", eps]
    assert run.words(True)[:2] == ["--config.train.steps=3", eps]


def test_the_worst_stage_of_each_path_is_told():
    def run(*errors):
        return {"stages": [{"eps": 1 / k, "l2re": e} for k, e in enumerate(errors, 1)]}

    runs = {"tanh, seed 0": run(1e-5, 3e-2, 1e-4), "tanh, seed 1": run(1e-3, None), "alone": run(1)}
    assert parts.worst_stages(runs).endswith("shown or not: tanh: 3.0e-02 at ε = 0.5.")
    assert parts.worst_stages({"alone": run(1)}) == ""


def test_durations_have_two_digits():
    assert [parts.duration(s) for s in (0.0019, 0.1996, 0.996, 2.67, 241)] == [
        "1.9 ms", "200 ms", "1 s", "2.7 s", "240 s",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_picture_of_spectra_is_drawn(tmp_path):
    table_2.spectra(tmp_path / "spectra.png", (0.4, 0.1))
    assert (tmp_path / "spectra.png").stat().st_size > 20_000
