"""Measuring a trained stage: its loss on held-out points and its error against a reference."""

import dataclasses
import functools
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hop import ambient, datasets
from hop import config as config_lib
from hop.checkpoints import Store
from hop.config import Experiment
from hop.domain import TENSOR_DIM
from hop.errors import RunError, UserError
from hop.homotopy.terms import weak
from hop.laws import Field
from hop.operators import Operator, open_stage, select, some_of, stored_experiment
from hop.problem import Lam, Layered, Problem, in_time, layers_of, reference
from hop.trust import gauge

# Of the quadrature: along each axis in 1, 2, 3 dimensions, or so many per ε if that is more; in all
# where a tensor grid is out of reach.
_POINTS = (1001, 201, 65)
_PER_EPS = (20, 20, 0)
# For the loss, a mean that nothing is measured against, fewer do where points are many.
_PER_EPS_OF_LOSS = (20, 5, 0)
# The same in problems that know their layers, as many between these as in each; and the widths of a
# layer that they reach to, beyond which it is nothing.
_WITH_LAYERS = (1001, 201, 25)
_REACH = (40, 40, 8)
# In time, along each axis of space and that of t, in as many dimensions: what is customary on a
# line, and in the plane what fits in memory.
_POINTS_IN_TIME = ((101, 101), (101, 101), (65, 11))
_FINE = (1e-3, 2048)  # in time, the ε up to which a single x has so many points instead
_QUASI_RANDOM = 2**13
_ERRORS: dict[str, Any] = {"l2re": np.mean, "l2re_median": np.median, "l2re_worst": np.max}
_FUNCTIONS = 1000  # by default, but no more than
MOST = 50_000_000  # functions × points allow: where points are very many, so are the values
TOGETHER = 2**24  # functions × points that an operator is asked for between two words of progress
SOLVED = 2**22  # the same of a reference of a problem that ships
_BLOCK = 8  # reference solutions of a problem of one's own, at first
_SECONDS, _GROWTH = 5, 5  # a block is then to take so long, and is no more times the last one
_GAUGED = 16  # functions: a gauge costs as much as several Newton steps for each


Counting = Callable[[str], Callable[[int, int], None]]  # of what → (done, total)


def unheard(what: str) -> Callable[[int, int], None]:
    return lambda done, total: None


