"""Loading, calling and inferring: values do not depend on how the work is split."""

import copy
import dataclasses
import math
import pickle
import shutil
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import inference, laws, operators, splits
from hop.ansatz import Ansatz
from hop.checkpoints import StageInfo
from hop.domain import Box
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.operators import Operator
from hop.problem import Lam, Problem
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.hamilton_jacobi import HamiltonJacobi
from hop.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir):
    """A workdir with two finished stages."""
    from conftest import Listener, tiny_config

    workdir = tmp_path_factory.mktemp("run")
    train(tiny_config("burgers_steady", "deeponet", data_dir, {}), workdir, Listener())
    return workdir


@pytest.fixture
def op(run) -> Operator:
    return hop.load(run)


@pytest.fixture
def u0():
    return np.random.default_rng(0).normal(size=(37, 128)).astype(np.float32)


def test_blocks_of_functions_and_of_points_change_nothing(op, u0, monkeypatch):
    x = np.linspace(0, 1, 50)[:, None]
    whole = op(u0, x)
    monkeypatch.setattr(operators, "ENTRIES", 128)
    monkeypatch.setattr(operators, "CHUNK", 8)
    np.testing.assert_allclose(op(u0, x), whole, atol=2e-6)  # 16 functions × 8 points
    np.testing.assert_allclose(op(u0[:1], x), whole[:1], atol=2e-6)


def test_sensors_that_do_not_tell_the_function_are_warned_of(op):
    for places in (np.linspace(0, 0.5, 50), np.linspace(0, 1, 3)):
        with pytest.warns(UserWarning, match="leaves gaps: .* % of a typical input function"):
            op(np.sin(np.pi * places)[None], sensors=places)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        places = np.linspace(0, 1, 50)
        op(np.sin(np.pi * places)[None], sensors=places)


