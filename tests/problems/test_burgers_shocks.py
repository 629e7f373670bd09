"""Burgers by smooth branches: the rule of Cole and Hopf, the jets of its lift, and the check."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz, columns
from hop.errors import UserError
from hop.networks.fno import FNO
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam
from hop.problems.burgers_shocks import BurgersShocks

PROBLEM = BurgersShocks(branches=3)
NETWORKS = [
    NonlinearDeepONet((8,), (8,), 4, channels=3, decoder=(6, 5)),
    FNO(width=4, layers=1, trunk=(6,), rank=4, channels=3, decoder=(6,)),
]


@functools.cache
def made(index):
    ansatz = Ansatz(PROBLEM, NETWORKS[index], harmonics=2)
    params = jax.tree.map(lambda leaf: leaf + 0.1, ansatz.init(jax.random.key(0)))
    law = PROBLEM.inputs["u0"]
    values = law.values(law.sample(jax.random.key(1), 2))
    return ansatz, params, ansatz.inputs({"u0": jnp.asarray(values)})


@pytest.mark.parametrize("index", range(len(NETWORKS)))
def test_u_and_the_residual_are_those_of_the_soft_minimum(index, float64):
    """φ itself, differentiated by nested forward mode, against the branches one by one."""
    ansatz, params, inputs = made(index)
    lam, n = Lam(0.0, 0.02), 1
    x = jax.random.uniform(jax.random.key(2), (5, 2))
    alone = jax.tree.map(lambda leaf: leaf[n : n + 1], inputs)
    u0 = PROBLEM.inputs["u0"].field(alone["u0"].coefficients)
    k = 2 * np.pi * np.arange(1, 65)
    cosines, sines = jnp.split(u0.coefficients, 2, axis=1)
    integral = PROBLEM.inputs["u0"].field(
        jnp.concatenate([-sines / k[None], cosines / k[None]], axis=1)
    )

    def phi(p):
        N = ansatz.outputs(params, alone, p[None], lam, ("",))[""][:, 0, 0]
        psi = integral(p[None])[0, 0] + p[1] * N
        return -2 * lam.eps * jnp.log(jnp.mean(jnp.exp(-psi / (2 * lam.eps))))

    slopes = jax.jit(jax.vmap(jax.grad(phi)))(x)
    bends = jax.jit(jax.vmap(jax.hessian(phi)))(x)
    u = jax.jit(ansatz.jet, static_argnums=4)(params, inputs, x, lam, ("", "x", "t"))
    np.testing.assert_allclose(u[""][n], slopes[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(u["x"][n], bends[:, 0, 0], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(u["t"][n], bends[:, 0, 1], rtol=1e-8, atol=1e-10)
    over_space = jax.jit(ansatz.jet, static_argnums=4)(params, inputs, x, lam, ("xx", "∇", "Δ"))
    np.testing.assert_allclose(over_space["∇"][0], u["x"], rtol=1e-12)
    np.testing.assert_allclose(over_space["Δ"], over_space["xx"], rtol=1e-9, atol=1e-10)
    h = jax.jit(ansatz.residual)(params, inputs, x, lam)[n]
    exact = slopes[:, 1] + slopes[:, 0] ** 2 / 2 - lam.eps * bends[:, 0, 0]
    np.testing.assert_allclose(h, exact, rtol=1e-8, atol=1e-10)
    assert np.abs(h).max() > 1e-2


@pytest.mark.parametrize("eps", [0.1, 1e-3])
def test_two_straight_branches_are_a_wave(eps, float64):
    """ψ = u± x − ½ u±² t: together c − a tanh(a(x − ct)/2ε), a shock, and the residual is zero."""
    x = jax.random.uniform(jax.random.key(0), (50, 2), minval=0.1)
    at, t = columns(x), x[:, 1]
    zero = {"u0": {label: jnp.zeros((1, 50)) for label in ("", "x")}}
    lam, two = Lam(0.0, eps), BurgersShocks(branches=2)
    states = jnp.array([0.9, -0.1])[:, None, None]
    psi = states * (x[:, 0] - 0.5)[None, None] - states**2 / 2 * t[None, None]
    N = {"": psi / t[None, None], "x": states / t[None, None], "xx": 0 * psi}
    N["t"] = (-(states**2) / 2 - N[""]) / t[None, None]
    h = two.reduced_residual(N, at, zero, lam)
    np.testing.assert_allclose(h, 0, atol=1e-13)
    u = two.lift(N[""], at, {"u0": zero["u0"][""]}, lam, N["x"])
    wave = 0.4 - 0.5 * jnp.tanh(0.5 * (x[:, 0] - 0.5 - 0.4 * t) / (2 * eps))
    np.testing.assert_allclose(u[0], wave, atol=1e-12)


def test_it_starts_at_its_input_and_is_periodic(float64):
    ansatz, params, inputs = made(0)
    x = jnp.linspace(0.0, 1.0, 9)
    start = ansatz.jet(params, inputs, jnp.stack([x, 0 * x], axis=1), Lam(0.0, 1e-3), ("",))[""]
    u0 = PROBLEM.inputs["u0"].field(inputs["u0"].coefficients)
    np.testing.assert_allclose(start, u0(x), atol=1e-12)
    ends = [
        ansatz.jet(params, inputs, jnp.stack([0 * x + end, x], axis=1), Lam(0.0, 1e-3), ("",))[""]
        for end in (0.0, 1.0)
    ]
    np.testing.assert_allclose(*ends, atol=1e-11)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UserError, match="branches=1 must be at least 2"):
        BurgersShocks(branches=1)
    with pytest.raises(UserError, match="conditions_by='loss' is not known"):
        BurgersShocks(conditions_by="loss")
