"""The dataset `grf_burgers` of random initial conditions: building it and reading it.

TensorFlow Datasets without TensorFlow: ArrayRecord files. The builder registers itself on import,
so `tfds.builder("grf_burgers/paper")` works after it.
"""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format

from hop import ambient, files
from hop.errors import RunError, UserError, check_choice
from hop.fields import RANDOM_FIELDS, Field, RandomField
from hop.share import share

NAME = "grf_burgers"
SPLITS = {"train": 10_000, "validation": 1_000, "test": 1_000}
_BLOCK = 500


def examples(
    field: RandomField, split: str, start: int, stop: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Examples start … stop − 1 of a split, each a function of (field, seed, split, index) alone.

    Returns:
      "coefficients" (n, K) and "values" (n, m) at the field's sensors, float64.
    """
    with ambient.on_cpu():
        root = jax.random.fold_in(ambient.key(seed), list(SPLITS).index(split))
        keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.arange(start, stop))
        coefficients = np.asarray(jax.vmap(field.sample)(keys))
        modes = np.asarray(
            Field(jnp.eye(coefficients.shape[1]), field.basis)(jnp.asarray(field.sensors))
        )
    # Summed term by term in a fixed order, so that no example depends on its neighbours.
    values = np.zeros((len(coefficients), field.sensor_count))
    for mode, column in zip(modes, coefficients.T, strict=True):
        values += column[:, None] * mode[None, :]
    return {"coefficients": coefficients, "values": values}


class GrfBurgers(tfds.core.GeneratorBasedBuilder):
    """Gaussian random fields as initial conditions of Burgers' equation."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [tfds.core.BuilderConfig(name=name) for name in RANDOM_FIELDS]

    advance: Callable[[int, int], None] = staticmethod(lambda done, total: None)
    _done = 0

    def _info(self) -> tfds.core.DatasetInfo:
        field = RANDOM_FIELDS[self.builder_config.name]
        card = share("data") / NAME
        # zlib keeps all 64 bits; without an encoding float64 is stored as float32.
        lengths = {"coefficients": len(field.spectrum), "values": field.sensor_count}
        features = {
            name: tfds.features.Tensor(shape=(length,), dtype=np.float64, encoding="zlib")
            for name, length in lengths.items()
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=(card / "README.md").read_text(encoding="utf-8"),
            citation=(card / "CITATIONS.bib").read_text(encoding="utf-8"),
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        for start in range(0, SPLITS[split], _BLOCK):
            stop = min(start + _BLOCK, SPLITS[split])
            block = examples(RANDOM_FIELDS[self.builder_config.name], split, start, stop)
            for i in range(stop - start):
                yield start + i, {name: array[i] for name, array in block.items()}
            self._done += stop - start
            self.advance(self._done, sum(SPLITS.values()))


def folder(law: str, data_dir: str = "") -> Path:
    """Where the dataset of a law lies, or would lie."""
    _check_law(law)
    root = files.path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    return root / NAME / law / str(GrfBurgers.VERSION)


def is_built(law: str, data_dir: str = "") -> bool:
    return (folder(law, data_dir) / "dataset_info.json").exists()


def build(
    law: str, data_dir: str = "", advance: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Builds the dataset of a law, unless it is there; returns its folder.

    Args:
      law: "paper", "unit" or "periodic".
      data_dir: the datasets' folder; empty for TensorFlow Datasets' own.
      advance: hears (examples done, of all).

    Raises:
      UserError: unknown law, or a folder that cannot be written.
    """
    target = folder(law, data_dir)
    if is_built(law, data_dir):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.owned(target.parent / "lock"):  # another job may be building it just now
            if is_built(law, data_dir):
                return target
            for leftover in target.parent.glob("incomplete.*"):  # of a build that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            builder = GrfBurgers(config=law, data_dir=str(target.parents[2]))
            builder.advance = advance
            tfds.disable_progress_bar()
            with contextlib.redirect_stdout(io.StringIO()):  # its print of unknown sizes
                builder.download_and_prepare(file_format="array_record")
            files.settle(target)
    except OSError as error:
        raise UserError(
            f"cannot build the dataset under {target.parents[2]}: {error.strerror}; "
            "name a writable folder with --data_dir"
        ) from error
    return target


def has_files(field: RandomField) -> bool:
    """Whether a law's dataset is kept on disk: the named ones are, others are drawn as needed."""
    return RANDOM_FIELDS.get(field.name) == field


def load(
    field: RandomField, split: str, data_dir: str = "", count: int | None = None
) -> dict[str, np.ndarray]:
    """The first `count` examples of a split (all by default), float64: "coefficients", "values".

    They are read where the dataset is built, and drawn anew elsewhere, which gives the same.

    Raises:
      RunError: the stored dataset is damaged; the message names the folder to delete.
    """
    wanted = SPLITS[split] if count is None else min(count, SPLITS[split])
    if not (has_files(field) and is_built(field.name, data_dir)):
        return examples(field, split, 0, wanted)
    path = folder(field.name, data_dir)
    try:
        builder = GrfBurgers(config=field.name, data_dir=str(path.parents[2]))
        _check_features(path, builder.info.features)
        source = builder.as_data_source(split)
        whole = len(source) == SPLITS[split]
        rows = source.__getitems__(range(min(wanted, len(source))))
    except RunError:
        raise
    except Exception as error:  # ArrayRecord and TFDS raise many kinds for a broken file
        raise _damaged(path, str(error).splitlines()[0][:100]) from error
    data = {k: np.array([row[k] for row in rows]) for k in ("coefficients", "values")}
    if not whole or any(not np.isfinite(array).all() for array in data.values()):
        raise _damaged(path, f"split '{split}' is not whole")
    return data


def _damaged(path: Path, why: str) -> RunError:
    return RunError(f"the dataset {path} is damaged ({why}); delete that folder and build it again")


def values(name: str, split: str) -> np.ndarray:
    """The sensor values (n, m), float64, of a split of `grf_burgers/LAW`, built if need be.

    Raises:
      UserError: no such dataset or split.
    """
    law = law_of(name)
    check_choice("the split", split, SPLITS)
    build(law)
    return load(RANDOM_FIELDS[law], split)["values"]


def law_of(name: str) -> str:
    """ "paper" from "grf_burgers/paper"."""
    head, _, law = name.partition("/")
    if head != NAME:
        law = name
    _check_law(law)
    return law


def _check_law(law: str) -> None:
    if law not in RANDOM_FIELDS:
        known = ", ".join(f"{NAME}/{law}" for law in RANDOM_FIELDS)
        raise UserError(f"no dataset {NAME}/{law}; use one of {known}")


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
