"""A trained stage as a callable: loading, input checks, padding, sharding."""

import collections
import dataclasses
import functools
import math
import numbers
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import config as config_lib
from hop.ansatz import Ansatz, Inputs
from hop.checkpoints import StageInfo, Store
from hop.config import Config
from hop.derivatives import LAPLACIAN, Jet
from hop.domain import TENSOR_DIM
from hop.errors import UserError
from hop.fields import Field
from hop.networks import Params
from hop.problems import Lam, Problem, in_time
from hop.sharding import FUNCTION

_ENTRIES = 2**20  # functions × points per call of the compiled program, where it can be so few
_BLOCK = 8192  # functions per call at most
_CHUNK = 2048  # points per call at least, where there are many functions to share their trunk
_POINTS = 2**17  # points per call at most: each takes a row of every layer, for Δ another d of them
_GRID = (1001, 101, 31)  # default query points along each axis in 1, 2, 3 dimensions
_QUASI_RANDOM = 1024  # and in all beyond
_UNRESOLVED = 0.01  # of a typical input function, that goes untold
_MOST_DERIVATIVES = 4  # forward mode doubles its work with each

Program = Callable[[Params, Array | None, Array], Array]  # θ, sensor values, points → (n, q)


@dataclasses.dataclass(frozen=True, eq=False)  # compared and hashed by identity, for jax.jit(op)
class Operator:
    """The network of one stage, u₀ ↦ u, or x ↦ u for a problem without an input function.

    Attributes:
      ansatz: the problem and its network.
      params: θ.
      lam: the stage's (s, ε).
      config: the experiment that it comes from.
    """

    ansatz: Ansatz
    params: Params = dataclasses.field(repr=False)
    lam: Lam
    config: Config | None = dataclasses.field(default=None, repr=False)

    @property
    def s(self) -> float:
        return float(self.lam.s)

    @property
    def eps(self) -> float:
        return float(self.lam.eps)

    @property
    def dtype(self) -> np.dtype:
        """The float type of the parameters, in which everything is computed."""
        return np.dtype(jax.tree.leaves(self.params)[0].dtype)

    @property
    def sensors(self) -> np.ndarray | None:
        """The places (m,) at which an input function is given; None without one."""
        field = self.ansatz.problem.random_field
        return None if field is None else field.sensors

    @property
    def grid(self) -> np.ndarray:
        """The default query points (q, d)."""
        return default_grid(self.ansatz.problem)

    def __call__(self, *args: Any, x: Any = None, sensors: Any = None) -> Any:
        """Solutions at query points: `op(u0, x)`, or `op(x)` for a problem without an input.

        Args:
          u0: (n, m) values of n functions at `op.sensors`, of any real dtype; or a function of
            places (m,), or a list of n such functions.
          x: query points (q, d) inside the domain; `op.grid` by default.
          sensors: the places (m,) of other sensors; the functions are then fitted spectrally, with
            a warning where the places are too few or too uneven for that.

        Returns:
          (n, q), or (q,) without an input function: NumPy for NumPy input, JAX for JAX.

        Raises:
          UserError: wrong shapes, complex or non-finite values, points outside the domain.
        """
        return self._evaluate(self._derivative(""), args, x, sensors)

    def derivative(
        self, *args: Any, order: int | str = "", x: Any = None, sensors: Any = None
    ) -> Any:
        """A derivative of the solutions: `op.derivative(u0, x, order)`, without input `(x, order)`.

        Args:
          u0, x, sensors: as in a call of the operator.
          order: how often in the first coordinate; or the letters of the coordinates, as "xx" or
            "xt": x, y, z in space, t in time. At most four.

        Returns:
          As a call of the operator, by forward mode, exact for the network.

        Raises:
          UserError: as in a call, or an order that is none.
        """
        if order == "" and args:
            *args, order = args  # type: ignore
        label = _label(self.ansatz.problem, order)
        return self._evaluate(self._derivative(label), tuple(args), x, sensors)

    def residual(self, *args: Any, x: Any = None, sensors: Any = None) -> Any:
        """H(u_θ; s, ε) at the stage's own (s, ε), zero for an exact solution: `op.residual(u0, x)`.

        It tells errors without a reference, but for those along a slow mode, which leave next to
        none: `hop.gauge` says how far it can be trusted.

        Args:
          u0, x, sensors: as in a call of the operator.

        Returns:
          As a call of the operator.

        Raises:
          UserError: as in a call.
        """
        lam = Lam(*(np.asarray(v, self.dtype) for v in self.lam))

        def program(params: Params, values: Array | None, x: Array) -> Array:
            return _residual(self.ansatz, params, values, x, lam)

        return self._evaluate(program, args, x, sensors)

    def _derivative(self, label: str) -> Program:
        return lambda params, values, x: apply(self.ansatz, label, params, values, x)

    def _evaluate(self, program: Program, args: tuple[Any, ...], x: Any, sensors: Any) -> Any:
        """What a program makes of the arguments of a call."""
        takes = 1 if self.sensors is None else 2
        if len(args) + (x is not None) > takes or (takes == 1 and sensors is not None):
            raise UserError(f"call op({'x' if takes == 1 else 'u0, x'})")
        if takes == 2 and not args:
            raise UserError("this operator needs input functions; call op(u0) or op(u0, x)")
        u0 = args[0] if takes == 2 else None
        x = args[-1] if len(args) == takes else x
        x = self.grid if x is None else _checked_points(x, self.ansatz.problem)
        in_jax = isinstance(u0, Array) or isinstance(x, Array)
        dtype = self.dtype
        with jax.enable_x64(dtype == np.float64):
            x = jnp.asarray(x, dtype)
            if takes == 1:
                most = _POINTS // (x.shape[1] if LAPLACIAN in self.ansatz.labels else 1)
                made = [program(self.params, None, part)[0] for part in _parts(x, most)]
                u = made[0] if len(made) == 1 else jnp.concatenate(made)[: len(x)]
                return u if in_jax else np.asarray(u)
            values = self._checked_values(u0, sensors)
            if in_jax:
                return program(self.params, jnp.asarray(values, dtype), x)
            return self._in_blocks(program, values, x)

    def _in_blocks(self, program: Program, values: np.ndarray, x: Array) -> np.ndarray:
        """A program's (n, q) by blocks of functions and of points, padded to few shapes.

        The functions of a block are split over the local devices.
        """
        params, split = self._at_home
        n, q, devices = len(values), len(x), len(split.mesh.devices)
        few = 1 << max(1, _ENTRIES // max(1, min(q, _CHUNK))).bit_length() - 1
        most = min(_BLOCK, few, 1 << max(0, n - 1).bit_length())
        chunk = max(1, min(q, _POINTS, _ENTRIES // most))
        parts = _parts(x, chunk)
        out, made = np.empty((n, q), values.dtype), collections.deque[tuple[int, int, Array]]()

        def keep() -> None:
            first, at, u = made.popleft()
            place = out[first : first + most, at : at + chunk]
            place[:] = np.asarray(u)[: place.shape[0], : place.shape[1]]

        for first in range(0, n, most):
            block = values[first : first + most]
            rows = devices * math.ceil((1 << (len(block) - 1).bit_length()) / devices)
            padded = np.pad(block, ((0, rows - len(block)), (0, 0))) if rows > len(block) else block
            a = jax.device_put(padded, split)
            for k, part in enumerate(parts):
                made.append((first, k * chunk, program(params, a, part)))
                if len(made) > 1:
                    keep()  # the one before, while this one is made
        while made:
            keep()
        return out

    @functools.cached_property
    def _at_home(self) -> tuple[Params, jax.sharding.NamedSharding]:
        """The parameters on every local device, and how functions are split over these."""
        mesh = jax.sharding.Mesh(np.asarray(jax.local_devices()), (FUNCTION,))
        split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(FUNCTION))
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        return jax.device_put(self.params, whole), split

    def _checked_values(self, u0: Any, sensors: Any) -> Any:
        """Values at the operator's own sensors, in its float type."""
        law = self.ansatz.problem.random_field
        assert law is not None
        places = law.sensors if sensors is None else _numbers(sensors, "sensors")
        u0 = u0 if isinstance(u0, Array) else _numbers(_sampled(u0, places), "u0")
        if not _is_real(u0.dtype):
            raise UserError(f"u0 is of dtype {u0.dtype}; give real numbers")
        low, high = self.ansatz.problem.domain.lower[0], self.ansatz.problem.domain.upper[0]
        if places.ndim != 1 or not np.all((places >= low) & (places <= high)):
            raise UserError(f"sensors must be a list of places in [{low:g}, {high:g}]")
        if u0.ndim != 2 or u0.shape[1] != len(places):
            elsewhere = "; for values elsewhere than at op.sensors name the places, sensors=places"
            raise UserError(
                f"u0 has shape {tuple(u0.shape)} and must be (n, {len(places)}): the values "
                f"of n functions at the {len(places)} sensors" + elsewhere * (sensors is None)
            )
        values = finite(u0, self.dtype)
        if sensors is None:
            return values
        if (lost := law.unresolved(places)) > _UNRESOLVED:
            warnings.warn(
                f"sensors= leaves gaps: {100 * lost:.0f} % of a typical input function falls "
                "through them, and the solution is as far off; give more, or more even ones",
                stacklevel=4,
            )
        if isinstance(u0, Array):
            fitted = Field.fit(values, places, law.basis, law.modes)
            return fitted(jnp.asarray(law.sensors, self.dtype))
        with jax.enable_x64(True):
            fitted = Field.fit(jnp.asarray(u0, np.float64), places, law.basis, law.modes)
            return np.asarray(fitted(jnp.asarray(law.sensors))).astype(self.dtype)

    def jets(
        self, u0: Any, x: np.ndarray, dtype: Any = None, sensors: Any = None
    ) -> tuple[Jet, Jet | None]:
        """The jets of u_θ and of the input functions at x (q, d): label → (n, q).

        Args:
          u0, sensors: as in a call of the operator; u0 is None without an input function.
          x: points inside the domain.
          dtype: where to compute, with θ and u0 as they are; by default the operator's own.

        Raises:
          UserError: wrong shapes, or values that are no finite real numbers.
        """
        if (u0 is None) != (self.sensors is None):
            raise UserError(
                "this operator needs input functions u0"
                if u0 is None
                else "this operator takes no input function; leave u0 out"
            )
        dtype = np.dtype(dtype or self.dtype)
        with jax.enable_x64(dtype == np.float64):
            values = None if u0 is None else self._checked_values(u0, sensors).astype(dtype)
            params = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), self.params)
            return _jets(
                self.ansatz, params, values, _checked_points(x, self.ansatz.problem).astype(dtype)
            )


