"""Working folders and checkpoints: the only owner of their paths, and of Orbax.

    W/config.json             the resolved config
    W/inputs/<NAME>.npz       what was measured of the samples that the input NAME takes
    W/stages/<K>/params       the network of stage K          (Orbax items)
    W/stages/<K>/state        all that is needed to go on from the end of stage K
    W/rolling/<N>/state       the same, within a stage, after N steps in all; the last two are kept
    W/metrics.jsonl  W/tensorboard/  W/plots/  W/lock  W/owner

Each checkpoint carries, as metadata, a SHA-256 digest of every leaf. Reading verifies them: Orbax
itself restores most flipped bits silently, and casts a wrong dtype.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from etils import epath

from hop import files, metrics
from hop.errors import RunError, UserError
from hop.laws import Law
from hop.laws.samples import Empirical, Measured
from hop.metrics import Metrics
from hop.ownership import Owner
from hop.sharding import on_host, wait_for_all
from hop.share import share

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

PyTree = Any


class DamagedError(RunError):
    """A checkpoint that is no longer what was saved."""

    def __init__(self, folder: Path, step: int, problem: str, lost: Path | None = None):
        self.folder = folder / str(step)
        super().__init__(
            f"{_name(folder, step)} in {folder}: {problem}; restore {lost or self.folder} from a "
            f"copy, or delete {self.folder if lost else 'it'} to do without it ('hop train "
            "--fallback' sets it aside)"
        )


@dataclasses.dataclass(frozen=True)
class StageInfo:
    """What lies beside a stage's arrays: s, eps, record, bookmark, problem, config, digests, …"""

    stage: int
    metadata: Mapping[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """Losses, scores and steps at the stage's end."""
        return dict(self.metadata["record"])

    @property
    def made(self) -> dict[str, str]:
        """The command, machine and date that made it."""
        return dict(self.metadata["made"])

    @property
    def s(self) -> float:
        return float(self.metadata["s"])

    @property
    def eps(self) -> float:
        return float(self.metadata["eps"])

    @property
    def span(self) -> tuple[float, float] | None:
        """The range of ε (low, high) where ε is an input (`config.ansatz.eps`), else None."""
        given = self.metadata.get("config", {}).get("ansatz", {}).get("eps")
        return (self.eps, float(given[1])) if given else None

    def holds(self, eps: float) -> bool:
        """Whether the stage is of this ε, or of a range with it."""
        low, high = self.span or (self.eps, self.eps)
        return low * (1 - 1e-6) <= eps <= high * (1 + 1e-6)


class Store:
    """Checkpoints of one working folder or pretrained model, for reading."""

    def __init__(self, root: Path):
        self.root = root.absolute()
        self.stages_dir = self.root / "stages"
        self.rolling_dir = self.root / "rolling"

    @classmethod
    def find(cls, source: str | os.PathLike) -> "Store":
        """A workdir if that folder exists, else a pretrained model's name.

        Raises:
          UserError: neither, or the folder holds no finished stage.
        """
        if not isinstance(source, str | os.PathLike):
            raise UserError(f"{source!r} is neither a folder's path nor a pretrained model's name")
        path = files.path(source)
        if path.is_dir():
            store = cls(path)
        else:
            known = pretrained_names()
            if str(source) not in known:
                names = "a pretrained model (none are installed)"
                if known:
                    names = f"one of the pretrained models ({', '.join(known)})"
                raise UserError(
                    f"no checkpoint {str(source)!r}: it is neither a folder nor {names}"
                )
            store = cls(share("pretrained") / str(source))
        if not store.stages():
            raise UserError(
                f"{path} holds no finished stage; train one with "
                f"'hop train --config=CONFIG --workdir={path}'"
            )
        return store

    def config(self) -> dict[str, Any]:
        """The stored config as plain values, unchecked: `hop.config.stored` checks them.

        Where its file is damaged, that of the newest checkpoint, with a warning.

        Raises:
          RunError: neither can be read.
        """
        path = self.root / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not (isinstance(values, dict) and values):
                raise ValueError
            return values
        except (OSError, ValueError, RecursionError) as error:
            if (found := self.latest()) is None:
                raise RunError(f"{path} is damaged or missing; restore it from a copy") from error
            name = _name(found.folder, found.step)
            said = f"{path} is damaged or missing; the config that {name} holds is used"
            warnings.warn(said, stacklevel=2)
            return dict(found.metadata["config"])

    def law(self, name: str) -> Measured:
        """What was measured of the samples that an input took.

        Raises:
          RunError: the file is missing or damaged.
        """
        return Measured.read(_law_path(self.root, name))

    def stages(self) -> list[StageInfo]:
        """The finished stages, in order.

        Raises:
          DamagedError: one is damaged, or missing before another.
        """
        found = _steps(self.stages_dir)
        for k, step in enumerate(found):
            if step != k:
                raise _vanished(self.stages_dir, k, self.stages_dir, step)
        return [StageInfo(k, _metadata(self.stages_dir, k)) for k in found]

    def latest(self) -> "Checkpoint | None":
        """The newest checkpoint, of a finished stage or within one."""
        found = [
            Checkpoint(folder, step, _metadata(folder, step))
            for folder in (self.stages_dir, self.rolling_dir)
            for step in _steps(folder)[-1:]
        ]
        return max(found, default=None, key=lambda p: p.metadata["bookmark"]["total_steps"])

    def params(self, stage: StageInfo, like: PyTree, verify: bool = True) -> PyTree:
        """The parameters of a stage, NumPy arrays of the structure, shapes and dtypes of `like`.

        Raises:
          RunError: a leaf is missing, damaged, or of another shape or dtype.
        """
        digests = stage.metadata["digests"]["params"] if verify else None
        return _restore(self.stages_dir, stage.stage, "params", like, digests)


class Workdir(Store):
    """A working folder open for training; one process group at a time holds its lock."""

    @classmethod
    @contextmanager
    def open(cls, root: str | os.PathLike, chief: bool = True) -> Iterator["Workdir"]:
        """Creates the folder if need be and locks it until the end of the `with` block.

        Raises:
          UserError: the folder cannot be written, or another job holds it.
        """
        if "://" in str(root):
            raise UserError(
                f"workdir {root} is an address and no folder; mount it (a bucket by gcsfuse), and "
                "give the folder"
            )
        path = files.path(root)
        busy = f"workdir {path} is in use by another job; wait for it, or choose another --workdir"
        with ExitStack() as owned:
            try:
                path.mkdir(parents=True, exist_ok=True)
                if chief:
                    owned.enter_context(files.owned(path / "lock", busy))
            except OSError as error:
                raise UserError(
                    f"workdir {path} cannot be written ({error.strerror}); choose another --workdir"
                ) from error
            workdir = cls(path, chief)
            owned.callback(workdir.owner.release)
            owned.callback(workdir.close)
            if chief:
                workdir.owner.claim()  # where the lock does not reach
            wait_for_all("the workdir is this job's")
            yield workdir

    def __init__(self, root: Path, chief: bool):
        super().__init__(root)
        self.chief = chief
        self.owner = Owner(root)
        self._metrics: Metrics | None = None
        self._managers: dict[Path, ocp.CheckpointManager] = {}

    def adopt(
        self, config: Mapping[str, Any], completed: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        """Writes the config of a fresh workdir; holds a used one to the config that it has.

        `completed` makes of a config, which an older version may have written, what must stay.

        Raises:
          UserError: the configs differ; the message names the fields.
        """
        if _steps(self.stages_dir) or _steps(self.rolling_dir):
            changed = _differences(completed(self.config()), completed(config))
            if changed:
                labelled = any(line.startswith("config.labels") for line in changed)
                same = "Use those values" + labelled * " and labels, by config.labels.file"
                longer = (
                    ". To train a stage for more steps: hop refine "
                    f"{self.root} --eps=E --workdir=NEW --config.train.steps=N trains it again, "
                    "from the stage before it"
                )
                steps = any(line.startswith("config.train.steps") for line in changed)
                raise UserError(
                    f"workdir {self.root} was trained with another config: "
                    f"{'; '.join(changed[:4])}. {same}, or another --workdir{longer * steps}"
                )
        if self.chief:
            files.write(self.root / "config.json", json.dumps(config, indent=2) + "\n")

    def keep(self, laws: Mapping[str, Law]) -> None:
        """Writes what was measured of the inputs that are samples from the folder of datasets."""
        if self.chief:
            _write_laws(self.root, laws)

    def metrics(self, track: str = "", config: Mapping[str, Any] | None = None) -> "Metrics":
        """The metrics files, and a tracker by its name, which is shown the config."""
        self._metrics = Metrics(self.root, self.chief, track, config)
        return self._metrics

    def forget_after(self, total_steps: int) -> None:
        """Drops the metrics of steps that no checkpoint holds: they will be taken again."""
        path = self.root / "metrics.jsonl"
        if self.chief and path.exists():
            kept = [r for r in metrics.read(path) if r["total_steps"] <= total_steps]
            files.write(path, "".join(json.dumps(record) + "\n" for record in kept))

    def save_stage(
        self, stage: int, params: PyTree, state: PyTree, metadata: Mapping[str, Any]
    ) -> None:
        """Saves stage K and waits until it is whole on disk.

        Raises:
          RunError: it could not be written; earlier stages are untouched.
        """
        items = {"params": params, "state": state}
        if not self._save(self.stages_dir, stage, items, metadata, wait=True):
            raise RunError(f"stage {stage} is already in {self.stages_dir}; nothing was written")

    def save_rolling(self, step: int, state: PyTree, metadata: Mapping[str, Any]) -> None:
        """Saves the state within a stage; the write goes on in the background."""
        self._save(self.rolling_dir, step, {"state": state}, metadata, keep=2)

    def _save(
        self,
        folder: Path,
        step: int,
        items: Mapping[str, PyTree],
        metadata: Mapping[str, Any],
        keep: int | None = None,
        wait: bool = False,
    ) -> bool:
        """Saves where this job still has the workdir, once the metrics up to here are safe."""
        self.owner.check()
        if self._metrics is not None:
            self._metrics.settle()
        if folder not in self._managers:
            self._managers[folder] = _manager(folder, tuple(items), keep)
        with _writing(folder):
            saved = _save(self._managers[folder], step, items, metadata)
            if wait:
                self._managers[folder].wait_until_finished()
        return saved

    def newest(
        self,
        like: Callable[[Mapping[str, Any]], PyTree],
        aside: Callable[[str], None] | None = None,
    ) -> tuple["Checkpoint", PyTree] | None:
        """The newest checkpoint and its state, NumPy arrays with digests verified; None if none.

        Args:
          like: a checkpoint's metadata → arrays of the structure, shapes and dtypes of the state.
          aside: renames damaged checkpoints to NAME.damaged, and goes on to the one before; hears
            of each. None to raise instead.

        Raises:
          RunError: a checkpoint is damaged, or of another shape or dtype.
        """
        while True:
            try:
                if (found := self.latest()) is None:
                    return None
                before = set(range(found.metadata["bookmark"]["stage"]))
                if lost := before - set(_steps(self.stages_dir)):
                    raise _vanished(self.stages_dir, min(lost), found.folder, found.step)
                digests, wanted = found.metadata["digests"]["state"], like(found.metadata)
                return found, _restore(found.folder, found.step, "state", wanted, digests)
            except DamagedError as error:
                if aside is None:
                    raise
                wait_for_all("a damaged checkpoint is seen by all")
                if self.chief:
                    error.folder.rename(_unused(error.folder))
                wait_for_all("a damaged checkpoint is aside")
                aside(f"{str(error).split(';')[0]}; going on from the one before")

    def close(self) -> None:
        for manager in self._managers.values():
            with _writing(self.root):
                manager.close()


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk: `folder`/`step`, with its metadata."""

    folder: Path
    step: int
    metadata: Mapping[str, Any]


def write_model(
    root: Path,
    config: Mapping[str, Any],
    stages: Sequence[tuple[PyTree, Mapping[str, Any]]],
    laws: Mapping[str, Law],
) -> None:
    """Writes parameters, with metadata, as stages 0, 1, … of a new folder that `Store` reads.

    Of the laws of the problem's inputs it keeps those of samples.

    Raises:
      RunError: it could not be written.
    """
    with _writing(root), _manager(root / "stages", ("params",)) as manager:
        for k, (params, metadata) in enumerate(stages):
            record = {**metadata["record"], "stage": k}
            _save(manager, k, {"params": params}, {**metadata, "record": record})
            manager.wait_until_finished()
    for note in root.rglob("commit_success.txt"):  # it names a folder of this machine
        note.unlink()
    _write_laws(root, laws)
    files.write(root / "config.json", json.dumps(config, indent=2) + "\n")


def _write_laws(root: Path, laws: Mapping[str, Law]) -> None:
    for name, law in laws.items():
        if isinstance(law, Empirical) and law.name:
            path = _law_path(root, name)
            path.parent.mkdir(exist_ok=True)
            law.measured.write(path)


def _law_path(root: Path, name: str) -> Path:
    return root / "inputs" / f"{name}.npz"


def pretrained_names() -> list[str]:
    return sorted(stages.parent.name for stages in share("pretrained").glob("[!.]*/stages"))


def _manager(
    folder: Path, items: tuple[str, ...], keep: int | None = None
) -> "ocp.CheckpointManager":
    import orbax.checkpoint as ocp  # here and below: it takes long, and training starts without

    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True, enable_async_checkpointing=True
    )
    return ocp.CheckpointManager(folder, item_names=items, options=options)


def _save(
    manager: "ocp.CheckpointManager", step: int, items: Mapping[str, PyTree], metadata: Any
) -> bool:
    """Saves items with their digests; the write goes on in the background."""
    import orbax.checkpoint as ocp

    digests = {name: _digests(tree) for name, tree in items.items()}
    args = {name: ocp.args.StandardSave(tree) for name, tree in items.items()}
    marked = {**metadata, "digests": digests}
    return manager.save(step, args=ocp.args.Composite(**args), custom_metadata=marked)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # TensorStore reports a full disk as a ValueError
        raise RunError(
            f"a checkpoint could not be written under {folder} "
            f"({str(error).splitlines()[0][:120]}); earlier ones are whole. Free some "
            "space, or mend what that names, then run the same command to resume"
        ) from error


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    # Orbax gives a checkpoint this name once it is whole.
    return sorted(int(p.name) for p in folder.iterdir() if re.fullmatch("0|[1-9][0-9]*", p.name))


_NUMBERS = {"s", "eps"}
_GROUPS = {"record", "bookmark", "config", "versions", "made", "digests"}


def _metadata(folder: Path, step: int) -> Mapping[str, Any]:
    path = folder / str(step) / "_CHECKPOINT_METADATA"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))["custom_metadata"]
        whole = set(metadata) >= _NUMBERS | _GROUPS | {"problem"}
        whole = whole and all(math.isfinite(metadata[name]) for name in _NUMBERS)
        if not (whole and all(isinstance(metadata[name], dict) for name in _GROUPS)):
            raise ValueError
    except FileNotFoundError as error:
        raise DamagedError(folder, step, f"{path.name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(folder, step, f"{path.name} is damaged") from error
    return metadata


def _vanished(stages: Path, k: int, folder: Path, step: int) -> DamagedError:
    """What is wrong with a checkpoint whose way led through stage k, which is not there."""
    return DamagedError(folder, step, f"stage {k}, which it follows, is missing", stages / str(k))


def _unused(folder: Path) -> Path:
    """A name beside a damaged checkpoint that no listing takes for a checkpoint."""
    names = (folder.with_name(f"{folder.name}.damaged{k or ''}") for k in itertools.count())
    return next(name for name in names if not name.exists())


def _name(folder: Path, step: int) -> str:
    return f"stage {step}" if folder.name == "stages" else f"rolling checkpoint {step}"


def _differences(old: Any, new: Any, where: str = "config") -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new})
        return [line for k in keys for line in _differences(old.get(k), new.get(k), f"{where}.{k}")]
    return [] if old == new else [f"{where} was {old!r} and is now {new!r}"]


def leaves(tree: PyTree) -> dict[str, Any]:
    """The arrays of a tree by their path, as in "trunk/Dense_0/kernel"."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}


def digest(array: np.ndarray) -> str:
    """SHA-256 of dtype, shape and bytes."""
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()


def _digests(tree: PyTree) -> dict[str, str]:
    return {name: digest(leaf) for name, leaf in leaves(on_host(tree)).items()}


def _reader() -> "ocp.Checkpointer":
    """Reads in this process alone: by default Orbax waits for all processes of a job."""
    import orbax.checkpoint as ocp

    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"reader{me}"
    )
    return ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(multiprocessing_options=alone), multiprocessing_options=alone
    )


