"""ε as an input: one network for a range, a stage at each lower end of it."""

import dataclasses
import json
import math
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export
from systems import drawn

import hop
from hop import (
    checking,
    cli,
    evaluation,
    examining,
    plotting,
    publishing,
    refinement,
    training,
)
from hop import config as config_lib
from hop.ansatz import Ansatz
from hop.checkpoints import Store
from hop.console import Console
from hop.errors import UserError
from hop.homotopy.terms import Stage, View
from hop.homotopy.terms.condition import Condition
from hop.networks.deeponet import DeepONet
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.operators import Operator
from hop.problem import Lam, Layer
from hop.problems.burgers_time import BurgersTime
from hop.problems.convection_diffusion import ConvectionDiffusion
from hop.problems.reaction_diffusion import ReactionDiffusion
from hop.problems.variable_convection import VariableConvection
from hop.samplers import of_each
from hop.samplers.layered import Layered

SMALL = DeepONet((8,), (8, 8), 6)
SPAN = (1e-3, 1.0)
HERE = Lam(0.0, 0.1)
EXAMPLES = Path(hop.__file__).parents[1] / "examples"


def operator(problem, network=SMALL, span=SPAN):
    """An untrained one of the whole range, in float64."""
    ansatz = Ansatz(problem, network, 2, span)
    params = jax.jit(ansatz.init)(jax.random.key(0))
    return Operator(ansatz, jax.device_get(params), Lam(0.0, span[0]))


def given(problem, n=3):
    @jax.jit
    def values():
        laws = enumerate(problem.inputs.items())
        return {k: law.values(law.sample(jax.random.key(i), n)) for i, (k, law) in laws}

    return jax.device_get(values())


@pytest.mark.parametrize(
    ("problem", "network"),
    [
        (ConvectionDiffusion(), SMALL),
        (VariableConvection(), SMALL),
        (BurgersTime(), NonlinearDeepONet((8,), (8, 8), 6)),
    ],
    ids=["traces", "known", "periodic"],
)
def test_every_point_has_the_equation_of_its_own_eps(float64, problem, network):
    """(n, q) with ε (1, q) has in column i what ε_i alone gives."""
    op, q = operator(problem, network), 3
    x = jnp.asarray(np.random.default_rng(0).random((q, problem.domain.dim)))
    eps = jnp.asarray([1.0, 0.05, 1e-3])
    inputs = jax.jit(op.ansatz.inputs)(given(problem))
    for of in (op.ansatz.residual, lambda *all: op.ansatz.jet(*all)[""]):
        at = jax.jit(lambda eps, of=of: of(op.params, inputs, x, Lam(jnp.float64(0), eps)))
        together = at(eps[None])
        alone = [at(e)[..., i] for i, e in enumerate(eps)]
        np.testing.assert_allclose(together, np.stack(alone, axis=-1), rtol=1e-9, atol=1e-11)


def test_an_eps_for_each_function_or_for_all(float64):
    op = operator(ConvectionDiffusion())
    f, x = given(op.ansatz.problem)["f"], np.linspace(0, 1, 7)[:, None]
    eps = np.array([0.5, 0.1, 0.002])
    whole = op(f, x, eps=eps)
    for i, e in enumerate(eps):
        for alone in (op(f[i : i + 1], x, eps=e), op.at(e)(f[i : i + 1], x)):
            np.testing.assert_allclose(whole[i], alone[0], rtol=1e-9, atol=1e-12)
    assert np.abs(whole - op(f, x)).max() > 1e-3  # by default that of the operator itself
    h = op.residual(f, x, eps=eps)
    np.testing.assert_allclose(h[1], op.at(0.1).residual(f, x)[1], rtol=1e-9, atol=1e-12)

    def of(e):
        return jnp.sum(op(f, x, eps=e) ** 2)

    slope, step = jax.grad(of)(0.1), 1e-6
    np.testing.assert_allclose(slope, (of(0.1 + step) - of(0.1 - step)) / (2 * step), rtol=1e-5)
    assert jax.grad(lambda e: jnp.sum(op(f, x, eps=e)))(jnp.asarray(eps)).shape == (3,)


