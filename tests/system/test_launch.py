"""The launchers, with stubs in place of the tools of clusters.

dry_runs holds what dry runs print; after an intended change, write them again with
HOP_GOLDEN=write .venv/bin/python -m pytest tests/system/test_launch.py -k dry_run
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import needs
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "dry_runs"
SCRIPTS = sorted(ROOT.glob("launch/**/*.sh"))
INNER = {"common", "again", "slurm_job"}  # what launchers use or start
LAUNCHERS = {path.stem: path for path in SCRIPTS if path.stem not in INNER}

BUCKET = ["--config=configs/smoke.py", "--workdir=gs://bucket/run"]
MOUNTED = ["--config=configs/smoke.py", "--workdir=/gcs/bucket/run"]  # where it is a folder
NASTY = ['--config.a=it\'s "$(b)" `c`', "--config.d=$$e \\ *", "--config.f=", "--config.g=1\n2"]
REQUIRED = {
    "local": [],
    "slurm": [],
    "tpu_vm": ["--name", "hop", "--type", "v5litepod-16", "--zone", "us-west4-a"],
    "gke": ["--name", "hop", "--image", "gcr.io/p/hop:1", "--accelerator", "nvidia-h100-80gb"],
    "xpk": ["--name=hop", "--cluster=c", "--type=v5litepod-16", "--image=gcr.io/p/hop:1"],
}
WORDS = {"local": MOUNTED, "slurm": MOUNTED, "tpu_vm": BUCKET, "gke": BUCKET, "xpk": BUCKET}
DRY_RUNS = {
    "local": ("local", ["--devices=2", "--processes", "2"]),
    "slurm": ("slurm", ["--nodes=2", "--gpus=8", "--time=1:00:00", "--sbatch=--mem=64G --qos=q"]),
    "slurm_cpu": ("slurm", ["--gpus", "0", "--cpus=6", "--partition", "cpu", "--account", "a b"]),
    "tpu_vm": ("tpu_vm", [*REQUIRED["tpu_vm"], "--spot", "--project=p"]),
    "gke_gpu": ("gke", [*REQUIRED["gke"], "--nodes=2", "--gpus=8", "--namespace=n"]),
    "gke_tpu": ("gke", [*REQUIRED["gke"], "--accelerator=tpu-v5-lite-podslice", "--topology=4x4",
                        "--nodes=4", "--service-account=trainer"]),
    "xpk": ("xpk", [*REQUIRED["xpk"], "--project=p", "--zone=z"]),
}  # fmt: skip

STUBBED = "sbatch srun scontrol scancel gcloud kubectl xpk hop pkill pgrep tar"
STUB = """#!{python} -IS
import sys  # and no more: a stub is started hundreds of times
words = [sys.argv[0].split("/")[-1], *sys.argv[1:]]
applied = words[0] == "kubectl" and "apply" in words
call = {{"words": words, "stdin": sys.stdin.read() if applied else ""}}
with open("{here}/calls", "a") as log:
    log.write(repr(call) + "\\n")
with open("{here}/replies") as file:
    replies = eval(file.read())
for part, answers in replies.items():  # the first that fits; its last answer stays
    if part in " ".join(words):
        out, code = answers[0]
        if len(answers) > 1:
            del answers[0]
            with open("{here}/replies", "w") as file:
                file.write(repr(replies))
        print(out)
        sys.exit(code)
"""


class Tools:
    """Stubs of commands that log their words and answer as they are told."""

    def __init__(self, folder):
        self.folder = folder
        for name in STUBBED.split():
            (folder / name).write_text(STUB.format(python=sys.executable, here=folder))
            (folder / name).chmod(0o755)
        self.answer({})

    def answer(self, replies):
        """Replies by a part of the command: [(what it prints, its exit code), …]."""
        (self.folder / "replies").write_text(repr(replies))

    def script(self, name, text):
        """A command of one's own in place of a stub."""
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).write_text(f"#!/bin/bash\n{text}")
        (self.folder / name).chmod(0o755)

    def run(self, *words, cwd=ROOT, **env):
        path = f"{self.folder}:{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "TMPDIR": "/tmp", "XLA_FLAGS": ""} | env
        (self.folder / "calls").write_text("")
        return subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, cwd=cwd)

    def calls(self):
        lines = (self.folder / "calls").read_text().splitlines()
        return [ast.literal_eval(line) for line in lines]

    def words(self, *start):
        """The calls that start so."""
        return [c["words"] for c in self.calls() if c["words"][: len(start)] == list(start)]


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path)


