"""Models: published, loaded by name, grown by refinement; what is damaged or does not fit."""

import dataclasses
import importlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from systems import Pair, inputs, pair

import hop
from hop import checkpoints, files, publishing, refinement, splits
from hop import config as config_lib
from hop.checkpoints import StageInfo, Store
from hop.cli import main
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.problem import in_time
from hop.training import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    from conftest import Listener, tiny_config

    workdir = tmp_path_factory.mktemp("trained")
    config = tiny_config("burgers_steady", "deeponet", data_dir, {})
    train(config, workdir, Listener(), command="hop train …")
    return workdir


@pytest.fixture(scope="module")
def refined(tmp_path_factory, trained, data_dir):
    """A refinement of the trained workdir to ε = 0.4, between its stages."""
    workdir = tmp_path_factory.mktemp("refined") / "w"
    argv = ["refine", str(trained), "--eps=0.4", f"--workdir={workdir}", f"--data_dir={data_dir}"]
    assert main([*argv, "--config.train.steps=30"]) == 0
    return workdir


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder that models are loaded from by name."""
    monkeypatch.setattr(checkpoints, "share", lambda kind: tmp_path)
    return tmp_path


def published(source, name, models, data_dir, **more):
    return publishing.publish(
        str(source), name, folder=str(models), functions=4, data_dir=data_dir, **more
    )


def test_a_model_is_the_workdirs_network(trained, models, data_dir, monkeypatch):
    monkeypatch.chdir(models)
    home = published(trained, "tiny-burgers", ".", data_dir)
    u0 = np.random.default_rng(0).normal(size=(3, 128))
    for eps in (0.5, 0.3):
        ours, theirs = (hop.load(source, eps=eps) for source in ("tiny-burgers", trained))
        np.testing.assert_array_equal(ours(u0), theirs(u0))
    assert {p.name for p in (home / "stages" / "0").iterdir() if p.is_dir()} == {"params"}
    for path in home.rglob("*"):  # nothing tells of the machine that trained it
        if path.is_file():
            assert not any(
                folder.encode() in path.read_bytes() for folder in (str(models), data_dir)
            )


def test_the_card_says_what_was_measured(trained, models, data_dir, capsys):
    home = published(trained, "tiny", models, data_dir, eps=(0.3,))
    (info,) = Store(home).stages()
    card = (home / "README.md").read_text(encoding="utf-8")
    test = info.metadata["test"]
    row = next(line for line in card.splitlines() if line.startswith("| 0 | 0 | 0.3 |"))
    assert f"{test['loss']:.1e} | {test['l2re']:.1e}" in row
    assert f"{test['l2re_worst']:.1e}" in row
    assert "on 4 test functions" in card
    assert "`hop train …`" in card
    assert main(["evaluate", f"--checkpoint={home}", "--json", "--functions=4",
                 f"--data_dir={data_dir}"]) == 0  # fmt: skip
    (row,) = json.loads(capsys.readouterr().out)["stages"]
    assert row["l2re"] == pytest.approx(test["l2re"], rel=1e-5)


def test_refinement_starts_from_the_nearest_stage_and_is_a_normal_workdir(trained, refined):
    first, last = Store(refined).stages()
    assert (first.eps, last.eps) == (0.5, 0.4)
    start, source = hop.load(refined, stage=0), hop.load(trained, eps=0.5)
    for mine, theirs in zip(*(o.params["trunk"].items() for o in (start, source)), strict=True):
        np.testing.assert_array_equal(mine[1]["kernel"], theirs[1]["kernel"])
    assert last.record["step"] == 30
    assert "--eps=0.4 --workdir=W --config.train.steps=30" in last.made["command"]
    assert last.record["loss"] < Store(trained).stages()[0].record["loss"] * 100


def test_a_refinement_goes_on_where_it_stopped(trained, tmp_path, data_dir, listener):
    config = refinement.config_for(trained, 0.4)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, save_seconds=0.0))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    refinement.refine(trained, config, whole, listener())
    with pytest.raises(KeyboardInterrupt):
        refinement.refine(trained, config, cut, listener(interrupt_after=3))
    refinement.refine(trained, config, cut, listener())
    for one, other in zip(*(hop.load(w).params["branch"].values() for w in (whole, cut)),
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one["kernel"], other["kernel"])


@pytest.mark.parametrize(("after", "told"), [(0.09, True), (0.02, False), (None, False)])
def test_a_refinement_that_ends_far_worse_is_told(
    trained, tmp_path, listener, monkeypatch, after, told
):
    records = [{"eps": 0.5, "l2re": 0.01}, {"eps": 0.4, "l2re": after}]
    monkeypatch.setattr(refinement.training, "train", lambda *args, **kwargs: records)
    heard, config = listener(), refinement.config_for(trained, 0.4)
    assert refinement.refine(trained, config, tmp_path / "w", heard) == records
    said = [text for text in heard.messages if "the error grew 9 times" in text]
    assert len(said) == told


def test_a_model_grows_in_the_order_of_the_path(trained, refined, models, data_dir):
    published(trained, "tiny", models, data_dir)
    before = hop.load("tiny", eps=0.3).params
    published(refined, "tiny", models, data_dir)
    assert [(i.stage, i.eps) for i in Store.find("tiny").stages()] == [(0, 0.5), (1, 0.4), (2, 0.3)]
    np.testing.assert_array_equal(hop.load("tiny", eps=0.3).params["bias"], before["bias"])
    with pytest.raises(hop.UserError, match="every one of these stages already"):
        published(refined, "tiny", models, data_dir)


@pytest.fixture
def unscored(monkeypatch):
    """Models are published without a reference solver, for what is not about scores."""

    class Judge:
        functions = 0

        @classmethod
        def tested(cls, *_):
            return cls()

        def scores(self, operator):
            return dict.fromkeys(("loss", "l2re"), 0.5)

    monkeypatch.setattr(publishing, "Judge", Judge)


@pytest.mark.parametrize("step", range(4))
def test_a_publish_killed_between_its_steps_loses_nothing(
    step, trained, models, data_dir, unscored, monkeypatch
):
    home = published(trained, "tiny", models, data_dir, eps=(0.5,))
    move, rmtree, settle, seen, settled = files.move, shutil.rmtree, files.settle, [], []

    def killed(path):
        if path.is_dir() and path.parent == models:
            if len(seen) == step:
                raise KeyboardInterrupt
            seen.append(path.name)

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", lambda old, new: (killed(old), move(old, new)))
        patch.setattr(files, "settle", lambda path: (settle(path), settled.append(path)))
        patch.setattr(shutil, "rmtree", lambda path, **how: (killed(path), rmtree(path, **how)))
        with pytest.raises(KeyboardInterrupt):
            published(trained, "tiny", models, data_dir)
    assert seen == ["tiny", ".tiny.tmp", ".tiny.before", ".tiny.tmp"][:step]
    assert models / ".tiny.tmp" in settled
    if step != 1:
        assert [i.eps for i in Store(home).stages()] == ([0.5] if step == 0 else [0.5, 0.3])
    if step >= 2:
        with pytest.raises(hop.UserError, match="every one of these stages already"):
            published(trained, "tiny", models, data_dir)
    else:
        published(trained, "tiny", models, data_dir, eps=(0.3,))
    for eps in (0.5, 0.3):
        hop.load("tiny", eps=eps)
    assert [path.name for path in models.iterdir()] == ["tiny"]


def test_an_earlier_model_is_removed_only_if_the_new_one_holds_its_stages(
    trained, models, data_dir, unscored, monkeypatch
):
    home = published(trained, "tiny", models, data_dir)
    before = models / ".tiny.before"
    shutil.copytree(home, before)
    shutil.rmtree(home / "stages" / "1")
    with pytest.raises(hop.UserError, match="holds stages that .* lacks; move one of them"):
        published(trained, "tiny", models, data_dir)
    assert len(Store(before).stages()) == 2
    monkeypatch.setenv("HOME", str(models))
    with (
        files.owned(models / ".tiny.lock"),
        pytest.raises(hop.UserError, match="another job is publishing to .*/tiny; wait for it"),
    ):
        published(trained, "tiny", "~", data_dir)


def test_a_damaged_model_names_its_leaf(trained, models, data_dir):
    home = published(trained, "tiny", models, data_dir)
    path = home / "stages" / "1" / "_CHECKPOINT_METADATA"
    text = json.loads(path.read_text())
    text["custom_metadata"]["digests"]["params"]["bias"] = "0" * 64
    path.write_text(json.dumps(text))
    with pytest.raises(hop.RunError, match=r"stage 1 .*leaf 'bias' of 'params' is damaged"):
        hop.load("tiny")
    assert hop.load("tiny", stage=0).eps == 0.5


def test_what_cannot_be_published_or_refined(
    trained, refined, models, data_dir, tiny_mlp, listener
):
    for name in ("Burgers", "../x", "a--b", ""):
        with pytest.raises(hop.UserError, match="is no name for a model"):
            published(trained, name, models, data_dir)
    with pytest.raises(hop.UserError, match="no stage with eps=0.7; there are 0.5, 0.3"):
        published(trained, "tiny", models, data_dir, eps=(0.7,))
    published(trained, "tiny", models, data_dir)
    other = models / "other"
    train(tiny_mlp(path__eps=(0.5,)), other, listener())
    with pytest.raises(hop.UserError, match="has another problem"):
        published(other, "tiny", models, data_dir)
    for eps in (0.9, 0.5):
        with pytest.raises(hop.UserError, match=f"no stage is above eps={eps}"):
            refinement.config_for(trained, eps)
    # A stage that is there is not its own start, so what made it can be repeated.
    assert refinement.config_for(trained, 0.3).path.eps == (0.5, 0.3)
    config = refinement.config_for(trained, 0.2)
    wild = config_files.override(config, ["--config.path.eps=(0.4,0.2)"])
    with pytest.raises(hop.UserError, match="the path starts at s=0, eps=0.4, where .* no stage"):
        refinement.refine(trained, wild, models / "wild", listener())
    wider = config_files.override(config, ["--config.network.rank=5"])
    with pytest.raises(hop.UserError, match="has another network .*; leave that as it is"):
        refinement.refine(trained, wider, models / "wider", listener())
    with pytest.raises(hop.UserError, match=r"trained with another config: config.path.eps"):
        refinement.refine(trained, config, refined, listener())
    shutil.rmtree(models / "tiny" / "stages" / "1")
    assert [i.eps for i in Store.find("tiny").stages()] == [0.5]


def test_overrides_of_a_refinement_are_checked(trained):
    config = refinement.config_for(trained, 0.4)
    assert config_files.override(config, ["--config.train.steps=7"]).train.steps == 7
    with pytest.raises(hop.UserError, match=r"config.*trian"):
        config_files.override(config, ["--config.trian.steps=7"])


def given(laws, count):
    """Some test functions as a call takes them, and their fields; a number is (n,)."""
    data = {name: splits.examples(law, "test", 0, count) for name, law in laws.items()}
    values = {k: d["values"].reshape(count, *laws[k].shape) for k, d in data.items()}
    return values, {name: laws[name].field(d["coefficients"]) for name, d in data.items()}


@pytest.mark.parametrize("name", checkpoints.pretrained_names())
def test_shipped_models(name, monkeypatch):
    """Each loads by name, is small, and its card is made from its stages."""
    store = Store.find(name)
    stages = store.stages()
    most = 8 if name == "burgers-time" else 2
    for info in stages:
        files = (store.stages_dir / str(info.stage)).rglob("*")
        assert sum(p.stat().st_size for p in files if p.is_file()) < most * 2**20
        op = hop.load(name, eps=info.eps, s=info.s)
        answer = op(given(op.laws, 2)[0], op.grid[:3])
        assert all(u.shape == (2, 3) for u in jax.tree.leaves(answer))
    module = importlib.import_module(type(op.ansatz.problem).__module__)
    monkeypatch.setattr(module, "__doc__", None)  # as where Python leaves docstrings out
    assert publishing.card(name, store) == (store.root / "README.md").read_text(encoding="utf-8")
    assert info.metadata["test"]["l2re"] < 0.04  # the largest is that of burgers-shocks


@pytest.mark.parametrize("name", checkpoints.pretrained_names())
def test_shipped_stages_are_as_good_as_their_cards_say(name):
    """By the residual on a few test functions; of a steady problem's last stage, by the error."""
    stages, few = Store.find(name).stages(), 2
    scored = [
        (hop.load(name, eps=test.get("eps", i.eps), s=i.s), test)
        for i in stages
        for test in i.metadata["test"].get("at", [i.metadata["test"]])  # of a range, at some ε
    ]
    for op, test in (scored[0], scored[len(scored) // 2], scored[-1]):
        problem = op.ansatz.problem
        values, a = given(problem.inputs, few)
        counts = {1: (129,), 2: (129, 9), 3: (9, 9, 5)}.get(problem.domain.dim, (128,))
        x, weights = problem.domain.quadrature(*counts)
        if op.config.train.tests:
            loss = Judge.of(config_lib.build(op.config), "test", few).loss(op)
        else:
            h = np.asarray(op.residual(jax.tree.map(jnp.asarray, values), x))
            loss = 0.5 * np.mean(h**2 @ weights)
        # Of few functions, one can be ten times worse than a thousand are on average.
        assert test["loss"] / 10 < loss < 10 * test["loss"]
    if not in_time(problem) and problem.domain.dim <= 3:  # beyond, a reference takes minutes
        r = problem.reference(a, x, op.lam)
        errors = np.linalg.norm(op(values, x) - r, axis=1) / np.linalg.norm(r, axis=1)
        assert test["l2re"] / 3 < np.mean(errors) < 3 * test["l2re"]


@pytest.fixture
def a_system(tmp_path, monkeypatch):
    """A workdir of a system with a function and a number as inputs, found by the name "pair"."""
    (tmp_path / "problems").mkdir()
    (tmp_path / "problems" / "pair.py").write_text(
        "from systems import Pair\n\n__all__ = ['Pair']\n"
    )
    monkeypatch.setattr(
        "hop.problems.__path__", [*hop.problems.__path__, str(tmp_path / "problems")]
    )
    config = config_lib.experiment(problem="pair", network="deeponet")
    config.network.update(branch=(8,), trunk=(8,), rank=4)
    config.path.eps = (0.5,)
    config = config_lib.to_json(config_lib.parse(config.to_dict()))
    metadata = {
        "s": 0.0, "eps": 0.5, "config": config, "problem": "systems.Pair",
        "record": {"s": 0.0, "eps": 0.5, "step": 1, "seconds": 0.0, "loss": 1.0, "l2re": 1.0},
        "made": {"command": "", "machine": "1 × CPU", "date": "2026-01-01"},
        "versions": {}, "bookmark": {"total_steps": 1},
    }  # fmt: skip
    checkpoints.write_model(tmp_path / "w", config, [(pair().params, metadata)], {})
    return tmp_path / "w"


def test_a_system_has_scores_of_every_unknown(a_system, models, data_dir, capsys):
    home = published(a_system, "tiny", models, data_dir)
    (info,) = Store(home).stages()
    test, card = info.metadata["test"], (home / "README.md").read_text(encoding="utf-8")
    assert test["l2re"] == pytest.approx((test["l2re_u"] + test["l2re_v"]) / 2)
    assert "mean L2RE | median | worst | of `u` | of `v` |" in card
    assert f"| {test['l2re_worst']:.1e} | {test['l2re_u']:.1e} | {test['l2re_v']:.1e} |" in card
    assert "; of all unknowns their mean" in card
    call = 'op({"f": f, "kappa": kappa})'
    said = '# f (n, m), kappa (n,) at op.sensors → {"u": (n, q), "v": (n, q)} at op.grid'
    assert f"{said}\nu = {call}\n" in card
    assert "* Input `f`: a law of your own (GaussianField), 17 sensors\n" in card
    assert "* Input `kappa`: a number (Uniform)\n" in card
    given = inputs(3)
    np.testing.assert_array_equal(hop.load("tiny")(given)["v"], pair()(given)["v"])
    words = ["evaluate", f"--checkpoint={home}", "--functions=4", f"--data_dir={data_dir}"]
    assert main(words) == 0
    assert f"{test['l2re']:.2e}" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["stages"]
    scores = ("l2re", "l2re_median", "l2re_worst", "l2re_u", "l2re_v")
    assert [row[key] for key in scores] == pytest.approx([test[key] for key in scores], rel=1e-5)
    assert main(["info", str(home)]) == 0
    assert f"{test['l2re']:.2e}" in capsys.readouterr().out


def test_a_card_says_how_each_kind_of_problem_is_called():
    for problem, call in (
        (Pair(given=("f",)), "op(f)  # (n, m) values at op.sensors → "),
        (Pair(given=("kappa",)), "op(kappa)  # (n,) numbers → "),
    ):
        assert publishing.call(problem) == call + '{"u": (n, q), "v": (n, q)} at op.grid'
    assert publishing.call(Pair(given=())) == 'op()  # {"u": (q,), "v": (q,)} at op.grid'


def test_the_nearest_stage_is_before_its_refinement():
    """By s, then by the ratio of the ε; never at the place itself, and never beyond it."""
    places = [(0.5, 0.5), (0.2, 0.5), (0.0, 0.5), (0.0, 0.2), (0.0, 0.05)]
    stages = [StageInfo(k, {"s": s, "eps": eps}) for k, (s, eps) in enumerate(places)]

    def nearest(eps, s=None):
        return refinement.nearest(stages, eps, s).stage

    assert [nearest(eps) for eps in (0.1, 0.04)] == [3, 4]
    assert [nearest(eps, 0.0) for eps in (0.3, 0.2, 0.1)] == [2, 2, 3]
    assert [nearest(0.5, s) for s in (0.3, 0.1)] == [0, 1]
    assert nearest(0.3, 0.1) == 1


def test_what_ships():
    burgers = {"burgers-shocks", "burgers-steady", "burgers-steady-unit", "burgers-time"}
    others = {
        "biased-drift-diffusion",
        "burgers-2d",
        "cavity",
        "cavity-high",
        "convection-diffusion",
    }
    others |= {"drift-diffusion", "exit-time-8d", "hamilton-jacobi-20d"}
    assert burgers | others == set(checkpoints.pretrained_names())
