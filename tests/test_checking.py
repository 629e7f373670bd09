"""A problem of the caller's own is looked over before anything is compiled or written."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import checking
from hop import config as config_lib
from hop.domain import Box
from hop.evaluation import Judge
from hop.fields import RANDOM_FIELDS, Field, RandomField
from hop.problem import Condition, Lam
from hop.training import train


@dataclasses.dataclass(frozen=True)
class Layers:
    """u − ε²u″ = a on [0, 1], or what a test makes of it."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    labels: ClassVar[tuple[str, ...]] = ("", "xx")
    odd: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[Mapping[str, RandomField]] = {"u0": RANDOM_FIELDS["unit"]}

    def residual(self, u, x, a, lam):
        return u[""] - lam.eps**2 * u["xx"] - a["u0"][""]

    def lift(self, network, x, a):
        (x,) = x
        return x * (1 - x) * network

    def conditions(self, lam):
        return ()


class Plane(Layers):
    domain = Box((0.0, 0.0), (1.0, 1.0))


def experiment(problem):
    config = config_lib.experiment(network="deeponet" if problem.inputs else "mlp")
    if problem.inputs:
        config.network.update(branch=(8,), trunk=(8,), rank=4)
    config.path.eps = (0.5, 0.3)
    config.train.update(steps=2, dispatch=1, functions=8, points=16, validation=2)
    return config_lib.build(config_lib.parse(config.to_dict()), problem)


def made(base=Layers, **members):
    return type("Mine", (base,), members)()


def at_ends(values):
    return lambda self, lam: (Condition(np.array([[0.0], [1.0]]), values),)


@pytest.mark.parametrize(
    ("base", "members", "words"),
    [
        (Plane, {"labels": ("", "xz")}, "Mine.labels names .*'xz'.*coordinates are x, y"),
        (Layers, {"labels": ("", "x")}, "reads the derivative 'xx', and Mine.labels does not name"),
        (Layers, {"odd": ("y",)}, "Mine.odd names the coordinate 'y'; there are x"),
        (Layers, {"domain": (0.0, 1.0)}, "must be a hop.domain.Box"),
        (Layers, {"inputs": {"u0": "unit"}}, "must be a hop.fields.RandomField"),
        (Layers, {"residual": lambda self, u, x, a, lam: jnp.mean(u[""])},
         r"Mine.residual gives shape \(\).*\(n, q\) = \(2, 3\)"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""] + lam.s * a["u0"]},
         "Mine.residual fails: TypeError.*HOP_TRACEBACK=1"),
        (Layers, {"lift": lambda self, network, x, a: network[0]}, r"Mine.lift gives shape \(3,\)"),
        (Layers, {"conditions": at_ends(np.zeros((100, 2)))},
         r"values of shape \(100, 2\) must be \(1, 2\), the same for all functions"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""][:, :3]}, "Mine.residual gives"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""] if lam.eps > 1 else 0 * u[""]},
         "Mine.residual fails: TracerBool.*use jax.numpy, and jnp.where for if"),
        (Layers, {"conditions": lambda self, lam: (Condition(np.array([[2.0]]), np.ones((1, 1))),)},
         "points lie outside the domain"),
        (Layers, {"conditions": at_ends(np.full((1, 2), np.nan))}, "values hold NaN or infinity"),
        (Layers, {"reference": lambda self, a, x, lam: np.full((2, len(x)), np.nan)},
         "Mine.reference holds NaN"),
        (Layers, {"conditions": at_ends(np.zeros(2))}, r"values of shape \(2,\) must be \(1, 2\)"),
        (Plane, {"lift": lambda self, network, x, a: network, "conditions": at_ends(None)},
         r"points of shape \(2, 1\) must be \(b, 2\)"),
        (Layers, {"reference": lambda self, a, x, lam: x[:, 0]},
         r"Mine.reference gives shape \(11,\) and must give \(n, q\) = \(2, 11\)"),
        (Layers, {"reference": lambda self, a, x, lam: a.nothing}, "Mine.reference fails: Attrib"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_before_training(base, members, words, tmp_path, listener):
    problem = made(base, **members)
    with pytest.raises(hop.UserError, match=words):
        checking.check(experiment(problem))
    with pytest.raises(hop.UserError, match=words):
        train(experiment(Layers()).config, tmp_path / "w", listener(), problem=problem)
    assert not (tmp_path / "w").exists()


def test_a_condition_takes_no_values_from_inputs_that_are_not_there():
    problem = made(inputs={}, conditions=at_ends(None),
                   residual=lambda self, u, x, a, lam: u["xx"])  # fmt: skip
    with pytest.raises(hop.UserError, match="there are none; give numbers"):
        checking.check(experiment(problem))


def no_reference(self, a, x, lam):
    raise NotImplementedError


@pytest.mark.parametrize("members", [{}, {"reference": no_reference}])
def test_a_reference_is_optional(members, data_dir, tmp_path, listener):
    problem = made(**members)
    config = config_lib.with_data_dir(experiment(problem).config, data_dir)
    records = train(config, tmp_path / "w", listener(), problem=problem)
    assert [record["l2re"] for record in records] == [None, None]
    assert records[-1]["loss"] > 0


def test_a_reference_that_fails_later_does_not_end_the_run():
    class Late(Layers):
        def reference(self, a, x, lam):
            if len(x) > 11:
                raise ZeroDivisionError("far")
            return np.zeros((len(a["u0"].coefficients), len(x)))

    found = experiment(Late())
    checking.check(found)
    params = jax.device_get(found.ansatz.init(jax.random.key(0)))
    judge = Judge.of(found, "validation", 2)
    with pytest.warns(UserWarning, match="Late.reference fails: ZeroDivisionError: far"):
        scores = judge.scores(hop.Operator(found.ansatz, params, Lam(0.0, 0.5)))
    assert scores["l2re"] is None


def test_a_law_may_be_periodic_on_an_interval_and_a_circle_needs_a_periodic_network():
    """Whether the domain is a circle and whether the law's samples are periodic: two things."""
    law = RANDOM_FIELDS["periodic"]
    assert experiment(made(inputs={"u0": law})).ansatz.network.harmonics == 0
    circle = Box((0.0,), (1.0,), periodic=("x",))
    with pytest.raises(hop.UserError, match="periodic in x and the network is not; set .*=4"):
        experiment(made(inputs={"u0": law}, domain=circle))
    config = config_lib.experiment(network="deeponet")
    config.network.harmonics, config.path.eps = 4, (0.5,)
    with pytest.raises(hop.UserError, match="set it to 0, or declare"):
        config_lib.build(config_lib.parse(config.to_dict()), made(inputs={"u0": law}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box((0.0,), (1.0, 1.0)), "as many lower as upper ends"),
        (lambda: Box((1.0,), (0.0,)), "from a lower to a higher end, not 1.0 to 0.0"),
        (lambda: Box((0.0,), (1.0,), periodic=("y",)), "periodic in its first coordinate"),
        (lambda: RandomField("m", "cosine", 1.0, 1.0, 2.0, 65), "basis='cosine' is not known"),
        (lambda: Field(jnp.ones((1, 8)), "cosine")(jnp.zeros(1)), "basis='cosine' is not known"),
        (lambda: RandomField("m", "sine", -1.0, 1.0, 2.0, 65), "needs variance > 0"),
        (lambda: RandomField("m", "sine", 1.0, 1.0, 2.0, 1), "2 sensors and 1 mode"),
    ],
)
def test_domains_and_laws_check_themselves(make, words):
    with pytest.raises(hop.UserError, match=words):
        make()
