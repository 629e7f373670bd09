"""Training: invariant to the device count, resumed to the bit, compiled once, safe to fail."""

import dataclasses
import json
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop import datasets
from hop.checkpoints import Workdir
from hop.evaluation import Judge
from hop.fields import RANDOM_FIELDS
from hop.homotopy.path import Position
from hop.homotopy.terms import Stage
from hop.operators import Operator
from hop.problem import Lam
from hop.sharding import Layout
from hop.training import Bookmark, Program, Window, check_batch, feed, train
from hop.training.feeds import draws, fresh
from hop.training.records import Criterion, Front, StageProgress

SAVING = {"train__save_seconds": 0.0}  # a rolling checkpoint at every window
MESHES = [(1, 1, 1), (8, 8, 1), (8, 2, 4), (8, 1, 8)]


def arguments(program):
    """Of the first dispatch of a run."""
    lam = Lam(np.float32(0), np.float32(0.5))
    stage, window = Stage(np.int32(0), lam, lam, np.float32(0)), Window(np.int32(10), np.float32(9))
    return (
        program.init(),
        stage,
        window,
        *feed(program.experiment, program.layout)(0, 0, 10),
    )


def losses_of(config, devices, function, point, windows=3, model=1):
    """The losses of a few dispatches on a mesh, and the trained state."""
    experiment = config_lib.build(config)
    layout = Layout.create(function, point, jax.devices()[:devices], model=model)
    check_batch(experiment, layout)
    program = Program(experiment, layout)
    dispatch, state = program.dispatch, program.init()
    fed, seen = feed(experiment, layout), []
    for k in range(windows):
        lam = Lam(jnp.float32(0.0), jnp.float32(0.5 - 0.1 * k))
        before = Lam(jnp.float32(0.0), jnp.float32(0.5))
        stage = Stage(np.int32(k), lam, before, np.float32(k > 0))
        pool, drawn = fed(0, 10 * k, 10)
        window = Window(np.int32(10), np.float32(100.0))
        state, losses, _ = dispatch(state, stage, window, pool, drawn)
        seen.append([float(v) for v in losses.values()])
    assert dispatch._cache_size() == 1  # three stages, one compilation
    return np.array(seen), state


@pytest.mark.parametrize("kind", ["operator", "mlp"])
def test_losses_do_not_depend_on_the_mesh(kind, tiny, tiny_mlp):
    config = (tiny if kind == "operator" else tiny_mlp)(solver__optimizer="adam")
    datasets.build("unit", config.data.data_dir)
    reference, _ = losses_of(config, *MESHES[0])
    for mesh in MESHES[1:]:
        if kind == "mlp" and mesh[1] > 1:
            continue
        seen, state = losses_of(config, *mesh)
        # Sums over rows are taken in another order: float32 rounding, grown over 30 steps.
        np.testing.assert_allclose(seen, reference, rtol=2e-5)
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    other, _ = losses_of(config_lib.parse(config_lib.to_json(config) | {"seed": 1}), *MESHES[0])
    assert np.max(np.abs(other / reference - 1)) > 1e-2  # the comparison can fail


@pytest.mark.parametrize(("slow", "over"), [(0.0, "points"), (1e-3, "functions")])
def test_a_step_in_parts_is_the_same_step_in_less_memory(slow, over, tiny):
    temporary, seen = {}, {}
    for parts in (1, 4):
        config = tiny(train__functions=512, train__points=128, train__accumulate=parts)
        config = dataclasses.replace(config, strategy=config.strategy | {"slow": slow})
        experiment = config_lib.build(config)
        assert experiment.accumulates_over == over
        program = Program(experiment, Layout.create(1, 1, jax.devices()[:1]))
        datasets.build("unit", config.data.data_dir)
        step = program.dispatch.lower(*arguments(program)).compile()
        temporary[parts] = step.memory_analysis().temp_size_in_bytes
        seen[parts] = step(*arguments(program))
    many, _ = losses_of(config, 8, 4, 2, windows=1)
    # Means of means are rounded otherwise, which ten steps of Adam let grow.
    np.testing.assert_allclose(many, [[float(v) for v in seen[1][1].values()]], rtol=2e-5)
    assert temporary[4] < 0.5 * temporary[1]
    for one, four in zip(
        *map(jax.tree.leaves, (seen[1][0].params, seen[4][0].params)), strict=True
    ):
        np.testing.assert_allclose(four, one, atol=1e-5)


