"""The weak residual: what it is made of, what it bounds, and what it refuses."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_loss
from jax.flatten_util import ravel_pytree

from hop import ambient, examining
from hop import config as config_lib
from hop.ansatz import Ansatz
from hop.domain import Box
from hop.errors import UserError
from hop.evaluation import Judge
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage, View
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.weak import WeakResidual
from hop.networks.deeponet import DeepONet
from hop.operators import Operator
from hop.problem import Lam, Problem
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.allen_cahn_2d import AllenCahn2D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.burgers_time import BurgersTime
from hop.problems.cavity import Cavity
from hop.problems.convection_diffusion import ConvectionDiffusion
from hop.samplers import Points


@pytest.mark.parametrize(
    "problem",
    [
        AllenCahn1D(),
        AllenCahn2D(symmetry="none"),
        BurgersSteady("unit"),
        BurgersTime(),
        Cavity(reynolds=(10.0, 20.0)),
        ConvectionDiffusion(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_weak_form_is_the_residual(problem):
    """Of any network: ∫ Σ c_D Dφ = ∫ H φ, with the strong residual, at s and ε that are not 0."""
    found = examining.weak_form(problem)
    assert float(found.text.split()[-4]) < 1e-3, found  # what 30 nodes leave of 64 random modes


@dataclasses.dataclass(frozen=True)
class Poisson(Problem):
    """−u″ = π² sin πx on [0, 1], u = sin πx."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("x",)

    def residual(self, u, x, a, lam):
        return -u["xx"] - math.pi**2 * jnp.sin(math.pi * x[0])

    def weak(self, u, x, a, lam):
        return {"": -(math.pi**2) * jnp.sin(math.pi * x[0]), "x": u["x"]}

    def energy(self, a, lam):
        return {"x": 1.0}

    def lift(self, network, x, a, lam):
        return x[0] * (1 - x[0]) * network


def test_loss_is_the_error_in_the_energy_norm():
    """Where the equation is that norm's own, L = ½ ∫ (u − u*)′²: no bound is tighter."""
    with jax.enable_x64(True):
        loss, params = small_loss(Poisson(), (WeakResidual(tests=(24,)),))
        y, weights = np.polynomial.legendre.leggauss(48)
        x = jnp.asarray((1 + y[:, None]) / 2)
        slope = loss.ansatz.jet(params, {}, x, loss.stage.lam, ("x",))["x"][0]
        error = np.sum(weights / 2 * (slope - math.pi * jnp.cos(math.pi * x[:, 0])) ** 2)
        np.testing.assert_allclose(loss.loss(params)[0], error / 2, rtol=1e-8)


def test_jacobian_is_that_of_the_rows():
    """A point at a time and then tested, as by one reverse pass a row; beside soft conditions."""
    with jax.enable_x64(True):
        problem = AllenCahn1D(conditions_by="loss")
        loss, params = small_loss(problem, (WeakResidual(2.0, (5,)), Condition(3.0)))
        theta, unravel = ravel_pytree(params)
        r, jacobian = loss.jacobian(params)
        np.testing.assert_allclose(r, loss.vector(params), rtol=1e-12)
        rows = jax.jacrev(lambda t: loss.vector(unravel(t)))(theta)
        np.testing.assert_allclose(jacobian, rows, rtol=1e-9, atol=1e-12)


def _config(problem="allen_cahn_1d", tests=(8,), **train):
    config = config_lib.experiment(problem=problem, network="mlp", strategy="curriculum")
    config.path.eps = (0.3,)
    config.train.update(tests=tests, **train)
    return config


def build(config, problem=None):
    return config_lib.build(config_lib.parse(config.to_dict()), problem)


def test_tests_replace_the_residual_of_a_plan():
    plain, tested = (build(_config(tests=tests)).plan.terms for tests in ((), (8,)))
    assert [type(term) for term in plain] == [Residual, Condition]
    assert tested == (WeakResidual(1.0, (8,)), Condition(1.0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"problem": "high_frequency"}, "has no weak form"),
        ({"tests": (8, 8)}, "a positive number of test functions"),
        ({"sampler": "by_residual"}, "weigh all points together"),
        ({"accumulate": 2}, "no functions to split"),
    ],
)
def test_what_it_does_not_serve_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        build(_config(**change))


class Wrong(Poisson):
    def weak(self, u, x, a, lam):
        return {"": -(math.pi**2) * jnp.sin(math.pi * x[0]), "x": -u["x"]}


class Unbounded(Poisson):
    def energy(self, a, lam):
        return {"x": -1.0}


class Half(Problem):
    domain = Box((0.0,), (1.0,))
    derivatives = ("", "xx")
    residual, lift, energy = Poisson.residual, Poisson.lift, Poisson.energy


class Higher(Poisson):
    def weak(self, u, x, a, lam):
        return {"xx": u["x"]}


def test_check_names_a_wrong_weak_form():
    found = list(examining.look(Wrong(), Lam(0.0, 0.3)))
    assert [f.part for f in found if f.doubt] == ["weak form"]
    for problem, said in ((Unbounded(), "energy negative"), (Half(), "energy of three")):
        doubts = [f.text for f in examining.look(problem, Lam(0.0, 0.3)) if f.doubt]
        assert any(said in text for text in doubts), doubts
    with pytest.raises(UserError, match="energy must name as well, as 'xx'"):
        list(examining.look(Higher(), Lam(0.0, 0.3)))


def test_a_range_of_eps_names_the_tests():
    config = _config()
    config.ansatz.eps = (0.1, 1.0)
    with pytest.raises(UserError, match=r"config.train.tests needs one eps .* train.tests=\(\)"):
        build(config)


def test_held_out_loss_is_that_of_the_tests():
    """What a stage reports is the loss in its form, on functions that it was not trained on."""
    config = config_lib.experiment(problem="convection_diffusion", network="deeponet")
    config.path.eps, config.train.tests = (0.3,), (8,)
    experiment = build(config)
    judge = Judge.of(experiment, "validation", 3)
    params = experiment.ansatz.init(ambient.key(0))
    operator = Operator(experiment.ansatz, params, Lam(0.0, 0.3))
    ansatz = experiment.ansatz
    with jax.enable_x64(False):
        inputs = ansatz.inputs(jax.tree.map(jnp.asarray, judge.values))
        lam = operator.lam
        none = Points(jnp.zeros((0, 1)), jnp.zeros(0))
        stage = Stage(0, lam, lam, 0)
        loss = Loss((WeakResidual(tests=(8,)),), ansatz, params, inputs, none, stage)
        np.testing.assert_allclose(judge.loss(operator), loss.loss(params)[0], rtol=1e-5)


def test_energy_may_depend_on_an_input():
    """Twice the Re is twice the energy of every test: rows are smaller by the root of two."""
    with jax.enable_x64(True):
        ansatz = Ansatz(Cavity(lid="regular", reynolds=(10.0, 20.0)), DeepONet())
        inputs, lam = ansatz.inputs({"Re": jnp.array([[10.0], [20.0]])}), Lam(0.0, 1.0)
        term, stage = WeakResidual(tests=(3, 3)), Stage(0, lam, lam, 0)
        view = View(ansatz, {}, {}, inputs, term.points(ansatz, inputs, stage), stage)
        low, high = term.together({"": jnp.ones((2, len(view.x)))}, view)
        np.testing.assert_allclose(low, math.sqrt(2) * high, rtol=1e-9)
