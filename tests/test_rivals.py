"""The strategies that the homotopy is compared with: curriculum, resampling, time marching."""

import dataclasses
import math
import shutil
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hop.homotopy.in_time import AtEnd, InTime
from hop.homotopy.resampling import ByResidual
from scipy.optimize import brentq

import hop
from hop import config as config_lib
from hop import plotting
from hop.ansatz import Ansatz
from hop.domain import Box
from hop.homotopy.path import Path
from hop.homotopy.terms import Objective, Stage, Weights
from hop.networks.deeponet import DeepONet
from hop.problem import Condition, Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.strategies.curriculum import Curriculum
from hop.strategies.sequence_to_sequence import SequenceToSequence
from hop.training import train


def with_strategy(config, name, **options):
    values = config_lib.to_json(config) | {"strategy": {"name": name, **options}}
    return config_lib.parse(values)


# Curriculum.


def test_a_curriculum_lowers_eps_at_the_last_s_alone():
    path = Path(tuple(Lam(s, max(s, 0.1)) for s in (1.0, 0.5, 0.1, 0.05, 0.0)))
    assert Curriculum().path(path).places == (Lam(0.0, 1.0), Lam(0.0, 0.5), Lam(0.0, 0.1))
    assert Curriculum().plan().weights.tangent == 0


# Resampling.


def drawn_share(density, share, pool, count):
    """The share of points drawn from a part of the pool, by its p and that of the rest.

    Candidates with independent exponential waiting times of rates p come in the order of drawing
    without replacement, so up to the time τ of the last point drawn a share 1 − exp(−pτ) has come.
    """
    sizes = pool * count * np.array([share, 1 - share])

    def come(tau):
        return sizes * -np.expm1(-tau * np.array(density))

    tau = brentq(lambda t: come(t).sum() - count, 0, 100)
    return come(tau)[0] / count


@pytest.mark.parametrize(
    ("pool", "power", "floor"), [(20, 1.0, 1.0), (4, 1.0, 1.0), (20, 2.0, 0.0)]
)
def test_points_are_drawn_by_the_residual(pool, power, floor):
    """|H| is 3 on a tenth of the interval and 1 elsewhere: p is known, so is its share."""
    count, high = 2000, 0.1
    x = jnp.linspace(0, 1, pool * count)[:, None]
    h = jnp.where(x[:, 0] < high, -3.0, 1.0)[None, :]
    candidates = ByResidual(pool, power, floor).candidates(x, h)
    points = np.asarray(candidates.draw(jax.random.key(0), count))[:, 0]
    assert len(np.unique(points)) == count
    mean = high * 3**power + (1 - high)
    density = 3**power / mean + floor, 1 / mean + floor
    expected = drawn_share(density, high, pool, count)
    # Hoeffding's bound, which holds for draws without replacement too, at 1 in 10,000.
    assert np.mean(points < high) == pytest.approx(
        expected, abs=math.sqrt(math.log(2e4) / (2 * count))
    )
    if pool == 20:  # by then little is lost to replacement
        exact = high * density[0] / (high * density[0] + (1 - high) * density[1])
        assert expected == pytest.approx(exact, abs=0.03)


def test_nothing_to_prefer_is_drawn_evenly():
    x = jnp.arange(40.0)[:, None]
    for floor in (0.0, 1.0):
        points = (
            ByResidual(4, 1.0, floor).candidates(x, jnp.zeros((2, 40))).draw(jax.random.key(0), 10)
        )
        assert len(np.unique(points)) == 10


def test_resampled_training_is_on_points_by_p_and_resumes_to_the_bit(tiny_mlp, tmp_path, listener):
    count, one = 1024, {"mesh__function": 1, "mesh__point": -1, "train__points": 1024}
    config = tiny_mlp(
        **one, train__steps=4, train__dispatch=1, train__save_seconds=0.0, path__eps=(0.5, 0.05)
    )
    config = with_strategy(config, "resampling", power=2.0)
    heard = listener()
    (record,) = train(config, tmp_path / "w", heard)
    assert record["eps"] == 0.05
    params = hop.load(tmp_path / "w").params
    shutil.rmtree(tmp_path / "w/stages/0")  # what is left is the rolling checkpoint at step 3
    again = listener()
    train(config, tmp_path / "w", again)
    assert [record["step"] for record in again.windows] == [4]
    jax.tree.map(np.testing.assert_array_equal, params, hop.load(tmp_path / "w").params)
    # The loss of the fresh network is ½ E_p[H²], with E_p[f] = ½ (E[f H²] / E[H²] + E[f]).
    ansatz = config_lib.build(config).ansatz
    fresh = jax.jit(ansatz.init)(jax.random.key(config.seed))
    x = jnp.asarray(ansatz.problem.domain.grid(4001), jnp.float32)
    square = np.asarray(ansatz.residual(fresh, None, x, Lam(0.0, 0.05)))[0] ** 2

    def mean(f):
        return 0.5 * (np.mean(f * square) / np.mean(square) + np.mean(f))

    noise = math.sqrt((mean(square**2) - mean(square) ** 2) / count)
    assert 2 * heard.windows[0]["residual"] == pytest.approx(mean(square), abs=4 * noise)
    assert mean(square) - np.mean(square) > 8 * noise  # even points are told apart


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"train__sampler": "grid"}, {}, "train.sampler='grid'; use uniform or stratified"),
        ({"train__sampler": "adaptive"}, {}, "use uniform or stratified"),
        ({}, {"pool": 1}, "use 2 or more"),
        ({}, {"power": -1.0}, "config.strategy.power=-1.0 must not be negative"),
        ({}, {"floor": -1.0}, "config.strategy.floor=-1.0 must not be negative"),
    ],
)
def test_what_resampling_cannot_serve_is_refused(tiny, change, options, words):
    with pytest.raises(hop.UserError, match=words):
        config_lib.build(with_strategy(tiny(**change), "resampling", **options))


