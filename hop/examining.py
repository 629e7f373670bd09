"""`hop check`: a dry look at a problem, before anything is trained.

What `hop.checking` refuses is said first. Then, in lines for people: what the ansatz makes of the
boundary, whether the reference solves the equation, what the laws' samples look like, and what
serves the problem.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient, checking
from hop import config as config_lib
from hop.ansatz import Ansatz, Functions, columns
from hop.derivatives import GRADIENT, LAPLACIAN, Jet, closure, in_space, jet
from hop.errors import RunError, UserError
from hop.homotopy.slow_mode import serves
from hop.homotopy.terms import Stage, View
from hop.homotopy.terms.weak import WeakResidual
from hop.laws import Law
from hop.laws.samples import Samples, behind
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.problem import (
    Condition,
    Lam,
    Problem,
    Referenced,
    Sloped,
    Traced,
    Weak,
    layers_of,
    letters,
    reference,
)
from hop.references.chebyshev import Solution, differentiation_matrix, lobatto
from hop.windows import fault_of

_FUNCTIONS = 2
_ON_FACE = 8  # points of every face where the lift is tried
# Along each axis, where the reference is differentiated. They are none that a reference is likely
# to be solved on: there it makes its own equation vanish, whatever its error between the nodes.
_NODES = {1: (37, 67), 2: (13, 23)}
_TESTS = 20  # functions along each axis that a weak form is tried against
# Of a side, inside it: where the factors of a lift that is meant for another box vanish.
_FRACTIONS = np.unique([k / n for n in (10, 12) for k in range(1, n)])
_SAMPLES = 200
_SOLVED = 0.05  # of the terms of H, that may be left of it at the reference
_UNRESOLVED = 0.01  # of a typical sample, that may go untold
_MOST_OF_IT = 0.99  # of the variance


class Finding(NamedTuple):
    """A line of the look: of what, what was found, and whether it wants mending."""

    part: str
    text: str
    doubt: bool = False


def look(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """What there is to say of a problem at a place of its path.

    Raises:
      UserError: what `hop.train` refuses too.
    """
    skin = config_lib.experiment(network="deeponet" if problem.inputs else "mlp")
    skin.path.update(s=(float(lam.s),), eps=(float(lam.eps),))
    checking.check(config_lib.build(config_lib.parse(skin.to_dict()), problem))
    unknowns = ", ".join(problem.unknowns)
    read = ", ".join(label for label in problem.derivatives if label) or "none"
    yield Finding("shapes", f"{unknowns} with the derivatives {read}: all parts fit each other")
    yield from glance(problem, lam)
    yield from _solved(problem, lam)
    parts = [name for name in ("weak", "weak_derivatives", "energy") if hasattr(problem, name)]
    if isinstance(problem, Weak):
        yield weak_form(problem)
    elif parts:
        text = f"only {' and '.join(parts)} of three parts; give weak, weak_derivatives and energy"
        yield Finding("weak form", text, doubt=True)
    if hasattr(problem, "restarts"):
        fault = fault_of(problem)
        starts = fault or ", ".join(f"{u} from {a}" for u, a in problem.restarts.items())
        yield Finding("restarts", starts, doubt=bool(fault))
    for name, law in problem.inputs.items():
        yield from _sampled(name, law)
    if serves(problem):
        yield Finding("gauge", "hop.gauge, strategy.slow and strategy.pin serve it")
    else:
        yield Finding(
            "gauge",
            "none: that needs one unknown of second order on an interval, fixed at both ends, in a "
            "pointwise equation",
        )


def glance(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """What is quickly seen, before training too: names, the lift, and the boundary."""
    for text in checking.misspelt(problem):
        yield Finding("names", text, doubt=True)
    inside = _scattered(problem)
    used = _free(problem, lam, inside)
    if unused := [name for name in problem.unknowns if name not in used]:
        text = f"nothing of {', '.join(unused)} is trained: it does not depend on the network"
        yield Finding("lift", text, doubt=True)
    yield from _counted(problem)
    yield from _fixed(problem, lam)
    yield from _boundary(problem, lam)
    yield from _layers(problem, lam)


def _counted(problem: Problem) -> Iterator[Finding]:
    """Whether there is an equation for each unknown."""
    stacked, unknowns = checking.equations(problem), len(problem.unknowns)
    equations, coordinates = math.prod(stacked), (problem.domain.dim,)
    if unknowns == 1 and stacked == coordinates:
        text = "residual gives an axis more than u has" + checking.unpacked(problem)
        yield Finding("equations", text, doubt=True)
    elif equations != unknowns:
        text = (
            f"residual gives {equations} equation{'s' * (equations > 1)} for {unknowns} "
            f"unknown{'s' * (unknowns > 1)} ({', '.join(problem.unknowns)}); "
        )
        fewer = "stack one for each, jnp.stack([…])"
        text += fewer if equations < unknowns else "leave some out, unless you mean it"
        yield Finding("equations", text, doubt=True)


def _fixed(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """Where inside the domain the lift leaves the network no say, as that of another box does."""
    box = problem.domain
    if box.dim not in _NODES:
        return
    axes = []
    for low, high in zip(box.lower, box.upper, strict=True):
        places = np.unique(np.append(low + (high - low) * _FRACTIONS, [0.0, 1.0]))
        axes.append(places[(places > low) & (places < high)])
    x, shape = _mesh(axes), tuple(map(len, axes))
    rng = np.random.default_rng(1)
    one, other = _lifted(problem, lam, x, rng), _lifted(problem, lam, x, rng)
    fixed = np.abs(one - other).max(axis=1) <= 1e-9 * (1 + np.abs(one).max())
    fixed[fixed.all(axis=1)] = False  # an unknown that no network decides: that is said elsewhere
    if not fixed.any():
        return
    off = np.full(fixed.shape, np.inf)
    if isinstance(problem, Referenced):
        try:
            with ambient.on_cpu():
                fields = checking.sampled(problem, _FUNCTIONS)
            right = reference(problem, fields, x, lam).reshape(one.shape)
            off = np.abs(one - right).max(axis=1)
            fixed &= off > _SOLVED * np.abs(right).max(axis=(1, 2))[:, None]
        except (RunError, UserError):
            pass  # the line on the reference says so
    for name, there, distance in zip(problem.unknowns, fixed, off, strict=True):
        if there.any():
            text = f"{_where(there.reshape(shape), axes, letters(problem))}, inside the domain, "
            text += f"{name} does not depend on the network"
            if np.isfinite(distance[there]).all():
                text += f", and is up to {distance[there].max():.0e} off the reference"
            yield Finding("lift", f"{text}; let its factors vanish on the walls alone", doubt=True)


def _where(there: np.ndarray, axes: list[np.ndarray], names: str) -> str:
    """Some of the places of a tensor grid in words: a line across it, or one of them."""
    for k, (letter, places) in enumerate(zip(names, axes, strict=True)):
        whole = there.all(axis=tuple(i for i in range(there.ndim) if i != k))
        if whole.any():
            return f"at {letter} = {places[whole.argmax()]:g}"
    first = np.unravel_index(there.argmax(), there.shape)
    found = [places[i] for places, i in zip(axes, first, strict=True)]
    return "at " + ", ".join(f"{n} = {v:.3g}" for n, v in zip(names, found, strict=True))


def _layers(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """The layers of the solution, which lie along walls."""
    box = problem.domain
    for axis, end, width in layers_of(problem, lam):
        letter, ends = letters(problem)[axis], (box.lower[axis], box.upper[axis])
        place = f"{letter} = {end:g}"
        if letter in box.periodic or end not in ends:
            text = f"{place} is no wall of the domain; name an end of {letter} that is one"
            yield Finding("layers", text, doubt=True)
        elif not 0 < width < np.inf:
            text = f"{place}: the width is {width:g} and must be positive"
            yield Finding("layers", text, doubt=True)
        else:
            yield Finding("layers", f"{place}, of width {width:.2g} at this eps")


def _boundary(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """What holds on every face of the domain, and at the start of time."""
    given = problem.conditions(lam)
    for letter, axis, end in _faces(problem):
        free = _free(problem, lam, _scattered(problem, axis, end))
        here = [c for c in given if any(_is_on(x, axis, end) for x in c.points)]
        asked = {name for c in here for name in _asked(problem, c, lam)}
        face, free = f"{letter} = {end:g}", [name for name in free if name not in asked]
        if asked:
            said = f"a soft condition on {', '.join(sorted(asked))}"
            yield Finding("boundary", f"{face}: {said}")
        if not free and not asked:
            yield Finding("boundary", f"{face}: the lift builds the values in")
        if free:
            yield Finding(
                "boundary",
                f"{face}: nothing is said of {', '.join(free)}; build the values into lift, or "
                "ask for them in conditions, unless the equation needs none there",
                doubt=letter == "t" or _is_second_order(problem, letter),
            )


def _faces(problem: Problem) -> Iterator[tuple[str, int, float]]:
    """The faces that are looked at: the letter of the axis, its number, and where."""
    box = problem.domain
    for axis, letter in enumerate(letters(problem)):
        if letter not in box.periodic and box.dim <= 3:
            ends = (box.lower[axis], box.upper[axis])
            yield from ((letter, axis, end) for end in (ends[:1] if letter == "t" else ends))


def _scattered(problem: Problem, axis: int = 0, end: float | None = None) -> np.ndarray:
    """Some points of the domain, or of a face of it."""
    rng, box = np.random.default_rng(0), problem.domain
    x = np.asarray(box.lower) + np.subtract(box.upper, box.lower) * rng.random((_ON_FACE, box.dim))
    if end is not None:
        x[:, axis] = end
    return x


def _is_on(points: Any, axis: int, end: float) -> bool:
    """Whether a set of points lies on a face, and does not just end there."""
    return bool(np.mean(np.isclose(np.asarray(points)[:, axis], end)) > 0.5)


def _asked(problem: Problem, condition: Condition, lam: Lam) -> list[str]:
    """The unknowns that the rows of a condition depend on."""
    rng, n = np.random.default_rng(0), _FUNCTIONS if problem.inputs else 1
    unknowns, labels = len(problem.unknowns), closure(condition.derivatives)
    if {GRADIENT, LAPLACIAN} & set(labels):
        return list(problem.unknowns)
    with ambient.on_cpu():
        a = _inputs(problem, jnp.asarray(condition.points[0], float), lam, labels)

        def random(x: Any) -> Any:
            return jnp.asarray(rng.normal(size=(unknowns, n, len(x))))

        jets = tuple({label: random(x) for label in labels} for x in condition.points)

        def rows(scale: Any) -> Any:
            u = jax.tree.map(lambda v: v * scale.reshape(-1, *(1,) * (v.ndim - 1)), jets)
            return condition.rows(u if unknowns > 1 else jax.tree.map(lambda v: v[0], u), a, lam)

        moved = jax.jacfwd(rows)(jnp.ones(unknowns))
    felt = np.abs(np.asarray(moved)).reshape(-1, unknowns).max(axis=0) > 0
    return [name for name, is_felt in zip(problem.unknowns, felt, strict=True) if is_felt]


def _is_second_order(problem: Problem, letter: str) -> bool:
    return any(label.count(letter) > 1 or label == LAPLACIAN for label in problem.derivatives)


def _free(problem: Problem, lam: Lam, x: np.ndarray) -> list[str]:
    """The unknowns that depend on the network at some points."""
    rng = np.random.default_rng(1)
    one, other = _lifted(problem, lam, x, rng), _lifted(problem, lam, x, rng)
    apart = np.abs(one - other).max(axis=(1, 2)) > 1e-9 * (1 + np.abs(one).max())
    return [name for name, differs in zip(problem.unknowns, apart, strict=True) if differs]


def _lifted(problem: Problem, lam: Lam, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """u (c, n, q) from a network of random waves."""
    n, dim = _FUNCTIONS if problem.inputs else 1, problem.domain.dim
    lead = () if problem.outputs == 1 else (problem.outputs,)
    with ambient.on_cpu():
        at = jnp.asarray(x)
        a = {name: jet[""] for name, jet in _inputs(problem, at, lam, ()).items()}
        here, waves = columns(at), jnp.asarray(rng.normal(size=(*lead, n, dim + 1)))

        def output(points: Any) -> Any:  # (d, 1, q) → (…, n, q)
            return jnp.sin(1 + jnp.tensordot(waves[..., 1:], points[:, 0], 1)) * waves[..., :1]

        traces = problem.traces(here) if isinstance(problem, Traced) else ()
        more = [output(there) for there in traces]
        if isinstance(problem, Sloped):
            found = jet(lambda points: output(columns(points)), at, problem.slopes)
            more += [found[label] for label in problem.slopes]
        u = problem.lift(output(here), here, a, lam, *more)
        return np.asarray(u).reshape(len(problem.unknowns), n, len(x))


def _inputs(problem: Problem, x: Any, lam: Lam, labels: tuple[str, ...]) -> Mapping[str, Jet]:
    """The jets of some inputs, and of what the problem knows from them, at points (q, d)."""
    fields = checking.sampled(problem, _FUNCTIONS).items()
    laws = problem.inputs
    given = {name: Functions(laws[name].values(f), f.coefficients) for name, f in fields}
    return Ansatz(problem, MLP()).input_jet(given, x, lam, labels)  # of which no network decides


def _solved(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """Whether the reference solves the equation, by differences of its own values."""
    if not isinstance(problem, Referenced):
        yield Finding("reference", "none: stages will have no errors beside their losses")
        return
    if problem.domain.dim not in _NODES:
        yield Finding("reference", "there is one; it is not looked at in more than two dimensions")
        return
    counts = _NODES[problem.domain.dim]
    try:
        coarse, fine = (_Jets.of(problem, lam, nodes) for nodes in counts)
        off = list(_off_the_lift(problem, lam))
    except (RunError, UserError) as error:
        yield Finding("reference", str(error), doubt=True)
        return
    (h, _), (h_fine, terms) = coarse.residual(), fine.residual()
    least = np.minimum(h, h_fine)
    k = int(np.argmax(least / np.maximum(terms, 1e-9 * terms.max())))
    which = f" of equation {k + 1} of {len(h)}, the worst," if len(h) > 1 else ""
    text = (
        f"H(reference){which} is {h[k]:.0e}, {h_fine[k]:.0e} by {counts[0]}, {counts[1]} nodes, "
        f"of terms of size {terms[k]:.0e}"
    )
    wrong = least[k] > _SOLVED * max(terms[k], 1e-9 * terms.max())
    if wrong:
        text += "; residual and reference are of different equations, or need a larger --eps"
    yield Finding("reference", text, doubt=bool(wrong))
    yield from off
    for number, condition in enumerate(problem.conditions(lam)):
        rows, size = min(jets.rows(condition) for jets in (coarse, fine))
        if rows > _SOLVED * size:
            yield Finding(
                "reference",
                f"conditions[{number}] does not hold for the reference: its rows are up to "
                f"{rows:.0e}, of terms of size {size:.0e}",
                doubt=True,
            )


def weak_form(problem: Any) -> Finding:
    """Whether the weak form is the residual, tested against some functions, of a network."""
    tests, lam = WeakResidual(tests=(_TESTS,) * problem.domain.dim), Lam(0.25, 0.5)
    network = DeepONet() if problem.inputs else MLP()
    ansatz = Ansatz(problem, network)
    with ambient.on_cpu():
        fields = checking.sampled(problem, _FUNCTIONS)
        inputs = ansatz.inputs({k: problem.inputs[k].values(f) for k, f in fields.items()})
        stage, params = Stage(0, lam, lam, 0), ansatz.init(ambient.key(0))
        points = tests.points(ansatz, inputs, stage)
        view = View(ansatz, params, params, inputs, points, stage)
        weak = np.asarray(tests.together(tests.rows(view), view))
        u, a = ansatz.jet(params, inputs, points.x, lam), ansatz.input_jet(inputs, points.x, lam)
        strong = problem.residual(u, columns(points.x), a, lam)
        off = np.linalg.norm(weak - np.asarray(tests.together({"": strong}, view)))
    share = off / np.linalg.norm(weak)
    text = (
        f"weak and residual at s=0.25, eps=0.5, of a network, tested against {_TESTS} functions an "
        f"axis, differ by {share:.0e} of their size"
    )
    if not np.isfinite(share):
        text += "; is some w_D of energy negative, or all of them 0?"
    elif share > _SOLVED:
        text += "; integrate by parts again, and look at the signs"
    return Finding("weak form", text, doubt=not share <= _SOLVED)


def _off_the_lift(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """Where the values that the lift builds in are not those of the reference."""
    faces = list(_faces(problem))
    sets = [_scattered(problem), *(_scattered(problem, axis, end) for _, axis, end in faces)]
    with ambient.on_cpu():
        fields = checking.sampled(problem, _FUNCTIONS)
    u = reference(problem, fields, np.concatenate(sets), lam)
    u = u.reshape(len(problem.unknowns), -1, len(sets), _ON_FACE)
    for k, (letter, _, end) in enumerate(faces, start=1):
        free = _free(problem, lam, sets[k])
        lifted = _lifted(problem, lam, sets[k], np.random.default_rng(1))
        for c, name in enumerate(problem.unknowns):
            off = np.abs(lifted[c] - u[c, :, k]).max()
            if name not in free and off > _SOLVED * np.abs(u[c]).max():
                text = (
                    f"{letter} = {end:g}: the lift builds in values of {name} that are up to "
                    f"{off:.0e} off the reference"
                )
                yield Finding("reference", text, doubt=True)


class _Jets(NamedTuple):
    """The reference on a Chebyshev grid, with the derivatives of its interpolating polynomial.

    Attributes:
      axes: the nodes along each axis.
      values: the reference, (…, n) and an axis for each coordinate.
    """

    problem: Problem
    lam: Lam
    axes: list[np.ndarray]
    values: np.ndarray

    @classmethod
    def of(cls, problem: Problem, lam: Lam, nodes: int) -> "_Jets":
        box = problem.domain
        axes = [lobatto(ends, nodes) for ends in zip(box.lower, box.upper, strict=True)]
        with ambient.on_cpu():
            fields = checking.sampled(problem, _FUNCTIONS)
        u = reference(problem, fields, _mesh(axes), lam)
        return cls(problem, lam, axes, u.reshape(*u.shape[:-1], *map(len, axes)))

    def residual(self) -> tuple[np.ndarray, np.ndarray]:
        """The root mean squares of H and of its terms inside the grid, (e,) each."""
        problem, lam, labels = self.problem, self.lam, closure(self.problem.derivatives)
        x = _mesh(self.axes)
        inside = np.all((x > problem.domain.lower) & (x < problem.domain.upper), axis=1)
        with ambient.on_cpu():
            at = jnp.asarray(x)
            a = _inputs(problem, at, lam, labels)
            jets = {
                k: jnp.asarray(v.reshape(*v.shape[: -len(self.axes)], -1), float)
                for k, v in self._jet(labels).items()
            }

            def size(h: Any) -> np.ndarray:
                rows = np.asarray(h)[..., inside]
                return np.sqrt(np.mean(rows**2, axis=(-2, -1))).reshape(-1)

            def term(label: str) -> Any:
                """∂H/∂u_label · u_label."""
                along = {k: v if k == label else jnp.zeros_like(v) for k, v in jets.items()}
                return jax.jvp(
                    lambda j: problem.residual(j, columns(at), a, lam), (jets,), (along,)
                )[1]

            terms = sum(jnp.abs(term(label)) for label in jets)
            return size(problem.residual(jets, columns(at), a, lam)), size(terms)

    def rows(self, condition: Condition) -> tuple[float, float]:
        """The largest row of a condition and how large its terms can be, of the worst block."""
        problem, labels = self.problem, closure(condition.derivatives)
        grid = self._jet(labels)
        grid_axes = "ij"[: len(self.axes)]
        with ambient.on_cpu():

            def at(v: np.ndarray, x: np.ndarray) -> Any:
                """A grid's values interpolated to points (b, d)."""
                along = [
                    Solution(axis, np.eye(len(axis)))(x[:, k]) for k, axis in enumerate(self.axes)
                ]
                spec = f"...{grid_axes},{','.join(f'{i}b' for i in grid_axes)}->...b"
                return jnp.asarray(np.einsum(spec, v, *along))

            sets = [np.asarray(x, float) for x in condition.points]
            u = tuple({k: at(v, x) for k, v in grid.items()} for x in sets)
            a = _inputs(problem, jnp.asarray(sets[0]), self.lam, labels)
            over = tuple(range(-len(self.axes), 0))
            most = {k: np.abs(v).max(axis=over)[..., None] for k, v in grid.items()}

            def rows(u: Any) -> Any:
                return condition.rows(u, a, self.lam)

            def term(label: str) -> Any:
                along = tuple(
                    {k: jnp.broadcast_to(most[k] * (k == label), v.shape) for k, v in jet.items()}
                    for jet in u
                )
                return jnp.abs(jax.jvp(rows, (u,), (along,))[1])

            found = np.abs(np.asarray(rows(u))).max(axis=(-2, -1)).reshape(-1)
            sizes = np.asarray(sum(map(term, grid))).max(axis=(-2, -1)).reshape(-1)
        worst = int(np.argmax(found / np.maximum(sizes, 1e-300)))
        return float(found[worst]), float(sizes[worst])

    def _jet(self, labels: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The derivatives on the grid, by label."""
        dim, names = len(self.axes), letters(self.problem)
        space = names[: in_space(labels, dim)]
        slopes = [differentiation_matrix(axis) for axis in self.axes]

        def derivative(label: str) -> np.ndarray:
            found = self.values
            for letter in label:
                at = found.ndim - dim + names.index(letter)
                slope = slopes[names.index(letter)]
                found = np.moveaxis(np.tensordot(slope, found, (1, at)), 0, at)
            return found

        over_axes = {
            GRADIENT: lambda: np.stack([derivative(letter) for letter in space]),
            LAPLACIAN: lambda: np.sum([derivative(2 * letter) for letter in space], axis=0),
        }
        return {k: over_axes[k]() if k in over_axes else derivative(k) for k in labels}


def _mesh(axes: list[np.ndarray]) -> np.ndarray:
    """The points (q, d) of a tensor grid."""
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=-1)


def _sampled(name: str, law: Law) -> Iterator[Finding]:
    """The size of a law's samples, and what its sensors tell of them."""
    with ambient.on_cpu():
        drawn = law.sample(ambient.key(0), _SAMPLES)
        values = np.asarray(law.values(drawn))
    if law.domain is None:
        count = f"{law.width} " if law.shape else ""
        low, middle, high = np.percentile(values, [0, 50, 100])
        yield Finding(
            f"input {name}", f"{count}numbers from {low:.3g} to {high:.3g}, median {middle:.3g}"
        )
        return
    size = f"values from {values.min():.3g} to {values.max():.3g}, rms {law.scale:.3g}"
    lost = law.unresolved(law.sensors)
    text = f"{size}; {law.width:,} sensors"
    if lost > _UNRESOLVED:
        text += f" miss {100 * lost:.1f} % of a typical sample; give more, sensors="
    yield Finding(f"input {name}", text, doubt=lost > _UNRESOLVED)
    own = behind(law)
    if isinstance(own, Samples):
        yield from (Finding(f"input {name}", doubt, doubt=True) for doubt in own.doubts())


def imported(law: Samples) -> Iterator[Finding]:
    """What there is to say of functions of one's own."""
    train, validation, test = law.counts
    yield Finding(
        "functions",
        f"{sum(law.counts):,}: {train:,} to train, {validation:,} to validate, {test:,} to test",
    )
    spans = zip(law.letters, law.domain.lower, law.domain.upper, law.ends, strict=True)
    box = ", ".join(f"{low:g} ≤ {letter} ≤ {high:g} ({end})" for letter, low, high, end in spans)
    yield Finding("sensors", f"{law.width:,} on {box}")
    mean = law.given.mean()  # law.mean is 0 where functions vanish at an end
    yield Finding("values", f"rms {law.scale:.3g}, mean {mean:.3g}")
    pairs = zip(law.holds(_MOST_OF_IT), law.modes, strict=True)
    waves = ", ".join(f"{k} of {most}" for k, most in pairs)
    yield Finding("waves", f"{_MOST_OF_IT:.0%} of the variance is in wave numbers up to {waves}")
    yield from (Finding("doubt", doubt, doubt=True) for doubt in law.doubts())
