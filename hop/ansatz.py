"""The ansatz u_θ: a network inside a problem, as jets and residuals at collocation points."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.derivatives import GRADIENT, LAPLACIAN, Jet, closure, jet, mirror, push, rescale
from hop.errors import UserError
from hop.fields import Field, RandomField
from hop.networks import Network, Params, Propagating
from hop.problem import Lam, Problem


class Functions(NamedTuple):
    """n functions: their sensor values, what the network sees, and their coefficients."""

    values: Float[Array | np.ndarray, "n m"]
    coefficients: Float[Array | np.ndarray, "n K"]


Inputs = Mapping[str, Functions]  # by name


@dataclasses.dataclass(frozen=True)
class Ansatz:
    """u_θ(a)(x) = lift(N(a)(y), x, a(x)), y the place of x on the reference cube.

    N = decode(F_θ(a)(y), y, a(x)), a in units of its law's rms; or its odd part where the problem
    declares a symmetry: the mean of ±N over the reflections y ↦ ±y of the coordinates in
    `problem.odd`, each a pointwise map of features at the reflected point.
    """

    problem: Problem
    network: Network

    @property
    def labels(self) -> tuple[str, ...]:
        """The derivatives that the residual needs, closed."""
        return closure(self.problem.labels)

    def inputs(self, values: Mapping[str, Array]) -> Inputs:
        """Sensor values (n, m) with the coefficients of the fields that fit them best."""

        def fitted(law: RandomField, seen: Array) -> Functions:
            field = Field.fit(seen, law.sensors, law.basis, law.modes)
            return Functions(seen, field.coefficients)

        return {name: fitted(self.problem.inputs[name], seen) for name, seen in values.items()}

    def init(self, key: Array) -> Params:
        sensors = {name: law.sensor_count for name, law in self.problem.inputs.items()}
        return self.network.init(key, self.problem.domain.dim, sensors)

    def check(self, experiment: Any) -> None:
        """Refuses, before anything is compiled, a network that does not fit the problem.

        On a circle no condition holds at the ends, so the network itself must be periodic.

        Raises:
          UserError: what does not fit, with the remedy.
        """
        if LAPLACIAN in self.labels:
            self._check_laplacian()
        jax.eval_shape(self.init, ambient.key(0))
        circle = bool(self.problem.domain.periodic)
        waves = experiment.config.network.get("harmonics", 0)
        if circle and not waves:
            raise UserError(
                "this problem is periodic in x and the network is not; set "
                "config.network.harmonics=4"
            )
        if waves and not circle:
            raise UserError(
                f"config.network.harmonics={waves} makes the network periodic in x, and this "
                "problem is not; set it to 0, or declare the problem's domain periodic=('x',)"
            )

    def jet(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        labels: Sequence[str] | None = None,
    ) -> Jet:
        """u_θ and its derivatives: label → (n, q); n = 1 without input functions."""
        labels = self.labels if labels is None else closure(labels)
        problem, network, domain = self.problem, self.network, self.problem.domain
        if LAPLACIAN in labels:
            self._check_laplacian()
            if np.ptp(domain.scale) or not isinstance(network, Propagating):
                # Δ in y is Δ in x on a cube alone.
                return jet(lambda p: self.jet(params, {}, p, ())[""], x, labels)
        rms = {name: problem.inputs[name].rms for name in inputs}
        values = {name: given.values / rms[name] for name, given in inputs.items()}
        images = self._images()
        features, seen = [], []
        for signs in images:
            y = domain.to_reference(x) * jnp.asarray(signs, x.dtype)[None, :]
            if LAPLACIAN in labels:
                assert isinstance(network, Propagating)
                jets = network.propagate(params, y, (*labels, GRADIENT))
            else:
                jets = network.features(params, values, y, labels)
            features.append(rescale(jets, signs * domain.scale))
            jets_of = self.input_jet(inputs, domain.reflect(x, signs), labels)
            seen += [rescale(jets, signs) for jets in jets_of.values()]

        def compose(*arrays: Array) -> Array:
            *at, points = arrays
            y, total, rest = domain.to_reference(points), jnp.zeros((), x.dtype), iter(at)
            F_at = [next(rest) for _ in images]
            a_at = [{name: next(rest) for name in inputs} for _ in images]
            for signs, F, a in zip(images, F_at, a_at, strict=True):
                there = y * jnp.asarray(signs, y.dtype)[None, :]
                unit = {name: values / rms[name] for name, values in a.items()}
                total = total + float(np.prod(signs)) * network.decode(params, F, there, unit)
            return problem.lift(total / len(images), columns(points), a_at[0])

        return push(compose, (*features, *seen), x, labels)

    def _images(self) -> list[np.ndarray]:
        """The reflections that make N odd, each as signs (d,) of the axes; the identity first."""
        images = [np.ones(self.problem.domain.dim)]
        for letter in self.problem.odd:
            images += [signs * mirror(letter, len(signs)) for signs in images]
        return images

    def _check_laplacian(self) -> None:
        if self.problem.inputs:
            raise UserError(
                "the Laplacian 'Δ' is for problems without an input function; let problem.labels "
                "name second derivatives, as 'xx' and 'yy'"
            )

    def input_jet(
        self, inputs: Inputs, x: Float[Array, "q d"], labels: Sequence[str] | None = None
    ) -> Mapping[str, Jet]:
        """The jet of every input function, by default with the labels that the residual needs."""
        labels = self.labels if labels is None else tuple(labels)
        fields = {
            name: Field(given.coefficients, self.problem.inputs[name].basis)
            for name, given in inputs.items()
        }
        return {name: field.jet(x, labels) for name, field in fields.items()}

    def residual(
        self, params: Params, inputs: Inputs, x: Float[Array, "q d"], lam: Lam
    ) -> Float[Array, "n q"]:
        """H(u_θ; s, ε) at the points."""
        u, a = self.jet(params, inputs, x), self.input_jet(inputs, x)
        return self.problem.residual(u, columns(x), a, lam)


def columns(x: Float[Array, "q d"]) -> Float[Array, "d 1 q"]:
    """Points as a problem reads them: one (1, q) row per coordinate."""
    return jnp.swapaxes(x, -1, -2)[:, None, :]


def size(params: Params) -> int:
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
