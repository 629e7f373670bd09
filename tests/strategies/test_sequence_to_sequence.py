"""Time marching, and what it refuses."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Heat, with_strategy

import hop
from hop import config as config_lib
from hop import plotting
from hop.ansatz import Ansatz
from hop.domain import Box
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.strategies.sequence_to_sequence import SequenceToSequence
from hop.training import train


def marching(tiny_mlp, **options):
    """Two windows of length ½ by Levenberg–Marquardt; the path's first place is passed over."""
    config = tiny_mlp(
        path__eps=(0.5, 0.1), mesh__function=1, mesh__point=-1, train__precision="float64",
        train__steps=30, train__dispatch=1, train__points=80,
        network__widths=(10, 10),
    )  # fmt: skip
    options = {"horizon": 1.0, "windows": 2} | options
    values = config_lib.to_json(with_strategy(config, "sequence_to_sequence", **options))
    return config_lib.parse(values | {"solver": {"name": "levenberg_marquardt"}})


def test_time_marching_converges_to_the_exact_evolution(tiny_mlp, tmp_path, listener, replace):
    problem, config = Heat(), replace(marching(tiny_mlp), problem={})
    records = train(config, tmp_path / "w", listener(), problem=problem)
    assert [(r["s"], r["eps"]) for r in records] == [(0.0, 0.1)] * 2
    x, bound = np.linspace(0, 1, 101)[:, None], 0.0
    for k, record in enumerate(records):
        left = math.exp(-0.1 * math.pi**2 * 0.5 * (k + 1))  # of the transient
        u = hop.load(tmp_path / "w", stage=k, problem=problem)
        exact = 0.5 * (1 + left) * np.sin(math.pi * x[:, 0])
        # The energy estimate ‖e(t)‖ ≤ ‖e(0)‖ + √t ‖H‖ in L2, 2 for the points' quadrature.
        bound += 2 * (math.sqrt(2 * record["initial"]) + 0.5 * math.sqrt(2 * record["residual"]))
        error = math.sqrt(np.mean((u(x) - exact) ** 2))
        assert error < bound < 1e-2, (k, error, bound)
        # u(·, end) beside the steady state ½ sin πx: what is left, in the L2RE and the loss.
        assert record["l2re"] == pytest.approx(left, abs=2e-3)
        assert record["loss"] == pytest.approx(
            0.5 * 0.5 * (0.5 * left * 0.1 * math.pi**2) ** 2, rel=0.05
        )
    assert u.lam == Lam(0.0, 0.1)
    np.testing.assert_array_equal(hop.load(tmp_path / "w", eps=0.1, problem=problem)(x), u(x))


def test_a_windows_answer_is_the_trained_function_at_its_end():
    """Value and derivatives, with an input function and a symmetry that reflects the points."""
    ansatz = Ansatz(BurgersSteady("unit", symmetry="odd"), DeepONet((8,), (8,), 4))
    trained, answer = SequenceToSequence(horizon=3.0, windows=2).trained(ansatz)
    lam = Lam(0.2, 0.1)

    def both(key):
        params, again = trained.init(key), answer.init(key)
        inputs = trained.inputs({"u0": jax.random.normal(key, (3, 128))})
        x = jnp.linspace(0.1, 0.9, 7)[:, None]
        at_end = jnp.concatenate([x, jnp.full_like(x, 1.5)], axis=1)
        jets, same = trained.jet(params, inputs, at_end, lam), answer.jet(again, inputs, x, lam)
        one = trained.residual(params, inputs, at_end, lam)
        two = jets["t"] + answer.residual(params, inputs, x, lam)
        return {label: jets[label] for label in same} | {"H": one}, same | {"H": two}

    with jax.enable_x64(True):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11),
            *jax.jit(both)(jax.random.key(0)),
        )


def test_time_marching_of_an_operator_answers_in_space_and_is_drawn(tiny, tmp_path, listener):
    config = tiny(train__steps=10, train__validation=2)
    config = with_strategy(config, "sequence_to_sequence", windows=2)
    records = train(config, tmp_path / "w", listener())
    assert records[1]["initial"] > 0
    op = hop.load(tmp_path / "w")
    assert op(np.zeros((2, 128)), np.array([[0.0], [0.5]])).shape == (2, 2)
    assert plotting.path(str(tmp_path / "w")).stat().st_size > 10_000


class WithLaplacian(Heat):
    derivatives = ("", "Δ")

    def residual(self, u, x, a, lam):
        return super().residual(u | {"xx": u["Δ"]}, x, a, lam)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "AllenCahn1D has no method `initial`; use strategy.name=curriculum"),
        ({"windows": 0}, "config.strategy.windows=0 must be at least 1"),
        ({"horizon": 0.0}, "config.strategy.horizon=0.0 must be positive"),
        ({"initial": 0.0}, "config.strategy.initial=0.0 must be positive"),
    ],
)
def test_what_time_marching_cannot_serve_is_refused(tiny_mlp, options, words):
    with pytest.raises(hop.UserError, match=words):
        config_lib.build(marching(tiny_mlp, **options))


def test_time_marching_takes_a_laplacian_over_space_alone():
    """Of what is trained, a function of x and t, and of its end, a function of x."""
    march, lam, found = SequenceToSequence(windows=2), Lam(0.2, 0.1), []
    with jax.enable_x64(True):
        for problem in (Heat(), WithLaplacian()):
            for ansatz in march.trained(Ansatz(problem, MLP((8, 8)))):
                params = ansatz.init(jax.random.key(0))
                x = jax.random.uniform(jax.random.key(1), (7, ansatz.problem.domain.dim))
                found.append(ansatz.residual(params, {}, x, lam))
    assert np.abs(found[0]).max() > 1e-2
    np.testing.assert_allclose(found[2:], found[:2], rtol=1e-11, atol=1e-11)


@dataclasses.dataclass(frozen=True)
class Ring(BurgersSteady):
    """The same on a circle, where the decoder of what answers sees no plain coordinate but t."""

    domain = Box((0.0,), (1.0,), periodic=("x",))


def test_a_windows_answer_on_a_circle_has_the_parameters_that_were_trained():
    network = NonlinearDeepONet((4,), (4,), 2, channels=2, decoder=(4,))
    pair = SequenceToSequence(windows=2).trained(Ansatz(Ring("unit"), network))
    trained, answer = (jax.eval_shape(ansatz.init, jax.random.key(0)) for ansatz in pair)
    assert trained == answer
