"""DeepONet: u(a)(y) = Σ_p B_p(a) T_p(y) + b, branch B and trunk T multilayer perceptrons.

Lu, Jin, Pang, Zhang, Karniadakis, *Nature Machine Intelligence* 3 (2021), 218–229.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet
from hop.errors import UserError, check_range
from hop.networks import (
    Params,
    Perceptron,
    Values,
    check_architecture,
    dense,
    evaluate,
    hidden,
    on_circle,
)

__all__ = ["DeepONet"]


@dataclasses.dataclass(frozen=True)
class DeepONet:
    """Attributes:
    branch, trunk: hidden widths of the two networks.
    rank: the number of products p that are summed.
    activation: between the layers.
    harmonics: of the first coordinate that the trunk sees in its place, which makes u periodic in
      it; 0 for a problem that is not periodic.
    """

    branch: tuple[int, ...] = (100, 100, 100)
    trunk: tuple[int, ...] = (100, 100, 100)
    rank: int = 100
    activation: str = "tanh"
    harmonics: int = 0

    def __post_init__(self):
        widths = {"branch": self.branch, "trunk": self.trunk, "rank": (self.rank,)}
        check_architecture(widths, self.activation)
        check_range("network", "not be negative", harmonics=self.harmonics)

    @property
    def _channels(self) -> int:
        """Q, the number of features."""
        return 1

    @property
    def _branch(self) -> Perceptron:
        return Perceptron((*self.branch, self._channels * self.rank), self.activation)

    @property
    def _trunk(self) -> Perceptron:
        return Perceptron((*self.trunk, self._channels * self.rank), self.activation)

    def init(self, key: Array, dim: int, sensors: Mapping[str, int]) -> Params:
        if not sensors:
            raise UserError(
                "network 'deeponet' needs an input function, and this problem has "
                "none; use network.name=mlp"
            )
        branch_key, trunk_key = jax.random.split(key)
        y = on_circle(jnp.zeros((1, dim)), self.harmonics)
        seen = jnp.zeros((1, sum(sensors.values())))
        return {
            "branch": self._branch.init(branch_key, seen)["params"],
            "trunk": self._trunk.init(trunk_key, y)["params"],
            "bias": jnp.zeros(()),
        }

    def features(self, params: Params, values: Values, y: Array, labels: Sequence[str]) -> Jet:
        def split(outputs: Array) -> Array:
            """(·, Q p) → (·, Q, p)."""
            return outputs.reshape(-1, self._channels, self.rank)

        def embed(points: Array) -> Array:
            return on_circle(points, self.harmonics)

        seen = jnp.concatenate(list(values.values()), axis=1)
        weights = split(evaluate(self._branch, params["branch"], seen))
        h = hidden(self._trunk, params["trunk"], embed, y, labels)
        last = params["trunk"][f"Dense_{len(self.trunk)}"]
        if not self.branch_first(weights, h):
            return {
                label: jnp.einsum("ncp,qcp->cnq", weights, split(t))
                for label, t in dense(last, h).items()
            }
        folded = jnp.einsum("ncp,wcp->ncw", weights, split(last["kernel"]))
        flat = folded.reshape(-1, folded.shape[-1])  # a matrix, whose products need no copies
        out = {
            label: jnp.moveaxis((flat @ value.T).reshape(*weights.shape[:2], -1), 1, 0)
            for label, value in h.items()
        }
        return out | {"": out[""] + jnp.einsum("ncp,wcp->cnw", weights, split(last["bias"]))}

    def branch_first(self, weights: Array, h: Jet) -> bool:
        """Whether the trunk's last kernel W acts on the branch, (B Wᵀ) hᵀ, and not on h, B (h W)ᵀ.

        With fewer functions than rows of h that is fewer operations; and if W widens, no more
        numbers are summed over devices. Values alone take the latter: there the numbers of
        functions and points may be symbols, as in `hop export`.
        """
        if len(h) == 1:
            return False
        points, width = h[""].shape
        return width <= self.rank and len(weights) < len(h) * points

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        return features[0] + params["bias"]
