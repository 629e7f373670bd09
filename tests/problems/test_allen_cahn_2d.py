"""Allen–Cahn in the plane: exact solutions, symmetries, and conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hop.ansatz import Ansatz
from hop.derivatives import jet
from hop.errors import UserError
from hop.networks.mlp import MLP
from hop.problem import Lam
from hop.problems.allen_cahn_2d import AllenCahn2D

PROBLEM = AllenCahn2D()
GRID = PROBLEM.domain.grid(41, 41)
LAM = Lam(0.0, 0.1)

pytestmark = pytest.mark.usefixtures("float64")


def residual(solution, lam):
    """max |H| of a function of x and y on the grid."""
    x = jnp.asarray(GRID)
    u = jet(lambda p: solution(p[:, 0], p[:, 1]), x, PROBLEM.derivatives)
    u = {label: value[None, :] for label, value in u.items()}
    return float(jnp.max(jnp.abs(PROBLEM.residual(u, x.T[:, None, :], {}, lam))))


def start(x, y):
    return -jnp.sin(np.pi * x) * jnp.sin(np.pi * y)


def test_the_path_starts_at_u0():
    assert residual(start, Lam(1.0, 0.3)) == 0
    assert residual(start, Lam(0.9, 0.3)) > 1e-2


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)])
def test_a_straight_front_is_a_steady_state(direction):
    a, b = direction

    def front(x, y):
        return jnp.tanh((a * x + b * y) / (np.sqrt(2) * 0.1))

    assert residual(front, Lam(0.0, 0.1)) < 1e-12
    assert residual(front, Lam(0.0, 0.11)) > 1e-2
    assert residual(front, Lam(0.1, 0.1)) > 1e-2


@pytest.mark.parametrize("conditions_by", ["lift", "loss"])
def test_the_ansatz_is_odd_in_both_coordinates(conditions_by):
    ansatz = Ansatz(AllenCahn2D(conditions_by=conditions_by), MLP((8, 8)))
    theta, unravel = ravel_pytree(ansatz.init(jax.random.key(0)))
    params = unravel(theta + jax.random.normal(jax.random.key(1), theta.shape))
    x = jnp.asarray(np.random.default_rng(0).integers(-32, 33, (50, 2)) / 32)
    at = jax.jit(lambda x: ansatz.jet(params, {}, x, LAM))
    u, across, both = (
        at(x * jnp.asarray([signs])) for signs in ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0))
    )
    assert float(jnp.max(jnp.abs(u[""]))) > 1e-2
    for label in PROBLEM.derivatives:  # an even derivative of an odd function is odd
        np.testing.assert_allclose(across[label], -u[label], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(both[label], u[label], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(across["y"], -u["y"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(across["x"], u["x"], rtol=1e-12, atol=1e-12)


def test_an_odd_network_of_sines_needs_no_lift():
    ansatz = Ansatz(AllenCahn2D(conditions_by="loss"), MLP((8, 8), sines=2))
    theta, unravel = ravel_pytree(ansatz.init(jax.random.key(0)))
    params = unravel(theta + jax.random.normal(jax.random.key(1), theta.shape))
    at = jax.jit(lambda x: ansatz.jet(params, {}, x, LAM, ())[""])
    ((walls,),) = (soft.points for soft in ansatz.problem.conditions(LAM))
    assert float(jnp.max(jnp.abs(at(jnp.asarray(walls))))) < 1e-14
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (50, 2)))
    assert float(jnp.max(jnp.abs(at(x)))) > 1e-2
    mirrored = x.at[:, 0].set(1 - x[:, 0])
    np.testing.assert_allclose(at(x), at(mirrored), atol=1e-14)


def test_the_boundary_values_are_zero_or_asked_for():
    (soft,) = AllenCahn2D(conditions_by="loss").conditions(LAM)
    (walls,) = soft.points
    assert PROBLEM.conditions(LAM) == ()
    assert np.all(np.abs(walls).max(axis=1) == 1)
    u = jnp.arange(len(walls), dtype=float)[None, :]
    np.testing.assert_array_equal(soft.rows(({"": u},), {}, LAM), u)
    on_boundary = jnp.asarray(walls).T[:, None, :]
    assert not np.any(PROBLEM.lift(jnp.full((1, len(walls)), 3.7), on_boundary, {}, LAM))
    for side in (-1, 1):
        for axis in (0, 1):
            assert np.sum(walls[:, axis] == side) >= 101


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match="symmetry='even' is not known; use one of none, odd"):
        AllenCahn2D(symmetry="even")
