"""Experiment trackers beside TensorBoard: Weights & Biases and MLflow, for those who use them.

`config.train.track` names one. Its package is imported only then, and where the run goes is its own
to say, by its environment variables (WANDB_MODE, WANDB_PROJECT; MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME). W/track.json keeps the run's id, so a workdir that goes on is one run there
too.
"""

import importlib
import importlib.util
import json
import secrets
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hop import files
from hop.errors import UserError

TRACKERS = ("wandb", "mlflow")


class Tracker(Protocol):
    """What a run is told to."""

    id: str

    def log(self, scalars: Mapping[str, float], step: int) -> None: ...

    def close(self) -> None: ...


def check(name: str) -> None:
    """Refuses a tracker that is not installed.

    Raises:
      UserError: it is not.
    """
    if name and importlib.util.find_spec(name) is None:
        raise UserError(
            f"config.train.track={name} needs the package {name}; install it with "
            f"'pip install {name}', or leave the field out"
        )


class Tracked:
    """A run in a tracker. Training does not end where the tracker fails: that is told once.

    Args:
      name: of the tracker.
      root: the workdir, after which the run is named.
      config: what the tracker shows of it.
    """

    def __init__(self, name: str, root: Path, config: Mapping[str, Any]):
        self._name = name
        self._tracker: Tracker | None = None
        kept, known = root / "track.json", ""
        if kept.exists():
            known = _known(kept, name)
        self._safely(lambda: self._open(name, root, config, known))
        if self._tracker is not None and self._tracker.id != known:
            files.write(kept, json.dumps({name: self._tracker.id}) + "\n")

    def _open(self, name: str, root: Path, config: Mapping[str, Any], known: str) -> None:
        made: dict[str, Callable[..., Tracker]] = {"wandb": _Wandb, "mlflow": _Mlflow}
        self._tracker = made[name](root, config, known)

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Numbers by name, against the steps of the run."""
        if (tracker := self._tracker) is not None and scalars:
            self._safely(lambda: tracker.log(scalars, step))

    def close(self) -> None:
        if (tracker := self._tracker) is not None:
            self._safely(tracker.close)

    def _safely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # of a service elsewhere, many kinds
            self._tracker = None
            line = " ".join(str(error).split())[:300]
            warnings.warn(
                f"{self._name} failed, and hears no more of this run: {line}", stacklevel=2
            )


class _Wandb:
    def __init__(self, root: Path, config: Mapping[str, Any], known: str):
        self.id = known or secrets.token_hex(4)
        self._run = importlib.import_module("wandb").init(
            id=self.id, resume="allow", name=root.name, dir=str(root), config=dict(config)
        )

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, root: Path, config: Mapping[str, Any], known: str):
        self._mlflow = importlib.import_module("mlflow")
        run = self._mlflow.start_run(run_id=known or None, run_name=root.name)
        self.id = run.info.run_id
        if not known:
            self._mlflow.log_params(_flat(config))

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(scalars), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def _known(path: Path, name: str) -> str:
    """The id that a workdir keeps for a tracker; empty for none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get(name, "")
    except (OSError, ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and found.isalnum() else ""


def _flat(config: Mapping[str, Any], head: str = "") -> dict[str, str]:
    """{"train.steps": "700", …}, each value as text of at most 250 characters."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{head}{key}.")
        else:
            flat[f"{head}{key}"] = str(value)[:250]
    return flat
