"""The command line as a person meets it: the whole way once, then every wrong turn in one line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

import hop
from hop import cli, config, datasets
from hop.cli import main
from hop.config import files
from hop.console import Console, table
from hop.laws.named import NAMED
from hop.problem import Lam

ROOT = Path(hop.__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    """A folder with a config and a workdir trained through the command line."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.py").write_text(TINY)
    arguments = [f"--config={folder}/tiny.py", f"--workdir={folder}/w", f"--data_dir={data_dir}"]
    assert main(["train", *arguments]) == 0
    np.save(folder / "u0.npy", np.random.default_rng(0).normal(size=(5, 128)))
    np.save(folder / "bad.npy", np.zeros((5, 100)))
    np.save(folder / "nan.npy", np.full((5, 128), np.nan))
    np.save(folder / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "text.npy").write_text("no array")
    (folder / "empty.npy").write_text("")
    (folder / "broken.py").write_text("1 / 0")
    (folder / "someones.zarr").mkdir()
    return folder


def test_a_warning_is_one_line_and_told_once():
    for _ in range(2):  # commands
        line = cli.told_once()
        assert line("u0 lies\n  outside", UserWarning, "", 1) == "hop: warning: u0 lies outside\n"
        assert line("another", UserWarning, "", 2) == "hop: warning: another\n"
        assert line(UserWarning("u0 lies outside"), UserWarning, "", 3) == ""


