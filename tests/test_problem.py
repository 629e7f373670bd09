"""Problems of several unknowns, conditions of every kind and λ in the lift: the rows are right."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz, Functions
from hop.derivatives import GRADIENT, jet
from hop.domain import Box
from hop.homotopy.loss import Loss
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms import Stage
from hop.homotopy.terms.condition import Condition as ConditionTerm
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.tangent import Tangent
from hop.laws.gaussian_field import GaussianField
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Condition, Lam, Problem
from hop.samplers import Points
from hop.samplers.stratified import Stratified
from hop.solvers import Moment
from hop.solvers.levenberg_marquardt import LevenbergMarquardt

pytestmark = pytest.mark.usefixtures("float64")

INTERVAL = Box((0.0,), (1.0,))
SOFT = (Residual(), ConditionTerm())
LAW = GaussianField(INTERVAL, ends="free", length=0.4, std=1.0, sensors=9)


def place(s, eps):
    return Lam(jnp.float64(s), jnp.float64(eps))


def some_inputs(problem, n=3):
    """n functions of each law, whose coefficients are those of its samples."""

    def made(law, seed):
        field = law.sample(jax.random.key(seed), n)
        return Functions(law.values(field), jnp.asarray(field.coefficients))

    return jax.jit(lambda: {k: made(law, i) for i, (k, law) in enumerate(problem.inputs.items())})()


def biased(params):
    return jax.tree.map(lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size).reshape(a.shape)), params)


def small(problem, network, terms=SOFT, lam=(0.0, 0.3), previous=(0.0, 0.4), q=7, n=3):
    """The loss of a problem at its anchor, and parameters near by."""
    ansatz = Ansatz(problem, network)

    @jax.jit
    def start():
        anchor = ansatz.init(jax.random.key(0))
        x = Stratified().points(jax.random.key(1), q, problem.domain)
        return anchor, biased(anchor), Points(x, jnp.ones(q))

    anchor, params, points = start()
    stage = Stage(jnp.int32(1), place(*lam), place(*previous), jnp.float64(1))
    return Loss(terms, ansatz, anchor, some_inputs(problem, n), points, stage), params


def solved(goal, params, steps):
    """θ after so many Levenberg–Marquardt steps."""
    moment, solver = Moment(jnp.int32(0), jnp.float64(0), 1), LevenbergMarquardt()

    def step(_, carry):
        return solver.step(goal, *carry, moment)[:2]

    run = jax.jit(lambda p: jax.lax.fori_loop(0, steps, step, (p, solver.init(p)))[0])
    return run(params)


# Two equations of one unknown each, alone or as a system that they decouple.


def residual_of(i, u, x, a, lam):
    (x,) = x
    f = a["f"][""] if a else 1.0
    if i == 0:
        return -(lam.eps**2) * u["xx"] + u[""] ** 3 - f * x
    return lam.eps * u["x"] + jnp.sin(u[""]) * (1 + x) + lam.s * f


def lift_of(i, network, x, lam):
    return x[0] * network if i == 0 else 1 + (1 - x[0]) * network * lam.eps


def rows_of(i, u, lam):
    return u["x"] - lam.eps if i == 0 else u[""] ** 2 + u["x"]


WALLS = np.array([[0.0], [0.6], [1.0]])


@dataclasses.dataclass(frozen=True)
class Alone(Problem):
    which: int
    given: bool
    weights: tuple[float, ...] = ()

    domain = INTERVAL
    derivatives = ("", "x", "xx")

    @property
    def inputs(self):
        return {"f": LAW} if self.given else {}

    def residual(self, u, x, a, lam):
        return residual_of(self.which, u, x, a, lam)

    def lift(self, network, x, a, lam):
        return lift_of(self.which, network, x, lam)

    def conditions(self, lam):
        def rows(u, a, lam):
            return rows_of(self.which, u[0], lam)

        return (Condition((WALLS,), ("", "x"), rows),)


@dataclasses.dataclass(frozen=True)
class Pair(Problem):
    given: bool
    weights: tuple[float, ...] = ()

    domain = INTERVAL
    unknowns = ("p", "q")
    derivatives = ("", "x", "xx")

    @property
    def inputs(self):
        return {"f": LAW} if self.given else {}

    def residual(self, u, x, a, lam):
        return jnp.stack([residual_of(i, part(u, i), x, a, lam) for i in (0, 1)])

    def lift(self, network, x, a, lam):
        return jnp.stack([lift_of(i, network[i], x, lam) for i in (0, 1)])

    def conditions(self, lam):
        def rows(u, a, lam):
            return jnp.stack([rows_of(i, part(u[0], i), lam) for i in (0, 1)])

        return (Condition((WALLS,), ("", "x"), rows),)


def part(u, i):
    return {label: value[i] for label, value in u.items()}


def last(layers, columns):
    """A perceptron whose output has these columns alone."""
    name = f"Dense_{len(layers) - 1}"
    cut = {"kernel": layers[name]["kernel"][:, columns], "bias": layers[name]["bias"][columns]}
    return layers | {name: cut}


def output_of(network, params, i):
    """The parameters of output i alone."""
    if isinstance(network, MLP):
        return last(params, slice(i, i + 1))
    if isinstance(network, NonlinearDeepONet):
        decoder = last(params["decoder"], slice(i, i + 1))
        return params | {"decoder": decoder, "bias": params["bias"][i]}
    columns = slice(i * network.rank, (i + 1) * network.rank)
    cut = {name: last(params[name], columns) for name in ("branch", "trunk")}
    return cut | {"bias": params["bias"][i]}


NETWORKS = {
    "mlp": MLP((6, 5)),
    "deeponet": DeepONet((5,), (3,), 4),
    "nonlinear": NonlinearDeepONet((5,), (6,), 3, channels=2, decoder=(4,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_system_that_decouples_is_its_equations(name):
    """Rows and loss; the mean of the equations' losses, each with its weight."""
    network, given = NETWORKS[name], name != "mlp"
    terms = (Residual(), Tangent(0.5), ConditionTerm(3.0))
    goal, params = small(Pair(given), network, terms, lam=(0.2, 0.3))

    w = (2.0, 0.3)
    weighed = dataclasses.replace(goal.ansatz, problem=Pair(given, w))

    @jax.jit
    def everything(params):
        its = []
        for i in (0, 1):
            ansatz = dataclasses.replace(goal.ansatz, problem=Alone(i, given))
            anchor = output_of(network, goal.anchor, i)
            alone = dataclasses.replace(goal, ansatz=ansatz, anchor=anchor)
            its.append(alone.rows(output_of(network, params, i)))
        by_weight = dataclasses.replace(goal, ansatz=weighed).loss(params)[1]
        return its, (goal.rows(params), *goal.loss(params)), by_weight

    its, (rows, total, means), by_weight = everything(params)
    n = 3 if given else 1
    assert rows["residual"].shape == (2, n, 7)
    for i, alone in enumerate(its):
        for term in ("residual", "tangent"):
            assert np.abs(alone[term]).min() > 1e-6
            np.testing.assert_allclose(rows[term][i], alone[term], rtol=1e-11, atol=1e-13)
        block = rows["condition"].reshape(n, 2, 3)[:, i]
        np.testing.assert_allclose(block, alone["condition"], rtol=1e-11, atol=1e-13)
    for found, given_weights in ((means, (1.0, 1.0)), (by_weight, w)):
        for term, loss in found.items():
            shares = (1.0, 1.0) if term == "condition" else given_weights
            halves = [0.5 * np.mean(np.square(alone[term])) for alone in its]
            assert float(loss) == pytest.approx(np.dot(shares, halves) / 2, rel=1e-12)
    weighted = means["residual"] + 0.5 * means["tangent"] + 3 * means["condition"]
    assert float(total) == pytest.approx(float(weighted), rel=1e-12)


