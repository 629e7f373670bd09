"""Examples of a law, in splits, and the name and version of the datasets that keep them."""

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient
from hop.laws import Law
from hop.laws.gaussian_field import GaussianField

NAME, VERSION = "grf_burgers", "1.0.0"
SPLITS = {"train": 10_000, "validation": 1_000, "test": 1_000}
BLOCK = 500  # examples that are drawn at once


def examples(law: Law, split: str, start: int, stop: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Examples start … stop − 1 of a split, each a function of (law, seed, split, index) alone.

    Returns:
      "coefficients" (n, K) and "values" (n, m) at the law's sensors, float64.
    """
    with ambient.on_cpu():
        root = jax.random.fold_in(ambient.key(seed), list(SPLITS).index(split))
        keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.arange(start, stop))
        coefficients = np.asarray(jax.vmap(lambda key: law.sample(key, 1).coefficients[0])(keys))
        if isinstance(law, GaussianField):
            return {"coefficients": coefficients, "values": _summed(law, coefficients)}
        # One after the other, so that no example depends on its neighbours.
        values = jax.lax.map(lambda c: law.values(law.field(c[None]))[0], jnp.asarray(coefficients))
        return {"coefficients": coefficients, "values": np.asarray(values)}


def _summed(law: GaussianField, coefficients: np.ndarray) -> np.ndarray:
    """Values at the sensors, summed term by term in a fixed order: those of one row alone."""
    mean = np.asarray(law.values(law.field(jnp.zeros((1, law.size)))))
    waves = np.asarray(law.values(law.field(jnp.eye(law.size)))) - mean
    out = np.empty((len(coefficients), law.width))
    for first in range(0, len(coefficients), BLOCK):
        values = np.zeros_like(out[first : first + BLOCK])
        part = coefficients[first : first + BLOCK]
        for wave, column in zip(waves, part.T, strict=True):
            values += column[:, None] * wave[None, :]
        out[first : first + BLOCK] = values + mean
    return out
