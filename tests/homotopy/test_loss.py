"""The rows of the loss: their squares, their Jacobian, and drawn ones."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_loss
from jax.flatten_util import ravel_pytree

from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.pinned import Pinned
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.slow import Slow
from hop.homotopy.terms.tangent import Tangent
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.helmholtz import Helmholtz

pytestmark = pytest.mark.usefixtures("float64")


CASES = {
    "soft conditions": (AllenCahn1D(conditions_by="loss"), (Residual(), Condition(3.0))),
    "tangent": (AllenCahn1D(), (Residual(), Tangent(0.5), Condition())),
    "slow": (AllenCahn1D(), (Residual(), Slow(2.0), Condition())),
    "pin": (AllenCahn1D(), (Residual(), Pinned(), Condition())),
    "laplacian": (Helmholtz(3, 8), (Residual(), Condition(2.0))),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_are_half_a_sum_of_squares_and_their_jacobian_is_exact(case):
    problem, terms = CASES[case]
    goal, params = small_loss(problem, terms, pinned=case == "pin")
    theta, unravel = ravel_pytree(params)
    r, jacobian = jax.jit(goal.jacobian)(params)
    total, parts = jax.jit(goal.loss)(params)
    assert 0.5 * float(r @ r) == pytest.approx(float(total), rel=1e-12)
    assert all(float(part) > 0 for part in parts.values())
    if case not in ("slow", "pin"):  # the mean over parts of the points is the same
        whole, halves = (
            jax.jit(dataclasses.replace(goal, parts=n).gradient)(params) for n in (1, 2)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), whole, halves)
    if case == "slow":  # its mode is held fixed in the gradient of the loss, as it is here
        expected = jax.jit(jax.grad(lambda t: goal.loss(unravel(t))[0]))(theta)
        np.testing.assert_allclose(r @ jacobian, expected, rtol=1e-9, atol=1e-12)
        return
    expected = jax.jit(jax.jacfwd(lambda t: goal.vector(unravel(t))))(theta)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-9, atol=1e-12)


def test_rows_are_drawn_by_their_size_and_never_twice():
    goal, params = small_loss(Helmholtz(3, 40), q=60)
    size = np.abs(goal.rows(params)["residual"][0])
    large, counts = size > np.median(size), []

    @jax.jit
    def draw(key):
        part = goal.drawn(params, key, 12)
        return part.points.x, part.rows(params), part.jacobian(params)

    for seed in range(40):
        points, rows, (r, jacobian) = draw(jax.random.key(seed))
        assert rows["residual"].shape == rows["condition"].shape == (1, 12)
        at = [
            int(np.flatnonzero((np.asarray(goal.points.x) == x).all(axis=1))[0])
            for x in np.asarray(points)
        ]
        assert len(set(at)) == 12
        np.testing.assert_allclose(np.abs(rows["residual"][0]), size[at], rtol=1e-9)
        assert jacobian.shape == (24, len(ravel_pytree(params)[0]))
        means = [float(jnp.mean(block**2)) for block in rows.values()]
        assert float(r @ r) == pytest.approx(sum(means), rel=1e-12)
        counts.append(np.mean(large[at]))
    # By the density the large half has a share of ½ + ½ (its share of the sum of sizes), less what
    # drawing without replacement takes from it: at 40 x 12 draws far above ½, by four deviations.
    assert np.mean(counts) > 0.5 + 4 * 0.5 / math.sqrt(40 * 12)
    whole = goal.drawn(params, jax.random.key(0), 60)
    assert whole.points is goal.points
    assert whole.terms == goal.terms