def load(
    source: str | os.PathLike,
    *,
    eps: float | None = None,
    s: float | None = None,
    stage: int | None = None,
    verify: bool = True,
    problem: Problem | None = None,
) -> Operator:
    """The operator of one stage of a workdir or a pretrained model.

    Args:
      source: a workdir if that folder exists, else a pretrained model's name.
      eps: the stage's ε (ν for Burgers in time), matched to relative 1e-6.
      s: the stage's s; 0 if only `eps` is given.
      stage: the stage's number from 0; −1 is the last. Default, with no selection: the last.
      verify: check the digest of every leaf.
      problem: the problem object to use, for a PDE of your own.

    Raises:
      UserError: no such source or stage, or a config that this version does not know.
      RunError: the checkpoint is damaged; the message names leaf and stage.
    """
    store = Store.find(source)
    (info,) = select(store.stages(), eps=eps, s=s, stage=stage) or store.stages()[-1:]
    return open_stage(store, info, verify=verify, problem=problem)


def open_stage(
    store: Store, info: StageInfo, *, verify: bool = True, problem: Problem | None = None
) -> Operator:
    """The operator of a stage found in a store."""
    config = config_lib.parse(store.config())
    if problem is not None:
        config_lib.check_problem(problem, info.metadata["problem"])
    ansatz = config_lib.build(config, problem).answer
    config_lib.check_problem(ansatz.problem, info.metadata["problem"])
    with config.precision():
        like = jax.eval_shape(ansatz.init, jax.random.key(0))
    params = store.params(info, like, verify)
    return Operator(ansatz, params, Lam(info.s, info.eps), config)


