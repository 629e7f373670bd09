"""Operators for use without hop: a program and weights that give the same values."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors import safe_open
from systems import LAWS, Pair, inputs, pair

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
    assert len(source.splitlines()) <= 40
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


def test_a_program_that_this_jax_does_not_load_is_refused_by_name(exported, tmp_path, monkeypatch):
    from hop import standalone

    for path in exported.glob("op.stablehlo*"):
        shutil.copy(path, tmp_path)
    about = json.loads((tmp_path / "op.stablehlo.json").read_text())
    about["versions"]["jax"] = "0.1.2"
    (tmp_path / "op.stablehlo.json").write_text(json.dumps(about))
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    standalone.load(str(tmp_path / "op.stablehlo"))

    def newer(data):
        raise ValueError("unsupported serialization version")

    monkeypatch.setattr(jax.export, "deserialize", newer)
    with pytest.raises(SystemExit) as found:
        standalone.load(str(tmp_path / "op.stablehlo"))
    words = (
        f"was written with jax 0.1.2, and jax {jax.__version__} cannot load it: install jax 0.1.2"
    )
    assert words in str(found.value)


def in_onnx(op, path="op.onnx"):
    """A session of an exported operator."""
    export(op, str(path))
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("given", [("f", "kappa"), ("kappa",), ()])
def test_onnx_takes_inputs_by_name(given, tmp_path):
    op, x, values = pair(given=given), np.linspace(0, 1, 5)[:, None], inputs(3, given)
    session = in_onnx(op, tmp_path / "op.onnx")
    arrays = {name: np.asarray(v, np.float32) for name, v in {**values, "x": x}.items()}
    u, v = session.run(["u", "v"], arrays)
    expected = op(values, x) if given else op(x)
    assert u.shape == ((3, 5) if given else (5,))
    np.testing.assert_allclose(u, expected["u"], atol=2e-6)
    np.testing.assert_allclose(v, expected["v"], atol=2e-6)
    about = session.get_modelmeta().custom_metadata_map
    assert list(json.loads(about["inputs"])) == list(given)
    assert json.loads(about["unknowns"]) == ["u", "v"]
    assert json.loads(about["span"]) is None
    assert json.loads(about["versions"])["jax"] == jax.__version__


def test_eps_is_an_argument_in_onnx(tmp_path):
    op = hop.load("convection-diffusion")
    session = in_onnx(op, tmp_path / "op.onnx")
    shapes = {one.name: one.shape for one in session.get_inputs()}
    assert shapes == {"f": ["functions", 21], "x": ["points", 1], "eps": []}
    f = np.cos(np.pi * np.array([[1], [2]]) * op.sensors).astype(np.float32)
    x = np.linspace(0, 1, 33, dtype=np.float32)[:, None]
    for eps in (1.0, 0.03, 1e-6):
        (u,) = session.run(None, {"f": f, "x": x, "eps": np.array(eps, np.float32)})
        np.testing.assert_allclose(u, op(f, x, eps=eps), atol=1e-5)
    about = session.get_modelmeta().custom_metadata_map
    np.testing.assert_allclose(json.loads(about["span"]), [1e-6, 1.0])
    model = onnx.load(tmp_path / "op.onnx")
    weights = b"".join(constant.raw_data for constant in model.graph.initializer)
    assert json.loads(about["sha256"]) == hashlib.sha256(weights).hexdigest()


def test_an_onnx_program_that_is_wrong_is_not_written(tmp_path, monkeypatch):
    from hop import translation

    right = translation.translate

    def wrong(program, *names):
        model = right(program, *names)
        for node in model.graph.node:
            if node.op_type == "Tanh":
                node.op_type = "Sin"
        return model

    monkeypatch.setattr(translation, "translate", wrong)
    with pytest.raises(hop.RunError, match=r"differs from the operator by .*nothing is written"):
        export(hop.load(FIXTURES / MODEL), str(tmp_path / "op.onnx"))
    assert not list(tmp_path.iterdir())


@dataclasses.dataclass(frozen=True)
class Clashing(Pair):
    """Its first unknown is called as the points are."""

    unknowns = ("x", "v")


def test_what_onnx_needs_and_cannot_say(tmp_path, monkeypatch, untrained):
    target = str(tmp_path / "op.onnx")
    refused = r"has a loop \(primitive 'scan'\), .*end --output in .stablehlo"
    with pytest.raises(hop.UserError, match=refused):
        export(hop.load("burgers-2d"), target)
    op = pair(given=())
    two = dataclasses.replace(op, ansatz=dataclasses.replace(op.ansatz, problem=Clashing(given=())))
    with pytest.raises(hop.UserError, match=r"'x' would be two of them; rename"):
        export(two, target)
    op = hop.load(FIXTURES / MODEL)
    for name in ("onnxruntime", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(hop.UserError, match=f"needs the package {name}, .*pip install"):
                export(op, target)
    assert not list(tmp_path.iterdir())


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
    for name, words in (
        ("op.hlo", "end it in .stablehlo, .onnx or"),
        ("no/op.stablehlo", "create it"),
    ):
        assert main(["export", f"--checkpoint={FIXTURES / MODEL}", f"--output={name}"]) == 2
        assert words in capfd.readouterr().err


def test_files_of_the_first_version_are_read():
    kept = np.load(FIXTURES / f"{MODEL}.npz")
    op = hop.load(FIXTURES / MODEL)
    np.testing.assert_allclose(op(kept["u0"], kept["x"]), kept["u"], atol=2e-6)
    from hop import standalone

    program = standalone.load(str(FIXTURES / f"{MODEL}.stablehlo"))
    np.testing.assert_allclose(program(kept["u0"], kept["x"]), kept["u"], atol=2e-6)
