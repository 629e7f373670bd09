"""Functions of one's own: what is measured of them, what a file keeps of them, what is refused."""

import dataclasses
import functools
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import ambient
from hop.errors import RunError, UserError
from hop.laws.samples import Measured, Samples

LINE = hop.Box((0.0,), (2.0,))
PLANE = hop.Box((0.0, -1.0), (1.0, 1.0))
X = np.linspace(0, 1, 21)


@functools.cache
def drawn(box, ends, mean, n=2000):
    """A law, n functions of it, and their values at its sensors."""
    law = hop.GaussianField(box, ends, length=0.5, std=0.7, mean=mean)
    with ambient.on_cpu():
        fields = law.sample(ambient.key(0), n)
        return law, fields, np.asarray(law.values(fields))


def waves(n, *, of=lambda k: 1.0 + k):
    """The functions of(k) cos πx + ½ cos 2πx, so that a function tells its number."""
    return np.array([of(k) * np.cos(np.pi * X) + 0.5 * np.cos(2 * np.pi * X) for k in range(n)])


@pytest.mark.parametrize(
    ("box", "ends", "mean"),
    [
        (LINE, "free", 1.5),
        (PLANE, ("zero", "periodic"), 0.0),
    ],
)
def test_samples_of_a_random_field_measure_its_law(box, ends, mean):
    law, fields, values = drawn(box, ends, mean)
    own = hop.Samples(values, law.sensors, ends, domain=box)
    small = dataclasses.replace(own, modes=law.basis.modes)
    n = own.counts[0]
    assert own.counts == (1600, 200, 200)
    assert abs(own.mean - mean) < 4 * 0.7 / np.sqrt(n)
    assert own.scale == pytest.approx(law.scale, rel=0.05)
    # The mean of n squares of a normal number is off by √(2/n) of itself; the constant's lacks
    # what the mean took.
    off = np.abs(small.spectrum / law.spectrum - 1)
    assert off.max() < 6 * np.sqrt(2 / n)
    assert np.sqrt(np.mean(off**2)) < 1.3 * np.sqrt(2 / n)
    # A fit gives the functions back, between the sensors too, and so their derivatives.
    points = np.random.default_rng(0).uniform(box.lower, box.upper, (30, box.dim))
    with ambient.on_cpu():
        mine, theirs = own.fit(values[:5]), law.field(fields.coefficients[:5])
        np.testing.assert_allclose(*(f(jnp.asarray(points)) for f in (mine, theirs)), atol=1e-8)
        np.testing.assert_allclose(np.std(own.normalise(values)), 1.0, rtol=0.1)
    assert own.unresolved(own.sensors) == 0
    assert own.doubts() == []
    assert own.outside(values) == ""


def test_a_periodic_function_has_its_own_mean():
    law, _, values = drawn(LINE, "periodic", 0.0, 50)
    shifted = values + np.linspace(-3, 5, 50)[:, None]
    own = hop.Samples(shifted, law.sensors, "periodic", domain=LINE)
    with ambient.on_cpu():
        found, still = (
            np.asarray(a.fit(v)(jnp.asarray([[0.3]]))) for a, v in ((own, shifted), (law, values))
        )
    np.testing.assert_allclose(found - still, np.linspace(-3, 5, 50)[:, None], atol=1e-9)


def test_splits_share_no_function_and_only_training_is_measured():
    values = waves(57)
    own = hop.Samples(values)
    of = {split: own.rows(split)[:, 1] for split in ("train", "validation", "test")}
    assert [len(rows) for rows in of.values()] == [47, 5, 5]
    together = np.sort(np.concatenate(list(of.values())))
    unit = together[0]
    np.testing.assert_allclose(together, unit * np.arange(1, 58), rtol=1e-9)
    held_out = np.round(np.concatenate([of["validation"], of["test"]]) / unit).astype(int) - 1
    other = values.copy()
    other[held_out] += 1000
    changed = hop.Samples(other)
    assert changed.mean == own.mean
    np.testing.assert_array_equal(changed.spectrum, own.spectrum)
    assert changed.limits > own.limits  # a test function is no stranger
    assert changed != own


def test_the_limits_hold_for_half_as_much_again():
    values = waves(20)
    own = hop.Samples(values)
    about = values - own.mean
    assert own.outside(own.mean + 1.49 * about) == ""
    assert "stay within" in own.outside(own.mean + 1.6 * about)
    rough = values + 0.5 * (-1.0) ** np.arange(21)
    assert "second differences" in own.outside(rough)


def test_samples_are_equal_by_their_numbers_and_survive_pickling(tmp_path):
    values = waves(12)
    own = hop.Samples(values)
    np.save(tmp_path / "u0.npy", values)
    np.save(tmp_path / "x.npy", X)
    same = [
        hop.Samples(values.tolist(), X, ("free",), domain=hop.Box((0.0,), (1.0,))),
        hop.Samples(tmp_path / "u0.npy", tmp_path / "x.npy"),
        pickle.loads(pickle.dumps(own)),
        dataclasses.replace(own),
    ]
    assert {own, *same} == {own}
    own.write(tmp_path / "mine.npz")
    assert Samples.read(tmp_path / "mine.npz", "") == own
    others = [
        hop.Samples(values + 1e-9),
        hop.Samples(values, 2 * X),
        hop.Samples(values, ends="periodic"),
        hop.Samples(values, modes=7),
        hop.Samples(values, X, domain=hop.Box((0.0,), (2.0,))),
    ]
    assert len({own.digest, *(law.digest for law in others)}) == 6
    values[:] = 0  # what becomes of the caller's array is none of the law's
    assert own.given.any()


