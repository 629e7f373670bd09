"""Files of functions in, files of solutions out: the same whatever happens on the way."""

import contextlib
import warnings
import zipfile

import jax
import numpy as np
import pytest
from systems import drawn, inputs, pair

import hop
from hop import datasets, files, inference, operators, splits
from hop.operators import Operator

X = 9  # query points
ROWS = 64  # functions of a shard here


@pytest.fixture(scope="module")
def op() -> Operator:
    return hop.load("burgers-steady-unit", stage=0)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(inference, "SHARD", ROWS * X)


@pytest.fixture
def u0():
    return np.random.default_rng(0).normal(size=(300, 128))


@pytest.fixture
def request_(op, u0, tmp_path):
    """A function (output, …) that infers from a file of u0."""
    np.save(tmp_path / "u0.npy", u0)

    def infer(output="u.npy", **changes):
        names = {"input": str(tmp_path / "u0.npy"), "output": str(tmp_path / output)}
        return inference.infer(changes.pop("op", op), points=X, **(names | changes))

    return infer


def expected(op, u0):
    x = np.linspace(0, 1, X)[:, None]
    return np.concatenate([op(u0[k : k + ROWS], x) for k in range(0, len(u0), ROWS)])


def stored(path):
    """What a Zarr array holds."""
    import tensorstore

    store = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    return tensorstore.open(store, open=True).result().read().result()


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
    np.testing.assert_array_equal(stored(tmp_path / "u.zarr"), expected(op, u0))
    assert names(tmp_path) == ["u.npy", "u.zarr", "u0.npy", "u0.npz", "z.npy"]


def test_all_shards_share_one_program(op, u0, request_, tmp_path, monkeypatch):
    monkeypatch.setattr(operators, "BLOCK", 16)
    np.save(tmp_path / "u0.npy", u0[:290])  # of the last shard two are left beyond blocks of 16
    known = operators.apply._cache_size()
    request_()
    assert operators.apply._cache_size() - known == 1
    last = np.resize(u0[256:290], (48, 128))
    np.testing.assert_array_equal(
        np.load(tmp_path / "u.npy")[256:], op(last, np.linspace(0, 1, X)[:, None])[:34]
    )
    request_("u.zarr")  # its chunks are whole shards, of four blocks
    np.testing.assert_array_equal(stored(tmp_path / "u.zarr"), np.load(tmp_path / "u.npy"))


def test_what_an_output_would_spoil_or_a_shape_forbids(op, tmp_path):
    path = str(tmp_path / "u0.npy")
    for shape in ((300,), (20, 7)):
        np.save(path, np.zeros(shape))
        with pytest.raises(hop.UserError, match=rf"u0.npy holds an array of shape \({shape[0]},"):
            inference.infer(op, input=path, output=str(tmp_path / "u.npy"))
    np.save(tmp_path / "x.npy", np.linspace(0, 1, X))
    for output, words in (
        ("u0.npy", "is --input as well"),
        ("x.npy", "is --at as well"),
        ("u.npz", "end it in .npy or .zarr"),
    ):
        with pytest.raises(hop.UserError, match=words):
            inference.infer(
                op, input=path, output=str(tmp_path / output), at=str(tmp_path / "x.npy")
            )
    assert np.load(path).shape == (20, 7)
    assert names(tmp_path) == ["u0.npy", "x.npy"]


def test_a_dataset_by_its_name(op, tmp_path, monkeypatch):
    there = splits.examples(op.ansatz.problem.inputs["u0"], "test", 0, 70)["values"]
    monkeypatch.setattr(datasets, "build", lambda law: None)
    monkeypatch.setattr(datasets, "load", lambda *_: {"values": there})
    for name in ("grf_burgers/unit:test", "grf_burgers/unit"):
        inference.infer(op, input=name, output=str(tmp_path / "u.npy"), points=X)
        u = np.load(tmp_path / "u.npy")
        np.testing.assert_allclose(u, expected(op, there), atol=2e-6)  # other batch shapes
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
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        str(p.relative_to(path)) if path.is_dir() else "": p.read_bytes()
        for p in found
        if p.is_file()
    }


