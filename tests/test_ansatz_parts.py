"""What a problem may add to its ansatz: the jets are those of the function it stands for."""

import dataclasses
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop.ansatz import Ansatz, Functions, columns
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.domain import Box
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.condition import Condition as ConditionTerm
from hop.homotopy.terms.residual import Residual
from hop.laws.gaussian_field import GaussianField
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Condition, Lam, Problem
from hop.samplers import Points

pytestmark = pytest.mark.usefixtures("float64")

LAM = Lam(0.2, 0.3)
INTERVAL = Box((0.0,), (1.0,))
PLANE = Box((0.0, -1.0), (3.0, 0.5))
LAW = GaussianField(INTERVAL, ends="free", length=0.4, std=1.0, sensors=9)
PLANE_LAW = GaussianField(PLANE, ends="free", length=1.0, std=0.7, sensors=4, modes=3)


def made(problem, network, harmonics=4):
    """The ansatz, parameters without zero biases, and three functions of every input."""
    ansatz = Ansatz(problem, network, harmonics)

    @jax.jit
    def start():
        params = jax.tree.map(lambda a: a + 0.2, ansatz.init(jax.random.key(0)))
        inputs = {}
        for i, (name, law) in enumerate(problem.inputs.items()):
            field = law.sample(jax.random.key(i), 3)
            inputs[name] = Functions(law.values(field), field.coefficients)
        return params, inputs

    return ansatz, *start()


def inside(box, count=4):
    """Random points of a box, off its ends."""
    return box.from_unit(jax.random.uniform(jax.random.key(7), (count, box.dim)) * 0.9 + 0.05)


def nested(f, x, labels, letters):
    """∂^label f at points (q, d), of the whole function f: (d,) → any shape, letter by letter."""

    def along(g, axis):
        return lambda p: jax.jacfwd(g)(p)[..., axis]

    def derivative(label):
        g = f
        for letter in label:
            g = along(g, letters.index(letter))
        return g

    def at(p):
        return {label: derivative(label)(p) for label in labels}

    return {k: jnp.moveaxis(v, 0, -1) for k, v in jax.jit(jax.vmap(at))(x).items()}


def agree(found, expected):
    for label, value in expected.items():
        size = np.abs(value).max()
        assert size > 1e-3, label
        np.testing.assert_allclose(found[label], value, rtol=1e-8, atol=1e-9 * size, err_msg=label)


@dataclasses.dataclass(frozen=True)
class Plain(Problem):
    """No lift, nothing added: the network itself."""

    box: Box = INTERVAL
    laws: tuple = ()
    outputs: int = 1
    odd: tuple[str, ...] = ()

    @property
    def domain(self):
        return self.box

    @property
    def inputs(self):
        return dict(self.laws)

    @property
    def unknowns(self):
        return ("u", "v")[: self.outputs]

    def residual(self, u, x, a, lam):
        return u[""]


def value_of(problem, network, params, inputs, lam=LAM):
    """N of a problem as a function of one point."""
    plain = Ansatz(problem, network)

    def raw(p):
        return plain.jet(params, inputs, p[None], lam, ())[""][..., 0]

    return raw


# What a decoder is shown.


@dataclasses.dataclass(frozen=True)
class Shown(Plain):
    """A decoder sees two functions of the place, the input and ε."""

    def shown(self, x, a, lam):
        return a["a"] * jnp.sin(x[0]), jnp.exp(a["a"]) * lam.eps


@pytest.mark.parametrize("odd", [(), ("x",)])
def test_a_decoder_sees_what_the_problem_shows(odd):
    network = NonlinearDeepONet((4,), (4,), 3, channels=2, decoder=(4,))
    problem = Shown(INTERVAL, (("a", LAW),), 1, odd)
    ansatz, params, inputs = made(problem, network)
    assert params["decoder"]["Dense_0"]["kernel"].shape == (2 + 2 + 1, 4)
    field, values = LAW.field(inputs["a"].coefficients), LAW.normalise(inputs["a"].values)

    def raw(p):
        y = INTERVAL.to_reference(p[None])
        features = network.features(params, {"a": values}, p[None], (), INTERVAL.to_reference)[""]
        f = field(p[None])
        seen = {"a": f * jnp.sin(p[0]), "b": jnp.exp(f) * LAM.eps}
        return network.decode(params, features, y, seen)[..., 0]

    def u(p):
        return (raw(p) - raw(1 - p)) / 2 if odd else raw(p)

    x = inside(INTERVAL)
    found = jax.jit(lambda: ansatz.jet(params, inputs, x, LAM, ("xx",)))()
    agree(found, nested(u, x, ("", "x", "xx"), "x"))


