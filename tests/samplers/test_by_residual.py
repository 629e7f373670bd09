"""Points are drawn by the residual."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from hop.domain import Box
from hop.samplers.by_residual import ByResidual
from hop.samplers.uniform import Uniform


class Even(Uniform):
    """Candidates at equal distances, so that their shares are known."""

    def points(self, key, count, domain):
        return domain.from_unit(jnp.linspace(0, 1, count)[:, None])


def drawn(sampler, count, residual):
    """The points (count,) of one step."""
    key, domain = jax.random.key(0), Box((0.0,), (1.0,))

    def last(points, labels):
        raise AssertionError("the last stage's network has no say")

    pool = sampler.pool(key, count, domain, residual)
    assert pool.x.shape == (sampler.ratio * count, 1)
    return np.asarray(sampler.draw(key, count, domain, last, pool).x)[:, 0]


def drawn_share(density, share, pool, count):
    """The share of points drawn from a part of the pool, by its p and that of the rest.

    Candidates with independent exponential waiting times of rates p come in the order of drawing
    without replacement, so up to the time τ of the last point drawn a share 1 − exp(−pτ) has come.
    """
    sizes = pool * count * np.array([share, 1 - share])

    def come(tau):
        return sizes * -np.expm1(-tau * np.array(density))

    tau = brentq(lambda t: come(t).sum() - count, 0, 100)
    return come(tau)[0] / count


@pytest.mark.parametrize(
    ("pool", "power", "floor"), [(20, 1.0, 1.0), (4, 1.0, 1.0), (20, 2.0, 0.0)]
)
def test_points_are_drawn_by_the_residual(pool, power, floor):
    """|H| is 3 on a tenth of the interval and 1 elsewhere: p is known, so is its share."""
    count, high = 2000, 0.1

    def residual(x):
        return jnp.where(x[:, 0] < high, -3.0, 1.0)[None, :]

    points = drawn(ByResidual(Even(), pool, power, floor), count, residual)
    assert len(np.unique(points)) == count
    mean = high * 3**power + (1 - high)
    density = 3**power / mean + floor, 1 / mean + floor
    expected = drawn_share(density, high, pool, count)
    # Hoeffding's bound, which holds for draws without replacement too, at 1 in 10,000.
    assert np.mean(points < high) == pytest.approx(
        expected, abs=math.sqrt(math.log(2e4) / (2 * count))
    )
    if pool == 20:  # by then little is lost to replacement
        exact = high * density[0] / (high * density[0] + (1 - high) * density[1])
        assert expected == pytest.approx(exact, abs=0.03)


def test_nothing_to_prefer_is_drawn_evenly():
    for floor in (0.0, 1.0):
        points = drawn(ByResidual(Even(), 4, 1.0, floor), 10, lambda x: jnp.zeros((2, len(x))))
        assert len(np.unique(points)) == 10