def select(
    stages: Sequence[StageInfo],
    *,
    eps: float | None = None,
    s: float | None = None,
    stage: int | None = None,
) -> list[StageInfo]:
    """The one stage that a selection names; an empty list if nothing is selected.

    Raises:
      UserError: no stage, or contradictory arguments.
    """
    if eps is None and s is None and stage is None:
        return []
    for name, value in (("eps", eps), ("s", s), ("stage", stage)):
        if value is not None and not isinstance(value, numbers.Real):
            raise UserError(f"{name}={value!r} must be a number")
    found = list(stages)
    if stage is not None:
        index = stage if stage >= 0 or not found else found[-1].stage + 1 + stage
        found = [info for info in found if info.stage == index]
    elif s is None:
        s = 0.0
    for name, wanted in (("eps", eps), ("s", s)):
        if wanted is not None:
            found = [i for i in found if math.isclose(getattr(i, name), wanted, rel_tol=1e-6)]
    if not found:
        given = {"eps": eps, "s": s, "stage": stage}
        asked = ", ".join(f"{k}={v:g}" for k, v in given.items() if v is not None)
        have = "; ".join(f"stage {i.stage}: s={i.s:g}, eps={i.eps:g}" for i in stages)
        elsewhere = [i.s for i in stages if eps and math.isclose(i.eps, eps, rel_tol=1e-6)]
        hint = f"; name s too, as s={elsewhere[0]:g}" if s == 0 and elsewhere else ""
        raise UserError(f"no stage with {asked}{hint}; there are {have}")
    return found[-1:]