def stop(done, total):
    raise KeyboardInterrupt


def test_an_output_has_one_owner(op, u0, request_, tmp_path):
    other, refused = hop.load("burgers-steady-unit", stage=1), []

    def meanwhile(done, total):
        for late in (op, other):  # by the lock, which a stopped process holds as well
            with pytest.raises(hop.UserError, match="u.npy is being written by another job; wait"):
                request_(op=late)
            refused.append(late)

    request_(progress=meanwhile)
    assert len(refused) == 10
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(op, u0))
    request_(op=other)
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(other, u0))
    assert names(tmp_path) == ["u.npy", "u0.npy"]


@pytest.mark.parametrize("output", ["u.npy", "u.zarr"])
def test_requests_do_not_mix_where_locks_do_not_hold(
    op, u0, request_, tmp_path, monkeypatch, output
):
    """As from two machines on a shared file system: who comes late takes over."""
    other, once = hop.load("burgers-steady-unit", stage=1), [True]
    monkeypatch.setattr(files, "owned", lambda *_: contextlib.nullcontext())

    def meanwhile(done, total):
        if done == 2 * ROWS and once.pop():
            request_(output, op=other)
            assert (tmp_path / output).exists()

    with pytest.raises(hop.RunError, match="could not be written"):
        request_(output, progress=meanwhile)
    request_(f"other-{output}", op=other)
    assert _bytes(tmp_path / output) == _bytes(tmp_path / f"other-{output}")
    request_(output)  # whatever the late one left is in nobody's way
    request_(f"mine-{output}")
    assert _bytes(tmp_path / output) == _bytes(tmp_path / f"mine-{output}")
    assert names(tmp_path) == sorted([output, f"mine-{output}", f"other-{output}", "u0.npy"])


@pytest.mark.parametrize("output", ["u.npy", "u.zarr"])
def test_what_is_noted_or_renamed_is_on_disk(request_, monkeypatch, output):
    settle, move, did = files.settle, files.move, []
    monkeypatch.setattr(files, "settle", lambda p: (did.append(["settle", p]), settle(p)))
    monkeypatch.setattr(files, "move", lambda p, to: (did.append(["move", p]), move(p, to)))
    write = inference.Sink.write
    monkeypatch.setattr(
        inference.Sink, "write", lambda sink, k, u: (did.append(["write", sink]), write(sink, k, u))
    )
    request_(output)
    kinds = [what for what, _ in did]
    assert kinds == ["write", "settle"] * 5 + ["settle", "move"]
    assert all(path.suffix == ".journal" for what, path in did[1:-2] if what == "settle")
    assert did[-2][1] == did[-1][1]
    assert did[-1][1].suffix == ".partial"


def test_names_are_no_patterns_and_no_markup(request_, tmp_path, monkeypatch):
    (tmp_path / "x[/y]" / "z").mkdir(parents=True)
    request_("u1.npy")
    for name in ("u[1].npy", "x[/y]/z/u.npy", "u?.npy", "ü .npy", "x[/../u*.zarr"):
        for how in ({"progress": stop}, {}):
            with pytest.raises(KeyboardInterrupt) if how else contextlib.nullcontext():
                request_(name, **how)
        if name.endswith(".npy"):
            assert (tmp_path / name).read_bytes() == (tmp_path / "u1.npy").read_bytes()
        assert not [p for p in (tmp_path / name).parent.iterdir() if p.name.startswith(".")]


def test_the_home_folder_has_one_name_everywhere(op, u0, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "u0.npy", u0[:2])
    np.save(tmp_path / "x.npy", np.linspace(0, 1, X))
    where = {"input": "~/u0.npy", "at": "~/x.npy", "output": "~/u.npy", "plot": "~/u.png"}
    assert inference.infer(op, **where).endswith(": ~/u.npy\npicture: ~/u.png")
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), expected(op, u0[:2]))
    there = {name for name in names(tmp_path) if not name.startswith(".")}  # but for caches
    assert there == {"u.npy", "u.png", "u0.npy", "x.npy"}


