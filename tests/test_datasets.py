"""The dataset is bit-exact, a function of its index, and checked before it is trusted."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hop import builder, datasets, splits
from hop.errors import RunError, UserError
from hop.laws.named import NAMED

UNIT = NAMED["unit"]


@pytest.fixture(scope="module")
def built(data_dir):
    datasets.build(UNIT, data_dir)
    return data_dir


@pytest.fixture
def copy(built, tmp_path):
    shutil.copytree(datasets.folder(UNIT, built), datasets.folder(UNIT, str(tmp_path)))
    return str(tmp_path)


def test_splits_are_whole_and_stored_to_the_bit(built):
    for split, count in splits.SPLITS.items():
        stored = datasets.load(UNIT, split, built)
        assert {len(a) for a in stored.values()} == {count}
        assert {a.dtype for a in stored.values()} == {np.dtype(np.float64)}
        for start, stop in ((0, 1), (499, 502), (count - 3, count)):
            fresh = splits.examples(UNIT, split, start, stop)
            for name, array in fresh.items():
                assert np.array_equal(array, stored[name][start:stop])


def test_splits_and_seeds_differ():
    def first(**kwargs):
        return splits.examples(UNIT, start=0, stop=1, **kwargs)["coefficients"]

    assert not np.array_equal(first(split="train"), first(split="test"))
    assert not np.array_equal(first(split="train"), first(split="train", seed=1))


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("paper", [0.0017068462183844123, 0.002468052210435779]),
        ("unit", [0.10849379803150076, 0.1568790176678425]),
        ("periodic", [0.018148127635406294, 0.007365812249011652]),
    ],
)
def test_a_version_of_the_dataset_is_these_numbers(law, expected):
    """Another generator, or another order of its bits, is another version."""
    (drawn,) = splits.examples(NAMED[law], "test", 999, 1000)["coefficients"]
    np.testing.assert_allclose(drawn[:2], expected, rtol=1e-12)


def test_values_are_the_field_at_the_sensors():
    data = splits.examples(UNIT, "test", 0, 5)
    k = np.arange(1, 65)
    modes = np.sqrt(2) * np.sin(np.pi * np.outer(np.linspace(0, 1, 128), k))
    np.testing.assert_allclose(data["values"], data["coefficients"] @ modes.T, atol=1e-12)


def test_a_law_of_ones_own_needs_no_files(replace):
    own = replace(UNIT, name="mine", smoothness=3.0)
    assert len(datasets.load(own, "validation", "/nonexistent")["values"]) == 1000


def test_concurrent_builds_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: datasets.build(NAMED["paper"], str(tmp_path)), range(2)))
    assert len(datasets.load(NAMED["paper"], "test", str(tmp_path))["values"]) == 1000
    assert not list(tmp_path.rglob("incomplete*"))


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_a_damaged_shard_is_named(copy, damage):
    (shard,) = datasets.folder(UNIT, copy).glob("*train*array_record*")
    if damage == "truncate":
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    else:
        shard.unlink()
    with pytest.raises(RunError, match="damaged.*delete that folder"):
        datasets.load(UNIT, "train", copy)


def test_decoded_examples_are_kept_while_they_are_those_of_the_dataset(copy, monkeypatch):
    folder = datasets.folder(UNIT, copy)
    whole = datasets.load(UNIT, "validation", copy)
    kept = folder / "decoded-validation.npz"
    sound, reader, calls = kept.read_bytes(), builder.of, []
    monkeypatch.setattr(builder, "of", lambda *given: calls.append(given) or reader(*given))

    def again(count=None):
        calls.clear()
        data = datasets.load(UNIT, "validation", copy, count)
        for name, array in data.items():
            np.testing.assert_array_equal(array, whole[name][:count])
        return len(calls)

    assert (again(), again(7)) == (0, 0)
    for at in (len(sound) // 4, len(sound) * 3 // 4):  # a bit of each array
        kept.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert (again(), again()) == (1, 0)
    kept.unlink()
    assert (again(7), again(7), again()) == (1, 0, 1)  # fewer were kept
    (shard,) = folder.glob("*validation.array_record*")
    os.utime(shard, ns=(1, 1))
    assert (again(), again()) == (1, 0)
    shard.unlink()
    with pytest.raises(RunError, match="damaged"):
        datasets.load(UNIT, "validation", copy)


@pytest.mark.parametrize("key", ["pythonClassName", "type"])  # the latter of old versions
def test_features_that_import_other_modules_are_refused(copy, key):
    path = datasets.folder(UNIT, copy) / "features.json"
    features = json.loads(path.read_text())
    features[key] = "os.path.Evil"
    path.write_text(json.dumps(features))
    with pytest.raises(RunError, match="not trusted"):
        datasets.load(UNIT, "train", copy)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_a_half_written_description_is_named(copy, name):
    path = datasets.folder(UNIT, copy) / name
    path.write_text(path.read_text()[:100])
    with pytest.raises(RunError, match="is damaged.*delete that folder"):
        datasets.load(UNIT, "train", copy)


def test_what_is_not_built_is_drawn_and_the_same(built, tmp_path):
    drawn, stored = (datasets.load(UNIT, "test", folder, 3) for folder in (str(tmp_path), built))
    assert not list(tmp_path.iterdir())
    assert np.array_equal(drawn["coefficients"], stored["coefficients"])


def test_unknown_and_unwritable(tmp_path):
    with pytest.raises(UserError, match="use one of grf_burgers/paper"):
        datasets.named("grf_burgers/papr")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="writable folder"):
        datasets.build(UNIT, str(tmp_path / "file"))
