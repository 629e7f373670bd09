"""Boxes: grids, quadratures, and maps."""

import jax.numpy as jnp
import numpy as np
import pytest

from hop.domain import Box, WholeSpace
from hop.errors import UserError
from hop.evaluation import Judge
from hop.operators import default_grid
from hop.problems.helmholtz import Helmholtz

pytestmark = pytest.mark.usefixtures("float64")


def test_box():
    box = Box((0.0, -1.0), (2.0, 1.0))
    grid = box.grid(3, 2)
    assert grid.tolist() == [[0, -1], [1, -1], [2, -1], [0, 1], [1, 1], [2, 1]]
    points, weights = box.quadrature(101)
    assert weights.sum() == pytest.approx(4.0)
    assert weights @ (points[:, 0] ** 2) == pytest.approx(16 / 3, rel=1e-3)
    np.testing.assert_allclose(box.to_reference(jnp.asarray([[2.0, -1.0]])), [[1.0, -1.0]])
    mirrored = box.reflect(jnp.asarray([[0.5, 0.25]]), np.array([-1.0, 1.0]))
    np.testing.assert_allclose(mirrored, [[1.5, 0.25]])


def test_boxes_of_many_dimensions():
    """The mean of cos(k·x) over [−1, 1]^d is Π sin k_i / k_i."""
    dim = 6
    box = Box((-1.0,) * dim, (1.0,) * dim)
    points, weights = box.quadrature(2**13)
    assert np.all((points >= -1) & (points <= 1))
    assert weights.sum() == pytest.approx(2**dim)
    k = np.linspace(0.2, 1.2, dim)
    exact = np.prod(2 * np.sin(k) / k)
    assert weights @ np.cos(points @ k) == pytest.approx(exact, rel=3e-3)  # at random: 2e-2
    assert np.array_equal(points[:1024], box.quadrature(1024)[0])
    grid = default_grid(Helmholtz())
    assert grid.shape == (1024, 20)
    points, _ = Judge(Helmholtz(), {}, {}).quadrature(0.02)
    assert points.shape == (2**13, 20)


def test_whole_space():
    """Under N(0, σ²) the mean of cos(k·x) is e^(−σ²|k|²/2), and that of t is T/2."""
    space = WholeSpace(6, deviation=0.5, until=2.0)
    assert (space.dim, space.lower[0], space.upper[-2:]) == (7, -3.0, (3.0, 2.0))
    for box, count in ((space, 2**13), (WholeSpace(1, deviation=0.5, until=2.0), 65)):
        points, weights = box.quadrature(count)
        k = np.append(np.linspace(0.2, 1.2, box.space), 0.0)
        exact = np.exp(-0.125 * k @ k)
        assert weights @ np.cos(points @ k) == pytest.approx(exact, rel=3e-3)
        assert weights @ points[:, -1] == pytest.approx(1.0, rel=1e-3)
    corners = space.from_unit(jnp.array([[0.0] * 7, [1.0] * 7], jnp.float32))
    assert np.abs(corners).max() < 3  # inside the box
    seen = space.to_reference(jnp.full((1, 7), 0.5))
    np.testing.assert_allclose(seen, [[1.0] * 6 + [-0.5]], rtol=1e-6)
    assert WholeSpace(2).dim == 2
    for bad in ({"space": 0}, {"space": 1, "deviation": 0.0}, {"space": 1, "until": -1.0}):
        with pytest.raises(UserError, match="WholeSpace"):
            WholeSpace(**bad)
