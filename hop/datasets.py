"""The examples of a law: read from its dataset `grf_burgers/NAME`, from samples, or drawn anew.

Datasets are built and read by TensorFlow Datasets without TensorFlow, as ArrayRecord files. It is
imported where that is done and nowhere else, since it takes long.
"""

import contextlib
import functools
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from google.protobuf import json_format

from hop import ambient, files
from hop.errors import RunError, UserError, check_choice
from hop.laws import Law, blocks
from hop.laws.gaussian_field import GaussianField
from hop.laws.named import NAMED
from hop.laws.samples import Empirical, Samples, behind, check_name
from hop.splits import NAME, SPLITS, VERSION, examples

_INFO = "dataset_info.json"
_COLUMNS = "coefficients", "values"


def named(name: str) -> GaussianField:
    """The law of the dataset "grf_burgers/NAME", or "NAME".

    Raises:
      UserError: there is none.
    """
    head, _, law = name.partition("/")
    law = law if head == NAME else name
    if law not in NAMED:
        known = ", ".join(f"{NAME}/{law}" for law in NAMED)
        raise UserError(f"no dataset {NAME}/{law}; use one of {known}")
    return NAMED[law]


def folder(law: Law, data_dir: str = "") -> Path:
    """Where the dataset of a law lies, or would lie."""
    return _root(data_dir) / NAME / law.name / VERSION


def _root(data_dir: str) -> Path:
    return files.path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def keep(law: Samples, name: str, data_dir: str = "") -> tuple[Path, bool]:
    """Writes samples to the folder of datasets under a name, unless the same are there.

    Returns:
      The file, and whether it was there.

    Raises:
      UserError: a bad name, one that other samples have, or a folder that cannot be written.
      RunError: the file that is there is damaged.
    """
    path = _home(name, data_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.owned(path.with_name(f".{name}.lock")):
            if path.exists():
                if Samples.read(path, name).digest != law.digest:
                    raise UserError(
                        f"{path} holds other functions; choose another name, or delete that file"
                    )
                return path, True
            law.write(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); name a writable folder with --data_dir"
        ) from error
    return path, False


def kept(name: str, data_dir: str = "") -> Samples:
    """The samples that the folder of datasets holds under a name.

    Raises:
      UserError: a bad name, or there are none.
      RunError: the file is damaged.
    """
    path = _home(name, data_dir)
    if not path.is_file():
        near = get_close_matches(name, [found.stem for found in path.parent.glob("*.npz")], 1)
        meant = f"did you mean {near[0]!r}? Or " if near else ""
        raise UserError(
            f"there are no samples {name!r}, no file {path}; {meant}import them by hop data import "
            f"u0.npy {name}, or name their folder with --data_dir"
        )
    return _read(path, name, path.stat().st_mtime_ns)


def _home(name: str, data_dir: str) -> Path:
    """Where samples of this name lie, or would lie."""
    check_name(name)
    return _root(data_dir) / "samples" / f"{name}.npz"


@functools.lru_cache(maxsize=4)
def _read(path: Path, name: str, changed: int) -> Samples:
    return Samples.read(path, name)


def is_built(law: Law, data_dir: str = "") -> bool:
    return has_files(law) and (folder(law, data_dir) / _INFO).exists()


