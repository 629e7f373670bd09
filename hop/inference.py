"""Batch inference, file to file: inputs larger than memory, in shards that survive a restart.

A shard is a run of functions. What is done so far lies beside the output, as
`.NAME.REQUEST.partial`, with a journal of finished shards for every process of the job; the output
appears only once it is whole. REQUEST is a digest of all that was asked for: the same request goes
on where it was stopped, and another one starts anew. One job at a time owns an output, by a lock;
where locks do not reach other machines, two requests still do not share a file. Shard k of a job of
P processes is made by process k mod P, on its own devices.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hop import datasets, files
from hop.checkpoints import digest
from hop.errors import RunError, UserError
from hop.operators import Operator, finite
from hop.problem import in_time
from hop.sharding import is_chief, wait_for_all

_MOST_POINTS = 10**8
SHARD = 2**23  # values of a shard's output: 32 MiB in float32
_SHOWN = 8  # functions in a picture
# After .NAME. and before it is the output: a request's digest, and what of it this is.
_PART = re.compile(r"([0-9a-f]{16})\.(partial|before|[0-9]+\.journal)")

Progress = Callable[[int, int], None]  # functions done, of all


def infer(
    operator: Operator,
    *,
    input: str = "",
    output: str,
    at: str = "",
    points: int | None = None,
    plot: str = "",
    progress: Progress = lambda done, total: None,
) -> str:
    """Solutions for the functions in a file, written to another; returns a line that says so.

    Args:
      operator: a loaded stage.
      input: values (n, m) at `operator.sensors`: a `.npy` file, an `.npz` with one array, or
        `grf_burgers/LAW:SPLIT`; empty for a problem without input.
      output: `.npy` or `.zarr`, (n, q), or (q,) without input; replaced only once it is whole.
      at: `.npy` (q, d) query points, (q,) in one dimension.
      points: instead, this many along each axis.
      plot: where to draw some of the functions; empty for nowhere.
      progress: hears of finished shards.

    Raises:
      UserError: a file that is missing, no plain array, of the wrong shape, or not finite, or an
        output that another job is writing; then nothing is left of the output.
      RunError: the output could not be written.
    """
    x = _query(operator, at, points)
    _check_targets(operator, input, at, output, plot)
    began, target = time.monotonic(), files.path(output)
    source = read(input) if input else None
    if source is not None and operator.sensors is not None:
        sensors = len(operator.sensors)
        if source.ndim != 2 or source.shape[1] != sensors:
            raise UserError(
                f"--input={input} holds an array of shape {tuple(source.shape)} and must be "
                f"(n, {sensors}): the values of n functions at the operator's {sensors} sensors"
            )
    lock = target.with_name(f".{target.name}.lock")
    busy = f"--output={output} is being written by another job; wait for it, or name another output"
    with ExitStack() as owned:
        if is_chief():
            with _writing(target):
                owned.enter_context(files.owned(lock, busy))
        u, kept = _all_shards(operator, source, _identity(input), x, target, progress)
    if plot and is_chief():
        from hop import plotting

        shown = None if source is None else np.array(source[:_SHOWN])
        plotting.inference(str(files.path(plot)), operator, shown, x, np.asarray(u))
    count = 1 if source is None else len(source)
    what = "1 solution" if count == 1 else f"{count:,} solutions"
    what += f", {kept:,} of them made before," if kept else ""
    what += f" at {len(x):,} points in {time.monotonic() - began:.1f} s: {output}"
    return f"{what}\npicture: {plot}" if plot else what


def _all_shards(
    operator: Operator, source: Any, name: Any, x: np.ndarray, target: Path, progress: Progress
) -> tuple[np.ndarray, int]:
    """Makes every shard that no journal holds; the first few solutions, and how many it held."""
    count, points = 1 if source is None else len(source), len(x)
    rows = 1 << max(0, (SHARD // max(1, points)).bit_length() - 1)
    # Bad input is refused before anything is written, if it shows at once.
    first = _solved(operator, source, 0, min(rows, _SHOWN), x)
    request = json.dumps(
        [name, [count, points, rows], digest(x), str(first.dtype), list(operator.lam)]
        + [digest(np.asarray(leaf)) for leaf in jax.tree.leaves(operator.params)]
    )
    request = hashlib.sha256(request.encode()).hexdigest()[:16]
    shape = first.shape if source is None else (count, points)
    sink = Sink.open(target, shape, first.dtype, request)
    shards = -(-count // rows)
    done = sink.done()
    try:
        with ThreadPoolExecutor(1) as disk:  # one shard is written while the next is made
            written = disk.submit(lambda: None)
            for k in range(jax.process_index(), shards, jax.process_count()):
                if k not in done:
                    part = first  # which may be all
                    if count > min(rows, _SHOWN):
                        part = _solved(operator, source, k * rows, (k + 1) * rows, x)
                    written.result()
                    written = disk.submit(sink.add, k, k * rows, part)
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
    return first, sum(min(rows, count - k * rows) for k in done)


def _solved(operator: Operator, source: Any, first: int, last: int, x: np.ndarray) -> np.ndarray:
    """Solutions for functions of a source, read now, and refused by their number there."""
    if source is None:
        return operator(x)
    rows = np.array(source[first:last])
    try:
        return operator(rows, x)
    except UserError:
        finite(rows, operator.dtype, first)
        raise


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
    moves = in_time(operator.ansatz.problem)
    kinds = (".png", ".pdf", ".svg", *([".gif"] if moves else []))
    if plot and Path(plot).suffix not in kinds:
        raise UserError(f"--plot={plot} is no picture's name; end it in {' or '.join(kinds)}")
    if plot and operator.ansatz.problem.domain.dim != 1 and not moves:
        raise UserError("--plot draws problems in one dimension, or one and time; leave it out")
    if (operator.sensors is None) == bool(input):
        takes = "takes no input function; leave --input out"
        needs = "needs input functions; give --input=u0.npy"
        raise UserError(f"this operator {takes if input else needs}")


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

    def write(self, first: int, values: np.ndarray) -> None:
        """Rows from `first` on; they are on disk when this returns."""
        values = np.ascontiguousarray(values, self.dtype)
        if self._zarr:
            self._store()[first : first + len(values)].write(values).result()
            return
        with self.partial.open("r+b") as handle:
            np.lib.format.read_magic(handle)
            np.lib.format.read_array_header_1_0(handle)
            row = int(np.prod(self.shape[1:])) * self.dtype.itemsize
            handle.seek(handle.tell() + first * row)
            handle.write(values.data)
            handle.flush()
            os.fsync(handle.fileno())

    def add(self, shard: int, first: int, values: np.ndarray) -> None:
        """A shard: its rows from `first` on, and then, once they are on disk, a note of it."""
        with _writing(self.target):
            self.write(first, values)
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
            "or mend what that names, then run the same command to go on"
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
    if name.startswith(f"{datasets.NAME}/") and not file.exists():
        return datasets.values(name, split or "test")
    try:
        array = _member(file) if path.endswith(".npz") else np.load(file, "r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise ValueError
    except FileNotFoundError as error:
        raise UserError(f"no file {path}") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        kind = "an .npz file with one array" if path.endswith(".npz") else "a .npy file"
        raise UserError(
            f"{path} is not {kind} of real numbers; write one with numpy.save"
        ) from error
    return array


def _member(path: Path) -> np.ndarray:
    """The one array of an `.npz` file, if it is as large as it says."""
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
        with archive.open(member) as handle:
            form = np.lib.format
            readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
            shape, order, dtype = readers[form.read_magic(handle)](handle)
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if dtype.hasobject or size > member.file_size:
                raise ValueError("an array of another size than the file's")
            data = handle.read(size)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order else "C")