def test_resampling_refuses_a_solver_that_keeps_its_points(tiny):
    values = config_lib.to_json(with_strategy(tiny(), "resampling")) | {"solver": {"name": "lbfgs"}}
    with pytest.raises(hop.UserError, match="'lbfgs' keeps those of its first; use solver.name"):
        config_lib.build(config_lib.parse(values))


# Time marching.


@dataclasses.dataclass(frozen=True)
class Heat:
    """u_t − ε u_xx = ½ ε π² sin πx from u₀ = sin πx: u = ½ (1 + exp(−ε π² t)) sin πx."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    labels: ClassVar[tuple[str, ...]] = ("", "xx")
    odd: ClassVar[tuple[str, ...]] = ()
    random_field: ClassVar[None] = None

    def initial(self, x, a):
        return jnp.sin(math.pi * x[0])

    def residual(self, u, x, a, lam):
        heat = -lam.eps * u["xx"] - 0.5 * lam.eps * math.pi**2 * self.initial(x, a)
        return (1 - lam.s) * heat + lam.s * (u[""] - self.initial(x, a))

    def lift(self, network, x, a):
        return x[0] * (1 - x[0]) * network

    def conditions(self, lam):
        return ()

    def reference(self, a, x, lam):
        return 0.5 * np.sin(math.pi * x.T)


def marching(tiny_mlp, **options):
    """Two windows of length ½ by Levenberg–Marquardt; the path's first place is passed over."""
    config = tiny_mlp(
        path__eps=(0.5, 0.1), mesh__function=1, mesh__point=-1, train__precision="float64",
        train__steps=30, train__dispatch=1, train__points=80,
        network__widths=(10, 10),
    )  # fmt: skip
    options = {"horizon": 1.0, "windows": 2} | options
    values = config_lib.to_json(with_strategy(config, "sequence_to_sequence", **options))
    return config_lib.parse(values | {"solver": {"name": "levenberg_marquardt"}})


def test_time_marching_converges_to_the_exact_evolution(tiny_mlp, tmp_path, listener):
    problem, config = Heat(), marching(tiny_mlp)
    records = train(config, tmp_path / "w", listener(), problem=problem)
    assert [(r["s"], r["eps"]) for r in records] == [(0.0, 0.1)] * 2
    x, bound = np.linspace(0, 1, 101)[:, None], 0.0
    for k, record in enumerate(records):
        left = math.exp(-0.1 * math.pi**2 * 0.5 * (k + 1))  # of the transient
        u = hop.load(tmp_path / "w", stage=k, problem=problem)
        exact = 0.5 * (1 + left) * np.sin(math.pi * x[:, 0])
        # The energy estimate ‖e(t)‖ ≤ ‖e(0)‖ + √t ‖H‖ in L2, 2 for the points' quadrature.
        bound += 2 * (math.sqrt(2 * record["initial"]) + 0.5 * math.sqrt(2 * record["residual"]))
        error = math.sqrt(np.mean((u(x) - exact) ** 2))
        assert error < bound < 1e-2, (k, error, bound)
        # u(·, end) beside the steady state ½ sin πx: what is left, in the L2RE and the loss.
        assert record["l2re"] == pytest.approx(left, abs=2e-3)
        assert record["loss"] == pytest.approx(
            0.5 * 0.5 * (0.5 * left * 0.1 * math.pi**2) ** 2, rel=0.05
        )
    assert u.lam == Lam(0.0, 0.1)
    np.testing.assert_array_equal(hop.load(tmp_path / "w", eps=0.1, problem=problem)(x), u(x))