def test_the_weight_of_a_single_equation():
    goal, params = small(Alone(0, False), MLP((4,)))
    ansatz = dataclasses.replace(goal.ansatz, problem=Alone(0, False, (0.7,)))
    weighed = dataclasses.replace(goal, ansatz=ansatz)
    before, after = jax.jit(lambda p: (goal.loss(p)[1], weighed.loss(p)[1]))(params)
    assert float(after["residual"]) == pytest.approx(0.7 * float(before["residual"]), rel=1e-12)
    assert float(after["condition"]) == float(before["condition"])


# Manufactured solutions of coupled systems.


@dataclasses.dataclass(frozen=True)
class Coupled(Problem):
    """−ε p″ + p q′ + q = f, q″ + s p′ − p q = g for p = cos 2x, q = x e^(−x) on [−1, 2]."""

    domain = Box((-1.0,), (2.0,))
    unknowns = ("p", "q")
    derivatives = ("", "x", "xx")

    def residual(self, u, x, a, lam):
        (x,) = x
        p, q = u[""]
        p1, q1 = u["x"]
        p2, q2 = u["xx"]
        cos, sin, decay = jnp.cos(2 * x), jnp.sin(2 * x), jnp.exp(-x)
        f = 4 * lam.eps * cos + cos * (1 - x) * decay + x * decay
        g = (x - 2) * decay - 2 * lam.s * sin - cos * x * decay
        return jnp.stack([-lam.eps * p2 + p * q1 + q - f, q2 + lam.s * p1 - p * q - g])

    def lift(self, network, x, a, lam):
        (x,) = x
        p, q = network
        return jnp.stack([math.cos(-2.0) + (x + 1) * p, lam.eps + (4 + x) * q])


