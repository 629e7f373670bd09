"""Networks: one file per architecture, in Flax Linen behind pure functions.

A network is a frozen dataclass of hyperparameters; its module exports that class alone
(`__all__`) and is found by name. It sees coordinates on the reference cube [−1, 1]^d and input
functions as sensor values of unit size; a number is an input function of one sensor. What the
layers see of the coordinates is the caller's to choose, by an embedding: of a periodic coordinate,
cosines and sines.

Shapes: n functions, m sensors, q points, d coordinates, D of them embedded, Q features, k outputs.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet, activate, jet
from hop.domain import Box
from hop.errors import UserError
from hop.laws import Law

Params = Any  # a pytree of arrays
Labels = Sequence[str]
Values = Mapping[str, Any]  # arrays of the input functions, by name
Embedding = Callable[[Array], Array]  # points (q, d) → what the layers see (q, D)


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
    F_q(a)(y) = Σ_p B_qp(a) T_qp(e(y)) factorise, so that derivatives in y come from the trunk T and
    the embedding e alone. A network knows its inputs by name, in whatever order.
    """

    @abc.abstractmethod
    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        """Parameters at the start.

        Args:
          key: for the random numbers.
          dim: D, the number of coordinates that the layers see, those of e(y).
          sensors: m of each input by name; 1 of a number, {} without inputs.
          outputs: k.
          plain: d′, the number of coordinates that `decode` sees; D by default.
          shown: how many arrays of the inputs `decode` sees; by default one of each input.

        Raises:
          UserError: the network does not fit the inputs.
        """

    @abc.abstractmethod
    def features(
        self,
        params: Params,
        values: Values,
        y: Array,
        labels: Labels,
        embed: Embedding | None = None,
    ) -> Jet:
        """The jet of F in y at the points.

        Args:
          params: as from `init`.
          values: (n, m) by name.
          y: points (q, d).
          labels: the derivatives asked for. Δ brings ∇ with it, which a pointwise map needs.
          embed: e, from points (q, d) to what the layers see (q, D); the identity by default.

        Returns:
          label → (Q, n, q), and ∇ (space, Q, n, q); n = 1 without inputs.
        """

    @abc.abstractmethod
    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        """The pointwise decoder: (Q, n, q) → (n, q), or (k, n, q) of k > 1 outputs.

        `y` holds the plain coordinates (q, d′), `a` what is shown of the inputs at the points,
        (n, q) by name.
        """


@runtime_checkable
class Placed(Protocol):
    """An architecture that must know where its inputs are read.

    An embedding shows it, of each periodic coordinate y, cos πmy and then sin πmy, m = 1, 2, …;
    after these the other coordinates, and nothing else.
    """

    @abc.abstractmethod
    def on(self, domain: Box, laws: Mapping[str, Law]) -> Network:
        """The network for inputs of these laws in this box.

        Raises:
          UserError: it does not fit them.
        """


@runtime_checkable
class Decoding(Protocol):
    """An architecture whose decoder carries jets from layer to layer, and not by the chain rule.

    That is quicker where the decoder is most of the work.
    """

    @abc.abstractmethod
    def decode_jet(
        self, params: Params, features: Jet, y: Jet, a: Mapping[str, Jet], x: Array
    ) -> Jet:
        """The jet of `decode` from those of its arguments, at the points x (q, d)."""


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


def evaluate(module: nn.Module, params: Params, x: Array) -> Array:
    """The module's output for its parameters."""
    return cast(Array, module.apply({"params": params}, x))


def identity(y: Array) -> Array:
    """The embedding of points that the layers see as they are."""
    return y


def as_outputs(features: Array) -> Array:
    """Features (k, n, q) that are the outputs; of one, (n, q)."""
    return features[0] if len(features) == 1 else features


def hidden(
    module: Perceptron, params: Params, embed: Embedding | None, y: Array, labels: Labels
) -> Jet:
    """The jet of y ↦ the last hidden layer at e(y): label → (q, width), ∇ (space, q, width).

    Δ brings ∇ with it. The embedding e is the identity by default.

    The jet passes the layers as one, a matrix product for each label. Forward mode nested around
    the whole network carries some labels twice: u_x, and its products, for the sake of u_xx. In
    narrow layers pointwise work decides, and Jacobians are quicker by nesting: `MLP` does that,
    but for ∇ and Δ (the forward Laplacian: Li et al., *Nature Machine Intelligence* 6 (2024),
    209–219).
    """
    wanted = {*labels, GRADIENT} if LAPLACIAN in labels else labels
    return through(module, params, jet(embed or identity, y, wanted))


