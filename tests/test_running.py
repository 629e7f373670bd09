"""hop.train from Python: a ConfigDict or a Config in, the operator of the last stage out."""

import dataclasses
import inspect

import numpy as np
import pytest
from conftest import Listener

import hop
from hop import cli, evaluation, publishing, refinement
from hop import config as config_lib
from hop.networks import Network
from hop.networks.mlp import MLP
from hop.solvers.lbfgs import LBFGS
from hop.strategies.classical import Classical
from hop.strategies.curriculum import Curriculum
from hop.strategies.sequence_to_sequence import SequenceToSequence


def small():
    config = config_lib.experiment(problem="allen_cahn_1d", network="mlp")
    config.network.widths = (4,)
    config.path.eps = (0.5, 0.4)
    config.train.update(steps=3, points=16, dispatch=3)
    return config


def test_it_gives_the_last_stage_and_says_what_it_does(tmp_path, capsys):
    op = hop.train(small(), tmp_path / "w")
    assert op.eps == 0.4
    assert "stage 1" in capsys.readouterr().out
    np.testing.assert_array_equal(op(), hop.load(tmp_path / "w", stage=1)())
    assert not np.array_equal(op(), hop.load(tmp_path / "w", stage=0)())


def test_it_takes_a_config_and_a_reporter(tmp_path, capsys):
    heard = Listener()
    op = hop.train(config_lib.parse(small().to_dict()), tmp_path / "w", reporter=heard)
    assert [index for index, _ in heard.stages] == [0, 1]
    assert not capsys.readouterr().out
    again = hop.train(small(), tmp_path / "w", reporter=heard)
    np.testing.assert_array_equal(again(), op())
    assert len(heard.stages) == 2, "what is trained was trained again"


@dataclasses.dataclass(frozen=True)
class Alike(Network):
    """An MLP whose output is multiplied by a number."""

    factor: float = 0.5
    inner: MLP = MLP((4,))  # noqa: RUF009

    def init(self, key, dim, sensors, outputs=1, plain=None):
        return self.inner.init(key, dim, sensors, outputs, plain)

    def features(self, params, values, y, labels, embed=None):
        jet = self.inner.features(params, values, y, labels, embed)
        return {label: self.factor * value for label, value in jet.items()}

    def decode(self, params, features, y, a):
        return self.inner.decode(params, features, y, a)


@dataclasses.dataclass(frozen=True)
class Damped(Alike):
    """The same as a class of its own."""


@dataclasses.dataclass(frozen=True)
class Lessons(Curriculum):
    """A strategy of one's own that loading does not need."""


@dataclasses.dataclass(frozen=True)
class March(SequenceToSequence):
    """One that it needs: what is trained is not the solution."""


def without(*kinds):
    """The config without these groups."""
    config = small()
    for kind in kinds:
        config[kind] = {}
    return config