@dataclasses.dataclass(frozen=True)
class Exact:
    """A network whose outputs are those that make `Coupled` exact."""

    def init(self, key, dim, sensors, outputs=1, plain=None):
        return {"eps": jnp.float64(0.3)}

    def features(self, params, values, y, labels, embed=None):
        def outputs(points):
            x = -1 + 3 * (embed(points)[:, 0] + 1) / 2
            p = (jnp.cos(2 * x) - math.cos(-2.0)) / (x + 1)
            q = (x * jnp.exp(-x) - params["eps"]) / (4 + x)
            return jnp.stack([p, q])[:, None]

        return jet(outputs, y, labels)

    def decode(self, params, features, y, a):
        return features


@pytest.mark.parametrize(("s", "eps"), [(0.0, 0.3), (0.7, 0.05)])
def test_an_exact_solution_of_a_system_has_no_residual(s, eps):
    ansatz = Ansatz(Coupled(), Exact())
    x = jnp.linspace(-0.9, 1.9, 9)[:, None]

    @jax.jit
    def residual(theirs):
        return ansatz.residual({"eps": jnp.float64(theirs)}, {}, x, place(s, eps))

    h = residual(eps)
    assert h.shape == (2, 1, 9)
    np.testing.assert_allclose(h, 0.0, atol=1e-11)
    wrong = np.abs(residual(eps + 0.1)).max(axis=(1, 2))
    assert np.all(wrong > 1e-3)


class Linear(Problem):
    """−p″ + p + 2q = f, −q″ + x q − p′ = g with zero ends: p = sin πx, q = x (1 − x) e^x."""

    domain = INTERVAL
    unknowns = ("p", "q")
    derivatives = ("", "x", "xx")

    def exact(self, x):
        return jnp.stack([jnp.sin(math.pi * x), x * (1 - x) * jnp.exp(x)])

    def residual(self, u, x, a, lam):
        (x,) = x
        (p, q), (p1, _), (p2, q2) = u[""], u["x"], u["xx"]
        P, Q = self.exact(x)
        f = (math.pi**2 + 1) * P + 2 * Q
        g = x * (x + 3) * jnp.exp(x) + x * Q - math.pi * jnp.cos(math.pi * x)
        return jnp.stack([-p2 + p + 2 * q - f, -q2 + x * q - p1 - g])

    def lift(self, network, x, a, lam):
        return x * (1 - x) * network  # x is (1, 1, q)


def test_levenberg_marquardt_solves_a_coupled_system():
    goal, params = small(Linear(), MLP((10,)), q=30)
    params = solved(goal, params, 150)
    x = jnp.linspace(0.0, 1.0, 101)[:, None]
    u = jax.jit(lambda p: goal.ansatz.jet(p, {}, x, goal.stage.lam, ())[""])(params)
    np.testing.assert_allclose(u[:, 0], Linear().exact(x[:, 0]), atol=1e-6)