def test_an_eps_outside_the_range_is_refused():
    op = operator(ConvectionDiffusion())
    f = given(op.ansatz.problem)["f"]
    for eps in (2.0, 1e-4, np.nan, [0.1, 0.1, 1e-4], [[0.1]]):
        with pytest.raises(UserError, match=r"must be a number, or \(n,\), in \[0.001, 1\]"):
            op(f, eps=eps)
    with pytest.raises(UserError, match=r"eps has shape \(2,\) and must be a number, or \(3,\)"):
        op(f, eps=[0.1, 0.2])
    fixed = dataclasses.replace(op, ansatz=dataclasses.replace(op.ansatz, eps=()), span=None)
    with pytest.raises(UserError, match="of eps=0.001 alone"):
        fixed(f, eps=0.1)


def test_eps_is_even_in_its_logarithm():
    eps = np.log10(np.asarray(of_each(jax.random.key(0), 1000, 1e-4, 1.0)))
    assert -4.17 < eps.min() < -4.0 < 0.0 < eps.max() < 0.17
    counts, _ = np.histogram(eps, np.linspace(-4.16, 0.16, 11))
    assert counts.min() >= 99
    assert abs(np.corrcoef(eps, np.arange(1000))[0, 1]) < 0.1  # not in the points' order


def config(**more):
    """A run of two stages of a few steps."""
    skin = config_lib.experiment(problem="convection_diffusion", network="deeponet")
    skin.network.update(branch=(8,), trunk=(8, 8), rank=6)
    skin.ansatz.eps, skin.path.eps, skin.strategy.tangent = (0.1, 1.0), (0.5, 0.1), 0.0
    skin.train.update(steps=6, dispatch=3, functions=8, points=16, validation=2, sampler="layered")
    skin.data.fresh = True
    for key, value in more.items():
        group, field = key.split("__")
        skin[group][field] = value
    return config_lib.parse(skin.to_dict())


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    from conftest import Listener

    folder = tmp_path_factory.mktemp("range") / "w"
    training.train(config(), folder, Listener())
    return folder


def test_a_stage_answers_for_its_range(workdir):
    """The narrowest that holds an ε; one that none holds is refused, with where it would be."""
    assert hop.load(workdir, eps=0.7).span == (0.5, 1.0)
    low = hop.load(workdir, eps=0.3)
    assert (low.span, low.eps) == ((0.1, 1.0), 0.3)
    assert hop.load(workdir, eps=0.7, stage=1).span == (0.1, 1.0)
    f = given(low.ansatz.problem)["f"]
    np.testing.assert_allclose(low(f), hop.load(workdir)(f, eps=0.3), rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match=r"stage 1 goes down to 0.1"):
        hop.load(workdir, stage=0)(f, eps=0.2)
    for eps, remedy in (
        (0.05, r"; train a stage .* with 'hop refine'$"),
        (3.0, r"; train with a higher end, config.ansatz.eps=\(0.1, 3\)$"),
        (0.0, r"in \[0.1, 1\]$"),
        (math.nan, r"in \[0.1, 1\]$"),
    ):
        with pytest.raises(UserError, match=remedy):
            hop.load(workdir)(f, eps=eps)
    with pytest.raises(
        UserError, match=r"eps=0.05, s=0; .* stage 1: s=0, eps=0.1 to 1; 'hop refine' trains"
    ):
        hop.load(workdir, eps=0.05)


@pytest.fixture(scope="module")
def scored(workdir):
    return evaluation.evaluate(str(workdir), functions=3)["stages"]


def test_a_range_is_scored_at_some_of_its_eps(workdir, scored):
    assert [(row["stage"], row["eps"]) for row in scored] == [
        (0, 1.0),
        (0, 0.5),
        (1, 1.0),
        (1, 0.1),
    ]
    (row,) = evaluation.evaluate(str(workdir), functions=3, eps=0.3)["stages"]
    assert (row["stage"], row["eps"]) == (1, 0.3)


