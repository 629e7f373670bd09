"""The stage loop: resumed to the bit, safe to fail, each stage from the end of the last one."""

import json
import math
import time

import jax
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop import plotting
from hop.checkpoints import Workdir
from hop.evaluation import Judge
from hop.operators import Operator
from hop.problem import Lam
from hop.training import Program, train

SAVING = {"train__save_seconds": 0.0}  # a rolling checkpoint at every window


def test_float64_on_a_tpu_is_told(tiny_mlp, tmp_path, listener, monkeypatch):
    heard = listener(interrupt_after=1)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    config = tiny_mlp(mesh__function=1, mesh__point=-1, train__precision="float64")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", heard)
    assert "TPUs have no float64" in heard.messages[0]
    with pytest.raises(hop.UserError, match="contradict each other"):
        tiny_mlp(train__precision="float64", train__compute="bfloat16")


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
    del values["ansatz"], values["train"]["patience"], values["seed"]
    del values["train"]["save_seconds"]
    values["network"]["harmonics"] = 0
    values["train"]["save_every"] = 20
    path.write_text(json.dumps(values))
    with pytest.raises(hop.UserError, match="config.seed was 0 and is now 1"):
        train(tiny(seed=1), tmp_path / "w", listener())
    rest = listener()
    assert len(train(tiny(), tmp_path / "w", rest)) == 2
    assert rest.windows[0]["total_steps"] == 30  # whatever the interval of saving is now


@pytest.mark.devices
def test_a_workdir_goes_on_elsewhere(tiny, tmp_path, listener):
    """A config says what is trained, and where and how: that may change."""
    with pytest.raises(KeyboardInterrupt):
        train(tiny(**SAVING), tmp_path / "w", listener(interrupt_after=3))
    (tmp_path / "w/config.json").write_text("")  # the checkpoints hold it too
    (tmp_path / "w/metrics.jsonl").open("ab").write(b'{"total_steps": 30, "to\xff')
    rest = listener()
    elsewhere = tiny(data__resident_mib=0, mesh__function=2, mesh__point=4, train__accumulate=2)
    elsewhere = config_lib.with_data_dir(elsewhere, str(tmp_path / "other"))
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


def test_soft_conditions_are_rows_of_the_loss(tiny, tmp_path, listener):
    values = config_lib.to_json(tiny(train__steps=20))
    values["problem"]["conditions_by"] = "loss"
    records = train(config_lib.parse(values), tmp_path / "w", listener())
    assert records[0]["condition"] > 0
    total = records[0]["residual"] + records[0]["condition"]
    assert records[0]["total"] == pytest.approx(total, rel=1e-5)


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


class Dry:
    """Training whose steps are not taken: a window adds 1 to θ, and has the loss given for it.

    `asked` holds the stage and the state of every window, `over` the terms that it leaves out.
    """

    def __init__(self, losses, monkeypatch):
        self.asked, self.over, self.losses = [], [], iter(losses)
        scores = {"loss": 0.0} | dict.fromkeys(("l2re", "l2re_median", "l2re_worst"))
        monkeypatch.setattr(Program, "dispatch", lambda program, *asked: self.window(*asked))
        monkeypatch.setattr(Judge, "scores", lambda *_: dict(scores))

    def window(self, state, stage, window, pool, drawn, over):
        self.asked.append((stage, jax.device_get(state)))
        self.over.append(over)
        moved = jax.tree.map(lambda a: a + 1, state.params)
        loss = np.float32(next(self.losses))
        moved = state._replace(params=moved, step=state.step + window.count)
        terms = {name: loss for name in ("residual", "tangent") if name not in over}
        return moved, {"total": loss, **terms}, loss


def thetas(dry):
    """Of every window: a parameter of the network, and of its anchor."""
    biases = [(state.params["Dense_0"]["bias"][0], state.anchor["Dense_0"]["bias"][0])
              for _, state in dry.asked]  # fmt: skip
    return [tuple(map(float, pair)) for pair in biases]


def test_a_stage_follows_the_last_one(tiny_mlp, tmp_path, listener, monkeypatch):
    """Its network and anchor are the last stage's end, and λ_{k−1} its place."""
    dry = Dry([1.0] * 4, monkeypatch)
    train(tiny_mlp(train__dispatch=20), tmp_path / "w", listener())
    places = [(int(s.index), float(s.previous.eps), float(s.lam.eps), float(s.follows))
              for s, _ in dry.asked[::2]]  # fmt: skip
    expected = [(0, 0.5, 0.5, 0), (1, 0.5, 0.3, 1)]
    np.testing.assert_allclose(places, expected, rtol=1e-6)
    assert [int(state.step) for _, state in dry.asked] == [0, 20] * 2
    assert thetas(dry) == [(0, 0), (1, 0), (2, 2), (3, 2)]


T = ["tangent"]
LONG = {"train__steps": 400_000, "train__dispatch": 100_000, "train__points": 400}


@pytest.mark.parametrize(("changes", "expected"), [
    (LONG, [*[T] * 4, [], [], T, T]),
    (LONG | {"train__points": 200}, [*[T] * 4, [], [], T, T]),  # by both stages together
    (LONG | {"strategy__tangent_share": math.inf}, [*[T] * 4, *[[]] * 4]),
    ({}, [[]] * 8),  # too short a training for two programs
    ({"path__eps": (0.5,)}, [T] * 4),
])  # fmt: skip
def test_a_term_is_left_out_where_it_weighs_nothing(
    changes, expected, tiny_mlp, tmp_path, listener, monkeypatch
):
    """The tangent: in the first stage, which has none, and once it has faded, not before."""
    dry, heard = Dry([1.0] * 8, monkeypatch), listener()
    train(tiny_mlp(**changes), tmp_path / "w", heard)
    assert list(map(list, dry.over)) == expected
    assert ["tangent" not in record for record in heard.windows] == list(map(bool, expected))


def test_a_goal_ends_a_stage(tiny_mlp, tmp_path, listener, monkeypatch):
    goal = {"train__goal": 1e-3, "train__dispatch": 4, "solver__anneal": 0.1}
    Dry([1.0, 2e-3, 9e-4, 1.0, 1.0, 1e-4, 1.0], monkeypatch)
    records = train(tiny_mlp(**goal), tmp_path / "w", listener())
    assert [record["step"] for record in records] == [12 + 4, 8 + 4]


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


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param("helmholtz", marks=pytest.mark.devices),
        "high_frequency",
        pytest.param("allen_cahn_2d", marks=pytest.mark.slow),
    ],
)
def test_other_shapes_of_problem_are_trained_scored_and_drawn(
    problem, tiny_mlp, tmp_path, listener
):
    """Many dimensions, with moving boundary data; a residual without derivatives; a square."""
    options = {"name": problem} | (
        {"dim": 4, "boundary_points": 16} if problem == "helmholtz" else {}
    )
    mesh = {"function": 1, "point": -1}
    config = tiny_mlp(
        problem=options,
        mesh=mesh,
        path__s=(0.2,),  # where Allen–Cahn in the square has a solution other than 0
        train__steps=2,
        train__dispatch=1,
    )
    records = train(config, tmp_path / "w", listener())
    assert [record["stage"] for record in records] == [0, 1]
    assert all(0 < record["l2re"] < 10 for record in records)
    assert plotting.path(str(tmp_path / "w")).stat().st_size > 10_000
    u = hop.load(str(tmp_path / "w"))
    x = np.zeros((3, u.ansatz.problem.domain.dim))
    assert u(x).shape == (3,)