def test_the_whole_way(place, data_dir, capsys):
    assert main(["evaluate", f"--checkpoint={place}/w", "--json", "--functions=10"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problem"] == "burgers_steady"
    assert [(r["stage"], r["s"], r["eps"]) for r in report["stages"]] == [(0, 0, 0.5), (1, 0, 0.3)]
    for row in report["stages"]:
        assert row["loss"] > 0
        assert 0 < row["l2re"] <= row["l2re_worst"]
        assert set(row["gauge"]) == {"sigma", "shift", "error", "resolved"}
        assert row["gauge"]["sigma"] > 1
    arguments = [f"--checkpoint={place}/w", "--eps=0.5", f"--input={place}/u0.npy"]
    output = [f"--output={place}/u.npy", "--points=7", f"--plot={place}/u.png"]
    assert main(["infer", *arguments, *output]) == 0
    text = capsys.readouterr().out
    assert "5 solutions at 7 points" in text
    x = np.linspace(0, 1, 7)[:, None]
    expected = hop.load(place / "w", eps=0.5)(np.load(place / "u0.npy"), x)
    np.testing.assert_array_equal(np.load(place / "u.npy"), expected)
    assert main(["evaluate", f"--checkpoint={place}/w", "--stage=-1", "--functions=10"]) == 0
    text = capsys.readouterr().out
    assert "relative L2 error on 10 test functions" in " ".join(text.split())
    assert "place ±" in text
    assert main(["info", f"{place}/w"]) == 0
    text = capsys.readouterr().out
    assert "deeponet" in text
    assert "0.3" in text
    for picture in ("w/plots/path.png", "u.png"):
        assert (place / picture).read_bytes().startswith(b"\x89PNG")


WRONG = {
    "unknown command": (["trian"], "no command 'trian'"),
    "unknown flag": (["evaluate", "--checkpiont=x"], "checkpiont"),
    "no checkpoint named": (["evaluate"], "needs --checkpoint"),
    "no config named": (["train", "--workdir={new}"], "needs --config"),
    "no config there": (["train", "--config=nothing.py", "--workdir={new}"], "shipped ones are"),
    "no such variant": (
        ["train", "--config=configs/burgers_steady.py:papr", "--workdir={new}"],
        "no variant 'papr'",
    ),
    "unknown key": (["--config.train.stepz=5"], "stepz"),
    "wrong type": (["--config.train.steps=many"], "steps"),
    "eps of zero": (["--config.path.eps=(0.5,0.0)"], "every eps must be positive"),
    "eps below zero": (["--config.path.eps=(-0.5,)"], "every eps must be positive"),
    "eps increasing": (["--config.path.eps=(0.1,0.5)"], "eps increases from 0.1 to 0.5"),
    "no eps": (["--config.path.eps=()"], "config.path.eps is empty"),
    "mesh and devices": (["--config.mesh.function=3"], "make their product"),
    "unknown network": (["--config.network.name=transformer"], "use one of deeponet, fno, mlp"),
    "network for no input": (["--config.network.name=mlp"], "use network.name=deeponet"),
    "seed below zero": (["--config.seed=-1"], "must lie in"),
    "tolerance below zero": (["--config.path.tolerance=-1.0"], "must be positive"),
    "config that fails": (["train", "--config={place}/broken.py", "--workdir={new}"], "division"),
    "config of another folder": (
        ["train", "--config=nope/configs/smoke.py", "--workdir={new}"],
        "no config file",
    ),
    "unknown field": (["--config.train.stepz=1"], "no field config.train.stepz; near ones are "),
    "field of another group": (["--config.eval.points=1"], "near ones are config.train.points"),
    "field like none": (["--config.qqqq=1"], "no field config.qqqq; it has config."),
    "unknown optimizer": (["--config.solver.optimizer=adma"], "did you mean 'adam'"),
    "steps of zero": (["--config.train.steps=0"], "must be at least 1"),
    "nan rate": (["--config.solver.learning_rate=nan"], "must be positive"),
    "unwritable workdir": (["--workdir=/proc/nowhere"], "cannot be written"),
    "unknown dataset": (["data", "build", "grf_burgers/none"], "use one of grf_burgers/paper"),
    "no dataset named": (["data", "build"], "hop data build grf_burgers/paper"),
    "unknown source": (["evaluate", "--checkpoint=nothing"], "neither a folder nor"),
    "folder without stages": (["evaluate", "--checkpoint={place}"], "holds no finished stage"),
    "unknown eps": (["infer", "--eps=0.4"], "no stage with eps=0.4, s=0; it holds stage 0"),
    "unknown stage": (["infer", "--stage=7"], "no stage with stage=7"),
    "input not there": (["infer", "--input={place}/none.npy"], "no file"),
    "input of wrong shape": (["infer", "--input={place}/bad.npy"], "must be (n, 128)"),
    "input with NaN": (["infer", "--input={place}/nan.npy"], "NaN or infinity"),
    "input pickled": (["infer", "--input={place}/object.npy"], "not a .npy file of real numbers"),
    "input no array": (["infer", "--input={place}/text.npy"], "not a .npy file of real numbers"),
    "output folder": (["infer", "--output={place}/none/u.npy"], "create it first"),
    "picture of no kind": (["infer", "--plot={new}.foo"], "end it in .png"),
    "output a folder": (["infer", "--output={place}"], "is a folder"),
    "output someone's": (["infer", "--output={place}/someones.zarr"], "no Zarr array"),
    "input empty": (["infer", "--input={place}/empty.npy"], "not a .npy file of real numbers"),
    "points twice": (["infer", "--points=9", "--at={place}/u0.npy"], "give one of them"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_line_and_changes_nothing(name, place, tmp_path, capfd):
    words, message = WRONG[name]
    if words[0] == "infer":
        defaults = {
            "--checkpoint": f"{place}/w",
            "--input": f"{place}/u0.npy",
            "--output": f"{tmp_path}/u.npy",
        }
        given = {w.split("=")[0] for w in words}
        words = words + [f"{k}={v}" for k, v in defaults.items() if k not in given]
    elif words[0].startswith("--"):
        given = [] if words[0].startswith("--workdir") else ["--workdir={new}"]
        words = ["train", "--config={place}/tiny.py", *given, *words]
    before = sorted(str(p) for p in place.rglob("*"))
    words = [w.replace("{place}", str(place)).replace("{new}", f"{tmp_path}/new") for w in words]
    assert main(words) == 2
    captured = capfd.readouterr()
    assert re.fullmatch(r"hop: error: [^\n]+\n", captured.err), captured.err
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []
    assert sorted(str(p) for p in place.rglob("*")) == before


def test_a_damaged_checkpoint_is_one_line_and_exit_1(place, tmp_path, capfd):
    import shutil

    broken = shutil.copytree(place / "w", tmp_path / "w")
    shutil.rmtree(broken / "stages/1/params/d")
    assert main(["infer", f"--checkpoint={broken}", f"--input={place}/u0.npy",
                 f"--output={tmp_path}/u.npy"]) == 1  # fmt: skip
    error = capfd.readouterr().err
    assert re.fullmatch(r"hop: error: stage 1 in [^\n]+\n", error), error
    assert not (tmp_path / "u.npy").exists()


def test_a_rival_strategy_by_its_name(place, data_dir, tmp_path, capsys):
    words = [f"--config={place}/tiny.py", f"--workdir={tmp_path}/w", f"--data_dir={data_dir}"]
    rival = ["--config.strategy.pool=4", "--config.strategy.name=resampling"]  # in any order
    assert main(["train", *words, *rival]) == 0
    assert hop.load(tmp_path / "w", stage=0).eps == 0.3
    capsys.readouterr()
    assert main(["info", f"{tmp_path}/w"]) == 0
    assert "resampling (condition=1.0, floor=1.0, pool=4, power=1.0)" in capsys.readouterr().out


def test_the_end_of_a_command_looks_for_no_more_garbage(tmp_path):
    """To look takes longer than Python's start. Files that only garbage holds are whole even so."""
    (tmp_path / "of_ones_own.py").write_text(
        "import atexit, gc, hop.cli\n"
        "class Log:\n"
        "    def __init__(self, mode, words):\n"
        "        self.file, self.itself = open(mode, mode), self\n"
        "        self.file.write(words)\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "logs = Log('w', 'kept'), Log('wb', b'kept'), Log('w+b', b'kept')\n"
        "hop.cli.process(lambda: 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "of_ones_own.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "True\n"
    for mode in ("w", "wb", "w+b"):
        assert (tmp_path / mode).read_text() == "kept"


def test_a_full_disk_behind_the_output_is_one_line_and_ends_nothing(tmp_path):
    (tmp_path / "of_ones_own.py").write_text(
        "import hop.cli, pathlib\n"
        "def command():\n"
        "    print('lost', flush=True)\n"
        "    print('lost too', flush=True)\n"
        "    pathlib.Path('done').touch()\n"
        "    return 0\n"
        "hop.cli.process(command)\n"
    )
    for words in (["of_ones_own.py"], ["-m", "hop", "--help"], ["-m", "hop", "info", "--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, *words], stdout=full, stderr=subprocess.PIPE, text=True,
                cwd=tmp_path,
            )  # fmt: skip
        assert done.returncode == 1
        assert re.fullmatch("hop: error: not all that was printed [^\n]+\n", done.stderr)
    assert (tmp_path / "done").exists()


def test_another_config_on_a_used_workdir(place, data_dir, capfd):
    words = [f"--config={place}/tiny.py", f"--workdir={place}/w", f"--data_dir={data_dir}"]
    assert main(["train", *words, "--config.train.steps=50"]) == 2
    assert "config.train.steps was 40 and is now 50" in capfd.readouterr().err
    assert main(["train", *words]) == 0  # finished: nothing to do, nothing lost


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "hop", *words],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | environment,
        cwd=ROOT,
    )


def test_help_is_quick_and_needs_no_jax():
    """Nor do commands need TensorFlow Datasets before they read a dataset."""
    best = min(_timed(run, "--help") for _ in range(3))
    assert best < 2.0  # half a second on an idle machine; CI's cores are shared
    code = (
        "import sys, hop, hop.cli; hop.cli.main(['--help']); assert 'jax' not in sys.modules; "
        "import hop.inference, hop.training; assert 'tensorflow_datasets' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    for command in ("train", "evaluate", "infer", "info", "data build"):
        done = run(*command.split(), "--help")
        assert done.returncode == 0
        assert f"\n  hop {command} " in done.stdout
        assert "\nWhat it reads\n" in done.stdout or command == "info"


@pytest.mark.parametrize("columns", [40, 80])
def test_help_fits_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["--help"]) == 0
    for command in cli.ABOUT:
        with pytest.raises(SystemExit):
            main([*command.split()[1:], "--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    assert "(default" not in text
    assert "default: 1800" in " ".join(text.split())
    for flag in ("--checkpoint", "--watchdog", "--functions", "--sensors"):
        assert f"  {flag}=" in text


def test_a_flag_is_told_once(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = re.findall(r"^  --(\w+)", capsys.readouterr().out, re.MULTILINE)
    names = "checkpoint problem eps s stage json functions data_dir"
    assert sorted(said) == sorted(names.split())


def _timed(f, *args):
    began = time.monotonic()
    assert f(*args).returncode == 0
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ZeroDivisionError("of a\nkind"), 1, "ZeroDivisionError: of a kind (unforeseen"),
        (
            RuntimeError("Unable to initialize backend 'cuda': …"),
            2,
            "JAX has no backend",
        ),
        (MemoryError(), 1, "MemoryError"),
    ],
)
def test_whatever_escapes_is_one_line(error, code, said, monkeypatch, capsys):
    def fails(argv):
        raise error

    monkeypatch.setitem(cli.COMMANDS, "info", fails)
    assert main(["info"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hop: error: {said}")
    monkeypatch.setenv("HOP_TRACEBACK", "1")
    main(["info"])
    assert "Traceback" in capsys.readouterr().err


def test_words_of_users_are_no_markup(capsys):
    """Brackets, colons and percent signs of paths and names come out as they went in."""
    said = "x[/y]/[bold]u[1].npy :smile: 100%"
    with Console() as console:
        console.message(said)
        console.building(said)(1, 2)
        console.counting(said)(1, 2)
    table({"problem": said, "functions": 0, "stages": []})
    out = capsys.readouterr().out
    assert out.splitlines()[0] == said
    title = out.splitlines()[1].strip()  # as wide as the table
    assert len(title) > 25
    assert said.startswith(title)


def test_without_a_home_programs_are_not_kept(monkeypatch):
    for name in ("XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    cli.settle()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert os.environ["JAX_PLATFORMS"] == "cuda,cpu"  # references and datasets need the CPU
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/gone")  # as it was, when this is undone


def test_a_backend_that_is_not_there_is_not_replaced(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    assert main(["export", "--checkpoint=burgers-steady", f"--output={tmp_path}/op.stablehlo"]) == 2
    assert "JAX has no backend for JAX_PLATFORMS=cuda here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_strangers_workdir_moves_nothing_outside_itself(place, tmp_path, capsys):
    """It names a folder of data: nothing is built or read there to score it, nor to describe it."""
    copy, elsewhere = shutil.copytree(place / "w", tmp_path / "w"), tmp_path / "data"
    values = json.loads((copy / "config.json").read_text())
    values["data"]["data_dir"] = str(elsewhere)
    evil = elsewhere / "grf_burgers/unit/1.0.0"
    evil.mkdir(parents=True)
    for name in ("features.json", "dataset_info.json"):
        (evil / name).write_text('{"type": "os.path.Evil"}')
    before = sorted(elsewhere.rglob("*"))
    (copy / "config.json").write_text(json.dumps(values))
    assert main(["evaluate", f"--checkpoint={copy}", "--json", "--functions=10", "--stage=0"]) == 0
    assert main(["info", str(copy)]) == 0
    assert sorted(elsewhere.rglob("*")) == before
    with pytest.raises(hop.RunError, match="is damaged|not trusted"):
        datasets.load(NAMED["unit"], "test", str(elsewhere))


def test_an_interrupt_that_python_drops_is_sent_again(monkeypatch):
    class Dropping:
        def __del__(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "unraisablehook", cli.interrupt_again)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

    def wait():
        for _ in range(100):  # no signal of the system's ends a sleep
            time.sleep(0.05)

    try:
        Dropping()  # gone at once
        with pytest.raises(KeyboardInterrupt):
            wait()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_that_an_interrupt_led_to_is_one(capsys):
    """Importing a compiled module tells one as an ImportError."""

    def importing():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    def leaving():
        try:
            raise KeyboardInterrupt
        finally:
            raise hop.UserError("no such folder")

    def failing():
        raise ImportError("initialization failed")

    assert [cli.guarded(command) for command in (importing, leaving, failing)] == [130, 130, 1]
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["hop: interrupted; run the same command to resume"] * 2
    assert said[2].startswith("hop: error: ImportError: initialization failed")


def test_a_stage_that_is_no_solution_is_told_once(capsys):
    record = {"loss": 1.0, "l2re_worst": 1.0, "step": 4, "seconds": 1.0}
    for errors, told in (([0.4, None], 0), ([0.1, 0.6, 0.9], 1)):
        console, made = Console(), config.build(files.read("configs/smoke.py", []))
        console.start(made, made.layout(), 0, False)
        console.stage(0, Lam(0.0, 0.1))
        for error in errors:
            console.stage_end({**record, "l2re": error})
        assert capsys.readouterr().out.count("that is no solution: take more places") == told
