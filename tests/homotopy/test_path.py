"""The path through (s, ε): its places, its steps, and what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hop
from hop import config as config_lib
from hop.errors import RunError, UserError
from hop.homotopy.path import Path
from hop.problem import Lam

# Millionths: places that only rounding tells apart have none between them.
PLACES = st.lists(st.integers(10**4, 10**6), min_size=2, max_size=5, unique=True).map(
    lambda values: tuple(Lam(0.0, n / 1e6) for n in sorted(values, reverse=True))
)


@given(PLACES, st.lists(st.booleans(), max_size=30))
def test_adaptive_path_hits_every_place_whatever_fails(places, outcomes):
    path = Path(places, adaptive=True, smallest_step=0.0)
    position, visited, outcomes = path.start(), [], iter(outcomes)
    while (t := path.propose(position)) is not None:
        lam = path.at(t)
        if position.t >= 0 and next(outcomes, False):
            position = path.reject(position, "test")
            continue
        visited.append(lam)
        position = path.accept(position)
    assert [lam for lam in visited if lam in places] == list(places)
    eps = [lam.eps for lam in visited]
    assert eps == sorted(eps, reverse=True)


def test_steps_halve_double_and_end():
    path = Path((Lam(0.0, 1.0), Lam(0.0, 0.01)), adaptive=True, smallest_step=0.25)
    position = path.accept(path.start())
    assert path.at(path.propose(position)) == Lam(0.0, 0.01)
    position = path.reject(position, "test")
    assert path.at(path.propose(position)).eps == pytest.approx(0.1)  # geometric midpoint
    position = path.accept(path.reject(position, "test"))
    assert (position.t, position.step) == (0.25, 0.5)
    with pytest.raises(RunError, match="smallest step"):
        path.reject(path.reject(position, "test"), "test")
    fixed = Path(path.places)
    with pytest.raises(RunError, match="earlier stages are kept"):
        fixed.reject(fixed.accept(fixed.start()), "test")


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], "empty"),
        ([(0.0, 0.0)], "must be positive"),
        ([(0.0, -0.1)], "must be positive"),
        ([(0.0, math.nan)], "must be positive"),
        ([(0.0, 0.1), (0.0, 0.2)], "increases"),
        ([(0.1, 0.2), (0.5, 0.2)], "increases"),
        ([(1.5, 0.2)], r"\[0, 1\]"),
    ],
)
def test_senseless_paths_are_refused(places, words):
    with pytest.raises(UserError, match=words):
        Path(tuple(Lam(*place) for place in places))


def test_eps_follows_s_down_to_its_target():
    """ε(s) = max(s, target), the target's own s visited; one s serves every ε."""
    path = config_lib.PathConfig(s=(1.0, 0.5, 0.1, 0.0), eps_target=0.2).build()
    assert path.places == tuple(
        Lam(*place) for place in ((1.0, 1.0), (0.5, 0.5), (0.2, 0.2), (0.1, 0.2), (0.0, 0.2))
    )
    path = config_lib.PathConfig(s=(0.1,), eps=(0.5, 0.2)).build()
    assert path.places == (Lam(0.1, 0.5), Lam(0.1, 0.2))


def test_a_config_visits_no_place_twice(tiny):
    with pytest.raises(hop.UserError, match="twice in a row; remove one"):
        config_lib.build(tiny(path__eps=(0.5, 0.3, 0.3)))
