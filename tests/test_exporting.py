"""Operators for use without hop: a program and weights that give the same values."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors import safe_open
from systems import LAWS, inputs, pair

import hop
from hop import files
from hop.cli import main
from hop.exporting import export

FIXTURES = Path(__file__).parent / "fixtures"
MODEL = "burgers-v1"


def run(folder, *words):
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    words = ["export", f"--checkpoint={FIXTURES / MODEL}", "--eps=0.5"]
    assert main([*words, f"--output={folder}/op.stablehlo"]) == 0
    assert main([*words, f"--output={folder}/op.safetensors"]) == 0
    return folder


def test_a_program_runs_with_jax_alone(exported, tmp_path):
    op = hop.load(FIXTURES / MODEL, eps=0.5)
    u0, x = np.random.default_rng(0).normal(size=(3, 128)), np.linspace(0, 1, 7)[:, None]
    np.save(exported / "u0.npy", u0)
    np.save(exported / "x.npy", x)
    done = run(exported, "op.run.py", "op.stablehlo", "u0.npy", "x.npy", "u.npy")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(exported / "u.npy"), op(u0, x), atol=2e-6)
    about = json.loads((exported / "op.stablehlo.json").read_text())
    assert about["arguments"] == ["(functions, 128)", "(points, 1)"]
    assert set(about["platforms"]) == {"cpu", "cuda", "tpu"}
    assert (about["eps"], len(about["sensors"])) == (0.5, 128)
    source = (exported / "op.run.py").read_text()
    assert "hop" not in source.replace("op.stablehlo", "")
    assert len(source.splitlines()) <= 33
    done = run(exported, "op.run.py", "op.stablehlo", "x.npy", "x.npy", "u.npy")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "op.stablehlo.json has the arguments" in done.stderr


def test_usage_without_docstrings(monkeypatch):
    from hop import standalone

    monkeypatch.setattr(sys, "argv", ["op.run.py"])
    source = Path(standalone.__file__).read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^python op.run.py op.stablehlo \[u0.npy \.\.\.\] x.npy"):
        exec(compile(source, "op.run.py", "exec", optimize=2), {"__name__": "__main__"})


def test_an_export_cut_short_is_refused_and_two_do_not_mix(exported, tmp_path, monkeypatch):
    """After each file of another stage, written over the first: whole, or refused."""
    from hop import exporting, standalone

    first, other = (hop.load(FIXTURES / MODEL, stage=k) for k in (0, -1))
    assert first.eps != other.eps
    u0, x = np.ones((1, 128), np.float32), np.linspace(0, 1, 3, dtype=np.float32)[:, None]
    target, write = str(tmp_path / "op.stablehlo"), files.write
    lock = tmp_path / ".op.stablehlo.lock"
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    for count in range(4):
        for path in exported.glob("op.*"):
            shutil.copy(path, tmp_path)
        left = [None] * count

        def cut(path, content, left=left):
            with pytest.raises(hop.UserError, match="held"), files.owned(lock, "held"):
                pass  # who exports has the place for himself
            if not left:
                raise KeyboardInterrupt
            left.pop()
            write(path, content)

        monkeypatch.setattr(files, "write", cut)
        if count < 3:
            with pytest.raises(KeyboardInterrupt):
                exporting.export(other, target)
        else:
            exporting.export(other, target)
        if count == 2:
            with pytest.raises(SystemExit, match="is damaged: its digest is not that"):
                standalone.load(target)
        else:
            u = (other if count == 3 else first)(u0, x)
            np.testing.assert_allclose(standalone.load(target)(u0, x), u, atol=2e-6)
        assert (tmp_path / "op.run.py").read_bytes() == Path(standalone.__file__).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_program_is_not_run(exported, tmp_path):
    for path in exported.iterdir():
        shutil.copy(path, tmp_path)
    data = bytearray((tmp_path / "op.stablehlo").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "op.stablehlo").write_bytes(data)
    done = run(tmp_path, "op.run.py", "op.stablehlo", "u0.npy", "x.npy", "u.npy")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "op.stablehlo is damaged: its digest is not that of op.stablehlo.json"
    )


def test_weights_by_name(exported):
    params = hop.load(FIXTURES / MODEL, eps=0.5).params
    with safe_open(exported / "op.safetensors", "numpy") as file:
        np.testing.assert_array_equal(
            file.get_tensor("trunk/Dense_0/kernel"), params["trunk"]["Dense_0"]["kernel"]
        )
        assert len(file.keys()) == len(jax.tree.leaves(params))
        assert json.loads(file.metadata()["eps"]) == 0.5
        assert json.loads(file.metadata()["problem"])["name"] == "burgers_steady"


def test_a_problem_without_input_in_float64(untrained, tmp_path, monkeypatch):
    from hop import standalone

    sol = untrained(train__precision="float64")
    assert sol.dtype == np.float64
    export(sol, str(tmp_path / "sol.stablehlo"))
    x = np.linspace(0, 1, 5)[:, None]
    with jax.enable_x64(True):
        monkeypatch.setattr(jax.config, "update", lambda *_: None)
        np.testing.assert_allclose(
            standalone.load(str(tmp_path / "sol.stablehlo"))(x), sol(x), atol=1e-14
        )


@pytest.mark.parametrize("given", [("f", "kappa"), ("kappa",), ()])
def test_a_system_takes_its_inputs_in_order(given, tmp_path, monkeypatch):
    op, x, values = pair(given=given), np.linspace(0, 1, 5)[:, None], inputs(3, given)
    monkeypatch.chdir(tmp_path)
    export(op, "op.stablehlo")
    for name, array in {**values, "x": x}.items():
        np.save(f"{name}.npy", array)
    words = ["op.run.py", "op.stablehlo", *(f"{name}.npy" for name in given), "x.npy", "u.npy"]

    def call(words):
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.setattr(jax.config, "update", lambda *_: None)
        exec(compile(Path("op.run.py").read_text(), "op.run.py", "exec"), {"__name__": "__main__"})

    call(words)
    u = np.load("u.npy")
    assert u.shape == ((2, 3, 5) if given else (2, 5))
    expected = op(values, x) if given else op(x)
    np.testing.assert_allclose(u, np.stack([expected["u"], expected["v"]]), atol=2e-6)
    about = json.loads(Path("op.stablehlo.json").read_text())
    places = {"f": LAWS["f"].sensors[:, 0].tolist(), "kappa": None}
    assert list(about["inputs"].items()) == [(name, places[name]) for name in given]
    assert about["unknowns"] == ["u", "v"]
    shapes = {"f": "(functions, 17)", "kappa": "(functions,)"}
    assert about["arguments"] == [*(shapes[name] for name in given), "(points, 1)"]
    with pytest.raises(SystemExit, match="op.stablehlo.json has the arguments"):
        call([*words[:-1], "x.npy", "u.npy"])


def test_what_cannot_be_exported(capfd):
    for name, words in (("op.onnx", "end it in .stablehlo or"), ("no/op.stablehlo", "create it")):
        assert main(["export", f"--checkpoint={FIXTURES / MODEL}", f"--output={name}"]) == 2
        assert words in capfd.readouterr().err


def test_files_of_the_first_version_are_read():
    kept = np.load(FIXTURES / f"{MODEL}.npz")
    op = hop.load(FIXTURES / MODEL)
    np.testing.assert_allclose(op(kept["u0"], kept["x"]), kept["u"], atol=2e-6)
    from hop import standalone

    program = standalone.load(str(FIXTURES / f"{MODEL}.stablehlo"))
    np.testing.assert_allclose(program(kept["u0"], kept["x"]), kept["u"], atol=2e-6)
