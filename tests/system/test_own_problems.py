"""The examples of problems of one's own: short files that reach small errors at small budgets."""

import dataclasses
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Listener

import hop
from hop import ambient, training
from hop import config as config_lib
from hop.problem import Lam, reference

EXAMPLES = Path(hop.__file__).parents[1] / "examples"
# What of their configs is smaller here, and the L2RE that the last stage reaches at least.
SMALL = {
    "robin": ({"path.eps": (0.05,), "train.functions": 32, "train.points": 64}, 1e-2),
    "convection_diffusion": ({"path.eps": (0.1, 1e-3), "train.steps": 300}, 0.02),
    "darcy": ({"train.steps": 300, "train.functions": 8, "train.points": 100}, 0.25),
    "fitzhugh_nagumo": (
        {"path.eps": (0.03,), "train.steps": 200, "train.functions": 8, "train.points": 50},
        0.3,
    ),
}


@pytest.fixture(scope="module", autouse=True)
def as_users_have_it():
    """A problem of one's own may leave broadcasting to JAX, whose default is to do it."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def example(name):
    """The module, its config made smaller, and its problem."""
    module = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    skin = module["get_config"]()
    skin.train.update(validation=5)
    for field, value in SMALL[name][0].items():
        group, key = field.split(".")
        skin[group][key] = value
    (problem,) = (
        v for v in module.values()
        if isinstance(v, type) and issubclass(v, hop.Problem) and v is not hop.Problem
    )  # fmt: skip
    return module, config_lib.parse(skin.to_dict()), problem()


@pytest.mark.parametrize(
    "name",
    [name if name == "convection_diffusion" else pytest.param(name, marks=pytest.mark.slow)
     for name in SMALL],
)  # fmt: skip
def test_an_example_is_short_and_reaches_a_small_error(name, tmp_path):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 60
    _, config, problem = example(name)
    *_, record = training.train(config, tmp_path / "w", Listener(), problem)
    assert record["l2re"] < SMALL[name][1]


def test_a_layer_in_the_ansatz_is_worth_it(tmp_path):
    """Without it, at the same budget, the error is that of a solution that misses the layer."""
    _, config, problem = example("convection_diffusion")

    @dataclasses.dataclass(frozen=True)
    class Plain(hop.Problem):
        domain, derivatives, inputs = problem.domain, problem.derivatives, problem.inputs
        residual = type(problem).residual
        reference = type(problem).reference

        def lift(self, network, x, a, lam):
            return x[0] * (1 - x[0]) * network

    *_, record = training.train(config, tmp_path / "w", Listener(), Plain())
    assert record["l2re"] > 0.2


def test_references_of_the_examples_converge():
    """That of the layer against its closed form, those by discretisation against finer ones."""
    *_, layer = example("convection_diffusion")
    law = layer.inputs["f"]
    one = {"f": law.field(jnp.eye(law.size)[:1])}  # f = 1
    x = np.linspace(0, 1, 41)[:, None]
    for eps in (1.0, 1e-2, 1e-4):
        low = np.exp(-1 / eps)
        exact = x.T - (np.exp((x.T - 1) / eps) - low) / (1 - low)
        np.testing.assert_allclose(reference(layer, one, x, Lam(0, eps)), exact, atol=1e-8)
    module, _, waves = example("fitzhugh_nagumo")
    law, spectral = waves.inputs["u0"], module["spectral"]
    start = law.sample(jax.random.key(0), 2)
    x = waves.domain.grid(17, 4)
    coarse = reference(waves, {"u0": start}, x, Lam(0, 0.01))
    with ambient.on_cpu():
        fine = spectral.solve(
            module["reactions"],
            lambda w: np.stack([-0.01 * w**2, 0 * w]),
            (start, law.field(0 * start.coefficients)),
            *x.T,
            *np.full((2, 2), [[192], [800]]),
        )
    np.testing.assert_allclose(coarse, fine, atol=2e-5)
    assert np.abs(coarse[1]).max() > 0.1
    module, _, flow = example("darcy")
    kappa = {"kappa": flow.inputs["kappa"].sample(jax.random.key(0), 1)}
    x = flow.domain.grid(9)
    finer = module["chebyshev_2d"].solve(flow, Lam(0, 1.0), flow.domain, 0.0, 28, a=kappa)(x)
    coarse = reference(flow, kappa, x, Lam(0, 1.0))
    np.testing.assert_allclose(coarse, finer, atol=1e-4 * np.abs(finer).max())
