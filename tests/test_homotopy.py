"""The terms of the loss, the path and the schedule of a stage."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hop.errors import RunError, UserError
from hop.homotopy import terms
from hop.homotopy.path import Path
from hop.homotopy.terms import Stage, Weights
from hop.problems import Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.solvers import Criterion, Moment, Progress
from hop.solvers.first_order import FirstOrder

PROBLEM = BurgersSteady("unit")
X = np.linspace(0.05, 0.95, 11)[None, None, :]


def jets(key, scale=1.0):
    keys = jax.random.split(jax.random.key(key), 3)
    return {
        k: scale * jax.random.normal(q, (2, 11)) for k, q in zip(("", "x", "xx"), keys, strict=True)
    }


def stage(lam, previous):
    return Stage(jnp.int32(1), lam, previous, jnp.float32(1.0))


def test_tangent_row_is_the_papers_times_dp():
    """T/Δp = H_u v + ΔH + H/Δp, each piece computed by itself, for two choices of the parameter."""
    with jax.enable_x64(True):
        u, old, a = jets(0), jets(1), jets(2)
        now, before = Lam(0.3, 0.2), Lam(0.5, 0.4)
        t = terms.tangent(PROBLEM, u, old, jnp.asarray(X), a, stage(now, before))
        h_now, h_before = (PROBLEM.residual(old, jnp.asarray(X), a, lam) for lam in (now, before))
        for dp in (now.s - before.s, 17.0):
            v = {k: (u[k] - old[k]) / dp for k in u}
            # H_u v by hand: (1 − s)(v u_x + u v_x − ε v_xx) + s v
            s, eps = before
            linear = (1 - s) * (v[""] * old["x"] + old[""] * v["x"] - eps * v["xx"]) + s * v[""]
            papers = linear + (h_now - h_before) / dp + h_before / dp
            np.testing.assert_allclose(t, dp * papers, rtol=1e-12, atol=1e-12)


def test_tangent_row_misses_the_residual_at_second_order():
    """With u − u_{k−1} and Δλ of size h, T − H(u, λ_k) is O(h²)."""
    with jax.enable_x64(True):
        old, change, a = jets(1), jets(3), jets(2)

        def gap(h):
            u = {k: old[k] + h * change[k] for k in old}
            now, before = Lam(0.5 - 0.2 * h, 0.4 - 0.1 * h), Lam(0.5, 0.4)
            t = terms.tangent(PROBLEM, u, old, jnp.asarray(X), a, stage(now, before))
            return float(jnp.max(jnp.abs(t - PROBLEM.residual(u, jnp.asarray(X), a, now))))

        slope = math.log2(gap(2e-3) / gap(1e-3))
        assert slope == pytest.approx(2.0, abs=0.02)


def test_weights_of_the_loss():
    terms_of = {"residual": 2.0, "tangent": 8.0}

    def total(weights, tangent=1.0, share=0.0):
        at = stage(Lam(0.0, 0.1), Lam(0.0, 0.2))._replace(tangent=jnp.float32(tangent))
        factors = weights.at(at, jnp.float32(share))
        return sum(float(factors[name]) * term for name, term in terms_of.items())

    weights = Weights(residual=1.0, tangent=0.5, tangent_share=0.5)
    assert total(weights) == pytest.approx(2 + 0.5 * 8)
    assert total(weights, share=0.25) == pytest.approx(2 + 0.25 * 8)
    assert total(weights, share=0.9) == pytest.approx(2)
    only = Weights(residual=0.0, condition=0.0, tangent=1.0, tangent_share=math.inf)
    assert total(only, share=0.9) == pytest.approx(8)
    assert total(only, tangent=0.0) == pytest.approx(2)  # no predecessor: the residual serves


PLACES = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5, unique=True).map(
    lambda values: tuple(Lam(0.0, eps) for eps in sorted(values, reverse=True))
)


@given(PLACES, st.lists(st.booleans(), max_size=30))
def test_adaptive_path_hits_every_place_whatever_fails(places, outcomes):
    path = Path(places, adaptive=True, smallest_step=0.0)
    position, visited, outcomes = path.start(), [], iter(outcomes)
    while (t := path.propose(position)) is not None:
        lam = path.at(t)
        if position.t >= 0 and next(outcomes, False):
            position = path.reject(position, "test")
            continue
        visited.append(lam)
        position = path.accept(position)
    assert [lam for lam in visited if lam in places] == list(places)
    eps = [lam.eps for lam in visited]
    assert eps == sorted(eps, reverse=True)


def test_steps_halve_double_and_end():
    path = Path((Lam(0.0, 1.0), Lam(0.0, 0.01)), adaptive=True, smallest_step=0.25)
    position = path.accept(path.start())
    assert path.at(path.propose(position)) == Lam(0.0, 0.01)
    position = path.reject(position, "test")
    assert path.at(path.propose(position)).eps == pytest.approx(0.1)  # geometric midpoint
    position = path.accept(path.reject(position, "test"))
    assert (position.t, position.step) == (0.25, 0.5)
    with pytest.raises(RunError, match="smallest step"):
        path.reject(path.reject(position, "test"), "test")
    fixed = Path(path.places)
    with pytest.raises(RunError, match="earlier stages are kept"):
        fixed.reject(fixed.accept(fixed.start()), "test")


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], "empty"),
        ([(0.0, 0.0)], "must be positive"),
        ([(0.0, -0.1)], "must be positive"),
        ([(0.0, math.nan)], "must be positive"),
        ([(0.0, 0.1), (0.0, 0.2)], "increases"),
        ([(0.1, 0.2), (0.5, 0.2)], "increases"),
        ([(1.5, 0.2)], r"\[0, 1\]"),
    ],
)
def test_senseless_paths_are_refused(places, words):
    with pytest.raises(UserError, match=words):
        Path(tuple(Lam(*place) for place in places))


CRITERION = Criterion(limit=1000, tail=300, patience=3, min_fall=0.02)


def walk(losses):
    """The progress through windows of 50 steps with the given losses, until it finishes."""
    progress = Progress(0, CRITERION.latest)
    for loss in losses:
        progress = progress.after(CRITERION, min(50, progress.remaining(CRITERION)), loss)
        if progress.finished(CRITERION):
            break
    return progress


def test_a_falling_loss_runs_to_the_limit():
    progress = walk(0.9**k for k in range(100))
    assert progress.step == 1000
    assert progress.tail_from == 700


def test_a_stalled_loss_is_brought_to_its_end_at_once():
    progress = walk([1.0] * 100)
    # The first window sets the level, three more make it stale.
    assert progress.tail_from == 200
    assert progress.step == 200 + CRITERION.tail


def test_a_solver_without_a_tail_ends_with_the_stall_or_at_the_limit():
    bare = dataclasses.replace(CRITERION, tail=0)
    progress = Progress(0, bare.latest)
    assert progress.remaining(bare) == 1000
    for _ in range(4):
        assert not progress.finished(bare)
        progress = progress.after(bare, 50, 1.0)
    assert progress.finished(bare)


def test_learning_rate_warms_up_holds_and_anneals():
    solver = FirstOrder(learning_rate=1e-2, warmup=10, anneal=0.3)
    assert solver.tail(1000) == 300

    def rate(step, tail_from=700):
        return float(solver.rate(Moment(jnp.int32(step), jnp.float32(tail_from), 1000)))

    assert rate(0) == pytest.approx(1e-3)
    assert rate(10) == rate(700) == pytest.approx(1e-2)
    assert rate(850) == pytest.approx(0.5e-2, rel=1e-5)
    assert rate(1000) == pytest.approx(0.0, abs=1e-9)
    assert rate(350, tail_from=200) == pytest.approx(0.5e-2, rel=1e-5)


def test_a_limit_shorter_than_its_tail_still_ends():
    short = dataclasses.replace(CRITERION, limit=1, tail=1)
    assert Progress(0, short.latest).after(short, 1, 1.0).finished(short)