def through(module: Perceptron, params: Params, seen: Jet) -> Jet:
    """The jet of the last hidden layer from that of what the first one sees, (…, D) each."""
    act, h = ACTIVATIONS[module.activation], seen
    for i in range(len(module.widths) - 1):
        h = activate(act, dense(params[f"Dense_{i}"], h))
    return h


CACHED = 2**18  # numbers of an array of which a CPU's caches hold a few


class ByPerceptron(abc.ABC):
    """What networks share whose decoder is a perceptron of all that it sees, plus a bias.

    It sees features, inputs and places. The parameters hold it as "decoder", and the "bias", which
    is () for one output.
    """

    @abc.abstractmethod
    def _decoder(self, outputs: int) -> Perceptron: ...

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        values = {name: {"": jnp.asarray(value)} for name, value in a.items()}
        return self.decode_jet(params, {"": features}, {"": y}, values, y)[""]

    def decode_jet(
        self, params: Params, features: Jet, y: Jet, a: Mapping[str, Jet], x: Array
    ) -> Jet:
        """As in `Decoding`: the jet passes the layers as one, as in `hidden`.

        On a CPU some functions follow the others, so that what their layers hold stays in the
        caches; the reverse pass computes it anew, which is quicker than to fetch it.
        """
        bias, (n, q) = params["bias"], features[""].shape[1:]
        places = {label: jnp.swapaxes(v, -1, -2)[..., None, :] for label, v in y.items()}
        seen = [features]
        for name in sorted(a):
            whole = {k: jnp.broadcast_to(v, (*v.shape[:-2], n, q)) for k, v in a[name].items()}
            seen.append({k: v[..., None, :, :] for k, v in whole.items()})

        def decoded(some: list[Jet]) -> Jet:
            return self._decoded(params, [*some, places])

        width = max(self._decoder(bias.size).widths)
        parts = parts_for_caches(n, q * width) if len(features) > 1 else 1
        made = decoded(seen) if parts == 1 else _after_each_other(decoded, seen, parts)
        return made | {"": made[""] + bias[..., None, None]}

    def _decoded(self, params: Params, seen: list[Jet]) -> Jet:
        """The decoder's jet without its bias, from those of features, inputs and places."""
        features, layers, outputs = seen[0], params["decoder"], params["bias"].shape
        module, (n, q) = self._decoder(params["bias"].size), features[""].shape[1:]

        def matrix(label: str) -> Array:
            """(…, n q, D): products are quicker with one matrix than with many."""
            each = [jet[label] for jet in seen]
            each = [jnp.broadcast_to(v, (*v.shape[:-2], n, q)) for v in each]
            every = jnp.concatenate(each, axis=-3)
            return jnp.swapaxes(every.reshape(*every.shape[:-2], -1), -1, -2)

        h = through(module, layers, {label: matrix(label) for label in features})
        made = dense(layers[f"Dense_{len(module.widths) - 1}"], h)
        return {
            label: jnp.swapaxes(value, -1, -2).reshape(*value.shape[:-2], *outputs, n, q)
            for label, value in made.items()
        }


def parts_for_caches(n: int, each: int) -> int:
    """Parts of n functions, after each other, of whose layers a CPU's caches hold one.

    Args:
      n: functions.
      each: numbers of a function in a layer, of one label.
    """
    n, rest = divmod(n, jax.device_count())  # each device holds a share of each part
    if jax.default_backend() != "cpu" or rest or n * each <= 4 * CACHED:
        return 1
    wanted = n * each / max(each, CACHED)
    return next(parts for parts in range(1, n + 1) if n % parts == 0 and parts >= wanted)


def _after_each_other(f: Callable[[Any], Any], arrays: Any, parts: int) -> Any:
    """f of arrays (…, n, q), which maps each function by itself, a part of them after the other.

    A part takes every `parts`-th function.
    """

    def split(v: Array) -> Array:
        *front, n, q = v.shape
        return jnp.moveaxis(v.reshape(*front, n // parts, parts, q), -2, 0)

    def joined(v: Array) -> Array:
        _, *front, some, q = v.shape
        return jnp.moveaxis(v, 0, -2).reshape(*front, some * parts, q)

    step = jax.checkpoint(f, prevent_cse=False)
    return jax.tree.map(joined, jax.lax.map(step, jax.tree.map(split, arrays)))


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
