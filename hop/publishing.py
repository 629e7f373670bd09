"""Models to load by name: the networks of a workdir's stages, with a model card.

    FOLDER/NAME/config.json        the experiment of the first workdir
    FOLDER/NAME/stages/<K>/params  as in a workdir, without what only training needs
    FOLDER/NAME/README.md          the card, made from the stages' metadata

Publishing to a name that is there adds the stages that it lacks, so a model can grow: refine it,
and publish the refinement. The new model takes the old one's place by two renames,
NAME → .NAME.before and .NAME.tmp → NAME; one that was cut short between them is put right first by
the next.
"""

import ast
import importlib
import inspect
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hop import config as config_lib
from hop import files
from hop.checkpoints import StageInfo, Store, write_model
from hop.errors import UserError
from hop.evaluation import Counting, Judge, named, unheard
from hop.laws import Law
from hop.operators import open_stage, some_of, stored_experiment
from hop.problem import Problem

_WIDE = 100  # columns of a line of code
_SCORES = {"l2re": "mean L2RE", "l2re_median": "median", "l2re_worst": "worst"}


def publish(
    source: str,
    name: str,
    *,
    folder: str = "pretrained",
    eps: Sequence[float] = (),
    functions: int | None = None,
    data_dir: str = "",
    say: Callable[[str], None] = lambda text: None,
    counting: Counting = unheard,
    **own: Any,
) -> Path:
    """Adds a model, or stages to one, and writes its card.

    Args:
      source: a workdir.
      name: of the model: lower-case letters, digits and hyphens.
      folder: where models are kept.
      eps: of the stages to publish; all by default. Those that the model holds already stay.
      functions: of the test split, on which each stage is scored; by default 1,000, or fewer where
        there are very many points.
      data_dir: the datasets' folder; functions that it does not hold are drawn anew.
      say: hears of each stage before it is scored, which can take minutes.
      counting: hears of what is scored, as in `hop.evaluation.Judge`.
      own: objects of your own, `problem=` and the others of `hop.load`.

    Returns:
      The model's folder.

    Raises:
      UserError: a bad name, no stage of an ε, a model of another problem or network, or one that
        another job is publishing.
      RunError: a damaged checkpoint.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(
            f"{name!r} is no name for a model; use lower-case letters, digits and hyphens, as in "
            "burgers-steady"
        )
    store = Store.find(source)
    chosen = _chosen(store.stages(), eps)
    home = files.path(folder) / name
    home.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another job is publishing to {home}; wait for it, then run the same command again"
    with files.owned(home.with_name(f".{name}.lock"), busy):
        _put_right(home)
        return _grown(home, store, chosen, functions, data_dir, say, counting, own)


def _grown(
    home: Path,
    store: Store,
    chosen: Sequence[StageInfo],
    functions: int | None,
    data_dir: str,
    say: Callable[[str], None],
    counting: Counting,
    own: Mapping[str, Any],
) -> Path:
    """The model at `home`, with the chosen stages of a workdir beside those that it has."""
    name, config = home.name, config_lib.stored(store.config())
    kept: list[StageInfo] = []
    if home.exists():
        model = Store.find(home)
        config_lib.check_alike(
            config_lib.stored(model.config()),
            config,
            f"the model {name!r} has another {{what}} ({{one}}, and here {{other}}); publish under "
            "another name",
        )
        kept = model.stages()
    new = [i for i in chosen if _place(i) not in map(_place, kept)]
    if not new:
        raise UserError(f"{home} holds every one of these stages already; nothing was written")
    experiment = stored_experiment(store, data_dir, **own)
    judge = Judge.tested(experiment, [info.eps for info in new], functions, counting)
    made = []
    for info in new:
        say(f"scoring the stage at s={info.s:g}, eps={info.eps:g} against the reference")
        operator = open_stage(store, info, **own)
        scored = {op.eps: judge.scores(op) for op in some_of(operator)}
        test: dict[str, Any] = scored[operator.eps] | {"functions": judge.functions}
        if operator.span:  # ε is an input
            test["at"] = [{"eps": e, **scores} for e, scores in scored.items()]
        made.append((operator.params, _nowhere({**info.metadata, "test": test})))
    made += [(open_stage(model, info, **own).params, dict(info.metadata)) for info in kept]
    made.sort(key=lambda stage: (-stage[1]["s"], -stage[1]["eps"]))
    whole, before = _beside(home)
    laws = experiment.problem.inputs
    write_model(whole, model.config() if kept else made[0][1]["config"], made, laws)
    (whole / "README.md").write_text(card(name, Store(whole), **own), encoding="utf-8")
    files.settle(whole)
    if home.exists():
        files.move(home, before)
    files.move(whole, home)
    _put_right(home)
    return home


def _put_right(home: Path) -> None:
    """Puts an earlier model back, or removes it once the new one holds its stages.

    Raises:
      UserError: the new one lacks some of them.
    """
    scratch, before = _beside(home)
    shutil.rmtree(scratch, ignore_errors=True)
    if not before.exists():
        return
    if not home.exists():
        files.move(before, home)
        return
    lost = set(map(_place, Store(before).stages())) - set(map(_place, Store(home).stages()))
    if lost:
        raise UserError(
            f"{before}, an earlier {home.name}, holds stages that {home} lacks; move one of them "
            "elsewhere, or delete it"
        )
    files.move(before, scratch)  # at once: half of it removed, it would be no model
    shutil.rmtree(scratch, ignore_errors=True)


def _beside(home: Path) -> tuple[Path, Path]:
    """Where a model is written, or removed; and where a whole one waits for the next."""
    return home.with_name(f".{home.name}.tmp"), home.with_name(f".{home.name}.before")


def _nowhere(metadata: dict[str, Any]) -> dict[str, Any]:
    """A stage's metadata without the folders of the machine that trained it."""
    config, how = metadata["config"], metadata["made"]
    how = {**how, "command": re.sub(r"(?<=[ =])/\S*/", "", how["command"])}
    config = config_lib.to_json(config_lib.stored(config))
    return metadata | {"config": config, "made": how}