def test_parts_that_cannot_be_are_refused(tiny, tiny_mlp, tmp_path, listener):
    lbfgs = config_lib.to_json(tiny(train__accumulate=2)) | {"solver": {"name": "lbfgs"}}
    slow, slow_mlp = (config_lib.to_json(made(train__accumulate=4)) for made in (tiny, tiny_mlp))
    for values in (slow, slow_mlp):
        values["strategy"]["slow"] = 1e-3
    for config, words in (
        (tiny(train__accumulate=3), "accumulate=3 does not divide config.train.points=32"),
        (tiny(train__accumulate=8, mesh__point=8, mesh__function=1), "points/8=4 is not divisible"),
        (config_lib.parse(slow), "functions/4=4 is not divisible by the 8 devices"),
        (config_lib.parse(slow_mlp), "no functions to split"),
        (tiny_mlp(data__fresh=True), "no input functions; leave it out"),
        (config_lib.parse(lbfgs), "'lbfgs' needs more of a step"),
    ):
        with pytest.raises(hop.UserError, match=words):
            train(config, tmp_path / "w", listener())


@pytest.mark.parametrize(
    ("compute", "products"), [("float32", "[HIGHEST, HIGHEST]"), ("bfloat16", "bf16")]
)
def test_matrix_products_round_as_asked(compute, products, tiny, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # a CPU takes none but float32
    config = tiny(train__compute=compute)
    datasets.build("unit", config.data.data_dir)
    program = Program(config_lib.build(config), Layout.create(1, 1, jax.devices()[:1]))
    text = program.dispatch.lower(*arguments(program)).as_text()
    dots = [line for line in text.splitlines() if "dot_general" in line]
    exact = [line for line in dots if products not in line]
    assert len(dots) - len(exact) > 10
    # The input functions themselves are never rounded: products of their 64 coefficients.
    assert all("[HIGHEST, HIGHEST]" in line and "x64xf32>, tensor<64x" in line for line in exact)
    assert all(line.endswith("xf32>") for line in dots)  # nor are sums


def test_float64_on_a_tpu_is_told(tiny_mlp, tmp_path, listener, monkeypatch):
    heard = listener(interrupt_after=1)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    config = tiny_mlp(mesh__function=1, mesh__point=-1, train__precision="float64")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", heard)
    assert "TPUs have no float64" in heard.messages[0]
    with pytest.raises(hop.UserError, match="contradict each other"):
        tiny_mlp(train__precision="float64", train__compute="bfloat16")


def bytes_of(state) -> tuple[int, int]:
    """On the first device, and in all, were they there once."""
    there = jax.tree.leaves(state)
    return sum(a.addressable_shards[0].data.nbytes for a in there), sum(a.nbytes for a in there)


@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "muon"])
def test_a_model_axis_splits_parameters_and_state(optimizer, tiny, tmp_path, listener):
    config = tiny(solver__optimizer=optimizer)
    datasets.build("unit", config.data.data_dir)
    reference, _ = losses_of(config, 1, 1, 1, windows=1)
    for mesh in ((8, 1, 1, 8), (8, 2, 1, 4), (8, 2, 2, 2)):
        devices, function, point, model = mesh
        seen, state = losses_of(config, devices, function, point, windows=1, model=model)
        np.testing.assert_allclose(seen, reference, rtol=2e-4)
        mine, whole = bytes_of(state)
        assert mine < 1.05 * whole / model  # all but scalars
    # A checkpoint of it is that of any other mesh.
    config = tiny(mesh__function=2, mesh__model=4, solver__optimizer=optimizer, **SAVING)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", listener(interrupt_after=3))
    assert len(train(config, tmp_path / "w", listener())) == 2
    train(config, tmp_path / "whole", listener())
    one, two = (hop.load(tmp_path / name).params for name in ("w", "whole"))
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_interrupted_training_resumes_to_the_bit(tiny, tmp_path, listener):
    config = tiny(strategy__tangent=0.5, **SAVING)
    whole = train(tiny(strategy__tangent=0.5), tmp_path / "whole", listener())
    with pytest.raises(KeyboardInterrupt):  # within stage 0, after its second rolling checkpoint
        train(config, tmp_path / "parts", listener(interrupt_after=3))
    with pytest.raises(KeyboardInterrupt):  # within stage 1, before any rolling checkpoint of it
        train(config, tmp_path / "parts", listener(interrupt_after=3))
    parts = train(config, tmp_path / "parts", listener())
    drop = {"seconds"}
    for a, b in zip(whole, parts, strict=True):
        assert {k: v for k, v in a.items() if k not in drop} == {
            k: v for k, v in b.items() if k not in drop
        }
    for stage in (0, 1):
        one, two = (hop.load(tmp_path / d, stage=stage).params for d in ("whole", "parts"))
        jax.tree.map(np.testing.assert_array_equal, one, two)
    # Every window is in the metrics once.
    lines = [json.loads(line) for line in (tmp_path / "parts/metrics.jsonl").open()]
    steps = [r["total_steps"] for r in lines if r["kind"] == "window"]
    assert steps == list(range(10, 90, 10))
    assert (tmp_path / "parts/tensorboard").is_dir()