def _label(problem: Problem, order: Any) -> str:
    """The letters of a derivative, checked."""
    if not isinstance(order, int | str):
        raise UserError("the order of the derivative is missing; call op.derivative(u0, x, order)")
    dim = problem.domain.dim
    letters = "xyz"[: dim - 1] + "t" if in_time(problem) else "xyz"[:dim]
    label = "x" * order if isinstance(order, int) and order >= 0 else order
    if not isinstance(label, str) or set(label) - set(letters) or len(label) > _MOST_DERIVATIVES:
        raise UserError(
            f"order={order!r} is no derivative; give a number or the letters {', '.join(letters)}, "
            f"as 'x' or 'xx', {_MOST_DERIVATIVES} at most"
        )
    return "".join(sorted(label))


def finite(u0: Any, dtype: np.dtype, first: int = 0) -> Any:
    """Values (n, m) in an operator's float type, where they must be finite.

    Args:
      u0: values of any real dtype; traced ones pass unseen.
      dtype: the float type.
      first: the number of the first function, for the message.

    Raises:
      UserError: NaN, infinity, or a value beyond that type.
    """
    with np.errstate(over="ignore"):
        values = u0.astype(dtype, copy=False)
    if isinstance(values, jax.core.Tracer):
        return values
    if np.isfinite([values.min(initial=0.0), values.max(initial=0.0)]).all():
        return values
    row = int(np.argmin(np.isfinite(np.asarray(values)).all(axis=1)))
    at = f"(first in function {first + row})"
    if np.isfinite(np.asarray(u0[row])).all():
        raise UserError(
            f"u0 holds values beyond {dtype.name}, in which this operator computes {at}; "
            "scale it down"
        )
    raise UserError(f"u0 holds NaN or infinity {at}; remove it")