def _place(info: StageInfo) -> tuple[float, float]:
    return info.s, info.eps


def _chosen(stages: Sequence[StageInfo], eps: Sequence[float]) -> list[StageInfo]:
    """The stages of these ε, in the order of the path; all if none is named."""
    found = [i for i in stages if not eps or any(np.isclose(i.eps, e, rtol=1e-6) for e in eps)]
    for value in eps:
        if not any(np.isclose(i.eps, value, rtol=1e-6) for i in stages):
            have = ", ".join(f"{i.eps:g}" for i in stages)
            raise UserError(f"no stage with eps={value:g}; there are {have}")
    return found


def card(name: str, store: Store, **own: Any) -> str:
    """The model card, Markdown, from what the stages say of themselves; `own` as in `hop.load`."""
    config, stages = config_lib.stored(store.config()), store.stages()
    experiment, noted = stored_experiment(store, **own), stages[-1].metadata
    asked = [k for k in config_lib.needed(noted) if "name" not in getattr(config, k)]
    given = "".join(f", {kind}={kind}" for kind in asked)
    problem, laws = experiment.problem, experiment.problem.inputs
    count = experiment.ansatz.size
    counts = sorted({info.metadata["test"]["functions"] for info in stages})
    tested = " to ".join(f"{count:,}" for count in counts if count)
    # From its source: optimised bytecode has no docstrings.
    source = inspect.getsource(importlib.import_module(type(problem).__module__))
    about = ast.get_docstring(ast.parse(source)) or ""
    scores = dict(_SCORES) if tested else {"l2re": "L2RE"}
    if len(problem.unknowns) > 1:
        scores |= {f"l2re_{unknown}": f"of `{unknown}`" for unknown in problem.unknowns}
    head = ["stage", "s", "ε", "steps", "loss", *scores.values()]
    rows = [
        [str(i.stage), f"{i.s:g}", f"{test.get('eps', i.eps):g}", f"{i.record['step']:,}"]
        + [_number(test.get(key)) for key in ("loss", *scores)]
        for i in stages
        for test in i.metadata["test"].get("at", [i.metadata["test"]])
    ]
    waves = f"{config.ansatz.harmonics} harmonics of {' and '.join(problem.domain.periodic)}; "
    waves *= bool(problem.domain.periodic)
    if config.ansatz.windows > 1:
        waves += f"applied on {config.ansatz.windows} windows of time; "
    last, network = stages[-1], config_lib.classes(noted).get("network")
    tests = " × ".join(map(str, config.train.tests))
    weak = f"½ Σ R², R the residual against {tests} test functions (its weak form)"
    loss = weak if tests else "½ mean H², H the residual"
    chosen = f"stage={last.stage}" if last.span else f"eps={last.eps:g}, s={last.s:g}"
    called = f"u = {call(problem, last.span)}"
    if len(called) > _WIDE:
        code, told = called.split("  # ", 1)
        called = f"# {told}\n{code}"
    text = [
        f"# {name}",
        about,
        f'```python\nimport hop\n\nop = hop.load("{name}", {chosen}{given})\n{called}\n```',
        *_as_input(problem, last),
        "Relative L2 errors (L2RE) against the problem's own reference solver, "
        + (f"on {tested} test functions that training never saw" if tested else "on its points")
        + ("; of all unknowns their mean" if len(problem.unknowns) > 1 else "")
        + f"; the loss is {loss}.",
        files.table(head, rows),
    ]
    facts = [
        f"* Problem: {named({'name': type(problem).__name__, **config.problem})}",
        *(f"* Input `{name}`: {_told(law)}" for name, law in laws.items()),
        f"* Network: {named({'name': network, **config.network})}; {waves}{count:,} parameters, "
        f"{config.train.precision}",
        f"* Trained {_with_labels(config)}, each stage from the one before it:",
        *_trained(stages),
        f"* Versions: {', '.join(f'{k} {v}' for k, v in last.metadata['versions'].items())}",
        "* Licence: Apache 2.0",
    ]
    return "\n\n".join([*text, "\n".join(facts)]) + "\n"


