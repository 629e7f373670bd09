"""The ansatz u_θ: a network inside a problem, as jets and residuals at collocation points."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.curves import LINES, Curve, curve_of
from hop.derivatives import (
    GRADIENT,
    LAPLACIAN,
    Jet,
    activate,
    closure,
    for_chain_rule,
    in_space,
    jet,
    mirror,
    pull,
    push,
    rescale,
    spelled,
    spelling,
)
from hop.errors import UserError, check_range
from hop.laws import Field, Law
from hop.networks import Decoding, Network, Params, Placed, Values
from hop.problem import (
    Featured,
    Knowing,
    Lam,
    Problem,
    Reduced,
    Showing,
    Sloped,
    Traced,
    failing,
    in_time,
    letters,
)

Jets = list[Jet]


class Functions(NamedTuple):
    """n functions: their sensor values, what the network sees, and their coefficients."""

    values: Float[Array | np.ndarray, "n m"]
    coefficients: Float[Array | np.ndarray, "n K"]


Inputs = Mapping[str, Functions]  # by name


@dataclasses.dataclass(frozen=True)
class Ansatz:
    """u_θ(a)(x) = lift(N(a)(x), x, a(x), λ).

    N = decode(F_θ(a)(z), y, a(x)) with y the place of x on the reference cube, inputs in units of
    their laws, and z what the layers see: cos πmy and sin πmy, m ≤ `harmonics`, of a periodic
    coordinate y, so that u is periodic with all its derivatives; the other coordinates; and the
    problem's trunk features. Where the problem declares a symmetry, N is made odd: the mean of ±N
    over the reflections of the coordinates in `problem.odd`, each a pointwise map of features at
    the reflected point.

    Attributes:
      problem: the PDE.
      network: the network.
      harmonics: M, of every periodic coordinate.
      eps: the range of ε, (low, high), where ε is an input: log ε, brought to [−1, 1] on it, is one
        more coordinate of y. λ then holds ε for each point, (1, q), or for all. () for one ε.
    """

    problem: Problem
    network: Network
    harmonics: int = 4
    eps: tuple[float, ...] = ()

    def __post_init__(self):
        check_range("config.ansatz", "be at least 1", harmonics=self.harmonics)
        if self.eps and not (len(self.eps) == 2 and 0 < self.eps[0] < self.eps[1] < math.inf):
            raise UserError(
                f"config.ansatz.eps={self.eps!r} must be a range (low, high) with 0 < low < high, "
                "or () where every stage has one eps"
            )

    @functools.cached_property
    def _placed(self) -> Network:
        """The network, told where its inputs are read if it asks."""
        if not isinstance(self.network, Placed):
            return self.network
        if isinstance(self.problem, Featured):
            raise UserError(
                f"{type(self.problem).__name__} shows its network trunk_features, of which "
                f"{type(self.network).__name__} has no use; choose another as network.name"
            )
        return self.network.on(self.problem.domain, self.problem.inputs)

    @functools.cached_property
    def size(self) -> int:
        """The number of its parameters."""
        params = jax.eval_shape(lambda: self.init(ambient.key(0)))
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    @property
    def derivatives(self) -> tuple[str, ...]:
        """Those that the residual needs, closed."""
        return closure(self.problem.derivatives)

    @property
    def laws(self) -> Mapping[str, Law]:
        """The laws whose functions inputs are fitted by."""
        return self.problem.inputs

    def inputs(self, values: Mapping[str, Array]) -> Inputs:
        """Sensor values (n, m) with the coefficients of the fields that fit them best."""
        return {k: Functions(v, self.laws[k].fit(v).coefficients) for k, v in values.items()}

    def init(self, key: Array) -> Params:
        sensors = {name: law.width for name, law in self.problem.inputs.items()}
        x = jnp.zeros((1, self.problem.domain.dim))
        one = jnp.ones((), x.dtype)
        lam = Lam(one, one)
        seen = jax.eval_shape(self._embedding(lam), x)
        plain, shown = self._plain(x, lam).shape[1], self._how_many_shown(x, lam)
        more = {} if shown == len(sensors) else {"shown": shown}
        return self._placed.init(key, seen.shape[1], sensors, self.problem.outputs, plain, **more)

    def _how_many_shown(self, x: Float[Array, "q d"], lam: Lam) -> int:
        """How many arrays of the inputs a decoder sees."""
        laws = self.problem.inputs
        if not isinstance(self.problem, Showing):
            return sum(law.domain is not None or law.shape == () for law in laws.values())
        fields = {name: law.field(jnp.zeros((1, law.size))) for name, law in laws.items()}

        def shown(x: Array) -> Values:
            a = {name: field(x) for name, field in fields.items()}
            if isinstance(self.problem, Knowing):
                known = self.problem.known(fields, x, lam)
                a |= {k: v(x) if isinstance(v, Field) else v for k, v in known.items()}
            return self._shown(a, x, lam)

        return len(jax.eval_shape(shown, x))

    def check(self, experiment: Any) -> None:
        """Refuses, with a UserError, a network that does not fit the problem, uncompiled.

        Also a range of ε where something needs one ε a stage.
        """
        if self.eps:
            self._check_range(experiment)
        try:
            _ = self.size
        except UserError:
            raise
        except Exception as error:  # a network of the user's own: it can fail in any way
            raise failing(f"{type(self.network).__name__}.init", error) from error

    def _check_range(self, experiment: Any) -> None:
        plan, config, low = experiment.plan, experiment.config, experiment.path.places[0].eps
        if not self.problem.pointwise:
            raise UserError(
                f"the residual of {type(self.problem).__name__} takes all points of a step "
                "together, so they must share one eps; set config.ansatz.eps=()"
            )
        if low > self.eps[1]:
            raise UserError(
                f"config.path starts at eps={low:g}, above config.ansatz.eps={self.eps}; start at "
                f"{self.eps[1]:g} or below, or raise the range"
            )
        for term in plan.terms:
            if term.at_one_eps:
                field, _ = term.off.split("=")
                raise UserError(
                    f"config.{field} needs one eps a stage, and config.ansatz.eps={self.eps} makes "
                    f"it an input; set {term.off}"
                )
        name, sampler = experiment.name("strategy"), config.train.sampler
        for found, what in (
            (plan.predictor is not None, f"config.strategy.name='{name}'"),
            (experiment.path.adaptive, "config.path.adaptive"),
            (experiment.ansatz is not experiment.answer, f"config.strategy.name='{name}'"),
            (experiment.sampler.at_one_eps, f"config.train.sampler='{sampler}'"),
        ):
            if found:
                raise UserError(
                    f"{what} needs one eps a stage, and config.ansatz.eps={self.eps} makes it an "
                    "input; leave one of them out"
                )

    def jet(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        derivatives: Sequence[str] | None = None,
        curve: Curve = LINES,
    ) -> Jet:
        """u_θ and its derivatives: label → (n, q), or (c, n, q); n = 1 without inputs.

        By default those that the residual needs; along a curve, some of them in one.
        """
        labels = self._labels(derivatives)
        if isinstance(self.problem, Sloped):
            return self._sloped_jet(params, inputs, x, lam, labels)
        problem, jets = self.problem, self._sources(params, inputs, x, lam, labels, curve)
        for i in range(len(self._traces(x, lam))):

            def there(points: Array, i: int = i) -> Array:
                return self._traces(points, lam)[i]

            found = self._sources(params, inputs, there(x), lam, self._mixed(labels), LINES)
            jets += [pull(source, there, x, labels) for source in found]

        def compose(*arrays: Array) -> Array:
            *at, points = arrays
            points, rest = curve.points(points), iter(at)
            output, a = self._output(params, inputs, rest, points, lam)
            elsewhere = [
                self._output(params, inputs, rest, there, lam)[0]
                for there in self._traces(points, lam)
            ]
            return problem.lift(output, columns(points), a, lam, *elsewhere)

        return push(compose, tuple(jets), curve.free(x), curve.labels(labels))

    def _sloped_jet(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        labels: tuple[str, ...],
    ) -> Jet:
        """The jet of u where `lift` reads derivatives of N."""
        problem, wanted, axes = self.problem, for_chain_rule(labels), letters(self.problem)
        assert isinstance(problem, Sloped)
        space = axes[: in_space(wanted, len(axes))]
        over_space = {GRADIENT: space, LAPLACIAN: tuple(2 * axis for axis in space)}
        partials = [one for label in wanted for one in over_space.get(label, (label,))]
        read = ("", *problem.slopes)
        N = self.outputs(params, inputs, x, lam, [one + of for one in partials for of in read])

        def part(of: str) -> Jet:
            """The jet of one derivative of N."""

            def along(label: str) -> Array:
                each = [N[spelling(one + of)] for one in over_space.get(label, (label,))]
                return jnp.stack(each) if label == GRADIENT else functools.reduce(jnp.add, each)

            return {label: along(label) for label in wanted}

        parts, a = map(part, read), self.input_jet(inputs, x, lam, wanted)

        def compose(*arrays: Array) -> Array:
            output, *rest, points = arrays
            slopes, values = rest[: len(read) - 1], rest[len(read) - 1 :]
            given = dict(zip(a, values, strict=True))
            return problem.lift(output, columns(points), given, lam, *slopes)

        return push(compose, (*parts, *a.values()), x, labels)

    def outputs(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        derivatives: Sequence[str] | None = None,
        curve: Curve = LINES,
    ) -> Jet:
        """N and its derivatives: label → (n, q), or (k, n, q).

        By default those that the residual needs; along a curve, some of them in one.
        """

        def compose(*arrays: Array) -> Array:
            *at, points = arrays
            return self._output(params, inputs, iter(at), curve.points(points), lam)[0]

        labels = self._labels(derivatives)
        jets = self._sources(params, inputs, x, lam, labels, curve)
        return push(compose, tuple(jets), curve.free(x), curve.labels(labels))

    def input_jet(
        self,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        derivatives: Sequence[str] | None = None,
    ) -> Mapping[str, Jet]:
        """The jet of every input, and of what the problem knows from them: name → label → (n, q).

        By default with the derivatives that the residual needs.
        """
        labels = self._labels(derivatives)
        found = {name: field.jet(x, labels) for name, field in self._fields(inputs).items()}
        return {**found, **self._known(inputs, x, lam, labels)}

    def _traces(self, x: Float[Array, "q d"], lam: Lam) -> list[Float[Array, "p d"]]:
        """Where `lift` reads the network beside x: a point for each of x, or one for all."""
        if not isinstance(self.problem, Traced):
            return []
        found = map(rows, self.problem.traces(columns(x)))
        # One for all is one for each where each has an ε of its own.
        return [jnp.broadcast_to(at, x.shape) if jnp.ndim(lam.eps) else at for at in found]

    def _known(
        self, inputs: Inputs, x: Float[Array, "q d"], lam: Lam, labels: tuple[str, ...]
    ) -> Mapping[str, Jet]:
        """The jets of what the problem knows from its inputs."""
        problem, fields = self.problem, self._fields(inputs)
        if not isinstance(problem, Knowing):
            return {}
        made = self._names_known(inputs, x, lam)

        def exact(name: str) -> Jet:
            if isinstance(made[name], Field):
                return problem.known(fields, x, lam)[name].jet(x, labels)
            return jet(lambda points: problem.known(fields, points, lam)[name], x, labels)

        return {name: exact(name) for name in made}

    def _names_known(self, inputs: Inputs, x: Float[Array, "q d"], lam: Lam) -> Mapping[str, Any]:
        """What the problem knows from its inputs, as abstract values."""
        if not isinstance(self.problem, Knowing):
            return {}
        return jax.eval_shape(self.problem.known, self._fields(inputs), x, lam)

    def reads(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        curve: Curve = LINES,
    ) -> Jet:
        """The jet that the residual is written in: that of u, or of N where the problem says so."""
        of = self.outputs if isinstance(self.problem, Reduced) else self.jet
        return of(params, inputs, x, lam, curve=curve)

    def equation(
        self, u: Jet, x: Float[Array, "q d"], a: Mapping[str, Jet], lam: Lam
    ) -> Float[Array, "n q"] | Float[Array, "e n q"]:
        """H from the jets of `reads` and of the inputs at the points."""
        problem = self.problem
        of = problem.reduced_residual if isinstance(problem, Reduced) else problem.residual
        return of(u, columns(x), a, lam)

    def residual(
        self, params: Params, inputs: Inputs, x: Float[Array, "q d"], lam: Lam
    ) -> Float[Array, "n q"] | Float[Array, "e n q"]:
        """H(u_θ; s, ε) at the points."""
        a = self.input_jet(inputs, x, lam)
        curve = self._curve(x, a, lam)
        u = self.reads(params, inputs, x, lam, curve)
        return self.equation(curve.spelled(u), x, a, lam)

    def _curve(self, x: Float[Array, "q d"], a: Mapping[str, Jet], lam: Lam) -> Curve:
        """That along which the residual needs a derivative less, or lines."""
        problem = self.problem
        if isinstance(problem, Traced | Sloped) or isinstance(self.network, Placed):
            return LINES
        count = problem.outputs if isinstance(problem, Reduced) else len(problem.unknowns)
        if count > 1 or not problem.pointwise:
            return LINES
        return curve_of(self.equation, self.derivatives, x, a, lam)

    def _labels(self, derivatives: Sequence[str] | None) -> tuple[str, ...]:
        """Those asked for, closed. ∇ and Δ of a problem in time are over space, as t says."""
        if derivatives is None:
            return self.derivatives
        over_space = in_time(self.problem) and {GRADIENT, LAPLACIAN} & set(derivatives)
        return closure((*derivatives, "t") if over_space else derivatives)

    def _mixed(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Every derivative up to the order of these: what a map that mixes coordinates needs."""
        order = max(map(len, spelled(labels)))
        every = itertools.combinations_with_replacement(letters(self.problem), order)
        return closure((*labels, *map("".join, every)))

    def _fields(self, inputs: Inputs) -> Mapping[str, Field]:
        laws = self.problem.inputs
        return {name: laws[name].field(given.coefficients) for name, given in inputs.items()}

    def _sources(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        labels: Sequence[str],
        curve: Curve,
    ) -> Jets:
        """The jets along a curve that N is a pointwise map of: features and inputs, reflected too.

        A network that decodes jets is done with its own there: N of the reflection, and inputs.
        """
        laws, domain = self.problem.inputs, self.problem.domain
        values = {name: laws[name].normalise(given.values) for name, given in inputs.items()}
        labels, jets = for_chain_rule(labels), []
        bent, free = curve.labels(labels), curve.free(x)
        for signs in self._images():
            embed = curve.on(self._embedding(lam, signs))
            made = self._placed.features(params, values, free, bent, embed)
            found = self.input_jet(inputs, domain.reflect(x, signs), lam, labels)
            a = {name: curve.along(rescale(each, signs)) for name, each in found.items()}
            if isinstance(self._placed, Decoding):
                plain = functools.partial(self._plain, lam=lam, signs=signs)
                y = jet(curve.on(plain), free, bent)
                shown = self._shown_jet(a, x, lam, signs, curve)
                made = self._placed.decode_jet(params, made, y, shown, free)
            jets += [made, *a.values()]
        return jets

    def _output(
        self, params: Params, inputs: Inputs, arrays: Any, x: Float[Array, "q d"], lam: Lam
    ) -> tuple[Array, Values]:
        """N, and the inputs, at (displaced) points, from the values of `_sources`, an iterator."""
        images, names = self._images(), [*inputs, *self._names_known(inputs, x, lam)]
        total, seen = jnp.zeros((), x.dtype), []
        for signs in images:
            F, a = next(arrays), {name: next(arrays) for name in names}
            if not isinstance(self._placed, Decoding):
                y = self._plain(x, lam, signs)
                F = self._placed.decode(params, F, y, self._shown(a, x, lam, signs))
            total = total + float(np.prod(signs)) * F
            seen.append(a)
        return total / len(images), seen[0]

    def _shown(
        self, a: Values, x: Float[Array, "q d"], lam: Lam, signs: np.ndarray | None = None
    ) -> Values:
        """What a decoder sees of the inputs at the points, or at their mirror images by `signs`."""
        problem, laws = self.problem, self.problem.inputs
        if isinstance(problem, Showing):
            there = x if signs is None else problem.domain.reflect(x, signs)
            made = problem.shown(columns(there), a, lam)
            if not isinstance(made, tuple | list):
                raise UserError(
                    f"{type(problem).__name__}.shown gives a {type(made).__name__}; give a tuple "
                    "of arrays (n, q)"
                )
            return _numbered(made)
        return {k: law.normalise(a[k]) for k, law in laws.items() if a[k].ndim == 2}

    def _shown_jet(
        self,
        a: Mapping[str, Jet],
        x: Float[Array, "q d"],
        lam: Lam,
        signs: np.ndarray,
        curve: Curve,
    ) -> Mapping[str, Jet]:
        """Its jets."""
        laws = self.problem.inputs
        if not isinstance(self.problem, Showing):
            plain = {name: a[name] for name in laws if a[name][""].ndim == 2}
            return {name: activate(laws[name].normalise, each) for name, each in plain.items()}

        def stacked(*arrays: Array) -> Array:
            *values, points = arrays
            given = dict(zip(a, values, strict=True))
            made = self._shown(given, curve.points(points), lam, signs)
            return jnp.stack(list(made.values()))

        made = push(stacked, tuple(a.values()), curve.free(x), next(iter(a.values())))
        count = len(made[""])
        return _numbered({k: v[..., i, :, :] for k, v in made.items()} for i in range(count))

    def _images(self) -> list[np.ndarray]:
        """The reflections that make N odd, each as signs (d,) of the axes; the identity first."""
        images = [np.ones(self.problem.domain.dim)]
        for letter in self.problem.odd:
            images += [signs * mirror(letter, len(signs)) for signs in images]
        return images

    def _plain(
        self, x: Float[Array, "q d"], lam: Lam, signs: np.ndarray | None = None
    ) -> Float[Array, "q p"]:
        """The coordinates that are not periodic, on the reference cube; log ε, where an input.

        Those of the mirror images by `signs`.
        """
        domain = self.problem.domain
        y = domain.to_reference(x if signs is None else domain.reflect(x, signs))
        if domain.circles:
            kept = [y[:, i] for i in range(domain.dim) if i not in domain.circles]
            y = jnp.stack(kept, axis=1) if kept else y[:, :0]
        if not self.eps:
            return y
        low, high = map(math.log, self.eps)
        eps = jnp.broadcast_to(jnp.asarray(lam.eps, y.dtype), (1, len(x))).T
        place = (2 * jnp.log(eps) - (low + high)) / (high - low)
        return jnp.concatenate([y, place, 2 * jnp.sqrt(eps / self.eps[1]) - 1], axis=1)

    def _embedding(self, lam: Lam, signs: np.ndarray | None = None) -> Callable[[Array], Array]:
        """Points (q, d) → what the layers see of them (q, D); of their mirror images by `signs`."""
        problem, domain = self.problem, self.problem.domain

        def embed(x: Array) -> Array:
            x = x if signs is None else domain.reflect(x, signs)
            waves = jnp.asarray(np.pi * np.arange(1, self.harmonics + 1), x.dtype)
            y, parts = domain.to_reference(x), []
            for axis in domain.circles:
                angle = y[:, axis : axis + 1] * waves[None, :]
                parts += [jnp.cos(angle), jnp.sin(angle)]
            parts.append(self._plain(x, lam))
            if isinstance(problem, Featured):
                more = problem.trunk_features(columns(x), lam)
                if not isinstance(more, tuple | list):
                    raise UserError(
                        f"{type(problem).__name__}.trunk_features must give a tuple of arrays "
                        "(1, q), also of one: return (f,)"
                    )
                parts += [jnp.broadcast_to(f, (1, len(x))).T for f in more]
            return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

        return embed


def _numbered(parts: Iterable[Any]) -> dict[str, Any]:
    """Parts by names that sort in their order."""
    return {f"{k:03}": part for k, part in enumerate(parts)}


def columns(x: Float[Array, "q d"]) -> Float[Array, "d 1 q"]:
    """Points as a problem reads them: one (1, q) row per coordinate."""
    return jnp.swapaxes(x, -1, -2)[:, None, :]


def rows(x: Float[Array, "d 1 q"]) -> Float[Array, "q d"]:
    """Points as a problem gives them, one below the other."""
    return jnp.swapaxes(jnp.asarray(x)[:, 0, :], -1, -2)
