"""The gauge finds the slow mode's σ, the error that a residual hides, and where it cannot know."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop.derivatives import jet
from hop.fields import RANDOM_FIELDS, Field
from hop.operators import Operator
from hop.problems import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.references.chebyshev import integration_matrix, lobatto


class FreeAllenCahn(AllenCahn1D):
    def lift(self, network, x, a):
        return network


class FreeBurgers(BurgersSteady):
    def lift(self, network, x, a):
        return network


PROBLEMS = {"allen-cahn": FreeAllenCahn(), "burgers": FreeBurgers()}


@dataclasses.dataclass(frozen=True)
class Polynomial:
    """A network that is the Chebyshev series of its parameters: {"c": (n, K)}."""

    def init(self, key, dim, sensors):
        raise NotImplementedError

    def features(self, params, values, y, labels):
        c = params["c"]

        def series(points):  # Clenshaw's recurrence
            zero = jnp.zeros((c.shape[0], points.shape[0]), points.dtype)

            def step(carry, ck):
                one, two = carry
                return (ck[:, None] + 2 * points[:, 0][None, :] * one - two, one), None

            (one, two), _ = jax.lax.scan(step, (zero, zero), c.T[:0:-1])
            return (c[:, :1] + points[:, 0][None, :] * one - two).T

        return {k: v.T[None] for k, v in jet(series, y, labels).items()}

    def decode(self, params, features, y, a):
        return features[0]


def operator(name, eps, extra=None, degree=None, s=0.0, field=None):
    """The reference solution, plus `extra`(x), as a trained operator; its sensor values."""
    problem, lam = PROBLEMS[name], Lam(s, eps)
    degree = degree or 100 + math.ceil(6 / eps)
    x = lobatto((0.0, 1.0), degree)
    u0 = None
    if problem.random_field is not None:
        field = field or Field(np.zeros((1, 64)), "sine")
        with jax.enable_x64(True):
            u0 = np.asarray(field(jnp.asarray(problem.random_field.sensors)))
    u = problem.reference(field, x[:, None], lam)
    u = u + (0 if extra is None else extra(x))
    c = np.polynomial.chebyshev.chebfit(2 * x - 1, u.T, degree).T
    return Operator(hop.ansatz.Ansatz(problem, Polynomial()), {"c": c}, lam), u0
