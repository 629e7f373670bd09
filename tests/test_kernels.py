"""Kernels of training: their factors, bounds and spectra, and the two theorems built on them."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import hop
from hop import kernels
from hop.ansatz import Ansatz
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.operators import Operator
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.allen_cahn_2d import AllenCahn2D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.burgers_time import BurgersTime
from hop.problems.helmholtz import Helmholtz

UNIT = (0.0, 1.0)

pytestmark = pytest.mark.usefixtures("float64")


def lam(eps):
    return Lam(np.float64(0), np.float64(eps))


def network(problem=None, widths=(8, 8), seed=0):
    ansatz = Ansatz(problem or AllenCahn1D(), MLP(widths))
    return ansatz, ansatz.init(jax.random.key(seed))


def discretised(problem, grid, eps, line=0.0):
    """u (n,) at the inner points ↦ H there, by the grid's derivatives of u − line, 0 at the ends.

    The slope of `line` itself is left out: Allen–Cahn does not read it.
    """
    first, second, points = (jnp.asarray(a) for a in (grid.first, grid.second, grid.x))
    zero = {name: {"": jnp.zeros((1, len(grid.x)))} for name in problem.inputs}

    def residual(u, eps=eps):
        bump = u - line
        jet = {"": u[None], "x": (first @ bump)[None], "xx": (second @ bump)[None]}
        return problem.residual(jet, points[None, None, :], zero, Lam(0.0, eps))[0]

    return residual


# D, and K = D S Dᵀ.


@pytest.mark.parametrize(
    "problem", [AllenCahn1D(), BurgersSteady()], ids=lambda p: type(p).__name__
)
@pytest.mark.parametrize("make", [kernels.equispaced, kernels.chebyshev])
def test_d_is_the_jacobian_of_the_discretised_residual(problem, make):
    grid = make(UNIT, 12)
    u = np.sin(2 * np.pi * grid.x) + grid.x * (1 - grid.x)
    jet = {"": u[None], "x": (grid.first @ u)[None], "xx": (grid.second @ u)[None]}
    d = kernels.linearised(problem, jet, lam(0.1), grid)
    expected = jax.jacfwd(discretised(problem, grid, 0.1))(jnp.asarray(u))
    np.testing.assert_allclose(d, expected, rtol=1e-10, atol=1e-10 * np.abs(d).max())


def mismatches(problem, grids):
    """‖K − D S Dᵀ‖ / ‖K‖ on each grid, K from the exact Jacobian."""
    ansatz, params = network(problem)
    x = np.concatenate([grid.x for grid in grids])[:, None]  # all at once: one compilation
    exact = kernels.kernel(ansatz, params, lam(0.2), x)
    jets, _ = Operator(ansatz, params, lam(0.2)).jets(None, x)
    found, first = [], 0
    for grid in grids:
        mine = slice(first, first := first + len(grid.x))
        jet = {label: u[:, mine] for label, u in jets.items()}
        factored = kernels.linearised(problem, jet, lam(0.2), grid) @ exact.value[mine]
        k = exact.residual[mine] @ exact.residual[mine].T
        found.append(np.linalg.norm(k - factored @ factored.T) / np.linalg.norm(k))
    return found


def test_k_is_d_s_d_to_second_order_and_spectrally():
    grids = [kernels.equispaced(UNIT, n) for n in (31, 63)]
    grids += [kernels.chebyshev(UNIT, n) for n in (8, 16, 32, 40)]
    *even, first, second, third, last = mismatches(AllenCahn1D(), grids)
    assert math.log2(even[0] / even[1]) == pytest.approx(2.0, abs=0.1)
    assert second < first**1.5
    assert third < second**1.5
    assert last < 1e-11


def test_it_is_not_where_the_ends_move():
    """A negative control: without exact conditions δu does not vanish at the ends."""
    assert (
        min(
            mismatches(
                AllenCahn1D(conditions_by="loss"), [kernels.equispaced(UNIT, n) for n in (31, 63)]
            )
        )
        > 1
    )


def test_the_jacobian_is_exact_and_in_float64_from_any_precision():
    ansatz, params = network()
    x = kernels.equispaced(UNIT, 6).x[:, None]
    theta, unravel = ravel_pytree(params)
    made = kernels.kernel(ansatz, params, lam(0.2), x)
    for found, rows in (
        (made.residual, lambda p: ansatz.residual(p, {}, jnp.asarray(x), lam(0.2))[0]),
        (made.value, lambda p: ansatz.jet(p, {}, jnp.asarray(x), lam(0.2), ())[""][0]),
    ):
        expected = jax.jit(jax.jacfwd(lambda t, rows=rows: rows(unravel(t))))(theta)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    with jax.enable_x64(False):
        narrow = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
        single = kernels.kernel(ansatz, narrow, Lam(0.0, 0.2), x)
        assert single.residual.dtype == np.float64
        assert jnp.zeros(1).dtype == jnp.float32  # the caller's precision is left alone
    np.testing.assert_allclose(single.residual, made.residual, rtol=1e-3, atol=1e-5)


# Bounds.


def test_both_bounds_hold_and_the_slow_mode_makes_one_sharp():
    """At Allen–Cahn's solution no features at all bring λ_min(K) over their λ_max · σ_min(D)²."""
    d = kernels.at_reference(AllenCahn1D(), lam(0.1), kernels.chebyshev(UNIT, 60))
    value = np.random.default_rng(0).standard_normal((60, 240))
    found = kernels.bounds(d, value)
    spread = np.linalg.cond(value) ** 2
    assert found.by_operator / spread < found.smallest < found.by_operator < 1e-5
    assert found.smallest < found.by_features
    # σ_min is no larger than the eigenvalue of smallest modulus, 6.9e-5
    assert found.by_operator < np.linalg.norm(value, 2) ** 2 * 6.9e-5**2


