"""Derivatives along a curve: the residual stays what it is, and takes a derivative less."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop.ansatz import Ansatz
from hop.curves import LINES, curve_of
from hop.derivatives import GRADIENT, LAPLACIAN, closure
from hop.domain import Box
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.tangent import Tangent
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam, Problem
from hop.problems.burgers_time import BurgersTime
from hop.samplers import Points

pytestmark = pytest.mark.usefixtures("float64")

LAM, TIME = Lam(0.25, 0.1), Box((0.0, 0.0), (1.0, 2.0))
FLOW = Box((-1.0, 0.0), (1.0, 1.0), periodic=("x",))


@dataclasses.dataclass(frozen=True)
class Moving(Problem):
    """(1 + s) e^x u_t + u u_x − ε² u_xx = f, odd in x, with what a network can be shown."""

    domain = FLOW
    derivatives = ("", "x", "t", "xx")
    odd = ("x",)
    inputs: ClassVar = {
        "f": hop.GaussianField(FLOW, ends=("periodic", "free"), length=0.4, std=1.0),
        "kappa": hop.LogUniform(0.1, 10.0),
    }

    def residual(self, u, x, a, lam):
        x, _ = x
        flow = (1 + lam.s) * jnp.exp(x) * u["t"] + u[""] * u["x"]
        return flow - lam.eps**2 * u["xx"] - a["f"][""] + a["f"]["t"] * a["f"]["x"]

    def lift(self, network, x, a, lam):
        x, t = x
        return jnp.sin(jnp.pi * x) * jnp.exp(-t / lam.eps) + t * (1 + a["f"]) * network**2

    def trunk_features(self, x, lam):
        x, t = x
        return (jnp.cos(jnp.pi * x) * jnp.exp(-t),)

    def shown(self, x, a, lam):
        x, t = x
        return a["f"], jnp.log(a["kappa"]) * jnp.cos(jnp.pi * x) * t


@dataclasses.dataclass(frozen=True)
class Dispersive(Problem):
    """u_t + u u_x + ε u_xxx, of third order."""

    domain = FLOW
    derivatives = ("", "x", "t", "xxx")

    def residual(self, u, x, a, lam):
        return u["t"] + u[""] * u["x"] + lam.eps * u["xxx"]

    def lift(self, network, x, a, lam):
        x, t = x
        return jnp.cos(jnp.pi * x) + jnp.sin(t * x) * network


@dataclasses.dataclass(frozen=True)
class Layer(Problem):
    """u_y − ε u_xx in N: a parabolic layer, whose residual is written in the network's output."""

    domain = Box((0.0, 0.0), (1.0, 1.0))
    derivatives = ("", "y", "xx")

    def residual(self, u, x, a, lam):
        return u["y"] - lam.eps * u["xx"]

    def reduced_residual(self, N, x, a, lam):
        return 2 * N["y"] - jnp.sqrt(lam.eps) * N["xx"] + N[""]

    def lift(self, network, x, a, lam):
        x, y = x
        return x + y * network


@dataclasses.dataclass(frozen=True)
class Spreading(Problem):
    """u_t + (1 + u) u_x − ε Δu = f in the plane, odd in y."""

    domain = Box((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), periodic=("x",))
    derivatives = ("", "t", GRADIENT, LAPLACIAN)
    odd = ("y",)
    inputs: ClassVar = {
        "f": hop.GaussianField(FLOW, ends=("periodic", "free"), length=0.4, axes="xy")
    }

    def residual(self, u, x, a, lam):
        flow = u["t"] + (1 + u[""]) * u[GRADIENT][0]
        return flow - lam.eps * u[LAPLACIAN] - a["f"][GRADIENT][1] * a["f"][LAPLACIAN]

    def lift(self, network, x, a, lam):
        x, y, t = x
        return a["f"] * jnp.exp(-t * y) + t * jnp.sin(jnp.pi * x) * network


@dataclasses.dataclass(frozen=True)
class Spelled(Spreading):
    """The same by its letters."""

    derivatives = ("", "t", "x", "xx", "yy")

    def residual(self, u, x, a, lam):
        flow = u["t"] + (1 + u[""]) * u["x"]
        return flow - lam.eps * (u["xx"] + u["yy"]) - a["f"]["y"] * (a["f"]["xx"] + a["f"]["yy"])


@dataclasses.dataclass(frozen=True)
class Known(BurgersTime):
    """The same around the heat semigroup of u₀, which depends on t by the network's side."""

    def known(self, fields, x, lam):
        (u0,) = fields.values()
        x, t = x.T
        return {"later": jnp.exp(-t)[None, :] * u0.jet(jnp.stack([x, t], axis=1), ("",))[""]}

    def lift(self, network, x, a, lam):
        _, t = x
        return a["later"] * (1 + t) + t * network


