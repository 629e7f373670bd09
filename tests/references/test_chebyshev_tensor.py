"""Convection and diffusion in boxes: exact solutions, convergence, and points anywhere."""

import numpy as np
import pytest

from hop.domain import Box
from hop.errors import RunError
from hop.references import chebyshev_tensor


def box(dim):
    return Box((0.0,) * dim, (1.0, 2.0, 1.5, 1.0)[:dim])


def exact(x, ends):
    """u = Π sin(πx_k / L_k) e^(x_0), with its gradient (d, q) and Laplacian."""
    angles = np.pi * x / ends
    u = np.prod(np.sin(angles), axis=1) * np.exp(x[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (np.pi / ends / np.tan(angles) * u[:, None]).T
    bend = 2 * slopes[0] + u - u * np.sum((np.pi / ends) ** 2)
    slopes[0] += u
    return u, slopes, bend


@pytest.mark.parametrize("mean", [1.0, 0.0])
@pytest.mark.parametrize("dim", [2, 3, 4])
def test_it_finds_an_exact_solution(dim, mean):
    domain, nodes, diffusion, reaction = box(dim), 22 if dim < 4 else 12, 0.05, 0.7
    x = chebyshev_tensor.points(domain, nodes)
    u, slopes, bend = exact(x, np.array(domain.upper))
    rng = np.random.default_rng(0)
    wind = mean * np.eye(dim)[0][:, None, None] + 0.5 * np.sin(rng.normal(size=(dim, 2, dim)) @ x.T)
    source = -diffusion * bend + np.sum(wind * slopes[:, None], axis=0) + reaction * u
    found = chebyshev_tensor.solve(domain, nodes, diffusion, wind, source, reaction, mean)
    scattered, grid = rng.random((300, dim)) * domain.upper, domain.grid(6)
    for at in (scattered, grid):
        np.testing.assert_allclose(found(at), np.tile(exact(at, np.array(domain.upper))[0], (2, 1)),
                                   atol=1e-7 if dim < 4 else 1e-5)  # fmt: skip


def test_a_wind_in_float32_is_solved_in_float32():
    domain, nodes = box(3), 10
    x = chebyshev_tensor.points(domain, nodes)
    wind = np.sin(np.random.default_rng(0).normal(size=(3, 1, 3)) @ x.T)
    fine = chebyshev_tensor.solve(domain, nodes, 0.2, wind, mean=0.0)
    quick = chebyshev_tensor.solve(
        domain, nodes, 0.2, wind.astype(np.float32), mean=0.0, tolerance=1e-4
    )
    assert quick.values.dtype == np.float32
    off = np.linalg.norm(quick.values - fine.values) / np.linalg.norm(fine.values)
    assert 1e-8 < off < 3e-4


def test_it_says_where_it_does_not_converge():
    wind = np.full((2, 1, 11**2), np.nan)
    with pytest.raises(RunError, match="did not converge at diffusion=0.01 with N=12"):
        chebyshev_tensor.solve(box(2), 12, 0.01, wind)
