"""The gauge finds the slow mode's σ, the error that a residual hides, and where it cannot know."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Free
from scipy import fft

import hop
from hop import evaluation
from hop.ansatz import Ansatz
from hop.console import table
from hop.derivatives import jet
from hop.evaluation import Judge
from hop.laws.named import NAMED
from hop.operators import Operator
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.references.chebyshev import differentiation_matrix, integration_matrix, lobatto
from hop.trust import Gauge


class FreeBurgers(BurgersSteady):
    def lift(self, network, x, a, lam):
        return network


PROBLEMS = {"allen-cahn": Free(), "burgers": FreeBurgers()}


@dataclasses.dataclass(frozen=True)
class Polynomial:
    """A network that is the Chebyshev series of its parameters: {"c": (n, K)}."""

    def init(self, key, dim, sensors, outputs=1, plain=None):
        raise NotImplementedError

    def features(self, params, values, y, labels, embed=None):
        c = params["c"]

        def series(points):  # Clenshaw's recurrence
            points = embed(points)
            zero = jnp.zeros((c.shape[0], points.shape[0]), points.dtype)

            def step(carry, ck):
                one, two = carry
                return (ck[:, None] + 2 * points[:, 0][None, :] * one - two, one), None

            (one, two), _ = jax.lax.scan(step, (zero, zero), c.T[:0:-1])
            return (c[:, :1] + points[:, 0][None, :] * one - two).T

        return {k: v.T[None] for k, v in jet(series, y, labels).items()}

    def decode(self, params, features, y, a):
        return features[0]


DEGREE = 300
X = lobatto((0.0, 1.0), DEGREE)
WEIGHTS = integration_matrix(DEGREE)[-1]
NO_INPUT = NAMED["unit"].field(np.zeros((1, 64)))


def profile(name, eps):
    """A solution to some digits: its interface or shock, and the smooth part beside it."""
    if name == "allen-cahn":
        u = np.tanh((X - 0.5) / (math.sqrt(2) * eps))
        return u / u[-1]
    return -np.sin(np.pi * X) * np.tanh((X - 0.5) / (2 * eps))


def operator(name, eps, values=None, s=0.0, field=NO_INPUT):
    """An operator whose solution is the polynomial of these values at X, and its sensor values."""
    problem = PROBLEMS[name]
    u0 = None
    if problem.inputs:
        with jax.enable_x64(True):
            u0 = np.asarray(problem.inputs["u0"].values(field))
    values = np.atleast_2d(profile(name, eps) if values is None else values)
    c = fft.dct(values[:, ::-1], type=1) / DEGREE
    c[:, [0, -1]] /= 2
    return Operator(Ansatz(problem, Polynomial()), {"c": c}, Lam(s, eps)), u0


def exact(name, eps):
    a = dict.fromkeys(PROBLEMS[name].inputs, NO_INPUT)
    return PROBLEMS[name].reference(a, X[:, None], Lam(0.0, eps))[0]


def slow_mode(name, eps, u):
    """φ, of unit norm, from A by differentiation matrices: another discretisation."""
    d = differentiation_matrix(X)
    if name == "allen-cahn":
        a = eps**2 * d @ d + np.diag(1 - 3 * u**2)
    else:
        a = -eps * d @ d + np.diag(u) @ d + np.diag(d @ u)
    root = np.sqrt(WEIGHTS[1:-1])
    *_, right = np.linalg.svd(root[:, None] * a[1:-1, 1:-1] / root)
    return np.pad(right[-1] / root, 1)


def norm(values):
    return math.sqrt(WEIGHTS @ values**2)


@pytest.mark.parametrize(
    ("name", "eps", "sigma", "rel"),
    [
        ("allen-cahn", 0.5, 1.9058, 1e-4),
        ("allen-cahn", 0.2, 5.9740e-2, 1e-4),
        ("allen-cahn", 0.1, 6.8547e-5, 1e-4),
        # The asymptotic law 96 exp(−√2/ε), which fits ε = 0.1 to 1 %.
        ("allen-cahn", 0.05, 96 * math.exp(-math.sqrt(2) / 0.05), 0.01),
        ("allen-cahn", 0.04, 96 * math.exp(-math.sqrt(2) / 0.04), 0.05),
        # Singular values of the collocation by differentiation matrices, another discretisation.
        ("burgers", 0.1, 4.8700e-1, 1e-4),
        ("burgers", 0.05, 2.6793e-2, 1e-4),
        ("burgers", 0.04, 5.4561e-3, 1e-4),
        ("burgers", 0.02, 1.8400e-6, 1e-4),
    ],
)
def test_sigma_is_that_of_the_solution(name, eps, sigma, rel):
    """Although it is given a profile that solves the equation to a few digits only."""
    found = hop.gauge(*operator(name, eps), nodes=400)
    assert found.sigma[0] == pytest.approx(sigma, rel=rel)
    assert found.resolved[0]
    assert found.place[0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("name", "eps"), [("allen-cahn", 0.2), ("burgers", 0.1)])
def test_it_recovers_a_known_error(name, eps):
    """The error along the mode, and where u crosses zero, from the residual alone."""
    u = exact(name, eps)
    error = 1e-3 * slow_mode(name, eps, u)
    op, u0 = operator(name, eps, u + error)
    found = hop.gauge(op, u0)
    assert found.error[0] == pytest.approx(1e-3, rel=0.02)
    assert found.relative[0] == pytest.approx(1e-3 / norm(u), rel=0.02)
    moved = error[DEGREE // 2] / (differentiation_matrix(X) @ u)[DEGREE // 2]
    assert found.shift[0] == pytest.approx(abs(moved), rel=0.02)
    # u_θ = u + e is u(x − d) where e = −d u_x.
    assert found.offset[0] == pytest.approx(-moved, rel=0.02)


def test_an_error_off_the_mode_is_hardly_seen():
    """The control: ten times the error, odd about ½ where the mode is even."""
    u = exact("burgers", 0.1)
    op, u0 = operator("burgers", 0.1, u + 1e-2 * np.sin(2 * np.pi * X))
    found = hop.gauge(op, u0)
    assert found.error[0] < 1e-6
    assert found.shift[0] < 1e-6


def test_sigma_is_not_fooled_by_other_errors():
    """At u_θ itself σ would be of the order of this error, 1e-3, and look safe; it is 5e-11."""
    off = 1e-3 * (np.sin(2 * np.pi * X) + np.sin(3 * np.pi * X))
    found = hop.gauge(*operator("allen-cahn", 0.05, profile("allen-cahn", 0.05) + off))
    assert found.sigma[0] < 1e-9
    assert found.shift[0] > 0.1  # and the residual, quadratic in that error, places nothing


@pytest.mark.parametrize("eps", [0.02, 0.005])
def test_below_rounding_it_says_so(eps):
    found = hop.gauge(*operator("allen-cahn", eps), nodes=400)
    assert not found.resolved[0]
    assert found.shift[0] == found.error[0] == found.relative[0] == math.inf
    assert found.sigma[0] == found.floor[0]


def test_far_from_any_solution_nothing_is_known():
    found = hop.gauge(*operator("allen-cahn", 0.1, 1e3 * np.sin(9 * np.pi * X)))
    assert np.isnan(found.sigma[0])
    assert not found.resolved[0]
    assert found.shift[0] == math.inf


def test_every_function_has_its_own_gauge():
    """At s > 0 the principal eigenvalue is at least s; a function does not feel the others."""
    with jax.enable_x64(True):
        field = NAMED["unit"].sample(jax.random.key(0), 3)
        start = np.asarray(field(jnp.asarray(X)))
    op, u0 = operator("burgers", 0.2, start, s=0.5, field=field)
    found = hop.gauge(op, u0)
    assert found.sigma.shape == found.place.shape == (3,)
    assert np.all(found.sigma > 0.4)
    assert np.all(found.resolved)
    alone = Operator(op.ansatz, {"c": op.params["c"][1:2]}, op.lam)
    assert hop.gauge(alone, u0[1:2]).sigma[0] == pytest.approx(found.sigma[1], rel=1e-9)
    again = hop.gauge(op, u0, sensors=op.sensors)
    np.testing.assert_allclose(again.sigma, found.sigma, rtol=1e-6)


def test_what_it_does_not_serve_is_refused():
    soft = Operator(Ansatz(AllenCahn1D(conditions_by="loss"), Polynomial()), {}, Lam(0.0, 0.1))
    with pytest.raises(hop.UserError, match="exact conditions at its ends"):
        hop.gauge(soft)
    op, u0 = operator("burgers", 0.5)
    with pytest.raises(hop.UserError, match="needs an input"):
        hop.gauge(op)
    with pytest.raises(hop.UserError, match="needs u_xx"):
        hop.gauge(dataclasses.replace(op, lam=Lam(1.0, 0.5)), u0)
    with pytest.raises(hop.UserError, match="too few"):
        hop.gauge(op, u0, nodes=4)


def test_reports_of_what_cannot_be_placed(capsys):
    """Nothing infinite in a report; "open" in the table, and no columns where there is no gauge."""
    judge = Judge(PROBLEMS["allen-cahn"], {}, {})
    blind = judge.trust(operator("allen-cahn", 0.02)[0])
    assert blind is not None
    assert (blind["shift"], blind["error"], blind["resolved"]) == (None, None, False)
    soft = Operator(Ansatz(AllenCahn1D(conditions_by="loss"), Polynomial()), {}, Lam(0.0, 0.1))
    assert judge.trust(soft) is None
    scores = dict.fromkeys(("loss", "l2re", "l2re_median", "l2re_worst"), 0.1)
    row = {"stage": 0, "s": 0.0, "eps": 0.02, **scores}
    report = {"problem": "allen_cahn_1d", "functions": 0}
    table(report | {"stages": [row | {"gauge": blind}]})
    assert "open" in capsys.readouterr().out
    table(report | {"stages": [row | {"gauge": None}]})
    assert "place" not in capsys.readouterr().out


def test_a_report_holds_what_the_gauge_found(capsys, monkeypatch):
    """Medians over the functions in the scores of a stage; in the table, each in its column."""
    three = {name: np.ones(3) for name in ("floor", "projected", "relative", "place", "offset")}
    three |= {"sigma": np.array([8e-2, 1e-2, 2e-2]), "shift": np.array([3e-4, 4e-4, math.inf])}
    three |= {"error": np.array([5e-3, 6e-3, 9e-3]), "resolved": np.array([True, True, True])}
    monkeypatch.setattr(evaluation, "gauge", lambda *_: Gauge(**three, nodes=144))
    told = Judge(PROBLEMS["allen-cahn"], {}, {}).trust(operator("allen-cahn", 0.2)[0])
    assert told == {"sigma": 2e-2, "shift": 4e-4, "error": 6e-3, "resolved": True}
    scores = {"loss": 1e-4, "l2re": 2e-3, "l2re_median": 3e-3, "l2re_worst": 4e-2}
    row = {"stage": 1, "s": 0.25, "eps": 0.2, **scores, "gauge": told, "place": None}
    table({"problem": "allen_cahn_1d", "functions": 9, "stages": [row]})
    (line,) = (text for text in capsys.readouterr().out.splitlines() if "0.25" in text)
    scores = ["1.00e-04", "2.00e-03", "3.00e-03", "4.00e-02"]
    assert re.findall(r"[\d.e+-]+", line) == ["1", "0.25", "0.2", *scores, "2.0e-02", "4.0e-04"]