def test_shellcheck():
    tool = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([tool, "-x", *SCRIPTS], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", LAUNCHERS)
def test_help_is_the_header(name, tools):
    done = tools.run(LAUNCHERS[name], "--help")
    assert done.returncode == 0
    assert str(LAUNCHERS[name].relative_to(ROOT)) in done.stdout
    assert "--dry-run" in done.stdout
    assert "set -euo" not in done.stdout


@pytest.mark.parametrize("case", DRY_RUNS)
def test_dry_run(case, tools):
    name, options = DRY_RUNS[case]
    done = tools.run(LAUNCHERS[name], *options, "--dry-run", "--", *WORDS[name], NASTY[0])
    assert done.returncode == 0, done.stderr
    assert tools.calls() == []
    shown = re.sub(r"\S+/hop train", "HOP train", done.stdout).replace(str(ROOT), "ROOT")
    if os.environ.get("HOP_GOLDEN") == "write":
        (GOLDEN / f"{case}.txt").write_text(shown)
    assert shown == (GOLDEN / f"{case}.txt").read_text()


def refusals():
    for name, options in REQUIRED.items():
        yield name, [*options], "nothing to train"
        yield name, [*options, "--", "--config=c"], "nothing to train"
        yield name, [*options, "--nosuch=1", "--", *WORDS[name]], "unknown option --nosuch"
        yield name, [*options, "word", "--", *WORDS[name]], "unexpected word"
        yield name, [*options, "--dry-run=no", "--", *WORDS[name]], "unknown option --dry-run=no"
    for name in ("tpu_vm", "gke", "xpk"):
        yield name, ["--", *WORDS[name]], "--name is missing"
        yield name, ["--name", "--", *BUCKET], "--name needs a value"
        local = [*REQUIRED[name], "--", "--config=c", "--workdir", "runs/w"]
        yield name, local, "give a bucket"
        yield name, [*REQUIRED[name], "--restarts=-1", "--", *WORDS[name]], "not a positive number"
    yield "local", ["--devices=0", "--", *MOUNTED], "--devices=0 is not a positive number"
    yield "slurm", ["--", *BUCKET], "give a folder that all nodes share"
    yield "slurm", ["--nodes", "none", "--", *MOUNTED], "--nodes=none is not a positive number"
    yield "slurm", ["--gpus=x", "--", *MOUNTED], "--gpus=x is not a number"
    yield "slurm", ["--cpus=0", "--", *MOUNTED], "--cpus=0 is not a positive number"
    yield "slurm", ["--time=soon", "--", *MOUNTED], "--time=soon is no limit"
    for short in ("3", "9:59", "0:09:00", "0-0:4"):
        yield "slurm", [f"--time={short}", "--", *MOUNTED], "give 10 minutes at least"
    yield "tpu_vm", [*REQUIRED["tpu_vm"], "--type=x9-1", "--", *BUCKET], "give --runtime"
    yield "gke", [*REQUIRED["gke"], "--name=A_b", "--", *BUCKET], "cannot name a pod's host"
    yield "gke", [*REQUIRED["gke"], "--image=a b", "--", *BUCKET], "a character that none"
    yield "gke", [*REQUIRED["gke"], "--accelerator=tpu7x", "--", *BUCKET], "name the slice too"
    tpu = [*REQUIRED["gke"], "--accelerator=tpu7x"]
    yield "gke", [*tpu, "--topology=4x4", "--", *BUCKET], "has 16 chips, and 1 nodes with 4 chips"
    yield "gke", [*tpu, "--topology=4by4", "--", *BUCKET], "is no slice; give its sides, as 4x4"
    gpu = [*REQUIRED["gke"], "--accelerator=nvidia-h100-80gb", "--topology=4x4"]
    yield "gke", [*gpu, "--", *BUCKET], "is none; leave it out for GPUs"


@pytest.mark.parametrize(("name", "words", "message"), refusals())
def test_nonsense_is_refused_in_one_line(name, words, message, tools):
    done = tools.run(LAUNCHERS[name], *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{LAUNCHERS[name].relative_to(ROOT)}: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert tools.calls() == []


@pytest.mark.parametrize(
    ("name", "tool"), [("tpu_vm", "gcloud"), ("gke", "kubectl"), ("xpk", "xpk")]
)
def test_a_missing_tool_is_named(name, tool, tools):
    """On a machine with the common commands alone."""
    for command in ("bash", "env", "dirname", "basename"):
        (tools.folder / command).symlink_to(f"/usr/bin/{command}")
    (tools.folder / tool).unlink()
    done = tools.run(LAUNCHERS[name], *REQUIRED[name], "--", *BUCKET, PATH=str(tools.folder))
    assert done.returncode == 2
    assert f"{tool} is not installed" in done.stderr


def test_local_trains_with_the_words_given(tools):
    """A checkout without its own .venv takes the hop on PATH."""
    for path in ("launch/local.sh", "launch/common.sh"):
        (tools.folder / path).parent.mkdir(exist_ok=True)
        (tools.folder / path).write_text((ROOT / path).read_text())
    done = tools.run("bash", tools.folder / "launch/local.sh", "--", *MOUNTED, *NASTY)
    assert done.returncode == 0, done.stderr
    assert tools.words("hop") == [["hop", "train", *MOUNTED, *NASTY]]


def test_local_waits_until_all_have_saved(tools):
    for path in ("launch/local.sh", "launch/common.sh"):
        (tools.folder / path).parent.mkdir(exist_ok=True)
        (tools.folder / path).write_text((ROOT / path).read_text())
    (tools.folder / "python").symlink_to(sys.executable)
    saves = f"trap 'sleep 0.5; echo >> {tools.folder}/saved; exit 75' TERM\n"
    (tools.folder / "hop").write_text(
        f"#!/bin/bash\n{saves}echo >> {tools.folder}/begun\nwhile :; do sleep 0.05; done\n"
    )
    words = ["bash", tools.folder / "launch/local.sh", "--processes", "2", "--", *MOUNTED]
    env = os.environ | {"PATH": f"{tools.folder}:{os.environ['PATH']}"}
    job = subprocess.Popen(words, env=env, stderr=subprocess.PIPE)
    begun, saved = tools.folder / "begun", tools.folder / "saved"
    wait_for(lambda: begun.exists() and begun.read_text() == "\n\n", job)
    job.terminate()
    _, said = job.communicate(timeout=30)
    assert (job.returncode, said) == (75, b"")
    assert saved.read_text() == "\n\n"


# again.sh, in whose hands the clusters start hop


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("exit 0", 0),
        ("exit 2", 2),
        ("mkdir -p w/rolling/10; exit 2", 2),
        ("exit 75", 75),
        ("exit 1", 1),
        ("mkdir -p w/rolling/20.orbax-checkpoint-tmp; exit 1", 1),
        ("mkdir -p w/rolling/20; exit 1", 75),  # as hop ends that saw a peer go
        ("mkdir -p w/stages/1; kill -ABRT $$", 75),  # as JAX ends a process that lost one silently
        ("kill -ABRT $$", 134),
        ("mkdir -p w/stages/1; kill -KILL $$", 75),  # as the kernel does when memory runs out
    ],
)
def test_what_saved_something_new_is_to_be_run_again(ends, code, tools):
    (tools.folder / "w/stages/0").mkdir(parents=True)
    again = ROOT / "launch/again.sh"
    assert tools.run(again, "w", "bash", "-c", ends, cwd=tools.folder).returncode == code