def _restore(
    folder: Path, step: int, item: str, like: PyTree, digests: Mapping[str, str] | None
) -> PyTree:
    """One item of a checkpoint on the host; every leaf checked for shape, dtype and digest."""
    import orbax.checkpoint as ocp

    where = f"{_name(folder, step)} in {folder}"
    path = folder / str(step) / item
    try:
        have = leaves(ocp.PyTreeCheckpointHandler().metadata(epath.Path(path)).tree)
    except Exception as error:  # Orbax and TensorStore raise many kinds for broken files
        why = f"'{item}' cannot be read ({_first_line(error)})"
        raise DamagedError(folder, step, why) from error
    for name, leaf in leaves(like).items():
        if name not in have:
            raise RunError(
                f"{where}: leaf '{name}' is missing; the checkpoint is of another network, or "
                "damaged"
            )
        shape, dtype = tuple(have[name].shape), np.dtype(have[name].dtype)
        if (shape, dtype) != (leaf.shape, leaf.dtype):
            raise RunError(
                f"{where}: leaf '{name}' is {dtype.name}{list(shape)}, and the config "
                f"asks for {np.dtype(leaf.dtype).name}{list(leaf.shape)}"
            )
    # As NumPy arrays: neither the mesh of the save nor the default precision matters.
    args = jax.tree.map(lambda a: ocp.RestoreArgs(restore_type=np.ndarray, dtype=a.dtype), like)
    try:
        tree = _reader().restore(path, item=like, restore_args=args)
    except Exception as error:
        raise DamagedError(folder, step, f"'{item}' is damaged ({_first_line(error)})") from error
    for name, leaf in leaves(tree).items():
        what = f"leaf '{name}' of '{item}'"
        if digests is not None and digests.get(name) != digest(leaf):
            raise DamagedError(folder, step, f"{what} is damaged (its digest does not match)")
        if "params" in (item, name.split("/")[0]) and not np.isfinite(leaf).all():
            raise DamagedError(folder, step, f"{what} holds NaN or infinity")
    return tree


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
