"""The terms of the loss, the path and the schedule of a stage."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hop.homotopy.resampling import ByResidual
from hypothesis import given
from hypothesis import strategies as st

from hop import config as config_lib
from hop.errors import RunError, UserError
from hop.homotopy import terms
from hop.homotopy.path import Path
from hop.homotopy.predictors import Tangent
from hop.homotopy.terms import Stage, Weights
from hop.problem import Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.solvers import Moment
from hop.solvers.first_order import FirstOrder
from hop.strategies import Plan
from hop.training.records import Criterion, StageProgress

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


@pytest.mark.parametrize("follows", [0.0, 1.0])
def test_a_weight_serves_every_stage(follows):
    """Of the terms, the tangent alone depends on whether a stage has a predecessor."""
    weights = Weights(residual=2.0, condition=3.0, tangent=0.5, slow=4.0, initial=5.0)
    at = stage(Lam(0.0, 0.1), Lam(0.0, 0.2))._replace(tangent=jnp.float32(follows))
    factors = {name: float(value) for name, value in weights.at(at, jnp.float32(0)).items()}
    assert factors == {
        "residual": 2, "condition": 3, "tangent": 0.5 * follows, "slow": 4, "initial": 5, "pin": 1
    }  # fmt: skip


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
    progress = StageProgress(0, CRITERION.latest)
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


def test_a_loss_that_is_low_enough_ends_a_stage():
    asked = dataclasses.replace(CRITERION, goal=1e-3)
    progress = StageProgress(0, asked.latest).after(asked, 50, 2e-3)
    assert progress.tail_from == 700
    assert progress.after(asked, 50, 1e-3).tail_from == 100


def test_no_stall_is_looked_for_while_the_loss_itself_changes():
    held = dataclasses.replace(CRITERION, hold=400)
    progress, seen = StageProgress(0, held.latest), []
    while not progress.finished(held):
        progress = progress.after(held, 50, 1.0)
        seen.append(progress.tail_from)
    assert seen[7:9] == [700, 450]


def test_a_solver_without_a_tail_ends_with_the_stall_or_at_the_limit():
    bare = dataclasses.replace(CRITERION, tail=0)
    progress = StageProgress(0, bare.latest)
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
    assert rate(775) == pytest.approx(0.5e-2 * (1 + math.cos(math.pi / 4)), rel=1e-5)
    assert rate(1000) == pytest.approx(0.0, abs=1e-9)
    assert rate(350, tail_from=200) == pytest.approx(0.5e-2, rel=1e-5)


class Slope:
    """An objective of this gradient; nothing else of it is asked for."""

    def __init__(self, gradient):
        self._gradient = gradient

    def gradient(self, params):
        return (jnp.float32(0), {}), self._gradient

    loss = vector = jacobian = drawn = gradient


def test_optimizers_are_those_of_their_names():
    """The first step of each from a gradient G = U S Vᵀ: −G, −sign G, and about −U Vᵀ."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((6, 6)))[0] for _ in range(2))
    g = (u * np.linspace(1.0, 4.0, 6)) @ v.T

    def step(optimizer):
        solver = FirstOrder(optimizer=optimizer, learning_rate=1.0, warmup=0)
        params = {"kernel": jnp.zeros((6, 6), jnp.float32)}
        moment = Moment(jnp.int32(0), jnp.float32(9), 10)
        slope = Slope({"kernel": jnp.asarray(g, jnp.float32)})
        moved, *_ = jax.jit(lambda p: solver.step(slope, p, solver.init(p), moment))(params)
        return np.asarray(moved["kernel"])

    np.testing.assert_allclose(step("sgd"), -g, rtol=1e-5)
    np.testing.assert_allclose(step("adam"), -np.sign(g), rtol=1e-4)
    along = -u.T @ step("muon") @ v
    np.testing.assert_allclose(along, np.diag(np.diag(along)), atol=1e-3)
    assert np.all((np.diag(along) > 0.6) & (np.diag(along) < 1.3))  # five Newton–Schulz steps


# Strategies and paths.


def test_what_every_strategy_walks_and_weighs():
    """As its paper has it: the places of a run, the terms of its loss, and its predictor."""
    path = Path(tuple(Lam(s, max(s, 0.1)) for s in (0.5, 0.2, 0.0)))
    places = {
        name: config_lib.find("strategy", name)().path(path).places
        for name in ("classical", "curriculum", "homotopy_loss", "predictor_corrector", "euler",
                     "resampling", "sequence_to_sequence")
    }  # fmt: skip
    alone = path.places[-1:]
    assert places == {
        "classical": alone,
        "resampling": alone,
        "sequence_to_sequence": alone * 10,
        "curriculum": (Lam(0.0, 0.5), Lam(0.0, 0.2), Lam(0.0, 0.1)),
        **dict.fromkeys(("homotopy_loss", "predictor_corrector", "euler"), path.places),
    }

    def plan(name, **options):
        return config_lib.find("strategy", name)(**options).plan()

    for name in places:
        assert plan(name, condition=7.0).weights.condition == 7.0
    euler, corrector = plan("euler", rtol=0.1), plan("predictor_corrector", rtol=0.2, pin=0.3)
    assert (euler.predictor, euler.corrects) == (Tangent(0.1, guarded=False), False)
    assert (corrector.predictor, corrector.corrects) == (Tangent(0.2, guarded=True), True)
    assert plan("predictor_corrector", rtol=0.0).predictor is None
    paper = plan("homotopy_loss", residual=2.0, tangent=3.0, tangent_share=0.4, slow=5.0, pin=0.3)
    assert paper == Plan(Weights(2.0, 1.0, 3.0, 0.4, 5.0), pin=0.3)
    assert corrector.pin == 0.3
    assert plan("resampling", pool=3, power=2.0, floor=0.5).resampling == ByResidual(3, 2.0, 0.5)
    assert plan("sequence_to_sequence", initial=4.0).weights.initial == 4.0
    for name in set(places) - {"homotopy_loss"}:
        assert plan(name).weights.tangent == 0


def test_eps_follows_s_down_to_its_target():
    """ε(s) = max(s, target), the target's own s visited; one s serves every ε."""
    path = config_lib.PathConfig(s=(1.0, 0.5, 0.1, 0.0), eps_target=0.2).build()
    assert path.places == tuple(
        Lam(*place) for place in ((1.0, 1.0), (0.5, 0.5), (0.2, 0.2), (0.1, 0.2), (0.0, 0.2))
    )
    path = config_lib.PathConfig(s=(0.1,), eps=(0.5, 0.2)).build()
    assert path.places == (Lam(0.1, 0.5), Lam(0.1, 0.2))


def test_a_limit_shorter_than_its_tail_still_ends():
    short = dataclasses.replace(CRITERION, limit=1, tail=1)
    assert StageProgress(0, short.latest).after(short, 1, 1.0).finished(short)