@dataclasses.dataclass(frozen=True)
class Ends(Problem):
    """−ε² u″ + u = f with u′ = 0 at both ends, or f′ for f with u = 0 there."""

    neumann: bool

    domain = INTERVAL
    derivatives = ("", "xx")

    def residual(self, u, x, a, lam):
        (x,) = x
        f = x**2 + jnp.sin(3 * x) if self.neumann else 2 * x + 3 * jnp.cos(3 * x)
        return -(lam.eps**2) * u["xx"] + u[""] - f

    def lift(self, network, x, a, lam):
        return network if self.neumann else x[0] * (1 - x[0]) * network

    def conditions(self, lam):
        def slope(u, a, lam):
            return u[0]["x"]

        walls = Condition((np.array([[0.0], [1.0]]),), ("x",), slope)
        return (walls,) if self.neumann else ()


def test_a_neumann_problem_differentiated_is_a_dirichlet_problem():
    x = jnp.linspace(0.0, 1.0, 51)[:, None]
    found = {}
    for problem, label in ((Ends(True), "x"), (Ends(False), "")):
        goal, params = small(problem, MLP((14,)), q=32)
        params = solved(goal, params, 250)

        def there(p, ansatz=goal.ansatz, label=label):
            return ansatz.jet(p, {}, x, goal.stage.lam, (label,))[label]  # noqa: B023

        found[label] = jax.jit(there)(params)
    assert np.abs(found[""]).max() > 0.5
    np.testing.assert_allclose(found["x"], found[""], atol=1e-5)


# Conditions of every kind.

NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
NODES, WEIGHTS = (NODES[:, None] + 1) / 2, WEIGHTS / 2
INSIDE = np.array([[0.25], [0.5], [0.75]])
LEFT, RIGHT = np.array([[0.0]]), np.array([[1.0]])


def robin(u, a, lam):
    return lam.eps * u[0]["x"] - 2 * u[0][""] + 1


def periodic(u, a, lam):
    left, right = u
    return jnp.stack([left[""] - right[""], left["x"] - right["x"]])


def integral(u, a, lam):
    return u[0][""] @ WEIGHTS[:, None] - 1


def moving(u, a, lam):
    return u[0][""] - lam.s * lam.eps


def of_input(u, a, lam):
    return a["f"][""] * u[0][""] + a["f"]["x"] ** 2


CONDITIONS = {
    "robin": Condition((np.array([[0.0], [1.0]]),), ("", "x"), robin),
    "periodic": Condition((LEFT, RIGHT), ("", "x"), periodic),
    "integral": Condition((NODES,), ("",), integral),
    "moving": Condition((INSIDE[:2],), ("",), moving),
    "input": Condition((INSIDE,), ("", "x"), of_input),
}


@dataclasses.dataclass(frozen=True)
class Conditioned(Problem):
    kinds: tuple[str, ...]

    domain = INTERVAL
    derivatives = ("", "xx")
    inputs = {"f": LAW}  # noqa: RUF012

    def residual(self, u, x, a, lam):
        return -lam.eps * u["xx"] + u[""] ** 2 - a["f"][""]

    def lift(self, network, x, a, lam):
        return 1 + lam.eps * network

    def conditions(self, lam):
        return tuple(CONDITIONS[kind] for kind in self.kinds)


def by_hand(goal, params):
    """The rows of every kind, from u, u′, f and f′ one point after the other."""
    s, eps = (float(v) for v in goal.stage.lam)

    @jax.jit
    def at(x):
        u = goal.ansatz.jet(params, goal.inputs, x[None], goal.stage.lam, ("x",))
        f = LAW.field(goal.inputs["f"].coefficients).jet(x[None], ("", "x"))
        return [j[label][:, 0] for j in (u, f) for label in ("", "x")]

    u, u1, f, f1 = (
        lambda *places, k=k: np.stack([at(jnp.asarray([p]))[k] for p in places], 1)
        for k in range(4)
    )
    return {
        "robin": eps * u1(0.0, 1.0) - 2 * u(0.0, 1.0) + 1,
        "periodic": np.concatenate([u(0.0) - u(1.0), u1(0.0) - u1(1.0)], axis=1),
        "integral": (u(*NODES[:, 0]) * WEIGHTS).sum(axis=1, keepdims=True) - 1,
        "moving": u(0.25, 0.5) - s * eps,
        "input": f(0.25, 0.5, 0.75) * u(0.25, 0.5, 0.75) + f1(0.25, 0.5, 0.75) ** 2,
    }


