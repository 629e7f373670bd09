"""The mean exit time: the drift, the answer without it, the lift, the points and the reference."""

import importlib
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop.ansatz import Ansatz
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.errors import RunError, UserError
from hop.networks.deeponet import DeepONet
from hop.problem import Lam, reference
from hop.problems.exit_time import ExitTime
from hop.references import chebyshev_tensor

pytestmark = pytest.mark.usefixtures("float64")
EACH = pytest.mark.parametrize("dim", [2, 3, 5])
LAM = Lam(0.0, 0.1)


def drawn(problem, n, seed=0):
    return problem.inputs["drift"].sample(jax.random.key(seed), n)


def points(problem, count, seed=0):
    unit = np.random.default_rng(seed).random((count, problem.domain.dim))
    return np.asarray(problem.domain.from_unit(jnp.asarray(unit)))


@EACH
def test_the_drift_is_a_shear_of_the_size_it_says(dim):
    problem = ExitTime(dim)
    numbers = jnp.eye(dim**2)
    x, weights = problem.domain.quadrature_on([np.linspace(0, 1, 5)] * dim)
    b = np.asarray(problem.drift(numbers, jnp.asarray(x).T[:, None]))
    # The numbers are independent, of variance 1; the rule is exact for cos² πx.
    np.testing.assert_allclose(np.sum(b**2, axis=1) @ weights, 1 / 4, rtol=1e-12)
    np.testing.assert_allclose(np.sum((b @ weights) ** 2, axis=1), 1 / 8, rtol=1e-12)
    at = jnp.asarray(points(problem, 1)[0])
    slopes = jax.jacfwd(lambda p: problem.drift(numbers, p[:, None, None])[..., 0])(at)
    for i, k in itertools.product(range(dim), repeat=2):  # i along, j across
        row = np.asarray(slopes[i, :, k]).reshape(dim, dim)
        assert not np.delete(row, i, axis=0).any()  # of b_i row i of A decides alone
        assert np.flatnonzero(row[i]).tolist() == [k] * (i != k)


@EACH
def test_the_reduced_residual_is_the_weighted_one_of_the_lift(dim):
    problem = ExitTime(dim)
    ansatz = Ansatz(problem, DeepONet((8,), (8, 8), 6))
    params = ansatz.init(jax.random.key(1))
    inputs = ansatz.inputs({"drift": drawn(problem, 3).coefficients})
    x = jnp.asarray(np.concatenate([points(problem, 20), np.eye(dim)]))

    @jax.jit
    def found(x):
        u, a = ansatz.jet(params, inputs, x, LAM), ansatz.input_jet(inputs, x, LAM)
        return u[""], problem.residual(u, x.T[:, None], a, LAM)

    u, h = found(x)
    np.testing.assert_allclose(u[:, 20:], 0, atol=1e-14)  # on the walls
    phi = LAM.eps * problem.lift(jnp.zeros((1, 20)), x[:20].T[:, None], {}, LAM)
    reduced = jax.jit(lambda x: ansatz.residual(params, inputs, x, LAM))(x)
    np.testing.assert_allclose(reduced[:, :20], jnp.sqrt(phi) * h[:, :20], rtol=1e-9)
    assert jnp.isfinite(reduced).all()


def test_without_drift_the_lift_of_nothing_is_the_answer():
    problem = ExitTime(3)
    x = points(problem, 500)
    still = problem.inputs["drift"].field(np.zeros((1, 9)))
    exact = problem.solution({"drift": still}, LAM, 24)(x)
    u = problem.lift(jnp.zeros((1, 500)), jnp.asarray(x).T[:, None], {}, LAM)
    assert np.linalg.norm(u - exact) < 1e-4 * np.linalg.norm(exact)


def test_points_have_the_density_it_says():
    domain = ExitTime(2).domain
    x = np.asarray(domain.from_unit(jnp.asarray(np.random.default_rng(0).random((20_000, 2)))))
    np.testing.assert_allclose(np.mean(x**2, axis=0), 1 / 2 - 2 / np.pi**2, rtol=0.02)
    even = np.random.default_rng(1).random((20_000, 2))
    mean = np.mean(domain.density(even)[:, None] * even**2, axis=0)
    np.testing.assert_allclose(mean, 1 / 2 - 2 / np.pi**2, rtol=0.03)


