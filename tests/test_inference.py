"""Files of functions in, files of solutions out: the same whatever happens on the way."""

import zipfile

import jax
import numpy as np
import pytest

import hop
from hop import inference
from hop.operators import Operator
from hop.training import train

X = 9  # query points
ROWS = 64  # functions of a shard here


@pytest.fixture(scope="module")
def op(tmp_path_factory, data_dir) -> Operator:
    from conftest import Listener, tiny_config

    workdir = tmp_path_factory.mktemp("run")
    config = tiny_config("burgers_steady", "deeponet", data_dir, {"path__eps": (0.5,)})
    train(config, workdir, Listener())
    return hop.load(workdir)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(inference, "_SHARD", ROWS * X)


@pytest.fixture
def u0():
    return np.random.default_rng(0).normal(size=(300, 128))


@pytest.fixture
def request_(op, u0, tmp_path):
    """A function (output, …) that infers from a file of u0."""
    np.save(tmp_path / "u0.npy", u0)

    def infer(output="u.npy", **changes):
        files = {"input": str(tmp_path / "u0.npy"), "output": str(tmp_path / output)}
        return inference.infer(op, points=X, **(files | changes))

    return infer


def expected(op, u0):
    return op(u0, np.linspace(0, 1, X)[:, None])


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_files_of_every_kind(op, u0, request_, tmp_path):
    heard = []
    said = request_(progress=lambda done, total: heard.append((done, total)))
    assert heard == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]
    assert "300 solutions at 9 points" in said
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(op, u0))
    np.savez(tmp_path / "u0.npz", u0)
    request_("z.npy", input=str(tmp_path / "u0.npz"))
    assert (tmp_path / "z.npy").read_bytes() == (tmp_path / "u.npy").read_bytes()
    request_("u.zarr")
    import tensorstore

    store = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "u.zarr")}}
    np.testing.assert_array_equal(
        tensorstore.open(store, open=True).result().read().result(), expected(op, u0)
    )
    assert names(tmp_path) == ["u.npy", "u.zarr", "u0.npy", "u0.npz", "z.npy"]


def test_what_an_output_would_spoil_or_a_shape_forbids(op, tmp_path):
    path = str(tmp_path / "u0.npy")
    for shape in ((300,), (20, 7)):
        np.save(path, np.zeros(shape))
        with pytest.raises(hop.UserError, match=rf"u0.npy holds an array of shape \({shape[0]},"):
            inference.infer(op, input=path, output=str(tmp_path / "u.npy"))
    for output, words in (("u0.npy", "is the input"), ("u.npz", "end it in .npy or .zarr")):
        with pytest.raises(hop.UserError, match=words):
            inference.infer(op, input=path, output=str(tmp_path / output))
    assert np.load(path).shape == (20, 7)
    assert names(tmp_path) == ["u0.npy"]


def test_a_dataset_by_its_name(op, tmp_path, data_dir, monkeypatch):
    from hop import datasets

    law = op.ansatz.problem.random_field
    there = datasets.load(law, "test", data_dir)["values"]
    monkeypatch.setattr(datasets, "build", lambda law: None)
    monkeypatch.setattr(datasets, "load", lambda *_: {"values": there[:70]})
    for name in ("grf_burgers/unit:test", "grf_burgers/unit"):
        inference.infer(op, input=name, output=str(tmp_path / "u.npy"), points=X)
        u = np.load(tmp_path / "u.npy")
        np.testing.assert_allclose(u, expected(op, there[:70]), atol=2e-6)  # other batch shapes
    for wrong in ("grf_burgers/none", "grf_burgers/unit:tset"):
        with pytest.raises(hop.UserError, match="use one of|is not known"):
            inference.infer(op, input=wrong, output=str(tmp_path / "v.npy"))


@pytest.mark.parametrize("output", ["u.npy", "u.zarr"])
def test_a_stopped_request_goes_on(op, request_, tmp_path, monkeypatch, output):
    request_(f"whole-{output}")
    made = []

    def stop(done, total):
        if done >= 3 * ROWS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        request_(output, progress=stop)
    assert not (tmp_path / output).exists()
    whole = inference.Sink.write
    monkeypatch.setattr(
        inference.Sink, "write", lambda sink, first, u: (made.append(first), whole(sink, first, u))
    )
    assert f"{3 * ROWS} of them made before" in request_(output)
    assert made == [3 * ROWS, 4 * ROWS]  # the finished shards were not made again
    one, other = (_bytes(tmp_path / name) for name in (output, f"whole-{output}"))
    assert one == other
    assert names(tmp_path) == sorted([output, f"whole-{output}", "u0.npy"])


def _bytes(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        str(p.relative_to(path)) if path.is_dir() else "": p.read_bytes()
        for p in files
        if p.is_file()
    }


def test_another_request_starts_anew(op, u0, request_, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        request_(progress=stop)
    changed = u0 + 1.0
    np.save(tmp_path / "u0.npy", changed)
    request_()
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(op, changed))


def test_processes_take_their_share(op, u0, request_, tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "wait_for_all", lambda what: None)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for process in (0, 1, 0):  # the chief starts, finds the other's shards missing, and finishes
        monkeypatch.setattr(jax, "process_index", lambda me=process: me)
        if process == 0 and not list(tmp_path.glob(".u.npy.1.journal")):
            with pytest.raises(hop.RunError, match="2 of 5 shards of .* are missing"):
                request_()
        else:
            request_()
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(op, u0))
    assert names(tmp_path) == ["u.npy", "u0.npy"]


def test_bad_values_far_inside_leave_nothing(u0, request_, tmp_path):
    u0[250, 3] = np.nan
    np.save(tmp_path / "u0.npy", u0)
    with pytest.raises(hop.UserError, match=r"first in function 250\)"):
        request_()
    assert names(tmp_path) == ["u0.npy"]


def hostile(kind, path):
    if kind == "pickle in npz":
        np.savez(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "two arrays":
        np.savez(path, a=np.zeros(3), b=np.zeros(3))
    elif kind == "no zip":
        path.write_bytes(b"PK no zip")
    else:
        with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as handle:
            header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 128)}
            np.lib.format.write_array_header_1_0(handle, header)
            handle.write(b"few bytes")


@pytest.mark.parametrize("kind", ["pickle in npz", "two arrays", "no zip", "huge shape"])
def test_hostile_files_are_refused(kind, request_, tmp_path):
    hostile(kind, tmp_path / "bad.npz")
    with pytest.raises(hop.UserError, match="is not an .npz file with one array of real numbers"):
        request_(input=str(tmp_path / "bad.npz"))
    assert names(tmp_path) == ["bad.npz", "u0.npy"]


def test_a_npy_file_that_says_too_much(request_, tmp_path):
    with (tmp_path / "bad.npy").open("wb") as handle:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 128)}
        np.lib.format.write_array_header_1_0(handle, header)
    with pytest.raises(hop.UserError, match="is not a .npy file of real numbers"):
        request_(input=str(tmp_path / "bad.npy"))
