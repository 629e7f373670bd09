"""An equation that is not pointwise: what the loss does with its points."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop import ambient
from hop import config as config_lib
from hop.config import experiment
from hop.domain import Box
from hop.errors import UserError
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.laws.uniform import Uniform
from hop.operators import Operator
from hop.problem import Lam, Problem
from hop.samplers import Points


@dataclasses.dataclass(frozen=True)
class Balance(Problem):
    """εu + ∫u = c."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    pointwise: ClassVar[bool] = False

    @property
    def inputs(self):
        return {"c": Uniform(0.0, 1.0)}

    def residual(self, u, x, a, lam):
        return lam.eps * u[""] + jnp.mean(u[""], axis=1, keepdims=True) - a["c"][""]


def build(**ansatz):
    config = experiment(problem="", network="deeponet")
    config.network.update(branch=(4,), trunk=(4,), rank=3)
    config.path.eps, config.strategy.tangent, config.train.accumulate = (0.1,), 0.0, 2
    config.ansatz.update(**ansatz)
    return config_lib.build(config_lib.parse(config.to_dict()), problem=Balance())


@pytest.mark.usefixtures("float64")
def test_a_step_is_split_over_functions_and_not_over_points():
    made = build()
    assert made.accumulates_over == "functions"
    params = made.ansatz.init(ambient.key(1))
    inputs = made.ansatz.inputs({"c": jnp.array([[0.2], [0.9]])})
    lam, x = Lam(0.0, 0.1), jnp.linspace(0, 1, 8)[:, None] ** 2

    def loss(x, parts):
        points = Points(x, jnp.ones(len(x)))
        args = made.plan.terms, made.ansatz, params, inputs, points, Stage(0, lam, lam, 0)
        (total, _), slope = jax.jit(Loss(*args, parts=parts).gradient)(params)
        return float(total), slope

    whole, split = loss(x, 1), loss(x, 2)
    assert split[0] == pytest.approx(whole[0], rel=1e-12)
    for one, other in zip(*(jax.tree.leaves(each[1]) for each in (whole, split)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    halves = (loss(x[::2], 1)[0] + loss(x[1::2], 1)[0]) / 2
    assert abs(halves / whole[0] - 1) > 1e-6


def test_its_jacobian_is_that_of_its_rows():
    """The rows of a point depend on all points, so they are not differentiated one by one."""

    class Alone(Balance):
        inputs = {}  # noqa: RUF012

        def residual(self, u, x, a, lam):
            return lam.eps * u[""] + jnp.mean(u[""], axis=1, keepdims=True) - 1

    with ambient.numerics(np.float64), jax.enable_x64(True):
        config = experiment(problem="", network="mlp")
        config.network.widths = (3,)
        config.path.eps, config.strategy.tangent = (0.1,), 0.0
        made = config_lib.build(config_lib.parse(config.to_dict()), problem=Alone())
        params, lam = made.ansatz.init(ambient.key(1)), Lam(0.0, 0.1)
        x = jnp.linspace(0, 1, 5)[:, None]
        points, stage = Points(x, jnp.ones(5)), Stage(0, lam, lam, 0)
        loss = Loss(made.plan.terms, made.ansatz, params, {}, points, stage)
        theta, unravel = jax.flatten_util.ravel_pytree(params)
        wanted = jax.jacfwd(lambda t: loss.vector(unravel(t)))(theta)
        np.testing.assert_allclose(loss.jacobian(params)[1], wanted, atol=1e-10)


def test_all_points_must_share_one_eps():
    with pytest.raises(UserError, match=r"must share one eps; set config.ansatz.eps=\(\)"):
        build(eps=(0.01, 1.0))


def test_its_points_must_be_a_quadrature():
    config = experiment(problem="", network="deeponet")
    config.path.eps, config.strategy.tangent = (0.1,), 0.0
    config.train.sampler = "adaptive"
    with pytest.raises(UserError, match=r"are the quadrature of Balance.*'stratified'"):
        config_lib.build(config_lib.parse(config.to_dict()), problem=Balance())


@pytest.mark.usefixtures("float64")
def test_an_operator_takes_all_points_of_its_residual_at_once():
    """However many, and as they are: none is repeated to fill a block."""
    made = build()
    op = Operator(made.ansatz, made.ansatz.init(ambient.key(1)), Lam(0.0, 0.1))
    x = np.linspace(0, 1, 150_001)[:, None]
    h = op.residual({"c": np.array([0.3])}, x)
    u = np.asarray(op({"c": np.array([0.3])}, x))
    np.testing.assert_allclose(h, 0.1 * u + u.mean() - 0.3, atol=1e-6)
