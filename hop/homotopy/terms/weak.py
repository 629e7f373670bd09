"""The equation tested against smooth functions, in the dual of an energy norm.

Of a problem in divergence form (`hop.problem.Weak`) the rows are

    R_i = ∫ Σ_D c_D(u) Dφ_i / |φ_i|,  |φ|² = Σ_D w_D ∫ (Dφ)²,

φ_i the products of one basis an axis (`hop.bases`), which are orthogonal in that norm: Σ_i R_i² is
then the square of the largest ∫ H φ over their combinations of norm 1. Where the linearised
equation is bounded below in this norm, that bounds the error. Derivatives of u are half as high as
in H, and as ε falls it does not grow where H does, in a layer.

The integrals are sums over fixed points, ten more along each axis than there are functions.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs, columns
from hop.bases import Basis
from hop.domain import tensor
from hop.errors import UserError
from hop.homotopy.terms import Stage, Term, View
from hop.networks import Params
from hop.problem import Lam, Problem, Weak, bases_of, letters
from hop.samplers import Points


@dataclasses.dataclass(frozen=True)
class WeakResidual(Term):
    """The weak residual in the loss, w_H · ½ Σ_i R_i², the mean over functions.

    Attributes:
      tests: the number of functions φ along each axis.
    """

    tests: tuple[int, ...] = ()

    name: ClassVar[str] = "residual"
    whole: ClassVar[bool] = True
    needed: ClassVar[bool] = True
    at_one_eps: ClassVar[bool] = True

    @property
    def off(self) -> str:
        return "train.tests=()"

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        """The nodes of the quadrature, x fastest."""
        bases = bases_of(ansatz.problem, self.tests)
        x = jnp.asarray(tensor([basis.nodes for basis in bases]), float)
        return Points(x, jnp.ones(len(x)))

    def rows(self, view: View) -> Mapping[str, Array]:
        """c_D at the nodes."""
        problem = view.ansatz.problem
        assert isinstance(problem, Weak)
        labels, x = problem.weak_derivatives, view.x
        u = view.ansatz.jet(view.params, view.inputs, x, view.lam, labels)
        a = view.ansatz.input_jet(view.inputs, x, view.lam, labels)
        return problem.weak(u, columns(x), a, view.lam)

    def together(self, rows: Mapping[str, Array], view: View) -> Array:
        """(n, T), or (e, n, T): T = Π tests. Scaled by √T, so that the mean over rows is a sum."""
        problem = view.ansatz.problem
        assert isinstance(problem, Weak)
        bases, names = bases_of(problem, self.tests), letters(problem)
        parts = [_against(bases, names, label, c) for label, c in rows.items()]
        total = sum(parts[1:], parts[0])
        a = view.ansatz.input_jet(view.inputs, view.x[:1], view.lam, ())
        energy = problem.energy({name: jet[""] for name, jet in a.items()}, view.lam)
        squares = jnp.zeros((1, 1), total.dtype)
        for label, w in energy.items():
            square = jnp.asarray(_square(bases, names, label), total.dtype)
            squares = squares + jnp.asarray(w, total.dtype).reshape(-1, 1) * square[None, :]
        scale = jnp.sqrt(math.prod(self.tests) / squares)
        return view.weighed(total * (scale if total.ndim == 2 else scale[None]))

    def check(self, experiment: Any) -> None:
        problem: Problem = experiment.problem
        called = f"config.train.tests={self.tests}"
        if not isinstance(problem, Weak):
            raise UserError(
                f"{called}: {type(problem).__name__} has no weak form; leave it out, or give the "
                "problem weak_derivatives, weak and energy"
            )
        if len(self.tests) != problem.domain.dim or min(self.tests) < 1:
            raise UserError(
                f"{called} must hold a positive number of test functions for each of "
                f"{', '.join(letters(problem))}"
            )
        if experiment.plan.pin:
            raise UserError(f"{called} and config.strategy.pin do not go together; set pin=0")


@functools.partial(jax.jit, static_argnums=(0, 1))
def loss(
    tests: tuple[int, ...], ansatz: Ansatz, params: Params, values: Mapping[str, Array], lam: Lam
) -> Array:
    """½ Σ_i R_i², the mean over functions, of sensor values (n, m) by the names of the inputs."""
    term, inputs = WeakResidual(tests=tests), ansatz.inputs(values)
    stage = Stage(0, lam, lam, 0)
    view = View(ansatz, params, params, inputs, term.points(ansatz, inputs, stage), stage)
    return 0.5 * jnp.mean(term.together(term.rows(view), view) ** 2)


def _against(bases: tuple[Basis, ...], names: str, label: str, c: Array) -> Float[Array, "*e n T"]:
    """∫ c Dφ for every φ, one axis after the other."""
    shape = [len(basis.nodes) for basis in reversed(bases)]
    c = c.reshape(*c.shape[:-1], *shape)
    for axis, basis in enumerate(bases):
        along = basis.at(basis.nodes, label.count(names[axis])) * basis.weights
        product = jnp.tensordot(c, jnp.asarray(along, c.dtype), axes=[[c.ndim - 1 - axis], [1]])
        c = jnp.moveaxis(product, -1, product.ndim - 1 - axis)
    return c.reshape(*c.shape[: c.ndim - len(bases)], -1)


def _square(bases: tuple[Basis, ...], names: str, label: str) -> Float[np.ndarray, " T"]:
    """∫ (Dφ)² of every φ."""
    squares = np.ones(1)
    for axis, basis in enumerate(bases):
        along = basis.mu if names[axis] in label else np.ones(len(basis.mu))
        squares = np.multiply.outer(along, squares).ravel()
    return squares
