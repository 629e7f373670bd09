"""DeepONet: u(a)(y) = Σ_p B_p(a) T_p(y) + b, branch B and trunk T multilayer perceptrons.

Lu, Jin, Pang, Zhang, Karniadakis, *Nature Machine Intelligence* 3 (2021), 218–229.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet, jet
from hop.errors import UserError
from hop.networks import Params, Perceptron, check_architecture, evaluate

__all__ = ["DeepONet"]


@dataclasses.dataclass(frozen=True)
class DeepONet:
    """Hidden widths of the two networks, their common output width, and the activation."""

    branch: tuple[int, ...] = (100, 100, 100)
    trunk: tuple[int, ...] = (100, 100, 100)
    rank: int = 100
    activation: str = "tanh"

    def __post_init__(self):
        widths = {"branch": self.branch, "trunk": self.trunk, "rank": (self.rank,)}
        check_architecture(widths, self.activation)

    @property
    def _branch(self) -> Perceptron:
        return Perceptron((*self.branch, self.rank), self.activation)

    @property
    def _trunk(self) -> Perceptron:
        return Perceptron((*self.trunk, self.rank), self.activation)

    def init(self, key: Array, dim: int, sensors: int | None) -> Params:
        if sensors is None:
            raise UserError(
                "network 'deeponet' needs an input function, and this problem has "
                "none; use network.name=mlp"
            )
        branch_key, trunk_key = jax.random.split(key)
        return {
            "branch": self._branch.init(branch_key, jnp.zeros((1, sensors)))["params"],
            "trunk": self._trunk.init(trunk_key, jnp.zeros((1, dim)))["params"],
            "bias": jnp.zeros(()),
        }

    def features(self, params: Params, values: Array, y: Array, labels: Sequence[str]) -> Jet:
        weights = evaluate(self._branch, params["branch"], values)

        def trunk(points: Array) -> Array:
            return evaluate(self._trunk, params["trunk"], points)

        jets = jet(trunk, y, labels)
        return {label: jnp.matmul(weights, t.T)[None] for label, t in jets.items()}

    def decode(self, params: Params, features: Array, y: Array, a: Array | None) -> Array:
        return features[0] + params["bias"]