def test_a_finished_run_stays_as_it_is(tiny_mlp, tmp_path, listener):
    config = tiny_mlp()
    first = train(config, tmp_path / "w", listener())
    again = listener()
    assert train(config, tmp_path / "w", again) == first
    assert again.windows == []
    assert [r["eps"] for r in first] == [0.5, 0.3]


def test_another_config_is_refused_on_a_used_workdir(tiny, tmp_path, listener):
    with pytest.raises(KeyboardInterrupt):
        train(tiny(**SAVING), tmp_path / "w", listener(interrupt_after=3))
    with pytest.raises(hop.UserError, match=r"config.train.steps was 40 and is now 60.*--workdir"):
        train(tiny(train__steps=60), tmp_path / "w", listener())


def test_a_workdir_of_an_older_version_goes_on(tiny, tmp_path, listener):
    with pytest.raises(KeyboardInterrupt):
        train(tiny(**SAVING), tmp_path / "w", listener(interrupt_after=3))
    path = tmp_path / "w/config.json"
    values = json.loads(path.read_text())
    del values["network"]["harmonics"], values["train"]["patience"], values["seed"]
    del values["train"]["save_seconds"]
    values["train"]["save_every"] = 20
    path.write_text(json.dumps(values))
    with pytest.raises(hop.UserError, match="config.seed was 0 and is now 1"):
        train(tiny(seed=1), tmp_path / "w", listener())
    rest = listener()
    assert len(train(tiny(), tmp_path / "w", rest)) == 2
    assert rest.windows[0]["total_steps"] == 30  # whatever the interval of saving is now


def test_a_workdir_goes_on_elsewhere(tiny, tmp_path, listener):
    """A config says what is trained, and where and how: that may change."""
    with pytest.raises(KeyboardInterrupt):
        train(tiny(**SAVING), tmp_path / "w", listener(interrupt_after=3))
    (tmp_path / "w/config.json").write_text("")  # the checkpoints hold it too
    (tmp_path / "w/metrics.jsonl").open("ab").write(b'{"total_steps": 30, "to\xff')
    rest = listener()
    elsewhere = tiny(data__resident_mib=0, mesh__function=2, mesh__point=4, train__accumulate=2)
    elsewhere = config_lib.placed(elsewhere, str(tmp_path / "other"))
    with pytest.warns(UserWarning, match=r"config.json is damaged .* rolling checkpoint 20"):
        assert len(train(elsewhere, tmp_path / "w", rest)) == 2
    assert rest.windows[0]["total_steps"] == 30
    lines = [json.loads(line) for line in (tmp_path / "w/metrics.jsonl").open()]
    assert [r["total_steps"] for r in lines if r["kind"] == "window"] == [*range(10, 90, 10)]


