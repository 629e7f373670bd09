"""A network of one window of time, applied window after window.

An equation that does not name the time t has solutions that can be taken anew at any time: with S_t
the map from u₀ to u(·, t), S_{s+t} = S_t S_s. So a network of the first of J windows of [0, T],
τ = T/J long, gives the solution on all of [0, T]: on window j + 1 it is shown u(·, jτ), the end of
the window before. A map of a short time is near a known one, and much easier to learn.

It has to be learned on the functions that the windows start from. So at every training step the
network first carries each function to the start of a random window, without a gradient. How far at
most is drawn for the step, and then how far for each function: early windows, whose errors the
later ones inherit, come more often. The later ones are opened one by one during the first half of a
stage, as the network becomes fit to carry functions so far.
Sources: for such states as training data, Brandstetter, Worrall, Welling, *Message passing neural
PDE solvers*, ICLR 2022 (arXiv 2202.03376); for long times, Wang, Perdikaris, *J. Comput. Phys.* 475
(2023) 111855 (arXiv 2106.05384).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.ansatz import Ansatz, Functions, Inputs
from hop.curves import LINES, Curve
from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import UserError
from hop.laws import Law
from hop.laws.spectral import Spectral
from hop.networks import Params
from hop.problem import (
    Lam,
    Problem,
    Reduced,
    Restarting,
    in_time,
    unnamed,
    with_domain,
    with_inputs,
)


@dataclasses.dataclass(frozen=True)
class Marched(Ansatz):
    """u on all windows of time.

    Attributes:
      windows: J.
    """

    windows: int = 2

    @classmethod
    def of(cls, ansatz: Ansatz, windows: int) -> "Marched":
        """The march of an ansatz on [0, T].

        Raises:
          UserError: its problem cannot start anew.
        """
        fault = "ε is an input, by config.ansatz.eps" if ansatz.eps else ""
        if fault := fault or fault_of(ansatz.problem):
            raise UserError(f"config.ansatz.windows={windows} cannot be served: {fault}; or use 1")
        return cls(ansatz.problem, ansatz.network, ansatz.harmonics, windows=windows)

    @functools.cached_property
    def first(self) -> Ansatz:
        """The ansatz on the first window, which is trained."""
        box = self.problem.domain
        upper = (*box.upper[:-1], box.lower[-1] + self._length)
        problem = with_domain(self.problem, Box(box.lower, upper, box.periodic))
        return Ansatz(with_inputs(problem, self._laws), self.network, self.harmonics)

    @functools.cached_property
    def _laws(self) -> dict[str, Spectral]:
        """The laws of the inputs that windows start from, which hold functions of any mean."""
        laws = {name: self.problem.inputs[name] for name in self._restarts.values()}
        return {name: law.of_any_mean() for name, law in laws.items() if isinstance(law, Spectral)}

    @property
    def _restarts(self) -> Mapping[str, str]:
        """The input that each unknown starts as."""
        assert isinstance(self.problem, Restarting)
        return self.problem.restarts

    def given(self, inputs: Inputs) -> Inputs:
        """The inputs of the problem as those of `first`, where the constant may have a place."""

        def placed(name: str, functions: Functions) -> Functions:
            law = self._laws.get(name)
            more = law.size - functions.coefficients.shape[-1] if law else 0
            if not more:
                return functions
            edges = [(0, 0)] * (functions.coefficients.ndim - 1)
            return functions._replace(
                coefficients=jnp.pad(functions.coefficients, [*edges, (more, 0)])
            )

        return {name: placed(name, functions) for name, functions in inputs.items()}

    @property
    def _length(self) -> float:
        """τ."""
        box = self.problem.domain
        return (box.upper[-1] - box.lower[-1]) / self.windows

    def init(self, key: Array) -> Params:
        return self.first.init(key)

    @property
    def laws(self) -> Mapping[str, Law]:
        return self.first.laws

    def inputs(self, values: Mapping[str, Array]) -> Inputs:
        return self.first.inputs(values)

    def jet(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        derivatives: Sequence[str] | None = None,
        curve: Curve = LINES,
    ) -> Jet:
        def on(start: Inputs, there: Array) -> Jet:
            return self.first.jet(params, start, there, lam, derivatives, curve)

        return self._joined(on, params, inputs, x, lam)

    def residual(
        self, params: Params, inputs: Inputs, x: Float[Array, "q d"], lam: Lam
    ) -> Float[Array, "n q"] | Float[Array, "e n q"]:
        def on(start: Inputs, there: Array) -> Array:
            return self.first.residual(params, start, there, lam)

        return self._joined(on, params, inputs, x, lam)

    def followed(self, params: Params, inputs: Inputs, lam: Lam, key: Array, done: Array) -> Inputs:
        """Each function as it is at the start of a random window, for training.

        Args:
          inputs: as from `given`.
          key: for the choice.
          done: the share of the stage's steps that are behind.
        """
        n = len(jax.tree.leaves(inputs)[0])
        opened = 1 + jnp.floor(jnp.minimum(1.0, 2 * done) * (self.windows - 1)).astype(int)
        of_last, of_each = jax.random.split(key)
        last = jax.random.randint(of_last, (), 0, opened)
        chosen = jax.random.randint(of_each, (n,), 0, last + 1)

        def on(carry: tuple[Inputs, Inputs], j: Array) -> tuple[tuple[Inputs, Inputs], None]:
            def followed(carry: tuple[Inputs, Inputs]) -> tuple[Inputs, Inputs]:
                start, taken = carry
                start = self._next(params, start, lam)

                def own(new: Array, old: Array) -> Array:
                    return jnp.where((chosen == j)[:, None], new, old)

                return start, jax.tree.map(own, start, taken)

            return jax.lax.cond(j <= last, followed, lambda old: old, carry), None

        later = jnp.arange(1, self.windows)
        return jax.lax.stop_gradient(jax.lax.scan(on, (inputs, inputs), later)[0][1])

    def _next(self, params: Params, inputs: Inputs, lam: Lam) -> Inputs:
        """The inputs of the next window."""
        problem, found = self.problem, dict(inputs)
        for places, names in self._read.items():
            at = np.frombuffer(places).reshape(-1, problem.domain.dim)
            x = jnp.asarray(at, inputs[self._restarts[names[0]]].values.dtype)
            u = self.first.jet(params, inputs, x, lam, ("",))[""]
            for name in names:
                given = self._restarts[name]
                one = u if len(problem.unknowns) == 1 else u[problem.unknowns.index(name)]
                field = self._laws[given].fit(one, at[:, :-1])
                values = self._laws[given].values(field)
                found[given] = Functions(values, field.coefficients)
        return found

    @functools.cached_property
    def _read(self) -> dict[bytes, list[str]]:
        """Where the end of a window is read, (q, d) as bytes, and for which unknowns."""
        found = dict[bytes, list[str]]()
        for name, given in self._restarts.items():
            nodes = self._laws[given].nodes
            end = np.full((len(nodes), 1), self.first.problem.domain.upper[-1])
            found.setdefault(np.hstack([nodes, end]).tobytes(), []).append(name)
        return found

    def _joined(
        self,
        on: Callable[[Inputs, Array], Any],
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
    ) -> Any:
        """What each point's own window gives of it. Windows that hold no point are passed over."""
        inputs = self.given(inputs)
        begin = self.problem.domain.lower[-1]
        past = (x[:, -1] - begin) / self._length
        own = jnp.clip(jnp.ceil(past) - 1, 0, self.windows - 1)
        first, last = jnp.min(own), jnp.max(own)

        def window(carry: tuple[Inputs, Any], j: Array) -> tuple[tuple[Inputs, Any], None]:
            start, found = carry

            def read(found: Any) -> Any:
                here = own == j
                t = jnp.where(here, x[:, -1] - j * self._length, begin)
                made = on(start, x.at[:, -1].set(t))
                return jax.tree.map(functools.partial(jnp.where, here), made, found)

            found = jax.lax.cond((first <= j) & (j <= last), read, lambda old: old, found)

            def following(start: Inputs) -> Inputs:
                return self._next(params, start, lam)

            return (jax.lax.cond(j < last, following, lambda old: old, start), found), None

        like = jax.eval_shape(on, inputs, x)
        nothing = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), like)
        each = jnp.arange(self.windows, dtype=x.dtype)
        return jax.lax.scan(window, (inputs, nothing), each)[0][1]


def fault_of(problem: Problem) -> str:
    """Why windows cannot serve a problem, in a clause with the remedy; or ""."""
    name = type(problem).__name__
    if not in_time(problem):
        return f"no derivative of {name} is in t"
    if isinstance(problem, Reduced):
        return f"{name} has a reduced_residual, which no window knows"
    if not isinstance(problem, Restarting):
        one = ", ".join(f'"{unknown}": …' for unknown in problem.unknowns)
        return f"say on {name} which input an unknown starts as, restarts = {{{one}}}"
    given, inputs = problem.restarts, problem.inputs
    if not isinstance(given, Mapping) or set(given) != set(problem.unknowns):
        named = ", ".join(problem.unknowns)
        return f"{name}.restarts={given!r} must be a dict with an input for each of {named}"
    for unknown, word in given.items():
        if word not in inputs:
            return f"{name}.restarts: {unknown} starts as {word!r}; {unnamed(word, inputs)}"
        if not isinstance(inputs[word], Spectral):
            return f"{name}.restarts: {unknown} starts as {word!r}, which must be a random field"
    return ""
