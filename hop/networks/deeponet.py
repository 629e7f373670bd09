"""DeepONet: u(a)(y) = Σ_p B_p(a) T_p(y) + b, branch B and trunk T multilayer perceptrons.

Lu, Jin, Pang, Zhang, Karniadakis, *Nature Machine Intelligence* 3 (2021), 218–229.

Of several input functions each has its branch, and B is made of their outputs,

    B_p(a) = (Σ_{i linear} W_i a_i)_p · Π_{j not linear} (1 + N_j(a_j)_p),

where the sum is absent if no input is linear. The product is that of MIONet (Jin, Meng, Lu, *SIAM
J. Sci. Comput.* 44 (2022), A3490). With 1 + N_j it holds sums as well, and a branch that starts
near 0 does not silence the others.

k > 1 outputs are as many such sums with parameters of their own in the last layers.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet
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
)

__all__ = ["DeepONet"]


@dataclasses.dataclass(frozen=True)
class DeepONet:
    """A DeepONet.

    Attributes:
    branch, trunk: hidden widths of the networks.
    rank: the number of products p that are summed.
    activation: between the layers.
    linear: the inputs, by name, in which u is jointly linear: the branch of each is one matrix W,
      and u has no constant b. B of one input alone that is not linear is N, without the 1.
    """

    branch: tuple[int, ...] = (100, 100, 100)
    trunk: tuple[int, ...] = (100, 100, 100)
    rank: int = 100
    activation: str = "tanh"
    linear: tuple[str, ...] = ()

    def __post_init__(self):
        widths = {"branch": self.branch, "trunk": self.trunk, "rank": (self.rank,)}
        check_architecture(widths, self.activation)

    def _branch(self, name: str, columns: int) -> nn.Module:
        """The branch of an input, with Q p = `columns` outputs."""
        if name not in self.linear:
            return Perceptron((*self.branch, columns), self.activation)
        kernel, dtype = nn.initializers.xavier_normal(), jnp.result_type(float)
        return nn.Dense(columns, use_bias=False, kernel_init=kernel, param_dtype=dtype)

    def _trunk(self, columns: int) -> Perceptron:
        return Perceptron((*self.trunk, columns), self.activation)

    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        self._check_inputs(sensors)
        columns = outputs * self.rank
        branch_key, trunk_key = jax.random.split(key)
        params = {
            "branch": self._init_branches(branch_key, sensors, columns),
            "trunk": self._trunk(columns).init(trunk_key, jnp.zeros((1, dim)))["params"],
        }
        bias = jnp.zeros(() if outputs == 1 else (outputs,))
        return params if self.linear else params | {"bias": bias}

    def _init_branches(self, key: Array, sensors: Mapping[str, int], columns: int) -> Params:
        """The branches' parameters by name; those of one alone."""

        def branch(name: str, key: Array) -> Params:
            seen = jnp.zeros((1, sensors[name]))
            return self._branch(name, columns).init(key, seen)["params"]

        names = sorted(sensors)
        if len(names) == 1:
            return branch(names[0], key)
        return dict(zip(names, map(branch, names, jax.random.split(key, len(names))), strict=True))

    def _check_inputs(self, sensors: Mapping[str, int]) -> None:
        if not sensors:
            raise UserError(
                "network 'deeponet' needs an input function, and this problem has "
                "none; use network.name=mlp"
            )
        if unknown := set(self.linear) - set(sensors):
            raise UserError(
                f"network.linear names {', '.join(sorted(unknown))}, and this problem's inputs "
                f"are {', '.join(sorted(sensors))}"
            )

    def features(
        self,
        params: Params,
        values: Values,
        y: Array,
        labels: Labels,
        embed: Embedding | None = None,
    ) -> Jet:
        last = params["trunk"][f"Dense_{len(self.trunk)}"]
        columns = len(last["bias"])

        def split(outputs: Array) -> Array:
            """(…, Q p) → (…, Q, p)."""
            return outputs.reshape(*outputs.shape[:-1], columns // self.rank, self.rank)

        weights = split(self._weights(params["branch"], values, columns))
        h = hidden(self._trunk(columns), params["trunk"], embed, y, labels)
        if not self.branch_first(weights, h):
            return {
                label: jnp.einsum("ncp,...qcp->...cnq", weights, split(t))
                for label, t in dense(last, h).items()
            }
        folded = jnp.einsum("ncp,wcp->ncw", weights, split(last["kernel"]))
        flat = folded.reshape(-1, folded.shape[-1])  # a matrix, whose products need no copies

        def product(value: Array) -> Array:
            """(…, q, width) → (…, Q, n, q)."""
            made = flat @ value.reshape(-1, value.shape[-1]).T
            made = made.reshape(*weights.shape[:2], *value.shape[:-1])
            return jnp.moveaxis(made, (1, 0), (-3, -2))

        out = {label: product(value) for label, value in h.items()}
        return out | {"": out[""] + jnp.einsum("ncp,wcp->cnw", weights, split(last["bias"][None]))}

    def _weights(self, branches: Params, values: Values, columns: int) -> Array:
        """B(a): values (n, m) by name → (n, Q p)."""

        def branch(name: str) -> Array:
            params = branches[name] if len(values) > 1 else branches
            return evaluate(self._branch(name, columns), params, jnp.asarray(values[name]))

        if len(values) == 1:
            return branch(next(iter(values)))
        linear = [branch(name) for name in sorted(values) if name in self.linear]
        others = [1 + branch(name) for name in sorted(values) if name not in self.linear]
        factors = [sum(linear[1:], linear[0]), *others] if linear else others
        return functools.reduce(jnp.multiply, factors)

    def branch_first(self, weights: Array, h: Jet) -> bool:
        """Whether the trunk's last kernel W acts on the branch, (B Wᵀ) hᵀ, and not on h, B (h W)ᵀ.

        With fewer functions than rows of h that is fewer operations; and if W widens, no more
        numbers are summed over devices. Values alone take the latter: there the numbers of
        functions and points may be symbols, as in `hop export`.
        """
        if len(h) == 1:
            return False
        rows = sum(math.prod(value.shape[:-1]) for value in h.values())
        return h[""].shape[-1] <= self.rank and len(weights) < rows

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        u = as_outputs(features)
        return u if self.linear else u + params["bias"][..., None, None]
