"""The step by jinns, a perceptron's without input functions (in the environment of the rivals).

Batch, gradient and update as its `solve` has them, in one program, without its validation and logs;
of its ways to a Laplacian the quickest here, the diagonal of the Hessian alone.
"""

import argparse
from typing import Any

import equinox as eqx
import jax
import jinns
import optax
from jinns.loss import LossPDEStatio, LossWeightsPDEStatio, PDEStatio, laplacian_rev
from jinns.parameters import Params
from worker import EPS, Case, Steps, serve


class Equation(PDEStatio):
    """−ε² Δu + u³ − u, or −ε² Δu − u/d, at a point."""

    plane: bool = eqx.field(static=True, kw_only=True)

    def equation(self, x: Any, u: Any, params: Any) -> Any:
        value = u(x, params)
        rest = value**3 - value if self.plane else -value / len(x)
        return rest - EPS**2 * laplacian_rev(x, u, params, method="loop")


def prepare(case: Case, _: argparse.Namespace) -> Steps:
    plane, layers = case.equation == "plane", []
    for inner, outer in zip(case.perceptron, case.perceptron[1:], strict=False):
        layers += [(eqx.nn.Linear, inner, outer), (jax.nn.tanh,)]
    u, network = jinns.nn.PINN_MLP.create(
        key=jax.random.key(0),
        eqx_list=tuple(layers[:-1]),
        eq_type="PDEStatio",
        output_transform=lambda x, u, _: (1 - x**2).prod() * u if plane else u,
    )
    params = Params(nn_params=network, eq_params={})
    equation = Equation(plane=plane)
    weights = LossWeightsPDEStatio(dyn_loss=1.0)
    loss = LossPDEStatio(u=u, dynamic_loss=equation, loss_weights=weights, params=params)
    data = jinns.data.CubicMeshPDEStatio(
        key=jax.random.key(1),
        n=case.points,
        omega_batch_size=None,
        dim=case.dim,
        min_pts=(-1.0,) * case.dim,
        max_pts=(1.0,) * case.dim,
        omega_border_batch_size=None,
    )
    adam = optax.adam(1e-3)

    @jax.jit
    def step(params: Any, state: Any, data: Any) -> Any:
        data, batch = data.get_batch()
        _, gradient = jax.value_and_grad(loss, has_aux=True)(params, batch)
        updates, state = adam.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, data

    carry = (params, adam.init(params), data)

    def steps(count: int) -> None:
        nonlocal carry
        for _ in range(count):
            carry = step(*carry)
        jax.block_until_ready(carry)

    return steps


if __name__ == "__main__":
    serve(prepare)