def test_a_stage_of_a_range_has_the_worst_score_of_some_of_its_eps(workdir, capsys):
    """Not that of its lowest ε alone."""

    class Known(evaluation.Judge):
        def scores(self, operator):
            error = None if operator.eps == 1e-3 else operator.eps
            return {"loss": 1 / operator.eps, "l2re": error, "l2re_worst": 2 * operator.eps}

    found = Known(ConvectionDiffusion(), {}, {}).worst(operator(ConvectionDiffusion()))
    assert found == {"loss": 1e3, "l2re": 1.0, "l2re_worst": 2.0, "l2re_at": 1.0}
    records = [info.record for info in Store(workdir).stages()]
    assert [record["l2re_at"] in (record["eps"], 1.0) for record in records] == [True, True]
    console = Console()
    made = config_lib.build(config())
    console.start(made, made.layout(), 0, False)
    console.stage(0, HERE)
    console.stage_end({**found, "step": 4, "seconds": 1.0})
    assert "L2RE 1.0e+00 at eps=1 (worst function 2.0e+00)" in capsys.readouterr().out


def test_a_model_of_a_range_says_how_it_does_along_it(workdir, scored, tmp_path, capsys):
    """A row for each of some ε; it grows as any other; its own example of a call works."""
    how = {"folder": str(tmp_path), "functions": 3}
    for eps, stages in (((0.5,), 1), ((), 2)):
        home = publishing.publish(str(workdir), "tiny", eps=eps, **how)
        assert len(Store(home).stages()) == stages
    with pytest.raises(UserError, match="every one of these stages already"):
        publishing.publish(str(workdir), "tiny", **how)
    card = (home / "README.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in card.splitlines() if line.startswith(("| 0 |", "| 1 |"))]
    assert [[row[0][2:], row[2], row[5], row[7].rstrip(" |")] for row in rows] == [
        [f"{row['stage']}", f"{row['eps']:g}", f"{row['l2re']:.1e}", f"{row['l2re_worst']:.1e}"]
        for row in scored
    ]
    assert "`eps` is any number from 0.1 to 1, or one for each function." in card
    example = card.split("```python\n")[1].split("```")[0].replace('"tiny"', repr(str(home)))
    names = {"f": given(ConvectionDiffusion())["f"]}
    exec(example, names)
    np.testing.assert_array_equal(names["u"], hop.load(workdir)(names["f"]))
    assert cli.main(["info", str(home)]) == 0
    assert "0.1 – 1" in capsys.readouterr().out


def test_files_are_of_the_eps_that_is_asked_for(workdir, tmp_path):
    f, x = given(ConvectionDiffusion())["f"], np.linspace(0, 1, 7)[:, None]
    u = hop.load(workdir)(f, x, eps=0.3)
    np.save(tmp_path / "f.npy", f)
    words = [f"--checkpoint={workdir}", "--eps=0.3", f"--output={tmp_path}"]
    assert cli.main(["infer", *words[:2], f"{words[2]}/u.npy", "--points=7",
                     f"--input={tmp_path}/f.npy"]) == 0  # fmt: skip
    np.testing.assert_allclose(np.load(tmp_path / "u.npy"), u, atol=1e-6)
    assert cli.main(["export", *words[:2], f"{words[2]}/op.stablehlo"]) == 0
    program = jax_export.deserialize(bytearray((tmp_path / "op.stablehlo").read_bytes()))
    found = program.call(f.astype(np.float32), x.astype(np.float32))
    np.testing.assert_allclose(found, u, atol=1e-6)
    assert json.loads((tmp_path / "op.stablehlo.json").read_text())["eps"] == 0.3


def test_a_refinement_goes_on_to_a_wider_range(workdir, tmp_path):
    """ε keeps its scale, so the network that it starts from answers as before."""
    from conftest import Listener

    refined = tmp_path / "refined"
    refinement.refine(workdir, refinement.config_for(workdir, 0.05), refined, Listener())
    first, last = (hop.load(refined, stage=k) for k in (0, 1))
    assert (first.span, last.span) == ((0.1, 1.0), (0.05, 1.0))
    f, eps = given(ConvectionDiffusion())["f"], [1.0, 0.3, 0.1]
    np.testing.assert_array_equal(first(f, eps=eps), hop.load(workdir)(f, eps=eps))
    assert np.abs(last(f, eps=eps) - first(f, eps=eps)).max() > 1e-3  # it was trained further
    assert np.isfinite(last(f, eps=0.05)).all()


def test_the_example_finds_eps(workdir, capsys):
    """From the operator's own values exactly; its standard error is the noise over the slope."""
    example = runpy.run_path(str(EXAMPLES / "find_eps.py"))
    op, x = hop.load(workdir), np.linspace(0.05, 0.95, 10)[:, None]
    f, step = given(ConvectionDiffusion(), 1)["f"], 0.01
    eps, error = example["find"](op, f, x, op(f, x, eps=0.3)[0], 0.01)
    assert eps == pytest.approx(0.3, rel=1e-3)
    ends = [op(f, x, eps=0.3 * np.exp(by))[0] for by in (step, -step)]
    slope = np.linalg.norm(ends[0] - ends[1]) / (2 * step)
    assert error == pytest.approx(0.01 / slope, rel=1e-2)
    example["main"]([str(workdir), "--eps=0.3"])
    assert capsys.readouterr().out.startswith("ε = ")


def test_a_picture_of_a_range_shows_its_last_stage_at_some_eps(workdir, tmp_path):
    with drawn() as found:
        plotting.path(str(workdir), tmp_path / "path.png")
    panel, _ = found
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    assert names == ["ε = 1", "ε = 0.1", "reference"]
    assert panel.get_title() == "Convection–diffusion on an interval: one f, solutions at some ε"


def test_the_gauge_is_that_of_the_eps(float64):
    """−ε² u″ + u has σ = 1 + (πε)², that of its first sine."""
    op = operator(ReactionDiffusion())
    f = given(op.ansatz.problem, 1)["f"]
    found = hop.gauge(op.at(0.3), f, nodes=32)
    assert found.sigma == pytest.approx(1 + (np.pi * 0.3) ** 2, rel=1e-6)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer("x", 1.0, 0.1), None),
        (Layer("x", 0.5, 0.1), "x = 0.5 is no wall of the domain"),
        (Layer("x", 1.0, 0.0), "x = 1: the width is 0 and must be positive"),
    ],
)
def test_check_looks_for_the_walls_of_layers(monkeypatch, layer, said):
    monkeypatch.setattr(ConvectionDiffusion, "layers", lambda self, lam: (layer,))
    found = [f for f in examining.glance(ConvectionDiffusion(), HERE) if f.part == "layers"]
    assert [finding.doubt for finding in found] == [bool(said)]
    assert found[0].text.startswith(said or "x = 1, of width 0.1 at this eps")


