"""A stage as a file for others: a compiled program that needs jax alone, or ONNX, or its weights.

op.stablehlo        u(a, x), any number of functions and points, for CPU, CUDA and TPU
op.stablehlo.json   its digest, shapes, inputs, unknowns and origin
op.run.py           runs it, with jax alone
op.onnx             instead: the same for any ONNX runtime, and all of that as metadata
op.safetensors      instead: the parameters by name, and the origin as metadata

The program takes the inputs in the order of the problem's, values (n, m) or numbers (n,), then the
points (q, d), and gives (n, q), or (q,) without inputs; of several unknowns (c, n, q), or (c, q).
It is of the operator's own ε, also where ε is an input of the network; the origin names it.

In ONNX arguments go by name: the inputs by theirs, the points as "x", and, where ε is an input of
the network, a number "eps". Each unknown is an output of its own name, (n, q) or (q,).
"""

import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jax import export as jax_export

from hop import ambient, files, standalone, translation
from hop.checkpoints import leaves
from hop.errors import RunError, UserError
from hop.operators import Operator, apply, places
from hop.problem import Lam
from hop.provenance import versions

_PLATFORMS = ("cpu", "cuda", "tpu")
_CLOSE = 1e-5  # of the largest value: how near an ONNX program must be to its operator
_CHECKED = 3, 64  # functions and points that tell


def export(operator: Operator, output: str) -> list[Path]:
    """Writes an operator for use without `hop`; returns the files written.

    `output` is NAME.stablehlo or NAME.onnx for a program, NAME.safetensors for the weights.

    Raises:
      UserError: another ending, a folder that does not exist, packages for ONNX that are missing,
        or a program that ONNX cannot express.
      RunError: the ONNX program gives other values than the operator. Nothing is written.
    """
    target = files.path(output)
    if not target.parent.is_dir():
        raise UserError(f"the folder of --output={output} does not exist; create it first")
    if target.suffix == ".safetensors":
        return _weights(operator, target)
    if target.suffix == ".onnx":
        data = onnx_program(operator)
        files.write(target, data)
        return [target]
    if target.suffix != ".stablehlo":
        raise UserError(
            f"--output={output} is neither a program nor weights; end it in .stablehlo, .onnx or "
            ".safetensors"
        )
    with files.owned(target.with_name(f".{target.name}.lock")):
        return _program(operator, target)


def _program(operator: Operator, target: Path) -> list[Path]:
    with ambient.numerics(operator.dtype):
        arguments = _arguments(operator)
        made = jax_export.export(jax.jit(_solution(operator)), platforms=_PLATFORMS)(*arguments)
        data = made.serialize()
    about = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "arguments": [str(a.shape) for a in arguments],
        "dtype": operator.dtype.name,
        "platforms": _PLATFORMS,
        **_interface(operator),
        **_origin(operator),
    }
    if len(operator.laws) < 2:  # as the first version wrote it
        about["sensors"] = next(iter(about["inputs"].values()), None)
    beside, runner = target.with_name(f"{target.name}.json"), target.with_suffix(".run.py")
    # In this order: a program is refused until the file beside it, the last, has its digest.
    files.write(runner, Path(standalone.__file__).read_bytes())
    files.write(target, bytes(data))
    files.write(beside, json.dumps(about, indent=1) + "\n")
    return [target, beside, runner]


def onnx_program(operator: Operator) -> bytes:
    """The ONNX file of an operator, once `onnxruntime` has found its values on some functions.

    Raises:
      UserError, RunError: as in `export`.
    """
    onnx, runtime = map(_package, ("onnx", "onnxruntime"))
    names = [*operator.laws, "x", *(["eps"] if operator.span else [])]
    unknowns = operator.ansatz.problem.unknowns
    if twice := [name for name, count in Counter([*names, *unknowns]).items() if count > 1]:
        raise UserError(
            f"ONNX knows arguments and results by name, and {twice[0]!r} would be two of them; "
            "rename the input or the unknown of the problem"
        )
    with ambient.numerics(operator.dtype):
        solution = _solution(operator, moves=operator.span is not None)
        arguments = _arguments(operator)
        if operator.span:
            arguments.append(jax.ShapeDtypeStruct((), operator.dtype))

        def by_unknown(*given: Array) -> list[Array]:
            made = solution(*given)
            return [made] if len(unknowns) == 1 else list(made)

        model = translation.translate(jax.make_jaxpr(by_unknown)(*arguments), names, unknowns)
    weights = b"".join(constant.raw_data for constant in model.graph.initializer)
    about = {
        "sha256": hashlib.sha256(weights).hexdigest(),  # of the constants, one after the other
        **_interface(operator),
        "span": operator.span,
        **_origin(operator),
    }
    about["versions"] |= {"onnx": onnx.__version__}
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in about.items()})
    data = model.SerializeToString(deterministic=True)
    _compare(operator, by_unknown, _session(runtime, data))
    return data


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"an export to ONNX needs the package {name}, which is not installed; "
            "pip install onnx onnxruntime"
        ) from error