# Traces.


def edge(x):
    return jnp.exp(x) * x


@dataclasses.dataclass(frozen=True)
class OnLine(Plain):
    """u = x N(x) − N(1) E(x) in one dimension; or N(1 − x²) in place of N(1)."""

    moving: bool = False

    def traces(self, x):
        return (1 - x**2,) if self.moving else (jnp.ones((1, 1, 1)),)

    def lift(self, network, x, a, lam, there):
        return x[0] * network - there * edge(x[0] / lam.eps)


LINES = {
    "mlp": (MLP((5,)), (), ()),
    "odd operator": (
        NonlinearDeepONet((4,), (4,), 3, channels=2, decoder=(4,)),
        (("a", LAW),),
        ("x",),
    ),
}


@pytest.mark.parametrize(("name", "moving"), [("mlp", False), ("odd operator", True)])
def test_a_trace_in_one_dimension(name, moving):
    network, laws, odd = LINES[name]
    ansatz, params, inputs = made(OnLine(INTERVAL, laws, 1, odd, moving), network)
    raw = value_of(Plain(INTERVAL, laws, 1, odd), network, params, inputs)

    def u(p):
        there = 1 - p**2 if moving else jnp.ones(1)
        return p[0] * raw(p) - raw(there) * edge(p[0] / LAM.eps)

    x = inside(INTERVAL)
    found = jax.jit(lambda: ansatz.jet(params, inputs, x, LAM, ("xx",)))()
    agree(found, nested(u, x, ("", "x", "xx"), "x"))


@dataclasses.dataclass(frozen=True)
class OnPlane(Plain):
    """Several traces: at the right end, at one point for all, and at points that mix x and y."""

    kind: str = "end"

    def traces(self, x):
        x, y = x
        end, here = jnp.full_like(x, 3.0), jnp.asarray([1.0, -0.3]).reshape(2, 1, 1)
        return {
            "end": (jnp.stack([end, y]),),
            "several": (here, jnp.stack([end, y])),
            "mixed": (jnp.stack([1 + x * y / 2, x / 3 - 0.5]),),
        }[self.kind]

    def lift(self, network, x, a, lam, *there):
        x, y = x
        return network * jnp.sin(x) + sum(
            (k + 1) * at**2 * jnp.exp(x * y + lam.eps) for k, at in enumerate(there)
        )


PLANES = {
    "end, odd": ("end", MLP((4,)), (), 1, ("y",)),
    "end, two outputs": ("end", MLP((4,)), (), 2, ()),
    "mixed": ("mixed", MLP((4,)), (), 1, ()),
    "several, operator": ("several", DeepONet((4,), (4,), 3), (("a", PLANE_LAW),), 1, ("x",)),
}


@pytest.mark.parametrize("name", PLANES)
def test_traces_in_two_dimensions(name):
    kind, network, laws, outputs, odd = PLANES[name]
    problem = OnPlane(PLANE, laws, outputs, odd, kind)
    if outputs == 2:
        problem = Stacked(PLANE, laws, outputs, odd, kind)
    ansatz, params, inputs = made(problem, network)
    raw = value_of(Plain(PLANE, laws, outputs, odd), network, params, inputs)

    def u(p):
        x = p[:, None, None]
        points = [trace.reshape(2) for trace in problem.traces(x)]
        traces = [raw(there)[..., None] for there in points]
        return problem.lift(raw(p)[..., None], x, {}, LAM, *traces)[..., 0]

    x = inside(PLANE, 2)
    labels = {"end": ("xx", "xy", "yy"), "mixed": ("xx", "yy"), "several": ("yy",)}[kind]
    found = jax.jit(lambda: ansatz.jet(params, inputs, x, LAM, labels))()
    agree(found, nested(u, x, ("", "y", *labels), "xy"))


