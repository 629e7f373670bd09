"""Input functions of a step: drawn by its number, fed alike, and as many as the mesh can split."""

import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop.laws.named import NAMED
from hop.sharding import Layout
from hop.training import feed, train
from hop.training.feeds import draws, fresh, modes


@pytest.mark.devices
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


@pytest.mark.devices
def test_functions_fed_from_the_host_train_alike(tiny, tmp_path, listener):
    """Whether functions stay on the device or come with each dispatch is a matter of memory."""
    fed = tiny(path__eps=(0.5,), train__steps=20, data__resident_mib=0)
    resident = train(tiny(path__eps=(0.5,), train__steps=20), tmp_path / "a", listener())
    records = train(fed, tmp_path / "b", listener())
    assert resident[0]["total"] == records[0]["total"]
    assert resident[0]["l2re"] == records[0]["l2re"]
    # A device gets only the functions of its share, and its host reads no others.
    layout = Layout.create(4, 2)
    pool, drawn = feed(config_lib.build(fed), layout)(0, 0, 10)
    assert drawn is None
    values = pool["u0"].values
    assert values.shape == (10, 16, 128)
    assert values.addressable_shards[0].data.shape == (10, 4, 128)


def test_fresh_functions_are_a_function_of_the_step():
    law = NAMED["paper"]

    def drawn(stage, *steps):
        made = fresh({"u0": law}, 20, 0, stage, jnp.asarray(steps))["u0"].coefficients
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


def linear(**more):
    skin = config_lib.experiment(problem="convection_diffusion", network="deeponet")
    skin.network.update(linear=("f",), trunk=(8,), rank=6)
    skin.path.eps, skin.train.functions, skin.train.points = (0.1,), 12, 16
    skin.train.update(steps=4, dispatch=2, validation=2)
    skin.strategy.tangent, skin.data.modes = 0.0, True
    for key, value in more.items():
        group, field = key.split("__")
        skin[group][field] = value
    return config_lib.parse(skin.to_dict())


def test_the_loss_over_modes_is_its_mean_over_the_law():
    """Of any linear map, here random; draws come near it as their number grows."""
    law = config_lib.build(linear()).problem.inputs["f"]
    kept = modes({"f": law}, 12)["f"]
    assert kept.coefficients.shape == (12, 11)
    np.testing.assert_array_equal(kept.coefficients[11], 0)
    np.testing.assert_allclose(kept.values, law.values(law.field(kept.coefficients)), atol=1e-6)
    rng = np.random.default_rng(0)
    by_map = rng.normal(size=(11, 30)) @ np.diag(rng.random(30))
    exact = np.trace(by_map.T @ np.diag(law.spectrum) @ by_map) / 30
    assert np.mean((kept.coefficients @ by_map) ** 2) == pytest.approx(exact, rel=1e-6)
    drawn = rng.normal(size=(40_000, 11)) * np.sqrt(law.spectrum)
    assert np.mean((drawn @ by_map) ** 2) == pytest.approx(exact, rel=0.03)


def test_modes_are_what_every_step_takes(tmp_path, listener):
    experiment = config_lib.build(linear())
    pool, drawn = feed(experiment, experiment.layout())(0, 2, 2)
    assert np.asarray(drawn).tolist() == [list(range(12))] * 2
    assert pool["f"].coefficients.shape == (12, 11)
    (record,) = train(linear(), tmp_path / "w", listener())
    assert np.isfinite(record["l2re"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data__fresh": True}, "fresh and config.data.modes are both set"),
        ({"network__linear": ()}, r"set config.network.linear=\('f',\)"),
        ({"train__functions": 8}, "must hold the 11 modes of f; set it to 11 or more"),
        ({"problem__name": "variable_convection"}, "this has GaussianField, Mapped"),
        ({"problem__name": "allen_cahn_1d", "network__name": "mlp"}, "this has none"),
    ],
)
def test_modes_that_stand_for_no_law_are_refused(change, said):
    values = config_lib.to_json(linear())
    for key, value in change.items():
        group, field = key.split("__")
        values[group] = {"name": value} if field == "name" else values[group] | {field: value}
    with pytest.raises(hop.UserError, match=said):
        config_lib.build(config_lib.parse(values))


def test_draws_are_epochs_of_permutations():
    first = draws(100, 30, seed=0, stage=0, first=0, steps=3)
    assert len(set(first.ravel())) == 90
    assert not np.array_equal(first, draws(100, 30, seed=0, stage=0, first=3, steps=3))
    assert not np.array_equal(first, draws(100, 30, seed=0, stage=1, first=0, steps=3))
    pieces = [draws(100, 30, 0, 0, k, 1) for k in range(7)]
    assert np.array_equal(np.concatenate(pieces), draws(100, 30, 0, 0, 0, 7))


@pytest.mark.devices
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
