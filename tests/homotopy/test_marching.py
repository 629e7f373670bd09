"""A window of time: what it starts from, and its conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Heat

from hop.ansatz import Ansatz
from hop.homotopy.loss import Loss
from hop.homotopy.marching import AtEnd, Evolution
from hop.homotopy.terms import Stage
from hop.homotopy.terms.initial import Initial
from hop.homotopy.terms.residual import Residual
from hop.networks.deeponet import DeepONet
from hop.problem import Condition, Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.samplers import Points
from hop.samplers.uniform import Uniform


@pytest.mark.parametrize("follows", [0.0, 1.0])
def test_a_window_starts_from_the_input_function_or_the_last_windows_end(follows):
    problem = Evolution(BurgersSteady("unit"), 0.5)
    ansatz = Ansatz(problem, DeepONet((8,), (8,), 4))
    before = Ansatz(problem.problem, AtEnd(ansatz.network))
    lam = Lam(jnp.float32(0.0), jnp.float32(0.1))
    stage = Stage(jnp.int32(follows), lam, lam, jnp.float32(follows))

    @jax.jit
    def row_and_expected():
        params, anchor = (ansatz.init(jax.random.key(seed)) for seed in (0, 1))
        inputs = ansatz.inputs({"u0": jax.random.normal(jax.random.key(2), (3, 128))})
        x = Uniform().points(jax.random.key(3), 9, problem.domain)
        points, terms = Points(x, jnp.ones(9)), (Residual(), Initial(1.0))
        goal = Loss(terms, ansatz, anchor, inputs, points, stage)
        old = before.jet(anchor, inputs, x[:, :1], lam, ())[""]
        given = old if follows else ansatz.input_jet(inputs, x, lam, ("",))["u0"][""]
        start = jnp.stack([x[:, 0], jnp.zeros(9)], axis=1)
        return goal.rows(params)["initial"], ansatz.jet(params, inputs, start, lam, ())[""] - given

    np.testing.assert_allclose(*row_and_expected(), rtol=1e-5, atol=1e-6)


def test_points_that_a_row_takes_together_have_one_time():
    class Whole(Heat):
        def conditions(self, lam):
            x = np.linspace(0, 1, 5)[:, None]
            mean = Condition((x,), ("",), lambda u, a, lam: jnp.mean(u[0][""], 1, keepdims=True))
            ends = Condition((x[:1], x[-1:]), ("x",), lambda u, a, lam: u[0]["x"] - u[1]["x"])
            return mean, ends

    for condition in Evolution(Whole(), 0.5).conditions(Lam(0.0, 0.1)):
        assert len({time for points in condition.points for time in points[:, 1]}) == 1


def test_boundary_values_are_asked_for_all_over_the_window():
    class Held(Heat):
        def conditions(self, lam):
            def rows(u, a, lam):
                return u[0][""] - jnp.array([[2.0, 3.0]])

            return (Condition((np.array([[0.0], [1.0]]),), ("",), rows),)

    given = Evolution(Held(), 0.5).conditions(Lam(0.0, 0.1))
    for condition in given:
        ((x, _),) = (points.T for points in condition.points)
        zero = jnp.zeros((1, len(x)))
        rows = condition.rows(({"": zero},), {}, Lam(0.0, 0.1))
        np.testing.assert_array_equal(rows[0], -(2 + x))
    x, t = np.concatenate([condition.points[0] for condition in given]).T
    for end in (0.0, 1.0):
        times = np.sort(t[x == end]) / 0.5
        gaps = np.diff([0.0, *times, 1.0])
        assert len(times) == 32
        assert np.all((gaps >= 0) & (gaps < 2 / 32))  # the golden ratio's three gaps
