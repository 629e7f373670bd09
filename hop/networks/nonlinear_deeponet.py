"""A DeepONet with a nonlinear pointwise decoder.

    u(a)(y) = D(F_1, …, F_Q, a(y), y),  F_q(a)(y) = Σ_p B_qp(a) T_qp(y),

D a multilayer perceptron. A sum of p products moves a sharp front badly: its error falls only like
a power of p. Here the features may stay smooth, and D makes the front of them. Decoders of this
kind: Seidman, Kissas, Perdikaris, Pappas, *NOMAD*, NeurIPS 2022 (arXiv 2206.03551). The features
factorise as in a DeepONet, so derivatives cost no more than matrix products and the chain rule
through D.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from hop.networks import Params, Perceptron, Values, check_architecture, evaluate
from hop.networks.deeponet import DeepONet

__all__ = ["NonlinearDeepONet"]


@dataclasses.dataclass(frozen=True)
class NonlinearDeepONet(DeepONet):
    """Attributes beside those of DeepONet, whose `rank` is that of every feature:
    channels: the number Q of features.
    decoder: hidden widths of D. It sees y as the trunk does, but for a periodic coordinate, which
      it does not see.
    """

    channels: int = 8
    decoder: tuple[int, ...] = (32, 32)

    def __post_init__(self):
        super().__post_init__()
        widths = {"channels": (self.channels,), "decoder": self.decoder}
        check_architecture(widths, self.activation)

    @property
    def _channels(self) -> int:
        return self.channels

    @property
    def _decoder(self) -> Perceptron:
        return Perceptron((*self.decoder, 1), self.activation)

    def init(self, key: Array, dim: int, sensors: Mapping[str, int]) -> Params:
        key, decoder_key = jax.random.split(key)
        params = super().init(key, dim, sensors)
        seen = self.channels + len(sensors) + (dim - 1 if self.harmonics else dim)
        return params | {"decoder": self._decoder.init(decoder_key, jnp.zeros((1, seen)))["params"]}

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        where = y[:, 1:] if self.harmonics else y
        where = jnp.broadcast_to(where.T[:, None, :], (where.shape[1], *features.shape[1:]))
        seen = jnp.concatenate([features, *(there[None] for there in a.values()), where])
        flat = jnp.moveaxis(seen.reshape(len(seen), -1), 0, -1)  # one matrix, which is quicker
        u = evaluate(self._decoder, params["decoder"], flat)
        return u.reshape(features.shape[1:]) + params["bias"]
