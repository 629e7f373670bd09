"""Functions of one's own in place of a problem's law: imported, trained on, loaded, evaluated."""

import dataclasses
import pickle
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Listener

import hop
from hop import cli, datasets, publishing, refinement, training
from hop import config as config_lib
from hop.config import files as config_files
from hop.errors import RunError, UserError
from hop.evaluation import evaluate
from hop.problem import with_inputs

UNIT = hop.Box((0.0,), (1.0,))
X = np.linspace(0, 1, 21)
FREE = hop.GaussianField(UNIT, length=0.5, sensors=9)


def functions(n, seed=0):
    a, b = np.random.default_rng(seed).normal(size=(2, n, 1))
    return a * np.cos(np.pi * X) + 0.5 * b * np.cos(2 * np.pi * X)


@dataclasses.dataclass(frozen=True)
class Decay(hop.Problem):
    """u′ + rate·u = f, u(0) = 0."""

    rate: float = 1.0
    domain = UNIT
    derivatives = ("", "x")
    inputs = {"f": FREE}  # noqa: RUF012

    def residual(self, u, x, a, lam):
        return u["x"] + self.rate * u[""] - a["f"][""]

    def lift(self, network, x, a, lam):
        return x[0] * network


def config(data_dir, **data):
    skin = config_lib.experiment(network="deeponet")
    skin.network.update(branch=(4,), trunk=(4,), rank=3)
    skin.path.eps = (1.0,)
    skin.train.update(steps=4, dispatch=2, functions=8, points=8, validation=2)
    skin.data.update({"data_dir": str(data_dir), **data})
    return config_lib.parse(skin.to_dict())