class Stacked(OnPlane):
    """Of two outputs, which the lift crosses."""

    def lift(self, network, x, a, lam, there):
        (p, q), (p1, q1) = network, there
        x, y = x
        return jnp.stack([x * p - q1 * y**2, p1 * q * jnp.cos(x)])


# Known parts.


HEAT_LAW = GaussianField(INTERVAL, ends="zero", length=0.2, std=1.0, modes=4, sensors=9)


class Heat(Problem):
    """u_t = ε u_xx + s u u_x, its lift the heat semigroup of u₀ and what is 0 at the start."""

    domain = Box((0.0, 0.0), (1.0, 2.0))
    derivatives = ("", "x", "t", "xx")
    inputs = {"u0": HEAT_LAW}  # noqa: RUF012

    def known(self, fields, x, lam):
        basis = HEAT_LAW.basis
        decay = jnp.exp(-lam.eps * jnp.asarray(basis.eigenvalues)[None] * x[:, 1:])
        return {"heat": fields["u0"].coefficients @ (basis.along(0, x[:, 0]) * decay).T}

    def residual(self, u, x, a, lam):
        heat = a["heat"]
        rest = u["t"] - heat["t"] - lam.eps * (u["xx"] - heat["xx"])
        return rest - lam.s * u[""] * u["x"] + 0 * a["u0"][""]

    def lift(self, network, x, a, lam):
        x, t = x
        return a["heat"] + t * x * (1 - x) * network * (1 + a["u0"])


def test_a_known_part_is_exact():
    network, lam, eps = DeepONet((4,), (4,), 3), LAM, LAM.eps
    ansatz, params, inputs = made(Heat(), network)
    problem, x = ansatz.problem, inside(Heat.domain, 5)
    labels = ("", "x", "t", "xx", "xt", "tt")

    @jax.jit
    def everything():
        jets = ansatz.input_jet(inputs, x, lam, labels)
        return jets, ansatz.jet(params, inputs, x, lam), ansatz.residual(params, inputs, x, lam)

    jets, u, h = everything()
    kappa = np.pi * np.arange(1, 5)
    c = np.asarray(inputs["u0"].coefficients)
    y, t = np.asarray(x).T
    decay = np.exp(-eps * kappa[:, None] ** 2 * t)
    sines, cosines = (np.sqrt(2) * f(kappa[:, None] * y) * decay for f in (np.sin, np.cos))
    exact = {
        "": c @ sines,
        "x": (c * kappa) @ cosines,
        "t": -eps * (c * kappa**2) @ sines,
        "xx": -(c * kappa**2) @ sines,
        "xt": -eps * (c * kappa**3) @ cosines,
        "tt": eps**2 * (c * kappa**4) @ sines,
    }
    agree(jets["heat"], exact)
    np.testing.assert_allclose(jets["u0"][""], c @ (sines / decay), rtol=1e-10)

    raw = value_of(Plain(Heat.domain, tuple(Heat.inputs.items())), network, params, inputs)

    def solution(p):
        y, t = p
        waves = jnp.sqrt(2.0) * jnp.sin(kappa * y)
        heat = c @ (waves * jnp.exp(-eps * kappa**2 * t))
        return heat + t * y * (1 - y) * raw(p) * (1 + c @ waves)

    expected = nested(solution, x, ("", "x", "t", "xx"), "xt")
    agree(u, expected)
    own = {k: {label: jnp.asarray(v) for label, v in jets[k].items()} for k in ("u0", "heat")}
    exactly = problem.residual(expected, columns(x), own, lam)
    np.testing.assert_allclose(h, exactly, rtol=1e-8, atol=1e-9)


def test_an_input_that_solves_the_equation_alone_is_its_own_part():
    """Without the network's share, and without s, the semigroup has no residual."""
    ansatz, params, inputs = made(Heat(), DeepONet((4,), (4,), 3))
    nothing = jax.tree.map(jnp.zeros_like, params)
    x = inside(Heat.domain)
    at = jax.jit(lambda s: ansatz.residual(nothing, inputs, x, Lam(s, 0.05)))
    np.testing.assert_allclose(at(0.0), 0.0, atol=1e-12)
    assert np.abs(at(1.0)).max() > 1e-2


