"""A trained stage as a callable: loading, input checks, padding, sharding."""

import collections
import dataclasses
import functools
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from hop import ambient
from hop import config as config_lib
from hop.ansatz import Ansatz
from hop.checkpoints import StageInfo, Store
from hop.config import Config
from hop.derivatives import GRADIENT, LAPLACIAN, Jet, spelling
from hop.domain import TENSOR_DIM, said
from hop.errors import UserError
from hop.laws import CHECKED, SUBTRACT, Field, Law, as_places, blocks, columns, in_double
from hop.networks import Network, Params, Values
from hop.problem import Lam, Problem, letters
from hop.sharding import FUNCTION
from hop.strategies import Strategy

ENTRIES = 2**20  # functions × points per call of the compiled program, where it can be so few
BLOCK = 8192  # functions per call at most
CHUNK = 2048  # points per call at least, where there are many functions to share their trunk
POINTS = 2**17  # points per call at most: each takes a row of every layer, for Δ another d of them
_FEWEST = 256  # points per call at least, so that few of them share a program
_GRID = (1001, 101, 31)  # default query points along each axis in 1, 2, 3 dimensions
_QUASI_RANDOM = 1024  # and in all beyond
_UNRESOLVED = 0.01  # of a typical input function, that goes untold
_MISFIT = 0.03  # of a function's largest value, at which its fit goes untold
_TRIED = 32  # functions that are fitted to tell
_WIDTH = 128  # of a trunk, about
_MOST_DERIVATIVES = 4  # forward mode doubles its work with each

_EACH = "ε of each"  # among the values of a block: no input has this name
Program = Callable[[Params, Values, Array, Lam], Array]  # θ, sensor values, points, λ → (n, q)
Bound = Callable[[Params, Values, Array], Array]  # the same at one λ