@pytest.mark.parametrize("output", ["u.npy", "u.zarr"])
def test_a_problem_without_input_is_written_alike(untrained, tmp_path, output):
    sol = untrained()

    def meanwhile(done, total):
        with pytest.raises(hop.UserError, match="is being written by another job"):
            inference.infer(sol, output=str(tmp_path / output))

    said = inference.infer(sol, output=str(tmp_path / output), points=X, progress=meanwhile)
    assert said.startswith("1 solution at 9 points")
    assert names(tmp_path) == [output]
    if output == "u.npy":
        x = np.linspace(0, 1, X)[:, None]
        np.testing.assert_array_equal(np.load(tmp_path / output), sol(x))


def test_an_array_of_files_is_replaced_whole(u0, request_, tmp_path, monkeypatch):
    """Killed between the renames, it is put back, even if the next request is refused."""
    request_("u.zarr")
    before, move = _bytes(tmp_path / "u.zarr"), files.move
    np.save(tmp_path / "u0.npy", u0 + 1)

    def killed(source, target):
        if source.suffix == ".partial":
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            request_("u.zarr")
    assert not (tmp_path / "u.zarr").exists()
    np.save(tmp_path / "bad.npy", np.vstack([u0, np.full((1, 128), np.nan)]))
    with pytest.raises(hop.UserError, match="first in function 300"):
        request_("u.zarr", input=str(tmp_path / "bad.npy"))
    assert _bytes(tmp_path / "u.zarr") == before
    assert names(tmp_path) == ["bad.npy", "u.zarr", "u0.npy"]
    request_("u.zarr")
    assert _bytes(tmp_path / "u.zarr") != before
    assert names(tmp_path) == ["bad.npy", "u.zarr", "u0.npy"]


def test_another_request_starts_anew(op, u0, request_, tmp_path):
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
        if process == 0 and not list(tmp_path.glob(".u.npy.*.1.journal")):
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


@pytest.mark.parametrize("dtype", [bool, complex, object, "m8[s]", [("a", float)]])
def test_files_of_no_real_numbers_are_refused(dtype, request_, tmp_path):
    np.save(tmp_path / "bad.npy", np.zeros((2, 128), dtype), allow_pickle=True)
    np.savez(tmp_path / "bad.npz", np.zeros((2, 128), dtype))
    for bad in ("bad.npy", "bad.npz"):
        with pytest.raises(hop.UserError, match="of real numbers; write one with numpy.save"):
            request_(input=str(tmp_path / bad))


@pytest.fixture(scope="module")
def system() -> Operator:
    return pair()


@pytest.fixture
def arrays(tmp_path):
    """The file of 150 samples of a system's inputs, and the samples."""
    given = inputs(150)
    np.savez(tmp_path / "inputs.npz", **given)
    return str(tmp_path / "inputs.npz"), given


@pytest.mark.parametrize("output", ["u.npy", "u.zarr"])
def test_a_system_of_several_inputs_is_stopped_and_goes_on(
    system, arrays, tmp_path, monkeypatch, output
):
    path, given = arrays
    made, write, target = [], inference.Sink.write, tmp_path / output
    monkeypatch.setattr(
        inference.Sink, "write", lambda sink, k, u: (made.append(k), write(sink, k, u))
    )

    def two(done, total):
        if done == ROWS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inference.infer(system, input=path, output=str(target), points=X, progress=two)
    said = inference.infer(system, input=path, output=str(target), points=X)
    assert "150 solutions, 64 of them made before, at 9 points" in said
    assert said.endswith(f"{output}, of shape (n, c, q), the 2 unknowns in the order u, v")
    assert made == [0, 32, 64, 96, 128]  # two unknowns: half as many functions in a shard
    x = np.linspace(0, 1, X)[:, None]
    parts = [{name: a[k : k + 32] for name, a in given.items()} for k in range(0, 150, 32)]
    wanted = np.concatenate([np.stack([*system(part, x).values()], axis=1) for part in parts])
    assert wanted.shape == (150, 2, X)
    found = np.load(target) if output == "u.npy" else stored(target)
    np.testing.assert_array_equal(found, wanted)
    assert names(tmp_path) == ["inputs.npz", output]