def test_again_passes_on_the_signal_and_waits_for_the_save(tmp_path):
    saves = "trap 'sleep 0.3; mkdir -p w/rolling/1; exit 75' TERM\ntouch begun\n"
    saves += "while :; do sleep 0.05; done"
    job = subprocess.Popen([ROOT / "launch/again.sh", "w", "bash", "-c", saves], cwd=tmp_path)
    wait_for((tmp_path / "begun").exists, job)
    job.terminate()
    assert job.wait(30) == 75
    assert (tmp_path / "w/rolling/1").exists()


def wait_for(condition, job):
    deadline = time.monotonic() + 30
    while not condition():
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


# SLURM


class Batch:
    """What slurm.sh submitted for tmp_path/w, to be run as SLURM would."""

    def __init__(self, tools, *options):
        self.tools, self.workdir = tools, tools.folder / "w"
        words = ["--config=c", f"--workdir={self.workdir}", *NASTY]
        done = tools.run(LAUNCHERS["slurm"], *options, "--", *words)
        assert done.returncode == 0, done.stderr
        (call,) = tools.calls()
        script = call["words"].index(str(ROOT / "launch/slurm_job.sh"))
        self.options, self.job = call["words"][1:script], call["words"][script:]
        self.trains = ["train", *words]

    def run(self, code=0, **env):
        self.tools.answer({"srun": [("", code)]})
        return self.tools.run(*self.job, **{"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": ""} | env)

    def start(self):
        """In the background, where commands of one's own stand in for those of SLURM."""
        path = f"{self.tools.folder}:{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": ""}
        (self.tools.folder / "calls").write_text("")
        return subprocess.Popen(self.job, env=env, stderr=subprocess.PIPE, cwd=self.tools.folder)

    def requeued(self):
        return self.tools.words("scontrol") == [["scontrol", "requeue", "7"]]


def test_slurm_trains_with_the_words_given(tools):
    batch = Batch(tools, "--gpus=2", "--cpus=6")
    assert {"--requeue", "--ntasks-per-node=2", "--cpus-per-task=6"} <= set(batch.options)
    assert batch.run().returncode == 0
    ((srun, flag, hop, *words),) = tools.words()
    assert (srun, flag, Path(hop).name) == ("srun", "--kill-on-bad-exit=0", "hop")
    assert words == batch.trains
    # SLURM 22.05 to 23.02 give the tasks of srun one CPU each, unless it is told again.
    assert batch.run(SLURM_CPUS_PER_TASK="6").returncode == 0
    assert "--cpus-per-task=6" in tools.words()[0]


