"""The ansatz u_θ: a network inside a problem, as jets and residuals at collocation points."""

import dataclasses
from collections.abc import Sequence
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


class Inputs(NamedTuple):
    """n input functions: their sensor values, what the network sees, and their coefficients."""

    values: Float[Array | np.ndarray, "n m"]
    coefficients: Float[Array | np.ndarray, "n K"]


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

    @property
    def _law(self) -> RandomField:
        law = self.problem.random_field
        assert law is not None, "a problem without input functions was given some"
        return law

    def inputs(self, values: Array) -> Inputs:
        """Sensor values (n, m) with the coefficients of the fields that fit them best."""
        law = self._law
        fitted = Field.fit(values, law.sensors, law.basis, law.modes)
        return Inputs(values, fitted.coefficients)

    def init(self, key: Array) -> Params:
        field = self.problem.random_field
        sensors = None if field is None else field.sensor_count
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
        inputs: Inputs | None,
        x: Float[Array, "q d"],
        labels: Sequence[str] | None = None,
    ) -> Jet:
        """u_θ and its derivatives: label → (n, q); n = 1 without inputs."""
        labels = self.labels if labels is None else closure(labels)
        problem, network, domain = self.problem, self.network, self.problem.domain
        if LAPLACIAN in labels:
            self._check_laplacian()
            if np.ptp(domain.scale) or not isinstance(network, Propagating):
                # Δ in y is Δ in x on a cube alone.
                return jet(lambda p: self.jet(params, None, p, ())[""], x, labels)
        values = None if inputs is None else inputs.values / self._law.rms
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
            if inputs is not None:
                jets = self.input_jet(inputs, domain.reflect(x, signs), labels)
                seen.append(rescale(jets, signs))

        def compose(*arrays: Array) -> Array:
            *at, points = arrays
            a: Sequence[Array | None] = at[len(images) :] or [None] * len(images)
            unit = [None if there is None else there / self._law.rms for there in a]
            y, total = domain.to_reference(points), jnp.zeros((), x.dtype)
            for signs, F, a_there in zip(images, at, unit, strict=False):
                there = y * jnp.asarray(signs, y.dtype)[None, :]
                total = total + float(np.prod(signs)) * network.decode(params, F, there, a_there)
            return problem.lift(total / len(images), columns(points), a[0])

        return push(compose, (*features, *seen), x, labels)

    def _images(self) -> list[np.ndarray]:
        """The reflections that make N odd, each as signs (d,) of the axes; the identity first."""
        images = [np.ones(self.problem.domain.dim)]
        for letter in self.problem.odd:
            images += [signs * mirror(letter, len(signs)) for signs in images]
        return images

    def _check_laplacian(self) -> None:
        if self.problem.random_field is not None:
            raise UserError(
                "the Laplacian 'Δ' is for problems without an input function; let problem.labels "
                "name second derivatives, as 'xx' and 'yy'"
            )

    def input_jet(self, inputs: Inputs, x: Float[Array, "q d"], labels: Sequence[str]) -> Jet:
        """The input functions and their derivatives at the points."""
        return Field(inputs.coefficients, self._law.basis).jet(x, tuple(labels))

    def residual(
        self, params: Params, inputs: Inputs | None, x: Float[Array, "q d"], lam: Lam
    ) -> Float[Array, "n q"]:
        """H(u_θ; s, ε) at the points."""
        a = None if inputs is None else self.input_jet(inputs, x, self.labels)
        return self.problem.residual(self.jet(params, inputs, x), columns(x), a, lam)


def columns(x: Float[Array, "q d"]) -> Float[Array, "d 1 q"]:
    """Points as a problem reads them: one (1, q) row per coordinate."""
    return jnp.swapaxes(x, -1, -2)[:, None, :]


def size(params: Params) -> int:
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
