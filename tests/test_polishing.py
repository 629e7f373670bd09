"""Newton's method from an operator: it ends at the reference, and says where it does not."""

import numpy as np
import pytest

import hop
from hop import ambient, inference, polishing, splits
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.allen_cahn_2d import AllenCahn2D
from hop.problems.burgers_steady import BurgersSteady
from hop.references.newton import Found


@pytest.fixture(scope="module")
def op():
    return hop.load("burgers-steady-unit", stage=0)


@pytest.fixture(scope="module")
def u0(op):
    return splits.examples(op.laws["u0"], "test", 0, 4)["values"]


X = np.linspace(0, 1, 51)[:, None]


def off(u, r):
    return np.abs(u - r).max() / np.abs(r).max()


def test_it_ends_at_the_reference_sooner_than_from_nothing(op, u0):
    found = hop.polish(op, u0)
    fields, lam = op.fields(u0), Lam(op.s, op.eps)
    r = BurgersSteady("unit").reference(fields, X, lam)
    assert found.converged.all()
    assert off(found(X), r) < 1e-9 < 1e-5 < off(op(u0, X), r)
    assert found(X).dtype == np.float64
    cold = op.ansatz.problem.newton(fields, lam, lambda x: np.zeros((4, len(x))), 1e-8)
    assert np.all(found.iterations < cold.iterations)
    assert "converged for 4 of 4, in " in str(found)


def test_it_is_of_the_flow_in_a_cavity_too():
    op = hop.load("cavity")
    numbers = {"U": splits.examples(op.laws["U"], "test", 0, 1)["values"], "Re": 900.0}
    found, x = hop.polish(op, numbers), op.ansatz.problem.domain.grid(9, 9)
    r = op.ansatz.problem.reference(op.fields(numbers), x, op.lam)
    assert found.converged.all()
    assert found.iterations.max() <= 4
    assert off(found(x), r) < 1e-8 < 1e-5 < off(op(numbers, x), r)


@pytest.mark.parametrize(
    ("problem", "eps"),
    [(AllenCahn1D(), 0.1), (AllenCahn1D(left=-2.0, right=1.1), 0.2), (AllenCahn2D(), 0.15)],
    ids=["odd", "not odd", "plane"],
)
def test_a_solution_is_a_guess_that_one_step_confirms(problem, eps):
    """And one that is a little off takes few more."""
    lam, x = Lam(0.0, eps), problem.domain.grid(*(11,) * problem.domain.dim)
    with ambient.on_cpu():
        cold = problem.newton({}, lam)
        warm = problem.newton({}, lam, cold.solution, 1e-8)
        near = problem.newton({}, lam, lambda x: 1.01 * cold.solution(x), 1e-8)
    assert warm.iterations[0] == 1 < near.iterations[0] < cold.iterations[0]
    for found in (warm, near):
        np.testing.assert_allclose(found.solution(x), problem.reference({}, x, lam), atol=1e-6)


def test_what_does_not_converge_is_said(op, u0, monkeypatch, tmp_path):
    """And of the output of a file it is NaN."""
    solve = BurgersSteady.newton

    def stalled(self, a, lam, guess=None, small=1e-10):
        found = solve(self, a, lam, guess, small)
        steps = np.where(np.arange(len(found.step)) % 2, 1.0, found.step)
        return Found(found.solution, found.iterations, steps, found.residual, found.size)

    monkeypatch.setattr(type(op.ansatz.problem), "newton", stalled)
    found = hop.polish(op, u0)
    assert found.converged.tolist() == [True, False, True, False]
    assert str(found).startswith("Newton's method converged for 2 of 4, in ")
    np.save(tmp_path / "u0.npy", u0)
    said = inference.infer(
        op, input=str(tmp_path / "u0.npy"), output=str(tmp_path / "u.npy"), points=9, polish=True
    )
    assert said.endswith("; NaN in the output: rows 1, 3, counted from 0")
    u = np.load(tmp_path / "u.npy")
    assert np.isnan(u).all(axis=1).tolist() == [False, True, False, True]


def test_a_file_is_polished_row_by_row(op, u0, tmp_path, monkeypatch):
    """In shards of a few, and not taken for what the operator itself has written."""
    monkeypatch.setattr(inference, "POLISHED", 3)
    np.save(tmp_path / "u0.npy", u0)
    names = {"input": str(tmp_path / "u0.npy"), "output": str(tmp_path / "u.npy"), "points": 51}
    inference.infer(op, **names)
    plain = np.load(tmp_path / "u.npy")
    said = inference.infer(op, polish=True, **names)
    assert "Newton's method converged for 4 of 4, in " in said
    polished = np.load(tmp_path / "u.npy")
    assert (plain.dtype, polished.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(polished, hop.polish(op, u0)(X), atol=1e-9)


def test_what_it_cannot_do_is_refused(op, u0):
    with pytest.raises(hop.UserError, match="BurgersTime has no Newton's method to start"):
        hop.polish(hop.load("burgers-time", stage=0), u0)
    with pytest.raises(hop.UserError, match="tol=0 must be a number between 0 and 1"):
        hop.polish(op, u0, 0)
    with pytest.raises(hop.UserError, match="u0 has shape .* must be \\(n, 128\\)"):
        hop.polish(op, u0[:, 1:])
    with pytest.raises(hop.UserError, match="op is a str; give an operator"):
        hop.polish("cavity")
    with pytest.raises(hop.UserError, match="is of eps=0.5 alone"):
        hop.polish(op, u0, eps=0.1)
    with pytest.raises(hop.UserError, match="no functions to polish"):
        hop.polish(op, u0[:0])
    with pytest.raises(hop.UserError, match="this operator needs an input"):
        hop.polish(op)


def test_a_line_tells_the_steps():
    assert polishing.told(np.array([0, 0])) == "Newton's method converged for none of 2"
    assert polishing.told(np.array([1])) == "Newton's method converged for 1 of 1, in 1 step"
    said = "Newton's method converged for 3 of 4, in 2 to 5 steps, 3 in the median"
    assert polishing.told(np.array([2, 0, 5, 3])) == said


def test_it_says_when_it_solves_for_another_function():
    """|C| < 1 is the law of the doping: what is larger is cut, and a cut function is another."""
    op = hop.load("biased-drift-diffusion")
    C = np.asarray(splits.examples(op.laws["C"], "test", 0, 1)["values"], float)
    assert op.misfits({"C": C, "V": [5.0]})["C"] < 1e-3
    larger = {"C": 1.3 * C / np.abs(C).max(), "V": [5.0]}
    assert op.misfits(larger)["C"] > 0.1
    with pytest.warns(UserWarning, match="C lies outside the law .* in the range of the map tanh"):
        hop.polish(op, larger)


def test_what_is_not_a_number_has_not_converged(op, u0, monkeypatch):
    nothing = np.full(4, -np.inf)

    def lost(self, a, lam, guess, small):
        return Found(lambda x: np.full((4, len(x)), np.nan), np.ones(4, int), nothing, nothing, 1)

    monkeypatch.setattr(BurgersSteady, "newton", lost)
    assert not hop.polish(op, u0).converged.any()
