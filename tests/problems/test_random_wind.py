"""Random wind in the square and the cube: the wind, the lift and the reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.errors import UserError
from hop.evaluation import Judge
from hop.networks.deeponet import DeepONet
from hop.operators import Operator
from hop.problem import Lam
from hop.problems.random_wind import RandomWind
from hop.references import chebyshev_tensor

pytestmark = pytest.mark.usefixtures("float64")
EACH = pytest.mark.parametrize("dim", [2, 3])
SMALL = DeepONet((8,), (8, 8), 6)


def drawn(problem, n, seed=0):
    return problem.inputs["wind"].sample(jax.random.key(seed), n)


@EACH
def test_the_wind_is_free_of_divergence_and_of_the_size_it_says(dim):
    problem = RandomWind(dim=dim)
    numbers = jnp.eye(problem.inputs["wind"].width)
    domain = problem.domain
    x, weights = domain.quadrature_on([np.linspace(0, 1, 41)] * dim)
    none = problem.wind(jnp.zeros_like(numbers[:1]), jnp.asarray(x[:1]).T[:, None])
    np.testing.assert_array_equal(none[:, 0, 0], np.eye(dim)[0])
    curl = problem.wind(numbers, jnp.asarray(x).T[:, None]) - none
    curl = np.asarray(curl)[:, 3 * (dim == 3) :]
    # The trapezoidal rule is exact for these waves; the numbers are independent, of variance 1.
    assert np.sqrt(np.sum(curl**2, axis=(0, 1)) @ weights) == pytest.approx(0.5, rel=1e-12)
    at = jnp.asarray(np.random.default_rng(0).random((5, dim)))
    slopes = jax.vmap(jax.jacfwd(lambda p: problem.wind(numbers, p[:, None, None])[..., 0]))(at)
    assert jnp.max(jnp.abs(jnp.trace(slopes, axis1=1, axis2=3))) < 1e-13


def test_the_reduced_residual_is_the_weighted_one_of_the_lift():
    problem, lam = RandomWind(dim=3, reaction=2.0), Lam(0.0, 0.03)
    ansatz, law = Ansatz(problem, SMALL), problem.inputs["wind"]
    params = ansatz.init(jax.random.key(1))
    inputs = ansatz.inputs({"wind": drawn(problem, 3).coefficients})
    x = jnp.asarray(np.concatenate([np.random.default_rng(0).random((20, 3)), np.eye(3)]))

    @jax.jit
    def found(x):
        u, a = ansatz.jet(params, inputs, x, lam), ansatz.input_jet(inputs, x, lam)
        return u[""], a, problem.residual(u, x.T[:, None], a, lam)

    u, a, h = found(x)
    assert a["wind"][""].shape == (law.width, 3, 1)
    np.testing.assert_array_equal(u[:, 20:], 0)  # on the walls
    inside = x[:20]
    far = np.concatenate([1 - inside, inside[:, 1:]], axis=1)
    omega = lam.eps + (1 - lam.eps) * np.prod(1 - np.exp(-far / (2 * lam.eps)), axis=1)
    reduced = jax.jit(lambda x: ansatz.residual(params, inputs, x, lam))(x)
    np.testing.assert_allclose(reduced[:, :20], np.sqrt(omega)[None] * h[:, :20], rtol=1e-9)
    assert jnp.isfinite(reduced).all()


@EACH
def test_the_lift_rises_over_the_widths_of_the_mean_wind_s_layers(dim):
    """ε where it leaves, √ε along a wall, nearly 1 where it enters."""
    problem, lam = RandomWind(dim=dim), Lam(0.0, 1e-6)

    def u(**places):
        x = [places.get(letter, 0.5) for letter in "xyz"[:dim]]
        return float(problem.lift(jnp.ones((1, 1)), jnp.asarray(x)[:, None, None], {}, lam)[0, 0])

    entered, risen = -np.expm1(-0.5), 1 - np.exp(-1)
    assert u() == pytest.approx(entered, rel=1e-5)
    assert u(x=1 - 1e-6) == pytest.approx(risen**2, rel=1e-5)
    for letter in "yz"[: dim - 1]:
        for end in (1e-3, 1 - 1e-3):
            assert u(**{letter: end}) == pytest.approx(risen * entered, rel=1e-5)


@EACH
def test_the_reference_solves_the_problem_s_own_equation(dim):
    """Of a u that is known, H(u) + 1 is the source of which the reference finds it."""
    problem, lam, nodes = RandomWind(dim=dim, reaction=dim - 2.0), Lam(0.0, 0.05), 20
    x, numbers = chebyshev_tensor.points(problem.domain, nodes), drawn(problem, 2).coefficients

    def known(x):
        return jnp.prod(jnp.sin(jnp.pi * x), axis=1) * jnp.exp(x[:, -1])

    u = jet(known, jnp.asarray(x), ("", GRADIENT, LAPLACIAN))
    u = {k: jnp.expand_dims(v, -2) for k, v in u.items()}
    a = {"wind": {"": jnp.asarray(numbers).T[..., None]}}
    at = jnp.asarray(x).T[:, None]
    source = np.asarray(problem.residual(u, at, a, lam)) + 1
    wind = np.asarray(problem.wind(numbers, at))
    c = problem.reaction
    found = chebyshev_tensor.solve(problem.domain, nodes, lam.eps, wind, source, c)
    some = np.random.default_rng(0).random((50, dim))
    np.testing.assert_allclose(found(some), np.tile(known(jnp.asarray(some)), (2, 1)), atol=1e-7)


def test_the_reference_converges():
    problem, eps = RandomWind(), 0.02
    field, x = drawn(problem, 2), np.random.default_rng(0).random((200, 2))
    x[::2] = 1 - eps * x[::2]  # where the layers are

    def at(nodes):
        return problem.solution({"wind": field}, Lam(0.0, eps), nodes)(x)

    shipped = problem.reference({"wind": field}, x, Lam(0.0, eps))
    nodes = 4 + int(np.ceil(3.5 / np.sqrt(eps)))
    finest = at(nodes * 3 // 2)
    errors = [np.abs(u - finest).max() / np.abs(finest).max() for u in (at(nodes // 2), shipped)]
    assert errors[1] < 1e-4
    assert errors[1] < errors[0] / 10
    lost = RandomWind(reaction=10.0).reference({"wind": field}, x, Lam(0.0, eps))
    assert 0.05 < lost.max() < 0.1 < shipped.max()  # of a u that is at most 1/c


def test_an_operator_takes_the_numbers_of_every_wind():
    problem = RandomWind()
    ansatz = Ansatz(problem, SMALL)
    op = Operator(ansatz, jax.device_get(ansatz.init(jax.random.key(0))), Lam(0.0, 0.1))
    numbers = np.asarray(drawn(problem, 3).coefficients)
    x = np.random.default_rng(0).random((7, 2))
    u = op(numbers, x)
    assert u.shape == (3, 7)
    np.testing.assert_allclose(op(numbers[1:2], x)[0], u[1], rtol=1e-6)
    for wrong in (numbers[0], numbers[:, :15], 1.0):
        with pytest.raises(UserError, match=r"must be \(n, 16\): 16 numbers for each function"):
            op(wrong, x)
    with pytest.warns(UserWarning, match=r"its numbers lie in \[-5.5, 5.5\]"):
        op(10 * np.abs(numbers) + 7, x)
    judge = Judge(problem, {"wind": numbers}, {"wind": problem.inputs["wind"].field(numbers)})
    assert judge.errors(op).shape == (3,)
    with pytest.raises(UserError, match=r"config.problem.dim=4 must be 2 or 3"):
        RandomWind(dim=4)
