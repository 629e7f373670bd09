"""Newton's method from a guess, and where it ended."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from hop.errors import RunError

STEPS = 50
SMALL = 1e-10  # a last step
_ENOUGH = 1e-8  # of one that rounding stopped

Guess = Callable[[np.ndarray], np.ndarray]  # points (q, d) → values (n, q)


@dataclasses.dataclass(frozen=True)
class Found:
    """Where Newton's method ended, for n functions.

    Attributes:
      solution: points (q, d) → values (n, q).
      iterations: (n,), of the whole walk, where there is one.
      step: (n,), the last step of each, which estimates the error before it, beside the size of
        the guess or of the solution.
      residual: (n,), the largest of the discretised equations at the end.
      size: N, of the discretisation.
    """

    solution: Callable[[np.ndarray], np.ndarray]
    iterations: Int[np.ndarray, " n"]
    step: Float[np.ndarray, " n"]
    residual: Float[np.ndarray, " n"]
    size: int

    def read(
        self,
        factor: Callable[[np.ndarray], np.ndarray],
        places: Callable[[np.ndarray], np.ndarray],
    ) -> "Found":
        """The same of factor(x) u(places(x)), as where u is known on a part by symmetry."""
        return dataclasses.replace(self, solution=lambda x: factor(x) * self.solution(places(x)))

    def checked(self, lam: Any) -> Callable[[np.ndarray], np.ndarray]:
        """The solution.

        Raises:
          RunError: the method did not converge for all functions.
        """
        worst = float(np.max(self.step))
        if not worst < _ENOUGH:
            raise RunError(
                f"the reference's Newton iteration stalled at s={lam.s:g}, eps={lam.eps:g} "
                f"(last step {worst:.1e}, N={self.size})"
            )
        return self.solution


def size_of(guess: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """The largest value of each, which a step is measured by; 1 where all are 0."""
    size = np.abs(guess).max(axis=1)
    return np.where(size > 0, size, 1.0)


def iterate(
    equations: Callable[[Array], tuple[Array, Array]], u: Array, small: Any = SMALL
) -> tuple[Array, Array, Array, Array]:
    """Newton's method for one function, from u (k,).

    Args:
      equations: gives their values (k,), which should vanish, and the Jacobian's inverse times
        these.
      u: the guess.
      small: ends it, once no unknown changes by more.

    Returns:
      The last iterate, its largest change in the last step, the number of steps, and the largest
      equation.
    """

    def unfinished(carry: Any) -> Array:
        _, step, count = carry
        return (step > small) & (count < STEPS)

    def improve(carry: Any) -> Any:
        u, _, count = carry
        _, step = equations(u)
        size = jnp.max(jnp.abs(step))
        # Damping: no unknown moves in one step by more than the largest, or by more than one.
        most = jnp.maximum(1.0, jnp.max(jnp.abs(u)))
        return u - step / jnp.maximum(1.0, size / most), size, count + 1

    start = (u, jnp.asarray(jnp.inf, u.dtype), jnp.asarray(0))
    u, size, count = jax.lax.while_loop(unfinished, improve, start)
    return u, size, count, jnp.max(jnp.abs(equations(u)[0]))
