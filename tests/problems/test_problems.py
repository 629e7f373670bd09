"""Problems: exact solutions have no residual; conditions, lifts, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hop.derivatives import jet
from hop.errors import UserError
from hop.evaluation import Judge
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz
from hop.problems.high_frequency import HighFrequency

X = np.linspace(0.0, 1.0, 41)[:, None]
NONE = {}

pytestmark = pytest.mark.usefixtures("float64")


def residual(problem, solution, lam, a=NONE):
    """max |H| of a function of x (q,) at the points X."""
    u = jet(lambda p: solution(p[:, 0]), jnp.asarray(X), problem.derivatives)
    u = {label: value[None, :] for label, value in u.items()}
    return float(jnp.max(jnp.abs(problem.residual(u, jnp.asarray(X.T)[:, None, :], a, lam))))


def asked(condition, lam):
    """The values (1, b) that a condition u = g asks for, whose rows are u − g."""
    zero = jnp.zeros((1, len(condition.points[0])))
    return -condition.rows(({"": zero},), {}, lam)


def test_allen_cahn_front_is_exact_on_the_line():
    eps = 0.1

    def front(x):
        return jnp.tanh((x - 0.5) / (np.sqrt(2) * eps))

    assert residual(AllenCahn1D(), front, Lam(0.0, eps)) < 1e-13
    assert residual(AllenCahn1D(), front, Lam(0.0, 1.1 * eps)) > 1e-2


def test_inviscid_burgers_states_are_exact():
    """Where ε = 0, u = ± sin πx balances the source on either side of any shock."""
    for sign in (1, -1):
        nothing = {"u0": {"": jnp.zeros((1, len(X)))}}
        lam = Lam(0.0, 0.0)
        u = lambda x, sign=sign: sign * jnp.sin(np.pi * x)  # noqa: E731
        assert residual(BurgersSteady(), u, lam, nothing) < 1e-13


def test_burgers_starts_at_its_input(field):
    a = field.jet(jnp.asarray(X), ("", "x", "xx"))
    x = jnp.asarray(X.T)[:, None, :]
    assert (
        float(jnp.max(jnp.abs(BurgersSteady("unit").residual(a, x, {"u0": a}, Lam(1.0, 0.3))))) == 0
    )
    values = BurgersSteady("unit").reference({"u0": field}, X, Lam(1.0, 0.3))
    np.testing.assert_allclose(values, a[""], atol=1e-9)


@settings(deadline=None, max_examples=5)
@given(st.integers(1, 5), st.floats(0.02, 1.0))
def test_helmholtz_solution_is_exact(dim, eps):
    """Residual and boundary values, at any ε; the residual of another ε's solution is not zero."""
    with jax.enable_x64(True):
        problem = Helmholtz(dim, boundary_points=2 * dim + 3)
        x = np.random.default_rng(0).uniform(-1, 1, (7, dim))

        def h(lam):
            u = jet(
                lambda p: jnp.sin(p.sum(axis=1) / (dim * eps)), jnp.asarray(x), problem.derivatives
            )
            u = {label: value[None, :] for label, value in u.items()}
            return float(jnp.max(jnp.abs(problem.residual(u, jnp.asarray(x.T)[:, None], {}, lam))))

        assert h(Lam(0.0, eps)) < 1e-12
        assert h(Lam(0.0, 1.1 * eps)) > 1e-3 / dim
        (condition,) = problem.conditions(Lam(0.0, eps))
        (walls,) = condition.points
        exact = problem.reference({}, walls, Lam(0.0, eps))
        np.testing.assert_allclose(asked(condition, Lam(0.0, eps)), exact, atol=1e-12)
        rows = condition.rows(({"": 1 + jnp.asarray(exact)},), {}, Lam(0.0, eps))
        np.testing.assert_allclose(rows, 1, atol=1e-12)


def test_helmholtz_boundary_points_are_spread_over_the_faces():
    (condition,) = Helmholtz().conditions(Lam(0.0, 0.1))
    (x,) = condition.points
    assert x.shape == (1000, 20)
    assert np.abs(x).max() == 1
    on = np.concatenate([np.sum(x == -1.0, axis=0), np.sum(x == 1.0, axis=0)])
    assert on.tolist() == [25] * 40
    inner = np.sort(np.where(np.abs(x) < 1, x, np.nan), axis=0)[:950]  # 50 lie on the two faces
    np.testing.assert_allclose(inner, np.linspace(-1, 1, 950)[:, None] + np.zeros(20), atol=0.1)


