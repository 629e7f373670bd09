"""A stage as a file for others: a compiled program that needs jax alone, or its weights.

op.stablehlo        u(a, x), any number of functions and points, for CPU, CUDA and TPU
op.stablehlo.json   its digest, shapes, inputs, unknowns and origin
op.run.py           runs it, with jax alone
op.safetensors      instead: the parameters by name, and the origin as metadata

The program takes the inputs in the order of the problem's, values (n, m) or numbers (n,), then the
points (q, d), and gives (n, q), or (q,) without inputs; of several unknowns (c, n, q), or (c, q).
It is of the operator's own ε, also where ε is an input of the network; the origin names it.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jax import export as jax_export

from hop import ambient, files, standalone
from hop.checkpoints import leaves
from hop.errors import UserError
from hop.operators import Operator, apply, places
from hop.problem import Lam
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
    laws, problem = operator.laws, operator.ansatz.problem
    with ambient.numerics(operator.dtype):
        functions, points = jax_export.symbolic_shape("functions, points")
        shapes: list[tuple[Any, ...]] = [(functions, *law.shape) for law in laws.values()]
        shapes.append((points, problem.domain.dim))
        arguments = [jax.ShapeDtypeStruct(shape, operator.dtype) for shape in shapes]
        made = jax_export.export(jax.jit(_solution(operator)), platforms=_PLATFORMS)(*arguments)
        data = made.serialize()
    sensors = {name: jax.tree.map(np.ndarray.tolist, places(law)) for name, law in laws.items()}
    about = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "arguments": [str(a.shape) for a in arguments],
        "dtype": operator.dtype.name,
        "platforms": _PLATFORMS,
        "inputs": sensors,
        "unknowns": problem.unknowns,
        **_origin(operator),
    }
    if len(laws) < 2:  # as the first version wrote it
        about["sensors"] = next(iter(sensors.values()), None)
    beside, runner = target.with_name(f"{target.name}.json"), target.with_suffix(".run.py")
    # In this order: a program is refused until the file beside it, the last, has its digest.
    files.write(runner, Path(standalone.__file__).read_bytes())
    files.write(target, bytes(data))
    files.write(beside, json.dumps(about, indent=1) + "\n")
    return [target, beside, runner]


def _solution(operator: Operator) -> Callable[..., Array]:
    """The program: arrays of the inputs and x → u.

    It is the solution of one function at one point, mapped, so that problems see numbers where the
    program has symbols.
    """
    laws = operator.laws
    lam = Lam(*(np.asarray(value, operator.dtype) for value in operator.lam))

    def at(given: tuple[Array, ...], point: Array) -> Array:
        values = {name: v.reshape(1, -1) for name, v in zip(laws, given, strict=True)}
        return apply(operator.ansatz, "", operator.params, values, point[None], lam)[..., 0, 0]

    along = jax.vmap(at, (None, 0), out_axes=-1)
    mapped = jax.vmap(along, (0, None), out_axes=-2) if laws else along
    return lambda *arguments: mapped(arguments[:-1], arguments[-1])


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
