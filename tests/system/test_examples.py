"""The examples: what they say is true, and the notebooks hold what the scripts hold."""

import functools
import importlib
import json
import re
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jupytext
import numpy as np
import pytest

import hop
from hop import config as config_lib
from hop.ansatz import Ansatz
from hop.problem import Lam

EXAMPLES = Path(hop.__file__).parents[1] / "examples"
STUDIES = ["uncertainty", "inverse"]
L2RE = 8.3e-4  # mean, by the card of burgers-time


@functools.cache
def run(name, folder, *options):
    """What a script leaves behind: its names and values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        patch.setattr(sys, "argv", [name, f"--output={folder}", *options])
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def uncertainty(folder):
    return run("uncertainty", folder, "--count=200")


@pytest.fixture
def inverse(folder):
    return run("inverse", folder, "--states=3")


def test_the_law_keeps_what_burgers_keeps(uncertainty):
    """E u = 0 by symmetry; E u₀² is the field's; E u² = E ∫u² dx falls with t."""
    u, steepest = uncertainty["found"]
    assert u.shape == (200, 5)
    assert np.all(np.abs(u.mean(axis=0)) < 4 * u.std(axis=0) / np.sqrt(200))
    assert u[:, 0].std() == pytest.approx(uncertainty["law"].scale, rel=4 / np.sqrt(2 * 200))
    assert np.all(np.diff(u.std(axis=0)) < 0)
    assert np.all(steepest > 0)
    assert np.median(steepest[:, 2]) > np.median(steepest[:, 0]), "no state became steeper"