def test_what_was_measured_stands_for_the_samples_in_all_but_the_functions(tmp_path):
    own = hop.Samples(waves(12), name="mine")
    own.measured.write(tmp_path / "u0.npz")
    kept = Measured.read(tmp_path / "u0.npz")
    assert kept == own.measured
    values = waves(3)
    with ambient.on_cpu():
        for law in (own, kept):
            assert law.values(law.sample(ambient.key(0), 4)).shape == (4, 21)
        np.testing.assert_array_equal(kept.normalise(values), own.normalise(values))
        np.testing.assert_array_equal(kept.fit(values).coefficients, own.fit(values).coefficients)
    assert (kept.scale, kept.limits, kept.counts) == (own.scale, own.limits, own.counts)
    assert not hasattr(kept, "given")
    positive = hop.Samples(np.exp(values[[0, 1] * 6]), name="mine")
    sizes = [law.map(jnp.log, jnp.exp).scale for law in (positive, positive.measured)]
    assert sizes[0] == sizes[1]
    assert sizes[0] == pytest.approx(np.sqrt(np.mean(values[:2] ** 2)), rel=0.3)


def damaged(path, how):
    whole = path.read_bytes()
    if how == "short":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "flipped":
        at = whole.index(b"spectrum.npy") + 200
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    elif how == "gone":
        path.unlink()
    else:
        with np.load(path) as archive:
            arrays = dict(archive)
        law = str(arrays["law"])
        arrays |= {
            "nan": lambda: {"spectrum": np.nan * arrays["spectrum"]},
            "another shape": lambda: {"shown": arrays["shown"][:, 1:]},
            "objects": lambda: {"sensors": np.array([{}], object)},
            "a path": lambda: {"law": np.array(law.replace("mine", "../x"))},
            "many modes": lambda: {"law": np.array(law.replace('"modes": [20]', '"modes": [1e9]'))},
            "other ends": lambda: {"law": np.array(law.replace("free", "open"))},
            "compressed": dict,
        }[how]()
        (np.savez_compressed if how == "compressed" else np.savez)(path, **arrays)


@pytest.mark.parametrize(
    "how",
    ["short", "flipped", "gone", "nan", "another shape", "objects", "a path", "many modes",
     "other ends", "compressed"],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, how):
    path = tmp_path / "u0.npz"
    hop.Samples(waves(12), name="mine").measured.write(path)
    damaged(path, how)
    with pytest.raises(RunError, match=r"u0.npz is missing or damaged .*; restore it"):
        Measured.read(path)


@pytest.mark.parametrize(
    ("values", "ends", "said"),
    [
        (waves(20), "zero", "ends='zero' does not hold of these functions"),
        (waves(20) + X, "periodic", "ends='periodic' does not hold"),
        (np.random.default_rng(0).normal(size=(10, 140)), "free", "rougher than 64 wave numbers"),
        (np.random.default_rng(0).normal(size=(20, 9)), "free", "9 sensors along x are too few"),
        (np.ones(9) * np.arange(20.0)[:, None], "free", "every function is constant"),
    ],
)
def test_doubts(values, ends, said):
    assert any(said in doubt for doubt in hop.Samples(values, ends=ends).doubts())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: hop.Samples(waves(9)), r"have shape \(9, 21\) and must be .* n ≥ 10"),
        (lambda: hop.Samples(np.ones((10, 4))), "are all the same"),
        (lambda: hop.Samples(np.full((10, 4), np.nan)), r"NaN or infinity \(first in row 0\)"),
        (lambda: hop.Samples(np.full((10, 4), None)), "of dtype object"),
        (lambda: hop.Samples([[1.0], [1.0, 2.0]]), "rows differ in length"),
        (lambda: hop.Samples("nowhere.npy"), "there is no file .*nowhere.npy"),
        (lambda: hop.Samples(__file__), "is no .npy file of numbers"),
        (lambda: hop.Samples(waves(10), X[1:]), "have 21 columns, and the sensors are 20"),
        (lambda: hop.Samples(waves(10), 3 * X, domain=LINE), "lie in the law's box"),
        (lambda: hop.Samples(waves(10), domain=PLANE), "several dimensions need their sensors"),
        (lambda: hop.Samples(waves(10), np.stack([X, X**2], 1)), "must form a tensor grid"),
        (lambda: hop.Samples(waves(10), ends="open"), "ends='open' is not known"),
        (lambda: hop.Samples(waves(10), modes=0), r"modes=\(0,\) must be 1 or more"),
        (lambda: hop.Samples(waves(10), axes="xy"), "1 different letters"),
    ],
)
def test_what_is_no_set_of_functions_is_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()