def test_rows_of_conditions_are_what_is_computed_by_hand():
    """Of each kind alone, and of all together in the order of `conditions`."""
    network = DeepONet((5,), (6,), 4)
    everything = tuple(CONDITIONS)
    goal, params = small(Conditioned(everything), network, lam=(0.6, 0.3))
    hand = by_hand(goal, params)
    for kinds in (*((kind,) for kind in CONDITIONS), everything, everything[::-1]):
        ansatz = dataclasses.replace(goal.ansatz, problem=Conditioned(kinds))
        its = dataclasses.replace(goal, ansatz=ansatz, terms=(ConditionTerm(),))
        rows = jax.jit(its.rows)(params)["condition"]
        expected = np.concatenate([hand[kind] for kind in kinds], axis=1)
        assert np.abs(expected).min() > 1e-4
        np.testing.assert_allclose(rows, expected, rtol=1e-11, atol=1e-12)


def test_an_integral_is_one_row_among_the_others():
    """It weighs as much as a row at a point, however many nodes it has."""
    goal, params = small(Conditioned(("moving", "integral")), DeepONet((5,), (6,), 4))
    hand = by_hand(goal, params)
    rows = np.concatenate([hand["moving"], hand["integral"]], axis=1)
    assert rows.shape == (3, 3)
    _, means = jax.jit(goal.loss)(params)
    assert float(means["condition"]) == pytest.approx(0.5 * np.mean(rows**2), rel=1e-11)


@dataclasses.dataclass(frozen=True)
class CoupledConditions(Problem):
    """Of two unknowns: of one of them, of both, between the ends, and an integral."""

    domain = INTERVAL
    unknowns = ("p", "q")
    derivatives = ("", "xx")

    def residual(self, u, x, a, lam):
        p, q = u[""]
        return -lam.eps * u["xx"] + jnp.stack([p * q, p - q**3])

    def conditions(self, lam):
        def one(u, a, lam):
            return u[0]["x"][1] * u[0][""][0]

        def both(u, a, lam):
            (p, q), (p1, q1) = u[0][""], u[0]["x"]
            return jnp.stack([p * q1 - 1, q + p1, p**2])

        def ends(u, a, lam):
            return u[0][""] - u[1]["x"]

        def mean(u, a, lam):
            p, q = u[0][""]
            return (p * q) @ WEIGHTS[:, None] - lam.eps

        return (
            Condition((WALLS,), ("", "x"), one),
            Condition((INSIDE,), ("", "x"), both),
            Condition((LEFT, RIGHT), ("", "x"), ends),
            Condition((NODES,), ("",), mean),
        )


@pytest.mark.parametrize(
    ("problem", "network", "count"),
    [
        (Conditioned(tuple(CONDITIONS)), DeepONet((4,), (5,), 3), 10),
        (CoupledConditions(), MLP((6,)), 15),
    ],
    ids=["one unknown", "two unknowns"],
)
def test_the_jacobian_of_all_conditions_is_that_of_the_rows(problem, network, count):
    goal, params = small(problem, network, (Residual(), ConditionTerm(2.0)), q=5, n=1)
    r, jacobian = jax.jit(goal.jacobian)(params)
    vector, expected = jax.jit(lambda p: (goal.vector(p), jax.jacrev(goal.vector)(p)))(params)
    np.testing.assert_allclose(r, vector, rtol=1e-12)
    assert len(r) == 5 * len(problem.unknowns) + count
    flat = [leaf.reshape(len(r), -1) for leaf in jax.tree.leaves(expected)]
    np.testing.assert_allclose(jacobian, np.concatenate(flat, axis=1), rtol=1e-10, atol=1e-12)