def test_quantities_of_a_sine(uncertainty):
    x = np.arange(128) / 128
    value, slope = uncertainty["quantities"](np.sin(2 * np.pi * (x - 0.3))[None])
    np.testing.assert_allclose(value, np.sin(0.4 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(slope, 2 * np.pi, rtol=1e-4)  # cos(2π/1024) between the points


def test_the_operator_has_the_solver_s_law(uncertainty):
    """On the same states. The bias of u is at most its error in L2, which the card states."""
    (u, steepest), truth = uncertainty["off"], uncertainty["truth"]
    assert np.abs(u.mean()) < L2RE * uncertainty["law"].scale
    assert np.abs(steepest.mean()) < 2 * L2RE * truth[1].mean()
    # Control: other states are not those.
    others = uncertainty["off"] + truth - np.roll(truth, 1, axis=1)
    assert np.all(others.std(axis=1) > 30 * uncertainty["off"].std(axis=1))


def test_the_solver_converges_and_is_as_accurate_as_the_text_says(uncertainty):
    errors = [cost[0] for cost in uncertainty["costs"].values()]
    assert errors[2] < errors[0] < 5e-3, "a dozen modes are more accurate than the operator"
    assert np.all(np.diff(errors[1:]) < 0)
    assert errors[-1] < 1e-5


def test_the_estimate_is_the_most_probable_one(inverse):
    """The gradient vanishes as far as float32 tells; the data narrow the law in no direction."""
    points, sigma = inverse["points"], 0.03 * inverse["law"].scale
    data = inverse["clean"][1] + sigma * inverse["draws"][1]
    z, covariance = inverse["recover"](points, data, sigma)
    at = z.astype(np.float32), points.astype(np.float32)
    slopes, total = np.asarray(inverse["slopes"](*at)), np.hypot(sigma, inverse["MODEL_ERROR"])
    gradient = slopes.T @ (np.asarray(inverse["predict"](*at)) - data) / total**2 + z
    start = slopes.T @ data / total**2
    assert np.linalg.norm(gradient) < 1e-2 * np.linalg.norm(start)
    variances = np.linalg.eigvalsh(covariance)
    assert variances[0] > 0
    assert variances[0] < 1e-2, "nothing was learned"
    assert variances[-1] < 1 + 1e-9, "data made something less certain"


def test_the_operator_s_derivative_is_the_solver_s(inverse):
    """Two independent ways: reverse mode through the network, differences of the march."""
    ours, theirs = inverse["jacobians"]["operator"], inverse["jacobians"]["solver"]
    assert np.linalg.norm(ours - theirs) < 0.05 * np.linalg.norm(theirs)
    other = inverse["differences"](inverse["truths"][1])  # control: the map is not linear
    assert np.linalg.norm(other - theirs) > 0.2 * np.linalg.norm(theirs)


def test_the_initial_state_is_recovered(inverse):
    """Against 1, the error of the law's mean; and the classical solver meets the data."""
    median = {name: np.median(values, axis=0) for name, values in inverse["results"].items()}
    for name, most in (("10 %", 0.3), ("1 %", 0.1), ("0.3 %", 0.05)):
        error, deviation, _, misfit = median[name]
        assert error < most
        assert deviation / 4 < error < 4 * deviation, "the band is not as wide as the error"
        assert 0.7 < misfit < 1.3
    inside = [values[2] for name, values in median.items() if "exchanged" not in name]
    assert np.mean(inside) > 0.7
    assert median["0.3 %"][0] < median["1 %"][0] < median["10 %"][0]


def test_exchanged_data_recover_nothing(inverse):
    error, _, inside, misfit = np.median(inverse["results"]["1 %, exchanged"], axis=0)
    assert error > 0.7
    assert misfit > 10
    assert inside < 0.3


@pytest.mark.parametrize("name", STUDIES)
def test_pictures_are_drawn(name, folder, request):
    request.getfixturevalue(name)
    assert (folder / f"{name}.png").stat().st_size > 20_000


@pytest.mark.parametrize("name", STUDIES)
def test_notebooks_hold_their_scripts_and_were_run(name):
    """Cell by cell; the cells ran once, in order, and none failed or warned."""
    path = EXAMPLES / f"{name}.ipynb"
    assert path.stat().st_size < 300_000
    cells = json.loads(path.read_text())["cells"]
    script = jupytext.read(EXAMPLES / f"{name}.py").cells
    assert [(c["cell_type"], "".join(c["source"])) for c in cells] == [
        (c.cell_type, c.source) for c in script
    ], "make notebooks"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output.get("name", output["output_type"]) for output in outputs} == {
        "stdout",
        "display_data",
    }


def test_the_readme_links_to_them():
    linked = re.findall(r"\]\((examples/[\w.]+)\)", (EXAMPLES.parent / "README.md").read_text())
    problems = [path.name for path in EXAMPLES.glob("*.py") if "hop.Problem" in path.read_text()]
    studies = [f"{name}.{kind}" for name in STUDIES for kind in ("ipynb", "py")]
    names = (*problems, *studies, "find_eps.py")
    assert sorted(set(linked)) == sorted(f"examples/{name}" for name in names)


@pytest.fixture
def small_viscosity(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("small_viscosity")


def test_every_way_to_a_small_viscosity_can_be_built(small_viscosity):
    eps, _ = small_viscosity.WAYS["path"]
    for method in small_viscosity.METHODS.values():
        config = small_viscosity.config(method, eps, method.steps)
        built = config_lib.build(config, **small_viscosity.own(method))
        built.ansatz.check(built)
        assert 0 <= method.steps - 3 * config.train.steps < 3


def test_the_balance_of_a_volume_vanishes_for_a_travelling_wave(small_viscosity):
    """u = c − a tanh(a(x − ct − ½)/2ε); in boxes that do not reach over the end of the circle."""
    (condition,) = small_viscosity.Volumes().conditions(Lam(0.0, 0.2))
    (points,) = condition.points
    x, t = np.asarray(points).T
    whole = np.ptp(x.reshape(small_viscosity.BOXES, -1), axis=1) < 0.5
    assert 100 < whole.sum() < small_viscosity.BOXES

    def rows(speed):
        bend = np.tanh(0.7 * (x - speed * t - 0.5) / 0.4)
        jet = {"": 0.3 - 0.7 * bend, "x": -0.7 * (1 - bend**2) * 0.7 / 0.4}
        u = {label: jnp.asarray(value)[None] for label, value in jet.items()}
        return np.asarray(condition.rows((u,), {}, Lam(0.0, 0.2)))[0, whole]

    assert np.abs(rows(0.3)).max() < 1e-6
    assert np.abs(rows(0.0)).max() > 1e-3  # control: a wave that stands still


def test_the_first_bin_of_time_counts_in_full(small_viscosity):
    t = jnp.linspace(0, 1, 200)
    h = 0.3 + jax.random.normal(jax.random.key(0), (3, 200))
    weights = small_viscosity.causal(h, t, 1.0)
    bins = np.asarray(t * small_viscosity.BINS).astype(int)
    np.testing.assert_array_equal(weights[bins == 0], 1.0)
    first = float(jnp.mean(h[:, bins == 0] ** 2))
    np.testing.assert_allclose(weights[bins == 1], np.exp(-first), rtol=1e-5)
    assert np.all(np.diff(weights) <= 0)
    np.testing.assert_array_equal(small_viscosity.causal(h, t, 0.0), 1.0)


def test_the_moved_coordinate_has_its_derivatives(small_viscosity):
    """Against differences of the values."""
    network = small_viscosity.Moved(branch=(8,), trunk=(8,), rank=4, channels=3, decoder=(8,))
    with jax.enable_x64(True):
        ansatz = Ansatz(small_viscosity.Shown(), network, 2)
        params = ansatz.init(jax.random.key(1))
        u0 = jnp.sin(2 * jnp.pi * ansatz.problem.inputs["u0"].sensors[:, 0])[None]
        inputs, x = ansatz.inputs({"u0": u0}), jnp.array([[0.3, 0.4], [0.9, 0.8]])
        lam, h, close = Lam(0.0, 1e-2), 1e-4, {"rtol": 1e-4, "atol": 1e-4}
        of = jax.jit(lambda params, x: ansatz.jet(params, inputs, x, lam))
        jet = of(params, x)
        for label, step in (("x", jnp.array([[h, 0]])), ("t", jnp.array([[0, h]]))):
            ahead, back = (of(params, x + s * step)[""] for s in (1, -1))
            np.testing.assert_allclose(jet[label], (ahead - back) / (2 * h), **close)
            if label == "x":
                np.testing.assert_allclose(jet["xx"], (ahead - 2 * jet[""] + back) / h**2, **close)
        # Control: the decoder sees the moved coordinate, after its three features.
        first = params["decoder"]["Dense_0"]
        blind = first | {"kernel": first["kernel"].at[3:11].set(0)}
        params["decoder"]["Dense_0"] = blind
        assert jnp.abs(of(params, x)[""] - jet[""]).max() > 1e-3
