"""What clusters do to a job, and what is left of it: signals, kills, hangs, damage, full disks."""

import functools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import QUICK, Listener, tiny_config
from jobs import ADAM, SHARED, Job, end, free_port, same_networks

import hop
from hop import config as config_lib
from hop.checkpoints import Store, Workdir, digest, write_model
from hop.config import files as config_files
from hop.errors import PreemptedError
from hop.preemption import Notice
from hop.sharding import Layout
from hop.training import Program, train

ROOT = Path(hop.__file__).parents[1]


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """A function (ε, …) → the workdir of a run along them that nothing disturbed."""

    @functools.cache
    def made(*eps):
        folder = tmp_path_factory.mktemp("whole")
        train(tiny_config("burgers_steady", "deeponet", data_dir, {"path__eps": eps}), folder,
              Listener())  # fmt: skip
        return folder

    return made


@pytest.fixture
def signals(listener):
    """A reporter that has a signal sent to this process within a given window."""

    class Signals(listener):
        def __init__(self, number, window):
            super().__init__()
            self.number, self.at = number, window

        def window(self, record, remaining):
            super().window(record, remaining)
            if len(self.windows) == self.at:
                os.kill(os.getpid(), self.number)

    return Signals


@pytest.mark.parametrize("window", [1, 4, 5])  # 4 is the last of a stage
def test_sigterm_saves_and_the_rest_is_the_same_to_the_bit(
    tiny, tmp_path, listener, signals, whole, window
):
    before = signal.getsignal(signal.SIGTERM)
    steps = 50 if window == 4 else 10 * window  # a stage that is done is saved as such
    with pytest.raises(PreemptedError, match=f"after {steps} steps"):
        train(tiny(), tmp_path / "w", signals(signal.SIGTERM, window))
    assert signal.getsignal(signal.SIGTERM) is before
    rest = listener()
    train(tiny(), tmp_path / "w", rest)
    assert len(rest.windows) == 8 - steps // 10  # not one step twice
    same_networks(tmp_path / "w", whole(0.5, 0.3))


def test_a_signal_is_heard_until_the_block_ends():
    """Within it nothing is stopped but asked, or else what would follow it."""
    before, notice = signal.getsignal(signal.SIGTERM), Notice()
    assert notice.agree(True) == (False, True)
    with pytest.raises(PreemptedError), notice:
        os.kill(os.getpid(), signal.SIGTERM)
    assert notice.agree(False) == (True, False)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_digest_is_of_type_shape_and_bytes():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    others = a.reshape(3, 2), a.view(np.int32), np.nextafter(a, 9)
    found = {digest(array) for array in (a, *others)}
    assert len(found) == 4
    assert digest(np.asfortranarray(a)) in found
    assert digest(a) == digest(a.copy())


def largest(folder: Path) -> Path:
    return max(folder.glob("ocdbt.process_0/d/*"), key=lambda p: p.stat().st_size)