@dataclasses.dataclass(frozen=True, eq=False)  # compared and hashed by identity, for jax.jit(op)
class Operator:
    """The network of one stage, u₀ ↦ u, or x ↦ u for a problem without an input function.

    Attributes:
      ansatz: the problem and its network.
      params: θ.
      lam: the stage's (s, ε); where ε is an input, the ε that is taken if a call names none.
      config: the experiment that it comes from.
      span: where ε is an input, the range (low, high) that its stage was trained on; by default
        from λ's up to that of the ansatz.
    """

    ansatz: Ansatz
    params: Params = dataclasses.field(repr=False)
    lam: Lam
    config: Config | None = dataclasses.field(default=None, repr=False)
    span: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.ansatz.eps and self.span is None:
            object.__setattr__(self, "span", (float(self.lam.eps), self.ansatz.eps[1]))

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
    def sensors(self) -> Any:
        """The places (m,) at which an input function is given, (m, d′) in several coordinates.

        None without inputs, and for a number; of several inputs a dict, by name.
        """
        if len(self.laws) > 1:
            return {name: places(law) for name, law in self.laws.items()}
        return next(map(places, self.laws.values()), None)

    @property
    def laws(self) -> Mapping[str, Law]:
        """The laws of the inputs, by name."""
        return self.ansatz.problem.inputs

    @property
    def grid(self) -> np.ndarray:
        """The default query points (q, d)."""
        return default_grid(self.ansatz.problem)

    def at(self, eps: float) -> "Operator":
        """The operator of an ε within its span.

        Raises:
          UserError: ε is no input, or lies outside.
        """
        self._lam(float(eps))
        return dataclasses.replace(self, lam=self.lam._replace(eps=float(eps)))

    def __call__(self, *args: Any, x: Any = None, sensors: Any = None, eps: Any = None) -> Any:
        """Solutions at query points: `op(u0, x)`, or `op(x)` for a problem without an input.

        Functions that are larger or rougher than those of the law it was trained on are warned of.

        Args:
          u0: (n, m) values of n functions at `op.sensors`, of any real dtype; or a function of
            places (m,), of f(x, y) in two coordinates, or a list of n such functions; (n,) for a
            number; of several inputs a dict of these, by name.
          x: query points (q, d) inside the domain; `op.grid` by default.
          sensors: the places (m,) or (m, d′) of other sensors, of several inputs a dict by name;
            the functions are then fitted spectrally, with a warning where the places are too few
            or too uneven for that.
          eps: where ε is an input, a number, or (n,) for one for each function; by default
            `op.eps`. The solutions can be differentiated in it.

        Returns:
          (n, q), or (q,) without an input: NumPy for NumPy input, JAX for JAX. Of several unknowns
          a dict of these, by name.

        Raises:
          UserError: wrong shapes, no plain array of finite real numbers, points outside the domain,
            ε outside `op.span`.
        """
        return self._named(self._evaluate(self._derivative(""), args, x, sensors, eps))

    def stacked(self, *args: Any, x: Any = None, sensors: Any = None, eps: Any = None) -> Any:
        """The solutions of a call in one array, which may be read-only.

        Args:
          u0, x, sensors, eps: as in a call of the operator.

        Returns:
          As a call; of several unknowns (n, c, q), or (c, q), in the order of `problem.unknowns`.
          Up to `op.block(len(x))` functions come without a copy of what JAX made.

        Raises:
          UserError: as in a call.
        """
        u = self._evaluate(self._derivative(""), args, x, sensors, eps, copy=False)
        return u if len(self.ansatz.problem.unknowns) == 1 else u.swapaxes(0, -2)

    def derivative(
        self,
        *args: Any,
        order: int | str = "",
        x: Any = None,
        sensors: Any = None,
        eps: Any = None,
    ) -> Any:
        """A derivative of the solutions: `op.derivative(u0, x, order)`, without input `(x, order)`.

        Args:
          u0, x, sensors, eps: as in a call of the operator.
          order: how often in the first coordinate; or the letters of the coordinates, as "xx" or
            "xt": x, y, z in space, t in time, at most four; or "∇" or "Δ", over all of space.

        Returns:
          As a call of the operator; of ∇ with an axis before it for the coordinates of space, as
          (d, n, q), or (d, q) without inputs. By forward mode, exact for the network.

        Raises:
          UserError: as in a call, or an order that is none.
        """
        if order == "" and args:
            *args, order = args  # type: ignore
        label = _label(self.ansatz.problem, order)
        made = self._evaluate(self._derivative(label), tuple(args), x, sensors, eps)
        if label == GRADIENT and len(self.ansatz.problem.unknowns) > 1:
            made = made.swapaxes(0, 1)
        return self._named(made)

    def residual(self, *args: Any, x: Any = None, sensors: Any = None, eps: Any = None) -> Any:
        """H(u_θ; s, ε) at the stage's own (s, ε), zero for an exact solution: `op.residual(u0, x)`.

        It tells errors without a reference, but for those along a slow mode, which leave next to
        none: `hop.gauge` says how far it can be trusted. Of an equation that is not pointwise
        (`hop.Problem.pointwise`) the points are the quadrature: give many, evenly.

        Args:
          u0, x, sensors, eps: as in a call of the operator.

        Returns:
          As a call of the operator; of several equations (e, n, q).

        Raises:
          UserError: as in a call.
        """

        def program(params: Params, values: Values, x: Array, lam: Lam) -> Array:
            return _residual(self.ansatz, params, values, x, lam)

        whole = not self.ansatz.problem.pointwise
        return self._evaluate(program, args, x, sensors, eps, whole)

    def _lam(self, eps: Any = None) -> Lam:
        """λ in the operator's float type, at the ε of a call, which is checked."""
        s, own = (np.asarray(v, self.dtype) for v in self.lam)
        if eps is None:
            return Lam(s, own)
        if self.span is None:
            raise UserError(
                f"this operator is of eps={self.eps:g} alone; leave eps out, or load another stage"
            )
        if not _is_traced(eps):
            eps, (low, high) = np.asarray(numbers(eps, "eps")), self.span
            if eps.ndim > 1 or not np.all((eps >= low * (1 - 1e-6)) & (eps <= high * (1 + 1e-6))):
                raise UserError(
                    f"eps={_told(eps)} must be a number, or (n,), in [{low:g}, {high:g}]"
                    + self._elsewhere(eps)
                )
        return Lam(s, jnp.asarray(eps, self.dtype) if _is_traced(eps) else eps.astype(self.dtype))

    def _elsewhere(self, eps: np.ndarray) -> str:
        """What to do for an ε that this stage does not hold: another stage, or more training."""
        assert self.span is not None
        places = () if self.config is None else self.config.path.eps
        if eps.size == 0 or not np.all((eps > 0) & np.isfinite(eps)):
            return ""
        if eps.max() > self.span[1] * (1 + 1e-6):
            return f"; train with a higher end, config.ansatz.eps=({self.span[0]:g}, {eps.max():g})"
        for stage, lowest in enumerate(places):
            if lowest <= eps.min() * (1 + 1e-6):
                return f"; stage {stage} goes down to {lowest:g}, hop.load(…, stage={stage})"
        return "; train a stage that goes so far with 'hop refine'"

    def _derivative(self, label: str) -> Program:
        return lambda params, values, x, lam: apply(self.ansatz, label, params, values, x, lam)

    def _bound(self, program: Program, lam: Lam) -> Bound:
        """A program at λ; where every function has its own ε, that lies among its values."""
        if np.ndim(lam.eps) == 0:
            return lambda params, values, x: program(params, values, x, lam)

        def bound(params: Params, values: Values, x: Array) -> Array:
            def alone(of_one: Values) -> Array:
                given = {name: v[None] for name, v in of_one.items() if name != _EACH}
                there = lam._replace(eps=of_one[_EACH][0])
                return program(params, given, x, there)[..., 0, :]

            return jax.vmap(alone, out_axes=-2)(values)

        return bound

    def _named(self, u: Any) -> Any:
        """The unknowns by name, where there are several."""
        names = self.ansatz.problem.unknowns
        if len(names) == 1:
            return u
        return dict(zip(names, u, strict=True))

    def _evaluate(
        self,
        program: Program,
        args: tuple[Any, ...],
        x: Any,
        sensors: Any,
        eps: Any,
        whole: bool = False,
        copy: bool = True,
    ) -> Any:
        """What a program makes of the arguments of a call.

        `whole`: of all points at once; `copy`: as an array that NumPy may write to.
        """
        takes = 1 + bool(self.laws)
        if len(args) + (x is not None) > takes or (takes == 1 and sensors is not None):
            raise UserError(f"call op({'x' if takes == 1 else 'u0, x'})")
        if takes == 2 and not args:
            raise UserError(f"this operator needs {self._called()}")
        u0 = args[0] if takes == 2 else None
        x = args[-1] if len(args) == takes else x
        x = self.grid if x is None else checked_points(x, self.ansatz.problem)
        in_jax = any(isinstance(given, Array) for given in (*_each(u0), x, eps))
        if isinstance(u0, Mapping):
            u0 = {name: _at_hand(given) for name, given in u0.items()}
        u0, x = _at_hand(u0), _at_hand(x)
        with ambient.numerics(self.dtype):
            lam, values = self._lam(_at_hand(eps)), self._checked(u0, sensors)
            if np.ndim(lam.eps):
                values |= {_EACH: self._of_each(lam.eps, values)}
            bound = self._bound(program, lam)
            traced = any(map(_is_traced, jax.tree.leaves((self.params, lam))))
            if traced or any(isinstance(a, Array) for a in (x, *values.values())):
                u: Any = self._in_place(bound, values, x, whole)
            else:
                u = self._in_blocks(bound, values, x.astype(self.dtype), whole)
                if in_jax:
                    u = jax.device_put(u)
                elif copy and isinstance(u, np.ndarray):
                    u = np.require(u, requirements="W")
            return u[..., 0, :] if takes == 1 else u

    @property
    def _rows(self) -> int:
        """What a point takes of every array: one, and for Δ one for each axis."""
        return self.ansatz.problem.domain.dim if LAPLACIAN in self.ansatz.derivatives else 1

    @property
    def _longest(self) -> int:
        """The most points of a call, a power of two."""
        return 1 << (POINTS // self._rows).bit_length() - 1

    def _entries(self, each: bool) -> int:
        """Functions × points of a call; `each`: where none shares its trunk with others."""
        return ENTRIES // ((_WIDTH if each else 1) * self._rows)

    def block(self, points: int) -> int:
        """Functions of a call of the compiled program at so many points, a power of two."""
        return _functions(self._entries(each=False), min(points, CHUNK))

    def _of_each(self, eps: Any, values: Mapping[str, Any]) -> Any:
        """ε (n,) of the functions, as values (n, 1)."""
        n = next(map(len, values.values()), 0)
        if len(eps) != n:
            raise UserError(
                f"eps has shape ({len(eps)},) and must be a number"
                + f", or ({n},) for one for each function" * bool(values)
            )
        return eps[:, None]

    def _in_place(self, program: Bound, values: Values, x: Any, whole: bool) -> Array:
        """A program's (…, n, q) as JAX makes it of tracers, or of arrays on accelerators."""
        values = {name: jnp.asarray(given, self.dtype) for name, given in values.items()}
        x, size = jnp.asarray(x, self.dtype), len(x) if whole else self._longest
        if not len(x):
            return jnp.zeros(self._shape(program, values, x), x.dtype)
        parts = [x[i : i + size] for i in range(0, len(x), size)]
        made = [program(self.params, values, part) for part in parts]
        return made[0] if len(made) == 1 else jnp.concatenate(made, axis=-1)

    def _shape(self, program: Bound, values: Values, x: Any) -> tuple[int, ...]:
        """The shape of a program's (…, n, q), read off at one point: `known` may need one."""
        one = jax.ShapeDtypeStruct((1, x.shape[1]), x.dtype)
        return (*jax.eval_shape(program, self.params, values, one).shape[:-1], len(x))

    def _in_blocks(
        self, program: Bound, values: Mapping[str, np.ndarray], x: np.ndarray, whole: bool
    ) -> np.ndarray | Array:
        """A program's (…, n, q) by blocks of functions and of points, padded to few shapes.

        `whole`: all points are one block, as they are.

        The functions of a block are split over the local devices.
        """
        n, q = next(map(len, values.values()), 1), len(x)
        entries = self._entries(_EACH in values)
        few = _functions(entries, q if whole else min(q, CHUNK))
        most = min(few, 1 << max(0, n - 1).bit_length())
        longest = min(self._longest, max(1, entries // most))
        parts = [jax.device_put(x)] if whole else parts_of(x, longest)
        if any(map(_is_traced, parts)):  # within jit, where even constants are
            return self._in_place(program, values, x, whole)
        if not n * q:
            return np.empty(self._shape(program, values, x), x.dtype)
        if n <= most and len(parts) == 1:
            params, block = self._on_devices(values)
            return np.asarray(program(params, block, parts[0]))[..., :n, :q]
        made, out = collections.deque[tuple[int, int, Array]](), np.empty(())

        def keep() -> None:
            nonlocal out
            first, at, u = made.popleft()
            if not out.shape:  # the first; to ask for the shape before would trace every call
                out = np.empty((*u.shape[:-2], n, q), x.dtype)
            place = out[..., first : first + most, at : at + u.shape[-1]]
            place[:] = np.asarray(u)[..., : place.shape[-2], : place.shape[-1]]

        for first in range(0, n, most):
            some = {name: given[first : first + most] for name, given in values.items()}
            params, block = self._on_devices(some)
            at = 0
            for part in parts:
                made.append((first, at, program(params, block, part)))
                at += len(part)
                if len(made) > 1:
                    keep()  # the one before, while this one is made
        while made:
            keep()
        return out

    def _on_devices(self, block: Mapping[str, np.ndarray]) -> tuple[Params, Values]:
        """The parameters and a block of functions on the local devices, padded to few shapes."""
        if not block:
            return self.params, block
        params, split = self.at_home
        devices = len(split.mesh.devices)

        def padded(given: np.ndarray) -> np.ndarray:
            rows = devices * math.ceil((1 << (len(given) - 1).bit_length()) / devices)
            more = rows - len(given)
            return np.pad(given, ((0, more), (0, 0))) if more else given

        return params, jax.device_put({name: padded(a) for name, a in block.items()}, split)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: where they were placed on this machine does not travel."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def at_home(self) -> tuple[Params, jax.sharding.NamedSharding]:
        """The parameters on every local device, and how functions are split over these devices."""
        mesh = jax.sharding.Mesh(np.asarray(jax.local_devices()), (FUNCTION,))
        split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(FUNCTION))
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        return jax.device_put(self.params, whole), split

    def _called(self) -> str:
        """How inputs are given, in words."""
        if len(self.laws) == 1:
            name = next(iter(self.laws))
            return f"an input; call op({name}) or op({name}, x)"
        names = ", ".join(f'"{name}": …' for name in self.laws)
        return f"{len(self.laws)} inputs by name; call op({{{names}}}, x)"

    def _checked(self, given: Any, sensors: Any) -> dict[str, Any]:
        """Values at the operator's own sensors, in its float type, by the name of the input."""
        if not self.laws:
            return {}
        given, elsewhere = self._by_name(given, sensors)
        values = {k: self._values(k, given[k], elsewhere.get(k)) for k in self.laws}
        counts = {name: len(found) for name, found in values.items()}
        n = max(counts.values())
        for name, count in counts.items():
            if count == 1 and np.ndim(given[name]) == 0 and not callable(given[name]):
                values[name] = values[name].repeat(n, axis=0)  # one number for all functions
            elif count != n:
                said = ", ".join(f"{k} holds {c}" for k, c in counts.items())
                raise UserError(f"the inputs are of different numbers of functions: {said}")
        return values

    def _by_name(self, given: Any, sensors: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The inputs as they are given, and the places of their sensors, by name."""
        names = list(self.laws)
        if not isinstance(given, Mapping) and len(names) == 1:
            given, sensors = {names[0]: given}, {names[0]: sensors}
        if not isinstance(given, Mapping) or set(given) != set(names):
            unknown = set(given) - set(names) if isinstance(given, Mapping) else set()
            none = "".join(f"; there is no {name!r}" for name in sorted(unknown, key=str))
            raise UserError(f"this operator needs {self._called()}{none}")
        return given, sensors if isinstance(sensors, Mapping) else dict.fromkeys(names, sensors)

    def _values(self, name: str, given: Any, sensors: Any) -> Any:
        """The checked values (n, m) of one input at its own sensors."""
        law = self.laws[name]
        if law.domain is None:
            return self._numbers(name, given, law)
        values, points = self._read(name, given, sensors)
        found = finite(values, self.dtype, name=name)
        read = found
        if sensors is not None:
            if (lost := law.unresolved(points)) > _UNRESOLVED:
                _warn(
                    f"sensors= leaves gaps: {100 * lost:.0f} % of a typical input function falls "
                    "through them, and the solution is as far off; give more, or more even ones"
                )
            found = self._fitted(values if isinstance(values, np.ndarray) else found, points, law)
        remedy = "so scale or smooth it, or train on a law that holds it"
        if not _warn_outside(name, found, self.ansatz.laws[name], remedy):
            self._warn_misfit(name, read, points)
        return found

    def _read(self, name: str, given: Any, sensors: Any) -> tuple[Any, np.ndarray]:
        """The values (n, m) of an input function as they are given, and the places of them."""
        law = self.laws[name]
        assert law.domain is not None
        points = np.asarray(places(law) if sensors is None else numbers(sensors, "sensors"), float)
        values = numbers(_sampled(given, points, name), name)
        low, high = np.asarray(law.domain.lower), np.asarray(law.domain.upper)
        at = points[:, None] if points.ndim == 1 else points
        if at.shape[1:] != low.shape:
            shape = "(m,)" if len(low) == 1 else f"(m, {len(low)})"
            raise UserError(
                f"sensors has shape {points.shape} and must be {shape}: the m places in "
                f"{said(low, high)} at which the values of {name} are given"
            )
        inside = np.all((at >= low) & (at <= high), axis=1)
        if not inside.all():
            first = int(np.argmin(inside))
            where = ", ".join(f"{v:g}" for v in at[first])
            raise UserError(
                f"sensors[{first}] is ({where}), outside {said(low, high)}, where {name} "
                "lives; leave out what is given there"
            )
        if values.ndim != 2 or values.shape[1] != len(points):
            elsewhere = "; for values elsewhere than at op.sensors name the places, sensors=places"
            raise UserError(
                f"{name} has shape {tuple(values.shape)} and must be (n, {len(points)}): the "
                f"values of n functions at the {len(points)} sensors"
                + elsewhere
                * (sensors is None)
            )
        return values, points

    def _warn_misfit(self, name: str, values: Any, points: np.ndarray) -> None:
        """Warns of functions that no function of the law fits at the places where they were read.

        It looks at no more than `_TRIED` of them, evenly taken, and not at traced ones.
        """
        known = _known(values)
        if known is not None and len(known):
            few = known[:: math.ceil(len(known) / _TRIED)]
            rows = 1 << (len(few) - 1).bit_length()  # of few sizes, each of which is compiled
            off = np.max(self._misfit(name, np.resize(few, (rows, *few.shape[1:])), points))
            if off > _MISFIT:
                _warn(
                    f"{name} is unlike the functions that this operator was trained on: the one "
                    f"that fits it best misses it by up to {100 * off:.0f} % of its largest value, "
                    "and the solution is that of the fit or worse; train on a law that holds it: "
                    "more modes, a shorter length, or samples of your own (hop.Samples)"
                )

    def _misfit(self, name: str, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        """How far (n,) the fits of values (n, m) are off there, beside each one's largest value."""
        law, dim = self.ansatz.laws[name], self.ansatz.problem.domain.dim
        at = as_places(points, len(law.letters))
        x = np.zeros((len(at), dim))
        x[:, columns(law.letters, dim)] = at
        with jax.ensure_compile_time_eval(), ambient.numerics(values.dtype):
            fitted = np.asarray(_fitted_at(law, at.tobytes())(values, x))
        size = np.maximum(np.abs(values).max(axis=1), np.finfo(values.dtype).tiny)
        return np.abs(fitted - values).max(axis=1) / size

    def _numbers(self, name: str, given: Any, law: Law) -> Any:
        """The checked values (n, m) of an input that is m numbers."""
        values = numbers(given, name)
        fits = values.shape[1:] == law.shape and values.ndim == 2 if law.shape else values.ndim < 2
        if not fits:
            wanted = f"(n, {law.width}): {law.width} numbers" if law.shape else "(n,): a number"
            raise UserError(
                f"{name} has shape {tuple(values.shape)} and must be {wanted} for each function"
            )
        found = finite(values.reshape(-1, law.width), self.dtype, name=name)
        _warn_outside(name, found, law, "so train on a law that holds it")
        return found

    def _fitted(self, values: Any, points: np.ndarray, law: Law) -> Any:
        """Values at the operator's sensors of the functions that fit values at other places."""
        if isinstance(values, Array):
            return law.values(law.fit(values, points))
        with jax.ensure_compile_time_eval(), ambient.numerics(np.float64):
            fitted = law.fit(jnp.asarray(values, np.float64), points)
            return np.asarray(law.values(fitted)).astype(self.dtype)

    def fields(self, u0: Any = None, sensors: Any = None) -> Mapping[str, Field]:
        """The input functions themselves, by name, as a reference takes them: in float64.

        Args:
          u0, sensors: as in a call of the operator; u0 is None without inputs.

        Raises:
          UserError: as in a call.
        """
        self._check_given(u0)
        with ambient.on_cpu():
            params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self.params)
            values = dataclasses.replace(self, params=params)._checked(u0, sensors)
            fits = {name: self.laws[name].fit(jnp.asarray(v)) for name, v in values.items()}
            return jax.tree.map(np.asarray, fits)

    def misfits(self, u0: Any = None, sensors: Any = None) -> Mapping[str, float]:
        """How far the functions are off that fit an input best, by the inputs' names.

        At the places where it is read, beside the largest value of each function there; of all
        functions the worst. A call of the operator warns of more than 3 %. Numbers always fit.
        Arguments and errors are as of `fields`.
        """
        self._check_given(u0)
        given, elsewhere = self._by_name(u0, sensors) if self.laws else ({}, {})
        found = {}
        with ambient.on_cpu():
            for name, law in self.laws.items():
                if law.domain is None:
                    continue
                values, points = self._read(name, given[name], elsewhere.get(name))
                if len(values):
                    values = finite(values, np.dtype(float), name=name)
                    found[name] = float(np.max(self._misfit(name, np.asarray(values), points)))
        return found

    def _check_given(self, u0: Any) -> None:
        if u0 is None and self.laws:
            raise UserError(f"this operator needs {self._called()}")
        if u0 is not None and not self.laws:
            raise UserError("this operator takes no input function; leave u0 out")

    def jets(
        self, u0: Any, x: np.ndarray, dtype: Any = None, sensors: Any = None
    ) -> tuple[Jet, Mapping[str, Jet]]:
        """The jets of u_θ and of the inputs by name at x (q, d): label → (n, q).

        Args:
          u0, sensors: as in a call of the operator; u0 is None without inputs.
          x: points inside the domain.
          dtype: where to compute, with θ and u0 as they are; by default the operator's own.

        Raises:
          UserError: wrong shapes, or values that are no finite real numbers.
        """
        self._check_given(u0)
        dtype = np.dtype(dtype or self.dtype)
        with ambient.numerics(dtype):
            values = {k: v.astype(dtype) for k, v in self._checked(u0, sensors).items()}
            params = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), self.params)
            x = checked_points(x, self.ansatz.problem).astype(dtype)
            lam = Lam(*(np.asarray(v, dtype) for v in self.lam))
            return _jets(self.ansatz, params, values, x, lam)


