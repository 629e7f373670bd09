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
from hop.laws import Law
from hop.laws.gaussian_field import GaussianField
from hop.laws.named import NAMED
from hop.problem import Condition, Lam, Problem
from hop.training import train


@dataclasses.dataclass(frozen=True)
class Layers(Problem):
    """u − ε²u″ = a on [0, 1], or what a test makes of it."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {"u0": NAMED["unit"]}

    def residual(self, u, x, a, lam):
        return u[""] - lam.eps**2 * u["xx"] - a["u0"][""]

    def lift(self, network, x, a, lam):
        (x,) = x
        return x * (1 - x) * network


UNIT = Box((0.0,), (1.0,))


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


def at_ends(rows, derivatives=("",), ends=((0.0,), (1.0,))):
    return lambda self, lam: (Condition((np.array(ends),), derivatives, rows),)


def given(values):
    return lambda u, a, lam: u[0][""] - values


@pytest.mark.parametrize(
    ("base", "members", "words"),
    [
        (Plane, {"derivatives": ("", "xz")},
         "Mine.derivatives names 'xz', and the coordinates are x, y"),
        (Layers, {"derivatives": ("", "x")}, "Mine.residual reads 'xx', and neither Mine.deriv"),
        (Layers, {"odd": ("y",)}, "Mine.odd names the coordinate 'y'; there are x"),
        (Layers, {"slopes": ("y",)},
         r"Mine.slopes=\('y',\) must be a tuple of derivatives, spelled by the coordinates x, as"),
        (Layers, {"slopes": "x"}, "Mine.slopes='x' must be a tuple"),
        (Layers, {"slopes": ("x",), "traces": lambda self, x: (x,)}, "Mine has traces and slopes"),
        (Layers, {"domain": (0.0, 1.0)}, "must be a hop.Box"),
        (Layers, {"inputs": {"u0": "unit"}}, "must be a law by name"),
        (Layers, {"inputs": NAMED["unit"]}, "must be a law by name"),
        (Layers, {"inputs": {"u0": GaussianField(Box((0.0,), (1.0,)), length=0.3, axes="y")}},
         "Mine.inputs: the law of 'u0' lives on 'y', and the coordinates are x"),
        (Layers, {"unknowns": "u"}, "Mine.unknowns is 'u' and must be a tuple of different names"),
        (Layers, {"derivatives": ("x", "x")}, "Mine.derivatives is .* of different names"),
        (Layers, {"residual": lambda self, u, x, a, lam: jnp.mean(u[""])},
         r"Mine.residual gives shape \(\).*\(n, q\) = \(5, 7\)"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""] + lam.s * a["u0"]},
         r'Mine.residual fails: .*write u\[""\], and a\["f"\]\[""\] for f \(TypeError'),
        (Layers, {"residual": lambda self, u, x, a, lam: a["v0"][""]}, "Mine.residual reads 'v0'"),
        (Layers, {"lift": lambda self, network, x, a, lam: network[0]},
         r"Mine.lift gives shape \(7,\)"),
        (Layers, {"shown": lambda self, x, a, lam: a["u0"]},
         r"Mine.shown gives a .*; give a tuple of arrays \(n, q\)"),
        (Layers, {"shown": lambda self, x, a, lam: (x[0],)},
         r"Mine.shown gives an array of shape \(1, 7\); each must be \(n, q\) = \(5, 7\)"),
        (Layers, {"unknowns": ("p", "n"), "outputs": 1},
         r"must give \(2, 5, 7\), from 1 outputs 2"),
        (Layers, {"weights": (1.0, 2.0)}, "Mine.weights holds 2 numbers for 1 equations"),
        (Layers, {"conditions": at_ends(given(np.zeros((100, 2))))},
         "Mine.conditions fails: TypeError"),
        (Layers, {"conditions": at_ends(lambda u, a, lam: u[0][""][0])},
         r"Mine.conditions: rows of shape \(2,\) must be \(n, b\)"),
        (Layers, {"conditions": at_ends(lambda u, a, lam: u[0][""][:1])},
         r"rows of shape \(1, 2\) must be \(n, b\), a row for each of the n = 5 functions"),
        (Layers, {"conditions": at_ends(lambda u, a, lam: u[0]["x"])},
         r"rows read 'x', and the condition's derivatives are \(''\,\); add it there"),
        (Plane, {"derivatives": ("yx",), "lift": Problem.lift,
                 "residual": lambda self, u, x, a, lam: u["yx"]},
         "Mine.residual reads 'yx'; write 'xy', the letters in the order x, y, z, t"),
        (Plane, {"lift": Problem.lift, "residual": lambda self, u, x, a, lam: u["xx"],
                 "conditions": at_ends(lambda u, a, lam: u[0]["yx"], ("xy",), ((0.0, 0.0),))},
         "Mine.conditions: rows read 'yx'; write 'xy'"),
        (Layers, {"conditions": lambda self, lam: (np.zeros((2, 1)),)}, "give a tuple of hop.Cond"),
        (Layers, {"conditions": lambda self, lam: (Condition(np.zeros((1, 1)), ("",), None),)},
         "points must be a tuple of sets of points"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""][:, :3]}, "Mine.residual gives"),
        (Layers, {"residual": lambda self, u, x, a, lam: u[""] if lam.eps > 1 else 0 * u[""]},
         r"Mine.residual fails: u, x and lam .*use jax.numpy, and jnp.where for if \(TracerBool"),
        (Layers, {"conditions": at_ends(given(1.0), ends=((2.0,),))},
         "points lie outside the domain"),
        (Layers, {"conditions": at_ends(lambda u, a, lam: u[0][""] - a["v0"][""])},
         "rows read 'v0'"),
        (Layers, {"reference": lambda self, a, x, lam: np.full((5, len(x)), np.nan)},
         "Mine.reference holds NaN"),
        (Plane, {"lift": Problem.lift, "conditions": at_ends(given(0.0))},
         r"points of shape \(2, 1\) must be \(b, 2\)"),
        (Layers, {"reference": lambda self, a, x, lam: x[:, 0]},
         r"Mine.reference gives shape \(11,\) and must give \(n, q\) = \(5, 11\)"),
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
    problem = made(inputs={}, conditions=at_ends(lambda u, a, lam: u[0][""] - a["u0"][""]),
                   residual=lambda self, u, x, a, lam: u["xx"])  # fmt: skip
    with pytest.raises(hop.UserError, match="Mine.conditions: rows read 'u0'"):
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
            return np.zeros((a["u0"].count, len(x)))

    found = experiment(Late())
    checking.check(found)
    params = jax.device_get(found.ansatz.init(jax.random.key(0)))
    judge = Judge.of(found, "validation", 2)
    with pytest.warns(UserWarning, match="Late.reference fails: ZeroDivisionError: far"):
        scores = judge.scores(hop.Operator(found.ansatz, params, Lam(0.0, 0.5)))
    assert scores["l2re"] is None


def periodic_jets(domain, harmonics=4):
    """u and its derivatives at both ends, of a network at random with a periodic input."""
    problem = made(inputs={"u0": NAMED["periodic"]}, domain=domain, lift=Problem.lift)
    ansatz = dataclasses.replace(experiment(problem).ansatz, harmonics=harmonics)
    params = ansatz.init(jax.random.key(0))
    inputs = ansatz.inputs({"u0": jnp.ones((2, 101))})
    return ansatz.jet(params, inputs, jnp.array([[0.0], [1.0]]), Lam(0.0, 0.5))


def test_a_law_may_be_periodic_on_an_interval_and_the_ansatz_is_on_a_circle():
    """Whether the domain is a circle and whether the law's samples are periodic: two things."""
    u = periodic_jets(Box((0.0,), (1.0,)))
    assert np.abs(u[""][:, 0] - u[""][:, 1]).min() > 1e-2
    for harmonics in (1, 4):
        u = periodic_jets(Box((0.0,), (1.0,), periodic=("x",)), harmonics)
        for value in u.values():
            np.testing.assert_allclose(value[:, 0], value[:, 1], rtol=1e-4, atol=1e-4)
        assert np.abs(u["xx"]).max() > 1e-2
    with pytest.raises(hop.UserError, match=r"config.ansatz.harmonics=0 must be at least 1"):
        periodic_jets(Box((0.0,), (1.0,)), 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box((0.0,), (1.0, 1.0)), "as many lower as upper ends"),
        (lambda: Box((1.0,), (0.0,)), "from a lower to a higher end, not 1.0 to 0.0"),
        (lambda: Box((0.0,), (1.0,), periodic=("y",)), "can be periodic in x, by letter, not in"),
        (lambda: GaussianField.power(UNIT, "cosine", 1.0, 1.0, 2.0), "ends='cosine' is not known"),
        (lambda: GaussianField(UNIT, "cosine", 0.1), "ends='cosine' is not known"),
        (lambda: GaussianField.power(UNIT, "zero", -1.0, 1.0, 2.0), "needs variance > 0"),
        (lambda: GaussianField.power(UNIT, "zero", 1.0, 1.0, 2.0, sensors=1), "2 or more along"),
        (lambda: GaussianField.power(UNIT, "zero", 1.0, 1.0, 2.0, modes=0), "must be 1 or more"),
    ],
)
def test_domains_and_laws_check_themselves(make, words):
    with pytest.raises(hop.UserError, match=words):
        make()
