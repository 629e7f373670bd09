"""Batch inference, file to file."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from hop.errors import UserError
from hop.operators import Operator
from hop.problems import in_time

_MOST_POINTS = 10**8


def infer(
    operator: Operator,
    *,
    input: str = "",
    output: str,
    at: str = "",
    points: int | None = None,
    plot: str = "",
) -> str:
    """Solutions for the functions in a file, written to another; returns a line that says so.

    Args:
      operator: a loaded stage.
      input: `.npy` (n, m), values at `operator.sensors`; empty for a problem without input.
      output: `.npy` (n, q), or (q,) without input; replaced only once it is whole.
      at: `.npy` (q, d) query points, (q,) in one dimension.
      points: instead, this many along each axis.
      plot: where to draw some of the functions; empty for nowhere.

    Raises:
      UserError: a file that is missing, no plain array, of the wrong shape, or not finite.
    """
    domain = operator.ansatz.problem.domain
    x = operator.grid
    if at:
        x = read(at)
        x = x[:, None] if x.ndim == 1 and domain.dim == 1 else x
    elif points:
        if points**domain.dim > _MOST_POINTS:
            raise UserError(
                f"--points={points} along each of {domain.dim} axes is more than {_MOST_POINTS:,} "
                "points; use fewer, or --at=x.npy with points of your own"
            )
        x = domain.grid(*(points,) * domain.dim)
    target = Path(output)
    for flag, name in (("output", output), ("plot", plot)):
        if name and not Path(name).absolute().parent.is_dir():
            raise UserError(f"the folder of --{flag}={name} does not exist; create it first")
        if Path(name).is_dir() and name:
            raise UserError(f"--{flag}={name} is a folder; name a file in it")
    moves = in_time(operator.ansatz.problem)
    kinds = (".png", ".pdf", ".svg", *([".gif"] if moves else []))
    if plot and Path(plot).suffix not in kinds:
        raise UserError(f"--plot={plot} is no picture's name; end it in {' or '.join(kinds)}")
    if plot and domain.dim != 1 and not moves:
        raise UserError("--plot draws problems in one dimension, or one and time; leave it out")
    if (operator.sensors is None) == bool(input):
        raise UserError(
            "this operator takes no input function; leave --input out"
            if input
            else "this operator needs input functions; give --input=u0.npy"
        )
    began = time.monotonic()
    u0 = read(input) if input else None
    u = operator(x) if u0 is None else operator(u0, x)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as handle:
            np.save(handle, u)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    if plot:
        from hop import plotting

        plotting.inference(plot, operator, u0, x, u)
    count = "1 solution" if u0 is None else f"{len(u):,} solutions"
    return f"{count} at {len(x):,} points in {time.monotonic() - began:.1f} s: {target}" + (
        f"\npicture: {plot}" if plot else ""
    )


def read(path: str) -> Any:
    """An array of numbers from a `.npy` file; never unpickles."""
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise ValueError
    except FileNotFoundError as error:
        raise UserError(f"no file {path}") from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not a .npy file of real numbers; write one with numpy.save"
        ) from error
    return array
