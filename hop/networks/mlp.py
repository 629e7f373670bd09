"""A multilayer perceptron, for problems without an input function: u(y) = MLP(y)."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet, jet
from hop.errors import UserError
from hop.networks import Params, Perceptron, check_architecture, evaluate

__all__ = ["MLP"]


@dataclasses.dataclass(frozen=True)
class MLP:
    """Attributes: hidden `widths` and the `activation` between the layers."""

    widths: tuple[int, ...] = (30, 30, 30)
    activation: str = "tanh"

    def __post_init__(self):
        check_architecture({"widths": self.widths}, self.activation)

    @property
    def _module(self) -> Perceptron:
        return Perceptron((*self.widths, 1), self.activation)

    def init(self, key: Array, dim: int, sensors: int | None) -> Params:
        if sensors is not None:
            raise UserError(
                "network 'mlp' has no branch for an input function; "
                "use network.name=deeponet for this problem"
            )
        return self._module.init(key, jnp.zeros((1, dim)))["params"]

    def features(
        self, params: Params, values: Array | None, y: Array, labels: Sequence[str]
    ) -> Jet:
        def apply(points: Array) -> Array:
            return evaluate(self._module, params, points)[:, 0]

        return {label: value[None, None, :] for label, value in jet(apply, y, labels).items()}

    def decode(self, params: Params, features: Array, y: Array, a: Array | None) -> Array:
        return features[0]
