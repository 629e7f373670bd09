"""A network of one window of time, applied window after window.

An equation that does not name the time t has solutions that can be taken anew at any time: with S_t
the map from u₀ to u(·, t), S_{s+t} = S_t S_s. So a network of the first of J windows of [0, T],
τ = T/J long, gives the solution on all of [0, T]: on window j + 1 it is shown u(·, jτ), the end of
the window before. A map of a short time is near a known one, and much easier to learn.

It has to be learned on the functions that the windows start from. In training the functions of a
step are therefore followed by the network itself, each to the start of a random window, without a
gradient: how far at most is drawn for the step, and then for each function, so that early windows,
whose errors the later ones inherit, come more often. The later ones are opened one by one during
the first half of a stage, when the network can be trusted to follow.
Sources: for such states as training data, Brandstetter, Worrall, Welling, *Message passing neural
PDE solvers*, ICLR 2022 (arXiv 2202.03376); for long times, Wang, Perdikaris, *J. Comput. Phys.* 475
(2023) 111855 (arXiv 2106.05384).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.ansatz import Ansatz, Functions, Inputs
from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import UserError
from hop.laws.spectral import Spectral
from hop.networks import Params
from hop.problem import Lam, Problem, Reduced, Restarting, in_time, with_domain


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
        if fault := _fault(ansatz.problem) or "ε as an input" * bool(ansatz.eps):
            raise UserError(f"config.ansatz.windows={windows} does not serve {fault}; use 1")
        return cls(ansatz.problem, ansatz.network, ansatz.harmonics, windows=windows)

    @functools.cached_property
    def first(self) -> Ansatz:
        """The ansatz on the first window, which is trained."""
        box = self.problem.domain
        upper = (*box.upper[:-1], box.lower[-1] + self._length)
        problem = with_domain(self.problem, Box(box.lower, upper, box.periodic))
        return Ansatz(problem, self.network, self.harmonics)

    @property
    def _length(self) -> float:
        """τ."""
        box = self.problem.domain
        return (box.upper[-1] - box.lower[-1]) / self.windows

    def init(self, key: Array) -> Params:
        return self.first.init(key)

    def jet(
        self,
        params: Params,
        inputs: Inputs,
        x: Float[Array, "q d"],
        lam: Lam,
        derivatives: Sequence[str] | None = None,
    ) -> Jet:
        def on(start: Inputs, there: Array) -> Jet:
            return self.first.jet(params, start, there, lam, derivatives)

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
        assert isinstance(problem, Restarting)
        for places, names in self._read.items():
            at = np.frombuffer(places).reshape(-1, problem.domain.dim)
            x = jnp.asarray(at, inputs[problem.restarts[names[0]]].values.dtype)
            u = self.first.jet(params, inputs, x, lam, ("",))[""]
            for name in names:
                law = problem.inputs[problem.restarts[name]]
                one = u if len(problem.unknowns) == 1 else u[problem.unknowns.index(name)]
                field = law.fit(one, at[:, :-1])
                found[problem.restarts[name]] = Functions(law.values(field), field.coefficients)
        return found

    @functools.cached_property
    def _read(self) -> dict[bytes, list[str]]:
        """Where the end of a window is read, (q, d) as bytes, and for which unknowns."""
        problem, found = self.problem, dict[bytes, list[str]]()
        assert isinstance(problem, Restarting)
        for name, given in problem.restarts.items():
            law = problem.inputs[given]
            assert isinstance(law, Spectral)
            end = np.full((len(law.nodes), 1), self.first.problem.domain.upper[-1])
            found.setdefault(np.hstack([law.nodes, end]).tobytes(), []).append(name)
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


def _fault(problem: Problem) -> str:
    """What windows do not serve of a problem, in words; or ""."""
    name = type(problem).__name__
    if not (in_time(problem) and isinstance(problem, Restarting)):
        return f"{name}, which does not say by `restarts` how it starts anew"
    if isinstance(problem, Reduced):
        return f"the reduced_residual of {name}"
    known, given = problem.unknowns, problem.restarts
    laws = [problem.inputs.get(given.get(unknown, "")) for unknown in known]
    if not all(isinstance(law, Spectral) for law in laws) or len(given) != len(known):
        return f"{name}.restarts, which must name a random field among the inputs for each unknown"
    return ""