def test_any_changed_input_is_another_request(system, arrays, tmp_path):
    path, given = arrays
    with pytest.raises(KeyboardInterrupt):
        inference.infer(system, input=path, output=str(tmp_path / "u.npy"), points=X, progress=stop)
    given["kappa"] = given["kappa"][::-1]
    np.savez(path, **given)
    inference.infer(system, input=path, output=str(tmp_path / "u.npy"), points=X)
    u = system(given, np.linspace(0, 1, X)[:, None])["u"]
    np.testing.assert_allclose(np.load(tmp_path / "u.npy")[:, 0], u, atol=2e-6)


def test_a_number_alone_and_a_system_without_inputs(tmp_path):
    x, kappa = np.linspace(0, 1, X)[:, None], np.linspace(1, 2, 5)
    np.save(tmp_path / "kappa.npy", kappa)
    np.savez(tmp_path / "kappa.npz", kappa=kappa)
    op, target = pair(given=("kappa",)), tmp_path / "u.npy"
    for name in ("kappa.npy", "kappa.npz"):
        inference.infer(op, input=str(tmp_path / name), output=str(target), points=X)
        np.testing.assert_array_equal(np.load(target)[:, 1], op(kappa, x)["v"])
    np.save(tmp_path / "none.npy", kappa[:0])
    inference.infer(op, input=str(tmp_path / "none.npy"), output=str(target), points=X)
    assert np.load(target).shape == (0, 2, X)
    sol = pair(given=())
    said = inference.infer(sol, output=str(target), points=X)
    assert "1 solution at 9 points" in said
    assert "of shape (c, q), the 2 unknowns in the order u, v" in said
    np.testing.assert_array_equal(np.load(target), np.stack([*sol(x).values()]))
    for wrong, given, words in (
        (op, kappa[:, None], r"shape \(5, 1\) and must be \(n,\): a number for each solution"),
        (op, np.float64(1), r"shape \(\) and must be \(n,\)"),
        (op, np.array([1, np.nan]), r"kappa holds NaN or infinity \(first in function 1\)"),
        (sol, kappa, "takes no input function; leave --input out"),
    ):
        np.save(tmp_path / "kappa.npy", given)
        with pytest.raises(hop.UserError, match=words):
            inference.infer(wrong, input=str(tmp_path / "kappa.npy"), output=str(target))


def test_values_at_other_places(op, request_, system, tmp_path):
    places, x = np.linspace(0, 1, 301) ** 1.1, np.linspace(0, 1, X)[:, None]
    values = np.sin(np.pi * np.arange(1, 4)[:, None] * places)
    given = {"input": str(tmp_path / "f.npy"), "sensors": str(tmp_path / "x.npy")}
    np.save(given["input"], values)
    with pytest.raises(hop.UserError, match=r"\(n, 128\): .*; .* name these by --sensors=x.npy"):
        request_(input=given["input"])
    np.save(given["sensors"], places[:100])
    with pytest.raises(hop.UserError, match=r"must be \(n, 100\): .* the 100 places of --sensors"):
        request_(**given)
    np.save(given["sensors"], places)
    request_(**given, plot=str(tmp_path / "u.png"))
    first = np.load(tmp_path / "u.npy")
    np.testing.assert_allclose(first, op(values, x, sensors=places), atol=1e-6)
    with pytest.raises(KeyboardInterrupt):
        request_(**given, progress=stop)
    np.save(given["sensors"], places**1.1)  # another request: what was stopped is not gone on with
    assert "made before" not in request_(**given)
    assert np.abs(np.load(tmp_path / "u.npy") - first).max() > 1e-3

    given = {"input": str(tmp_path / "two.npz"), "sensors": str(tmp_path / "x.npz")}
    np.savez(given["input"], f=values, kappa=KAPPA)
    np.savez(given["sensors"], f=places)
    inference.infer(system, **given, output=str(tmp_path / "u.npy"), points=X)
    wanted = system({"f": values, "kappa": KAPPA}, x, sensors={"f": places})
    np.testing.assert_allclose(np.load(tmp_path / "u.npy")[:, 1], wanted["v"], atol=1e-6)
    np.savez(given["sensors"], f=places, kappa=KAPPA)
    with pytest.raises(hop.UserError, match="holds places for 'kappa', .* of this operator are f"):
        inference.infer(system, **given, output=str(tmp_path / "u.npy"), points=X)


