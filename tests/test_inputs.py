"""Several inputs and several unknowns, from the laws through training to the operator."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Listener

import hop
from hop import config as config_lib
from hop import datasets, splits, training
from hop.errors import RunError, UserError
from hop.laws.named import NAMED


@pytest.fixture(scope="module", autouse=True)
def as_users_have_it():
    """A problem of one's own may leave broadcasting to JAX, whose default is to do it."""
    with jax.numpy_rank_promotion("allow"):
        yield


SQUARE = hop.Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Exchange(hop.Problem):
    """−ε² Δp + p − n = f,  −κ Δn + n − p = 0; a soft condition on the right wall."""

    domain = SQUARE
    unknowns = ("p", "n")
    derivatives = ("", "x", "xx", "yy")
    inputs = {  # noqa: RUF012
        "f": hop.GaussianField(domain, ends="free", length=0.5, std=1.0, sensors=5),
        "kappa": hop.LogUniform(0.1, 10.0),
    }

    def residual(self, u, x, a, lam):
        p, n = u[""]
        p_xx, n_xx = u["xx"]
        p_yy, n_yy = u["yy"]
        return jnp.stack(
            [
                -(lam.eps**2) * (p_xx + p_yy) + p - n - a["f"][""],
                -a["kappa"][""] * (n_xx + n_yy) + n - p,
            ]
        )

    def lift(self, network, x, a, lam):
        x, y = x
        return x * y * (1 - y) * network

    def conditions(self, lam):
        wall = np.stack([np.ones(9), np.linspace(0, 1, 9)], 1)
        return (hop.Condition((wall,), ("", "x"), lambda jets, a, lam: jets[0]["x"]),)


def config_of(**train):
    skin = config_lib.experiment(network="deeponet")
    skin.network.update(branch=(8,), trunk=(8,), rank=6, linear=("f",))
    skin.path.eps = (1.0, 0.5)
    skin.train.update(steps=20, dispatch=10, functions=8, points=16, validation=2)
    skin.train.update(train)
    skin.solver.optimizer = "adam"
    skin.data.fresh = True
    return config_lib.parse(skin.to_dict())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("exchange") / "w"
    heard = Listener()
    training.train(config_of(), workdir, heard, Exchange())
    return hop.load(workdir, problem=Exchange()), heard


def test_a_system_with_two_inputs_trains(trained):
    _, heard = trained
    first, last = (np.mean([heard.windows[i]["total"] for i in at]) for at in ((0,), (-1,)))
    assert last < 0.8 * first
    assert heard.windows[-1]["condition"] > 0


