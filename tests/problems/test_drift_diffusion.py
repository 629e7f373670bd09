"""The potential at equilibrium: its reference, its limits, and what its ansatz holds exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hop import ambient
from hop.ansatz import Ansatz
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam, reference
from hop.problems.drift_diffusion import DriftDiffusion

PROBLEM, X = DriftDiffusion(), np.linspace(0, 1, 201)[:, None]
ENDS = np.array([[0.0], [1.0]])


@pytest.fixture(scope="module")
def doping():
    with ambient.on_cpu():
        sample = PROBLEM.inputs["C"].sample(ambient.key(0), 3)
        return {"C": jax.tree.map(np.asarray, sample)}


def at(doping, x):
    with ambient.on_cpu():
        return np.asarray(doping["C"](jnp.asarray(x)))


@pytest.mark.parametrize("eps", [1.0, 0.03, 1e-3])
def test_the_reference_converges(doping, eps):
    lam = Lam(0.0, eps)
    ends, shipped = np.arcsinh(at(doping, ENDS) / 2e-4), reference(PROBLEM, doping, X, lam)
    with ambient.on_cpu():
        fine = PROBLEM.newton(doping, lam, nodes=20_000).checked(lam)(X)
    np.testing.assert_allclose(shipped, fine, atol=1e-6)
    np.testing.assert_allclose(shipped[:, [0, -1]], ends, atol=1e-12)


def test_the_reference_agrees_with_collocation_by_scipy(doping):
    eps, one = 0.1, jax.tree.map(lambda c: c[:1], doping)
    u = reference(PROBLEM, one, X, Lam(0.0, eps))[0]

    def slopes(x, y):
        return np.stack([y[1], (2e-4 * np.sinh(y[0]) - at(one, x)[0]) / eps**2])

    start = np.stack([u, np.gradient(u, X[:, 0])])
    found = solve_bvp(
        slopes, lambda a, b: np.array([a[0] - u[0], b[0] - u[-1]]), X[:, 0], start,
        tol=1e-8, max_nodes=100_000,
    )  # fmt: skip
    assert found.success
    np.testing.assert_allclose(found.sol(X[:, 0])[0], u, atol=1e-6)


@pytest.mark.usefixtures("float64")
def test_the_reference_has_no_residual(doping):
    """That of the class, which training sees; the reference is of an equation of its own."""
    lam, d = Lam(0.0, 0.1), 1e-3
    x = np.linspace(0.01, 0.99, 99)[:, None]
    u = PROBLEM.newton(doping, lam).solution
    jet = {"": u(x), "xx": (u(x - d) - 2 * u(x) + u(x + d)) / d**2}
    a = {"C": {"": jnp.asarray(at(doping, x))}}
    h = PROBLEM.residual(jax.tree.map(jnp.asarray, jet), jnp.asarray(x.T[:, None]), a, lam)
    assert float(jnp.abs(h).max()) < 1e-3


def test_outside_of_junctions_the_charge_vanishes_like_the_square_of_the_length(doping):
    far = np.abs(at(doping, X)) > 0.5
    neutral = np.arcsinh(at(doping, X) / 2e-4)[far]
    charged = [
        np.abs(reference(PROBLEM, doping, X, Lam(0.0, eps))[far] - neutral).max()
        for eps in (1e-3, 5e-4)
    ]
    assert charged[0] < 5e-3
    assert charged[0] / charged[1] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("span", [(), (1e-3, 1.0)])
def test_any_network_has_the_values_at_the_contacts(doping, span):
    """With one λ for all points, and with one for each."""
    network = NonlinearDeepONet(branch=(4,), trunk=(4,), rank=3, channels=2, decoder=(4,))
    with ambient.numerics(np.float64), jax.enable_x64(True):
        ansatz = Ansatz(PROBLEM, network, eps=span)
        params, law = ansatz.init(ambient.key(1)), PROBLEM.inputs["C"]
        inputs = ansatz.inputs({"C": law.values(law.field(jnp.asarray(doping["C"].coefficients)))})
        x = jnp.array([[0.0], [0.4], [1.0]])
        eps = jnp.array([[0.01, 0.1, 0.5]]) if span else 0.01
        u = ansatz.jet(params, inputs, x, Lam(0.0, eps), ("",))
    # At one wall the layer of the other is left, e^(−1/3η).
    np.testing.assert_allclose(u[""][:, [0, 2]], np.arcsinh(at(doping, ENDS) / 2e-4), atol=1e-9)


def test_what_is_known_is_shown():
    """The decoder sees C, and C smoothed, in two ways each."""
    ansatz = Ansatz(PROBLEM, NonlinearDeepONet(branch=(4,), trunk=(4,), channels=2, decoder=(5,)))
    params = jax.eval_shape(ansatz.init, ambient.key(0))
    rows = params["decoder"]["Dense_0"]["kernel"].shape[0]
    assert rows == 2 + 18 + 1  # channels, what is shown, x


def test_smoothed_doping_is_that_of_a_fine_quadrature(doping):
    """And, of widths that are nothing, the doping itself."""
    with ambient.on_cpu():
        fields = jax.tree.map(jnp.asarray, doping)
        known = PROBLEM.known(fields, jnp.asarray(X), Lam(0.0, 1e-3))
        width = 1.2 * 1e-3 ** (2 / 3)
        far = np.linspace(-8, 8, 2001)
        places = X + width * far[None]
        values = np.asarray(fields["C"](jnp.asarray(places.ravel()))).reshape(3, *places.shape)
        weights = np.exp(-(far**2) / 2)
        np.testing.assert_allclose(known["mean 2"], values @ weights / weights.sum(), atol=1e-5)
        tiny = PROBLEM.known(fields, jnp.asarray(X), Lam(0.0, 1e-9))
        np.testing.assert_allclose(tiny["mean 3"], at(doping, X), atol=1e-4)