def load(
    source: str | os.PathLike,
    *,
    eps: float | None = None,
    s: float | None = None,
    stage: int | None = None,
    verify: bool = True,
    problem: Problem | None = None,
    network: Network | None = None,
    strategy: Strategy | None = None,
) -> Operator:
    """The operator of one stage of a workdir or a pretrained model.

    Args:
      source: a workdir if that folder exists, else a pretrained model's name.
      eps: the stage's ε (ν for Burgers in time), matched to relative 1e-6. Where ε is an input, an
        ε of the stage's range: the narrowest that holds it, unless `stage` names one.
      s: the stage's s; 0 if only `eps` is given.
      stage: the stage's number from 0; −1 is the last. Default, with no selection: the last.
      verify: check the digest of every leaf.
      problem, network: the objects that it was trained with, where they are your own.
      strategy: the same, needed only of a class with a method `trained` of its own.

    Raises:
      UserError: no such source or stage, a config that this version does not know, or an object
        that is missing or of another class.
      RunError: the checkpoint is damaged; the message names leaf and stage.
    """
    store = Store.find(source)
    (info,) = select(store.stages(), eps=eps, s=s, stage=stage) or store.stages()[-1:]
    own = {"problem": problem, "network": network, "strategy": strategy}
    operator = open_stage(store, info, verify=verify, **own)
    return operator if eps is None or operator.span is None else operator.at(eps)


