"""Pins: what they leave the residual, and the place and pull of a front."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FRONT, Free, Front, front

from hop.ansatz import Ansatz
from hop.homotopy import pin as pinning
from hop.problem import Lam

pytestmark = pytest.mark.usefixtures("float64")


@dataclasses.dataclass(frozen=True)
class Forced(Free):
    """Pushed sideways everywhere alike, or only stretched, by a force at the front."""

    sideways: bool = True

    def residual(self, u, x, a, lam):
        force = 1 - u[""] ** 2
        return super().residual(u, x, a, lam) + 1e-3 * force * (1 if self.sideways else u[""])


def test_a_pin_leaves_the_residual_only_what_it_can_decide():
    lam = Lam(0.0, 0.05)
    pin = pinning.pin(FRONT, front(0.5, 0.05), lam, lam, shift=0.02)
    x, places = (jnp.asarray(p) for p in (FRONT.problem.domain.grid(60), pinning.grid(Free())))
    rows = np.random.default_rng(0).standard_normal((3, 60))
    kept = np.asarray(pin.project(jnp.asarray(rows), x, places))
    psi = np.interp(x[:, 0], places[:, 0], pin.psi)
    np.testing.assert_allclose(kept @ psi, 0, atol=1e-12)
    np.testing.assert_allclose(pin.project(jnp.asarray(kept), x, places), kept, atol=1e-12)
    off = pinning.off()
    np.testing.assert_array_equal(off.project(jnp.asarray(rows), x, places), rows)

    def missed(place, width):
        u = FRONT.jet(front(place, width), {}, places, lam, ())[""]
        assert float(off.row(u)[0, 0]) == 0
        return abs(float(pin.row(u)[0, 0]))

    # The front is asked for at 0.52, whatever its width: u − û is odd there.
    assert missed(0.52, 0.05) < 1e-9
    assert missed(0.52, 0.04) < 1e-9
    assert missed(0.50, 0.05) > 1e-2


@pytest.mark.parametrize("moved", [0.0, 0.003, -0.03])
def test_the_shift_of_a_front_is_measured_while_it_sharpens(moved):
    last, lam = Lam(0.0, 0.06), Lam(0.0, 0.05)
    found = pinning.shift(FRONT, front(0.55, 0.06), front(0.55 + moved, 0.05), last, lam)
    assert found == pytest.approx(moved, abs=1e-8)


def test_the_multiplier_tells_a_front_that_wants_to_move():
    """The front solves the equation without the force; only the sideways one acts on its place."""
    for sideways in (True, False):
        pushed = Ansatz(Forced(sideways=sideways), Front())
        c, rest = pinning.multiplier(pushed, front(0.5, 0.05), Lam(0.0, 0.05))
        assert (c > 10 * rest) if sideways else (rest > 10 * c)