def flip(folder: Path) -> None:
    """Flips a bit in the middle of the largest array of an item."""
    path = largest(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


THREE = {"path__eps": (0.5, 0.4, 0.3), "train__save_seconds": 0.0}


@pytest.fixture(scope="module")
def interrupted(data_dir, tmp_path_factory):
    """A workdir left in stage 2, before its first rolling checkpoint."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config("burgers_steady", "deeponet", data_dir, THREE), folder, Listener(9))
    return folder


@pytest.mark.parametrize("damage", ["bit", "missing", "truncated", "metadata"])
def test_fallback_takes_the_checkpoint_before(tiny, tmp_path, listener, whole, interrupted, damage):
    config = tiny(**THREE)
    folder = shutil.copytree(interrupted, tmp_path / "w")
    newest = folder / "stages/1"
    if damage == "bit":
        flip(newest / "state")
    elif damage == "missing":
        largest(newest / "state").unlink()
    elif damage == "truncated":
        for path in newest.glob("state/ocdbt.process_0/d/*"):
            os.truncate(path, path.stat().st_size // 2)
    else:
        (newest / "_CHECKPOINT_METADATA").write_text("{}")
    with pytest.raises(hop.RunError, match="stage 1 in .*--fallback"):
        train(config, folder, listener())
    heard = listener()
    train(config, folder, heard, fallback=True)
    said, _ = heard.messages  # the second is where training goes on
    assert re.match("stage 1 in .*; going on from the one before", said)
    assert (folder / "stages/1.damaged").is_dir()
    assert heard.windows[0]["stage"] == 1
    assert len(hop.load(folder, stage=2).params) > 0
    same_networks(folder, whole(0.5, 0.4, 0.3), 3)


def test_a_full_disk_is_named_and_loses_nothing(tiny, tmp_path, listener, whole):
    """A limit on the size of files stands for the disk: writing fails beyond it."""

    class Fills(listener):
        def window(self, record, remaining):
            if record["stage"] == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(hop.RunError, match="could not be written.*Free some space"):
            train(tiny(), tmp_path / "w", Fills())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(hop.load(tmp_path / "w").params) > 0
    train(tiny(), tmp_path / "w", listener())
    same_networks(tmp_path / "w", whole(0.5, 0.3))


@pytest.fixture(scope="module")
def launched(data_dir, tmp_path_factory):
    """A job of two processes that nothing disturbs, and what it says."""
    job = Job(tmp_path_factory.mktemp("job"), data_dir, 120)
    # Deterministic Adam: Muon's orthogonalisation amplifies the rounding of reordered sums.
    done = subprocess.run(
        [ROOT / "launch/local.sh", "--devices", "1", "--processes", "2", "--", ADAM,
         f"--config={job.config}", f"--config.train.steps={job.steps}", f"--data_dir={data_dir}",
         f"--workdir={job.folder / 'whole'}"],
        capture_output=True, text=True, timeout=300,
        env=os.environ | SHARED | {"XLA_FLAGS": QUICK},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return job, done.stdout


def test_two_processes_train_as_one(launched, tmp_path):
    """Two real processes on the loopback give the losses and the network of one, to rounding."""
    job, said = launched
    assert "mesh 2 function x 1 point" in said
    config = config_files.read(str(job.config), [f"--config.train.steps={job.steps}", ADAM])
    train(config_lib.with_data_dir(config, job.data_dir), tmp_path / "one", Listener())
    folders = tmp_path / "one", job.folder / "whole"
    seen = [[info.record["total"] for info in Store(folder).stages()] for folder in folders]
    np.testing.assert_allclose(*seen, rtol=1e-4)
    for stage in (0, 1):
        one, two = (hop.load(folder, stage=stage).params for folder in folders)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one, two)


def test_two_processes_and_the_end_of_one(launched):
    """SIGTERM to one ends both with 75; killing one ends the other; then the same to the bit."""
    job, _ = launched
    one, two = job.start("w", 2, ADAM)
    job.wait_for_a_checkpoint("w")
    two.terminate()
    for process in (one, two):
        code, said = end(process)
        assert code == 75
        assert re.search("hop: ended by SIGTERM in stage .*a checkpoint is saved", said)
    reached = job.newest("w")
    one, two = job.start("w", 2, ADAM, "--config.train.save_seconds=1")
    job.wait_for_a_checkpoint("w", reached)  # after the first window, which compiles
    time.sleep(0.2)  # between two saves: within one, the other waits for the heartbeats to cease
    two.kill()
    code, said = end(one, 200)
    assert code == 1, said
    # Its next sum fails, or the checkpoint that it was writing.
    assert re.search(
        "hop: error: (the devices' runtime failed|a checkpoint could not).*(go on|resumes?)", said
    )
    assert end(two)[0] == -signal.SIGKILL
    same_networks(job.finish("w", 2, ADAM), job.folder / "whole")


def test_an_interrupt_while_compiling_is_no_crash(tmp_path, data_dir):
    """JAX compiles in a thread that an interrupt does not end, nor must the process wait for it."""
    # No other test makes this program, and it is not kept: so it is compiled, and for a second,
    # as XLA is not told to be quick.
    settings = {"JAX_LOG_COMPILES": "1", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"}
    settings["XLA_FLAGS"] = ""
    job = Job(tmp_path, data_dir, 30)
    # A shell starts what it runs in the background with the signal ignored, down to its children.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    (process,) = job.start("w", 1, "--config.path.eps=(0.5,)", **settings)
    signal.signal(signal.SIGINT, ours)
    assert any(b"to MLIR module conversion jit(_dispatch)" in line for line in process.stderr)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    assert said.endswith("hop: interrupted; run the same command to resume\n")


# What users, clusters and containers set for a whole process; numbers must not depend on it.
AMBIENT = {
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "LC_ALL": "C",
    "HOME": "/nowhere",
}


def test_kill_9_and_strange_settings_change_nothing(tmp_path, data_dir):
    """Datasets and networks are the same to the bit, and a killed run goes on to the same end."""
    job = Job(tmp_path, data_dir, 60)
    whole = job.finish("whole")
    job.data_dir = str(tmp_path / "data")  # built anew, under the settings
    (process,) = job.start("w", **AMBIENT)
    job.wait_for_a_checkpoint("w")
    process.kill()
    assert end(process)[0] == -signal.SIGKILL
    same_networks(job.finish("w", **AMBIENT), whole)


def test_sigterm_before_training_is_no_death(tmp_path, data_dir):
    """While JAX is imported, or waits for the other processes of a job: deep in its own code."""
    port = free_port()
    job = Job(tmp_path, data_dir, 10)
    settings = {"HOP_COORDINATOR": f"127.0.0.1:{port}", "HOP_PROCESSES": "2", "HOP_PROCESS_ID": "0"}
    (process,) = job.start("w", 1, **settings)
    for _ in range(600):
        with socket.socket() as joins:
            if joins.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    process.terminate()
    code, said = end(process)
    assert (code, said) == (75, "hop: ended by SIGTERM; run the same command to resume\n")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("what", ["stage 0", "the last stage's metadata", "NaN"])
def test_a_stage_that_vanished_is_named(tmp_path, interrupted, tiny, listener, what):
    folder = shutil.copytree(interrupted, tmp_path / "w")
    if what == "stage 0":
        shutil.rmtree(folder / "stages/0")
        words = f"stage 0, which it follows, is missing; restore {folder}/stages/0 from a copy"
    elif what == "NaN":
        words = "holds NaN or infinity"
    else:
        (folder / "stages/1/_CHECKPOINT_METADATA").unlink()
        words = "stage 1 in .*_CHECKPOINT_METADATA is missing"
    if what == "NaN":  # with digests that are right
        stage = Store(folder).stages()[-1]
        params = jax.tree.map(lambda a: a * np.nan, hop.load(folder).params)
        shutil.rmtree(folder)
        write_model(folder, stage.metadata["config"], [(params, stage.metadata)], {})
    with pytest.raises(hop.RunError, match=words):
        hop.load(folder)
    if what != "NaN":
        with pytest.raises(hop.RunError, match=words):
            train(tiny(**THREE), folder, listener())


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_five_times_at_random(tmp_path, data_dir, processes):
    """kill −9 at any moment, in a save or not: the end is that of an undisturbed run.

    But once all have joined the job: until then a process waits minutes for the others.
    """
    job, rng = Job(tmp_path, data_dir, 600), np.random.default_rng(0)
    whole = job.finish("whole", processes)
    for _ in range(5):
        reached = job.newest("w")
        started = job.start("w", processes)
        job.wait_for_a_checkpoint("w", reached)
        time.sleep(rng.uniform(0, 2))
        started[int(rng.integers(processes))].kill()
        for process in started:
            assert end(process, 200)[0] != 0
    same_networks(job.finish("w", processes), whole)


@pytest.mark.slow
def test_a_hang_is_ended_by_the_watchdog(tmp_path, data_dir):
    """A peer that is stopped hangs the other in its next sum; the watchdog ends that one."""
    job = Job(tmp_path, data_dir, 100_000)
    devices = {"XLA_FLAGS": f"{QUICK} --xla_force_host_platform_device_count=2"}
    one, two = job.start("w", 2, "--watchdog=15", **devices)
    job.wait_for_a_checkpoint("w")
    two.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    code, said = end(one)
    two.kill()
    assert code == 1, said
    assert time.monotonic() - began < 30
    assert "Timeout (0:00:15)!" in said  # and the stacks of all threads
    assert re.search(r"hop/training/loop.py\", line \d+ in walk", said)
    assert end(two)[0] == -signal.SIGKILL


def test_metrics_of_a_diverged_stage_are_kept(tiny, tmp_path, listener):
    """NaN never reaches a checkpoint; what led to it is in the metrics."""
    config = tiny(solver__optimizer="sgd", solver__learning_rate=3e2, train__dispatch=1,
                  train__save_seconds=0.0, solver__warmup=0)  # fmt: skip
    with pytest.raises(hop.RunError, match="the loss diverged"):
        train(config, tmp_path / "w", listener())
    lines = [json.loads(line) for line in (tmp_path / "w/metrics.jsonl").open()]
    assert lines
    with Workdir.open(tmp_path / "w") as folder:
        program = Program(config_lib.build(config), Layout.create(1, 1, jax.devices()[:1]))
        found = folder.newest(lambda metadata: jax.eval_shape(program.init))
    assert found is not None
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found[1].params))