def _session(runtime: Any, data: bytes) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what it has to say is raised
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes that it keeps to itself
        said = str(error).splitlines()[0]
        raise UserError(
            f"onnxruntime does not run this program: {said}; end --output in .stablehlo for one "
            "that runs with jax"
        ) from error


def _compare(operator: Operator, program: Callable[..., list[Array]], session: Any) -> None:
    """Raises RunError unless a session gives the values of the program that it was made of."""
    (count, places), rng, given = _CHECKED, np.random.default_rng(0), []
    with ambient.numerics(operator.dtype):
        for k, law in enumerate(operator.laws.values()):
            drawn = np.asarray(law.values(law.sample(ambient.key(k), count)), operator.dtype)
            given.append(drawn.reshape(count, *law.shape))
        grid = operator.grid
        given.append(grid[rng.integers(0, len(grid), places)].astype(operator.dtype))
        compiled, names = jax.jit(program), [one.name for one in session.get_inputs()]
        for eps in operator.span or (None,):
            arrays = given if eps is None else [*given, np.asarray(eps, operator.dtype)]
            found = session.run(None, dict(zip(names, arrays, strict=True)))
            for u, exact in zip(found, map(np.asarray, compiled(*arrays)), strict=True):
                error, size = np.abs(u - exact).max(), max(1.0, np.abs(exact).max())
                if not error <= _CLOSE * size:
                    where = "" if eps is None else f" at eps={eps:g}"
                    raise RunError(
                        f"the ONNX program differs from the operator by {error:.1e}{where}; "
                        "nothing is written. End --output in .stablehlo for one that runs with jax"
                    )


def _arguments(operator: Operator) -> list[jax.ShapeDtypeStruct]:
    """Those of the program, of any number of functions and points."""
    functions, points = jax_export.symbolic_shape("functions, points")
    shapes: list[tuple[Any, ...]] = [(functions, *law.shape) for law in operator.laws.values()]
    shapes.append((points, operator.ansatz.problem.domain.dim))
    return [jax.ShapeDtypeStruct(shape, operator.dtype) for shape in shapes]


def _interface(operator: Operator) -> dict[str, Any]:
    """The inputs with their sensors, and the unknowns."""
    laws = operator.laws
    sensors = {name: jax.tree.map(np.ndarray.tolist, places(law)) for name, law in laws.items()}
    return {"inputs": sensors, "unknowns": operator.ansatz.problem.unknowns}


def _solution(operator: Operator, moves: bool = False) -> Callable[..., Array]:
    """The program: arrays of the inputs and x → u, at the operator's ε; or, ε `moves`, and ε → u.

    It is the solution of one function at one point, mapped, so that problems see numbers where the
    program has symbols.
    """
    laws = operator.laws
    own = Lam(*(np.asarray(value, operator.dtype) for value in operator.lam))

    def at(given: tuple[Array, ...], point: Array, eps: Any) -> Array:
        values = {name: v.reshape(1, -1) for name, v in zip(laws, given, strict=True)}
        lam = own._replace(eps=eps)
        return apply(operator.ansatz, "", operator.params, values, point[None], lam)[..., 0, 0]

    along = jax.vmap(at, (None, 0, None), out_axes=-1)
    mapped = jax.vmap(along, (0, None, None), out_axes=-2) if laws else along

    def solution(*arguments: Array) -> Array:
        *given, x, eps = arguments if moves else (*arguments, own.eps)
        return mapped(tuple(given), x, eps)

    return solution


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
