"""The page where operators run in the browser holds the operators that ship."""

import hashlib
import re
import runpy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import hop
from hop import ambient

ROOT = Path(hop.__file__).parents[1]
PLAY = runpy.run_path(str(ROOT / "docs" / "play.py"))
FOLDER = ROOT / "docs" / "_static" / "play"


def page() -> str:
    return (ROOT / "docs" / "play.md").read_text(encoding="utf-8")


def test_the_page_is_small_and_whole():
    """Everything that it loads is beside it, and in all less than 6 MB."""
    names = re.findall(r'value="([\w-]+)"', page())
    assert names == list(PLAY["OPERATORS"])
    scripts = [FOLDER / f"{name}.js" for name in (*names, "runtime", "play")]
    assert sum(path.stat().st_size for path in scripts) < 6e6
    source = (FOLDER / "play.js").read_text(encoding="utf-8")
    for text in (source, page()):
        assert not re.search(r"(src|href)=[\"']?(https?:)?//|fetch\(|import\(", text)


def test_the_runtime_is_the_one_that_is_named():
    header, files = PLAY["read"]("runtime")
    assert header["version"] == PLAY["RUNTIME"]
    assert f"Web {PLAY['RUNTIME']}, of Microsoft" in page()
    for file, digest in zip(files, header["sha256"].values(), strict=True):
        assert hashlib.sha256(file).hexdigest() == digest
    assert header["sha256"]["ort-wasm-simd-threaded.wasm"] == PLAY["WASM"]
    assert "MIT License" in (FOLDER / "onnxruntime.LICENSE.txt").read_text()


@pytest.mark.parametrize("name", PLAY["OPERATORS"])
def test_the_models_of_the_page_are_the_operators(name):
    """Else run `python docs/play.py`."""
    spec, (floats, program) = PLAY["read"](name)
    op, session = hop.load(name), onnxruntime.InferenceSession(program)
    law = op.laws[spec["input"]]
    with ambient.numerics(op.dtype):
        values = np.asarray(law.values(law.sample(ambient.key(99), 2)), np.float32)
    x = op.grid[:: len(op.grid) // 50].astype(np.float32)
    move, *_ = spec["moves"]
    assert spec["law"]
    for value in (move["low"], move["value"], move["high"]):
        feeds, given = {spec["input"]: values, "x": x}, {spec["input"]: values}
        if move["name"] == "eps":
            feeds["eps"] = np.array(value, np.float32)
            expected = op(values, x, eps=value)
        else:
            feeds[move["name"]] = np.full(2, value, np.float32)
            expected = op(given | {move["name"]: np.full(2, value)}, x)
        (u,) = session.run([spec["output"]], feeds)
        np.testing.assert_allclose(u, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert spec["error"] == PLAY["scores"](name)
    arrays = np.split(np.frombuffer(floats, "<f4"), np.cumsum(spec["arrays"])[:-1])
    # A reference of the page, beside the operator: as near as the card says, for most.
    found = []
    for one in spec["references"]:
        g, at = arrays[spec["examples"][one["example"]]], one["at"]
        mapped = {"tanh": np.tanh, "bump": np.exp}.get(spec["map"], lambda v: v)(g)
        places = arrays[spec["sensors"]]
        if spec["map"] == "bump":
            mapped = mapped * 16 * places**2 * (1 - places) ** 2
        x = arrays[one["points"]].reshape(-1, op.ansatz.problem.domain.dim - ("t" in at))
        if "t" in at:
            x = np.hstack([x, np.full((len(x), 1), at["t"], np.float32)])
        feeds = {spec["input"]: mapped[None], "x": x}
        key = move["name"]
        feeds[key] = np.array(at[key] if key == "eps" else [at[key]], np.float32)
        (u,) = session.run([spec["output"]], feeds)
        exact = arrays[one["values"]]
        found.append(np.linalg.norm(u[0] - exact) / np.linalg.norm(exact))
    worst = 0.01 * float(spec["error"].split()[-2])
    assert np.median(found) < 2 * worst


def test_bytes_come_back_from_a_script():
    data = np.random.default_rng(0).bytes(1000)
    for size in (0, 1, 2, 15, 1000):
        text = PLAY["encoded"](data[:size])
        assert PLAY["decoded"](text, size) == data[:size]
        assert all(0x3400 <= ord(c) < 0xB400 for c in text)
