"""Batch inference, file to file: inputs larger than memory, in shards that survive a restart.

A shard is a run of functions. What is done so far lies beside the output, as
`.NAME.REQUEST.partial`, with a journal of finished shards for every process of the job; the output
appears only once it is whole. REQUEST is a digest of all that was asked for: the same request goes
on where it was stopped, and another one starts anew. One job at a time owns an output, by a lock;
where locks do not reach other machines, two requests still do not share a file. Shard k of a job of
P processes is made by process k mod P, on its own devices.
"""

import collections
import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hop import datasets, files, polishing
from hop.checkpoints import digest
from hop.errors import RunError, UserError
from hop.laws import Law
from hop.operators import Operator, finite
from hop.problem import in_time
from hop.sharding import is_chief, wait_for_all
from hop.splits import NAME

_MOST_POINTS = 10**8
SHARD = 2**22  # values of a shard's output: 16 MiB in float32
_MADE = 3  # shards at once: while one is checked, the others keep the cores busy
_SHOWN = 8  # functions in a picture
POLISHED = 128  # functions of a shard, where each takes a solver's time
# After .NAME. and before it is the output: a request's digest, and what of it this is.
_PART = re.compile(r"([0-9a-f]{16})\.(partial|before|[0-9]+\.journal)")

# What NumPy and zipfile raise for files that are damaged, encrypted or no arrays.
_UNREADABLE = (
    OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error
)  # fmt: skip

Progress = Callable[[int, int], None]  # functions done, of all
Arrays = Mapping[str, Any]  # (n, m) by the name of the input, numbers (n,)
Steps = dict[int, int]  # of Newton's method by the number of the function; 0 if it failed


def infer(
    operator: Operator,
    *,
    input: str = "",
    output: str,
    at: str = "",
    points: int | None = None,
    plot: str = "",
    polish: bool = False,
    sensors: str = "",
    progress: Progress = lambda done, total: None,
) -> str:
    """Solutions for the functions in a file, written to another; returns a line that says so.

    Args:
      operator: a loaded stage.
      input: values (n, m) at `operator.sensors`, or numbers (n,): a `.npy` file, an `.npz` with one
        array, or `grf_burgers/LAW:SPLIT`; of several inputs an `.npz` with an array for each, by
        name; empty for a problem without input.
      output: `.npy` or `.zarr`, (n, q), or (q,) without input; of several unknowns (n, c, q), or
        (c, q), in the order of `problem.unknowns`. Replaced only once it is whole.
      at: `.npy` (q, d) query points, (q,) in one dimension.
      points: instead, this many along each axis.
      plot: where to draw some of the functions; empty for nowhere.
      polish: write what Newton's method makes of the answers (`hop.polish`), in float64; NaN for
        functions for which it does not converge. The line that is returned tells them.
      sensors: where the values of `input` are known, if not at `operator.sensors`: a `.npy` file of
        places (m,), (m, d′) in several coordinates; of several inputs an `.npz` with an array for
        each whose values are elsewhere, by name. The functions are then fitted.
      progress: hears of finished shards.

    Raises:
      UserError: a file that is missing, no plain array, of the wrong shape, or not finite, or an
        output that another job is writing; then nothing is left of the output.
      RunError: the output could not be written.
    """
    x = _query(operator, at, points)
    _check_targets(operator, input, at, output, plot)
    began, target = time.monotonic(), files.path(output)
    elsewhere = _elsewhere(operator.laws, sensors) if sensors else {}
    sources = _inputs(operator.laws, input, elsewhere) if input else {}
    lock = target.with_name(f".{target.name}.lock")
    busy = f"--output={output} is being written by another job; wait for it, or name another output"
    with ExitStack() as owned:
        if is_chief():
            with _writing(target):
                owned.enter_context(files.owned(lock, busy))
        steps: Steps | None = {} if polish else None
        name = [_identity(input), {k: digest(at) for k, at in elsewhere.items()}]
        u, kept = _all_shards(operator, sources, elsewhere, name, x, target, progress, steps)
    if plot and is_chief():
        from hop import plotting

        shown = {name: np.array(source[:_SHOWN]) for name, source in sources.items()}
        if elsewhere:
            fields = operator.fields(shown, elsewhere)
            shown = {k: np.asarray(operator.laws[k].values(a)) for k, a in fields.items()}
        plotting.inference(str(files.path(plot)), operator, shown, x, np.asarray(u))
    count, names = _count(sources), operator.ansatz.problem.unknowns
    what = "1 solution" if count == 1 else f"{count:,} solutions"
    what += f", {kept:,} of them made before," if kept else ""
    what += f" at {len(x):,} points in {time.monotonic() - began:.1f} s: {output}"
    if len(names) > 1:
        shape = ("n, " if sources else "") + "c, q"
        what += f", of shape ({shape}), the {len(names)} unknowns in the order {', '.join(names)}"
    if steps:
        what += f"\n{_told(steps)}"
    return f"{what}\npicture: {plot}" if plot else what


