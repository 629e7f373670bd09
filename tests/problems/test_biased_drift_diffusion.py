"""A semiconductor under voltage: its limits, its currents, and what its ansatz holds exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hop import ambient
from hop.ansatz import Ansatz, columns
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam, reference
from hop.problems.biased_drift_diffusion import BiasedDriftDiffusion, levels
from hop.problems.drift_diffusion import DriftDiffusion

PROBLEM, X = BiasedDriftDiffusion(), np.linspace(0, 1, 201)[:, None]
VOLTAGES = np.array([[0.0], [4.0], [20.0]])
TINY = NonlinearDeepONet(branch=(4,), trunk=(4,), rank=3, channels=2, decoder=(4,))


@pytest.fixture(scope="module")
def devices():
    with ambient.on_cpu():
        sample = PROBLEM.inputs["C"].sample(ambient.key(0), 3)
        return jax.tree.map(np.asarray, {"C": sample, "V": PROBLEM.inputs["V"].field(VOLTAGES)})


def at(devices, x):
    with ambient.on_cpu():
        return np.asarray(devices["C"](jnp.asarray(x)))


def test_without_voltage_it_is_the_equilibrium(devices):
    """Which is solved on other differences."""
    one = jax.tree.map(lambda c: c[:1], devices)
    for eps in (1.0, 0.03):
        still = reference(DriftDiffusion(), {"C": one["C"]}, X, Lam(0.0, eps))
        np.testing.assert_allclose(reference(PROBLEM, one, X, Lam(0.0, eps)), still, atol=1e-4)


def test_the_reference_is_of_second_order(devices):
    lam = Lam(0.0, 0.05)
    coarse = PROBLEM.newton(devices, lam, nodes=400)
    guess = coarse.checked(lam)
    middle, fine = (PROBLEM.newton(devices, lam, guess, nodes=n).solution(X) for n in (800, 3200))
    errors = [np.abs(u - fine).max() for u in (guess(X), middle)]
    assert errors[0] / errors[1] == pytest.approx(63 / 15, rel=0.1)
    assert errors[1] < 2e-3
    np.testing.assert_allclose(
        fine[:, [0, -1]],
        np.arcsinh(at(devices, X[[0, -1]]) / 2e-4) + VOLTAGES * [[0, 1]],
        atol=1e-12,
    )


def test_the_reference_agrees_with_collocation_by_scipy(devices):
    """Of Poisson's equation and both currents, in e^(−φ_n) and e^(φ_p)."""
    eps, k = 0.1, 1
    one = jax.tree.map(lambda c: c[k : k + 1], devices)
    phi, V = reference(PROBLEM, one, X, Lam(0.0, eps))[0], VOLTAGES[k, 0]
    with ambient.on_cpu():
        start = [jnp.asarray(v) for v in (phi[None], X[:, 0], VOLTAGES[k : k + 1])]
        phi_n, phi_p = (np.asarray(level)[0] for level in levels(*start))

    def slopes(x, y):
        phi, slope, u, j_n, v, j_p = y
        charge = 1e-4 * (np.exp(phi) * u - np.exp(-phi) * v) - at(one, x[:, None])[0]
        zero = np.zeros_like(phi)
        return np.stack([slope, charge / eps**2, j_n * np.exp(-phi), zero, j_p * np.exp(phi), zero])

    def ends(a, b):
        return np.array([a[0] - phi[0], b[0] - phi[-1], a[2] - 1, b[2] - np.exp(-V),
                         a[4] - 1, b[4] - np.exp(V)])  # fmt: skip

    u, v = np.exp(-phi_n), np.exp(phi_p)
    currents = [(w[-1] - w[0]) / np.trapezoid(np.exp(s * phi), X[:, 0]) + 0 * phi
                for w, s in ((u, -1), (v, 1))]  # fmt: skip
    guess = np.stack([phi, np.gradient(phi, X[:, 0]), u, currents[0], v, currents[1]])
    found = solve_bvp(slopes, ends, X[:, 0], guess, tol=1e-7, max_nodes=100_000)
    assert found.success
    np.testing.assert_allclose(found.sol(X[:, 0])[0], phi, atol=1e-4)


@pytest.mark.usefixtures("float64")
def test_levels_of_a_straight_potential_are_exact():
    """On any points: between them it is taken for straight."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(np.concatenate([[0], np.sort(rng.uniform(size=9)), [1]]))
    slope, V = 7.0, jnp.asarray([[5.0]])
    phi_n, phi_p = levels(slope * x[None], x, V)
    F, G = ((np.exp(s * slope * x) - 1) / (np.exp(s * slope) - 1) for s in (-1, 1))
    np.testing.assert_allclose(np.exp(-phi_n[0]), 1 - F + F * np.exp(-5.0), rtol=1e-10)
    np.testing.assert_allclose(np.exp(phi_p[0]), 1 - G + G * np.exp(5.0), rtol=1e-10)
    flat = levels(jnp.zeros((1, 11)), x, V)  # φ = 0: F = G = x
    np.testing.assert_allclose(np.exp(-flat[0][0]), 1 - x + x * np.exp(-5.0), rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_the_reference_has_no_residual_on_any_points(devices):
    lam, rng = Lam(0.0, 0.1), np.random.default_rng(1)
    solution = PROBLEM.newton(devices, lam, nodes=4000).solution
    x, d = (np.arange(400)[:, None] + rng.uniform(size=(400, 1))) / 400, 1e-3
    x = rng.permutation(x[2:-2])
    u = {"": solution(x), "xx": (solution(x - d) - 2 * solution(x) + solution(x + d)) / d**2}
    a = {name: {"": field(jnp.asarray(x))} for name, field in devices.items()}
    ends = at(devices, X[[0, -1]])
    a |= {f"C({k})": {"": jnp.asarray(np.repeat(ends[:, k : k + 1], len(x), 1))} for k in (0, 1)}
    h = PROBLEM.residual(jax.tree.map(jnp.asarray, u), columns(jnp.asarray(x)), a, lam)
    assert float(jnp.sqrt(jnp.mean(h**2))) < 1e-3


def test_any_network_has_the_values_at_the_contacts(devices):
    with ambient.numerics(np.float64), jax.enable_x64(True):
        ansatz = Ansatz(PROBLEM, TINY)
        params, law = ansatz.init(ambient.key(1)), PROBLEM.inputs["C"]
        values = law.values(law.field(jnp.asarray(devices["C"].coefficients)))
        inputs = ansatz.inputs({"C": values, "V": jnp.asarray(VOLTAGES)})
        x = jnp.array([[0.0], [0.4], [1.0]])
        u = jax.jit(lambda x: ansatz.jet(params, inputs, x, Lam(0.0, 0.01), ("",))[""])(x)
    ends = np.arcsinh(at(devices, X[[0, -1]]) / 2e-4) + VOLTAGES * [[0, 1]]
    np.testing.assert_allclose(np.asarray(u)[:, [0, 2]], ends, atol=1e-9)


def test_sweeps_are_of_float64_wherever_they_are_made(devices):
    device = PROBLEM.device(devices, Lam(0.0, 0.1), 100)
    found = device.swept(device.start())
    with ambient.on_cpu():
        np.testing.assert_array_equal(device.swept(device.start()), found)