def test_checkpoints_within_a_stage_are_so_many_seconds_apart(
    tiny, tmp_path, listener, monkeypatch
):
    class Slow(listener):
        def window(self, record, remaining):
            super().window(record, remaining)
            clock[0] += 10.0

    clock, saved = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Workdir, "save_rolling", lambda self, step, *rest: saved.append(step))
    train(tiny(train__steps=90, train__save_seconds=25.0), tmp_path / "w", Slow())
    # After 30, 60 s; the stage is saved at 90, and then again 30, 60 s later.
    assert saved == [30, 60, 120, 150]


def test_a_workdir_serves_one_job_at_a_time(tmp_path):
    with (
        Workdir.open(tmp_path / "w"),
        pytest.raises(hop.UserError, match="in use by another job"),
        Workdir.open(tmp_path / "w"),
    ):
        pass
    with Workdir.open(tmp_path / "w"):  # free again
        pass
    with pytest.raises(hop.UserError, match="is an address"), Workdir.open("gs://bucket/w"):
        pass


def test_divergence_is_a_loss_far_above_that_of_the_start():
    criterion = Criterion(100, 10, 5, 0.02)

    def first(*windows):
        progress = StageProgress(0, criterion.latest)
        for mean, start in windows:
            progress = progress.after(criterion, 10, mean, start)
        return progress.first

    assert first((5.0, 4.0), (1e-3, 1.0)) == 5.0
    assert first((1e20, 4.0)) == 4000.0  # it blew up within the first window
    assert first((5.0, 4.0), (1e9, 6.0)) == 5.0
    assert first((0.1, 1e-12)) == 0.1  # a start that happened to be a solution


def test_a_finite_loss_that_grows_ends_the_run(tiny, tmp_path, listener):
    """At a thousand times a good rate the loss stays finite, and far above all others."""
    diverging = tiny(solver__learning_rate=1e3, solver__optimizer="muon")
    with pytest.raises(hop.RunError, match=r"the loss diverged, to .*lower solver.learning_rate"):
        train(diverging, tmp_path / "w", listener())
    assert not list((tmp_path / "w").glob("stages/[0-9]*"))


@pytest.mark.parametrize("adaptive", [False, True])
def test_divergence_ends_the_run_and_keeps_what_is_whole(tiny, tmp_path, listener, adaptive):
    train(tiny(path__eps=(0.5,)), tmp_path / "w", listener())
    kept = hop.load(tmp_path / "w").params
    diverging = tiny(
        solver__learning_rate=1e30,
        solver__optimizer="sgd",
        path__adaptive=adaptive,
        solver__warmup=0,
    )
    with pytest.raises(hop.RunError, match="the loss is not finite, and it is the first"):
        train(diverging, tmp_path / "v", listener())
    assert not list((tmp_path / "v").glob("stages/[0-9]*"))
    jax.tree.map(np.testing.assert_array_equal, kept, hop.load(tmp_path / "w").params)


def test_adaptive_steps_halve_until_the_predictor_is_good(tiny_mlp, tmp_path, listener):
    heard = listener()
    config = tiny_mlp(
        mesh__function=1,
        mesh__point=-1,
        path__eps=(0.5, 0.25),
        path__adaptive=True,
        path__prediction=4e-3,
        path__tolerance=4e-3,
        train__steps=400,
        train__dispatch=100,
        solver__learning_rate=2e-2,
    )
    records = train(config, tmp_path / "w", heard)
    assert any("trying half the step" in text for text in heard.messages)
    assert len(records) > 2
    assert records[0]["eps"] == 0.5
    assert records[-1]["eps"] == 0.25
    assert all(r["loss"] <= 4e-3 for r in records)


def test_functions_fed_from_the_host_train_alike(tiny, tmp_path, listener):
    """Whether functions stay on the device or come with each dispatch is a matter of memory."""
    fed = tiny(path__eps=(0.5,), data__resident_mib=0)
    resident = train(tiny(path__eps=(0.5,)), tmp_path / "a", listener())
    records = train(fed, tmp_path / "b", listener())
    assert resident[0]["total"] == records[0]["total"]
    assert resident[0]["l2re"] == records[0]["l2re"]
    # A device gets only the functions of its share, and its host reads no others.
    layout = Layout.create(4, 2)
    pool, drawn = feed(config_lib.build(fed), layout)(0, 0, 10)
    assert drawn is None
    assert pool.values.shape == (10, 16, 128)
    assert pool.values.addressable_shards[0].data.shape == (10, 4, 128)


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