# Trunk features.


@dataclasses.dataclass(frozen=True)
class Layered(Plain):
    """The network sees e^(−x/ε), and a product of x and y with s."""

    def trunk_features(self, x, lam):
        return of_place(x, lam)


def of_place(x, lam):
    return jnp.exp(-x[0] / lam.eps), jnp.sin(x[0] * x[-1] + lam.s)


FEATURED = {
    "mlp": (PLANE, MLP((5,)), (), ()),
    "mlp, odd": (PLANE, MLP((5,)), (), ("x",)),
    "mlp, periodic": (Box((0.0, -1.0), (3.0, 0.5), periodic=("y",)), MLP((5,)), (), ()),
    "operator": (PLANE, DeepONet((4,), (5,), 3), (("a", PLANE_LAW),), ()),
}


@pytest.mark.parametrize("name", FEATURED)
def test_trunk_features_reach_the_network_and_follow_the_path(name):
    """The network of the place, with the features beside its coordinates, written out."""
    box, network, laws, odd = FEATURED[name]
    ansatz, params, inputs = made(Layered(box, laws, 1, odd), network)
    kernel = (params if isinstance(network, MLP) else params["trunk"])["Dense_0"]["kernel"]
    assert len(kernel) == (2 * 4 + 1 if box.periodic else 2) + 2
    middle, total = (np.add(box.lower, box.upper) / 2, np.subtract(box.upper, box.lower))
    values = {k: law.normalise(inputs[k].values) for k, law in laws}

    def raw(p, lam):
        y = 2 * (p - middle) / total
        if box.periodic:
            waves = jnp.pi * jnp.arange(1.0, 5.0) * y[1]
            seen = [jnp.cos(waves), jnp.sin(waves), y[:1]]
        else:
            seen = [y]
        seen = jnp.concatenate([*seen, jnp.stack(of_place(p, lam))])[None]
        F = network.features(params, values, seen, ())[""]
        plain = y[:1] if box.periodic else y
        a = {k: law.normalise(law.field(inputs[k].coefficients)(p[None])) for k, law in laws}
        return network.decode(params, F, plain[None], a)[:, 0]

    def u(p, lam):
        mirrored = p * jnp.array([-1.0, 1.0]) + jnp.array([3.0, 0.0])
        return (raw(p, lam) - raw(mirrored, lam)) / 2 if odd else raw(p, lam)

    x, labels = inside(PLANE, 3), ("", "x", "y", "xx", "xy")
    of = jax.jit(lambda lam: ansatz.jet(params, inputs, x, lam, labels))
    seen = []
    for lam in (LAM, Lam(0.9, 0.1)):
        found = of(lam)
        agree(found, nested(lambda p, lam=lam: u(p, lam), x, labels, "xy"))
        seen.append(found[""])
    assert np.abs(seen[0] - seen[1]).min() > 1e-6


# A reduced residual.


def test_a_reduced_residual_is_that_of_the_lifted_jet():
    path = Path(hop.__file__).parents[1] / "examples" / "convection_diffusion.py"
    problem = runpy.run_path(str(path))["ConvectionDiffusion"]()
    ansatz, params, inputs = made(problem, DeepONet((6,), (6,), 5))
    x = jnp.linspace(0.0, 1.0, 9)[:, None]

    @jax.jit
    def both(eps):
        lam = Lam(0.0, eps)
        u, a = ansatz.jet(params, inputs, x, lam), ansatz.input_jet(inputs, x, lam)
        plain = problem.residual(u, columns(x), a, lam)
        return plain, ansatz.residual(params, inputs, x, lam), u[""]

    for eps in (0.3, 0.1):
        expected, found, u = both(eps)
        assert np.abs(expected).min() > 1e-3
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(u[:, [0, -1]], 0.0, atol=1e-13)