@dataclasses.dataclass(frozen=True, eq=False)  # compared and hashed by identity
class Judge:
    """Scores operators of one problem on the same functions and points.

    Attributes:
      problem: the problem.
      values: sensor values (n, m) of held-out functions, by the name of the input.
      fields: the same functions by their coefficients.
      tests: of a weak residual, which is then the loss; () for the residual at points.
      counting: hears of losses, reference solutions and answers, as `hop.console.Console.counting`.
    """

    problem: Problem
    values: Mapping[str, np.ndarray]
    fields: Mapping[str, Field]
    tests: tuple[int, ...] = ()
    counting: Counting = unheard

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        split: str,
        count: int | None = None,
        counting: Counting = unheard,
    ) -> "Judge":
        """A judge with the first `count` functions of a split (all by default)."""
        problem, laws = experiment.problem, experiment.problem.inputs
        data = datasets.load_all(laws, split, experiment.config.data.data_dir, count)
        values = {name: found["values"] for name, found in data.items()}
        fields = {name: laws[name].field(found["coefficients"]) for name, found in data.items()}
        return cls(problem, values, fields, experiment.config.train.tests, counting)

    @classmethod
    def tested(
        cls,
        experiment: Experiment,
        eps: Sequence[float],
        count: int | None = None,
        counting: Counting = unheard,
    ) -> "Judge":
        """A judge with test functions for stages of these ε: 1,000, or fewer of very many points.

        Where all functions have more than 50 million values at one of the ε, there are 100, or 200,
        and so on.
        """
        judge = cls.of(experiment, "test", count or _FUNCTIONS, counting)
        most = MOST // max(len(judge.quadrature(e)[0]) for e in eps)
        if count or most >= judge.functions:
            return judge
        return cls.of(experiment, "test", max(100, most // 100 * 100), counting)

    @property
    def functions(self) -> int:
        """How many; 0 for a problem without input functions."""
        return next(map(len, self.values.values()), 0)

    def loss(self, operator: Operator) -> float:
        """L_H = ½ mean |H|² on held-out functions and quadrature points, or ½ Σ R² of tests."""
        if self.tests:
            with ambient.numerics(operator.dtype):
                values = {k: jnp.asarray(v, operator.dtype) for k, v in self.values.items()}
                args = (operator.ansatz, operator.params, values, operator.lam)
                return float(weak.loss(self.tests, *args))
        points, weights = self.quadrature(operator.eps, _PER_EPS_OF_LOSS)

        def squares(some: slice) -> np.ndarray:
            h = operator.residual(*self._given(some), points).astype(np.float64)
            return np.atleast_1d(h**2 @ (weights / weights.sum()))

        made = self.counted(f"loss at eps={operator.eps:g}", TOGETHER // len(points), squares)
        return float(0.5 * np.mean(made))

    def scores(self, operator: Operator) -> dict[str, float | None]:
        """The loss, and mean, median and worst relative L2 error over the functions.

        Returns:
          "loss", "l2re", "l2re_median", "l2re_worst"; the errors are None where there is no
          reference, or where its solver does not converge. Of several unknowns the errors are the
          mean of theirs, and "l2re_NAME" are the means of each.
        """
        loss: dict[str, float | None] = {"loss": self.loss(operator)}
        try:
            by_unknown = self.errors_by_unknown(operator)
        except (RunError, UserError) as error:
            if isinstance(error, UserError):  # a reference of the user's own that fails just here
                warnings.warn(str(error), stacklevel=2)
            return loss | dict.fromkeys(_ERRORS)
        errors = np.mean(list(by_unknown.values()), axis=0)
        scores = loss | {name: float(of(errors)) for name, of in _ERRORS.items()}
        if len(by_unknown) == 1:
            return scores
        return {f"l2re_{name}": float(e.mean()) for name, e in by_unknown.items()} | scores

    def worst(self, operator: Operator) -> dict[str, float | None]:
        """The scores of an operator; where ε is an input, the worst of some ε of its range.

        Returns:
          As `scores`. Of a range they are those of the ε with the largest mean error, or loss where
          there are no errors, "l2re_at" says which, and "loss" is the largest of all.
        """
        if operator.span is None:
            return self.scores(operator)
        rows = [{**self.scores(at), "l2re_at": at.eps} for at in some_of(operator)]
        known = [row for row in rows if row.get("l2re") is not None]
        key = "l2re" if known else "loss"
        worst: Any = max(known or rows, key=lambda row: row[key] or 0.0)
        return worst | {"loss": float(np.max([row["loss"] for row in rows]))}

    def errors(self, operator: Operator) -> np.ndarray:
        """‖u − r‖/‖r‖ in L2 for each function, (n,), by a fixed quadrature.

        Of several unknowns it is the mean of theirs.

        It has 20 points per ε or more along each axis, in one and two dimensions, and fixed
        numbers in time.
        """
        return np.mean(list(self.errors_by_unknown(operator).values()), axis=0)

    def errors_by_unknown(self, operator: Operator) -> dict[str, np.ndarray]:
        """The same for each unknown, by its name."""
        points, weights = self.quadrature(operator.eps)
        names, r = self.problem.unknowns, self.reference(operator.lam)
        r = r.reshape(len(names), -1, len(points))

        def errors(some: slice) -> np.ndarray:
            u = operator(*self._given(some), points)
            found = np.stack([u[name] for name in names]) if len(names) > 1 else u[None]
            off = found.reshape(len(names), -1, len(points)).astype(np.float64) - r[:, some]
            return np.sqrt(off**2 @ weights) / np.sqrt(r[:, some] ** 2 @ weights)

        what = f"answers at eps={operator.eps:g}"
        made = self.counted(what, TOGETHER // len(points), errors)
        return dict(zip(names, made, strict=True))

    @property
    def given(self) -> tuple[Any, ...]:
        """The inputs as a call of an operator takes them: none, or all by name."""
        return self._given(slice(None))

    def _given(self, some: slice) -> tuple[Any, ...]:
        laws = self.problem.inputs
        given = {k: v[some].reshape(-1, *laws[k].shape) for k, v in self.values.items()}
        return (given,) if given else ()

    def counted(
        self, what: str, most: int, of: Callable[[slice], np.ndarray], axis: int = -1
    ) -> np.ndarray:
        """What is made of all functions, `most` at once, a power of two; each part is counted.

        Args:
          of: what is made of some functions, which lie along `axis` of it.
        """
        count, advance = self.functions, self.counting(what)
        block, parts = 1 << max(1, most).bit_length() - 1, []
        for first in range(0, max(1, count), block):
            parts.append(of(slice(first, first + block)))
            advance(min(first + block, max(1, count)), max(1, count))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)

    def reference(self, lam: Lam) -> np.ndarray:
        """The reference solutions, (n, q) or (c, n, q), at the quadrature points."""
        return _reference(self, Lam(float(lam.s), float(lam.eps)))

    def trust(self, operator: Operator) -> dict[str, float | bool | None] | None:
        """The gauge of the residual: medians over the first 16 functions.

        Returns:
          "sigma", "shift" and "error" as in `hop.trust.Gauge`, None for what is infinite or
          unknown, and "resolved", true if it is for every function; None for a problem that has
          no gauge.
        """
        try:
            given = {name: values[:_GAUGED] for name, values in self.values.items()}
            found = gauge(operator, given or None)
        except UserError:
            return None
        middles = {k: float(np.median(getattr(found, k))) for k in ("sigma", "shift", "error")}
        known = {k: v if math.isfinite(v) else None for k, v in middles.items()}
        return known | {"resolved": bool(np.all(found.resolved))}

    def _along(self, lam: Lam) -> list[np.ndarray]:
        """Places along each axis: even ones, and as many again by the wall of every layer.

        Float32 holds them all: of a place that it rounds, a thin layer would be scored elsewhere.
        """
        domain, axes = self.problem.domain, []
        count, reach = _WITH_LAYERS[domain.dim - 1], _REACH[domain.dim - 1]
        layers = layers_of(self.problem, lam)
        for axis, (low, high) in enumerate(zip(domain.lower, domain.upper, strict=True)):
            places = [np.linspace(low, high, count)]
            for column, end, width in layers:
                if column == axis:
                    far = np.linspace(0, min(reach * float(width), high - low), count)
                    places.append(end + np.sign((low + high) / 2 - end) * far)
            axes.append(np.unique(np.concatenate(places).astype(np.float32)).astype(float))
        return axes

    def quadrature(
        self, eps: float, per_eps: tuple[int, ...] = _PER_EPS
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points (q, d) and weights (q,) on which stages of this ε are scored.

        `per_eps` is how many there are per ε along an axis, in 1, 2, 3 dimensions.
        """
        domain = self.problem.domain
        if domain.dim > TENSOR_DIM:
            return domain.quadrature(_QUASI_RANDOM)
        if in_time(self.problem):
            space, times = _POINTS_IN_TIME[domain.dim - 1]
            if domain.dim == 2 and eps <= _FINE[0]:
                space = _FINE[1]
            return domain.quadrature(*(space,) * (domain.dim - 1), times)
        if isinstance(self.problem, Layered):
            return domain.quadrature_on(self._along(Lam(0.0, eps)))
        count, dense = _POINTS[domain.dim - 1], per_eps[domain.dim - 1]
        width = max(np.subtract(domain.upper, domain.lower))
        return domain.quadrature(max(count, 1 + math.ceil(dense * width / eps)))


@functools.lru_cache(maxsize=4)
def _reference(judge: Judge, lam: Lam) -> np.ndarray:
    """Solutions in blocks, which are counted; those of one's own problems take seconds each."""
    points, _ = judge.quadrature(lam.eps)
    problem, count, what = judge.problem, judge.functions, f"reference solutions at eps={lam.eps:g}"

    def solved(some: slice) -> np.ndarray:
        fields = {
            name: problem.inputs[name].field(field.coefficients[some])
            for name, field in judge.fields.items()
        }
        return reference(problem, fields, points, lam)

    if count <= _BLOCK or type(problem).__module__.startswith("hop."):
        return judge.counted(what, max(_BLOCK, SOLVED // len(points)), solved, -2)
    advance = judge.counting(what)
    parts, done, block = [], 0, _BLOCK
    while done < count:
        began = time.monotonic()
        parts.append(solved(slice(done, done + block)))
        done = min(done + block, count)
        advance(done, count)
        # A solver that takes all functions at once may compile anew for each size.
        growth = _SECONDS / max(time.monotonic() - began, 1e-3)
        block = max(1, math.floor(block * min(growth, _GROWTH)))
    return np.concatenate(parts, axis=-2)


def evaluate(
    source: str,
    *,
    functions: int | None = None,
    data_dir: str = "",
    eps: float | None = None,
    s: float | None = None,
    stage: int | None = None,
    counting: Counting = unheard,
    **own: Any,
) -> dict[str, Any]:
    """Scores the selected stage of a source, or all of them, on the test split.

    Args:
      source: a workdir or a pretrained model's name.
      functions: how many, the first of the split; by default 1,000, or fewer where there are very
        many points.
      data_dir: the datasets' folder; functions that it does not hold are drawn anew.
      eps, s, stage: a selection as in `hop.load`; all stages by default. Where ε is an input, a
        stage has a row for each of some ε, one a decade of its range, or for `eps` alone.
      counting: hears of what is scored, as in `Judge`.
      own: objects of your own, `problem=`, `network=` and the others of `hop.load`.

    Returns:
      {"problem", "functions", "stages": [{"stage", "s", "eps", "loss", "l2re", "l2re_median",
      "l2re_worst", "gauge", "place"}]}: `loss` is L_H on held-out points, "gauge" is of
      `Judge.trust`; "place" is "computed" or "assumed" in a run that may pin, else None.
    """
    store = Store.find(source)
    stages = store.stages()
    chosen = select(stages, eps=eps, s=s, stage=stage) or stages
    experiment = stored_experiment(store, data_dir, **own)
    places = [at for info in chosen for at in ([eps] if eps else [info.eps])]
    judge = Judge.tested(experiment, places, functions, counting)
    rows = []
    for info in chosen:
        for operator in some_of(open_stage(store, info, **own), eps):
            row = {"stage": info.stage, "s": info.s, "eps": operator.eps, **judge.scores(operator)}
            gauge = (
                judge.trust(operator) if operator.span is None else None
            )  # takes minutes for all
            rows.append(row | {"gauge": gauge, "place": info.record.get("place")})
    return {"problem": experiment.name("problem"), "functions": judge.functions, "stages": rows}


def info(source: str, **own: Any) -> dict[str, Any]:
    """What a source holds: problem, network, stages and the versions that made them.

    "samples" are the inputs that are functions of one's own, INPUT=NAME@DIGEST, and "labels" the
    digest and weight of the labels; both are empty where there are none.

    The scores of a workdir's stages are those of training, a published model's those of its card.
    `own` are objects of your own, as in `hop.load`; without them "parameters" are unknown.
    """
    store = Store.find(source)
    stages, config = store.stages(), config_lib.stored(store.config())
    noted, labels = stages[-1].metadata, config.labels
    config_lib.check_classes(own, noted)
    classes = config_lib.classes(noted)
    parameters = "unknown without the problem and network of one's own"
    absent = {k for k in config_lib.needed(noted) if "name" not in getattr(config, k)}
    if all(own.get(kind) is not None for kind in absent):
        made = stored_experiment(store, **own)
        classes["problem"] = type(made.problem).__name__
        parameters = f"{made.ansatz.size:,}"
    return {
        "source": str(store.root),
        "problem": named({"name": classes["problem"], **config.problem}),
        "network": named({"name": classes.get("network"), **config.network}),
        "strategy": named({"name": classes.get("strategy"), **config.strategy}),
        "samples": ", ".join(f"{name}={word}" for name, word in config.data.samples.items()),
        "labels": f"{labels.digest}, weight {labels.weight:g}" if labels.digest else "",
        "parameters": parameters,
        "made with": ", ".join(f"{name} {version}" for name, version in noted["versions"].items()),
        "stages": [info.record | _tested(info.metadata) | {"span": info.span} for info in stages],
    }


def _tested(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of a published stage; of a range those of the ε with the largest error."""
    test = dict(metadata.get("test", {}))
    known = [row for row in test.get("at", ()) if row["l2re"] is not None]
    if not known:
        return test
    worst = max(known, key=lambda row: row["l2re"])
    return {**test, **worst, "l2re_at": worst["eps"]}


def named(options: Mapping[str, Any]) -> str:
    """A group of a config as people read it: its name, and its other fields."""
    rest = ", ".join(f"{key}={value}" for key, value in options.items() if key != "name")
    return f"{options['name']} ({rest})" if rest else options["name"]