def _sampled(u0: Any, places: np.ndarray) -> Any:
    """The values (n, m) of a function, or of a list of them, at the places; else u0 itself."""
    functions = u0 if isinstance(u0, list | tuple) else [u0]
    if not functions or not all(callable(f) for f in functions):
        return u0
    try:
        values = [np.asarray(f(places)) for f in functions]
    except TypeError as error:
        raise UserError(
            f"a function of u0 does not take an array of places ({error}); give one that does, as "
            "numpy.sin and not math.sin"
        ) from error
    for k, value in enumerate(values):
        if value.shape != places.shape:
            raise UserError(
                f"function {k} of u0 gives shape {value.shape} for {len(places)} places; it must "
                "give a value for each, as numpy.sin does"
            )
    return np.stack(values)


def default_grid(problem: Problem) -> np.ndarray:
    """A tensor grid: 1,001 points on an interval, 101 along each axis of a rectangle.

    In more than three dimensions, 1,024 fixed quasi-random points.
    """
    domain = problem.domain
    if domain.dim > TENSOR_DIM:
        return domain.quadrature(_QUASI_RANDOM)[0]
    return domain.grid(*(_GRID[domain.dim - 1],) * domain.dim)


def _parts(x: Array, size: int) -> list[Array]:
    """The points in parts of a size, the last padded to it; all in one if they are fewer."""
    parts = [x[i : i + size] for i in range(0, max(1, len(x)), size)]
    if len(parts) > 1:
        parts[-1] = jnp.pad(parts[-1], ((0, size - len(parts[-1])), (0, 0)), "edge")
    return parts


def _checked_points(x: Any, problem: Problem) -> Any:
    x = x if isinstance(x, Array) else _numbers(x, "x")
    dim = problem.domain.dim
    if x.ndim != 2 or x.shape[1] != dim:
        raise UserError(f"x has shape {tuple(x.shape)} and must be (q, {dim})")
    if not isinstance(x, jax.core.Tracer):
        low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
        slack = 1e-6 * (high - low)
        inside = (np.asarray(x) >= low - slack) & (np.asarray(x) <= high + slack)
        if not inside.all():
            raise UserError(f"x holds points outside the domain [{low}, {high}], or NaN")
    return x


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name} is no array of numbers; its rows differ in length") from error
    if not _is_real(array.dtype):
        raise UserError(f"{name} is of dtype {array.dtype}; give real numbers")
    return array


def _is_real(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, np.floating) or jnp.issubdtype(dtype, np.integer))


@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(ansatz: Ansatz, label: str, params: Params, values: Array | None, x: Array) -> Array:
    """A derivative (n, q) of the solutions, by its label, at x (q, d) for sensor values (n, m)."""
    with jax.default_matmul_precision("highest"):
        return ansatz.jet(params, _inputs(ansatz, values), x, (label,))[label]


@functools.partial(jax.jit, static_argnums=0)
def _residual(ansatz: Ansatz, params: Params, values: Array | None, x: Array, lam: Lam) -> Array:
    with jax.default_matmul_precision("highest"):
        return ansatz.residual(params, _inputs(ansatz, values), x, lam)


@functools.partial(jax.jit, static_argnums=0)
def _jets(ansatz: Ansatz, params: Params, values: Array | None, x: Array) -> tuple[Jet, Jet | None]:
    with jax.default_matmul_precision("highest"):
        inputs = _inputs(ansatz, values)
        a = None if inputs is None else ansatz.input_jet(inputs, x, ansatz.labels)
        return ansatz.jet(params, inputs, x), a


def _inputs(ansatz: Ansatz, values: Array | None) -> Inputs | None:
    # Where the problem does not read the fitted coefficients, the compiler drops the fit.
    return None if values is None else ansatz.inputs(values)