def test_a_function_that_no_function_of_the_law_fits_is_told():
    """A wave that is none of the law's modes is left out by the fit, so it is the misfit."""
    op = hop.load("burgers-time", eps=0.1)
    places, x = np.arange(400) / 400, op.grid[::500]
    kept, lost = np.sin(2 * np.pi * places), 0.02 * np.cos(2 * np.pi * 150 * places)
    few, many = (np.stack([kept, kept + size * lost]) for size in (1, 4))
    expected = np.abs(lost).max() / np.abs(kept + lost).max()
    assert op.misfits(few, sensors=places)["u0"] == pytest.approx(expected, rel=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op(few, x, sensors=places)
    with pytest.warns(UserWarning, match="u0 is unlike .* misses it by up to 7 % of its largest"):
        op(many, x, sensors=places)
    op = hop.load("convection-diffusion")  # a law of functions whose slope vanishes at the ends
    with pytest.warns(UserWarning, match="f is unlike the functions .* misses it by up to 8 %"):
        op(np.sin(2 * np.pi * op.sensors)[None])


def test_a_mean_that_an_operator_leaves_out_is_told():
    op = hop.load("burgers-time")
    wave = np.sin(2 * np.pi * op.sensors)[None]
    x = op.grid[:: len(op.grid) // 50]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op(wave, x)
    with pytest.warns(UserWarning, match="u0 lies .* have mean 0; .* left out; subtract it first$"):
        op(1 + wave, x)


def test_no_points_and_no_functions(op):
    integrates = hop.load("convection-diffusion")  # its input, from 0 to each point
    for some in (op, integrates):
        u0 = np.zeros((1, len(some.sensors)))
        assert some(u0, np.zeros((0, 1))).shape == (1, 0)
        assert some(u0[:0], np.zeros((3, 1))).shape == (0, 3)
        assert jax.jit(some)(u0, np.zeros((0, 1))).shape == (1, 0)
    plane = hop.load("burgers-2d")  # of two unknowns
    for n, q in ((2, 0), (0, 3)):
        start = {name: np.zeros((n, len(places))) for name, places in plane.sensors.items()}
        found = plane(start, np.zeros((q, plane.grid.shape[1])))
        assert {name: u.shape for name, u in found.items()} == {"u": (n, q), "v": (n, q)}


def test_slips_of_a_caller_are_told_in_one_line(op):
    u0 = np.zeros((1, len(op.sensors)))
    for call, words in (
        (lambda: op.derivative(u0), "the order of the derivative is missing"),
        (lambda: op([math.sin]), "numpy.sin and not math.sin"),
    ):
        with pytest.raises(hop.UserError, match=words):
            call()


def test_selection(run):
    assert hop.load(run).eps == hop.load(run, stage=-1).eps == 0.3
    assert hop.load(run, eps=0.5).eps == hop.load(run, stage=0).eps == 0.5
    assert hop.load(run, eps=0.5 * (1 + 1e-7), s=0).s == 0
    for wrong in ({"eps": 0.4}, {"stage": 2}, {"eps": 0.5, "s": 0.1}, {"stage": 0, "eps": 0.3}):
        with pytest.raises(hop.UserError, match=r"it holds stage 0: s=0, eps=0.5"):
            hop.load(run, **wrong)
    with pytest.raises(hop.UserError, match="neither a folder nor"):
        hop.load("no-such-model")
    with pytest.raises(hop.UserError, match="no finished stage"):
        hop.load(run / "plots" if (run / "plots").exists() else run / "stages")


def test_a_stage_is_selected_by_number_or_place():
    places = [(0.5, 0.5), (0.0, 0.5), (0.0, 0.2)]
    stages = [StageInfo(k, {"s": s, "eps": eps}) for k, (s, eps) in enumerate(places)]

    def selected(**words):
        return [info.stage for info in operators.select(stages, **words)]

    assert selected() == []
    assert [selected(stage=k) for k in (0, 2, -1, -3)] == [[0], [2], [2], [0]]
    assert selected(eps=0.5) == [1]  # s = 0, where only ε is given
    assert selected(eps=0.5, s=0.5) == selected(s=0.5) == [0]


def test_a_residual_is_that_of_the_derivatives_at_the_stage_s_own_place():
    ansatz = Ansatz(BurgersSteady("unit"), DeepONet((8,), (8,), 4))
    op = Operator(ansatz, jax.jit(ansatz.init)(jax.random.key(0)), Lam(0.25, 0.1))
    x = np.linspace(0.1, 0.9, 9)[:, None]
    u0 = np.sin(np.pi * np.outer([1, 2, 3], op.sensors)).astype(np.float32)
    u, u_x, u_xx = (op.derivative(u0, x, order) for order in (0, 1, 2))
    a = ansatz.inputs({"u0": jnp.asarray(u0)})["u0"]
    a = np.asarray(ansatz.problem.inputs["u0"].field(a.coefficients)(jnp.asarray(x, jnp.float32)))
    f = np.pi * np.sin(np.pi * x.T) * np.cos(np.pi * x.T)
    h = 0.75 * (u * u_x - 0.1 * u_xx - f) + 0.25 * (u - a)
    np.testing.assert_allclose(op.residual(u0, x), h, atol=1e-5 * np.abs(h).max())


def test_public_attributes(op):
    assert op.sensors.shape == (128,)
    assert op.grid.shape == (1001, 1)
    assert op.config.problem["name"] == "burgers_steady"
    assert set(op.params) == {"branch", "trunk", "bias"}
    assert op(np.zeros((2, 128))).shape == (2, 1001)


def test_values_do_not_depend_on_the_batch(op, u0):
    x = np.linspace(0, 1, 11)[:, None]
    whole = op(u0, x)
    one_by_one = np.concatenate([op(row[None], x) for row in u0])
    # Another batch shape may block the matrix products otherwise: float32 rounding of O(1) sums.
    np.testing.assert_allclose(one_by_one, whole, atol=2e-6)
    many = op(np.tile(u0, (60, 1)), x)  # several blocks, the last one padded
    np.testing.assert_allclose(many, np.tile(whole, (60, 1)), atol=2e-6)


@pytest.mark.devices
def test_values_do_not_depend_on_the_devices(op, u0, monkeypatch):
    spread = op(u0)
    assert len(op.at_home[1].mesh.devices) == 8
    monkeypatch.setattr(jax, "local_devices", lambda *a, **k: jax.devices()[:1])
    alone = copy.copy(op)
    np.testing.assert_allclose(alone(u0), spread, atol=2e-6)
    assert len(alone.at_home[1].mesh.devices) == 1


@pytest.mark.devices
def test_many_shapes_share_few_programs(op, u0):
    """Of NumPy and of JAX, for values, derivatives and residuals: none compiles for its shape."""
    kinds = [op, lambda *a: op.derivative(*a, 1), op.residual]
    x, rng = np.linspace(0, 1, 2000)[:, None], np.random.default_rng(0)
    for call in kinds:
        for q in (256, 512, 1024, 2000):
            call(u0[:8], x[:q])
    whole, heard = op(u0[:8], x), []
    jax.monitoring.register_event_duration_secs_listener(
        listen := lambda event, *_, **__: heard.append(event) if "compile" in event else None
    )
    try:
        for n, q in [(5, 1), (3, 257), (7, 1537), *rng.integers(1, (9, 2000), (20, 2)).tolist()]:
            np.testing.assert_allclose(op(u0[:n], x[:q]), whole[:n, :q], atol=2e-6)
            assert isinstance(kinds[q % 3](jax.device_put(u0[:n]), x[:q]), jax.Array)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not heard


def test_parts_of_points_are_few_and_full():
    for count in [1, 256, 257, 1001, 1500, 1537, 5000, 10201, 10**6]:
        sizes = [len(part) for part in operators.parts_of(np.zeros((count, 1)), 2**17)]
        assert sum(sizes[:-1]) < count <= sum(sizes) <= max(count + 255, 4 / 3 * count)
        assert {size.bit_count() for size in sizes} == {1}
        assert len(sizes) <= 4 + count // 2**17
    assert len(operators.parts_of(np.zeros((1001, 1)), 2**17)) == 1  # a grid is one call


def test_it_travels_to_another_process_and_warns_there_once(op, u0, tmp_path):
    x = np.linspace(0, 1, 11)[:, None]
    whole = op(u0, x)
    for other in (pickle.loads(pickle.dumps(op)), copy.deepcopy(op)):
        np.testing.assert_array_equal(other(u0, x), whole)
    (tmp_path / "op.pickle").write_bytes(pickle.dumps((op, u0, x)))
    script = """import pickle, sys, numpy as np
op, u0, x = pickle.load(open("op.pickle", "rb"))
for k in range(3):
    np.save("u.npy", op((1 + k) * u0, x))  # this line is warned of
np.save("u.npy", op(u0, x) + 0 * op.residual(0 * u0, x))
"""
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "u.npy"), whole, atol=2e-6)
    said = done.stderr.splitlines()
    assert [line for line in said if "UserWarning" in line] == said[0::2]
    assert [line.split(": ")[0].rsplit(":")[-1] for line in said[0::2]] == ["4", "5"]


