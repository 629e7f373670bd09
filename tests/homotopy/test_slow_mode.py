"""The slow mode is that of an independent discretisation, and S measures the error along it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop import training
from hop.homotopy.slow_mode import dual_weighted_residual, slow_mode
from hop.laws.named import NAMED
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.references.chebyshev import Solution, differentiation_matrix

M = 257
GRID = np.linspace(0.0, 1.0, M)
ZERO = NAMED["unit"].field(np.zeros((1, 64)))

pytestmark = pytest.mark.usefixtures("float64")


def nodes(n=160):
    return (1 - np.cos(np.pi * np.arange(n + 1) / n)) / 2


def solution_jets(problem, lam, places, field=ZERO):
    """The jet of the reference at some places, derivatives by the Chebyshev matrix."""
    x = nodes()
    d = differentiation_matrix(x)
    a = dict.fromkeys(problem.inputs, field)
    u = problem.reference(a, x[:, None], lam).reshape(-1, len(x))
    columns = {"": u, "x": u @ d.T, "xx": u @ d.T @ d.T}
    return {k: jnp.asarray(Solution(x, v)(places)) for k, v in columns.items()}


def dense(problem, lam):
    """The smallest singular triplet (σ, ψ, φ) of A on Chebyshev nodes, in L²."""
    x = nodes()
    n = len(x) - 1
    u = solution_jets(problem, lam, x)
    d = differentiation_matrix(x)
    parts, a = [], {"u0": {"": jnp.zeros((1, n + 1))}}
    for label in ("", "x", "xx"):
        tangent = {k: jnp.full_like(v, float(k == label)) for k, v in u.items()}
        out = jax.jvp(
            lambda j: problem.residual(j, jnp.asarray(x)[None, None, :], a, lam), (u,), (tangent,)
        )[1]
        parts.append(np.asarray(out)[0])
    matrix = sum(np.diag(p) @ q for p, q in zip(parts, (np.eye(n + 1), d, d @ d), strict=True))
    inner = slice(1, n)
    # Clenshaw–Curtis weights, by integrating the interpolants of the unit vectors.
    fine, weight = np.polynomial.legendre.leggauss(400)
    w = Solution(x, np.eye(n + 1))((1 + fine) / 2) @ weight / 2
    root = np.sqrt(w[inner])
    left, sigma, right = np.linalg.svd(root[:, None] * matrix[inner, inner] / root[None, :])
    return sigma[-1], np.pad(left[:, -1] / root, 1), np.pad(right[-1] / root, 1)


@pytest.mark.parametrize("eps", [0.5, 0.1, 0.05])
def test_it_is_the_smallest_singular_triplet(eps):
    problem, lam = BurgersSteady(), Lam(0.0, eps)
    u = solution_jets(problem, lam, GRID)
    a = {"u0": {k: jnp.zeros_like(v) for k, v in u.items()}}
    psi, phi, sigma = slow_mode(problem, u, a, jnp.asarray(GRID)[:, None], lam)
    expected, *vectors = dense(problem, lam)
    assert float(sigma[0]) == pytest.approx(expected, rel=0.05)
    for found, vector in zip((psi, phi), vectors, strict=True):
        vector = Solution(nodes(), vector[None])(GRID)[0]
        overlap = abs(np.mean(np.asarray(found)[0] * vector)) / np.sqrt(np.mean(vector**2))
        assert overlap == pytest.approx(1.0, abs=0.02)
    assert psi[0, 0] == psi[0, -1] == 0


def test_s_is_the_error_along_the_mode():
    """For u + c φ, S is c to first order, although the residual is only c σ."""
    problem, lam = BurgersSteady(), Lam(0.0, 0.05)
    u, grid = solution_jets(problem, lam, GRID), jnp.asarray(GRID)[:, None]
    _, _, phi = dense(problem, lam)  # of unit norm in L²
    a = {"u0": {k: jnp.zeros_like(v) for k, v in u.items()}}
    mode = slow_mode(problem, u, a, grid, lam)
    x, c = nodes(), 1e-3
    d = differentiation_matrix(x)
    moved = [Solution(x, c * v[None])(GRID) for v in (phi, d @ phi, d @ (d @ phi))]
    near = {k: u[k] + jnp.asarray(v) for k, v in zip(("", "x", "xx"), moved, strict=True)}
    residual = problem.residual(near, grid.T[:, None, :], a, lam)
    s = dual_weighted_residual(residual, grid, mode, grid)
    assert abs(float(s[0, 0])) == pytest.approx(c, rel=0.1)
    assert float(jnp.sqrt(jnp.mean(residual**2))) < 0.1 * c


def test_each_function_has_its_own_mode():
    problem, lam = BurgersSteady("unit"), Lam(0.2, 0.2)
    field = NAMED["unit"].sample(jax.random.key(0), 4)
    grid = jnp.asarray(GRID)[:, None]
    u = solution_jets(problem, lam, GRID, field)
    psi, _, sigma = slow_mode(problem, u, {"u0": field.jet(grid, ("", "x", "xx"))}, grid, lam)
    assert psi.shape == (4, M)
    assert float(jnp.min(sigma)) > 0.2  # the principal eigenvalue is at least s
    for k in range(4):
        alone = {label: v[k : k + 1] for label, v in u.items()}
        one, _, _ = slow_mode(problem, alone, {"u0": field.jet(grid, ("",))}, grid, lam)
        np.testing.assert_allclose(one[0], psi[k], atol=1e-9)


def test_allen_cahn_mode_is_the_moved_interface():
    """A is self-adjoint there, and ψ close to u_x; σ is the eigenvalue of the table, 6e-2."""
    problem, lam = AllenCahn1D(), Lam(0.0, 0.2)
    u = solution_jets(problem, lam, GRID)
    psi, phi, sigma = slow_mode(problem, u, {}, jnp.asarray(GRID)[:, None], lam)
    assert float(sigma[0]) == pytest.approx(6.0e-2, rel=0.02)
    slope = u["x"][0] / jnp.sqrt(jnp.mean(u["x"] ** 2))
    assert float(jnp.abs(jnp.mean(psi[0] * slope))) > 0.98
    assert float(jnp.abs(jnp.sum(phi[0] * psi[0]))) / (M - 1) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_it_places_the_shock(tiny, tmp_path, listener):
    """With the same few steps the term brings the shock where the residual alone does not."""
    errors = {}
    for slow in (0.0, 1.0):
        with jax.enable_x64(False):
            config = tiny(
                problem__field="paper",
                network__trunk=(32, 32),
                network__branch=(16,),
                network__rank=32,
                path__eps=(0.2, 0.1, 0.05, 0.03),  # at 0.05 chance decides as much
                strategy__slow=slow,
                train__steps=500,
                train__points=64,
                train__dispatch=100,
                mesh__function=1,
                mesh__point=8,
                train__functions=8,
            )
            errors[slow] = training.train(config, tmp_path / str(slow), listener())[-1]["l2re"]
    assert errors[1.0] < errors[0.0] / 2


def test_other_problems_are_refused(tiny, tiny_mlp, monkeypatch):
    with pytest.raises(hop.UserError, match="exact conditions at its ends"):
        config_lib.build(tiny(strategy__slow=1.0, problem__conditions_by="loss"))
    monkeypatch.setattr(AllenCahn1D, "derivatives", ("", "x", "xx", "xxx"))
    with pytest.raises(hop.UserError, match="strategy.slow needs a problem of second order"):
        config_lib.build(tiny_mlp(strategy__slow=1.0))