def test_its_operator_takes_inputs_by_name_and_names_its_unknowns(trained):
    op, _ = trained
    assert set(op.sensors) == {"f", "kappa"}
    assert op.sensors["f"].shape == (25, 2)
    assert op.sensors["kappa"] is None
    rng = np.random.default_rng(0)
    f, kappa = rng.normal(size=(3, 25)), np.array([0.2, 1.0, 5.0])
    x = rng.uniform(size=(7, 2))
    u = op({"f": f, "kappa": kappa}, x)
    assert set(u) == {"p", "n"}
    assert u["p"].shape == u["n"].shape == (3, 7)
    assert isinstance(u["p"], np.ndarray)
    # Each function has its own inputs, the order of names and blocks is none of theirs.
    one = op({"kappa": kappa[1:2], "f": f[1:2]}, x)
    np.testing.assert_allclose(one["n"][0], u["n"][1], atol=1e-5)
    # One number serves all functions.
    same = op({"f": f, "kappa": 1.0}, x)["p"]
    np.testing.assert_allclose(same[1], u["p"][1], atol=1e-5)
    np.testing.assert_allclose(  # `network.linear`
        op({"f": 2 * f, "kappa": kappa}, x)["p"], 2 * u["p"], rtol=1e-4, atol=1e-5
    )
    assert not np.allclose(op({"f": f, "kappa": 2 * kappa}, x)["p"], u["p"], atol=1e-5)
    slopes = op.derivative({"f": f, "kappa": kappa}, x, "x")
    h = 1e-3
    moved = [op({"f": f, "kappa": kappa}, x + np.array([[d, 0]]))["p"] for d in (0, h)]
    np.testing.assert_allclose(slopes["p"], (moved[1] - moved[0]) / h, atol=2e-2)
    assert op.residual({"f": f, "kappa": kappa}, x).shape == (2, 3, 7)
    in_jax = op({"f": jnp.asarray(f), "kappa": kappa}, x)
    assert isinstance(in_jax["p"], jax.Array)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((3, 25)), r'2 inputs by name; call op\(\{"f": …, "kappa": …\}, x\)'),
        ({"f": np.zeros((3, 25)), "Kappa": np.ones(3)}, "2 inputs by name; .* no 'Kappa'"),
        ({"f": np.zeros((3, 25)), "kappa": np.ones(2)}, "f holds 3, kappa holds 2"),
        ({"f": np.zeros((3, 24)), "kappa": np.ones(3)}, r"f has shape \(3, 24\) and must be"),
        ({"f": np.zeros((3, 25)), "kappa": np.ones((3, 2))}, "a number for each function"),
        ({"f": np.full((3, 25), np.nan), "kappa": np.ones(3)}, "f holds NaN or infinity"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(trained, given, said):
    with pytest.raises(UserError, match=said):
        trained[0](given)


def test_inputs_outside_their_laws_are_warned_of_by_name(trained):
    op, _ = trained
    with pytest.warns(UserWarning, match=r"kappa lies outside the law .* it lies in \[0.1, 10\]"):
        op({"f": np.zeros((1, 25)), "kappa": [20.0]})
    with pytest.warns(UserWarning, match="f lies outside the law .* its functions stay within"):
        op({"f": np.full((1, 25), 100.0), "kappa": [1.0]})
    with pytest.raises(UserError, match="kappa: function 1 is none of the law"):  # log −1
        op({"f": np.zeros((2, 25)), "kappa": [1.0, -1.0]})


def test_inputs_of_one_law_are_independent():
    law = dataclasses.replace(NAMED["unit"], name="")
    data = datasets.load_all({"u0": law, "v0": law}, "test", count=400)
    u, v = (data[name]["coefficients"] for name in ("u0", "v0"))
    alone = datasets.load_all({"u0": law}, "test", count=400)["u0"]["coefficients"]
    np.testing.assert_array_equal(u, alone)
    first = u[:, 0] / u[:, 0].std(), v[:, 0] / v[:, 0].std()
    assert abs(np.mean(first[0] * first[1])) < 4 / np.sqrt(400)
    fewer = datasets.load_all({"u0": law, "v0": law}, "test", count=10)["v0"]["coefficients"]
    np.testing.assert_array_equal(fewer, v[:10])


def test_a_law_of_one_s_own_has_a_dataset_where_it_has_a_name(tmp_path, monkeypatch):
    for split, count in {"train": 6, "validation": 3, "test": 3}.items():
        monkeypatch.setitem(splits.SPLITS, split, count)
    law = hop.GaussianField(SQUARE, length=0.5, sensors=4, name="mine").map(jnp.exp)
    assert not datasets.has_files(law)  # a map has no name of its own
    law = law.base
    drawn = datasets.load(law, "train", str(tmp_path))
    folder = datasets.build(law, str(tmp_path))
    assert folder.parts[-3:-1] == ("grf_burgers", "mine")
    stored = datasets.load(law, "train", str(tmp_path))
    for key in ("coefficients", "values"):
        np.testing.assert_array_equal(stored[key], drawn[key])
    exact = law.values(law.field(stored["coefficients"]))
    np.testing.assert_allclose(stored["values"], exact, rtol=1e-4, atol=1e-5)
    other = dataclasses.replace(law, length=0.4)
    with pytest.raises(UserError, match="of another law with the name 'mine'"):
        datasets.load(other, "train", str(tmp_path))
    with pytest.raises(UserError, match="'paper' is that of another law"):
        datasets.has_files(dataclasses.replace(law, name="paper"))
    (folder / "dataset_info.json").write_text("{}")
    with pytest.raises(RunError, match="is damaged"):
        datasets.load(law, "train", str(tmp_path))


def test_the_fields_of_a_problem_object_are_noted_and_held_to(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Decay(hop.Problem):
        rate: float = 1.0
        domain = hop.Box((0.0,), (1.0,))
        derivatives = ("", "x")

        def residual(self, u, x, a, lam):
            return u["x"] + self.rate * u[""]

    skin = config_lib.experiment(network="mlp")
    skin.network.widths, skin.path.eps = (4,), (1.0,)
    skin.train.update(steps=2, dispatch=2, points=8)
    op = hop.train(skin, tmp_path / "w", Decay(3.0), reporter=Listener())
    assert op.config.problem == {"rate": 3.0}
    assert hop.load(tmp_path / "w", problem=Decay(3.0)).eps == 1.0
    with pytest.raises(UserError, match=r"has rate=1.0, and the config problem.rate=3.0"):
        hop.load(tmp_path / "w", problem=Decay())
    with pytest.raises(UserError, match="was trained with a problem of one's own, test_inputs"):
        hop.load(tmp_path / "w")