def _trained(stages: Sequence[StageInfo]) -> list[str]:
    """A line for each command that made stages."""
    found: dict[tuple[str, ...], list[StageInfo]] = {}
    for info in stages:
        made = info.made
        found.setdefault((made["command"], made["machine"], made["date"]), []).append(info)
    return [
        f"  * ε = {', '.join(map(_eps, infos))}: `{command or 'hop.training.train'}`, "
        f"{sum(i.record['seconds'] for i in infos) / 60:.0f} min on {machine}, {date}"
        for (command, machine, date), infos in found.items()
    ]


def _eps(info: StageInfo) -> str:
    """The ε of a stage, or its range."""
    return " – ".join(f"{eps:g}" for eps in info.span or [info.eps])


def _as_input(problem: Problem, last: StageInfo) -> list[str]:
    """What a card says where ε is an input of the network."""
    if last.span is None:
        return []
    given = ", or one for each function" if problem.inputs else ""
    return [
        f"ε is an input: `eps` is any number from {last.span[0]:g} to {last.span[1]:g}{given}. "
        f"Each stage was trained on all ε from its lowest to {last.span[1]:g}, and is tested here "
        "at some of them."
    ]


def call(problem: Problem, span: tuple[float, float] | None = None) -> str:
    """A call of the operator, and what it takes and gives; with ε where that is an input."""
    laws, unknowns = problem.inputs, problem.unknowns
    eps = f"eps={span[0]:g}" if span else ""
    more = f", {eps}" if eps else ""
    one = "(n, q)" if laws else "(q,)"
    made = "{" + ", ".join(f'"{unknown}": {one}' for unknown in unknowns) + "} at op.grid"
    if len(unknowns) == 1:
        made = f"{one} at op.grid"
    if not laws:
        return f"op({eps})  # {made}"
    if len(laws) == 1:
        ((name, law),) = laws.items()
        what = f"{_shape(law)} " + ("values at op.sensors" if law.domain else "numbers")
        return f"op({name}{more})  # {what} → {made}"
    given = ", ".join(f'"{name}": {name}' for name in laws)
    shapes = ", ".join(f"{k} {_shape(law)}" for k, law in laws.items())
    at = " at op.sensors" if any(law.domain for law in laws.values()) else ""
    return f"op({{{given}}}{more})  # {shapes}{at} → {made}"


def _shape(law: Law) -> str:
    """Of what an operator is given."""
    if law.domain is not None:
        return "(n, m)"
    return f"(n, {law.width})" if law.shape else "(n,)"


def _told(law: Law) -> str:
    """A law in a line."""
    what = f"`{law.name}`" if law.name else f"a law of your own ({type(law).__name__})"
    if law.domain is None:
        what = f"{law.width:,} numbers" if law.shape else "a number"
        return f"{what} ({type(law).__name__})"
    return f"{what}, {law.width:,} sensors"


def _with_labels(config: config_lib.Config) -> str:
    if not config.labels.digest:
        return "without labels"
    how = "from" if config.strategy["name"] == "supervised" else "with"
    return f"{how} labels ({config.labels.digest})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"