def test_conditions_move_with_eps_under_jit():
    problem = Helmholtz(2, 8)

    def values(eps):
        lam = Lam(0.0, eps)
        return asked(problem.conditions(lam)[0], lam)[0, 0]

    eps, h = 0.3, 1e-5
    slope = (values(eps + h) - values(eps - h)) / (2 * h)
    assert float(jax.jit(jax.grad(values))(eps)) == pytest.approx(float(slope), rel=1e-6)
    assert abs(slope) > 0.1


@pytest.mark.parametrize("eps", [1 / 15, 1 / 200])
def test_high_frequency_fit(eps):
    problem, lam = HighFrequency(), Lam(0.0, eps)
    assert residual(problem, lambda x: jnp.sin(np.pi * x / eps), lam) < 1e-12
    assert residual(problem, lambda x: jnp.sin(np.pi * x / eps), Lam(0.0, 1.1 * eps)) > 1e-2
    points, weights = Judge(problem, {}, {}).quadrature(eps)
    assert len(points) > 20 / eps
    r = problem.reference({}, points, lam)
    assert float(r[0] ** 2 @ weights) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("problem", [BurgersSteady(), AllenCahn1D(), AllenCahn1D(-2.0, 1.1)])
def test_lift_satisfies_the_boundary_conditions(problem, replace):
    ends = jnp.asarray([[0.0, 1.0]])[:, None, :]
    a = {name: jnp.zeros((2, 2)) for name in problem.inputs}
    lam = Lam(0.0, 0.1)
    lifted = problem.lift(jnp.full((2, 2), 3.7), ends, a, lam)
    (soft,) = replace(problem, conditions_by="loss").conditions(lam)
    assert np.array_equal(soft.points[0], [[0.0], [1.0]])
    assert np.array_equal(lifted, np.broadcast_to(asked(soft, lam), (2, 2)))
    assert not np.any(soft.rows(({"": lifted},), {}, lam))
    assert problem.conditions(lam) == ()


def test_steady_burgers_does_not_depend_on_its_input_at_s_0(field):
    u = BurgersSteady("unit").reference({"u0": field}, X, Lam(0.0, 0.1))
    assert np.array_equal(u[0], u[1])
    assert u.shape == (3, len(X))


def test_steady_burgers_from_nothing_is_that_from_zero(float64):
    """Without an input as with u₀ = 0: the residual, its weak form and the reference."""
    one, unit, lam = BurgersSteady("none"), BurgersSteady("unit"), Lam(0.3, 0.1)
    x = jnp.asarray(X)[:, :1].T[None]
    u = {label: jnp.sin(k + x[0]) for k, label in enumerate(("", "x", "xx"))}
    zero = {"u0": dict.fromkeys(u, jnp.zeros_like(x[0]))}
    assert np.array_equal(one.residual(u, x, {}, lam), unit.residual(u, x, zero, lam))
    for label, value in unit.weak(u, x, zero, lam).items():
        assert np.array_equal(one.weak(u, x, {}, lam)[label], value)
    law = unit.inputs["u0"]
    for lam in (Lam(0.3, 0.1), Lam(0.0, 0.1)):
        exact = unit.reference({"u0": law.field(np.zeros((1, law.size)))}, X, lam)
        np.testing.assert_allclose(one.reference({}, X, lam), exact, atol=1e-12)


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match="use 'paper', 'unit' or 'none'"):
        BurgersSteady("periodic")
    with pytest.raises(UserError, match="use one of lift, loss"):
        AllenCahn1D(conditions_by="soft")
    with pytest.raises(UserError, match="use one of none, odd"):
        AllenCahn1D(symmetry="even")
    with pytest.raises(UserError, match="opposite ends, not left=-2 and right=1.1; use 'none'"):
        AllenCahn1D(left=-2.0, right=1.1, symmetry="odd")
    with pytest.raises(UserError, match="must be finite"):
        AllenCahn1D(left=float("nan"))
    with pytest.raises(UserError, match="use one of none, odd"):
        BurgersSteady(symmetry="even")
    with pytest.raises(UserError, match="use at least 2·problem.dim = 40"):
        Helmholtz(boundary_points=39)
    with pytest.raises(UserError, match="at least 1"):
        Helmholtz(dim=0)