def test_a_fresh_networks_features_bound_its_kernel():
    ansatz, params = network()
    grid = kernels.equispaced(UNIT, 6)
    d = kernels.at_network(ansatz, params, lam(0.2), grid)
    value = kernels.kernel(ansatz, params, lam(0.2), grid.x[:, None]).value
    found = kernels.bounds(d, value)
    assert found.smallest < found.by_features < found.by_operator
    k = d @ value @ value.T @ d.T
    assert found.smallest == pytest.approx(np.linalg.eigvalsh(k)[0], rel=1e-3)


# Eigenvalues of D at the solution.


@pytest.mark.parametrize(
    ("problem", "eps", "expected", "rel"),
    [
        (AllenCahn1D(), 0.2, (-6.0e-2, -2.0), 0.01),
        (AllenCahn1D(), 0.05, (-5.0e-11, -1.5), 0.01),
        (BurgersSteady(), 0.02, (4.6e-6, 5.6), 0.01),
    ],
    ids=lambda v: type(v).__name__ if dataclasses.is_dataclass(v) else str(v),
)
def test_the_slowest_eigenvalues(problem, eps, expected, rel):
    """Figures of two digits, and Allen–Cahn's −96 exp(−√2/ε) at small ε."""
    found = kernels.slowest(problem, lam(eps))
    assert found.values == pytest.approx(expected, rel=rel)
    assert np.all(found.error < rel * np.abs(found.values))
    if isinstance(problem, AllenCahn1D) and eps < 0.2:
        asymptotic = -96 * math.exp(-math.sqrt(2) / eps)
        assert found.values[0] == pytest.approx(asymptotic, rel=0.02)


def test_where_the_slowest_eigenvalue_is_lost_its_error_says_so():
    found = kernels.slowest(AllenCahn1D(), lam(0.02))
    assert found.error[0] > 1e6 * 96 * math.exp(-math.sqrt(2) / 0.02)
    assert abs(found.values[0]) < 1e-10