def test_a_layer_across_no_coordinate_is_refused(monkeypatch):
    layers = (Layer("y", 1.0, 0.1),)
    monkeypatch.setattr(ConvectionDiffusion, "layers", lambda self, lam: layers)
    with pytest.raises(UserError, match=r"layers names the coordinate 'y'; there are x"):
        checking.check(config_lib.build(config()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"strategy__tangent": 0.1}, "strategy.tangent needs one eps a stage"),
        ({"path__adaptive": True}, "path.adaptive needs one eps a stage"),
        ({"train__sampler": "by_residual"}, "sampler='by_residual' needs one eps a stage"),
        ({"path__eps": (2.0, 0.1)}, "starts at eps=2, above"),
        ({"ansatz__eps": (1.0, 0.1)}, r"must be a range \(low, high\)"),
        ({"ansatz__eps": (), "strategy__tangent": 0.1}, None),
    ],
)
def test_what_needs_one_eps_a_stage_is_refused(more, said):
    if said is None:
        config_lib.build(config(**more))
        return
    with pytest.raises(UserError, match=said):
        config_lib.build(config(**more))


def test_conditions_are_asked_for_along_the_range(float64):
    """At each ε they are those of this ε alone."""
    op = operator(BurgersTime(conditions_by="loss"))
    inputs = jax.jit(op.ansatz.inputs)(given(op.ansatz.problem))
    one, term = jnp.float64(1), Condition()

    def rows(ansatz, low):
        lam = Lam(jnp.float64(0), jnp.float64(low))
        stage = Stage(jnp.int32(0), lam, lam, one)
        view = View(ansatz, op.params, op.params, inputs, term.points(ansatz, inputs, stage), stage)
        return term.together(term.rows(view), view)

    whole = jax.jit(lambda: rows(op.ansatz, SPAN[0]))()
    m = op.ansatz.problem.inputs["u0"].width
    assert whole.shape == (3, 16 * m)
    ends = (whole[:, :m], whole[:, -m:])
    points = jnp.asarray(np.stack([op.sensors, 0 * op.sensors], axis=1))

    @jax.jit
    def missing(eps):
        u0 = op.ansatz.input_jet(inputs, points, op.lam, ())["u0"][""]
        return op.ansatz.jet(op.params, inputs, points, Lam(0.0, eps), ())[""] - u0

    for found, eps in zip(ends, SPAN, strict=True):
        np.testing.assert_allclose(found, missing(eps), atol=1e-12)