@pytest.mark.parametrize("name", ["burgers-steady", "burgers-steady-unit", "burgers-time"])
def test_functions_outside_of_the_law_are_warned_of(name, monkeypatch):
    op = hop.load(name, stage=0)
    law, x = op.ansatz.problem.inputs["u0"], op.grid[:2]
    inside = splits.examples(law, "test", 0, 1000)["values"]
    few, rng, said = inside[:4], np.random.default_rng(0), set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fine in (inside, jnp.asarray(few), few.astype(np.float16), 0 * few, few[:0]):
            op(fine, x)
        op.jets(few, x)
        jax.eval_shape(op, 1000 * few, x)
    monkeypatch.setattr(laws, "CHECKED", 3)  # and the last is seen
    outside = [10 * few, 1000 * few, few + 0.1 * law.scale * rng.normal(size=few.shape)]
    if law.ends == "periodic":
        outside.append(law.scale * (op.sensors - 0.5)[None])  # it jumps at the ends
    for wrong in outside:
        for call in (op, op.jets):
            with pytest.warns(UserWarning, match=f"outside the law '{law.name}'") as heard:
                call(np.concatenate([few[:3], wrong[:1]]), x)
            said |= {str(warning.message) for warning in heard}
    assert len(said) == 1
    assert "\n" not in said.pop()


class Metres:
    """As of a package of units."""

    units = "m"

    def __array__(self, dtype=None, copy=None):
        return np.zeros((2, 128))


MASKED = np.ma.masked_greater(np.zeros((2, 128)), 1)
STRANGE = [
    MASKED,
    list(MASKED),
    np.asmatrix(np.zeros((2, 128))),
    np.zeros((2, 128)).view(np.recarray),
    Metres(),
    np.zeros((2, 128), object),
    np.zeros((2, 128), [("a", float)]),
    np.zeros((2, 128), bool),
    np.zeros((2, 128), "m8[s]"),
    lambda places: np.ma.masked_greater(places, 2),
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda v: type(v).__name__)
def test_what_would_lose_its_meaning_is_refused(op, strange):
    u0, calls = np.zeros((2, 128)), [lambda: op(strange)]
    if not callable(strange):
        calls += [lambda: op(u0, strange), lambda: op(u0, sensors=strange)]
    for call in calls:
        with pytest.raises(
            hop.UserError, match="no plain array; .* numpy.asarray|give real numbers"
        ):
            call()