def _told(steps: Steps) -> str:
    """What Newton's method did."""
    failed = sorted(number for number, count in steps.items() if not count)
    said = polishing.told(np.array(list(steps.values())))
    if not failed:
        return said
    which = ", ".join(map(str, failed[:_SHOWN])) + ", …" * (len(failed) > _SHOWN)
    return f"{said}; NaN in the output: rows {which}, counted from 0"


def _elsewhere(laws: Mapping[str, Law], sensors: str) -> Arrays:
    """The places of a request's sensors, by the names of the inputs that are known there."""
    several = len(laws) > 1
    found = (
        arrays(sensors, "an .npz file of places") if several else {k: read(sensors) for k in laws}
    )
    functions = [name for name, law in laws.items() if law.domain is not None]
    if unknown := sorted(set(found) - set(functions)):
        raise UserError(
            f"--sensors={sensors} holds places for {', '.join(map(repr, unknown))[:160]}, and the "
            f"input functions of this operator are {', '.join(functions) or 'none'}"
        )
    return {name: np.array(places) for name, places in found.items()}


def _inputs(laws: Mapping[str, Law], input: str, elsewhere: Arrays) -> Arrays:
    """The arrays that a request names, one for each law, of as many functions or numbers each."""
    found = {k: read(input) for k in laws} if len(laws) == 1 else _several(input, list(laws))
    for name, law in laws.items():
        m, shape = law.width, tuple(found[name].shape)
        wanted = "(n,): a number for each solution"
        if law.domain is not None:
            m = len(elsewhere.get(name, law.sensors))
            wanted = f"(n, {m}): the values of n functions at the operator's {m} sensors"
            if name in elsewhere:
                wanted = f"(n, {m}): the values of n functions at the {m} places of --sensors"
        elif law.shape:
            wanted = f"(n, {m}): {m} numbers for each solution"
        if len(shape) != 1 + len(law.shape) or shape[1:] != (m,) * len(law.shape):
            which = f" for {name}" if len(laws) > 1 else ""
            remedy = "; for values at other places, name these by --sensors=x.npy"
            raise UserError(
                f"--input={input} holds an array of shape {shape}{which} and must be {wanted}"
                + remedy * (law.domain is not None and name not in elsewhere)
            )
    if len({len(array) for array in found.values()}) > 1:
        said = ", ".join(f"{len(array):,} for {name}" for name, array in found.items())
        raise UserError(f"--input={input} holds {said}; give as many for each")
    return found


def _several(path: str, names: list[str]) -> Arrays:
    """The arrays of an `.npz` file that holds one for each of these names, and no other."""
    given = ", ".join(f"{name}=…" for name in names)
    remedy = f'write it with numpy.savez("inputs.npz", {given})'
    if not path.endswith(".npz"):
        raise UserError(
            f"--input={path} must be an .npz file with an array for each of {', '.join(names)}; "
            f"{remedy}"
        )
    found = arrays(path, f"an .npz file of arrays of real numbers; {remedy}")
    if set(found) != set(names):
        holds = ", ".join(map(repr, sorted(found)))[:160] or "none"  # a stranger's, made harmless
        raise UserError(
            f"--input={path} holds the arrays {holds} and must hold {', '.join(names)}; {remedy}"
        )
    return found


def _count(sources: Arrays) -> int:
    """n; 1 without inputs."""
    return next(map(len, sources.values()), 1)


