"""Networks: one file per architecture, in Flax Linen behind pure functions.

A network is a frozen dataclass of hyperparameters; its module exports that class alone
(`__all__`) and is found by name. It sees coordinates on the reference cube [−1, 1]^d and input
functions as sensor values of unit size.

Shapes: n functions, m sensors, q points, d coordinates, Q features.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet, activate, jet
from hop.errors import UserError

Params = Any  # a pytree of arrays
Labels = Sequence[str]
Values = Mapping[str, Any]  # arrays of the input functions, by name


@jax.custom_jvp
def _tanh(x: Array) -> Array:
    return jnp.tanh(x)


@_tanh.defjvp
def _tanh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # JAX's own rule, g + g y times 1 − y, keeps more arrays for the reverse pass: where many
    # functions pass a decoder, this one saves a fifth of a step.
    y = _tanh(*primals)
    return y, (1 - y * y) * tangents[0]


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {  # by the name that a config gives
    "tanh": _tanh,
    "sin": jnp.sin,
    "gelu": nn.gelu,
    "swish": nn.swish,
}


@runtime_checkable
class Network(Protocol):
    """What the rest of `hop` asks of an architecture.

    A network of an operator is u(a)(y) = decode(F(a)(y), y, a(y)), where the features
    F_q(a)(y) = Σ_p B_qp(a) T_qp(y) factorise, so that derivatives in y come from the trunk T alone.
    """

    def init(self, key: Array, dim: int, sensors: Mapping[str, int]) -> Params:
        """Parameters for d = `dim` coordinates, and m sensors of every input function by name."""

    def features(self, params: Params, values: Values, y: Array, labels: Sequence[str]) -> Jet:
        """The jet of F at the points: values (n, m) by name, y (q, d) → label → (Q, n, q)."""

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        """The pointwise decoder: (Q, n, q) → (n, q); `a` holds the inputs there, (n, q)."""


@runtime_checkable
class Propagating(Network, Protocol):
    """A network without input function whose layers pass on value, gradient and Δ together.

    Others are differentiated axis by axis for Δ, which takes longer.
    """

    def propagate(self, params: Params, y: Array, labels: Sequence[str]) -> Jet:
        """The jet of F with ∇ and Δ: label → (Q, 1, q), and ∇ (d, Q, 1, q)."""


class Perceptron(nn.Module):
    """A fully connected network: Xavier-normal kernels, zero biases, linear output.

    Attributes:
      widths: of all layers, the output's last.
      activation: between the layers.
      frequency: the standard deviation of the first kernel instead; 0 keeps Xavier's.
    """

    widths: Sequence[int]
    activation: str
    frequency: float = 0.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        act = ACTIVATIONS[self.activation]
        for i, width in enumerate(self.widths):
            kernel = nn.initializers.xavier_normal()
            if self.frequency and i == 0:
                kernel = nn.initializers.normal(self.frequency)
            dense = nn.Dense(width, kernel_init=kernel, param_dtype=x.dtype)
            x = dense(x) if i == len(self.widths) - 1 else act(dense(x))
        return x


def on_circle(y: Array, harmonics: int) -> Array:
    """Points (q, d) of the reference cube, the first coordinate as cos πmy, sin πmy, m ≤ harmonics.

    Any function of these is periodic in that coordinate, with all its derivatives. With 0
    harmonics, the points as they are.
    """
    if not harmonics:
        return y
    angle = y[:, :1] * jnp.asarray(np.pi * np.arange(1, harmonics + 1), y.dtype)[None, :]
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle), y[:, 1:]], axis=1)


def evaluate(module: nn.Module, params: Params, x: Array) -> Array:
    """The module's output for its parameters."""
    return cast(Array, module.apply({"params": params}, x))


def hidden(
    module: Perceptron, params: Params, embed: Callable[[Array], Array], y: Array, labels: Labels
) -> Jet:
    """The jet of y ↦ the last hidden layer at embed(y): label → (q, width), ∇ (d, q, width).

    The jet passes the layers as one, a matrix product for each label. Forward mode nested around
    the whole network carries some labels twice: u_x, and its products, for the sake of u_xx. In
    narrow layers pointwise work decides, and Jacobians are quicker by nesting: `MLP` does that,
    but for Δ, which passes with ∇ (the forward Laplacian: Li et al., *Nature Machine Intelligence*
    6 (2024), 209–219).
    """
    act, h = ACTIVATIONS[module.activation], jet(embed, y, labels)
    for i in range(len(module.widths) - 1):
        h = activate(act, dense(params[f"Dense_{i}"], h), y)
    return h


def dense(layer: Params, h: Jet) -> Jet:
    """A layer's affine map of a jet."""
    out = {label: jnp.tensordot(value, layer["kernel"], 1) for label, value in h.items()}
    return out | {"": out[""] + layer["bias"][None, :]}


def check_architecture(widths: Mapping[str, Sequence[int]], activation: str) -> None:
    """Refuses layer widths below one and unknown activations, in one line."""
    for name, layers in widths.items():
        if any(width < 1 for width in layers):
            raise UserError(f"network.{name}={tuple(layers)} must hold positive widths only")
    if activation not in ACTIVATIONS:
        raise UserError(
            f"network.activation={activation!r} is not known; use one of {', '.join(ACTIVATIONS)}"
        )
