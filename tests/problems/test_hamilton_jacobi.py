"""Hamilton–Jacobi with small noise: the cost, the reference and the reduced residual."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.errors import UserError
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam
from hop.problems.hamilton_jacobi import HamiltonJacobi

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("float64")


def points(problem, count=12):
    """Points (q, d + 1) of its law, at times that are not small."""
    draw = np.random.default_rng(0)
    space, times = draw.normal(size=(count, problem.dim)), draw.uniform(0.2, 1, (count, 1))
    return np.concatenate([space, times], axis=1)


def test_the_directions_are_orthonormal_and_every_axis_has_one():
    for dim in (3, 20, 23):
        v = HamiltonJacobi(dim=dim).directions
        assert v.shape == (-(-dim // 5), dim)
        np.testing.assert_allclose(v @ v.T, np.eye(len(v)), atol=1e-15)
        assert np.all((v > 0).sum(axis=0) == 1)


@pytest.mark.parametrize("eps", [1.0, 0.1])
def test_the_reference_is_the_mean_over_all_of_space(eps):
    """Of Cole and Hopf, by a tensor of Gauss–Hermite nodes about the end of the quadratic."""
    problem = HamiltonJacobi(dim=2, cost=3)
    x = points(problem)
    u, gradient = problem.solution({}, x, Lam(0.0, eps))
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    z = np.stack([m.ravel() for m in np.meshgrid(nodes, nodes)])
    w = np.outer(weights, weights).ravel() / weights.sum() ** 2
    cost = problem.cost_of({}, float)
    for k, (*at, t) in enumerate(x):

        def by_mean(at, t=t):
            ends = at[:, None] + jnp.sqrt(2 * eps * t) * z
            g = problem.value(cost, ends[:, None])[0]
            least = jnp.min(g)
            return least - 2 * eps * jnp.log(w @ jnp.exp((least - g) / (2 * eps)))

        at = jnp.asarray(at)
        assert u[0, k] == pytest.approx(float(by_mean(at)), rel=1e-9)
        np.testing.assert_allclose(gradient[:, 0, k], jax.grad(by_mean)(at), rtol=1e-6)


def test_the_reference_solves_the_equation_and_does_not_hang_on_its_step():
    """In d = 7 at ε = 0.01, by central differences."""
    problem, lam, h = HamiltonJacobi(dim=7, cost=6), Lam(0.0, 0.01), 1e-3
    x = points(problem)
    u, gradient = problem.solution({}, x, lam)
    finer = problem.solution({}, x, lam, step=0.1)
    np.testing.assert_allclose(u, finer[0], rtol=1e-11)
    np.testing.assert_allclose(gradient, finer[1], atol=1e-11)
    moved = np.stack([x + s * h * e for e in np.eye(8) for s in (1, -1)]).reshape(-1, 8)
    up, down = np.moveaxis(problem.solution({}, moved, lam)[0].reshape(8, 2, -1), 1, 0)
    slope, bend = (up - down) / (2 * h), (up - 2 * u + down) / h**2
    np.testing.assert_allclose(slope[:-1], gradient[:, 0], atol=2e-3)
    h_ = slope[-1] + (slope[:-1] ** 2).sum(axis=0) / 2 - lam.eps * bend[:-1].sum(axis=0)
    assert np.abs(h_).max() < 5e-3 * np.abs(slope[-1]).max()


def test_small_noise_finds_the_best_end():
    """As ε → 0 the solution is min over y of g(y) + |x − y|² / 2t (Hopf, Lax)."""
    problem = HamiltonJacobi(dim=1, cost=6)
    x = points(problem)
    y = np.linspace(-8, 8, 40_001)
    g = np.asarray(problem.value(problem.cost_of({}, float), jnp.asarray(y)[None, None]))[0]
    least = np.min(g + (x[:, :1] - y) ** 2 / (2 * x[:, 1:]), axis=1)
    far = [np.abs(problem.reference({}, x, Lam(0.0, eps))[0] - least).max() for eps in (1e-3, 1e-4)]
    assert far[0] < 5e-3
    assert far[1] < 0.2 * far[0]


@pytest.mark.parametrize("family", [False, True])
def test_the_reduced_residual_is_that_of_the_lift(family):
    problem = HamiltonJacobi(dim=6, cost=-1 if family else 2)
    network = NonlinearDeepONet((5,), (6,), 3, channels=2, decoder=(7,)) if family else MLP((6,))
    ansatz, lam = Ansatz(problem, network), Lam(0.0, 0.03)
    params = ansatz.init(jax.random.key(1))
    numbers = problem.law.sample(jax.random.key(2), 3).coefficients
    inputs = ansatz.inputs({"cost": numbers}) if family else {}
    x = jnp.asarray(points(problem))

    @jax.jit
    def found(x):
        u, a = ansatz.jet(params, inputs, x, lam), ansatz.input_jet(inputs, x, lam)
        return u, problem.residual(u, x.T[:, None], a, lam), ansatz.residual(params, inputs, x, lam)

    u, h, reduced = found(x)
    np.testing.assert_allclose(reduced, h, atol=1e-12 * np.abs(h).max())

    if family:  # the jet is that of the values, whatever the decoder is shown
        by_jvp = jet(lambda at: ansatz.jet(params, inputs, at, lam, ())[""].T, x, tuple(u))
        for label in ("t", GRADIENT, LAPLACIAN):
            np.testing.assert_allclose(u[label], jnp.moveaxis(by_jvp[label], -1, -2), atol=1e-9)
    at_start = x.at[:, -1].set(0.0)
    a = {"cost": jnp.asarray(numbers).T[..., None]} if family else {}
    g = problem.value(problem.cost_of(a, float), at_start.T[:-1, None])
    np.testing.assert_allclose(found(at_start)[0][""], g, atol=1e-12)


def test_what_is_shown_reaches_the_decoder():
    """Without features of the numbers, the network still knows them where they are shown."""
    problem = HamiltonJacobi(dim=6, cost=-1)
    ansatz = Ansatz(problem, NonlinearDeepONet((5,), (6,), 3, channels=2, decoder=(7,)))
    params = ansatz.init(jax.random.key(1))
    assert params["decoder"]["Dense_0"]["kernel"].shape == (2 + 3 * 2 + 7, 7)
    nothing = jax.tree.map(jnp.zeros_like, params)
    inputs = ansatz.inputs({"cost": problem.law.sample(jax.random.key(2), 2).coefficients})
    x = jnp.asarray(points(problem))
    blind = [params | {"branch": nothing["branch"]}, nothing]
    u, alone = (ansatz.jet(each, inputs, x, Lam(0.0, 0.03), ())[""] for each in blind)
    tN = u - alone
    assert np.abs(tN[0] - tN[1]).min() > 1e-6


def test_costs_are_told_apart():
    first, again, other = (HamiltonJacobi(dim=4, cost=k) for k in (0, 0, 1))
    x = points(first, 3)
    u = [p.reference({}, x, Lam(0.0, 0.1)) for p in (first, again, other)]
    np.testing.assert_array_equal(u[0], u[1])
    assert np.abs(u[0] - u[2]).min() > 1e-3
    law = HamiltonJacobi(dim=4, cost=-1).law
    fields = {"cost": law.field(np.asarray(law.sample(jax.random.key(5), 3).coefficients))}
    many = HamiltonJacobi(dim=4, cost=-1).reference(fields, x, Lam(0.0, 0.1))
    assert many.shape == (3, 3)
    for bad in ({"dim": 0}, {"cost": -2}):
        with pytest.raises(UserError, match=next(iter(bad))):
            HamiltonJacobi(**bad)


def test_particles_steered_by_the_gradient_pay_the_least_cost():
    """By the exact gradient u itself; by none, more. Noise as in the example."""
    walk = runpy.run_path(str(EXAMPLES / "steering.py"))["walk"]
    problem, lam = HamiltonJacobi(dim=3, cost=6), Lam(0.0, 0.1)
    draw, start = np.random.default_rng(0), np.array([0.7, -0.4, 1.1])
    noise = draw.normal(size=(50, 1000, 3))

    def paid(control):
        x, effort = walk(control, start, lam.eps, noise)
        g = problem.value(problem.cost_of({}, float), jnp.asarray(x[-1]).T[:, None])[0]
        return effort + np.asarray(g)

    def feedback(x, time):
        left = np.full((len(x), 1), 1 - time)
        return -problem.solution({}, np.hstack([x, left]), lam)[1][:, 0].T

    least = problem.reference({}, np.append(start, 1.0)[None], lam)[0, 0]
    steered, free = paid(feedback), paid(lambda x, time: np.zeros_like(x))
    error = steered.std() / np.sqrt(1000)
    assert steered.mean() == pytest.approx(
        least, abs=3 * error + 0.02
    )  # 50 steps of Euler's method
    assert free.mean() > least + 10 * error