def _all_shards(
    operator: Operator,
    sources: Arrays,
    elsewhere: Arrays,
    name: Any,
    x: np.ndarray,
    target: Path,
    progress: Progress,
    steps: Steps | None,
) -> tuple[np.ndarray, int]:
    """Makes every shard that no journal holds; the first few solutions, and how many it held."""
    count, points = _count(sources), len(x)
    row = len(operator.ansatz.problem.unknowns) * max(1, points)
    rows = 1 << max(0, (SHARD // row).bit_length() - 1)
    if steps is not None:
        rows = min(rows, POLISHED)
    block = min(rows, operator.block(points)) if count > rows else max(1, count)

    def make(shard: int, most: int = rows) -> list[np.ndarray]:
        first = shard * rows
        return _solved(operator, sources, elsewhere, first, first + most, x, steps, block)

    # Bad input is refused before anything is written, if it shows at once.
    first = make(0, rows if steps is None else min(rows, _SHOWN))
    shown, dtype = first[0][: _SHOWN if sources else None].copy(), first[0].dtype
    request = json.dumps(
        [name, [count, points, rows], digest(x), str(dtype), list(operator.lam)]
        + ["polished"] * (steps is not None)
        + [digest(np.asarray(leaf)) for leaf in jax.tree.leaves(operator.params)]
    )
    request = hashlib.sha256(request.encode()).hexdigest()[:16]
    shape = (count, *shown.shape[1:]) if sources else shown.shape
    sink = Sink.open(target, shape, dtype, request)
    shards = -(-count // rows)
    done = sink.done()
    mine = range(jax.process_index(), shards, jax.process_count())
    made = {0: first} if not sources or sum(map(len, first)) == min(rows, count) else {}
    del first
    to_make = [k for k in mine if k not in done and k not in made]
    try:
        with ThreadPoolExecutor(_MADE + 1) as pool:  # one shard is written while others are made
            parts = map(make, to_make) if steps is not None else _ahead(pool, make, to_make)
            written = pool.submit(lambda: None)
            for k in mine:
                if k not in done:
                    part = made.pop(k) if k in made else next(parts)
                    written.result()
                    written = pool.submit(sink.add, k, k * rows, part)
                progress(min(count, (k + 1) * rows), count)
            written.result()
    except UserError:
        sink.discard()
        raise
    wait_for_all("the shards of inference")
    if is_chief():
        if missing := set(range(shards)) - sink.done():
            raise RunError(
                f"{len(missing)} of {shards} shards of {target} are missing; run the same command "
                "again to make them"
            )
        sink.finish()
    wait_for_all("the output of inference")
    return shown, sum(min(rows, count - k * rows) for k in done)


def _ahead(
    pool: ThreadPoolExecutor, make: Callable[[int], Any], shards: Iterable[int]
) -> Iterator[Any]:
    """What is made of the shards, in turn: of `_MADE` at once."""
    coming = collections.deque[Future]()
    for k in shards:
        coming.append(pool.submit(make, k))
        if len(coming) == _MADE:
            yield coming.popleft().result()
    yield from (one.result() for one in coming)


def _solved(
    operator: Operator,
    sources: Arrays,
    elsewhere: Arrays,
    first: int,
    last: int,
    x: np.ndarray,
    steps: Steps | None,
    block: int,
) -> list[np.ndarray]:
    """Solutions (n, q) or (n, c, q) for functions of the sources, read now, in blocks of them.

    They are refused by their number there. `steps` is added to, if they are to be polished. Of
    fewer functions than a multiple of `block` some are solved twice: to compile a program for what
    is left takes longer.
    """
    given = {name: np.asarray(source[first:last]) for name, source in sources.items()}
    n = _count(given)
    try:
        if steps is not None:
            return [_polished(operator, given, elsewhere, first, x, steps)]
        if not sources:
            return [operator.stacked(x)]
        whole, made = given, []
        if more := -n % block:
            whole = {k: np.resize(rows, (n + more, *rows.shape[1:])) for k, rows in given.items()}
        for at in range(0, max(1, n), block):
            some = {name: rows[at : at + block] for name, rows in whole.items()}
            made.append(operator.stacked(some, x, sensors=elsewhere)[: n - at])
        return made
    except UserError:
        for name, rows in given.items():
            finite(rows.reshape(len(rows), -1), operator.dtype, first, name)
        raise


def _polished(
    operator: Operator,
    given: Arrays,
    elsewhere: Arrays,
    first: int,
    x: np.ndarray,
    steps: Steps,
) -> np.ndarray:
    """Solutions as `_solved` gives them, by Newton's method."""
    found = polishing.polish(operator, given or None, sensors=elsewhere)
    counts = np.where(found.converged, found.iterations, 0)
    steps |= {first + i: int(count) for i, count in enumerate(counts)}
    u = found(x)
    u[~found.converged if given else ~found.converged.repeat(len(u))] = np.nan
    return u


def _query(operator: Operator, at: str, points: int | None) -> np.ndarray:
    """The query points (q, d) that a request names."""
    domain = operator.ansatz.problem.domain
    if at:
        x = np.array(read(at))
        return x[:, None] if x.ndim == 1 and domain.dim == 1 else x
    if not points:
        return operator.grid
    if points**domain.dim > _MOST_POINTS:
        raise UserError(
            f"--points={points} along each of {domain.dim} axes is more than {_MOST_POINTS:,} "
            "points; use fewer, or --at=x.npy with points of your own"
        )
    return domain.grid(*(points,) * domain.dim)


def _check_targets(operator: Operator, input: str, at: str, output: str, plot: str) -> None:
    for flag, name in (("output", output), ("plot", plot)):
        if name and not files.path(name).parent.is_dir():
            raise UserError(f"the folder of --{flag}={name} does not exist; create it first")
        if name and files.path(name).is_dir() and Path(name).suffix != ".zarr":
            raise UserError(f"--{flag}={name} is a folder; name a file in it")
    if Path(output).suffix not in (".npy", ".zarr"):
        raise UserError(f"--output={output} is no array's name; end it in .npy or .zarr")
    target = files.path(output)
    for flag, name in (("input", input), ("at", at)):
        if name and target.resolve() == files.path(name).resolve():
            raise UserError(f"--output={output} is --{flag} as well; choose another name")
    if target.is_dir() and not (target / "zarr.json").is_file():
        raise UserError(f"--output={output} is a folder but no Zarr array; choose another name")
    domain = operator.ansatz.problem.domain
    moves = in_time(operator.ansatz.problem) and domain.dim == 2
    kinds = (".png", ".pdf", ".svg", *([".gif"] if moves else []))
    if plot and Path(plot).suffix not in kinds:
        raise UserError(f"--plot={plot} is no picture's name; end it in {' or '.join(kinds)}")
    if plot and domain.dim != 1 and not moves:
        raise UserError("--plot draws problems in one dimension, or one and time; leave it out")
    if input and not operator.laws:
        raise UserError("this operator takes no input function; leave --input out")
    if operator.laws and not input:
        several = f"{len(operator.laws)} inputs; give --input=inputs.npz with an array for each of "
        needs = several + ", ".join(operator.laws)
        if len(operator.laws) == 1:
            needs = "input functions; give --input=u0.npy"
        raise UserError(f"this operator needs {needs}")


@dataclasses.dataclass(frozen=True)
class Sink:
    """An output on its way.

    Attributes:
      target: its name in the end.
      shape, dtype: of the whole.
      request: 16 digits of a digest of what was asked for, in the names of all its parts.
    """

    target: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    request: str

    @classmethod
    def open(cls, target: Path, shape: tuple[int, ...], dtype: Any, request: str) -> "Sink":
        """The partial output of this request, or a new one; those of others are removed."""
        sink = cls(target, tuple(shape), np.dtype(dtype), request)
        if is_chief():
            for path, other, kind in sink._parts():
                if kind == "before" and not target.exists():  # of a replacement cut short
                    files.move(path, target)
                elif kind == "before" or other != request:
                    _remove(path)
            if not (sink.done() and sink.partial.exists()):
                sink.discard()
                with _writing(target):
                    sink._create()
        wait_for_all("a partial output")
        return sink

    @property
    def partial(self) -> Path:
        """Where it is written."""
        return self._part("partial")

    def _part(self, kind: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.request}.{kind}")

    def _parts(self) -> Iterator[tuple[Path, str, str]]:
        """What lies beside the output, of any request: path, request and kind."""
        head = f".{self.target.name}."
        for path in list(self.target.parent.iterdir()):
            if path.name.startswith(head) and (found := _PART.fullmatch(path.name[len(head) :])):
                yield path, found[1], found[2]

    @property
    def _zarr(self) -> bool:
        return self.target.suffix == ".zarr"

    def _create(self) -> None:
        if self._zarr:
            self._store(create=True)
            return
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        with self.partial.open("wb") as handle:
            np.lib.format.write_array_header_1_0(handle, {**header, "shape": self.shape})
            handle.truncate(handle.tell() + int(np.prod(self.shape)) * self.dtype.itemsize)

    def _store(self, create: bool = False) -> Any:
        import tensorstore

        whole = self.partial.parent.resolve() / self.partial.name  # TensorStore takes no ..
        rows = max(1, min(self.shape[0], SHARD // max(1, int(np.prod(self.shape[1:])))))
        chunk = [1 << (rows.bit_length() - 1), *self.shape[1:]]
        return tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": str(whole)},
                "metadata": {
                    "shape": list(self.shape),
                    "data_type": self.dtype.name,
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
                },
            },
            create=create,
            open=True,
        ).result()

    def write(self, first: int, blocks: list[np.ndarray]) -> None:
        """Rows from `first` on; they are on disk when this returns."""
        if self._zarr:
            values = np.concatenate(blocks)
            self._store()[first : first + len(values)].write(values).result()
            return
        with self.partial.open("r+b") as handle:
            np.lib.format.read_magic(handle)
            np.lib.format.read_array_header_1_0(handle)
            row = int(np.prod(self.shape[1:])) * self.dtype.itemsize
            handle.seek(handle.tell() + first * row)
            for block in blocks:
                handle.write(np.ascontiguousarray(block, self.dtype).data)
            handle.flush()
            os.fsync(handle.fileno())

    def add(self, shard: int, first: int, blocks: list[np.ndarray]) -> None:
        """A shard: its rows from `first` on, and then, once they are on disk, a note of it."""
        with _writing(self.target):
            self.write(first, blocks)
            journal = self._part(f"{jax.process_index()}.journal")
            with journal.open("a", encoding="utf-8") as handle:
                handle.write(f"{shard}\n")
            files.settle(journal)

    def done(self) -> set[int]:
        """The shards that the journals of this request hold."""
        found: set[int] = set()
        for path, request, kind in self._parts():
            if request == self.request and kind.endswith("journal"):
                *lines, _ = path.read_text(encoding="utf-8").split("\n")  # the last may be cut
                found |= {int(line) for line in lines if line.isdigit()}
        return found

    def finish(self) -> None:
        with _writing(self.target):
            files.settle(self.partial)
            if self._zarr and self.target.exists():  # a folder is not replaced by a rename
                files.move(self.target, self._part("before"))
            files.move(self.partial, self.target)
        self.discard()

    def discard(self) -> None:
        for path, request, _ in self._parts():
            if request == self.request:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # another machine may still write into it
        if path.exists():
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError) as error:  # TensorStore reports a full disk as a ValueError
        raise RunError(
            f"{target} could not be written ({str(error).splitlines()[0][:120]}); free some space, "
            "or mend what that names, then run the same command to resume"
        ) from error


def _identity(path: str) -> Any:
    """What tells one input from another without reading it."""
    if not path or not files.path(path).exists():
        return path
    about = files.path(path).stat()
    return [str(files.path(path)), about.st_size, about.st_mtime_ns]


def read(path: str) -> Any:
    """An array of numbers (n, …) to be read in slices; never unpickles.

    Args:
      path: a `.npy` file, which stays on disk; an `.npz` file with one array, or the name of a
        dataset and its split, which are read whole.

    Raises:
      UserError: no such file, or no array of real numbers in it.
    """
    name, _, split = path.partition(":")
    file = files.path(path)
    if name.startswith(f"{NAME}/") and not file.exists():
        return datasets.values(name, split or "test")
    if path.endswith(".npz"):
        kind = "an .npz file with one array of real numbers; write one with numpy.savez"
        return _opened(path, _only, kind)
    kind = "a .npy file of real numbers; write one with numpy.save"
    return _opened(path, lambda file: np.load(file, "r", allow_pickle=False), kind)


def arrays(path: str, kind: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name; never unpickles.

    Raises:
      UserError: no such file, or not what `kind` says in words.
    """
    return _opened(path, _members, kind)


def _opened(path: str, reader: Callable[[Path], Any], kind: str) -> Any:
    """What a reader makes of a file: an array of real numbers, or several by name."""
    try:
        found = reader(files.path(path))
        for array in found.values() if isinstance(found, dict) else [found]:
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise ValueError
    except FileNotFoundError as error:
        raise UserError(f"no file {path}; give {kind}") from error
    except _UNREADABLE as error:
        raise UserError(f"{path} is not {kind}") from error
    return found


def _only(path: Path) -> np.ndarray:
    """The one array of an `.npz` file, whatever its name."""
    (array,) = _members(path).values()
    return array


def _members(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name, each if it is as large as it says."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        found = {info.filename.removesuffix(".npy"): _member(archive, info) for info in members}
    if len(found) < len(members):
        raise ValueError("two arrays of one name")
    return found


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as handle:
        form = np.lib.format
        readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
        shape, order, dtype = readers[form.read_magic(handle)](handle)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject or size > member.file_size:
            raise ValueError("an array of another size than the file's")
        data = handle.read(size)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order else "C")
