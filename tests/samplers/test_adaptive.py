"""Adaptive points."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FRONT, front

from hop.problem import Lam
from hop.samplers.adaptive import Adaptive

pytestmark = pytest.mark.usefixtures("float64")


def test_adaptive_points_are_dense_where_the_solution_is_steep():
    x = np.linspace(0, 1, 400)[:, None]

    class OnGrid(Adaptive):
        def points(self, key, count, domain):
            return jnp.asarray(x)

    def last(points, labels):
        return FRONT.jet(front(0.3, 0.01), {}, points, Lam(0.0, 0.1), labels)

    key = jax.random.key(0)
    moved, spacing, _ = OnGrid().draw(key, 400, FRONT.problem.domain, last, None)
    moved, spacing = np.asarray(moved)[:, 0], np.asarray(spacing)
    assert np.all(np.diff(moved) > 0)
    assert moved[0] == pytest.approx(0)
    assert moved[-1] == pytest.approx(1)
    assert 0.3 < np.mean(np.abs(moved - 0.3) < 0.1) < 0.7  # of even points, a fifth
    for f in (np.ones_like, np.square, lambda x: np.exp(-(((x - 0.3) / 0.02) ** 2))):
        fine = np.linspace(0, 1, 10_001)
        assert np.mean(f(moved) * spacing) == pytest.approx(np.mean(f(fine)), rel=0.02)
    # dx/dt ∝ 1/w, w = 1 + |u_x|^½ / mean |u_x|^½; of this front |u_x|^½ ∝ sech.
    root = 1 / np.cosh((fine - 0.3) / (math.sqrt(2) * 0.01))
    weight = 1 + root / np.mean(root)
    share = np.interp(moved, fine, np.cumsum(weight) / np.sum(weight))
    np.testing.assert_allclose(share, x[:, 0], atol=1e-3)