def test_training_lowers_the_error(tiny, tmp_path, listener):
    """The homotopy ends close to the reference; the same network untrained does not."""
    config = tiny(train__steps=600, train__dispatch=100)
    records = train(config, tmp_path / "w", listener())
    assert records[-1]["l2re"] < 0.1
    assert records[0]["total"] < 1e-2
    experiment = config_lib.build(config)
    fresh = experiment.ansatz.init(jax.random.key(5))
    judge = Judge.of(experiment, "validation", 8)
    blank = Operator(experiment.ansatz, jax.device_get(fresh), Lam(0.0, 0.3))
    assert judge.scores(blank)["l2re"] > 0.5


def test_classical_training_goes_to_the_target_alone(tiny, tmp_path, listener):
    values = config_lib.to_json(tiny()) | {"strategy": {"name": "classical"}}
    records = train(config_lib.parse(values), tmp_path / "w", listener())
    assert [(r["s"], r["eps"]) for r in records] == [(0.0, 0.3)]
    assert "tangent" not in records[0]


def test_the_tangent_alone_must_stay(tiny):
    with pytest.raises(hop.UserError, match="tangent_share=inf"):
        config_lib.build(tiny(strategy__residual=0.0))
    config_lib.build(tiny(strategy__residual=0.0, strategy__tangent_share=math.inf))


def test_soft_conditions_are_rows_of_the_loss(tiny, tmp_path, listener):
    values = config_lib.to_json(tiny(train__steps=20))
    values["problem"]["conditions_by"] = "loss"
    records = train(config_lib.parse(values), tmp_path / "w", listener())
    assert records[0]["condition"] > 0
    total = records[0]["residual"] + records[0]["condition"]
    assert records[0]["total"] == pytest.approx(total, rel=1e-5)


def test_without_input_functions_all_devices_split_the_points():
    for function, point, points in ((-1, 1, 8), (1, -1, 8), (4, 2, 8), (2, -1, 8)):
        layout = config_lib.MeshConfig(function, point).layout(functions=False)
        assert dict(layout.mesh.shape) == {"function": 1, "point": points, "model": 1}


def test_fresh_functions_are_a_function_of_the_step():
    law = RANDOM_FIELDS["paper"]

    def drawn(stage, *steps):
        made = fresh(law, 20, 0, stage, jnp.asarray(steps)).coefficients
        return np.asarray(made).reshape(-1, made.shape[-1])

    assert np.array_equal(drawn(0, 5, 6), np.concatenate([drawn(0, 5), drawn(0, 6)]))
    seen = np.concatenate([drawn(0, *range(100)), drawn(1, *range(100))])
    assert len(np.unique(seen, axis=0)) == 4000
    variance = (seen / np.sqrt(law.spectrum)).var()  # of 256,000 normal numbers: 5 deviations
    assert variance == pytest.approx(1, abs=5 * np.sqrt(2 / seen.size))


def test_training_on_fresh_functions_needs_no_more_than_the_law(tiny, tmp_path, listener):
    options = {"path__eps": (0.5,), "data__fresh": True, "train__functions": 20_000}
    options |= {"train__points": 8, "train__steps": 2, "train__dispatch": 1}
    (record,) = train(tiny(**options), tmp_path / "w", listener())
    (again,) = train(tiny(**options), tmp_path / "again", listener())
    assert record["total"] == again["total"]


def test_draws_are_epochs_of_permutations():
    first = draws(100, 30, seed=0, stage=0, first=0, steps=3)
    assert len(set(first.ravel())) == 90
    assert not np.array_equal(first, draws(100, 30, seed=0, stage=0, first=3, steps=3))
    assert not np.array_equal(first, draws(100, 30, seed=0, stage=1, first=0, steps=3))
    pieces = [draws(100, 30, 0, 0, k, 1) for k in range(7)]
    assert np.array_equal(np.concatenate(pieces), draws(100, 30, 0, 0, 0, 7))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train__functions": 12}, "functions=12 is not divisible by the 8 devices"),
        ({"mesh__function": 3}, "make their product 8"),
        ({"mesh__point": -1}, "all -1; let one"),
        ({"mesh__function": 0}, "must be positive"),
        ({"mesh__function": 1, "mesh__point": 8, "train__points": 30}, "points=30 is not div"),
        ({"train__functions": 10_008}, "at most 10000"),
    ],
)
def test_batches_that_do_not_fit_the_mesh_are_refused(tiny, tmp_path, listener, change, words):
    with pytest.raises(hop.UserError, match=words):
        train(tiny(**change), tmp_path / "w", listener())
    assert not (tmp_path / "w").exists()


