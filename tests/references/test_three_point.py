"""Block elimination beside a dense solve, and Newton's method on a system with a known solution."""

import jax.numpy as jnp
import numpy as np
import pytest

from hop.references import three_point

pytestmark = pytest.mark.usefixtures("float64")


def test_elimination_solves_the_dense_system():
    rng, k, c = np.random.default_rng(0), 7, 3
    blocks = rng.standard_normal((k, c, 3, c))
    blocks[:, :, 1] += 4 * np.eye(c)
    dense = np.zeros((k, c, k, c))
    for i in range(k):
        for j in range(3):
            if 0 <= i + j - 1 < k:
                dense[i, :, i + j - 1] = blocks[i, :, j]
    rows = rng.standard_normal((k, c))
    wanted = np.linalg.solve(dense.reshape(k * c, k * c), rows.ravel()).reshape(k, c)
    found = three_point.eliminate(jnp.asarray(blocks), jnp.asarray(rows))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def coupled(near, data, h):
    """u″ = v² − sin² πx − π² sin πx, v″ = −π² u, by differences: u = v = sin πx."""
    bend = (near[0] - 2 * near[1] + near[2]) / h**2
    u, v = near[1]
    return bend + jnp.stack([data**2 - v**2 + np.pi**2 * data, np.pi**2 * u])


def test_errors_are_of_second_order():
    errors = []
    for nodes in (20, 40):
        exact = np.sin(np.pi * np.linspace(0, 1, nodes + 1))
        data, start = np.stack([exact, exact]), np.zeros((2, nodes + 1, 2))
        start[1] = 0.5  # whose ends are others, and are kept
        w, step, count, left = three_point.newton(coupled, start, data, 1 / nodes, np.full(2, 1e-9))
        assert step.max() <= 1e-9
        assert left.max() < 1e-8
        assert count.max() < 10
        np.testing.assert_array_equal(w[1, [0, -1]], 0.5)
        errors.append(np.abs(w[0] - exact[:, None]).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