def test_rows_at_one_point_see_the_trace_that_all_points_see():
    """The Jacobian goes point by point, and the trace is one point for all."""
    ansatz, params, _ = made(OnLine(), MLP((4,)))
    stage = Stage(jnp.int32(1), LAM, LAM, jnp.float64(1))
    goal = Loss((Residual(),), ansatz, params, {}, Points(inside(INTERVAL), jnp.ones(4)), stage)
    both = jax.jit(lambda p: (goal.jacobian(p)[1], jax.jacrev(goal.vector)(p)))
    jacobian, expected = both(params)
    flat = [leaf.reshape(4, -1) for leaf in jax.tree.leaves(expected)]
    np.testing.assert_allclose(jacobian, np.concatenate(flat, axis=1), rtol=1e-10, atol=1e-12)


# Δ and ∇ of operators.


@dataclasses.dataclass(frozen=True)
class Reading(Plain):
    """A lift that is not linear, reads the input, and knows a part of it."""

    def known(self, fields, x, lam):
        return {"b": lam.eps * fields["a"](x) ** 2 * x.T[:1]}

    def lift(self, network, x, a, lam):
        return jnp.tanh(network) * a["a"] + a["b"] * x[0] * network


BOX = Box((0.0, -1.0, 0.0), (3.0, 0.5, 2.0))
OPERATORS = {
    "deeponet": DeepONet((4,), (5,), 3),
    "branch first": DeepONet((4,), (2,), 3),
    "nonlinear": NonlinearDeepONet((4,), (5,), 3, channels=2, decoder=(4,)),
}


@pytest.mark.parametrize(
    ("name", "time", "odd"),
    [
        ("deeponet", False, ()),
        ("branch first", True, ()),
        ("nonlinear", False, ("y",)),
        ("nonlinear", True, ()),
    ],
)
def test_laplacian_and_gradient_of_an_operator(name, time, odd):
    """Δ = u_xx + u_yy and ∇ = (u_x, u_y) on a rectangle of unequal sides, also beside t."""
    box, laws = BOX if time else PLANE, (("a", PLANE_LAW),)
    ansatz, params, inputs = made(Reading(box, laws, 1, odd), OPERATORS[name])
    x = inside(box, 5)
    asked = (LAPLACIAN, GRADIENT, "t") if time else (LAPLACIAN, GRADIENT)

    @jax.jit
    def both():
        spelled = ansatz.jet(params, inputs, x, LAM, ("xx", "yy", *("t" for _ in asked[2:])))
        return ansatz.jet(params, inputs, x, LAM, asked), spelled

    found, spelled = both()
    gradient = jnp.stack([spelled["x"], spelled["y"]])
    expected = {"": spelled[""], LAPLACIAN: spelled["xx"] + spelled["yy"], GRADIENT: gradient}
    agree(found, expected | ({"t": spelled["t"]} if time else {}))
    assert found[GRADIENT].shape == (2, 3, 5)
    if odd and not time:

        def u(p):
            return ansatz.jet(params, inputs, p[None], LAM, ())[""][:, 0]

        agree(spelled, nested(u, x, ("xx", "yy"), "xy"))


class InTime(Plain):
    """A condition that names ∇ and Δ alone, of a problem in time."""

    derivatives = ("t", LAPLACIAN)

    def known(self, fields, x, lam):
        return {"b": (x[:, :1] ** 2 * x[:, 1:2] ** 3 * x[:, 2:] ** 4).T}

    def conditions(self, lam):
        def rows(u, a, lam):
            return jnp.concatenate([
                jnp.stack([u[0][LAPLACIAN], a["b"][LAPLACIAN]]), u[0][GRADIENT], a["b"][GRADIENT]
            ])  # fmt: skip

        wall = np.array([[0.5, 0.2, 1.0], [1.0, -0.5, 1.5]])
        return (Condition((wall,), (LAPLACIAN, GRADIENT), rows),)


def test_in_time_a_condition_reads_derivatives_over_space_alone():
    ansatz, params, _ = made(InTime(BOX), MLP((4,)))
    stage = Stage(jnp.int32(1), LAM, LAM, jnp.float64(1))
    points = Points(inside(BOX), jnp.ones(4))
    goal = Loss((ConditionTerm(),), ansatz, params, {}, points, stage)
    wall = jnp.asarray(ansatz.problem.conditions(LAM)[0].points[0])
    rows, u = jax.jit(
        lambda: (goal.rows(params)["condition"], ansatz.jet(params, {}, wall, LAM, ("xx", "yy")))
    )()
    x, y, t = wall.T
    b = jnp.stack([2 * y**3 + 6 * x**2 * y, 2 * x * y**3, 3 * x**2 * y**2]) * (t**4)[None]
    lap, over = u["xx"] + u["yy"], jnp.stack([u["x"], u["y"]])
    expected = jnp.concatenate([lap, b[:1], over[:, 0], b[1:]])
    np.testing.assert_allclose(rows, expected.reshape(1, -1), rtol=1e-9, atol=1e-12)