# Rows that are drawn.


@dataclasses.dataclass(frozen=True)
class Walled(Problem):
    """Conditions at many points of the square: nonlinear ones, by letters or by ∇; and others."""

    kind: str = "letters"

    domain = Box((0.0, 0.0), (1.0, 2.0))
    derivatives = ("", "xx", "yy")

    def residual(self, u, x, a, lam):
        return u["xx"] + u["yy"] + u[""] ** 3 - x[0]

    def conditions(self, lam):
        low = np.stack([np.linspace(0, 1, 6), np.zeros(6)], axis=1)
        left = np.stack([np.zeros(5), np.linspace(0.2, 1.8, 5)], axis=1)

        def square(u, a, lam):
            return u[0][""] ** 2 - lam.eps

        def across(u, a, lam):
            normal = u[0][GRADIENT][0] if self.kind == "nabla" else u[0]["x"]
            return normal * u[0][""] + 1

        def mean(u, a, lam):
            return jnp.mean(u[0][""], axis=1, keepdims=True)

        def stacked(u, a, lam):
            return jnp.stack([u[0][""], u[0]["x"], u[0]["y"]])

        def between(u, a, lam):
            return u[0][""] - u[1][""]

        label = GRADIENT if self.kind == "nabla" else "x"
        walls = Condition((low,), ("",), square), Condition((left,), ("", label), across)
        more = {
            "integral": (Condition((left,), ("",), mean),),
            # as many rows as points, none of which has a row of its own
            "by chance": (Condition((left[:3],), ("",), mean),
                          Condition((low[:1],), ("x", "y"), stacked)),
            "ends": (Condition((left, left + np.array([[1.0, 0.0]])), ("",), between),),
        }.get(self.kind, ())  # fmt: skip
        return (*walls, *more)


def test_drawn_rows_are_rows_of_the_whole():
    """Values and slopes: of the residual, and of conditions, one for each point."""
    goal, params = small(Walled(), MLP((5,)), (Residual(2.0), ConditionTerm(3.0)), q=20)
    whole, (r, jacobian) = jax.jit(lambda p: (goal.rows(p), goal.jacobian(p)))(params)

    @jax.jit
    def drawn(key):
        some = goal.drawn(params, key, 4)
        own = some.terms[1].points(some.ansatz, {}, some.stage)
        return some.points.x, own.x, some.rows(params), some.jacobian(params)

    def index(of, among):
        at = [int(np.flatnonzero((np.asarray(among) == x).all(axis=1))[0]) for x in np.asarray(of)]
        assert len(set(at)) == 4
        return at

    own = goal.terms[1].points(goal.ansatz, {}, goal.stage).x
    assert len(own) == 11
    seen = set()
    for seed in range(6):
        x, walls, rows, (few, slopes) = drawn(jax.random.key(seed))
        blocks = (("residual", index(x, goal.points.x), 20, 0, 0),
                  ("condition", index(walls, own), 11, 20, 4))  # fmt: skip
        for name, at, count, first, start in blocks:
            np.testing.assert_allclose(rows[name][0], whole[name][0, np.array(at)], rtol=1e-10)
            # The rows are weighed by the root of weight over count.
            scale = math.sqrt(count / 4)
            some = np.s_[start : start + 4]
            of = first + np.array(at)
            np.testing.assert_allclose(few[some], scale * r[of], rtol=1e-10)
            np.testing.assert_allclose(slopes[some], scale * jacobian[of], rtol=1e-9, atol=1e-12)
        seen |= set(blocks[1][1])
    assert {0, 1, 2, 3, 4, 5} & seen
    assert {6, 7, 8, 9, 10} & seen


@pytest.mark.parametrize("kind", ["integral", "by chance", "ends", "nabla"])
def test_conditions_without_a_point_for_each_row_are_all_kept(kind):
    goal, params = small(Walled(kind), MLP((5,)), q=20)

    def both(key):
        return goal.drawn(params, key, 4).rows(params), goal.rows(params)

    rows, whole = jax.jit(both)(jax.random.key(0))
    assert rows["residual"].shape == (1, 4)
    np.testing.assert_array_equal(rows["condition"], whole["condition"])