@EACH
def test_the_reference_solves_the_problem_s_own_equation(dim):
    """Of a u that is known, H(u) + 1 is the source of which the reference finds it."""
    problem, nodes = ExitTime(dim), 8 if dim == 5 else 14
    x, numbers = chebyshev_tensor.points(problem.domain, nodes), drawn(problem, 1).coefficients

    def known(x):
        return jnp.prod(x * (1 - x), axis=1) * (1 + x[:, -1] ** 2)

    u = jet(known, jnp.asarray(x), ("", GRADIENT, LAPLACIAN))
    u = {k: jnp.expand_dims(v, -2) for k, v in u.items()}
    a = {"drift": {"": jnp.asarray(numbers).T[..., None]}}
    at = jnp.asarray(x).T[:, None]
    source = np.asarray(problem.residual(u, at, a, LAM)) + 1
    wind = np.asarray(problem.drift(numbers, at))
    found = chebyshev_tensor.solve(problem.domain, nodes, LAM.eps, wind, source, mean=0.0)
    some = points(problem, 50)
    np.testing.assert_allclose(found(some)[0], known(jnp.asarray(some)), rtol=1e-6)
    made = problem.solution({"drift": drawn(problem, 1)}, LAM, nodes)(some)
    same = chebyshev_tensor.solve(problem.domain, nodes, LAM.eps, wind, mean=0.0)(some)
    np.testing.assert_allclose(made, same, rtol=1e-6)


@pytest.mark.parametrize(("dim", "eps", "finest"), [(4, 0.1, 16), (2, 0.02, 44)])
def test_the_reference_converges(dim, eps, finest):
    problem, lam = ExitTime(dim), Lam(0.0, eps)
    drift, x = {"drift": drawn(problem, 2)}, points(problem, 300)
    exact = problem.solution(drift, lam, finest)(x)
    coarse, shipped = (
        np.linalg.norm(u - exact) / np.linalg.norm(exact)
        for u in (problem.solution(drift, lam, 6)(x), problem.reference(drift, x, lam))
    )
    assert shipped < 1e-4
    assert shipped < coarse / 50


def test_the_reference_is_the_mean_time_of_walks():
    """By the steps of Euler and Maruyama; the Brownian bridge may have left between two of them."""
    problem, rng = ExitTime(2), np.random.default_rng(0)
    drift, start, step, walks = drawn(problem, 1, seed=3), np.array([0.6, 0.35]), 4e-3, 10_000
    (a, b), (c, d) = np.asarray(drift.coefficients).reshape(2, 2)
    x, total = np.tile(start, (walks, 1)), 0.0
    while len(x):
        waves = np.cos(np.pi * x)
        wind = np.stack([a / 8**0.5 + b / 2 * waves[:, 1], d / 8**0.5 + c / 2 * waves[:, 0]], 1)
        new = x - step * wind + np.sqrt(2 * LAM.eps * step) * rng.normal(size=x.shape)
        out = np.zeros(len(x), bool)
        for wall in (0.0, 1.0):
            near = np.maximum((x - wall) * (new - wall), 0) / (LAM.eps * step)
            out |= (rng.random(x.shape) < np.exp(-near)).any(axis=1)
        total += step * (len(x) - out.sum() / 2)
        x = new[~out]
    exact = problem.solution({"drift": drift}, LAM, 20)(start[None])[0, 0]
    assert total / walks == pytest.approx(exact, rel=0.02)


