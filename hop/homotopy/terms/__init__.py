"""The terms of the loss, one file each.

A term is a block of residual rows with a weight. A strategy lists the terms of its loss
(`hop.strategies.Plan`), so a new term is one new file, and an option of the strategy that wants it.

Shapes: n functions, q points, d coordinates.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs
from hop.derivatives import Jet
from hop.homotopy.pin import Pin
from hop.networks import Params
from hop.problem import Lam
from hop.samplers import Points


class Stage(NamedTuple):
    """Where a stage stands on the path. All traced: every stage shares one compilation.

    Attributes:
      index: k.
      lam: λ_k.
      previous: λ_{k−1}; λ_k itself at the first stage.
      follows: 1, or 0 at a stage that has no predecessor.
      pin: of the slow mode; None in a run that never pins.
      labels: a `hop.homotopy.terms.labels.Labelled`; None in a run without labels.
    """

    index: Any
    lam: Lam
    previous: Lam
    follows: Any
    pin: Pin | None = None
    labels: Any = None


@dataclasses.dataclass(frozen=True)
class View:
    """What a term sees: a network at points, and the stage that it is trained in.

    Attributes:
      ansatz: the network inside the problem.
      params: θ.
      anchor: θ_{k−1}, the network of the last stage.
      inputs: n input functions.
      points: the collocation points with their inverse density, or the term's own.
      stage: λ_k and λ_{k−1}.
      jets: whether a term reads `u` itself.
    """

    ansatz: Ansatz
    params: Params
    anchor: Params
    inputs: Inputs
    points: Points
    stage: Stage
    jets: bool = False

    @property
    def x(self) -> Float[Array, "q d"]:
        return self.points.x

    @property
    def lam(self) -> Lam:
        """λ_k; where ε is an input, that of every point, ε (1, q)."""
        eps = self.points.eps
        return self.stage.lam if eps is None else self.stage.lam._replace(eps=eps[None])

    @functools.cached_property
    def u(self) -> Jet:
        """The jet of u_θ that the residual reads (`hop.ansatz.Ansatz.reads`)."""
        return self.ansatz.reads(self.params, self.inputs, self.x, self.lam)

    @functools.cached_property
    def a(self) -> Mapping[str, Jet]:
        """Those of the input functions."""
        return self.ansatz.input_jet(self.inputs, self.x, self.lam)

    @functools.cached_property
    def h(self) -> Array:
        """H(u_θ; λ_k), (n, q) or (e, n, q)."""
        if self.jets:
            return self.ansatz.equation(self.u, self.x, self.a, self.lam)
        return self.ansatz.residual(self.params, self.inputs, self.x, self.lam)

    def value(self, params: Params, x: Float[Array, "q d"], lam: Lam) -> Array:
        """u at other points, or of another network, at λ."""
        return self.ansatz.jet(params, self.inputs, x, lam, ())[""]

    def weighed(self, rows: Array) -> Array:
        """Rows of the equations (e, n, q), each by the root of its weight."""
        weights = self.ansatz.problem.weights
        if not weights:
            return rows
        roots = jnp.sqrt(jnp.asarray(weights, rows.dtype))
        return rows * (roots[:, None, None] if rows.ndim == 3 else roots[0])


@dataclasses.dataclass(frozen=True)
class Term(abc.ABC):
    """A term of the loss, w · ½⟨|rows|²⟩, ⟨·⟩ the mean over the rows.

    Attributes:
      w: the weight.
      name: of its column in the records.
      pointwise: whether what `rows` gives at a point depends on this point alone.
      whole: whether `together` weighs all points of it, so that none can be left out.
      needed: whether w = 0 counts as 1 at a stage without predecessor.
      at_one_eps: whether it makes no sense where ε is an input.
      jets: whether it reads `View.u`, and not the residual alone.
    """

    w: float = 1.0

    name: ClassVar[str]
    pointwise: ClassVar[bool] = True
    whole: ClassVar[bool] = False
    needed: ClassVar[bool] = False
    at_one_eps: ClassVar[bool] = False
    jets: ClassVar[bool] = False

    @property
    def off(self) -> str:
        """The setting that leaves it out, as a remedy names it."""
        return f"strategy.{self.name}=0"

    @property
    def fades(self) -> float:
        """The share of a stage's steps after which the weight no longer changes."""
        return 0.0

    def over(self, follows: bool, done: float) -> bool:
        """Whether its weight is 0 from here to the stage's end, and it need not be computed.

        Args:
          follows: whether the stage has a predecessor.
          done: the share of its limit of steps that is done.
        """
        return False

    @property
    def in_parts(self) -> bool:
        """Whether a step can be worked through in parts of its points, or on a few of them."""
        return self.pointwise and not self.whole

    def weight(self, stage: Stage, done: ArrayLike) -> Array:
        """w, `done` of the stage's limit of steps being done, in [0, 1]."""
        alone = self.w or float(self.needed)
        return jnp.where(stage.follows > 0, jnp.asarray(self.w, float), alone)

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points | None:
        """The term's own points; None for the collocation points. Without any, it is left out."""
        return None

    @abc.abstractmethod
    def rows(self, view: View) -> Any:
        """(n, q), for several equations (e, n, q), or (n, 1) for one row for each function.

        A pointwise term may give any arrays (…, n, q), of which `together` makes its rows.
        """

    def together(self, rows: Any, view: View) -> Array:
        """A map of all that `rows` gave, after which it is the term's rows."""
        return rows

    def drawn(self, rows: Array, view: View, draw: Callable[[Array], Array]) -> "Term":
        """The same on some of its own points, which `draw` takes from rows (n, b); or on all."""
        return self

    def check(self, experiment: Any) -> None:  # noqa: B027
        """Refuses, with a UserError, an experiment that the term does not serve."""