@pytest.mark.parametrize("dim", [1, 20])
def test_the_largest_eigenvalue_of_helmholtz_is_known(dim):
    n, eps = 63, (0.5, 0.02)
    h = 2 / (n + 1)
    mu = (4 / h**2) * np.sin(np.array([1, n]) * np.pi * h / 4) ** 2
    expected = [np.max(np.abs(e**2 * dim * mu - 1 / dim)) for e in eps]
    np.testing.assert_allclose(kernels.largest(Helmholtz(dim), eps, n), expected, rtol=1e-9)
    one = kernels.largest(Helmholtz(dim), eps[0], n)  # a number stands for one ε
    np.testing.assert_allclose(one, expected[:1], rtol=1e-9)


@pytest.mark.parametrize(("problem", "power"), [(AllenCahn1D(), 2), (BurgersSteady(), 1)])
def test_the_largest_eigenvalue_falls_like_the_diffusion(problem, power):
    n = 127
    eps = (0.4, 0.1)
    expected = 4 * np.array(eps) ** power * (n + 1) ** 2
    np.testing.assert_allclose(kernels.largest(problem, eps, n), expected, rtol=0.02)


# Spectra, ranks and rounding.


def test_the_rank_of_a_xavier_network_is_small_and_what_is_lost_is_rounding():
    ansatz, params = network(AllenCahn1D(conditions_by="loss"), (30, 30, 30))
    x = kernels.equispaced(UNIT, 200).x[:, None]
    value = kernels.kernel(ansatz, params, lam(0.1), x).value
    s = kernels.Spectrum.of(value)
    assert 12 <= s.rank <= 22  # of 200 points and 1,951 parameters
    assert s.lost
    assert s.rounded == pytest.approx(1 - s.rank / 200)
    assert s.smallest == s.rounding**2
    assert s.rank > s.formed("float64") > s.formed("float32")
    # The same matrix by forward mode: σ above the threshold agree, those below do not.
    theta, unravel = ravel_pytree(params)
    value_at = jax.jit(
        jax.jacfwd(lambda t: ansatz.jet(unravel(t), {}, jnp.asarray(x), lam(0.1), ())[""][0])
    )
    other = value_at(theta)
    again = kernels.Spectrum.of(other)
    np.testing.assert_allclose(again.sigma, s.sigma, rtol=0, atol=s.rounding)
    apart = np.abs(again.sigma / s.sigma - 1)
    assert np.max(apart[: s.formed("float64")]) < 1e-6
    assert np.max(apart[-30:]) > 1e-2
    # Formed as a product, S keeps what `formed` says and no more.
    formed = np.linalg.eigvalsh(value @ value.T)[::-1]
    kept = s.formed("float64")
    np.testing.assert_allclose(formed[: kept - 2], s.eigenvalues[: kept - 2], rtol=0.1)
    assert np.max(np.abs(formed[30:])) > 1e6 * s.eigenvalues[30]


def test_spectra_of_matrices_with_known_ones():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((m, 4)))[0] for m in (6, 9))
    sigma = np.array([1.0, 1e-4, 1e-6, 1e-13])
    full = kernels.Spectrum.of(np.diag([3.0, 2.0, 1e-3]) @ np.linalg.qr(right[:3, :3])[0])
    assert not full.lost
    assert full.rounded == 0
    assert full.smallest == pytest.approx(1e-6)
    made = kernels.Spectrum.of((left * sigma) @ right.T)
    np.testing.assert_allclose(made.sigma[:4], sigma, atol=1e-15)
    assert made.rank == 4
    assert made.formed("float64") == 3
    assert made.formed("float32") == 1
    tall = kernels.Spectrum.of(((left * sigma) @ right.T).T[:, :5])  # more points than parameters
    assert len(tall.sigma) == 9
    assert np.all(tall.sigma[5:] == 0)


def test_starts_are_kernels_at_the_target():
    """Features of a steep network reach further than a fresh one's."""
    ansatz, params = network()
    steep = jax.tree.map(lambda leaf: 4 * leaf, params)
    x = kernels.equispaced(UNIT, 6).x[:, None]
    stages = [Operator(ansatz, p, Lam(0.0, e)) for p, e in ((params, 0.3), (steep, 0.2))]
    fresh, same, other = kernels.starts(stages, Lam(0.0, 0.1), x)
    assert [start.eps for start in (fresh, same, other)] == [None, 0.3, 0.2]
    np.testing.assert_array_equal(fresh.kernel.residual, same.kernel.residual)  # both of seed 0
    assert other.kernel.k.smallest > 10 * same.kernel.k.smallest
    at_target = kernels.kernel(ansatz, steep, Lam(0.0, 0.1), x)
    np.testing.assert_array_equal(other.kernel.residual, at_target.residual)