# Periodic coordinates.


CIRCLES = Box((0.0, -1.0, 0.0), (3.0, 0.5, 1.0), periodic=("x", "y"))
TORUS_LAW = GaussianField(
    Box(CIRCLES.lower[:2], CIRCLES.upper[:2]), ends="periodic", length=0.8, modes=2, sensors=5
)


@pytest.mark.parametrize("name", ["mlp", "deeponet", "nonlinear"])
def test_a_torus_has_no_ends(name):
    """u and its derivatives agree where two ends meet; all else differs."""
    network = {"mlp": MLP((5,)), **OPERATORS}[name]
    laws = () if name == "mlp" else (("a", TORUS_LAW),)
    ansatz, params, inputs = made(Plain(CIRCLES, laws), network, harmonics=3)
    layers = params if name == "mlp" else params["trunk"]
    assert len(layers["Dense_0"]["kernel"]) == 2 * 2 * 3 + 1  # cos and sin of both, and t
    if name == "nonlinear":
        seen = network.channels + 1 + 1  # features, a and t: no periodic coordinate
        assert len(params["decoder"]["Dense_0"]["kernel"]) == seen
    of = jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM, ("xx", "yy", "xy")))
    x = inside(CIRCLES)
    for axis, letter in enumerate("xy"):
        low, high = (of(x.at[:, axis].set(ends[axis])) for ends in (CIRCLES.lower, CIRCLES.upper))
        middle = of(x.at[:, axis].set((CIRCLES.lower[axis] + CIRCLES.upper[axis]) / 2))
        for label in ("", letter, 2 * letter, "xy"):
            scale = np.abs(low[label]).max()
            np.testing.assert_allclose(high[label], low[label], atol=1e-11 * max(1, scale))
            assert np.abs(middle[label] - low[label]).min() > 1e-5
    low, high = (of(x.at[:, 2].set(end))[""] for end in (0.0, 1.0))
    assert np.abs(high - low).min() > 1e-5


class Showing:
    """A network that shows what the layers see."""

    def init(self, key, dim, sensors, outputs=1, plain=None):
        return {"dim": jnp.zeros(dim), "plain": jnp.zeros(plain)}

    def features(self, params, values, y, labels, embed=None):
        return {k: jnp.swapaxes(v, -1, -2)[..., None, :] for k, v in jet(embed, y, labels).items()}

    def decode(self, params, features, y, a):
        return features


@pytest.mark.parametrize("harmonics", [1, 3])
def test_layers_see_the_harmonics_of_periodic_coordinates(harmonics):
    """cos 2πmx/L and sin 2πmx/L for m = 1 … M, up to the sign of a shift by half a period."""
    box = Box((0.0, -1.0), (3.0, 0.5), periodic=("y",))
    ansatz, params, _ = made(Plain(box), Showing(), harmonics)
    assert (len(params["dim"]), len(params["plain"])) == (2 * harmonics + 1, 1)
    x = inside(box)
    seen = ansatz.jet({}, {}, x, LAM, ("y",))
    m = np.arange(1, harmonics + 1)
    angle = 2 * np.pi * m[:, None] * (np.asarray(x[:, 1]) + 1) / 1.5
    signs = (-1.0) ** m[:, None]
    waves = signs * np.stack([np.cos(angle), np.sin(angle)])
    expected = np.concatenate([*waves, 2 * x[:, :1].T / 3 - 1])
    np.testing.assert_allclose(seen[""][:, 0], expected, atol=1e-12)
    slopes = 2 * np.pi * m[:, None] / 1.5 * signs * np.stack([-np.sin(angle), np.cos(angle)])
    np.testing.assert_allclose(seen["y"][:-1, 0], np.concatenate([*slopes]), atol=1e-11)
