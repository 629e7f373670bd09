"""The laws that have a dataset, described in data/grf_burgers/README.md."""

import dataclasses

from hop.domain import Box
from hop.laws.gaussian_field import GaussianField


def _named() -> dict[str, GaussianField]:
    power, interval = GaussianField.power, Box((0.0,), (1.0,))
    paper = power(interval, "zero", 49.0**2, 49.0, 4.0, sensors=128, modes=64, name="paper")
    unit = dataclasses.replace(paper, name="unit", variance=49.0**2 / paper.scale**2)
    periodic = power(
        interval, "periodic", 25.0**4, 25.0, 4.0, sensors=101, modes=64, name="periodic"
    )
    return {law.name: law for law in (paper, unit, periodic)}


NAMED = _named()