def test_a_windows_answer_is_the_trained_function_at_its_end():
    """Value and derivatives, with an input function and a symmetry that reflects the points."""
    problem, network = BurgersSteady("unit", symmetry="odd"), DeepONet((8,), (8,), 4)
    trained, answer = SequenceToSequence(horizon=3.0, windows=2).ansatz(problem, network)
    lam = Lam(0.2, 0.1)

    def both(key):
        params, again = trained.init(key), answer.init(key)
        inputs = trained.inputs(jax.random.normal(key, (3, 128)))
        x = jnp.linspace(0.1, 0.9, 7)[:, None]
        at_end = jnp.concatenate([x, jnp.full_like(x, 1.5)], axis=1)
        jets, same = trained.jet(params, inputs, at_end), answer.jet(again, inputs, x)
        one = trained.residual(params, inputs, at_end, lam)
        two = jets["t"] + answer.residual(params, inputs, x, lam)
        return {label: jets[label] for label in same} | {"H": one}, same | {"H": two}

    with jax.enable_x64(True):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11),
            *jax.jit(both)(jax.random.key(0)),
        )


@pytest.mark.parametrize("follows", [0.0, 1.0])
def test_a_window_starts_from_the_input_function_or_the_last_windows_end(follows):
    problem = InTime(BurgersSteady("unit"), 0.5)
    ansatz = Ansatz(problem, DeepONet((8,), (8,), 4))
    before = Ansatz(problem.problem, AtEnd(ansatz.network))
    lam = Lam(jnp.float32(0.0), jnp.float32(0.1))
    stage = Stage(jnp.int32(follows), lam, lam, jnp.float32(follows))

    @jax.jit
    def row_and_expected():
        params, anchor = (ansatz.init(jax.random.key(seed)) for seed in (0, 1))
        inputs = ansatz.inputs(jax.random.normal(jax.random.key(2), (3, 128)))
        x = problem.domain.sample(jax.random.key(3), 9, "uniform")
        goal = Objective(ansatz, Weights(initial=1.0), anchor, inputs, x, jnp.ones(9), stage)
        old = before.jet(anchor, inputs, x[:, :1], ())[""]
        given = old if follows else ansatz.input_jet(inputs, x, ("",))[""]
        start = jnp.stack([x[:, 0], jnp.zeros(9)], axis=1)
        return goal.rows(params)["initial"], ansatz.jet(params, inputs, start, ())[""] - given

    np.testing.assert_allclose(*row_and_expected(), rtol=1e-5, atol=1e-6)


def test_time_marching_of_an_operator_answers_in_space_and_is_drawn(tiny, tmp_path, listener):
    config = tiny(train__steps=10, train__validation=2)
    config = with_strategy(config, "sequence_to_sequence", windows=2)
    records = train(config, tmp_path / "w", listener())
    assert records[1]["initial"] > 0
    op = hop.load(tmp_path / "w")
    assert op(np.zeros((2, 128)), np.array([[0.0], [0.5]])).shape == (2, 2)
    assert plotting.path(str(tmp_path / "w")).stat().st_size > 10_000


def test_boundary_values_are_asked_for_all_over_the_window():
    def given(lam):
        return (Condition(np.array([[0.0], [1.0]]), jnp.array([[2.0, 3.0]])),)

    problem = Heat()
    object.__setattr__(problem, "conditions", given)
    (condition,) = InTime(problem, 0.5).conditions(Lam(0.0, 0.1))
    x, t = condition.points.T
    np.testing.assert_array_equal(condition.values[0], 2 + x)
    for end in (0.0, 1.0):
        times = np.sort(t[x == end]) / 0.5
        gaps = np.diff([0.0, *times, 1.0])
        assert len(times) == 32
        assert np.all((gaps >= 0) & (gaps < 2 / 32))  # the golden ratio's three gaps


class WithLaplacian(Heat):
    labels = ("", "Δ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "AllenCahn1D has no method `initial`; use strategy.name=curriculum"),
        ({"windows": 0}, "config.strategy.windows=0 must be at least 1"),
        ({"horizon": 0.0}, "config.strategy.horizon=0.0 must be positive"),
        ({"initial": 0.0}, "config.strategy.initial=0.0 must be positive"),
    ],
)
def test_what_time_marching_cannot_serve_is_refused(tiny_mlp, options, words):
    with pytest.raises(hop.UserError, match=words):
        config_lib.build(marching(tiny_mlp, **options))


def test_time_marching_refuses_a_laplacian_over_all_columns(tiny_mlp):
    with pytest.raises(hop.UserError, match="WithLaplacian reads Δu.*as 'xx' and 'yy'"):
        config_lib.build(marching(tiny_mlp), WithLaplacian())


def test_a_config_visits_no_place_twice(tiny):
    with pytest.raises(hop.UserError, match="twice in a row; remove one"):
        config_lib.build(tiny(path__eps=(0.5, 0.3, 0.3)))