def closed_form(problem, c, x, eps):
    """The solution by the cosine modes of f: a particular one, and what its ends lack."""
    k = np.pi * np.arange(c.shape[1])
    c = c * np.sqrt(np.where(k > 0, 2, 1))
    if isinstance(problem, ReactionDiffusion):
        amplitudes = c / (1 + (eps * k) ** 2)
        particular = amplitudes @ np.cos(np.outer(k, x))
        first = (np.exp(-x / eps) - np.exp((x - 2) / eps)) / -np.expm1(-2 / eps)
        last = (np.exp((x - 1) / eps) - np.exp((-x - 1) / eps)) / -np.expm1(-2 / eps)
        ends = amplitudes.sum(axis=1), amplitudes @ np.cos(k)
    else:
        k, of_mean, c = k[1:], c[:, :1], c[:, 1:]
        even, odd = c * eps / (1 + (eps * k) ** 2), c / (k * (1 + (eps * k) ** 2))
        particular = of_mean * x + even @ np.cos(np.outer(k, x)) + odd @ np.sin(np.outer(k, x))
        last = (np.exp((x - 1) / eps) - np.exp(-1 / eps)) / -np.expm1(-1 / eps)
        first = 1 - last
        ends = even.sum(axis=1), of_mean[:, 0] + even @ np.cos(k)
    return particular - np.outer(ends[0], first) - np.outer(ends[1], last)


@pytest.mark.parametrize("problem", [ConvectionDiffusion(), ReactionDiffusion()])
@pytest.mark.parametrize("eps", [1.0, 1e-6])
def test_references_of_layers_are_exact(float64, problem, eps):
    f = problem.inputs["f"].sample(jax.random.key(3), 2)
    x = np.unique(
        np.concatenate([np.linspace(0, 1, 50), *(abs(e - eps * np.arange(20)) for e in (0, 1))])
    )
    x = x[x <= 1]
    found = problem.reference({"f": f}, x[:, None], Lam(0.0, eps))
    exact = closed_form(problem, np.asarray(f.coefficients), x, eps)
    np.testing.assert_allclose(found, exact, atol=2e-9 * np.abs(exact).max())