def test_plain_arrays_of_every_kind(op, tmp_path):
    u0 = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
    np.save(tmp_path / "u0.npy", u0)
    for same in (u0.tolist(), list(u0), np.load(tmp_path / "u0.npy", "r"), np.asfortranarray(u0)):
        np.testing.assert_array_equal(op(same), op(u0))


def test_numpy_and_jax_in_and_out(op, u0):
    x = np.linspace(0, 1, 5)[:, None]
    expected = op(u0, x)
    assert type(expected) is np.ndarray
    in_jax = op(jnp.asarray(u0), x)
    assert isinstance(in_jax, jax.Array)
    np.testing.assert_allclose(in_jax, expected, atol=2e-6)
    jitted = jax.jit(op)(jnp.asarray(u0), jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(jitted, expected, atol=2e-6)
    along = jax.grad(lambda y: op(u0, y).sum())(jnp.asarray(x, jnp.float32))
    assert along.shape == x.shape
    slope = jax.grad(lambda a: op(a, x).sum())(jnp.asarray(u0))
    assert slope.shape == u0.shape
    assert float(jnp.max(jnp.abs(slope))) > 0
    known = jnp.asarray(u0)  # and a function that jit sees holds it
    for closed in (lambda y: op(known, y), lambda y: op(u0, x), lambda y: op(known, np.asarray(x))):
        np.testing.assert_allclose(
            jax.jit(closed)(jnp.asarray(x, jnp.float32)), expected, atol=2e-6
        )
    fresh = dataclasses.replace(op)  # of which a traced call is the first
    np.testing.assert_allclose(jax.jit(lambda: fresh(u0, x))(), expected, atol=2e-6)
    np.testing.assert_allclose(fresh(u0, x), expected, atol=2e-6)
    by_bias = jax.grad(
        lambda b: dataclasses.replace(op, params=op.params | {"bias": b})(known).sum()
    )
    assert float(by_bias(jnp.asarray(op.params["bias"]))) != 0
    for dtype in (np.float16, np.float64, np.int32):
        assert op(np.ones((1, 128), dtype), x).dtype == np.float32


def test_other_sensors_are_fitted(op):
    law = op.ansatz.problem.inputs["u0"]
    field = law.sample(jax.random.key(0), 3)
    places = np.linspace(0, 1, 301)
    at_sensors = np.asarray(law.values(field))
    elsewhere = np.asarray(field(jnp.asarray(places, jnp.float32)))
    np.testing.assert_allclose(op(elsewhere, sensors=places), op(at_sensors), atol=1e-4)
    whole = np.round(10 * elsewhere).astype(np.int32)
    fitted = op(jnp.asarray(whole), sensors=places)
    np.testing.assert_allclose(fitted, op(whole, sensors=places), atol=1e-4)


def test_derivatives_are_those_of_the_network(op, u0):
    x = np.linspace(0.1, 0.9, 9)[:, None]
    in_jax, places = jnp.asarray(u0[:3]), jnp.asarray(x, jnp.float32)
    slope = jax.jvp(lambda y: op(in_jax, y), (places,), (jnp.ones_like(places),))[1]
    for asked in (op.derivative(u0[:3], x, 1), op.derivative(u0[:3], x, "x")):
        np.testing.assert_allclose(asked, slope, rtol=1e-4, atol=1e-4)
    h = 1e-2
    curve = (op(u0, x + h) - 2 * op(u0, x) + op(u0, x - h)) / h**2
    np.testing.assert_allclose(op.derivative(u0, x, 2), curve, atol=0.1 * np.abs(curve).max())
    np.testing.assert_array_equal(op.derivative(u0, x, 0), op(u0, x))
    assert op.derivative(u0, order="xx").shape == (37, 1001)
    for wrong in ("y", "t", -1, "xxxxx", "X"):
        with pytest.raises(hop.UserError, match="is no derivative"):
            op.derivative(u0, x, wrong)


@dataclasses.dataclass(frozen=True)
class Pair(Problem):
    """Two unknowns in the plane and time, without an equation to speak of."""

    domain = Box((0.0, 0.0, 0.0), (1.0, 2.0, 1.0))
    unknowns = ("p", "n")
    derivatives = ("", "t")

    def residual(self, u, x, a, lam):
        return u["t"]


def test_unknowns_are_stacked_and_calls_give_arrays_of_ones_own(op, u0):
    x, places = np.linspace(0, 1, 7)[:, None], np.random.default_rng(0).random((5, 3))
    for asked in (op(u0, x), op.derivative(u0, x, 1), op.residual(u0[:1], x)):
        asked += 1  # not read-only
    np.testing.assert_array_equal(op.stacked(u0, x), op(u0, x))
    ansatz = Ansatz(Pair(), MLP((6,)))
    pair = Operator(ansatz, jax.jit(ansatz.init)(jax.random.key(0)), Lam(0.0, 0.1))
    np.testing.assert_array_equal(pair.stacked(places), np.stack([*pair(places).values()]))


def test_gradients_and_laplacians_are_over_space():
    x = np.random.default_rng(0).random((5, 3))
    for problem, names in ((Pair(), ("p", "n")), (HamiltonJacobi(dim=2), (None,))):
        ansatz = Ansatz(problem, MLP((6,)))
        op = Operator(ansatz, jax.jit(ansatz.init)(jax.random.key(0)), Lam(0.0, 0.1))

        def of(order, op=op):
            made = op.derivative(x, order)
            return made if isinstance(made, dict) else {None: made}

        for name in names:
            slopes = np.stack([of("x")[name], of("y")[name]])
            np.testing.assert_allclose(of("∇")[name], slopes, rtol=1e-5, atol=1e-6)
            bend = of("xx")[name] + of("yy")[name]
            np.testing.assert_allclose(of("Δ")[name], bend, rtol=1e-5, atol=1e-5)


def test_functions_are_sampled(op):
    x = np.linspace(0, 1, 5)[:, None]
    waves = [lambda y, k=k: np.sin(k * np.pi * y) for k in (1, 2)]
    values = np.stack([wave(op.sensors) for wave in waves])
    np.testing.assert_array_equal(op(waves, x), op(values, x))
    np.testing.assert_array_equal(op(waves[0], x), op(values[:1], x))
    np.testing.assert_array_equal(op.residual(waves), op.residual(values, op.grid))
    elsewhere = np.linspace(0, 1, 101)
    there = np.stack([wave(elsewhere) for wave in waves])
    seen = op.residual(there, x, sensors=elsewhere)
    np.testing.assert_allclose(seen, op.residual(values, x), atol=1e-4)
    for wrong in (lambda y: 1.0, [np.sin, lambda y: y[:2]]):
        with pytest.raises(hop.UserError, match=r"function [01] of u0 gives shape"):
            op(wrong, x)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((np.zeros((2, 127)),), r"\(n, 128\)"),
        ((np.zeros(128),), r"\(n, 128\)"),
        ((np.full((2, 128), np.nan),), "NaN or infinity"),
        ((np.full((2, 128), 1e300),), "beyond float32"),
        ((np.zeros((2, 128), complex),), "real numbers"),
        ((np.zeros((2, 128)), np.zeros(3)), r"\(q, 1\)"),
        ((np.zeros((2, 128)), np.array([[1.5]])), "outside the domain"),
        ((np.zeros((2, 128)), np.array([[np.nan]])), "outside the domain"),
        ((np.zeros((2, 128)), [["a"]]), "real numbers"),
        (([[0.0], [0.0, 1.0]],), "differ in length"),
        ((None,), "real numbers"),
        ((), "op"),
    ],
)
def test_bad_calls_are_refused(op, args, words):
    with pytest.raises(hop.UserError, match=words):
        op(*args)