def keep(data_dir, law, name="mine"):
    return datasets.keep(law, name, str(data_dir))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with samples, and a workdir trained on them."""
    home = tmp_path_factory.mktemp("samples")
    keep(home / "data", hop.Samples(functions(30)))
    asked = config(home / "data", samples={"f": "mine"})
    training.train(asked, home / "w", Listener(), Decay())
    return home


def test_a_problem_with_other_laws_is_the_same_but_for_them():
    own = hop.Samples(functions(12))
    one, other = (with_inputs(Decay(2.0), {"f": hop.Samples(functions(12))}) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert type(one) is type(other)
    assert one.inputs == {"f": own}
    assert Decay(2.0).inputs == {"f": FREE}
    assert one.rate == 2.0
    assert one != Decay(2.0)
    assert one != with_inputs(Decay(2.0), {"f": hop.Samples(functions(13))})
    assert pickle.loads(pickle.dumps(one)) == one
    assert dataclasses.replace(one, rate=3.0).inputs == one.inputs
    noted = {"problem": f"{Decay.__module__}.{Decay.__qualname__}"}
    config_lib.check_classes({"problem": one}, noted)


def test_a_workdir_on_samples_resumes_and_loads_without_them(trained, tmp_path):
    work = shutil.copytree(trained / "w", tmp_path / "w")
    digest = datasets.kept("mine", str(trained / "data")).digest[:12]
    asked = config(trained / "data", samples={"f": "mine"})
    heard = Listener()
    training.train(asked, work, heard, Decay())
    assert not heard.windows  # all is done
    op = hop.load(work, problem=Decay())  # which knows of no folder of datasets
    assert op.config.data.samples == {"f": f"mine@{digest}"}
    assert op.sensors.shape == (21,)
    values = functions(3)
    first = hop.load(trained / "w", problem=Decay())(values, op.grid)
    np.testing.assert_array_equal(op(values, op.grid), first)
    (work / "inputs" / "f.npz").write_bytes(b"")
    with pytest.raises(RunError, match=r"f.npz is missing or damaged"):
        hop.load(work, problem=Decay())


def test_a_workdir_is_held_to_its_functions(trained, tmp_path):
    keep(tmp_path, hop.Samples(functions(30, seed=1)))
    for asked in (config(tmp_path, samples={"f": "mine"}), config(tmp_path)):
        with pytest.raises(UserError, match="trained with another config: config.data.samples.f"):
            training.train(asked, trained / "w", Listener(), Decay())
    digest = datasets.kept("mine", str(trained / "data")).digest[:12]
    with pytest.raises(UserError, match="and the functions that are here are 'mine@"):
        config_lib.build(config(tmp_path, samples={"f": f"mine@{digest}"}), Decay())


def test_evaluation_needs_the_very_functions(trained, tmp_path):
    def scored(data_dir):
        return evaluate(str(trained / "w"), data_dir=str(data_dir), problem=Decay())

    report = scored(trained / "data")
    assert report["functions"] == 3
    # Those of the file's test split, and of no other.
    law, op = datasets.kept("mine", str(trained / "data")), hop.load(trained / "w", problem=Decay())
    values = np.asarray(law.values(law.field(law.rows("test"))))
    points, weights = Decay().domain.quadrature(1001)
    h = op.residual(values, points).astype(float)
    expected = 0.5 * np.mean(h**2 @ weights)
    assert report["stages"][0]["loss"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(RunError, match="'mine', on which this was trained, are not in the folder"):
        scored(tmp_path)
    keep(tmp_path, hop.Samples(functions(30, seed=1)))
    with pytest.raises(RunError, match="are not those on which this was trained; name their"):
        scored(tmp_path)


def test_a_published_model_and_a_refinement_keep_what_was_measured(trained, tmp_path):
    where = {"data_dir": str(trained / "data"), "problem": Decay()}
    home = publishing.publish(str(trained / "w"), "tiny", folder=str(tmp_path), **where)
    values, whole = functions(2), hop.load(trained / "w", problem=Decay())
    given = hop.load(home, problem=Decay())(values, whole.grid)
    np.testing.assert_array_equal(given, whole(values, whole.grid))
    assert "on 3 test functions" in (home / "README.md").read_text()
    asked = refinement.config_for(home, 0.5)
    asked = config_lib.with_data_dir(asked, str(trained / "data"))
    refinement.refine(home, asked, tmp_path / "r", Listener(), problem=Decay())
    assert len(hop.load(tmp_path / "r", problem=Decay())(values, whole.grid)) == 2


def test_training_takes_the_rows_of_its_split_and_the_fitted_values(trained):
    law = datasets.kept("mine", str(trained / "data"))
    data = datasets.load_all({"f": law}, "train")["f"]
    np.testing.assert_array_equal(data["coefficients"], law.rows("train"))
    np.testing.assert_allclose(
        data["values"], law.values(law.field(law.rows("train"))), rtol=1e-5, atol=1e-6
    )
    assert len(data["values"]) == 24
    mapped = datasets.load_all({"f": law.map(jnp.exp)}, "train", count=5)["f"]
    np.testing.assert_allclose(mapped["values"], np.exp(data["values"][:5]), rtol=1e-12)


def test_rows_of_two_files_belong_together_and_to_none_of_a_drawn_law():
    a, b = hop.Samples(functions(40)), hop.Samples(2 * functions(40) + 1)
    data = datasets.load_all({"a": a, "g": FREE, "b": b}, "train")
    np.testing.assert_allclose(data["b"]["values"], 2 * data["a"]["values"] + 1, atol=1e-9)
    g = datasets.load_all({"a": FREE, "g": FREE}, "train")["g"]["coefficients"]
    np.testing.assert_array_equal(data["g"]["coefficients"], g[:32])
    with pytest.raises(UserError, match="belong together, .* 32 of a, 33 of b in the train split"):
        datasets.load_all({"a": a, "b": hop.Samples(functions(41))}, "train")


def test_an_object_with_samples_of_its_own_is_held_to_them():
    one, other = (hop.Samples(functions(20, seed)) for seed in range(2))

    def problem(law):
        return with_inputs(Decay(), {"f": law.map(jnp.sinh, jnp.arcsinh)})

    noted = config_lib.build(config(""), problem(one)).config
    assert noted.data.samples == {"f": f"@{one.digest[:12]}"}
    assert config_lib.build(noted, problem(one)).config == noted
    with pytest.raises(UserError, match="the functions that are here are '@"):
        config_lib.build(noted, problem(other))


@pytest.mark.parametrize(
    ("law", "own", "data", "said"),
    [
        ({}, FREE, {"samples": {"g": "mine"}}, "has no such input; use one of f"),
        ({}, FREE, {"samples": {"f": "mein"}}, "there are no samples 'mein'"),
        ({}, FREE, {"samples": {"f": "../mine"}}, "'../mine' is no name for samples"),
        ({}, FREE, {"samples": {"f": "mine"}, "fresh": True}, "f of this problem are samples"),
        ({"sensors": 2 * X}, FREE, {}, r"import them with --domain=0.0,1.0$"),
        ({"ends": "periodic"}, FREE, {}, r"import them with --ends=free$"),
        ({}, FREE.map(jnp.exp), {}, "made of another law by a map"),
        ({}, hop.Uniform(0.0, 1.0), {}, "is a number, and no samples can take its place"),
    ],
)
def test_samples_that_do_not_fit_are_refused(tmp_path, law, own, data, said):
    keep(tmp_path, hop.Samples(functions(12), **law))
    problem = with_inputs(Decay(), {"f": own})
    asked = config(tmp_path, **{"samples": {"f": "mine"}, **data})
    with pytest.raises(UserError, match=said):
        config_lib.build(asked, problem)


def test_more_functions_in_a_step_than_there_are_are_refused(trained):
    asked = config(trained / "data", samples={"f": "mine"})
    asked = dataclasses.replace(asked, train=dataclasses.replace(asked.train, functions=25))
    experiment = config_lib.build(asked, Decay())
    with pytest.raises(UserError, match="the 24 training functions; use at most 24$"):
        training.check_batch(experiment, experiment.layout())


def test_any_input_can_be_named_on_the_command_line():
    words = ["--config.data.samples.u0=mine", "--config.seed=3"]
    found = config_files.read("configs/burgers_time.py", words)
    assert found.data.samples == {"u0": "mine"}
    assert config_files.override(found, ["--config.data.samples.u0", ""]).data.samples == {}


def test_an_import_says_what_it_took_and_refuses_a_name_that_is_taken(tmp_path, capsys):
    np.save(tmp_path / "u0.npy", functions(20).astype(np.float32))
    words = ["data", "import", str(tmp_path / "u0.npy"), "mine", f"--data_dir={tmp_path}"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "20: 16 to train, 2 to validate, 2 to test" in said
    assert "21 on 0 ≤ x ≤ 1 (free)" in said
    assert "wave numbers up to 2 of 20" in said
    assert "?" not in said
    assert f"mine is imported: {tmp_path}/samples/mine.npz" in said
    assert cli.main(words) == 0
    assert "mine is already there" in capsys.readouterr().out
    assert cli.main([*words, "--ends=zero"]) == 2
    out, err = capsys.readouterr()
    assert "? doubt" in out
    assert "holds other functions; choose another name, or delete that file" in err
    assert cli.main([*words[:3], "No", words[-1]]) == 2
    assert "'No' is no name for samples" in capsys.readouterr().err
    (tmp_path / "samples" / "mine.npz").write_bytes(b"PK")
    assert cli.main(words) == 1
    assert "mine.npz is damaged" in capsys.readouterr().err
