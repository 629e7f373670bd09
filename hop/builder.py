"""The builder of the datasets `grf_burgers`, for TensorFlow Datasets.

It registers itself on import, so `tfds.builder("grf_burgers/paper")` works after it.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from hop.laws import Law
from hop.laws.named import NAMED
from hop.share import share
from hop.splits import BLOCK, NAME, SPLITS, VERSION, examples


@dataclasses.dataclass(eq=False, kw_only=True)
class LawConfig(tfds.core.BuilderConfig):
    """The law of a dataset, under its name."""

    law: Law | None = None


class GrfBurgers(tfds.core.GeneratorBasedBuilder):
    """Samples of the laws of inputs: random initial conditions of Burgers' equation, and others."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [LawConfig(name=law.name, law=law) for law in NAMED.values()]

    advance: Callable[[int, int], None] = staticmethod(lambda done, total: None)
    _done = 0

    def _info(self) -> tfds.core.DatasetInfo:
        law, card = self.builder_config.law, share("data") / NAME
        # zlib keeps all 64 bits; without an encoding float64 is stored as float32.
        lengths = {"coefficients": law.size, "values": law.width}
        features = {
            name: tfds.features.Tensor(shape=(length,), dtype=np.float64, encoding="zlib")
            for name, length in lengths.items()
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=description(law),
            citation=(card / "CITATIONS.bib").read_text(encoding="utf-8"),
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        for start in range(0, SPLITS[split], BLOCK):
            stop = min(start + BLOCK, SPLITS[split])
            block = examples(self.builder_config.law, split, start, stop)
            for i in range(stop - start):
                yield start + i, {name: array[i] for name, array in block.items()}
            self._done += stop - start
            self.advance(self._done, sum(SPLITS.values()))


def description(law: Law) -> str:
    """What the dataset of a law says of itself: for a law of your own, its numbers."""
    if NAMED.get(law.name) != law:
        return repr(law)
    return (share("data") / NAME / "README.md").read_text(encoding="utf-8")


def of(law: Law, data_dir: Path) -> GrfBurgers:
    """The builder of a law's dataset in a folder of datasets; it draws no bar of progress."""
    tfds.disable_progress_bar()
    config: LawConfig | str = LawConfig(name=law.name, law=law)
    if NAMED.get(law.name) == law:
        config = law.name
    heard = logging.getLogger("absl")
    heard.disabled, before = True, heard.disabled  # of a warning that a law is not of the list
    try:
        return GrfBurgers(config=config, data_dir=str(data_dir))
    finally:
        heard.disabled = before