F, KAPPA = np.zeros((3, 17)), np.ones(3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"f": F}, "holds the arrays 'f' and must hold f, kappa; write it with numpy.savez"),
        ({"f": F, "k\x1b": KAPPA}, r"holds the arrays 'f', 'k\\x1b' and must hold f, kappa"),
        ({"f": F, "kappa": KAPPA, "g": F}, "holds the arrays 'f', 'g', 'kappa' and must hold"),
        ({"f": F[:, :5], "kappa": KAPPA}, r"shape \(3, 5\) for f and must be \(n, 17\)"),
        ({"f": F, "kappa": KAPPA[:, None]}, r"shape \(3, 1\) for kappa and must be \(n,\)"),
        ({"f": F, "kappa": KAPPA[:2]}, "holds 3 for f, 2 for kappa; give as many for each"),
        ({"f": F, "kappa": np.array([None] * 3)}, "is not an .npz file of arrays of real numbers"),
        ({"f": F, "kappa": KAPPA > 0}, "is not an .npz file of arrays of real numbers"),
    ],
)
def test_files_that_are_not_the_inputs_of_a_system(system, tmp_path, given, words):
    np.savez(tmp_path / "bad.npz", allow_pickle=True, **given)
    with pytest.raises(hop.UserError, match=words) as refused:
        inference.infer(
            system, input=str(tmp_path / "bad.npz"), output=str(tmp_path / "u.npy"), points=X
        )
    assert "\n" not in str(refused.value)
    assert names(tmp_path) == ["bad.npz"]


def test_what_a_system_needs_is_named(system, tmp_path):
    output = str(tmp_path / "u.npy")
    np.save(tmp_path / "f.npy", F)
    for given in (str(tmp_path / "f.npy"), "grf_burgers/unit:test"):
        with pytest.raises(hop.UserError, match="an .npz file with an array for each of f, kappa;"):
            inference.infer(system, input=given, output=output)
    with pytest.raises(hop.UserError, match="give --input=inputs.npz with an array for each of f,"):
        inference.infer(system, output=output)
    with zipfile.ZipFile(tmp_path / "two.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zipfile, at one name twice
        for value in (F, F, KAPPA):
            with archive.open("kappa.npy" if value is KAPPA else "f.npy", "w") as handle:
                np.save(handle, value)
    with pytest.raises(hop.UserError, match="is not an .npz file of arrays"):
        inference.infer(system, input=str(tmp_path / "two.npz"), output=output)


def test_pictures_of_systems(arrays, tmp_path):
    path, given = arrays
    np.save(tmp_path / "kappa.npy", given["kappa"])
    one = str(tmp_path / "kappa.npy")
    for op, source, panels in (
        (pair(), path, [("x", "f"), ("x", "u"), ("x", "v")]),
        (pair(given=("kappa",)), one, [("x", "u"), ("x", "v")]),
        (pair(given=()), "", [("x", "u"), ("x", "v")]),
        (pair("time"), path, [("x", "u")] * 3 + [("x", "v")] * 3),
    ):
        with drawn() as axes:
            inference.infer(
                op, input=source, output=str(tmp_path / "u.npy"), points=5,
                plot=str(tmp_path / "u.png"),
            )  # fmt: skip
        assert [(a.get_xlabel(), a.get_ylabel()) for a in axes] == panels
    with pytest.raises(hop.UserError, match="--plot draws problems in one dimension, or one and"):
        inference.infer(
            pair("plane"), input=path, output=str(tmp_path / "u.npy"), plot=str(tmp_path / "u.png")
        )
