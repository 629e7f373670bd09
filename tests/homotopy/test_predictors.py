"""Euler's step along the path."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FRONT, PLAIN, small_loss

from hop.homotopy.loss import Loss
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms import Stage
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.samplers import Points
from hop.solvers import Moment
from hop.solvers.levenberg_marquardt import LevenbergMarquardt

pytestmark = pytest.mark.usefixtures("float64")


def test_the_tangent_step_misses_the_path_at_second_order():
    """From a solved stage, the residual after an Euler step of length Δε is O(Δε²).

    With as many parameters as rows, every row can be followed: the soft conditions too.
    """
    goal, params = small_loss(AllenCahn1D(conditions_by="loss"), lam=0.5, q=8)
    moment, solver = Moment(jnp.int32(0), jnp.float64(0), 1), LevenbergMarquardt()
    solved = dataclasses.replace(goal, stage=goal.stage._replace(previous=goal.stage.lam))
    mu, step = solver.init(params), jax.jit(lambda p, m: solver.step(solved, p, m, moment)[:2])
    for _ in range(100):
        params, mu = step(params, mu)
    assert float(jnp.linalg.norm(solved.vector(params))) < 1e-7

    @jax.jit
    def after(change):
        now = goal.stage.lam._replace(eps=goal.stage.lam.eps - change)
        ahead = goal.stage._replace(lam=now, previous=goal.stage.lam)
        there = dataclasses.replace(goal, stage=ahead)
        moved = EulerStep(1e-10, guarded=False)(there, params)
        return jnp.linalg.norm(there.vector(moved))

    assert math.log2(after(2e-2) / after(1e-2)) == pytest.approx(2.0, abs=0.1)


class Squares(Loss):
    """r = ε θ² − 1, of any number of parameters."""

    def vector(self, params):
        return self.stage.lam.eps * params**2 - 1

    def jacobian(self, params):
        return self.vector(params), jnp.diag(2 * self.stage.lam.eps * params)


@pytest.mark.parametrize(("previous", "keeps"), [(0.25, False), (0.025, True)])
def test_the_tangent_is_that_of_where_the_last_stage_stands(previous, keeps):
    """J at λ_{k−1}, r at λ_k; guarded, θ stays where the step would raise the loss at λ_k."""
    stage = Stage(1, Lam(0.0, 0.2), Lam(0.0, previous), 1.0)
    goal = Squares(PLAIN, FRONT, {}, {}, Points(jnp.zeros((1, 1)), jnp.ones(1)), stage)
    theta = jnp.array([1.9, 2.0, 2.1])
    step = -(0.2 * theta**2 - 1) / (2 * previous * theta)
    free, guarded = (EulerStep(1e-9, guarded=guarded)(goal, theta) for guarded in (False, True))
    np.testing.assert_allclose(free, theta + step, rtol=1e-12)
    np.testing.assert_allclose(guarded, theta if keeps else theta + step, rtol=1e-12)