def test_metadata_of_a_stage(tiny, tmp_path, listener):
    train(tiny(path__eps=(0.5,)), tmp_path / "w", listener())
    metadata = json.loads((tmp_path / "w/stages/0/_CHECKPOINT_METADATA").read_text())
    metadata = metadata["custom_metadata"]
    assert metadata["s"] == 0.0
    assert metadata["eps"] == 0.5
    assert {"loss", "l2re", "total", "step"} <= set(metadata["record"])
    assert metadata["config"] == json.loads((tmp_path / "w/config.json").read_text())
    assert set(metadata["versions"]) >= {"hop", "jax", "flax", "orbax-checkpoint"}
    assert math.prod(len(d) == 64 for d in metadata["digests"]["params"].values())
    assert (tmp_path / "w/stages/0/params").is_dir()
    assert (tmp_path / "w/stages/0/state").is_dir()


# Of a run, without its steps.


class Shown:
    """A solver that leaves θ as it is; its losses are the points of its step, and their spacing."""

    dense = accumulates = False

    def __init__(self, redraws):
        self.redraws = redraws

    def init(self, params):
        return ()

    def next_stage(self, state, params):
        return state

    def step(self, objective, params, state, moment):
        points = {"x": objective.x[:, 0], "spacing": objective.spacing}
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
        start = program.put(state._replace(step=np.int32(step)))
        stage = Stage(np.int32(index), lam, lam, np.float32(0))
        window = Window(np.int32(1), np.float32(9))
        _, shown, _ = program.dispatch(start, stage, window, None, None)
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


def test_a_solver_that_keeps_its_points_has_them_for_a_stage(tiny_mlp):
    values = config_lib.to_json(tiny_mlp()) | {"solver": {"name": "lbfgs"}}
    points = points_of(config_lib.parse(values))
    first, later, elsewhere = (points(*asked)[0] for asked in ((0, 0), (7, 0), (0, 1)))
    np.testing.assert_array_equal(first, later)
    assert not np.array_equal(first, elsewhere)


class Dry:
    """Training whose steps are not taken: a window adds 1 to θ, and has the loss given for it.

    `asked` holds the stage and the state of every window.
    """

    def __init__(self, losses, monkeypatch):
        self.asked, self.losses = [], iter(losses)
        scores = {"loss": 0.0} | dict.fromkeys(("l2re", "l2re_median", "l2re_worst"))
        monkeypatch.setattr(Program, "dispatch", lambda program, *asked: self.window(*asked))
        monkeypatch.setattr(Judge, "scores", lambda *_: dict(scores))

    def window(self, state, stage, window, pool, drawn):
        self.asked.append((stage, jax.device_get(state)))
        moved = jax.tree.map(lambda a: a + 1, state.params)
        loss = np.float32(next(self.losses))
        moved = state._replace(params=moved, step=state.step + window.count)
        return moved, {"total": loss}, loss


def thetas(dry):
    """Of every window: a parameter of the network, and of its anchor."""
    biases = [(state.params["Dense_0"]["bias"][0], state.anchor["Dense_0"]["bias"][0])
              for _, state in dry.asked]  # fmt: skip
    return [tuple(map(float, pair)) for pair in biases]


def test_a_stage_follows_the_last_one(tiny_mlp, tmp_path, listener, monkeypatch):
    """Its network and anchor are the last stage's end, and λ_{k−1} its place."""
    dry = Dry([1.0] * 4, monkeypatch)
    train(tiny_mlp(train__dispatch=20), tmp_path / "w", listener())
    places = [(int(s.index), float(s.previous.eps), float(s.lam.eps), float(s.tangent))
              for s, _ in dry.asked[::2]]  # fmt: skip
    expected = [(0, 0.5, 0.5, 0), (1, 0.5, 0.3, 1)]
    np.testing.assert_allclose(places, expected, rtol=1e-6)
    assert [int(state.step) for _, state in dry.asked] == [0, 20] * 2
    assert thetas(dry) == [(0, 0), (1, 0), (2, 2), (3, 2)]