def test_slurm_jobs_are_named_by_folder(tools):
    def name(workdir, cwd):
        line = [LAUNCHERS["slurm"], "--", "--config=c", f"--workdir={workdir}"]
        assert tools.run(*line, cwd=cwd, HOME=str(tools.folder)).returncode == 0
        (words,) = tools.words("sbatch")
        return next(w.removeprefix("--job-name=") for w in words if "job-name" in w)

    one, two = tools.folder / "one", tools.folder / "two"
    one.mkdir()
    two.mkdir()
    others = [name(*at) for at in (("a/b", one), ("a-b", one), ("a/b", two), ("x y%", one))]
    assert len(set(others)) == 4
    assert all(re.fullmatch(r"hop-[A-Za-z0-9._-]+-[0-9a-f]{8}", other) for other in others)
    same = {name(*at) for at in (("a/b", one), (one / "a/b/", two), ("~/one/../one/a/b", two))}
    assert same == {others[0]}


@pytest.mark.parametrize("time", ["10", "0:10:00", "0-1", "1-00:00", "0", "UNLIMITED"])
def test_slurm_takes_any_limit_that_leaves_time_to_train(time, tools):
    assert f"--time={time}" in Batch(tools, f"--time={time}").options


@pytest.mark.parametrize(
    ("code", "requeued"),
    # srun ends with the highest code of its tasks: 137 where one of many that saved was killed.
    [(0, False), (1, False), (2, False), (75, True), (137, True), (143, True), (253, True)],
)
def test_slurm_queues_again_what_was_saved(code, requeued, tools):
    batch = Batch(tools)
    assert batch.run(code).returncode == (0 if requeued else code)
    assert batch.requeued() == requeued


@pytest.mark.parametrize(("code", "requeued"), [(1, True), (2, False), (0, False)])
def test_slurm_queues_again_what_failed_after_a_save(code, requeued, tools):
    batch = Batch(tools)
    tools.script("srun", f"mkdir -p {batch.workdir}/rolling/5; exit {code}")
    batch.run()
    assert batch.requeued() == requeued


def test_slurm_stops_queueing_what_gets_nowhere(tools):
    batch = Batch(tools)
    for saved in ("rolling/10", None, "rolling/20", None):
        if saved:
            (batch.workdir / saved).mkdir(parents=True)
        assert batch.run(75).returncode == 0
        assert batch.requeued()
    (batch.workdir / "rolling/30.orbax-checkpoint-tmp-1").mkdir()
    done = batch.run(75)
    assert done.returncode == 75
    assert not batch.requeued()
    assert "three runs in a row have saved nothing new: not queued again" in done.stderr
    # The same line submitted again is another job, and starts to count anew.
    assert batch.run(75, SLURM_JOB_ID="8").returncode == 0


HOP_SAVES = "for i in {1..1000}; do [ -e told ] && break; /bin/sleep 0.02; done; exit 75\n"


def test_slurm_saves_before_the_limit(tools):
    """The signal is for the job's shell, which has the tasks told: srun would kill them."""
    batch = Batch(tools)
    assert "--signal=B:USR1@180" in batch.options
    saves = HOP_SAVES.replace("exit", "/bin/sleep 0.2; touch saved; exit")
    tools.script("srun", f"touch begun\n{saves}")
    tools.script("scancel", 'echo "$*" >told\n')
    tools.script("scontrol", '[ -e saved ] && echo "$*" >requeued')
    job = batch.start()
    wait_for((tools.folder / "begun").exists, job)
    job.send_signal(signal.SIGUSR1)
    _, said = job.communicate(timeout=30)
    assert (job.returncode, said) == (0, b"")
    assert (tools.folder / "told").read_text() == "--signal=TERM 7\n"
    assert (tools.folder / "requeued").read_text() == "requeue 7\n"


def test_slurm_goes_on_from_the_last_checkpoint_where_a_save_takes_too_long(tools):
    batch = Batch(tools)
    tools.script("srun", "touch begun\n" + HOP_SAVES)  # it hears nothing
    tools.script("sleep", "[ $1 = 120 ]")
    job = batch.start()
    wait_for((tools.folder / "begun").exists, job)
    job.send_signal(signal.SIGUSR1)
    wait_for(batch.requeued, job)  # while it still runs; SLURM would end it now
    (tools.folder / "told").touch()
    assert b"not saved within two minutes" in job.communicate(timeout=30)[1]


def test_slurm_refuses_several_mig_devices(tools):
    """A process sees one, whichever are given to it."""
    batch = Batch(tools, "--gpus=2")
    done = batch.run(CUDA_VISIBLE_DEVICES="MIG-5c89852c,MIG-9d1b7b02")
    assert done.returncode == 2
    assert "MIG devices cannot train together; ask for whole GPUs" in done.stderr
    assert tools.calls() == []
    assert batch.run(CUDA_VISIBLE_DEVICES="MIG-5c89852c").returncode == 0
    assert batch.run(CUDA_VISIBLE_DEVICES="0,1").returncode == 0


def test_slurm_failing_to_submit_or_to_requeue_is_seen(tools):
    batch = Batch(tools)
    tools.answer({"sbatch": [("", 1)], "srun": [("", 75)], "scontrol": [("", 3)]})
    assert tools.run(LAUNCHERS["slurm"], "--", *MOUNTED).returncode == 1
    assert tools.run(*batch.job, SLURM_JOB_ID="7").returncode == 75


