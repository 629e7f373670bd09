"""What a problem is: a PDE with a small parameter, its conditions and its input functions.

Shapes: n functions, q points, d coordinates. Every array is (n, q), or (1, q) where it is the
same for all functions; `x` is (d, 1, q), so `(x,) = x` or `x, t = x` unpacks it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.fields import Field, RandomField, how_many


class Lam(NamedTuple):
    """A place on the homotopy path: s weighs the start, ε is the singular parameter.

    Numbers, or traced scalars: one compilation serves every stage.
    """

    s: Any
    eps: Any


class Condition(NamedTuple):
    """A soft condition u = values at points on the boundary or at the initial time.

    Attributes:
      points: (b, d).
      values: (1, b), the same for all functions, and traced where they depend on the place on the
        path; None for those of the input functions.
    """

    points: np.ndarray
    values: Array | np.ndarray | None


@runtime_checkable
class Problem(Protocol):
    """What the rest of `hop` asks of a PDE H(u; s, ε) = 0. Problems are hashable.

    The input functions `a` are given by name: a Jet each in `residual`, values (n, q) in `lift`.

    Attributes:
      domain: the box it lives on.
      labels: the derivatives its residual reads, e.g. ("", "x", "xx"), or ("", LAPLACIAN).
      odd: the coordinates, e.g. ("x",), about whose middle the network's output is made odd: it is
        replaced by ½(N(x) − N(Rx)) before `lift` sees it. Usually ().
      inputs: the law of every input function by its name, as {"u0": law}; {} without any.
    """

    @property
    def domain(self) -> Box: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def odd(self) -> tuple[str, ...]: ...
    @property
    def inputs(self) -> Mapping[str, RandomField]: ...

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        """H(u; s, ε) at the points, (n, q)."""

    def lift(self, network: Array, x: Array, a: Mapping[str, Array]) -> Array:
        """u from the network's output, pointwise: exact conditions and symmetries, (n, q)."""

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        """The conditions that `lift` does not already satisfy; as many at every (s, ε)."""


@runtime_checkable
class Referenced(Problem, Protocol):
    """A problem that knows what its solutions should be. It is scored, and trained no differently.

    Its input functions `a` are a `hop.fields.Field` each.
    """

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        """A converged solution at the points x (q, d) by a classical method, float64, (n, q)."""


def reference(problem: Problem, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
    """The problem's reference at the points x (q, d), (n, q), checked.

    Raises:
      RunError: there is none, or its solver does not converge.
      UserError: it fails in another way, or gives no finite numbers of this shape.
    """
    name, n = type(problem).__name__, how_many(a)
    try:
        if not isinstance(problem, Referenced):
            raise NotImplementedError
        found = problem.reference(a, x, lam)
        values = np.asarray(found, np.float64)
    except (RunError, UserError):
        raise
    except NotImplementedError as error:
        raise RunError(f"{name} has no reference solutions") from error
    except Exception as error:  # the user's code: it can fail in any way
        raise failing(f"{name}.reference", error) from error
    if values.shape != (n, len(x)):
        raise UserError(
            f"{name}.reference gives shape {values.shape} and must give (n, q) = {(n, len(x))}: a "
            "row for each function, a column for each point"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{name}.reference holds NaN or infinity at s={lam.s:g}, eps={lam.eps:g}")
    return values


def failing(what: str, error: Exception) -> UserError:
    """What to say of an exception in code of the caller's own."""
    said = " ".join(str(error).split())[:160]
    remedy = "HOP_TRACEBACK=1 shows where"
    if isinstance(error, jax.errors.JAXTypeError):
        remedy = "u, x and lam are traced: use jax.numpy, and jnp.where for if"
    return UserError(f"{what} fails: {type(error).__name__}: {said}; {remedy}")


@runtime_checkable
class Evolving(Problem, Protocol):
    """A problem whose solution is where u_t + H(u; s, ε) = 0 tends to from a u₀ that it knows."""

    def initial(self, x: Array, a: Mapping[str, Array]) -> Array:
        """u₀ at the points, (n, q) or (1, q), from the input functions' values as in `lift`."""


def in_time(problem: Problem) -> bool:
    """Whether the last coordinate of a problem is the time t."""
    return any("t" in label for label in problem.labels)


def letters(problem: Problem) -> str:
    """The coordinates that derivatives of a problem can name, one letter each."""
    dim = problem.domain.dim
    return "xyz"[: dim - 1] + "t" if in_time(problem) else "xyz"[:dim]