def test_a_goal_ends_a_stage(tiny_mlp, tmp_path, listener, monkeypatch):
    goal = {"train__goal": 1e-3, "train__dispatch": 4, "solver__anneal": 0.1}
    Dry([1.0, 2e-3, 9e-4, 1.0, 1.0, 1e-4, 1.0], monkeypatch)
    records = train(tiny_mlp(**goal), tmp_path / "w", listener())
    assert [record["step"] for record in records] == [12 + 4, 8 + 4]


def test_no_stall_is_looked_for_while_the_tangent_fades(tiny_mlp):
    def hold(**strategy):
        options = {f"strategy__{name}": value for name, value in strategy.items()}
        experiment = config_lib.build(tiny_mlp(train__steps=90, **options))
        return Criterion.of(experiment).hold

    assert hold(tangent=0.1, tangent_share=0.5) == 45
    assert hold(tangent=0.1, tangent_share=math.inf) == hold(tangent=0.0) == 0


def test_a_run_goes_on_within_a_stage(tiny_mlp, tmp_path, listener, monkeypatch):
    config = tiny_mlp(train__dispatch=20, **SAVING)
    Dry([1.0] * 4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):  # in the last window; the one before was saved
        train(config, tmp_path / "w", listener(interrupt_after=4))
    rest = Dry([1.0], monkeypatch)
    train(config, tmp_path / "w", listener())
    ((stage, state),) = rest.asked
    assert (int(stage.index), int(state.step)) == (1, 20)
    assert thetas(rest) == [(3, 2)]


def test_a_failed_stage_is_tried_again_from_its_start(tiny_mlp, tmp_path, listener, monkeypatch):
    """Half as far, from the last stage's end; what was tried does not count as a stage."""
    dry = Dry([1.0, 1.0, math.nan, 1.0, 1.0], monkeypatch)
    config = tiny_mlp(train__dispatch=40, path__eps=(0.5, 0.3, 0.1), path__adaptive=True)
    monkeypatch.setattr(Judge, "loss", lambda *_: 0.0)
    records = train(config, tmp_path / "w", listener())
    half = math.sqrt(0.3 * 0.1)
    np.testing.assert_allclose([float(s.lam.eps) for s, _ in dry.asked], [0.5, 0.3, 0.1, half, 0.1])
    assert thetas(dry) == [(0, 0), (1, 1), (2, 2), (2, 2), (3, 3)]
    assert [record["stage"] for record in records] == [0, 1, 2, 3]


def test_a_bookmark_is_read_as_it_was_written_and_as_older_versions_wrote_it():
    progress = StageProgress(20, 40, 0.1, 1, 0.3)
    front = Front(pinned=True, corrected=1e-3, velocity=-0.2, uncertain=1e-5)
    mark = Bookmark(2, Position(1.5, 0.5), progress, 120, 3.5, front, 0.4)
    written = json.loads(json.dumps(dataclasses.asdict(mark)))
    assert Bookmark.from_json(written) == mark
    flat = written | written.pop("front")  # the front's fields among the others
    assert Bookmark.from_json(flat) == mark
    early = {"stage": 1, "position": {"t": 0.0, "step": 1.0}, "progress": None}
    assert Bookmark.from_json(early) == Bookmark(1, Position(0.0, 1.0))


@pytest.mark.parametrize("model", [1, 4])
def test_parameters_lie_along_the_model_axis_by_their_last_axis(model):
    layout = Layout.create(2, -1, model=model)
    shapes = {"kernel": jnp.zeros((3, 8)), "odd": jnp.zeros((8, 3)), "step": jnp.zeros(())}
    specs = {name: sharding.spec for name, sharding in layout.over_model(shapes).items()}
    split = jax.sharding.PartitionSpec(None, "model") if model > 1 else jax.sharding.PartitionSpec()
    whole = jax.sharding.PartitionSpec()
    assert specs == {"kernel": split, "odd": whole, "step": whole}
