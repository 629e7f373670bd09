"""Writes what the page docs/play.md runs: `python docs/play.py`, after a model has changed.

Each shipped operator of the page goes into one script, docs/_static/play/NAME.js: its ONNX program,
examples drawn from its law, and the solutions of the problem's own reference solver for them. The
runtime, docs/_static/play/runtime.js, is made of the npm package onnxruntime-web:

    npm pack onnxruntime-web@1.22.0
    python docs/play.py --runtime onnxruntime-web-1.22.0.tgz

A browser that opens the page as a file reads nothing but scripts. So bytes are compressed by gzip
and written as a string in UTF-16, 15 bits a character, which takes 7 % more room (base64: 33 %).
"""

import argparse
import gzip
import hashlib
import json
import re
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

import hop
from hop import ambient, exporting
from hop.checkpoints import Store
from hop.problem import Lam

FOLDER = Path(__file__).parent / "_static" / "play"
RUNTIME = "1.22.0"
WASM = (
    "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"  # its largest file, SHA-256
)
TYPICAL = 4 / 7  # of the limits of a law, which are 7 standard deviations
_FIRST = 0x3400  # of 32,768 characters that no editor or browser changes

# Of each operator: what moves, where solutions are read, and where the reference is known.
OPERATORS: dict[str, dict[str, Any]] = {
    "burgers-shocks": {
        "title": "Burgers: shocks",
        "equation": "u<sub>t</sub> + u u<sub>x</sub> = ν u<sub>xx</sub>, periodic in x, "
        "u(x, 0) = u₀",
        "law": "u₀ is a smooth random function of mean 0: a curve that you draw loses its mean.",
        "drawn": "u₀",
        "examples": (44, 18, 20),  # large enough for shocks
        "moves": [
            {"name": "eps", "label": "ν", "said": "viscosity", "log": True, "value": 1e-4},
            {"name": "t", "label": "t", "said": "time", "low": 0, "high": 1, "value": 0.7},
        ],
        "map": "periodic",
        "known": {"eps": [1e-4, 3e-4, 1e-3], "t": [k / 10 for k in range(11)]},
        "count": 301,
        "brush": 0.12,
    },
    "convection-diffusion": {
        "title": "Convection–diffusion: a layer",
        "equation": "−ε u″ + u′ = f on [0, 1], u(0) = u(1) = 0",
        "law": "f is a smooth random function, free at the ends.",
        "drawn": "f",
        "examples": (8, 7, 6),
        "moves": [{"name": "eps", "label": "ε", "said": "diffusion", "log": True, "value": 1e-2}],
        "map": "",
        "known": {"eps": [1e-6, 1e-4, 1e-2, 1e-1, 1.0]},
        "layer": True,
        "brush": 0.15,
    },
    "cavity": {
        "title": "Flow in a cavity",
        "equation": "Δ²ψ = Re (ψ<sub>y</sub> Δψ<sub>x</sub> − ψ<sub>x</sub> Δψ<sub>y</sub>) "
        "in the square, ψ<sub>y</sub> = U on the lid",
        "law": "U, the velocity of the lid, is 16 x²(1 − x)² e<sup>g</sup> with g smooth and "
        "random; you draw e<sup>g</sup>.",
        "drawn": "eᵍ (dashed); the lid's velocity is U",
        "examples": (4, 5, 9),
        "moves": [{"name": "Re", "label": "Re", "said": "Reynolds number", "log": True,
                   "low": 100, "high": 1000, "value": 400}],
        "map": "bump",
        "known": {"Re": [100, 400, 1000]},
        "plane": 49,
        "brush": 0.2,
    },
    "drift-diffusion": {
        "title": "A semiconductor",
        "equation": "λ² φ″ = 2δ² sinh φ − C on [0, 1], φ = asinh(C / 2δ²) at both ends",
        "law": "C, the doping, lies between −1 and 1: tanh of a smooth random function.",
        "drawn": "C",
        "examples": (6, 8, 4),
        "moves": [{"name": "eps", "label": "λ", "said": "Debye length", "log": True,
                   "value": 1e-2}],
        "map": "tanh",
        "known": {"eps": [1e-3, 1e-2, 1e-1, 1.0]},
        "count": 401,
        "brush": 0.15,
    },
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", help="onnxruntime-web, as npm packs it")
    parser.add_argument("names", nargs="*", default=[], help="operators; default: all")
    given = parser.parse_args(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if given.runtime:
        write("runtime", runtime(given.runtime))
        return
    for name in given.names or OPERATORS:
        write(name, operator(name))


def runtime(package: str) -> bytes:
    """The three files of the runtime that the page uses, unchanged."""
    names = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
    with tarfile.open(package) as archive:

        def member(name: str) -> bytes:
            file = archive.extractfile(f"package/{name}")
            assert file is not None
            return file.read()

        version = json.loads(member("package.json"))["version"]
        assert version == RUNTIME, f"{package} is of version {version}, not {RUNTIME}"
        files = [member(f"dist/{name}") for name in names]
    digests = {
        name: hashlib.sha256(file).hexdigest() for name, file in zip(names, files, strict=True)
    }
    return packed({"version": version, "sha256": digests}, files)


def operator(name: str) -> bytes:
    """One operator with its examples and references."""
    spec, op = dict(OPERATORS[name]), hop.load(name)
    function, problem = next(iter(op.laws)), op.ansatz.problem
    law = op.laws[function]
    base = law
    while hasattr(base, "base"):
        base = base.base
    size, bend = base.limits
    for move in spec["moves"]:
        if move["name"] == "eps":
            move["low"], move["high"] = op.span
    arrays: list[np.ndarray] = []

    def kept(array: Any) -> int:
        arrays.append(np.ascontiguousarray(array, "<f4"))
        return len(arrays) - 1

    with ambient.numerics(np.float64):
        fields = [law.sample(ambient.key(k), 1) for k in spec["examples"]]
        plain = [np.asarray(base.values(innermost(field)))[0] for field in fields]
    spec |= {
        "name": name,
        "input": function,
        "output": problem.unknowns[0],
        "sensors": kept(op.sensors[function] if isinstance(op.sensors, dict) else op.sensors),
        "deviations": [float(f"{v:.6g}") for v in np.sqrt(base.spectrum) if v > 1e-6 * size],
        "size": TYPICAL * size,
        "bend": TYPICAL * bend,
        "examples": [kept(g) for g in plain],
        "error": scores(name),
        "references": [],
    }
    if "plane" in spec:
        spec["points"] = kept(problem.domain.grid(spec["plane"], spec["plane"]))
    elif "count" in spec:
        spec["points"] = kept(np.linspace(0, 1, spec["count"])[:, None])
    known, times = dict(spec["known"]), spec["known"].get("t", [None])
    known.pop("t", None)
    ((moving, values),) = known.items()
    for example, field in enumerate(fields):
        for value in values:
            places = layered(value) if "layer" in spec else arrays[spec["points"]]
            index = kept(places) if "layer" in spec else spec["points"]
            for time, u in solutions(op, function, field, moving, value, places, times):
                at = {moving: value} | ({} if time is None else {"t": time})
                spec["references"].append(
                    {"example": example, "at": at, "points": index, "values": kept(u)}
                )
    spec["arrays"] = [len(array.ravel()) for array in arrays]
    floats = b"".join(array.tobytes() for array in arrays)
    return packed(spec, [floats, exporting.onnx_program(op)])


def innermost(field: Any) -> Any:
    while hasattr(field, "base"):
        field = field.base
    return field


def layered(eps: float) -> np.ndarray:
    """Points on [0, 1], half of them in the layer at 1; `layered` of play.js gives the same."""
    wide = min(0.2, 12 * eps)
    return np.concatenate([np.linspace(0, 1 - wide, 121), 1 - wide * np.linspace(1, 0, 121)[1:]])[
        :, None
    ]


def solutions(op, function, field, moving, value, places, times):
    """The reference at each time, in float64."""
    problem, eps = op.ansatz.problem, value if moving == "eps" else op.eps
    places = np.asarray(places, float)
    a = {function: field}
    with ambient.on_cpu():
        if moving != "eps":
            a[moving] = op.laws[moving].fit(np.array([[float(value)]]))
        for time in times:
            x = places if time is None else np.hstack([places, np.full((len(places), 1), time)])
            yield time, np.asarray(problem.reference(a, x, Lam(0.0, eps)))[0]


def scores(name: str) -> str:
    """The mean errors of the operator: "0.18 %", or "1.5 to 3.1 %" over its range."""
    tests = [stage.metadata["test"] for stage in Store.find(name).stages()]
    found = sorted(row["l2re"] for test in tests for row in test.get("at", [test]))
    words = [f"{100 * v:.2g}" for v in (found[0], found[-1])]
    return f"{words[0]} %" if words[0] == words[1] else f"{words[0]} to {words[1]} %"


def packed(header: dict[str, Any], parts: list[bytes]) -> bytes:
    """A header in JSON with the lengths of what follows it, compressed."""
    told = json.dumps(header | {"parts": [len(part) for part in parts]}, ensure_ascii=False)
    text = told.encode()
    return gzip.compress(struct.pack("<I", len(text)) + text + b"".join(parts), 9, mtime=0)


def unpacked(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    data = gzip.decompress(data)
    (size,) = struct.unpack("<I", data[:4])
    header, at, parts = json.loads(data[4 : 4 + size]), 4 + size, []
    for length in header["parts"]:
        parts.append(data[at : at + length])
        at += length
    return header, parts


def write(name: str, data: bytes) -> None:
    text = f'(self.hopData ??= {{}})["{name}"] = [{len(data)}, "{encoded(data)}"];\n'
    (FOLDER / f"{name}.js").write_bytes(("\ufeff" + text).encode("utf-16-le"))
    print(f"{name}.js {(FOLDER / f'{name}.js').stat().st_size / 1e6:.2f} MB")


def read(name: str) -> tuple[dict[str, Any], list[bytes]]:
    """What a script of the page holds."""
    text = (FOLDER / f"{name}.js").read_bytes().decode("utf-16")
    found = re.fullmatch(r'.*= \[(\d+), "([^"]*)"\];\n', text, re.S)
    assert found, name
    return unpacked(decoded(found[2], int(found[1])))


def encoded(data: bytes) -> str:
    """15 bits a character, the first bits first."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    bits = np.pad(bits, (0, -len(bits) % 15)).reshape(-1, 15)
    numbers = bits @ (1 << np.arange(14, -1, -1)) + _FIRST
    return numbers.astype("<u2").tobytes().decode("utf-16-le")


def decoded(text: str, size: int) -> bytes:
    numbers = np.frombuffer(text.encode("utf-16-le"), "<u2") - _FIRST
    bits = (numbers[:, None] >> np.arange(14, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()[:size]


if __name__ == "__main__":
    main()
