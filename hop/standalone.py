"""Runs an exported operator with jax (and flatbuffers, which its loader needs) alone."""

import hashlib
import json
import sys
from pathlib import Path

import jax.export
import numpy as np

USAGE = "python op.run.py op.stablehlo [u0.npy ...] x.npy u.npy"


def load(path):
    """u(inputs, …, x) from a file whose digest is right; the .json beside it names the inputs."""
    about = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise SystemExit(f"{path} is damaged: its digest is not that of {path}.json")
    jax.config.update("jax_enable_x64", about["dtype"] == "float64")
    try:
        program = jax.export.deserialize(bytearray(data))
        program.mlir_module()
    except Exception as error:  # jax promises to load what is at most six months older
        made = about.get("versions", {}).get("jax", "another version")
        raise SystemExit(
            f"{path} was written with jax {made}, and jax {jax.__version__} cannot load it: "
            f"install jax {made}, or export the operator again with the newer one"
        ) from error
    return lambda *arrays: program.call(*(np.asarray(a, about["dtype"]) for a in arrays))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(USAGE)
    source, *inputs, target = sys.argv[1:]
    try:
        np.save(target, load(source)(*(np.load(name, allow_pickle=False) for name in inputs)))
    except (OSError, ValueError, TypeError) as error:
        raise SystemExit(f"{str(error).splitlines()[0]}: {source}.json has the arguments") from None
