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

from hop.errors import UserError
from hop.networks import ByPerceptron, Params, Perceptron, check_architecture
from hop.networks.deeponet import DeepONet

__all__ = ["NonlinearDeepONet"]


@dataclasses.dataclass(frozen=True)
class NonlinearDeepONet(ByPerceptron, DeepONet):
    """A DeepONet with a nonlinear decoder.

    Attributes beside those of DeepONet, whose `rank` is that of every feature:
    channels: the number Q of features, which all outputs share.
    decoder: hidden widths of D, which sees the plain coordinates y, and of several numbers at once
      what the problem shows (`hop.problem.Showing`).
    """

    channels: int = 8
    decoder: tuple[int, ...] = (32, 32)

    def __post_init__(self):
        super().__post_init__()
        widths = {"channels": (self.channels,), "decoder": self.decoder}
        check_architecture(widths, self.activation)
        if self.linear:
            raise UserError(
                f"network.linear={self.linear!r} is not for 'nonlinear_deeponet', whose decoder "
                "is not linear; use network.name=deeponet"
            )

    def _decoder(self, outputs: int) -> Perceptron:
        return Perceptron((*self.decoder, outputs), self.activation)

    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        key, decoder_key = jax.random.split(key)
        params = super().init(key, dim, sensors, self.channels)
        inputs = len(sensors) if shown is None else shown
        seen = jnp.zeros((1, self.channels + inputs + (dim if plain is None else plain)))
        return params | {
            "bias": jnp.zeros(() if outputs == 1 else (outputs,)),
            "decoder": self._decoder(outputs).init(decoder_key, seen)["params"],
        }
