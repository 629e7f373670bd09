"""A multilayer perceptron, for problems without an input function: u(y) = MLP(y)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet, jet
from hop.errors import UserError
from hop.networks import Params, Perceptron, Values, check_architecture, dense, evaluate, hidden

__all__ = ["MLP"]


@dataclasses.dataclass(frozen=True)
class MLP:
    """Attributes:
    widths: of the hidden layers.
    activation: between the layers.
    frequency: the standard deviation of the first layer's weights at the start, in radians per
      unit of the reference cube: as high as the frequencies looked for (with "sin": Sitzmann et
      al., arXiv 2006.09661). 0 keeps Xavier's, about 1.
    sines: how many of the first coordinates y_i on the reference cube [−1, 1]^d are replaced by
      sin πy_i. The output then has period 2 in them and is even about y_i = ±½; where the problem
      makes it odd, it is odd about y_i = ±1 too, and so vanishes on the cube's boundary.
    """

    widths: tuple[int, ...] = (30, 30, 30)
    activation: str = "tanh"
    frequency: float = 0.0
    sines: int = 0

    def __post_init__(self):
        check_architecture({"widths": self.widths}, self.activation)
        if not (math.isfinite(self.frequency) and self.frequency >= 0):
            raise UserError(f"network.frequency={self.frequency!r} must be 0 or positive")
        if self.sines < 0:
            raise UserError(f"network.sines={self.sines} must be 0 or positive")

    @property
    def _module(self) -> Perceptron:
        return Perceptron((*self.widths, 1), self.activation, self.frequency)

    def init(self, key: Array, dim: int, sensors: Mapping[str, int]) -> Params:
        if sensors:
            raise UserError(
                "network 'mlp' has no branch for an input function; "
                "use network.name=deeponet for this problem"
            )
        return self._module.init(key, jnp.zeros((1, dim)))["params"]

    def features(self, params: Params, values: Values, y: Array, labels: Sequence[str]) -> Jet:
        def apply(points: Array) -> Array:
            return evaluate(self._module, params, self._embed(points))[:, 0]

        return {label: value[None, None, :] for label, value in jet(apply, y, labels).items()}

    def propagate(self, params: Params, y: Array, labels: Sequence[str]) -> Jet:
        h = hidden(self._module, params, self._embed, y, labels)
        jets = dense(params[f"Dense_{len(self.widths)}"], h)
        return {label: value[..., None, None, :, 0] for label, value in jets.items()}

    def _embed(self, points: Array) -> Array:
        waves = jnp.sin(math.pi * points[:, : self.sines])
        return jnp.concatenate([waves, points[:, self.sines :]], axis=1)

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        return features[0]
