"""The compiled program: invariant to the mesh, compiled once, the same step in parts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop import datasets
from hop.homotopy.terms import Stage
from hop.laws.named import NAMED
from hop.problem import Lam
from hop.sharding import Layout
from hop.solvers import Solver
from hop.training import Program, Window, check_batch, feed, train

SAVING = {"train__save_seconds": 0.0}  # a rolling checkpoint at every window


# Devices, those over functions, those over points; without an input there are only points.
MESHES = {"operator": [(8, 8, 1), (8, 2, 4)], "weak": [(8, 4, 2)], "mlp": [(8, 1, 8)]}


def arguments(program):
    """Of the first dispatch of a run."""
    lam = Lam(np.float32(0), np.float32(0.5))
    count = program.experiment.config.train.dispatch
    stage = Stage(np.int32(0), lam, lam, np.float32(0))
    window = Window(np.int32(count), np.float32(9))
    fed = feed(program.experiment, program.layout)(0, 0, count)
    return (program.init(), stage, window, *fed)


def losses_of(config, devices, function, point, windows=3, model=1):
    """The losses of a few dispatches on a mesh, and the trained state."""
    experiment = config_lib.build(config)
    layout = Layout.create(function, point, jax.devices()[:devices], model=model)
    check_batch(experiment, layout)
    program = Program(experiment, layout)
    dispatch, state = program.dispatch, program.init()
    fed, seen, count = feed(experiment, layout), [], config.train.dispatch
    for k in range(windows):
        lam = Lam(jnp.float32(0.0), jnp.float32(0.5 - 0.1 * k))
        before = Lam(jnp.float32(0.0), jnp.float32(0.5))
        stage = Stage(np.int32(k), lam, before, np.float32(k > 0))
        pool, drawn = fed(0, count * k, count)
        window = Window(np.int32(count), np.float32(100.0))
        state, losses, _ = dispatch(state, stage, window, pool, drawn)
        seen.append([float(v) for v in losses.values()])
    assert dispatch._cache_size() == 1  # three stages, one compilation
    return np.array(seen), state


def test_a_term_that_weighs_nothing_can_be_left_out(tiny):
    """The tangent, faded or not: from step 20 of 40 on the parameters are the same without it."""
    config = tiny(train__precision="float64", train__dispatch=2, solver__optimizer="adam")
    program = Program(config_lib.build(config), Layout.create(1, 1, jax.devices()[:1]))
    with config.precision():
        state, _, _, *fed = arguments(program)
        window = Window(np.int32(2), np.float64(30))
        here, before = (Lam(np.float64(0), np.float64(eps)) for eps in (0.3, 0.5))
        stage = Stage(np.int32(1), here, before, np.float64(1))
        moved = state._replace(params=jax.tree.map(lambda a: 1.1 * a, state.params))

        def both(step):
            args = (moved._replace(step=jnp.int32(step)), stage, window, *fed)
            return [program.dispatch(*args, over) for over in ((), ("tangent",))]

        (early, *_), (other, *_) = both(0)
        (late, losses, _), (same, fewer, _) = both(20)
    assert set(losses) - set(fewer) == {"tangent"}
    assert losses["tangent"] > 1e-3
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, late.params, same.params)
    with pytest.raises(AssertionError):
        jax.tree.map(close, early.params, other.params)


@pytest.mark.devices
@pytest.mark.parametrize("kind", MESHES)
def test_losses_do_not_depend_on_the_mesh(kind, tiny, tiny_mlp):
    options = {"solver__optimizer": "adam", "train__dispatch": 4}
    if kind == "weak":  # Adam would divide by gradients that are 0 but for rounding
        options |= {"solver__optimizer": "sgd", "train__tests": (12,)}
    config = (tiny_mlp if kind == "mlp" else tiny)(**options)
    datasets.build(NAMED["unit"], config.data.data_dir)
    reference, _ = losses_of(config, 1, 1, 1)
    for mesh in MESHES[kind]:
        seen, state = losses_of(config, *mesh)
        # Sums over rows are taken in another order: float32 rounding, grown over 12 steps.
        np.testing.assert_allclose(seen, reference, rtol=2e-5)
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    other, _ = losses_of(config_lib.parse(config_lib.to_json(config) | {"seed": 1}), 1, 1, 1)
    assert np.max(np.abs(other / reference - 1)) > 1e-2  # the comparison can fail


@pytest.mark.devices
@pytest.mark.parametrize(("slow", "over"), [(0.0, "points"), (1e-3, "functions")])
def test_a_step_in_parts_is_the_same_step_in_less_memory(slow, over, tiny):
    temporary, seen = {}, {}
    for parts in (1, 4):
        size = {"train__functions": 512, "train__points": 128, "train__dispatch": 3}
        config = tiny(**size, train__accumulate=parts)
        config = dataclasses.replace(config, strategy=config.strategy | {"slow": slow})
        experiment = config_lib.build(config)
        assert experiment.accumulates_over == over
        program = Program(experiment, Layout.create(1, 1, jax.devices()[:1]))
        datasets.build(NAMED["unit"], config.data.data_dir)
        step = program.dispatch.lower(*arguments(program)).compile()
        temporary[parts] = step.memory_analysis().temp_size_in_bytes
        seen[parts] = step(*arguments(program))
    many, _ = losses_of(config, 8, 4, 2, windows=1)
    # Means of means are rounded otherwise, which three steps of Adam let grow.
    np.testing.assert_allclose(many, [[float(v) for v in seen[1][1].values()]], rtol=2e-5)
    assert temporary[4] < 0.5 * temporary[1]
    for one, four in zip(
        *map(jax.tree.leaves, (seen[1][0].params, seen[4][0].params)), strict=True
    ):
        np.testing.assert_allclose(four, one, atol=1e-5)


@pytest.mark.parametrize(
    ("compute", "products"), [("float32", "[HIGHEST, HIGHEST]"), ("bfloat16", "bf16")]
)
def test_matrix_products_round_as_asked(compute, products, tiny, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # a CPU takes none but float32
    config = tiny(train__compute=compute)
    datasets.build(NAMED["unit"], config.data.data_dir)
    program = Program(config_lib.build(config), Layout.create(1, 1, jax.devices()[:1]))
    text = program.dispatch.lower(*arguments(program)).as_text()
    dots = [line for line in text.splitlines() if "dot_general" in line]
    exact = [line for line in dots if products not in line]
    assert len(dots) - len(exact) > 10
    # The input functions themselves are never rounded: products of their 64 coefficients.
    assert all("[HIGHEST, HIGHEST]" in line and "x64xf32>, tensor<64x" in line for line in exact)
    assert all(line.endswith("xf32>") for line in dots)  # nor are sums


def bytes_of(state) -> tuple[int, int]:
    """On the first device, and in all, were they there once."""
    there = jax.tree.leaves(state)
    return sum(a.addressable_shards[0].data.nbytes for a in there), sum(a.nbytes for a in there)


@pytest.mark.devices
@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "muon"])
def test_a_model_axis_splits_parameters_and_state(optimizer, tiny, tmp_path, listener):
    config = tiny(solver__optimizer=optimizer, train__dispatch=3)
    datasets.build(NAMED["unit"], config.data.data_dir)
    reference, _ = losses_of(config, 1, 1, 1, windows=1)
    seen, state = losses_of(config, 8, 2, 2, windows=1, model=2)
    np.testing.assert_allclose(seen, reference, rtol=2e-4)
    mine, whole = bytes_of(state)
    assert mine < 1.05 * whole / 2  # all but scalars
    # A checkpoint of it is that of any other mesh.
    few = {"path__eps": (0.5,), "train__steps": 9, "train__dispatch": 3, "solver__warmup": 3}
    config = tiny(mesh__function=2, mesh__model=4, solver__optimizer=optimizer, **few, **SAVING)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", listener(interrupt_after=2))
    assert len(train(config, tmp_path / "w", listener())) == 1
    train(config, tmp_path / "whole", listener())
    one, two = (hop.load(tmp_path / name).params for name in ("w", "whole"))
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_optimizer_state_between_stages_is_a_choice(tiny):
    states = {}
    for choice in ("restart", "carry"):
        config = tiny(solver__optimizer="adam", solver__between_stages=choice)
        experiment = config_lib.build(config)
        layout = Layout.create(1, 1, jax.devices()[:1])
        program = Program(experiment, layout)
        state = program.init()
        moments = jax.tree.map(lambda a: a + jnp.ones_like(a), state.solver)
        states[choice] = program.next_stage(state._replace(solver=moments)).solver
    restarted = [float(jnp.max(jnp.abs(a))) for a in jax.tree.leaves(states["restart"])]
    carried = [float(jnp.max(jnp.abs(a))) for a in jax.tree.leaves(states["carry"])]
    assert max(restarted) == 0
    assert min(carried) == 1


class Shown(Solver):
    """A solver that leaves θ as it is; its losses are the points of its step, and their spacing."""

    dense = accumulates = False

    def __init__(self, redraws):
        self.redraws = redraws

    def init(self, params):
        return ()

    def next_stage(self, state, params):
        return state

    def step(self, objective, params, state, moment):
        points = {"x": objective.points.x[:, 0], "spacing": objective.points.beside}
        return params, state, {"total": jnp.float32(0), **points}

    def tail(self, limit):
        return 0


def points_of(config):
    """A function (step, stage) → the points of that step and their spacing."""
    experiment = config_lib.build(config)
    experiment = dataclasses.replace(experiment, solver=Shown(experiment.solver.redraws))
    program = Program(experiment, Layout.create(1, 1, jax.devices()[:1]))
    params = jax.tree.map(lambda a: a + 1.0, program.ansatz.init(jax.random.key(0)))
    state, lam = program.begin(params), Lam(np.float32(0), np.float32(0.5))

    def points(step, index):
        moved = jax.tree.map(lambda a: a + np.float32(step), state.params)  # as by those steps
        start = program.put(state._replace(step=np.int32(step), params=moved))
        stage = Stage(np.int32(index), lam, lam, np.float32(0))
        window = Window(np.int32(1), np.float32(9))
        _, shown, _ = program.dispatch(start, stage, window, {}, None)
        return np.asarray(shown["x"]), np.asarray(shown["spacing"])

    return points


@pytest.mark.parametrize("sampler", ["uniform", "stratified", "grid", "adaptive"])
def test_every_step_has_points_of_its_own_from_the_sampler_asked_for(sampler, tiny_mlp):
    points = points_of(tiny_mlp(train__sampler=sampler, mesh__function=1, mesh__point=-1))
    (x, spacing), (later, _), (again, _), (elsewhere, _) = (
        points(*asked) for asked in ((3, 0), (4, 0), (3, 0), (3, 1))
    )
    np.testing.assert_array_equal(x, again)
    for other in (later, elsewhere):
        assert np.array_equal(x, other) == (sampler == "grid")
    assert (np.ptp(spacing) > 0) == (sampler == "adaptive")
    each_in_a_slab = np.array_equal(np.floor(x * 32), np.arange(32))
    assert each_in_a_slab == (sampler == "stratified")
    assert np.allclose(x, np.linspace(0, 1, 32)) == (sampler == "grid")


@pytest.mark.parametrize("sampler", ["stratified", "by_residual"])
def test_a_solver_that_keeps_its_points_has_them_for_a_stage(sampler, tiny_mlp):
    values = config_lib.to_json(tiny_mlp(train__sampler=sampler)) | {"solver": {"name": "lbfgs"}}
    points = points_of(config_lib.parse(values))
    first, later, elsewhere = (points(*asked)[0] for asked in ((0, 0), (7, 0), (0, 1)))
    np.testing.assert_array_equal(first, later)
    assert not np.array_equal(first, elsewhere)


@pytest.mark.devices
@pytest.mark.parametrize("model", [1, 4])
def test_parameters_lie_along_the_model_axis_by_their_last_axis(model):
    layout = Layout.create(2, -1, model=model)
    shapes = {"kernel": jnp.zeros((3, 8)), "odd": jnp.zeros((8, 3)), "step": jnp.zeros(())}
    specs = {name: sharding.spec for name, sharding in layout.over_model(shapes).items()}
    split = jax.sharding.PartitionSpec(None, "model") if model > 1 else jax.sharding.PartitionSpec()
    whole = jax.sharding.PartitionSpec()
    assert specs == {"kernel": split, "odd": whole, "step": whole}
