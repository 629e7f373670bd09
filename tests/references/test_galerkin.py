"""Galerkin's method: it converges, and what it converges to solves the strong equation."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from hop import ambient
from hop.derivatives import closure
from hop.domain import Box
from hop.problem import Lam, Problem
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.cavity import Cavity
from hop.references import galerkin

GRID = np.random.default_rng(0).random((200, 2))


def test_cavity_converges_geometrically():
    problem, lam = Cavity(lid="regular"), Lam(0.0, 1 / 400)
    fine, *coarse = (
        np.stack([problem.solution({}, lam, n)(GRID, label) for label in "xy"])
        for n in (24, 16, 12)
    )
    errors = [np.linalg.norm(v - fine) / np.linalg.norm(fine) for v in coarse]
    assert errors[0] < 2e-3
    assert errors[1] > 4 * errors[0]


def test_cavity_solves_the_strong_equation():
    """H of fourth order, and the walls: none of it is in the weak form that was solved."""
    problem, lam = Cavity(lid="regular"), Lam(0.0, 1 / 100)
    solution = problem.solution({}, lam, 24)
    inner = 0.1 + 0.8 * GRID
    u = {k: jnp.asarray(solution(inner, k)) for k in closure(problem.derivatives)}
    h = np.asarray(problem.residual(u, jnp.asarray(inner.T[:, None, :]), {}, lam))
    assert np.abs(h).max() < 1e-2 * np.abs(u["xxxx"]).max()
    lid = np.stack([GRID[:, 0], np.ones(len(GRID))], axis=1)
    np.testing.assert_allclose(solution(lid, "y")[0], 16 * (lid[:, 0] * (1 - lid[:, 0])) ** 2)
    walls = np.concatenate([GRID * [0, 1], GRID * [1, 0], GRID * [0, 1] + [1, 0]])
    for label in ("", "x", "y"):
        np.testing.assert_allclose(solution(walls, label), 0, atol=1e-9)


def test_it_agrees_with_collocation():
    """Steady Burgers, by another method with another discretisation."""
    problem, lam = BurgersSteady("unit"), Lam(0.2, 0.1)
    with ambient.on_cpu():
        a = {"u0": problem.inputs["u0"].sample(ambient.key(0), 2)}
    x = np.linspace(0, 1, 41)[:, None]
    walk = [Lam(0.2, eps) for eps in (0.8, 0.4, 0.2, 0.1)]
    found = galerkin.solve(problem, a, walk, (96,))(x)
    np.testing.assert_allclose(found, problem.reference(a, x, lam), atol=2e-5)


@pytest.mark.parametrize("label", ["", "x", "yy"])
def test_derivatives_are_those_of_the_solution(label):
    solution = Cavity(lid="regular").solution({}, Lam(0.5, 0.01), 8)
    axis, h = ("xy".index(label[-1]) if label else 0), 1e-5
    if not label:
        assert solution(GRID).shape == (1, len(GRID))
        return
    step = h * np.eye(2)[axis]
    inner = 0.1 + 0.8 * GRID
    difference = (solution(inner + step, label[:-1]) - solution(inner - step, label[:-1])) / (2 * h)
    np.testing.assert_allclose(solution(inner, label), difference, rtol=1e-4, atol=1e-6)


def test_unit_lid_has_the_published_extrema():
    """Re = 1,000, velocities on the centre lines, by Botella and Peyret (1998)."""
    solution = Cavity(lid="unit").solution({}, Lam(0.0, 1e-3), 24)
    middle = np.full(401, 0.5)
    y, x = np.linspace(0.12, 0.22, 401), np.linspace(0.1, 0.95, 401)
    u = solution(np.stack([middle, y], axis=1), "y")[0]
    v = -solution(np.stack([x, middle], axis=1), "x")[0]
    np.testing.assert_allclose(
        [u.min(), v.max(), v.min()], [-0.3885698, 0.3769447, -0.5270771], atol=3e-4
    )


def test_by_default_the_unit_lid_is_resolved():
    """As finely as the errors of networks need: they are of 1e-3."""
    problem, lam = Cavity(lid="unit"), Lam(0.0, 1 / 100)
    x = np.random.default_rng(0).uniform(0.05, 0.95, (200, 2))
    usual, fine = (problem.solution({}, lam, n)(x, "y") for n in (0, 36))
    assert np.linalg.norm(usual - fine) < 5e-4 * np.linalg.norm(fine)


@dataclasses.dataclass(frozen=True)
class Saturated(Problem):
    """atan u = 10⁻⁴ u″, u = 0: a full Newton step from |u| > 1.4 leads further away."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x")

    def residual(self, u, x, a, lam):
        return jnp.arctan(u[""]) - 1e-4 * u["xx"]

    def weak(self, u, x, a, lam):
        return {"": jnp.arctan(u[""]), "x": 1e-4 * u["x"]}

    def energy(self, a, lam):
        return {"": 1.0, "x": 1e-4}

    def lift(self, network, x, a, lam):
        return x[0] * (1 - x[0]) * network


def test_steps_are_halved_where_they_lead_away():
    lam, x = Lam(0.0, 1.0), Saturated.domain.grid(41)
    found = galerkin.newton(Saturated(), {}, [lam], (16,), lambda x: 20 * (x * (1 - x)).T)
    assert found.step[0] < 1e-10
    assert found.iterations[0] < 20
    np.testing.assert_allclose(found.solution(x), 0, atol=1e-9)


def test_a_guess_is_where_it_starts():
    """The solution itself is found at once, and what walks there from u₀ takes more steps."""
    problem, lam = Cavity(lid="regular"), Lam(0.0, 1 / 400)
    whole = problem.newton({}, lam, polynomials=12)
    again = problem.newton({}, lam, whole.solution, polynomials=12)
    assert again.iterations[0] == 1 < whole.iterations[0]
    np.testing.assert_allclose(again.solution(GRID), whole.solution(GRID), atol=1e-12)