def some_of(operator: Operator, eps: float | None = None) -> list[Operator]:
    """A stage's operator; where ε is an input, at this one, or at one a decade of its range."""
    if operator.span is None:
        return [operator]
    if eps is not None:
        return [operator.at(eps)]
    return [operator.at(e) for e in some_between(*operator.span)]


def some_between(low: float, high: float) -> list[float]:
    """About one ε a decade of a range, falling, both ends included."""
    count = 1 + max(1, round(math.log10(high / low))) if high > low else 1
    inner = np.geomspace(high, low, count)[1:-1].tolist()
    return [*dict.fromkeys((high, *inner, low))]


def open_stage(store: Store, info: StageInfo, *, verify: bool = True, **own: Any) -> Operator:
    """The operator of a stage found in a store; `own` as in `load`."""
    config_lib.check_classes(own, info.metadata)
    experiment = stored_experiment(store, **own)
    config, ansatz = experiment.config, experiment.answer
    with config.precision():
        like = jax.eval_shape(ansatz.init, ambient.key(0))
    params = store.params(info, like, verify)
    return Operator(ansatz, params, Lam(info.s, info.eps), config)


def stored_experiment(store: Store, data_dir: str = "", **own: Any) -> config_lib.Experiment:
    """The experiment of a store; `own` as in `load`.

    Raises:
      UserError: an object is missing or of another class, or a config that this version does not
        know.
    """
    config = config_lib.with_data_dir(config_lib.stored(store.config()), data_dir)
    noted = store.stages()[-1].metadata
    config_lib.check_classes(own, noted)
    for kind, name in config_lib.needed(noted).items():
        if "name" not in getattr(config, kind) and own.get(kind) is None:
            how = f"give that object in Python, as {kind}= of hop.load or hop.evaluation.evaluate"
            if kind == "problem":
                how = "give it as --problem=FILE.py, in Python as problem="
            raise UserError(f"{store.root} was trained with a {kind} of one's own, {name}; {how}")
    # An operator is the same with any solver, and with any strategy that loading does not need.
    changed: Any = {
        kind: {"name": name}
        for kind, name in (("strategy", "curriculum"), ("solver", "first_order"))
        if "name" not in getattr(config, kind) and own.get(kind) is None
    }
    if own.get("problem") is not None and "name" in config.problem:  # as older versions trained
        changed["problem"] = {}
    loadable = dataclasses.replace(config, **changed)
    experiment = config_lib.build(loadable, **own, law_of=store.law)
    config_lib.check_classes({"problem": experiment.problem}, noted)
    return dataclasses.replace(experiment, config=config)


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
        if value is not None and not isinstance(value, Real):
            raise UserError(f"{name}={value!r} must be a number")
    found = list(stages)
    if stage is not None:
        index = stage if stage >= 0 or not found else found[-1].stage + 1 + stage
        found = [info for info in found if info.stage == index]
    elif s is None:
        s = 0.0
    if s is not None:
        found = [i for i in found if math.isclose(i.s, s, rel_tol=1e-6)]
    if eps is not None:
        found = [i for i in found if i.holds(eps)]
        found = [i for i in found if i.eps == max(j.eps for j in found)]  # the narrowest range
    if not found:
        given = {"eps": eps, "s": s, "stage": stage}
        asked = ", ".join(f"{k}={v:g}" for k, v in given.items() if v is not None)
        have = "; ".join(f"stage {i.stage}: s={i.s:g}, eps={_range(i)}" for i in stages)
        elsewhere = [i.s for i in stages if eps and i.holds(eps)]
        hint = f"; name s too, as s={elsewhere[0]:g}" if s == 0 and elsewhere else ""
        remedy = "; 'hop refine' trains another eps" * (eps is not None and not hint)
        raise UserError(f"no stage with {asked}{hint}; it holds {have}{remedy}")
    return found[-1:]