def test_a_network_of_ones_own(tmp_path, capsys):
    config, heard = without("network"), Listener()
    config.path.eps = (0.5,)
    config.train.update(steps=9, save_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        hop.train(config, tmp_path / "w", network=Damped(), reporter=Listener(2))
    for network, said in (
        (Alike(), r"network of class test_running.Damped; pass such an object as network="),
        (Damped(0.25), r"config.network.factor"),
    ):
        with pytest.raises(hop.UserError, match=said):
            hop.train(config, tmp_path / "w", network=network, reporter=heard)
    op = hop.train(config, tmp_path / "w", network=Damped(), reporter=heard)
    assert len(heard.windows) == 2, "it did not go on from its checkpoint"
    whole = hop.train(config, tmp_path / "v", network=Damped(), reporter=heard)
    np.testing.assert_array_equal(op(), whole())
    assert op.config.network == {"factor": 0.5}
    source = str(tmp_path / "w")
    np.testing.assert_array_equal(hop.load(source, network=Damped(), stage=0)(), op())
    for network, said in (
        (None, r"network of one's own, test_running.Damped; give that object in Python"),
        (Alike(), r"trained with a network of class test_running.Damped; pass such an object"),
        (Damped(0.25), r"has factor=0.25, and the config network.factor=0.5"),
    ):
        with pytest.raises(hop.UserError, match=said):
            hop.load(source, network=network)
    assert cli.main(["evaluate", f"--checkpoint={source}"]) == 2
    assert "as network= of hop.load" in capsys.readouterr().err
    (row,) = evaluation.evaluate(source, network=Damped())["stages"]
    assert row["loss"] > 0
    assert (
        evaluation.info(source, network=Damped())["network"] == "test_running.Damped (factor=0.5)"
    )
    card = publishing.publish(source, "mine", folder=str(tmp_path), network=Damped()) / "README.md"
    assert "s=0, network=network)" in card.read_text()
    further = refinement.config_for(source, 0.4)
    with pytest.raises(hop.UserError, match="pass such an object as network="):
        refinement.refine(source, further, tmp_path / "r", heard, network=Alike())
    refinement.refine(source, further, tmp_path / "r", heard, network=Damped())
    assert hop.load(tmp_path / "r", network=Damped()).eps == 0.4


def test_objects_train_as_the_parts_that_the_config_names(tmp_path):
    named = small()
    named.path.eps = (0.5,)
    named.strategy = {"name": "curriculum", "condition": 2.0}
    named.solver = {"name": "lbfgs", "memory": 5}
    expected = hop.train(named, tmp_path / "named", reporter=Listener())
    config = without("network", "strategy", "solver")
    config.path.eps = (0.5,)
    parts = {"network": MLP((4,)), "strategy": Lessons(2.0), "solver": LBFGS(5)}
    found = hop.train(config, tmp_path / "own", reporter=Listener(), **parts)
    np.testing.assert_array_equal(found(), expected())
    np.testing.assert_array_equal(hop.load(tmp_path / "own", network=MLP((4,)))(), expected())
    with pytest.raises(hop.UserError, match=r"strategy of class test_running.Lessons; pass such"):
        hop.train(
            config, tmp_path / "own", reporter=Listener(), **parts | {"strategy": Classical(2.0)}
        )


def test_a_strategy_that_changes_what_is_trained_is_asked_for(tmp_path):
    class Heat(hop.Problem):
        domain, derivatives = hop.Box((0.0,), (1.0,)), ("xx",)

        def residual(self, u, x, a, lam):
            return -lam.eps * u["xx"] - 1

        def lift(self, network, x, a, lam):
            return x[0] * (1 - x[0]) * network

        def initial(self, x, a):
            return 0 * x[0]

    config, march, heat = without("problem", "strategy"), March(1.0, 2), Heat()
    op = hop.train(config, tmp_path / "w", heat, strategy=march, reporter=Listener())
    again = hop.load(tmp_path / "w", problem=heat, strategy=march)
    np.testing.assert_array_equal(again(), op())
    with pytest.raises(hop.UserError, match=r"strategy of one's own, test_running.March; give"):
        hop.load(tmp_path / "w", problem=heat)


@pytest.mark.parametrize(
    ("kind", "part", "said"),
    [
        ("network", Damped, "network=Damped is a class; give an object"),
        ("network", object(), r"has no init, features, decode and must be .* hop.networks.Network"),
        ("solver", MLP(), r"has no .*step, .*redraws.* derives from hop.solvers.Solver"),
        ("strategy", LBFGS(), r"has no .*trained.* derives from hop.strategies.Strategy"),
        ("network", Damped(inner=None), r"Damped.init fails: AttributeError"),
    ],
)
def test_what_is_not_of_its_role_is_refused(kind, part, said):
    build = inspect.unwrap(config_lib.build)  # where types are not checked
    with pytest.raises(hop.UserError, match=said):
        build(config_lib.parse(without(kind).to_dict()), **{kind: part})
    with pytest.raises(hop.UserError, match=rf"config.{kind}.name is missing; name .*{kind}="):
        build(config_lib.parse(without(kind).to_dict()))


def test_an_object_beside_a_name_is_refused():
    with pytest.raises(hop.UserError, match=r"the config names the network 'mlp'; leave the obj"):
        config_lib.build(config_lib.parse(small().to_dict()), network=MLP())
