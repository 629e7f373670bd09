"""Scores are what they say: relative errors in L2, ½ mean H², on functions that are held out."""

import dataclasses
import math
import time

import jax
import numpy as np
import pytest

import hop
from hop import ambient, console, datasets, evaluation, publishing, training
from hop.ansatz import Ansatz
from hop.checkpoints import Store
from hop.evaluation import Judge
from hop.networks.mlp import MLP
from hop.operators import Operator, stored_experiment
from hop.problem import Lam
from hop.problems.high_frequency import HighFrequency
from hop.problems.reaction_diffusion import ReactionDiffusion
from hop.training import feeds

PROBLEM, LAM = HighFrequency(), Lam(0.0, 0.1)


class Off(Operator):
    """The reference plus x, which leaves the residual x."""

    def __call__(self, x):
        return PROBLEM.reference({}, x, LAM)[0] + x[:, 0]

    def residual(self, x):
        return x[:, 0]


OFF = Off(Ansatz(PROBLEM, MLP((4,))), {"bias": np.zeros(1, np.float32)}, LAM)


def test_errors_are_relative_and_in_l2():
    """∫x² = 1/3 beside ∫sin² = ½; in L1 it were π/4, by the largest value 1."""
    found = Judge(PROBLEM, {}, {}).errors(OFF)
    np.testing.assert_allclose(found, [math.sqrt((1 / 3) / (1 / 2))], rtol=1e-5)


def test_the_loss_is_half_the_mean_square():
    assert Judge(PROBLEM, {}, {}).loss(OFF) == pytest.approx(1 / 6, rel=1e-5)


def test_scores_are_mean_median_and_worst_over_the_functions():
    class Known(Judge):
        def errors_by_unknown(self, operator):
            return {"u": np.array([1.0, 6.0, 2.0])}

    scores = Known(PROBLEM, {}, {}).scores(OFF)
    assert (scores["l2re"], scores["l2re_median"], scores["l2re_worst"]) == (3.0, 2.0, 6.0)


class Asked(Exception):  # noqa: N818
    """The split whose functions are asked for; they are not read."""


def test_functions_that_score_are_held_out(tiny, tmp_path, listener, monkeypatch):
    def asked(field, split, *rest, **more):
        raise Asked(split)

    monkeypatch.setattr(datasets, "load", asked)
    monkeypatch.setattr(feeds, "provide", lambda *_: None)
    monkeypatch.setattr(feeds, "feed", lambda *_: None)
    for score, split in (
        (lambda: evaluation.evaluate("burgers-steady", stage=0), "test"),
        (lambda: publishing.publish("burgers-steady", "new", folder=str(tmp_path)), "test"),
        (lambda: training.train(tiny(), tmp_path / "w", listener()), "validation"),
    ):
        with pytest.raises(Asked, match=split):
            score()


def test_references_in_blocks_are_those_of_all_functions():
    """As they are counted, of a problem of one's own."""

    class Mine(ReactionDiffusion):
        __module__ = "mine"

        def reference(self, a, x, lam):
            time.sleep(0.01)
            return np.asarray(a["f"](x))

    problem, heard = Mine(), []
    law = problem.inputs["f"]
    field = law.field(np.float64(law.sample(jax.random.key(0), 50).coefficients))

    def counting(what):
        return lambda done, total: heard.append((what, done, total))

    judge = Judge(problem, {"f": np.zeros((50, 1))}, {"f": field}, counting=counting)
    x, _ = judge.quadrature(0.5)
    with ambient.on_cpu():
        np.testing.assert_allclose(judge.reference(Lam(0.0, 0.5)), field(x), rtol=1e-5, atol=1e-5)
    assert heard == [("reference solutions at eps=0.5", done, 50) for done in (8, 48, 50)]


def test_scores_in_parts_are_those_of_all_functions(monkeypatch):
    """Of a problem that ships; losses, references and answers are counted alike."""
    loaded, heard = hop.load("burgers-steady-unit", stage=0), []
    # In float64, where what many devices round differently is far below the errors.
    doubled = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), loaded.params)
    operator = dataclasses.replace(loaded, params=doubled)
    law = operator.laws["u0"]
    field = law.field(np.float64(law.sample(jax.random.key(0), 12).coefficients))
    values = {"u0": np.asarray(law.values(field))}

    def counting(what):
        return lambda done, total: heard.append((what.split(" at ")[0], done, total))

    def scores():
        return Judge(operator.ansatz.problem, values, {"u0": field}, (), counting).scores(operator)

    whole = scores()
    names = ("loss", "reference solutions", "answers")
    assert heard == [(name, 12, 12) for name in names]
    heard.clear()
    q = len(Judge(operator.ansatz.problem, values, {"u0": field}).quadrature(operator.eps)[0])
    monkeypatch.setattr(evaluation, "TOGETHER", 5 * q)
    monkeypatch.setattr(evaluation, "SOLVED", 9 * q)
    assert scores() == pytest.approx(whole, rel=1e-5)
    parts = {"loss": (4, 8, 12), "reference solutions": (8, 12), "answers": (4, 8, 12)}
    assert heard == [(name, done, 12) for name in names for done in parts[name]]


def test_very_many_points_are_of_fewer_functions():
    store = Store.find("burgers-time")
    experiment = stored_experiment(store)
    assert Judge.tested(experiment, [0.1, 0.01]).functions == 1000
    assert Judge.tested(experiment, [0.01, 0.001]).functions == 200
    assert Judge.tested(experiment, [0.001], 700).functions == 700  # as asked


@pytest.mark.parametrize("columns", [40, 80])
def test_a_table_is_whole_on_a_narrow_terminal(columns, monkeypatch, capsys):
    """Every number on a line with its name, or in a column; none is cut or broken in two."""
    monkeypatch.setenv("COLUMNS", str(columns))
    gauge = {"sigma": 0.027, "shift": None, "error": None, "resolved": True}
    scores = {"loss": 1.25e-7, "l2re": 2e-5, "l2re_median": 3e-5, "l2re_worst": 4e-5}
    row = {"stage": 3, "s": 0.0, "eps": 0.05, **scores, "gauge": gauge, "place": "assumed"}
    console.table({"problem": "p", "functions": 20, "stages": [row, row]})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    cells = ("1.25e-07", "2.00e-05", "3.00e-05", "4.00e-05", "2.7e-02", "open", "assumed")
    named = [line.split()[-1] for line in lines if line.split()]
    whole = [line for line in lines if all(f" {cell}" in line for cell in cells)]
    assert len(whole) == 2 or all(named.count(cell) >= 2 for cell in cells)