def _range(info: StageInfo) -> str:
    """The ε of a stage in words, or its range."""
    return " to ".join(f"{eps:g}" for eps in info.span or [info.eps])


def _label(problem: Problem, order: Any) -> str:
    """The letters of a derivative, checked."""
    if not isinstance(order, int | str):
        raise UserError("the order of the derivative is missing; call op.derivative(u0, x, order)")
    if order in (GRADIENT, LAPLACIAN):
        return str(order)
    known = letters(problem)
    label = "x" * order if isinstance(order, int) and order >= 0 else order
    if not isinstance(label, str) or set(label) - set(known) or len(label) > _MOST_DERIVATIVES:
        raise UserError(
            f"order={order!r} is no derivative; give a number, the letters {', '.join(known)}, as "
            f"'x' or 'xx', {_MOST_DERIVATIVES} at most, or '∇' or 'Δ'"
        )
    return spelling(label)


def finite(u0: Any, dtype: np.dtype, first: int = 0, name: str = "u0") -> Any:
    """Values (n, m) in an operator's float type, where they must be finite.

    Args:
      u0: values of any real dtype; traced ones pass unseen.
      dtype: the float type.
      first, name: the number of the first function and the input's name, for the message.

    Raises:
      UserError: NaN, infinity, or a value beyond that type.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = u0.astype(dtype, copy=False)
        total = values.sum()  # finite only if all are: one look at each
    if _is_traced(total) or np.isfinite(total):
        return values
    whole = np.isfinite(np.asarray(values)).all(axis=1)
    if whole.all():  # the sum is too large, and no value
        return values
    row = int(np.argmin(whole))
    at = f"(first in function {first + row})"
    if np.isfinite(np.asarray(u0[row])).all():
        what = f"values beyond {dtype.name}, in which this operator computes {at}"
        raise UserError(f"{name} holds {what}; scale it down")
    raise UserError(f"{name} holds NaN or infinity {at}; remove it")


def _sampled(given: Any, points: np.ndarray, name: str) -> Any:
    """The values (n, m) of a function, or of a list of them, at the places; else what is given."""
    functions = given if isinstance(given, list | tuple) else [given]
    if not functions or not all(callable(f) for f in functions):
        return given
    along = (points,) if points.ndim == 1 else tuple(points.T)
    try:
        values = [numbers(f(*along), f"function {k} of {name}") for k, f in enumerate(functions)]
    except TypeError as error:
        raise UserError(
            f"a function of {name} does not take an array of places for each coordinate ({error}); "
            "give one that does, as numpy.sin and not math.sin"
        ) from error
    for k, value in enumerate(values):
        if value.shape != along[0].shape:
            raise UserError(
                f"function {k} of {name} gives shape {value.shape} for {len(points)} places; it "
                "must give a value for each, as numpy.sin does"
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


def parts_of(x: np.ndarray, longest: int) -> list[Array]:
    """The points in parts of few sizes, the last padded to its own: powers of two up to `longest`.

    What parts of that length leave takes the next power of two; where more than a quarter of that
    would be empty, half of it, and so on.
    """
    parts, first = [], 0
    while (left := len(x) - first) > 0:
        size = min(longest, max(_FEWEST, 1 << (left - 1).bit_length()))
        if size > _FEWEST and 4 * left < 3 * size:
            size //= 2
        parts.append(jax.device_put(x[np.minimum(np.arange(first, first + size), len(x) - 1)]))
        first += size
    return parts


def _functions(entries: int, points: int) -> int:
    """Functions of a block of so many entries, a power of two."""
    return min(BLOCK, 1 << max(1, entries // max(1, points)).bit_length() - 1)


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tracer)


def _at_hand(value: Any) -> Any:
    """A known array of JAX in the host's memory as one of NumPy's; anything else as it is."""
    if not isinstance(value, Array) or _is_traced(value) or not value.is_fully_addressable:
        return value
    near = all(device.platform == "cpu" for device in value.devices())
    return np.asarray(value) if near else value


def _known(values: Any) -> np.ndarray | None:
    """An array on the host; None of one that is traced, or partly on other hosts."""
    if isinstance(values, Array) and (_is_traced(values) or not values.is_fully_addressable):
        return None
    return np.asarray(values)


def _warn_outside(name: str, values: Any, law: Law, remedy: str) -> bool:
    """Warns of inputs that are none of the law's, and says whether it did; not of traced ones.

    Raises:
      UserError: a network would be shown NaN or infinity.
    """
    known = _known(values)
    if known is None:
        return False
    if clause := law.outside(known):
        what = f"the law '{law.name}'" if law.name else "the law"
        if (unseen := _unseen(known.astype(float), law)) is not None:
            raise UserError(
                f"{name}: function {unseen} is none of {what} that this operator was trained on, "
                f"and the network cannot see it: {clause}; leave it out"
            )
        if not clause.endswith(SUBTRACT):
            clause += f"; solutions may be far off, {remedy}"
        _warn(f"{name} lies outside {what} that this operator was trained on: {clause}")
    return bool(clause)


@functools.lru_cache(maxsize=16)
def _fitted_at(law: Law, places: bytes) -> Callable[..., Array]:
    """(values (n, m) at places, the points (m, d) that have them) → the values of their fits."""
    at = np.frombuffer(places).reshape(-1, len(law.letters))
    return jax.jit(lambda values, x: law.fit(values, at)(x))


def _unseen(values: np.ndarray, law: Law) -> int | None:
    """The first function that a network is shown as NaN or infinite."""
    for k, part in enumerate(blocks(values)):
        with in_double():  # of one size, which is compiled once
            shown = np.asarray(law.normalise(np.resize(part, (CHECKED, *part.shape[1:]))))
        if len(bad := np.flatnonzero(~np.isfinite(shown).all(axis=1))):
            return k * CHECKED + int(bad[0])
    return None


def places(law: Law) -> np.ndarray | None:
    """A law's sensors as they are shown: (m,) on a line, (m, d′), or None for a number."""
    sensors = law.sensors
    return sensors[:, 0] if sensors is not None and sensors.shape[1] == 1 else sensors