@pytest.mark.parametrize(
    "problem", [ConvectionDiffusion(), ReactionDiffusion(), VariableConvection()]
)
def test_the_reduced_residual_is_that_of_u(float64, problem):
    """Of convection–diffusion it is the integral of that, over √g."""
    op = operator(problem)
    x = jnp.linspace(0.02, 0.98, 9)[:, None]
    inputs = jax.jit(op.ansatz.inputs)(given(problem))
    lam = Lam(jnp.float64(0), jnp.float64(0.2))

    @jax.jit
    def everything():
        u, a = op.ansatz.jet(op.params, inputs, x, lam), op.ansatz.input_jet(inputs, x, lam)
        h = problem.residual(u, x.T[:, None, :], a, lam)
        found, slope = jax.jvp(
            lambda x: op.ansatz.residual(op.params, inputs, x, lam), (x,), (jnp.ones_like(x),)
        )
        ends = op.ansatz.jet(op.params, inputs, jnp.asarray([[0.0], [1.0]]), lam, ())[""]
        return h, found, slope, ends

    h, found, slope, ends = everything()
    if isinstance(problem, ConvectionDiffusion):
        g = 10 * 0.2 / (1 + 10 * 0.2)
        found = np.sqrt(g) * slope
    np.testing.assert_allclose(found, h, atol=1e-9)
    np.testing.assert_allclose(ends, 0, atol=1e-12)


def test_layered_points_lie_in_the_layers_and_between():
    box, count = hop.Box((0.0, 0.0), (1.0, 2.0)), 3000
    widths = jnp.where(jnp.arange(count) < count // 2, 1e-3, 1e-4)
    layers = [(1, 2.0, widths)]
    x = np.asarray(
        Layered().draw(jax.random.key(0), count, box, lambda x, labels: {}, None, layers).x
    )
    assert np.all((x >= 0) & (x <= [1, 2]))
    far = (2 - x[:, 1]) / np.asarray(widths)
    for half in (far[: count // 2], far[count // 2 :]):
        inside = half < 20
        assert abs(inside.mean() - 0.5) < 0.05
        assert abs(half[inside].mean() - 2) < 0.4
    counts, _ = np.histogram(x[:, 0], 10)  # there is none across x
    assert abs(counts - count / 10).max() < 60
    skin = config(ansatz__eps=(), train__sampler="layered")
    with pytest.raises(UserError, match="has no 'layers'"):
        config_lib.build(
            dataclasses.replace(skin, problem={"name": "burgers_time"}, network=skin.network)
        )


@pytest.mark.parametrize("span", [(), (1e-4, 1.0)], ids=["one eps a stage", "a range"])
def test_training_draws_in_the_layers_of_its_eps(span):
    """Half of the points at the distance Exp(2ε) from the wall, ε of the stage, or of the point."""
    experiment = config_lib.build(config(ansatz__eps=span, train__points=8000))
    program = training.Program(experiment, experiment.layout())
    one = jnp.ones(())
    for eps in (2e-3, 1e-4):
        lam = Lam(0 * one, eps * one)
        stage = Stage(jnp.int32(0), lam, lam, one)
        points = program.points(program.init(), stage, {}, None)
        own = eps if points.eps is None else points.eps
        thin = np.broadcast_to(np.asarray(own) < 4e-3, 8000)
        far = ((1 - points.x[:, 0]) / own)[thin]
        assert abs((far < 15).mean() - 0.5) < 0.15
        assert abs(far[far < 15].mean() - 2) < 0.4


def test_a_quadrature_follows_its_places():
    axes = [np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.5, 2.0, 3.0])]
    x, weights = hop.Box((0.0, 0.0), (1.0, 3.0)).quadrature_on(axes)
    assert weights @ (1 + 2 * x[:, 0] - x[:, 1]) == pytest.approx(3 * (1 + 1 - 1.5))
    judge = evaluation.Judge(ReactionDiffusion(), {}, {})
    x, weights = judge.quadrature(1e-6)
    layer = weights @ np.exp(-x[:, 0] / 1e-6)
    assert layer == pytest.approx(1e-6, rel=1e-3)
    assert isinstance(ReactionDiffusion().layers(Lam(0.0, 0.1))[0], Layer)