# The two theorems.


def test_gradient_flow_contracts_as_the_kernel_says():
    """L(t) ≤ L(0) exp(−λ_min(K(0)) t/n) while λ_min(K) > half its start.

    The slowest part is left in the end, where L′ = −2 λ_min(K) L/n. 1,021 parameters at 4 points.
    """
    ansatz, params = network(widths=(30, 30))
    theta, unravel = ravel_pytree(params)
    n, place = 4, lam(1.0)
    x = kernels.equispaced(UNIT, n).x[:, None]

    @jax.jit
    def loss(theta):
        return 0.5 * jnp.mean(ansatz.residual(unravel(theta), {}, jnp.asarray(x), place) ** 2)

    slope = jax.jit(jax.grad(loss))
    least = kernels.kernel(ansatz, params, place, x).k.smallest
    times = np.linspace(0, 2 * n / least, 21)
    flow = solve_ivp(
        lambda _, t: -np.asarray(slope(t)),
        (0, times[-1]),
        theta,
        t_eval=times,
        rtol=1e-8,
        atol=1e-10,
    )
    losses = np.array([float(loss(t)) for t in flow.y.T])
    smallest = [kernels.kernel(ansatz, unravel(t), place, x).k.smallest for t in flow.y.T]
    assert min(smallest) > least / 2  # the theorem's condition
    assert max(smallest) < 2 * least  # so the kernel truly moves, but little
    assert np.all(losses <= losses[0] * np.exp(-least * times / n) * (1 + 1e-6))
    rate = math.log(losses[-3] / losses[-1]) / (times[-1] - times[-3])
    assert rate == pytest.approx(2 * smallest[-2] / n, rel=0.05)


def velocity(grid):
    """V(u, ε) = −H_u⁻¹ H_ε of Allen–Cahn, and its derivative in u, on a grid."""
    residual = discretised(AllenCahn1D(), grid, 0.0, line=2 * jnp.asarray(grid.x) - 1)

    def v(u, eps):
        return -jnp.linalg.solve(
            jax.jacfwd(residual)(u, eps), jax.jacfwd(residual, argnums=1)(u, eps)
        )

    return jax.jit(v), jax.jit(jax.jacfwd(v))


def test_euler_steps_stay_within_gronwalls_bound_and_converge_at_first_order():
    """max |u_k − u(ε_k)| ≤ Δε M/(2 Lip) (exp(Lip |ε − ε₀|) − 1), M = max |u_εε|."""
    grid = kernels.chebyshev(UNIT, 20)
    v, dv = velocity(grid)

    def exact(eps):
        return jnp.asarray(AllenCahn1D().reference({}, grid.x[:, None], lam(eps))[0])

    start, end, errors = 1.0, 0.4, []
    ode = solve_ivp(
        lambda p, u: np.asarray(v(u, p)),
        (start, end),
        np.asarray(exact(start)),
        rtol=1e-10,
        atol=1e-12,
        dense_output=True,
    )
    np.testing.assert_allclose(ode.y[:, -1], exact(end), atol=1e-6)  # Davidenko's path is the path
    lipschitz = curvature = 0.0
    for steps in (16, 32, 64):
        h, u, worst = (end - start) / steps, jnp.asarray(ode.y[:, 0]), 0.0
        for k in range(steps):
            p = start + k * h
            true = jnp.asarray(ode.sol(p))
            for at in (true, u, (true + u) / 2):
                lipschitz = max(lipschitz, float(jnp.linalg.norm(dv(at, p), 2)))
            along = (v(jnp.asarray(ode.sol(p + h)), p + h) - v(true, p)) / h
            curvature = max(curvature, float(jnp.linalg.norm(along)))
            u = u + h * v(u, p)
            worst = max(worst, float(jnp.linalg.norm(u - jnp.asarray(ode.sol(p + h)))))
        errors.append(worst)
        growth = math.expm1(lipschitz * abs(end - start)) / lipschitz
        # M from differences is right to O(h)
        assert worst < 1.1 * 0.5 * abs(h) * curvature * growth
    assert math.log2(errors[1] / errors[2]) == pytest.approx(1.0, abs=0.1)


