"""The tangent of the path, and the weights of all terms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage, View
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.initial import Initial
from hop.homotopy.terms.pinned import Pinned
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.slow import Slow
from hop.homotopy.terms.tangent import Tangent, tangent
from hop.networks.mlp import MLP
from hop.problem import Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.samplers import Points

PROBLEM = BurgersSteady("unit")
X = np.linspace(0.05, 0.95, 11)[None, None, :]


def jets(key, scale=1.0):
    keys = jax.random.split(jax.random.key(key), 3)
    return {
        k: scale * jax.random.normal(q, (2, 11)) for k, q in zip(("", "x", "xx"), keys, strict=True)
    }


def stage(lam, previous):
    return Stage(jnp.int32(1), lam, previous, jnp.float32(1.0))


def seen(u, a, stage):
    """A view of jets that belong to no network."""
    points = Points(jnp.asarray(X[0].T), jnp.ones(11))
    view = View(Ansatz(PROBLEM, MLP()), {}, {}, {}, points, stage)
    vars(view).update(u=u, a=a)  # as the properties keep them
    return view


def test_tangent_row_is_the_papers_times_dp():
    """T/Δp = H_u v + ΔH + H/Δp, each piece computed by itself, for two choices of the parameter."""
    with jax.enable_x64(True):
        u, old, a = jets(0), jets(1), {"u0": jets(2)}
        now, before = Lam(0.3, 0.2), Lam(0.5, 0.4)
        t = tangent(seen(u, a, stage(now, before)), old, a)
        h_now, h_before = (PROBLEM.residual(old, jnp.asarray(X), a, lam) for lam in (now, before))
        for dp in (now.s - before.s, 17.0):
            v = {k: (u[k] - old[k]) / dp for k in u}
            # H_u v by hand: (1 − s)(v u_x + u v_x − ε v_xx) + s v
            s, eps = before
            linear = (1 - s) * (v[""] * old["x"] + old[""] * v["x"] - eps * v["xx"]) + s * v[""]
            papers = linear + (h_now - h_before) / dp + h_before / dp
            np.testing.assert_allclose(t, dp * papers, rtol=1e-12, atol=1e-12)


def test_tangent_row_misses_the_residual_at_second_order():
    """With u − u_{k−1} and Δλ of size h, T − H(u, λ_k) is O(h²)."""
    with jax.enable_x64(True):
        old, change, a = jets(1), jets(3), {"u0": jets(2)}

        def gap(h):
            u = {k: old[k] + h * change[k] for k in old}
            now, before = Lam(0.5 - 0.2 * h, 0.4 - 0.1 * h), Lam(0.5, 0.4)
            t = tangent(seen(u, a, stage(now, before)), old, a)
            return float(jnp.max(jnp.abs(t - PROBLEM.residual(u, jnp.asarray(X), a, now))))

        slope = math.log2(gap(2e-3) / gap(1e-3))
        assert slope == pytest.approx(2.0, abs=0.02)


def weights(terms, follows, done=0.0):
    """The weights of some terms by their names, in a stage that follows another (1) or not (0)."""
    at = stage(Lam(0.0, 0.1), Lam(0.0, 0.2))._replace(follows=jnp.float32(follows))
    points = Points(jnp.asarray(X[0].T), jnp.ones(11))
    loss = Loss(terms, Ansatz(PROBLEM, MLP()), {}, {}, points, at, jnp.float32(done))
    return {name: float(value) for name, value in loss.weights.items()}


def test_weights_of_the_loss():
    sizes = {"residual": 2.0, "tangent": 8.0, "condition": 0.0}

    def total(terms, follows=1.0, done=0.0):
        factors = weights(terms, follows, done)
        return sum(factors[name] * sizes[name] for name in factors)

    fading = (Residual(1.0), Tangent(0.5, 0.5))
    assert total(fading) == pytest.approx(2 + 0.5 * 8)
    assert total(fading, done=0.25) == pytest.approx(2 + 0.25 * 8)
    assert total(fading, done=0.9) == pytest.approx(2)
    only = (Residual(0.0), Condition(0.0), Tangent(1.0, math.inf))
    assert total(only, done=0.9) == pytest.approx(8)
    assert total(only, follows=0.0) == pytest.approx(2)  # no predecessor: the residual serves


@pytest.mark.parametrize("follows", [0.0, 1.0])
def test_a_weight_serves_every_stage(follows):
    """Of the terms, the tangent alone depends on whether a stage has a predecessor."""
    terms = (Residual(2.0), Condition(3.0), Tangent(0.5), Slow(4.0), Initial(5.0), Pinned())
    assert weights(terms, follows) == {
        "residual": 2, "condition": 3, "tangent": 0.5 * follows, "slow": 4, "initial": 5, "pin": 1
    }  # fmt: skip
