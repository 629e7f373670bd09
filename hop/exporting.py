"""A stage as a file for others: a compiled program that needs jax alone, or its weights.

op.stablehlo        u(u₀, x), any number of functions and points, for CPU, CUDA and TPU
op.stablehlo.json   its digest, shapes, sensors and origin
op.run.py           runs it, with jax alone
op.safetensors      instead: the parameters by name, and the origin as metadata
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export as jax_export

from hop import ambient, files, standalone
from hop.checkpoints import leaves
from hop.errors import UserError
from hop.operators import Operator, apply
from hop.provenance import versions

_PLATFORMS = ("cpu", "cuda", "tpu")


def export(operator: Operator, output: str) -> list[Path]:
    """Writes an operator for use without `hop`; returns the files written.

    `output` is NAME.stablehlo for a program, NAME.safetensors for the weights.

    Raises:
      UserError: another ending, or a folder that does not exist.
    """
    target = files.path(output)
    if not target.parent.is_dir():
        raise UserError(f"the folder of --output={output} does not exist; create it first")
    if target.suffix == ".safetensors":
        return _weights(operator, target)
    if target.suffix != ".stablehlo":
        raise UserError(
            f"--output={output} is neither a program nor weights; end it in .stablehlo or "
            ".safetensors"
        )
    with files.owned(target.with_name(f".{target.name}.lock")):
        return _program(operator, target)


def _program(operator: Operator, target: Path) -> list[Path]:
    sensors, dim = operator.sensors, operator.ansatz.problem.domain.dim
    with ambient.numerics(operator.dtype):
        functions, points = jax_export.symbolic_shape("functions, points")
        x = jax.ShapeDtypeStruct((points, dim), operator.dtype)
        if sensors is None:
            made = jax.jit(lambda x: apply(operator.ansatz, "", operator.params, {}, x)[0])
            arguments: tuple[Any, ...] = (x,)
        else:
            (name,) = operator.ansatz.problem.inputs
            made = jax.jit(lambda u0, x: apply(operator.ansatz, "", operator.params, {name: u0}, x))
            arguments = (jax.ShapeDtypeStruct((functions, len(sensors)), operator.dtype), x)
        data = jax_export.export(made, platforms=_PLATFORMS)(*arguments).serialize()
    about = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "arguments": [str(a.shape) for a in arguments],
        "dtype": operator.dtype.name,
        "platforms": _PLATFORMS,
        "sensors": None if sensors is None else sensors.tolist(),
        **_origin(operator),
    }
    beside, runner = target.with_name(f"{target.name}.json"), target.with_suffix(".run.py")
    # In this order: a program is refused until the file beside it, the last, has its digest.
    files.write(runner, Path(standalone.__file__).read_bytes())
    files.write(target, bytes(data))
    files.write(beside, json.dumps(about, indent=1) + "\n")
    return [target, beside, runner]


def _weights(operator: Operator, target: Path) -> list[Path]:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(a) for name, a in leaves(operator.params).items()}
    metadata = {key: json.dumps(value) for key, value in _origin(operator).items()}
    files.write(target, save(arrays, metadata))
    return [target]


def _origin(operator: Operator) -> dict[str, Any]:
    config = operator.config
    about = {} if config is None else {"problem": config.problem, "network": config.network}
    return {"s": operator.s, "eps": operator.eps, **about, "versions": versions()}
