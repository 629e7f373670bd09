"""Samplers: where their points are in a box."""

import jax
import numpy as np
import pytest

from hop.domain import Box
from hop.samplers.grid import Grid
from hop.samplers.stratified import Stratified
from hop.samplers.uniform import Uniform

pytestmark = pytest.mark.usefixtures("float64")

BOX = Box((0.0, -1.0), (2.0, 1.0))


@pytest.mark.parametrize(("sampler", "count"), [(Uniform, 50), (Stratified, 50), (Grid, 49)])
def test_points_are_as_many_as_asked_for_and_in_the_box(sampler, count):
    x = np.asarray(sampler().points(jax.random.key(0), count, BOX))
    assert x.shape == (count, 2)
    assert np.all((x >= BOX.lower) & (x <= BOX.upper))


def test_stratified_points_have_a_slab_each_along_every_axis():
    stratified = np.asarray(Stratified().points(jax.random.key(1), 50, BOX))
    for axis, width in ((0, 2.0), (1, 2.0)):
        slabs = np.floor((stratified[:, axis] - BOX.lower[axis]) / width * 50)
        assert sorted(slabs) == list(range(50))
