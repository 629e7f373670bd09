"""A multilayer perceptron, for problems without an input function: u(y) = MLP(y).

The outputs, if several, share all layers but the last.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet, jet
from hop.errors import UserError
from hop.networks import (
    Embedding,
    Labels,
    Params,
    Perceptron,
    Values,
    as_outputs,
    check_architecture,
    dense,
    evaluate,
    hidden,
    identity,
)

__all__ = ["MLP"]


@dataclasses.dataclass(frozen=True)
class MLP:
    """A multilayer perceptron, without inputs.

    Attributes:
    widths: of the hidden layers.
    activation: between the layers.
    frequency: the standard deviation of the first layer's weights at the start, in radians per
      unit of what the layers see: as high as the frequencies looked for (with "sin": Sitzmann et
      al., arXiv 2006.09661). 0 keeps Xavier's, about 1.
    sines: how many of the first coordinates y_i that the layers see are replaced by sin πy_i. The
      output then has period 2 in them and is even about y_i = ±½; where the problem makes it odd,
      it is odd about y_i = ±1 too, and so vanishes on the boundary of the reference cube.
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

    def _module(self, outputs: int) -> Perceptron:
        return Perceptron((*self.widths, outputs), self.activation, self.frequency)

    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        if sensors:
            raise UserError(
                "network 'mlp' has no branch for an input function; "
                "use network.name=deeponet for this problem"
            )
        return self._module(outputs).init(key, jnp.zeros((1, dim)))["params"]

    def features(
        self,
        params: Params,
        values: Values,
        y: Array,
        labels: Labels,
        embed: Embedding | None = None,
    ) -> Jet:
        last = params[f"Dense_{len(self.widths)}"]
        module = self._module(len(last["bias"]))

        def seen(points: Array) -> Array:
            return self._embed((embed or identity)(points))

        if GRADIENT in labels or LAPLACIAN in labels:
            jets = dense(last, hidden(module, params, seen, y, labels))
        else:
            jets = jet(lambda points: evaluate(module, params, seen(points)), y, labels)
        return {label: jnp.swapaxes(out, -1, -2)[..., None, :] for label, out in jets.items()}

    def _embed(self, points: Array) -> Array:
        waves = jnp.sin(math.pi * points[:, : self.sines])
        return jnp.concatenate([waves, points[:, self.sines :]], axis=1)

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        return as_outputs(features)