# λ in the lift.


class Layer(Problem):
    """−ε u″ + u′ = 1 with zero ends; its exact layer is in the lift, and N = 1 solves it."""

    domain = INTERVAL
    derivatives = ("", "x", "xx")

    def residual(self, u, x, a, lam):
        return -lam.eps * u["xx"] + u["x"] - 1

    def lift(self, network, x, a, lam):
        (x,) = x
        low = jnp.exp(-1 / lam.eps)
        return x * network - (jnp.exp((x - 1) / lam.eps) - low) / (1 - low)


@dataclasses.dataclass(frozen=True)
class Divided(Problem):
    """u g = 1 with a known part g = x + ε² that has λ in it: again N = 1 solves every stage.

    Or u g = 1 + ε, where N follows the path as well.
    """

    moves: bool = False

    domain = INTERVAL

    def known(self, fields, x, lam):
        return {"g": x.T + lam.eps**2}

    def residual(self, u, x, a, lam):
        return u[""] * a["g"][""] - 1 - (lam.eps if self.moves else 0)

    def lift(self, network, x, a, lam):
        return network / a["g"]


def constant(goal, value):
    """Parameters of an MLP whose output is a constant."""
    params = goal.anchor
    name = f"Dense_{len(params) - 1}"
    top = {k: jnp.full_like(v, value * (k == "bias")) for k, v in params[name].items()}
    return params | {name: top}


@pytest.mark.parametrize("problem", [Layer(), Divided()], ids=["lift", "known part"])
def test_where_the_lift_follows_the_path_nothing_is_left_to_do(problem):
    """Euler's step is none, and the tangent's rows vanish to first order in Δλ, not exactly."""
    goal, _ = small(problem, MLP((6, 5)), (Residual(), Tangent()))
    params = constant(goal, 1.0)
    goal = dataclasses.replace(goal, anchor=params)

    plain, step = dataclasses.replace(goal, terms=SOFT), EulerStep(1e-6, guarded=False)

    @jax.jit
    def ahead(eps):
        stage = goal.stage._replace(lam=place(0.0, eps))
        moved = step(dataclasses.replace(plain, stage=stage), params)
        return dataclasses.replace(goal, stage=stage).rows(params), moved

    x, old = goal.points.x.T, 0.4
    for eps in (0.3, 0.39):
        rows, moved = ahead(eps)
        np.testing.assert_allclose(rows["residual"], 0.0, atol=1e-11)
        for before, after in zip(*map(jax.tree.leaves, (params, moved)), strict=True):
            np.testing.assert_allclose(after, before, atol=1e-8)
        if isinstance(problem, Divided):  # g₀ (1/g₁ − 1/g₀) + g₁/g₀ − 1
            g0, g1 = x + old**2, x + eps**2
            expected = g0 / g1 + g1 / g0 - 2
        else:  # H_u is linear, and H in ε: (ε₁ − ε₀) (u₁″ − u₀″)
            second = [-jnp.exp((x - 1) / e) / (1 - jnp.exp(-1 / e)) / e**2 for e in (old, eps)]
            expected = (eps - old) * (second[1] - second[0])
        assert 0 < np.abs(expected).max() < 10 * (eps - old) ** 2 / old**3
        np.testing.assert_allclose(rows["tangent"], expected, rtol=1e-7, atol=1e-13)


def test_eulers_step_goes_as_far_as_the_network_is_to_follow():
    """N = 1 + ε, in whose last layer H is linear: the step from ε = 0.4 ends on it."""
    goal, _ = small(Divided(True), MLP((6, 5)), (Residual(),), lam=(0.0, 0.3))
    params = constant(goal, 1.4)

    @jax.jit
    def rows(params):
        return goal.rows(params)["residual"], goal.rows(EulerStep(1e-6, False)(goal, params))

    before, after = rows(params)
    np.testing.assert_allclose(before, 0.1, rtol=1e-12)
    np.testing.assert_allclose(after["residual"], 0.0, atol=1e-12)