PLAIN, DECODED = DeepONet((7,), (8, 8), 6), NonlinearDeepONet((7,), (8,), 4, channels=3)
CASES = [
    (BurgersTime(), PLAIN, (), 4, "xx"),
    (BurgersTime(), DECODED, (), 4, "xx"),
    (BurgersTime(), DECODED, (0.01, 1.0), 4, "xx"),  # ε is an input, and κ differs by point
    (Known(), dataclasses.replace(DECODED, activation="swish"), (), 4, "xx"),
    (Moving(), dataclasses.replace(DECODED, activation="sin"), (), 4, "xx"),
    (Dispersive(), MLP((6, 6)), (), 5, "xxx"),
    (Layer(), MLP((6, 6)), (), 4, "xx"),
    (Spreading(), DECODED, (), 4, LAPLACIAN),
    (Spelled(), PLAIN, (), 6, "xx"),
]


def start(problem, network, eps):
    """An ansatz with parameters, functions, points and a λ."""
    ansatz, box = Ansatz(problem, network, eps=eps), problem.domain
    low, high = np.array(box.lower), np.array(box.upper)
    at_random = np.random.default_rng(0).random((9, box.dim))
    x = jnp.asarray(low + (high - low) * at_random)
    lam = LAM._replace(eps=0.01 + at_random[:, :1].T) if eps else LAM

    @jax.jit
    def made():
        params = jax.tree.map(lambda leaf: leaf + 0.1, ansatz.init(jax.random.key(0)))
        laws = enumerate(problem.inputs.items())
        drawn = {name: law.values(law.sample(jax.random.key(k), 3)) for k, (name, law) in laws}
        return params, ansatz.inputs(drawn)

    return ansatz, *made(), x, lam


@pytest.mark.parametrize(("problem", "network", "eps", "labels", "label"), CASES)
def test_a_residual_along_a_curve_is_that_along_the_axes(problem, network, eps, labels, label):
    """Its values, its slope in the parameters and that in ε, through all that reads the place."""
    ansatz, params, inputs, x, lam = start(problem, network, eps)

    def by_axes(params, lam):
        a = ansatz.input_jet(inputs, x, lam)
        return ansatz.equation(ansatz.reads(params, inputs, x, lam), x, a, lam)

    def by_curve(params, lam):
        return ansatz.residual(params, inputs, x, lam)

    def all_of(residual):
        def square(params, lam):
            return jnp.mean(residual(params, lam) ** 2)

        return residual(params, lam), jax.grad(square, argnums=(0, 1))(params, lam)

    expected, found = jax.jit(lambda: (all_of(by_axes), all_of(by_curve)))()
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9 * np.abs(one).max())
    assert bends(ansatz, inputs, x, lam) == label


def bends(ansatz, inputs, x, lam):
    """The derivative along the curve that a residual is taken along; "" where there is none."""
    labels = []

    @jax.jit
    def found():
        a = ansatz.input_jet(inputs, x, lam)
        labels.append(curve_of(ansatz.equation, ansatz.derivatives, x, a, lam).label)
        return a

    jax.eval_shape(found)
    return labels[0]


def of(residual, **more):
    """A problem in time with this residual of (u, (x, t), a, λ)."""
    called = staticmethod(lambda u, x, a, lam: residual(u, tuple(x), a, lam))
    members = {"domain": TIME, "derivatives": ("", "x", "t", "xx"), "residual": called}
    return type("Own", (Problem,), members | more)()


HEAT = Moving.inputs["kappa"]
KEPT = {
    "as it is": lambda u, x, a, lam: u["t"] - lam.eps * u["xx"],
    "a factor of the place": lambda u, x, a, lam: jnp.exp(x[1]) / lam.eps * u["t"] - 3 * u["xx"],
    "a function of it under jit": lambda u, x, a, lam: jax.jit(jnp.sin)(x[0]) * u["t"] + u["xx"],
    "the lower one absent at s = 1": lambda u, x, a, lam: (1 - lam.s) * u["t"] + jnp.sqrt(
        lam.eps
    ) * u["xx"],
    "a source": lambda u, x, a, lam: u["t"] - 2 * u["xx"] + jnp.where(u[""] > 0, a["k"][""], 1.0),
}  # fmt: skip
REFUSED = {
    "a square": lambda u, x, a, lam: u["t"] ** 2 - lam.eps * u["xx"],
    "a product with itself": lambda u, x, a, lam: u["t"] * u["t"] - lam.eps * u["xx"],
    "a quotient of both": lambda u, x, a, lam: u["t"] / (1 + u["t"]) - lam.eps * u["xx"],
    "its inverse": lambda u, x, a, lam: 1 / u["t"] - lam.eps * u["xx"],
    "one that underflows": lambda u, x, a, lam: u["t"] - jnp.exp(-x[0] / lam.eps) * u["xx"],
    "a high power of eps": lambda u, x, a, lam: u["t"] - lam.eps**7 * u["xx"],
    "few digits": lambda u, x, a, lam: (u["t"] - lam.eps * u["xx"]).astype(jnp.float16),
    "one equation of several": lambda u, x, a, lam: (u["t"] - lam.eps * u["xx"])[None],
    "numbers of each function": lambda u, x, a, lam: np.ones((2, 4)) * u["t"] - lam.eps * u["xx"],
    "a branch on numbers": lambda u, x, a, lam: u["t"] - lam.eps * u["xx"] if lam.s < 1 else u["t"],
    "a factor of u": lambda u, x, a, lam: u[""] * u["t"] - lam.eps * u["xx"],
    "a product of both": lambda u, x, a, lam: u["t"] * u["xx"] + u["xx"],
    "a factor of an input": lambda u, x, a, lam: u["t"] - a["k"][""] * u["xx"],
    "one that may vanish": lambda u, x, a, lam: u["t"] - (1 - lam.s) * lam.eps * u["xx"],
    "one that vanishes somewhere": lambda u, x, a, lam: u["t"] - x[0] * u["xx"],
    "the absolute value": lambda u, x, a, lam: jnp.abs(u["t"]) - lam.eps * u["xx"],
    "what has no slope": lambda u, x, a, lam: jax.lax.stop_gradient(u["t"]) - lam.eps * u["xx"],
    "a sign": lambda u, x, a, lam: jnp.sign(u["t"]) * u[""] - lam.eps * u["xx"],
    "an integer": lambda u, x, a, lam: u["t"].astype(int).astype(float) - lam.eps * u["xx"],
    "through a function": lambda u, x, a, lam: jax.nn.relu(u["t"]) - lam.eps * u["xx"],
}


