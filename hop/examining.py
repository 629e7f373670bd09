"""`hop check`: a dry look at a problem, before anything is trained.

What `hop.checking` refuses is said first. Then, in lines for people: what the ansatz makes of the
boundary, whether the reference solves the equation, what the laws' samples look like, and what
serves the problem.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient, checking
from hop import config as config_lib
from hop.ansatz import Ansatz, Functions, columns
from hop.derivatives import GRADIENT, LAPLACIAN, Jet, closure, in_space
from hop.errors import RunError, UserError
from hop.homotopy.slow_mode import serves
from hop.laws import Law
from hop.laws.samples import Samples, behind
from hop.networks.mlp import MLP
from hop.problem import Condition, Lam, Problem, Referenced, Traced, letters, reference
from hop.references.chebyshev import differentiation_matrix, lobatto

_FUNCTIONS = 2
_ON_FACE = 8  # points of every face where the lift is tried
_NODES = {1: (32, 64), 2: (12, 24)}  # along each axis, where the reference is differentiated
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
    yield from boundary(problem, lam)
    yield from _solved(problem, lam)
    for name, law in problem.inputs.items():
        yield from _sampled(name, law)
    if serves(problem):
        yield Finding("gauge", "hop.gauge, strategy.slow and strategy.pin serve it")
    else:
        yield Finding(
            "gauge",
            "none: that needs one unknown of second order on an interval, fixed at both ends",
        )


def boundary(problem: Problem, lam: Lam) -> Iterator[Finding]:
    """What holds on every face of the domain, and at the start of time."""
    given = problem.conditions(lam)
    for axis, letter in enumerate(letters(problem)):
        if letter in problem.domain.periodic or problem.domain.dim > 3:
            continue
        ends = (problem.domain.lower[axis], problem.domain.upper[axis])
        for end in ends[:1] if letter == "t" else ends:
            free = _free(problem, lam, axis, end)
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


def _free(problem: Problem, lam: Lam, axis: int, end: float) -> list[str]:
    """The unknowns that depend on the network on a face."""
    rng, box = np.random.default_rng(0), problem.domain
    x = np.asarray(box.lower) + np.subtract(box.upper, box.lower) * rng.random((_ON_FACE, box.dim))
    x[:, axis] = end
    with ambient.on_cpu():
        at = jnp.asarray(x)
        a = {name: jet[""] for name, jet in _inputs(problem, at, lam, ()).items()}
        n = _FUNCTIONS if problem.inputs else 1
        here = columns(at)

        def lifted() -> np.ndarray:
            """u from a network of random waves."""
            lead = () if problem.outputs == 1 else (problem.outputs,)
            waves = jnp.asarray(rng.normal(size=(*lead, n, box.dim + 1)))

            def output(points: Any) -> Any:  # (d, 1, q) → (…, n, q)
                return jnp.sin(1 + jnp.tensordot(waves[..., 1:], points[:, 0], 1)) * waves[..., :1]

            traces = problem.traces(here) if isinstance(problem, Traced) else ()
            u = problem.lift(output(here), here, a, lam, *map(output, traces))
            return np.asarray(u).reshape(len(problem.unknowns), n, len(x))

        one, other = lifted(), lifted()
    apart = np.abs(one - other).max(axis=(1, 2)) > 1e-9 * (1 + np.abs(one).max())
    return [name for name, differs in zip(problem.unknowns, apart, strict=True) if differs]


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
        yield Finding("reference", "there is one; H of it is looked at in one and two dimensions")
        return
    try:
        sizes = [_residual(problem, lam, nodes) for nodes in _NODES[problem.domain.dim]]
    except (RunError, UserError) as error:
        yield Finding("reference", str(error), doubt=True)
        return
    (coarse, _), (fine, terms) = sizes
    few, many = _NODES[problem.domain.dim]
    text = (
        f"H(reference) is {coarse:.0e}, {fine:.0e} by {few}, {many} nodes, of terms of size "
        f"{terms:.0e}"
    )
    wrong = min(coarse, fine) > _SOLVED * terms
    if wrong:
        text += "; residual and reference are of different equations, or need a larger --eps"
    yield Finding("reference", text, doubt=wrong)


def _residual(problem: Problem, lam: Lam, nodes: int) -> tuple[float, float]:
    """The root mean squares of H at the reference and of its terms, inside a Chebyshev grid."""
    box, names = problem.domain, letters(problem)
    axes = [lobatto(ends, nodes) for ends in zip(box.lower, box.upper, strict=True)]
    mesh = np.meshgrid(*axes, indexing="ij")
    x = np.stack([m.ravel() for m in mesh], axis=-1)
    labels = closure(problem.derivatives)
    with ambient.on_cpu():
        fields = checking.sampled(problem, _FUNCTIONS)
    u = reference(problem, fields, x, lam)
    grid = u.reshape(*u.shape[:-1], *mesh[0].shape)
    slopes = [differentiation_matrix(axis) for axis in axes]

    def derivative(label: str) -> np.ndarray:
        found = grid
        for letter in label:
            axis = names.index(letter)
            at = found.ndim - box.dim + axis
            found = np.moveaxis(np.tensordot(slopes[axis], found, (1, at)), 0, at)
        return found.reshape(u.shape)

    space = names[: in_space(labels, box.dim)]
    jet: dict[str, Any] = {}
    for label in labels:
        if label == GRADIENT:
            jet[label] = np.stack([derivative(letter) for letter in space])
        elif label == LAPLACIAN:
            jet[label] = sum(derivative(2 * letter) for letter in space)
        else:
            jet[label] = derivative(label)
    inside = np.all((x > np.asarray(box.lower)) & (x < np.asarray(box.upper)), axis=1)
    with ambient.on_cpu():
        at = jnp.asarray(x)
        a = _inputs(problem, at, lam, labels)
        jets = jax.tree.map(lambda v: jnp.asarray(v, float), jet)

        def size(h: Any) -> float:
            return float(np.sqrt(np.mean(np.asarray(h)[..., inside] ** 2)))

        def term(label: str) -> Any:
            """∂H/∂u_label · u_label."""
            along = {k: v if k == label else jnp.zeros_like(v) for k, v in jets.items()}
            return jax.jvp(lambda j: problem.residual(j, columns(at), a, lam), (jets,), (along,))[1]

        terms = sum(jnp.abs(term(label)) for label in jets)
        return size(problem.residual(jets, columns(at), a, lam)), size(terms)


def _sampled(name: str, law: Law) -> Iterator[Finding]:
    """The size of a law's samples, and what its sensors tell of them."""
    with ambient.on_cpu():
        drawn = law.sample(ambient.key(0), _SAMPLES)
        values = np.asarray(law.values(drawn))
    if law.domain is None:
        low, middle, high = np.percentile(values, [0, 50, 100])
        yield Finding(f"input {name}", f"numbers from {low:.3g} to {high:.3g}, median {middle:.3g}")
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
    yield Finding("values", f"rms {law.scale:.3g}, mean {law.mean:.3g}")
    pairs = zip(law.holds(_MOST_OF_IT), law.modes, strict=True)
    waves = ", ".join(f"{k} of {most}" for k, most in pairs)
    yield Finding("waves", f"{_MOST_OF_IT:.0%} of the variance is in wave numbers up to {waves}")
    yield from (Finding("doubt", doubt, doubt=True) for doubt in law.doubts())
