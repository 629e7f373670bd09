"""What several files of tests share: a small loss, a front, an evolution, configs of strategies."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from hop import config as config_lib
from hop.ansatz import Ansatz
from hop.derivatives import jet
from hop.domain import Box
from hop.homotopy import pin as pinning
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.residual import Residual
from hop.networks.mlp import MLP
from hop.problem import Lam, Problem
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.samplers import Points
from hop.samplers.stratified import Stratified

PLAIN = (Residual(), Condition())


def small_loss(problem, terms=PLAIN, lam=0.3, previous=0.4, pinned=False, q=12, seed=0):
    """The loss of a small network at its anchor, and parameters near by."""
    ansatz = Ansatz(problem, MLP((6, 5)))
    anchor = ansatz.init(jax.random.key(seed))
    params = jax.tree.map(lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size).reshape(a.shape)), anchor)
    points = Points(Stratified().points(jax.random.key(1), q, problem.domain), jnp.ones(q))
    here, before = (Lam(jnp.float64(0), jnp.float64(e)) for e in (lam, previous))
    pin = pinning.pin(ansatz, anchor, before, here, 0.01) if pinned else None
    stage = Stage(jnp.int32(1), here, before, jnp.float64(1), pin)
    return Loss(terms, ansatz, anchor, {}, points, stage), params


@dataclasses.dataclass(frozen=True)
class Front:
    """A network that is the front tanh((x − c)/(√2 w)) of its parameters."""

    def init(self, key, dim, sensors, outputs=1, plain=None):
        return {"c": jnp.float64(0.5), "w": jnp.float64(0.05)}

    def features(self, params, values, y, labels, embed=None):
        def front(points):
            x = (embed(points)[:, 0] + 1) / 2
            return jnp.tanh((x - params["c"]) / (math.sqrt(2) * params["w"]))

        return {k: v[None, None] for k, v in jet(front, y, labels).items()}

    def decode(self, params, features, y, a):
        return features[0]


class Free(AllenCahn1D):
    def lift(self, network, x, a, lam):
        return network


FRONT = Ansatz(Free(), Front())


def front(place, width):
    """The parameters of `Front`."""
    return {"c": jnp.float64(place), "w": jnp.float64(width)}


@dataclasses.dataclass(frozen=True)
class Heat(Problem):
    """u_t − ε u_xx = ½ ε π² sin πx from u₀ = sin πx: u = ½ (1 + exp(−ε π² t)) sin πx."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")

    def initial(self, x, a):
        return jnp.sin(math.pi * x[0])

    def residual(self, u, x, a, lam):
        heat = -lam.eps * u["xx"] - 0.5 * lam.eps * math.pi**2 * self.initial(x, a)
        return (1 - lam.s) * heat + lam.s * (u[""] - self.initial(x, a))

    def lift(self, network, x, a, lam):
        return x[0] * (1 - x[0]) * network

    def reference(self, a, x, lam):
        return 0.5 * np.sin(math.pi * x.T)


def with_strategy(config, name, **options):
    values = config_lib.to_json(config) | {"strategy": {"name": name, **options}}
    return config_lib.parse(values)


def continuation(tiny_mlp, **overrides):
    """A config of predictor–corrector continuation, small."""
    values = config_lib.to_json(tiny_mlp())
    values["strategy"] = {"name": "predictor_corrector"}
    values["solver"] = {"name": "levenberg_marquardt"}
    values["train"] |= {
        "precision": "float64", "steps": 12, "dispatch": 1, "patience": 3,
        "min_fall": 0.1, "points": 48,
    }  # fmt: skip
    for key, value in overrides.items():
        group, _, field = key.partition("__")
        values[group][field] = value
    return config_lib.parse(values)