def _each(given: Any) -> list[Any]:
    return list(given.values()) if isinstance(given, Mapping) else [given]


def _warn(text: str) -> None:
    """Warns of the line outside this package that led here."""
    home, level, frame = os.path.dirname(__file__), 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(home):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def checked_points(x: Any, problem: Problem) -> Any:
    """Points (q, d) of the domain; traced ones pass unseen.

    Raises:
      UserError: another shape, or points outside.
    """
    x, dim = numbers(x, "x"), problem.domain.dim
    if x.ndim != 2 or x.shape[1] != dim:
        remedy = "; write x[:, None]" * (x.ndim == dim == 1)
        raise UserError(
            f"x has shape {tuple(x.shape)} and must be (q, {dim}), a row for each point{remedy}"
        )
    if not _is_traced(x):
        low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
        slack = 1e-6 * (high - low)
        inside = (np.asarray(x) >= low - slack) & (np.asarray(x) <= high + slack)
        if not inside.all():
            raise UserError(f"x holds points outside the domain [{low}, {high}], or NaN")
    return x


def _told(values: np.ndarray) -> str:
    """Some numbers, or one, in a message."""
    return f"{values:g}" if values.ndim == 0 else f"{values.min(initial=1):g} … of {values.shape}"


def numbers(values: Any, name: str) -> Any:
    """An array of real numbers, of JAX where it is one already.

    Raises:
      UserError: it is of another kind, or would lose a mask, units or names on its way.
    """
    for part in values if isinstance(values, list | tuple) else [values]:
        is_plain = not isinstance(part, np.ndarray) or type(part) in (np.ndarray, np.memmap)
        if not is_plain or hasattr(part, "units"):
            raise UserError(
                f"{name} is a {type(part).__name__} and no plain array; fill what is masked, "
                "convert what has units, and give it as numpy.asarray makes it"
            )
    try:
        array = values if isinstance(values, Array) else np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name} is no array of numbers; its rows differ in length") from error
    real = any(jnp.issubdtype(array.dtype, kind) for kind in (np.floating, np.integer))
    if not real or jnp.issubdtype(array.dtype, np.timedelta64):  # which NumPy takes for an integer
        raise UserError(f"{name} is of dtype {array.dtype}; give real numbers")
    return array


@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(ansatz: Ansatz, label: str, params: Params, values: Values, x: Array, lam: Lam) -> Array:
    """A derivative of the solutions, by its label, (n, q) or (c, n, q).

    At x (q, d), for sensor values (n, m) by the names of the inputs.
    """
    with jax.default_matmul_precision("highest"):
        # Where the problem does not read the fitted coefficients, the compiler drops the fit.
        return ansatz.jet(params, ansatz.inputs(values), x, lam, (label,))[label]


@functools.partial(jax.jit, static_argnums=0)
def _residual(ansatz: Ansatz, params: Params, values: Values, x: Array, lam: Lam) -> Array:
    with jax.default_matmul_precision("highest"):
        return ansatz.residual(params, ansatz.inputs(values), x, lam)


@functools.partial(jax.jit, static_argnums=0)
def _jets(
    ansatz: Ansatz, params: Params, values: Values, x: Array, lam: Lam
) -> tuple[Jet, Mapping[str, Jet]]:
    with jax.default_matmul_precision("highest"):
        inputs = ansatz.inputs(values)
        return ansatz.jet(params, inputs, x, lam), ansatz.input_jet(inputs, x, lam)