def test_an_error_along_the_path_grows_like_one_over_the_slow_eigenvalue():
    """Davidenko conserves H, so δu(ε) = D(ε)⁻¹ D(ε₀) δu(ε₀): |λ₀(0.2)/λ₀(0.1)|, nearly 900, for φ.

    This is what Lip holds: without symmetry or a pin no step is short enough for small ε.
    """
    grid = kernels.chebyshev(UNIT, 48)
    v, _ = velocity(grid)
    values, vectors = np.linalg.eig(kernels.at_reference(AllenCahn1D(), lam(0.2), grid))
    phi = np.real(vectors[:, np.argmin(np.abs(values))])
    start = AllenCahn1D().reference({}, grid.x[:, None], lam(0.2))[0]

    def follow(u):
        path = solve_ivp(lambda p, u: np.asarray(v(u, p)), (0.2, 0.1), u, rtol=1e-9, atol=1e-11)
        return path.y[:, -1]

    size = 1e-6
    grown = (follow(start + size * phi) - follow(start - size * phi)) / (2 * size)
    slow = kernels.slowest(AllenCahn1D(), lam(0.1), 1).values[0]
    expected = np.min(np.abs(values)) / abs(slow)
    assert expected > 800
    there, modes = np.linalg.eig(kernels.at_reference(AllenCahn1D(), lam(0.1), grid))
    left = np.linalg.inv(modes)[np.argmin(np.abs(there))]  # reads the part along the mode there
    assert abs(left @ grown) == pytest.approx(expected * abs(left @ phi), rel=0.02)


# Faults, and the picture.


class Bent(Helmholtz):
    """With coefficients that depend on x through u."""

    def residual(self, u, x, a, lam):
        return super().residual(u, x, a, lam) + u[""] ** 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: kernels.kernel(
                Ansatz(BurgersSteady(), DeepONet()), {}, lam(0.1), np.zeros((3, 1))
            ),
            "has input functions",
        ),
        (lambda: kernels.starts([], lam(0.1), np.zeros((3, 1))), "at least one trained stage"),
        (lambda: at_reference(Helmholtz(2)), "needs one unknown on an interval"),
        (lambda: at_reference(BurgersTime()), "needs one unknown on an interval"),
        (lambda: kernels.slowest(AllenCahn2D(), lam(0.1)), "needs one unknown on an interval"),
        (lambda: kernels.slowest(AllenCahn1D(), lam(0.0)), "eps=0 must be a positive"),
        (lambda: kernels.largest(Bent(2), (0.1,)), "for constants times u and Δu"),
        (lambda: kernels.largest(BurgersTime(), (0.1,)), "for constants times u and Δu"),
        (lambda: kernels.largest(AllenCahn1D(), (0.0,)), "eps=0 must be a positive"),
        (lambda: kernels.largest(Helmholtz(2), (0.1, -0.1)), "eps=-0.1 must be a positive"),
        (lambda: kernels.largest(Helmholtz(2), math.nan), "eps=nan must be a positive"),
        (lambda: kernels.largest(AllenCahn1D(), (0.1,), 0), "n=0 points make no grid"),
        (lambda: kernels.largest(Helmholtz(2), (0.1,), -1), "n=-1 points make no grid"),
        (lambda: kernels.chebyshev(UNIT, 0), "n=0 points make no grid"),
    ],
)
def test_what_kernels_do_not_serve_is_refused_in_one_line(call, text):
    with pytest.raises(hop.UserError, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def at_reference(problem):
    return kernels.at_reference(problem, lam(0.1), kernels.equispaced(UNIT, 5))