def test_mirrored_drifts_have_mirrored_times():
    """x_0 → 1 − x_0 turns the sign of b_0, and of the cosine of x_0 in the other components."""
    problem, x = ExitTime(3), points(ExitTime(3), 50)
    numbers = np.asarray(drawn(problem, 1).coefficients)
    signs = np.ones((3, 3))
    signs[0], signs[1:, 0] = -1, -1
    signs[0, 0] = -1
    law = problem.inputs["drift"]
    here = problem.reference({"drift": law.field(numbers)}, x, LAM)
    mirrored = x * [-1, 1, 1] + [1, 0, 0]
    there = problem.reference({"drift": law.field(numbers * signs.ravel())}, mirrored, LAM)
    np.testing.assert_allclose(here, there, rtol=1e-3)
    unlike = problem.reference({"drift": law.field(numbers)}, mirrored, LAM)
    assert np.abs(unlike / here - 1).max() > 0.05


def test_one_dimension_is_refused():
    with pytest.raises(UserError, match=r"config.problem.dim=1 must be at least 2"):
        ExitTime(1)


def test_where_no_grid_fits_the_reference_says_so():
    problem = ExitTime(16)
    drift, x = {"drift": drawn(problem, 1)}, points(problem, 3)
    with pytest.raises(RunError, match=r"no reference in d = 16: its grid fits in memory to d = 9"):
        reference(problem, drift, x, LAM)


@pytest.fixture
def many(monkeypatch):
    """The example of many dimensions."""
    monkeypatch.syspath_prepend(Path(hop.__file__).parents[1] / "examples")
    with jax.numpy_rank_promotion("allow"):
        yield importlib.import_module("exit_time_many")


def test_the_network_of_pairs_knows_its_derivatives_and_the_symmetries(many):
    dim, labels = 4, ("", GRADIENT, LAPLACIAN)
    network, rng = many.Pairs(3, (8,), (8,)), np.random.default_rng(0)
    params = network.init(jax.random.key(0), dim, {"drift": dim**2})
    square, y = rng.standard_normal((2, dim, dim)), jnp.asarray(rng.uniform(0, 1, (3, dim)))

    def of(square, y, labels=("",)):
        values = {"drift": square.reshape(2, -1)}
        return network.features(params, values, y, labels, lambda x: 2 * x - 1)

    def alone(z):
        return of(square, z[None])[""][0, :, 0]

    slope, bend = jax.jit(jax.jacfwd(alone)), jax.jit(jax.hessian(alone))
    made = jax.jit(lambda y: of(square, y, labels))(y)
    for k, at in enumerate(y):
        np.testing.assert_allclose(made[""][0, :, k], alone(at), rtol=1e-12)
        np.testing.assert_allclose(made[GRADIENT][:, 0, :, k], slope(at).T, rtol=1e-9)
        straight = jnp.trace(bend(at), axis1=1, axis2=2)
        np.testing.assert_allclose(made[LAPLACIAN][0, :, k], straight, rtol=1e-9)
    order = np.array([2, 0, 3, 1])
    turned = of(square[:, order][:, :, order], y[:, order])[""]
    np.testing.assert_allclose(turned, made[""], rtol=1e-12)
    signs = np.ones((dim, dim))
    signs[0, 1:] = signs[1:, 0] = signs[0, 0] = -1
    mirrored = of(square * signs, y.at[:, 0].set(1 - y[:, 0]))[""]
    np.testing.assert_allclose(mirrored, made[""], rtol=1e-12)


def test_the_rivals_in_many_dimensions_agree_with_the_reference(many):
    problem = ExitTime(3)
    x, numbers = points(problem, 200), 0.5 * np.asarray(drawn(problem, 1).coefficients)
    exact = problem.solution({"drift": problem.inputs["drift"].field(numbers)}, LAM, 20)(x)[0]
    still = np.asarray(problem.lift(jnp.zeros((1, 200)), jnp.asarray(x).T[:, None], {}, LAM))[0]
    formula = many.Cumulants(problem, LAM, x, 4).solve(numbers[0])
    sparse = many.Galerkin(problem, LAM, many.AxisModes(3), 8)
    solved = still + sparse.values(sparse.solve(numbers[0])[None], x)[0]
    for u, close in ((still, 0.1), (formula, 0.01), (solved, 3e-3)):
        assert np.linalg.norm(u - exact) < close * np.linalg.norm(exact)
    assert np.linalg.norm(still - exact) > 0.03 * np.linalg.norm(exact)