def build(
    law: Law, data_dir: str = "", advance: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Builds the dataset of a law that has a name, unless it is there; returns its folder.

    Args:
      law: the law.
      data_dir: the datasets' folder; empty for TensorFlow Datasets' own.
      advance: hears (examples done, of all).

    Raises:
      UserError: a folder that cannot be written, or that holds another law of this name.
    """
    target = folder(law, data_dir)
    if is_built(law, data_dir):
        _check_law(target, law)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.owned(target.parent / "lock"):  # another job may be building it just now
            if is_built(law, data_dir):
                return target
            for leftover in target.parent.glob("incomplete.*"):  # of a build that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            builder = _builder(law, target)
            builder.advance = advance
            with contextlib.redirect_stdout(io.StringIO()):  # its print of unknown sizes
                builder.download_and_prepare(file_format="array_record")
            files.settle(target)
    except OSError as error:
        raise UserError(
            f"cannot build the dataset under {target.parents[2]}: {error.strerror}; "
            "name a writable folder with --data_dir"
        ) from error
    return target


def _builder(law: Law, target: Path) -> Any:
    """What builds and reads a law's dataset in a folder."""
    from hop import builder  # and TensorFlow Datasets

    return builder.of(law, target.parents[2])


def has_files(law: Law) -> bool:
    """Whether a law's dataset is kept on disk: of those with a name; others are drawn as needed.

    Raises:
      UserError: the name is that of a law that ships, and this is another.
    """
    if behind(law) is not None:
        return False  # those are kept by themselves
    if NAMED.get(law.name, law) != law:
        raise UserError(f"the name {law.name!r} is that of another law; give this one its own")
    return bool(law.name)


def count_of(laws: Mapping[str, Law], split: str) -> int:
    """How many examples a split of these inputs together has.

    Raises:
      UserError: samples of several inputs that are not as many.
    """
    known = {name: behind(law) for name, law in laws.items()}
    at = list(SPLITS).index(split)
    found = {name: law.counts[at] for name, law in known.items() if law is not None}
    if len(set(found.values())) > 1:
        said = ", ".join(f"{n:,} of {name}" for name, n in found.items())
        raise UserError(
            f"samples of several inputs belong together, row by row, and these have {said} in the "
            f"{split} split; give as many of each"
        )
    return next(iter(found.values()), SPLITS[split])


def load_all(
    laws: Mapping[str, Law], split: str, data_dir: str = "", count: int | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """The first `count` examples of a split, of several inputs together: name → as by `load`.

    The second input, the third … come in an order of their own, fixed for all time: so they are
    independent of the first, even of the same law. But those that are samples keep the order of
    their files, so that row i of one belongs to row i of the other.

    Raises:
      UserError: samples of several inputs that are not as many.
      RunError: as of `load`.
    """
    whole = count_of(laws, split)
    wanted = whole if count is None else min(count, whole)
    found = {}
    for k, (name, law) in enumerate(laws.items()):
        if k == 0 or behind(law):
            data = load(law, split, data_dir, wanted)
            rows = np.arange(wanted) % len(data["values"])  # samples may be more than are drawn
        else:
            data = load(law, split, data_dir)
            order = np.random.default_rng([k, list(SPLITS).index(split)]).permutation(SPLITS[split])
            rows = np.resize(order, wanted)
        found[name] = {key: array[rows] for key, array in data.items()}
    return found


def load(
    law: Law, split: str, data_dir: str = "", count: int | None = None
) -> dict[str, np.ndarray]:
    """The first `count` examples of a split (all by default), float64: "coefficients", "values".

    They are read where the dataset is built, and drawn anew elsewhere, which gives the same. Those
    of samples, or of a map of such, are the fitted functions, and their values those of the fit.

    Raises:
      RunError: the stored dataset is damaged; the message names the folder to delete. Or samples
        that were imported are not in the folder of datasets, or others have their name there.
      UserError: it is one of another law of this name.
    """
    if (own := behind(law)) is not None:
        return _of_samples(law, _samples(own, data_dir).rows(split)[:count])
    wanted = SPLITS[split] if count is None else min(count, SPLITS[split])
    if not is_built(law, data_dir):
        return examples(law, split, 0, wanted)
    path = folder(law, data_dir)
    _check_law(path, law)
    data = _decoded(path, split, law)
    if data is None or len(data["values"]) < wanted:
        data = _read_rows(path, split, law, wanted)
        _keep_decoded(path, split, data)
    return {name: array[:wanted] for name, array in data.items()}


def _read_rows(path: Path, split: str, law: Law, wanted: int) -> dict[str, np.ndarray]:
    """The first examples of a split of the dataset in a folder."""
    try:
        builder = _builder(law, path)
        _check_features(path, builder.info.features)
        source = builder.as_data_source(split)
        whole = len(source) == SPLITS[split]
        rows = source.__getitems__(range(min(wanted, len(source))))
    except (RunError, ImportError):
        raise
    except Exception as error:  # ArrayRecord and TFDS raise many kinds for a broken file
        raise _damaged(path, str(error).splitlines()[0][:100]) from error
    data = {k: np.array([row[k] for row in rows]) for k in _COLUMNS}
    if not whole or not _are_finite(data):
        raise _damaged(path, f"split '{split}' is not whole")
    return data


def _decoded(path: Path, split: str, law: Law) -> dict[str, np.ndarray] | None:
    """The examples that `_keep_decoded` kept, unless they are damaged or the dataset has changed.

    Decoding takes half a second for 10,000 examples, one by one; this a hundredth.
    """
    try:
        with np.load(path / f"decoded-{split}.npz", allow_pickle=False) as found:
            data = {name: found[name] for name in _COLUMNS}
            same = found["of"].tolist() == _stamp(path, split)
    except Exception:  # NumPy and zipfile raise many kinds for a broken file
        return None
    shapes = [(len(data["values"]), length) for length in (law.size, law.width)]
    right = [(a.shape, a.dtype) for a in data.values()] == [(s, np.float64) for s in shapes]
    return data if same and right and _are_finite(data) else None


def _keep_decoded(path: Path, split: str, data: Mapping[str, np.ndarray]) -> None:
    """Keeps examples of a split beside it, decoded, where the folder can be written."""
    packed, arrays = io.BytesIO(), {name: data[name] for name in _COLUMNS}
    with contextlib.suppress(OSError):
        np.savez(packed, allow_pickle=False, of=np.array(_stamp(path, split)), **arrays)
        files.write(path / f"decoded-{split}.npz", packed.getvalue())


def _stamp(path: Path, split: str) -> list[list[str]]:
    """Name, size and time of change of the files that a split is read from."""
    read = [path / _INFO, path / "features.json", *sorted(path.glob(f"*-{split}.array_record*"))]
    return [[p.name, str(p.stat().st_size), str(p.stat().st_mtime_ns)] for p in read]


def _are_finite(data: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in data.values())


def _samples(law: Empirical, data_dir: str) -> Samples:
    """The samples that a law was measured of."""
    if isinstance(law, Samples):
        return law
    remedy = "name their folder with --data_dir, or import them again"
    try:
        found = kept(law.name, data_dir)
    except UserError as error:
        raise RunError(
            f"the samples {law.name!r}, on which this was trained, are not in the folder of "
            f"datasets; {remedy}"
        ) from error
    if found.digest != law.digest:
        raise RunError(
            f"the samples {law.name!r} in the folder of datasets are not those on which this was "
            f"trained; {remedy}"
        )
    return found


def _of_samples(law: Law, coefficients: np.ndarray) -> dict[str, np.ndarray]:
    """The functions of these coefficients, as `load` gives them."""
    with ambient.on_cpu():
        parts = [np.asarray(law.values(law.field(jnp.asarray(c)))) for c in blocks(coefficients)]
    return {"coefficients": coefficients, "values": np.concatenate(parts)}


def _damaged(path: Path, why: str) -> RunError:
    return RunError(f"the dataset {path} is damaged ({why}); delete that folder and build it again")


def values(name: str, split: str) -> np.ndarray:
    """The sensor values (n, m), float64, of a split of `grf_burgers/LAW`, built if need be.

    Raises:
      UserError: no such dataset or split.
    """
    law = named(name)
    check_choice("the split", split, SPLITS)
    build(law)
    return load(law, split)["values"]


def _check_law(path: Path, law: Law) -> None:
    """Refuses a dataset of another law that has the same name."""
    try:
        found = json.loads((path / _INFO).read_text(encoding="utf-8"))["description"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{_INFO} cannot be read") from error
    if NAMED.get(law.name) != law and found != repr(law):
        raise UserError(
            f"the dataset {path} is of another law with the name {law.name!r}; give this law "
            "another name, or delete that folder"
        )


def _check_features(path: Path, features: Any) -> None:
    """Refuses a features.json that is not what `hop` writes: such a file can name code to import.

    Nothing here follows it; others who open the dataset by its folder would.
    """
    found = json.loads((path / "features.json").read_text(encoding="utf-8"))
    if found != json_format.MessageToDict(features.to_proto()):
        raise RunError(
            f"the dataset {path} describes other features than this version writes, and is not "
            "trusted; delete that folder and build it again"
        )