# Cloud TPU VM


def tpu(tools, states, trains, *options, **replies):
    """Runs tpu_vm.sh where the request goes through `states` and training ends with `trains`.

    A number in place of a state is the code of a gcloud that failed.
    """
    tools.answer(
        {
            " list ": [("", s) if isinstance(s, int) else (s, 0) for s in states],
            "hop train": [("", code) for code in trains],
        }
        | replies
    )
    return tools.run(
        LAUNCHERS["tpu_vm"], *REQUIRED["tpu_vm"], "--poll=0", *options, "--", *BUCKET, *NASTY
    )


def steps(tools):
    """What was done, without looks at the state."""
    verbs = {
        "create": " queued-resources create ", "delete": " queued-resources delete ",
        "copy": " scp ", "install": "pip install", "train": "hop train",
    }  # fmt: skip
    calls = [" ".join(words) for words in tools.words("gcloud")]
    return [verb for call in calls for verb, part in verbs.items() if part in call]


WAIT = ["", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
ONCE = ["copy", "install", "train"]


def test_tpu_waits_trains_and_gives_back(tools):
    assert tpu(tools, WAIT, [0]).returncode == 0
    assert steps(tools) == ["create", *ONCE, "delete"]
    assert tpu(tools, WAIT, [0], "--keep").returncode == 0
    assert steps(tools) == ["create", *ONCE]


def test_tpu_goes_on_with_a_slice_that_is_there(tools):
    assert tpu(tools, ["ACTIVE"], [0]).returncode == 0
    assert steps(tools) == [*ONCE, "delete"]


# What hop ends with comes back with 100 added, what gcloud and ssh end with as it is.
@pytest.mark.parametrize("code", [175, 255, 1, 101])
def test_tpu_is_asked_for_again_after_a_preemption(code, tools):
    states = [*WAIT, "SUSPENDING", "SUSPENDED", *WAIT]
    assert tpu(tools, states, [code, 0]).returncode == 0
    assert steps(tools) == ["create", *ONCE, "delete", "create", *ONCE, "delete"]


def test_tpu_trains_again_where_only_the_process_was_stopped(tools):
    codes = [175, 255, 237, 1]  # saved; connection lost; killed; gcloud failed
    assert tpu(tools, ["ACTIVE"], [*codes, 0]).returncode == 0
    assert steps(tools) == [*ONCE * 5, "delete"]


@pytest.mark.parametrize("code", [1, 2])
def test_tpu_keeps_the_slice_of_a_failure_and_says_so(code, tools):
    done = tpu(tools, ["ACTIVE"], [100 + code])
    assert done.returncode == code
    assert steps(tools) == ONCE
    assert "gcloud compute tpus queued-resources delete hop" in done.stderr


def test_tpu_gives_up_where_it_must(tools):
    done = tpu(tools, ["ACTIVE"], [175], "--restarts=2")
    assert done.returncode == 75
    assert steps(tools) == ONCE * 3
    assert "preempted 3 times" in done.stderr
    assert "gcloud compute tpus queued-resources delete hop" in done.stderr
    done = tpu(tools, ["", "FAILED"], [0])
    assert done.returncode == 1
    assert steps(tools) == ["create", "delete"]
    assert "costs money" not in done.stderr
    assert tpu(tools, [""], [0], **{" create ": [("", 4)]}).returncode == 4
    # Not signed in, say: no reason to ask for another slice.
    assert tpu(tools, [6], [0]).returncode == 6
    assert len(tools.calls()) == 1


def test_tpu_is_watched_through_passing_errors_of_gcloud(tools):
    """Else the slice would bill on with nobody there."""
    states = ["", "WAITING_FOR_RESOURCES", 1, "PROVISIONING", 1, 1, "ACTIVE"]
    fails = {"pip install": [("", 1), ("", 0)], " delete ": [("", 1), ("", 0)]}
    done = tpu(tools, states, [0], **fails)
    assert done.returncode == 0, done.stderr
    assert steps(tools) == ["create", "copy", "install", *ONCE, "delete", "delete"]
    assert "costs money" not in done.stderr
    # A request that follows a preemption may fail; a deletion may be done though gcloud failed.
    states = ["ACTIVE", "SUSPENDED", "", "", "ACTIVE", ""]
    fails = {" create ": [("", 1), ("", 0)], " delete ": [("", 0), ("", 1)]}
    assert tpu(tools, states, [255, 0], **fails).returncode == 0
    assert steps(tools) == [*ONCE, "delete", "create", "create", *ONCE, "delete"]


def test_tpu_says_what_bills_when_gcloud_does_not_come_back(tools):
    for states, replies, code in (
        (["ACTIVE", 7], {"hop train": [("", 255)]}, 7),
        (["ACTIVE"], {"pip install": [("", 5)]}, 5),
        (["ACTIVE"], {" delete ": [("", 4)]}, 4),
    ):
        done = tpu(tools, states, [0], **replies)
        assert done.returncode == code
        assert "gcloud compute tpus queued-resources delete hop" in done.stderr


def test_tpu_hosts_train_with_the_words_given(tools):
    assert tpu(tools, ["ACTIVE"], [0]).returncode == 0
    (command,) = [w[-1] for w in tools.words("gcloud") if "hop train" in w[-1]]
    home = tools.folder / "home"
    (home / "hop/.venv/bin").mkdir(parents=True)
    (home / "hop/.venv/bin/hop").symlink_to(tools.folder / "hop")
    (home / "hop/launch").symlink_to(ROOT / "launch")
    for tool in ("bash", "env", "find", "sort"):
        (tools.folder / tool).symlink_to(f"/usr/bin/{tool}")
    tools.script("sleep", "")
    tools.answer({"pgrep": [("1", 0), ("", 1)]})
    line = f"cd {home} && {command.removeprefix('--command=')}"
    # Stubs alone on PATH: the command stops whatever hop runs on its machine.
    assert tools.run("/bin/bash", "-c", line, PATH=str(tools.folder)).returncode == 0
    names = [call["words"][0] for call in tools.calls()]
    assert names == ["pkill", "pgrep", "pgrep", "hop"]
    assert tools.words("hop") == [["hop", "train", *MOUNTED, *NASTY]]
    tools.answer({"pgrep": [("", 1)], "hop train": [("", 75)]})
    assert tools.run("/bin/bash", "-c", line, PATH=str(tools.folder)).returncode == 175


def test_tpu_hosts_get_all_that_hop_is_built_from(tools):
    """The archive and the image hold the same files, those that pyproject.toml names."""
    (tools.folder / "tar").unlink()
    tools.script("rm", "[ $1 = -rf ] && cd $2 && touch removed")
    assert tpu(tools, ["ACTIVE"], [0]).returncode == 0
    (archive,) = [w[5] for w in tools.words("gcloud", "compute", "tpus", "tpu-vm", "scp")]
    listed = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=True)
    # A name that no one else on this machine can have made before, and gone at the end.
    assert re.fullmatch(r"/tmp/hop\.\w{6}/hop\.tgz", archive)
    assert {path.name for path in Path(archive).parent.iterdir()} == {"hop.tgz", "removed"}
    shutil.rmtree(Path(archive).parent)
    tops = {name.split("/")[0] for name in listed.stdout.split()}
    assert "__pycache__" not in listed.stdout
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "launch/Dockerfile").read_text(), re.MULTILINE)
    assert tops == {name for line in copied for name in line.split()}
    ignore = (ROOT / "launch/Dockerfile.dockerignore").read_text()
    assert tops == set(re.findall(r"^!(\S+)$", ignore, re.MULTILINE))
    assert {"pyproject.toml", "README.md", "LICENSE", "hop", "configs", "data", "launch"} < tops