@pytest.mark.parametrize(
    ("sensors", "words"),
    [
        (np.zeros((3, 2)), r"sensors has shape \(3, 2\) and must be \(m,\): .* values of u0"),
        (np.array([0.5, 2.0, np.nan]), r"sensors\[1\] is \(2\), outside \[0, 1\], where u0 lives"),
    ],
)
def test_sensors_that_are_no_places_are_refused(op, sensors, words):
    with pytest.raises(hop.UserError, match=words):
        op(np.zeros((1, 3)), sensors=sensors)


def test_values_whose_sum_overflows_are_finite():
    """One that is not is found among them, wherever it is, even if others cancel it."""
    large = np.full((3, 4), 3e38, np.float32)
    assert operators.finite(large, large.dtype) is large
    for bad in ({(2, 1): np.nan}, {(2, 3): np.inf}, {(2, 0): np.inf, (2, 1): -np.inf}):
        given = large.copy()
        for at, value in bad.items():
            given[at] = value
        with pytest.raises(hop.UserError, match="NaN or infinity .first in function 2"):
            operators.finite(given, large.dtype)


def test_a_problem_without_input(untrained, monkeypatch):
    sol = untrained()
    x = np.linspace(0, 1, 7)[:, None]
    assert sol(x).shape == (7,)
    np.testing.assert_allclose(sol(x)[[0, -1]], [-1, 1], atol=1e-6)
    assert isinstance(sol(jnp.asarray(x, jnp.float32)), jax.Array)
    with pytest.raises(hop.UserError, match=r"op\(x\)"):
        sol(x, x)
    whole = sol(x), sol.residual(x)
    monkeypatch.setattr(operators, "POINTS", 3)  # in blocks of points
    for one, other in zip(whole, (sol(x), sol.residual(x)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def test_a_problem_object_of_ones_own(run, replace):
    from hop.problems.allen_cahn_1d import AllenCahn1D
    from hop.problems.burgers_steady import BurgersSteady

    class Mine(BurgersSteady):
        pass

    assert type(hop.load(run, problem=Mine("unit")).ansatz.problem) is Mine
    with pytest.raises(hop.UserError, match="trained with a problem of class .*BurgersSteady"):
        hop.load(run, problem=AllenCahn1D())


def test_ten_thousand_functions_file_to_file(op, tmp_path):
    u0 = np.random.default_rng(1).normal(size=(10_000, 128))
    np.save(tmp_path / "u0.npy", u0)
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 33))
    target = tmp_path / "u.npy"
    inference.infer(
        op, input=str(tmp_path / "u0.npy"), output=str(target), at=str(tmp_path / "x.npy")
    )
    u = np.load(target)
    np.testing.assert_array_equal(u, op(u0, np.linspace(0, 1, 33)[:, None]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["u.npy", "u0.npy", "x.npy"]


def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def test_a_flipped_bit_is_found_and_named(run, tmp_path):
    stored = list((run / "stages/1/params/ocdbt.process_0/d").iterdir())
    arrays = max(stored, key=lambda p: p.stat().st_size).relative_to(run)
    whole = hop.load(run, stage=0).params
    rng, found = np.random.default_rng(0), 0
    for trial in range(10):
        broken = shutil.copytree(run, tmp_path / str(trial))
        data = bytearray((broken / arrays).read_bytes())
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (broken / arrays).write_bytes(data)
        try:
            params = hop.load(broken).params
        except hop.RunError as error:
            found += 1
            assert "stage 1 in" in str(error)  # noqa: PT017
        else:  # a bit of an older copy of an index, which nothing reads
            jax.tree.map(np.testing.assert_array_equal, params, hop.load(run).params)
        # The other stage is untouched.
        jax.tree.map(np.testing.assert_array_equal, whole, hop.load(broken, stage=0).params)
    assert found >= 5


def test_digest_names_the_leaf(run, tmp_path):
    import json

    broken = copied(run, tmp_path)
    path = broken / "stages/1/_CHECKPOINT_METADATA"
    metadata = json.loads(path.read_text())
    metadata["custom_metadata"]["digests"]["params"]["trunk/Dense_0/kernel"] = "0" * 64
    path.write_text(json.dumps(metadata))
    with pytest.raises(hop.RunError, match=r"stage 1.*'trunk/Dense_0/kernel'.*digest"):
        hop.load(broken)
    assert hop.load(broken, verify=False)


def test_a_damaged_config_is_taken_from_a_checkpoint(run, tmp_path):
    broken = copied(run, tmp_path)
    (broken / "config.json").write_text("")
    with pytest.warns(UserWarning, match="config.json is damaged .* the config that stage 1 holds"):
        found = hop.load(broken, stage=0)
    assert found.config == hop.load(run).config
    jax.tree.map(np.testing.assert_array_equal, found.params, hop.load(run, stage=0).params)


@pytest.mark.parametrize("damage", ["missing", "metadata", "width"])
def test_damaged_and_unfit_checkpoints_are_named(run, tmp_path, damage):
    import json

    broken = copied(run, tmp_path)
    if damage == "missing":
        shutil.rmtree(broken / "stages/1/params")
        words = "stage 1.*'params' cannot be read"
    elif damage == "metadata":
        (broken / "stages/1/_CHECKPOINT_METADATA").write_text("")
        words = "stage 1.*damaged"
    else:
        config = json.loads((broken / "config.json").read_text())
        config["network"]["rank"] = 9
        (broken / "config.json").write_text(json.dumps(config))
        words = r"stage 1.*leaf '.*Dense_1/.*' is float32\[.*asks for"
    with pytest.raises(hop.RunError, match=words):
        hop.load(broken)