@pytest.mark.parametrize(("residual", "label"), [
    *(pytest.param(residual, "xx", id=name) for name, residual in KEPT.items()),
    *(pytest.param(residual, "", id=name) for name, residual in REFUSED.items()),
])  # fmt: skip
def test_what_a_residual_must_be(residual, label):
    ansatz = Ansatz(of(residual, inputs={"k": HEAT}), PLAIN)
    inputs = ansatz.inputs({"k": jnp.ones((2, 1))})
    assert bends(ansatz, inputs, jnp.ones((4, 2)), LAM) == label


@pytest.mark.parametrize(("dim", "labels", "found"), [
    (3, ("", "t", "xx", "yy"), ("xx", "t")),
    (2, ("", "t", "xt", "xx"), None),  # u_t is a part of u_xt
    (2, ("", "t", "tt", "xx"), None),
    (2, ("", "x", "t"), None),
    (1, ("", "x", "xx"), None),
    (20, ("", "x", "xx"), None),
    (2, ("", "t", "xx", "xxx"), ("xxx", "t")),
    (2, ("", "y", "xx"), ("xx", "y")),
    (2, ("", "x", "yy"), None),  # x is not the last coordinate
    (3, ("", "t", "∇", "Δ"), ("Δ", "t")),
    (3, ("", "t", "∇", "yy"), ("yy", "t")),
    (3, ("", "t", "xx", "Δ"), None),  # u_xx would hold u_t as well
    (2, ("", "y", "Δ"), None),  # Δ is over y too
    (2, ("", "y", "∇", "xx"), None),
])  # fmt: skip
def test_which_derivatives_go_together(dim, labels, found):
    def residual(u, x, a, lam):
        return sum(u[label].sum(axis=0) if label == GRADIENT else u[label] for label in labels)

    curve = curve_of(residual, closure(labels), jnp.ones((4, dim)), {}, LAM)
    assert (curve.label, curve.letter) == (found or ("", ""))


def asked(problem, *terms):
    """The derivatives that a network is asked for, call by call, for the rows of some terms."""
    calls = []

    class Noting(MLP):
        def features(self, params, values, y, labels, embed=None):
            calls.append({*labels})
            return super().features(params, values, y, labels, embed)

    ansatz = Ansatz(problem, Noting((4,)))
    params, stage = ansatz.init(jax.random.key(0)), Stage(1, LAM, LAM, 1.0)
    points = Points(jnp.ones((3, 2)), jnp.ones(3))
    rows = Loss(terms, ansatz, params, {}, points, stage).rows(params)
    assert all(block.shape[-2:] == (1, 3) for block in rows.values())
    return calls


ALL = {"", "x", "t", "xx"}


def test_the_network_is_asked_for_less_unless_a_term_reads_the_jet():
    """And then but once, for both terms, beside the network of the last stage."""
    heat = of(KEPT["as it is"])
    assert asked(heat, Residual()) == [ALL - {"t"}]
    assert asked(heat, Residual(), Tangent()) == [ALL, ALL]


def test_a_system_and_an_integral_keep_all_derivatives():
    assert asked(of(KEPT["as it is"], unknowns=("p", "n")), Residual()) == [ALL]
    assert asked(of(KEPT["as it is"], pointwise=False), Residual()) == [ALL]


def test_lines_change_nothing():
    jet, x = {"": jnp.ones((1, 3)), "t": jnp.ones((1, 3))}, jnp.ones((3, 2))
    assert LINES.along(jet) is jet
    assert LINES.spelled(jet) is jet
    assert LINES.points(x) is LINES.free(x) is x
    assert LINES.labels(jet) == ("", "t")