# GKE


def closed(needs, **may):
    """A schema of objects with these fields, and no misspelt ones."""
    return {
        "type": "object",
        "properties": needs | may,
        "required": list(needs),
        "additionalProperties": False,
    }


def several(items):
    return {"type": "array", "items": items, "minItems": 1}


def jobset_schema():
    """The parts of JobSet v1alpha2 that the manifests use, from its CRD and its webhook's checks.

    `crd` below holds the manifests, and so this, to the CRD itself.
    """
    text, count = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
    texts = {"type": "object", "additionalProperties": text}
    field = closed({"fieldRef": closed({"fieldPath": text})})
    container = closed(
        {
            "name": text,
            "image": text,
            "command": several({"type": "string"}),
            "args": several({"type": "string"}),
            "env": several(
                closed({"name": text}, value=text, valueFrom=field) | {"minProperties": 2}
            ),
            "resources": closed({"limits": {"type": "object", "additionalProperties": count}}),
        },
        securityContext=closed({}, privileged={"const": True}, runAsUser={"const": 0}),
        volumeMounts=several(closed({"name": text, "mountPath": text})),
    )
    bucket = closed(
        {
            "driver": {"const": "gcsfuse.csi.storage.gke.io"},
            "volumeAttributes": closed({"bucketName": text, "mountOptions": text}),
        }
    )
    pod = closed(
        {
            "restartPolicy": {"const": "Never"},  # a pod failure policy asks for it
            "terminationGracePeriodSeconds": count,
            "serviceAccountName": text,
            "nodeSelector": texts,
            "tolerations": several(
                closed({"key": text, "operator": text, "value": text, "effect": text})
            ),
            "containers": several(container),
        },
        volumes=several(
            closed({"name": text}, emptyDir=closed({"medium": text}), csi=bucket)
            | {"minProperties": 2}
        ),
    )
    codes = closed({"containerName": text, "operator": {"enum": ["In", "NotIn"]},
                    "values": several({"type": "integer"})})  # fmt: skip
    rule = closed(
        {"action": {"enum": ["FailJob", "FailIndex", "Ignore", "Count"]}},
        onExitCodes=codes,
        onPodConditions=several(closed({"type": text, "status": {"enum": ["True", "False"]}})),
    )
    job = closed(
        {
            "parallelism": count,
            "completions": count,
            "completionMode": {"enum": ["Indexed", "NonIndexed"]},
            "backoffLimit": {"const": 0},
            "podFailurePolicy": closed({"rules": several(rule | {"maxProperties": 2})}),
            "template": closed({"metadata": closed({"annotations": texts}), "spec": pod}),
        }
    )
    action = {"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]}
    reasons = several({"enum": ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy"]})
    name = {"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}
    failure = closed(
        {"name": name, "action": action, "onJobFailureReasons": reasons},
        onJobFailureMessagePatterns=several(text),  # from JobSet 0.10
    )
    return closed(
        {
            "apiVersion": {"const": "jobset.x-k8s.io/v1alpha2"},
            "kind": {"const": "JobSet"},
            "metadata": closed({"name": text}, annotations=texts),
            "spec": closed(
                {
                    "failurePolicy": closed({"maxRestarts": count, "rules": several(failure)}),
                    "replicatedJobs": several(
                        closed({"name": text, "replicas": count, "template": closed({"spec": job})})
                    ),
                }
            ),
        }
    )


def crd():
    """The CRD of JobSet itself, fields that it does not know refused; None unless it is there.

    config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml of github.com/kubernetes-sigs/jobset,
    of 800 kB, to be had from there: HOP_JOBSET_CRD=FILE.
    """
    if "HOP_JOBSET_CRD" not in os.environ:
        return None

    def close(part):
        if isinstance(part, list):
            return [close(each) for each in part]
        if not isinstance(part, dict):
            return part
        part = {key: close(value) for key, value in part.items()}
        if isinstance(part.get("properties"), dict) and part.get("type") == "object":
            part["additionalProperties"] = False
        return part

    text = Path(os.environ["HOP_JOBSET_CRD"]).read_text()
    (version,) = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"]
    assert version["name"] == "v1alpha2"
    return close(version["schema"]["openAPIV3Schema"])


CRD = crd()


def applied(tools, case, *words):
    """The manifest that a line of DRY_RUNS applies, its only job, and that job's container."""
    name, options = DRY_RUNS[case]
    done = tools.run(LAUNCHERS[name], *options, "--", *BUCKET, *words)
    assert done.returncode == 0, done.stderr
    (text,) = [call["stdin"] for call in tools.calls() if call["stdin"]]
    manifest = yaml.safe_load(text)
    jsonschema.validate(manifest, jobset_schema())
    if CRD is not None:
        jsonschema.validate(manifest, CRD)
    (job,) = manifest["spec"]["replicatedJobs"]
    job = job["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    return manifest, job, container


def test_the_schema_bites(tools):
    manifest, *_ = applied(tools, "gke_tpu")
    manifest["spec"]["failurePolicy"]["maxRestart"] = 1
    for schema in (jobset_schema(), CRD or jobset_schema()):
        with pytest.raises(jsonschema.ValidationError, match="maxRestart"):
            jsonschema.validate(manifest, schema)


@pytest.mark.parametrize(("case", "nodes"), [("gke_gpu", 2), ("gke_tpu", 4)])
def test_gke_pods_train_with_the_words_given(case, nodes, tools):
    _, job, container = applied(tools, case, *NASTY)
    words = [word.replace("$$", "$") for word in container["args"]]  # as Kubernetes reads them
    assert words == ["train", *MOUNTED, *NASTY]
    assert container["command"] == ["/opt/hop/launch/again.sh", "/gcs/bucket/run", "hop"]
    assert job["parallelism"] == job["completions"] == nodes


def verdict(manifest, job, code=None, disrupted=False):
    """What becomes of a JobSet when a pod ends so, by the controllers of Job and JobSet."""
    reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    for k, rule in enumerate(job["podFailurePolicy"]["rules"]):
        codes = rule.get("onExitCodes", {"values": []})["values"]
        assert codes == sorted(set(codes))  # or the API refuses them
        if code in codes:
            why = f"Container hop for pod n/p failed with exit code {code}"
        elif disrupted and "onPodConditions" in rule:
            why = "Pod n/p has condition DisruptionTarget"
        else:
            continue
        reason, message = "PodFailurePolicy", f"{why} matching {rule['action']} rule at index {k}"
        break
    for rule in manifest["spec"]["failurePolicy"]["rules"]:
        patterns = rule.get("onJobFailureMessagePatterns", [""])
        if reason in rule["onJobFailureReasons"] and any(re.search(p, message) for p in patterns):
            return rule["action"]
    return "RestartJobSet"


@pytest.mark.parametrize("case", ["gke_gpu", "gke_tpu"])
def test_gke_counts_failures_that_saved_nothing_alone(case, tools):
    """Of a lost node its peers tell long before the cluster does: by 75, if they had saved."""
    manifest, job, container = applied(tools, case)
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["containerName"] == container["name"]
    assert job["podFailurePolicy"]["rules"][1]["onPodConditions"][0]["type"] == "DisruptionTarget"
    free = "RestartJobSetAndIgnoreMaxRestarts"
    assert verdict(manifest, job, 75) == verdict(manifest, job, disrupted=True) == free
    assert verdict(manifest, job, 143, disrupted=True) == free
    assert {verdict(manifest, job, code) for code in (1, 134, 137, 255)} == {"RestartJobSet"}
    assert verdict(manifest, job, 2) == "FailJobSet"


def test_gke_pods_find_each_other(tools):
    """The names are those that hop.sharding reads, and that JobSet gives its pods."""
    *_, container = applied(tools, "gke_gpu")
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["HOP_COORDINATOR"].startswith("hop-hop-0-0.hop:")
    assert env["HOP_PROCESSES"] == "2"
    assert "HOP_PROCESS_ID" in env
    *_, container = applied(tools, "gke_tpu")
    assert container["env"] == [{"name": "HOP_DISTRIBUTED", "value": "1"}]
    source = (ROOT / "hop/sharding.py").read_text()
    assert all(name in source for name in [*env, "HOP_DISTRIBUTED"] if name.startswith("HOP_"))


@pytest.mark.parametrize(("ended", "deleted"), [("", False), ("Completed", True), ("Failed", True)])
def test_gke_starts_again_what_has_ended(ended, deleted, tools):
    tools.answer({"terminalState": [(ended, 0)]})
    applied(tools, "gke_gpu")
    verbs = [words[2] for words in tools.words("kubectl", "--namespace=n")]
    assert verbs == ["get", "delete", "apply"] if deleted else ["get", "apply"]


@pytest.mark.parametrize("part", ["get", "delete", "apply"])
def test_gke_failing_commands_are_seen(part, tools):
    tools.answer({f"kubectl {part}": [("", 4)], "terminalState": [("Failed", 0)]})
    assert tools.run(LAUNCHERS["gke"], *REQUIRED["gke"], "--", *BUCKET).returncode == 4
    assert tools.calls()[-1]["words"][1] == part


def test_xpk_trains_with_the_words_given(tools):
    done = tools.run(LAUNCHERS["xpk"], *REQUIRED["xpk"], "--", *BUCKET, *NASTY)
    assert done.returncode == 0, done.stderr
    ((*words, command),) = tools.words("xpk")
    assert words[:3] == ["xpk", "workload", "create"]
    assert "--restart-on-exit-codes=75" in words
    command = command.removeprefix("--command=").replace("$$", "$")
    assert command.startswith("exec /opt/hop/launch/again.sh /gcs/bucket/run hop train ")
    command = command.replace("/opt/hop", str(ROOT))
    assert tools.run("bash", "-c", f"({command})").returncode == 0
    assert tools.words("hop") == [["hop", "train", *MOUNTED, *NASTY]]


def test_xpk_replaces_what_has_ended_and_fails_as_its_tool(tools):
    tools.answer({"terminalState": [("Failed", 0)], "create": [("", 3)]})
    assert tools.run(LAUNCHERS["xpk"], *REQUIRED["xpk"], "--", *BUCKET).returncode == 3
    assert [words[2] for words in tools.words("xpk")] == ["delete", "create"]


def test_the_image_builds_from_what_the_package_has():
    """As far as it goes without Docker: instructions, files, extras."""
    text = (ROOT / "launch/Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    verbs = [verb for verb, _ in lines]
    assert set(verbs) <= {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT"}
    assert verbs[0] == "FROM"
    for verb, rest in lines:
        if verb == "COPY":
            assert all((ROOT / name).exists() for name in rest.split()[:-1])
        if verb == "RUN":
            assert subprocess.run(["bash", "-n", "-c", rest]).returncode == 0
    users = [rest for verb, rest in lines if verb == "USER"]
    assert len(users) == 1
    assert users[0] != "0"
    assert json.loads(lines[-1][1]) == ["hop"]
    (extras,) = re.findall(r"(\w+) \| (\w+)\) target", text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(extras) < set(project["project"]["optional-dependencies"])
    # Each pip takes its versions from requirements.txt, which has all that hop asks for, and what
    # that asks for in turn, and what builds it.
    pips = re.findall(r"pip install [^&\n]+", text)
    assert len(pips) == 2
    assert all("--constraint requirements.txt" in pip for pip in pips)
    assert "--no-build-isolation" in pips[1]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = {canonical(name): at for name, at in (x.split("==") for x in lines if x[0] != "#")}
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for need in needs(*asked):
        assert need.specifier.contains(pins[canonical(need.name)]), need


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to train"),
        (["--processes", "none", "--", "x"], "not a positive number"),
        (["--device", "2"], "unknown option"),
    ],
)
def test_launch_script_refuses_nonsense(words, message):
    done = subprocess.run([ROOT / "launch/local.sh", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
