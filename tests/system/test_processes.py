"""Devices and processes: what they make together is what one makes, and they talk as little."""

import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import Listener
from jobs import ADAM, Job, end, free_port

import hop
from hop import config as config_lib
from hop import datasets
from hop.checkpoints import Store, Workdir, leaves
from hop.config import files as config_files
from hop.homotopy.terms import Stage
from hop.operators import apply
from hop.problem import Lam
from hop.sharding import Layout
from hop.training import Program, Window, feed, train

pytestmark = pytest.mark.devices

MESHES = [(1, 1), (8, 1), (2, 4), (4, 2), (1, 8)]


def test_a_state_is_the_same_on_every_mesh(tiny, tmp_path, listener):
    config = tiny(path__eps=(0.5,), train__steps=10)
    train(config, tmp_path / "w", listener())
    program = Program(config_lib.build(config), Layout.create(1, 1, jax.devices()[:1]))
    like = jax.eval_shape(program.init)
    with Workdir.open(tmp_path / "w") as folder:
        _, stored = folder.newest(lambda metadata: like)
        for function, point in MESHES:
            layout = Layout.create(function, point, jax.devices()[: function * point])
            jax.tree.map(np.testing.assert_array_equal, layout.put(stored), stored)


def test_a_step_has_the_collectives_of_its_design(tiny):
    """One sum over the function axis: the branch's gradients and the cotangents of the features."""
    config = tiny()
    experiment = config_lib.build(config)
    params = jax.eval_shape(experiment.ansatz.init, KEY)
    branch = sum(a.size for name, a in leaves(params).items() if name.startswith("branch"))
    text = compiled_step(Program(experiment, Layout.create(8, 1)))
    ((shapes, kind),) = COLLECTIVES.findall(text)
    features = 3 * config.train.points * config.network["rank"]  # value, u_x and u_xx
    assert kind == "all-reduce"
    assert 0 <= elements(shapes) - branch - features <= 4  # and the terms of the loss
    # Over points as well there are more of them, of the same kind.
    found = COLLECTIVES.findall(compiled_step(Program(experiment, Layout.create(2, 4))))
    assert len(found) > 1
    assert {kind for _, kind in found} == {"all-reduce"}


def test_inference_has_no_collectives(tiny, tmp_path):
    experiment = config_lib.build(tiny())
    ansatz, layout = experiment.ansatz, Layout.create(8, 1)
    params = layout.put(jax.device_get(ansatz.init(KEY)))
    u0 = {"u0": layout.put(np.ones((16, 128), np.float32), "function")}
    x = layout.put(GRID)
    lam = Lam(np.float32(0), np.float32(0.1))
    forward = jax.jit(lambda *arguments: apply(ansatz, "", *arguments, lam))
    text = forward.lower(params, u0, x).compile().as_text()
    assert not COLLECTIVES.findall(text)
    summed = jax.jit(lambda *arguments: apply(ansatz, "", *arguments, lam).sum())
    assert COLLECTIVES.findall(summed.lower(params, u0, x).compile().as_text())  # they would show


COLLECTIVES = re.compile(
    r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
GRID = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
KEY = jax.random.key(0)


def compiled_step(program) -> str:
    experiment = program.experiment
    (law,) = experiment.problem.inputs.values()
    datasets.build(law, experiment.config.data.data_dir)
    lam = Lam(np.float32(0), np.float32(0.5))
    stage = Stage(np.int32(0), lam, lam, np.float32(0))
    pool, drawn = feed(experiment, program.layout)(0, 0, 10)
    window = Window(np.int32(10), np.float32(40))
    lowered = program.dispatch.lower(program.init(), stage, window, pool, drawn)
    return lowered.compile().as_text()


def elements(shapes: str) -> int:
    return sum(
        int(np.prod([int(n) for n in dims.split(",") if n], dtype=int))
        for dims in re.findall(r"[fs]\d+\[([\d,]*)\]", shapes)
    )


@pytest.mark.slow  # in one process: test_a_model_axis_splits_parameters_and_state
def test_two_processes_hold_half_of_the_parameters_each(tmp_path, data_dir):
    """The losses are those of one process, and what the two save together is whole."""
    job = Job(tmp_path, data_dir, 20)
    config = config_files.read(str(job.config), [f"--config.train.steps={job.steps}", ADAM])
    train(config_lib.with_data_dir(config, data_dir), tmp_path / "one", Listener())
    folders = job.finish("split", 2, ADAM, "--config.mesh.model=2"), tmp_path / "one"
    seen = [[info.record["total"] for info in Store(folder).stages()] for folder in folders]
    np.testing.assert_allclose(*seen, rtol=2e-4)
    one, two = (hop.load(folder).params["branch"] for folder in folders)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), one, two)


def test_a_process_that_never_comes_is_not_waited_for_for_ever():
    env = os.environ | {"HOP_COORDINATOR": f"127.0.0.1:{free_port()}", "HOP_PROCESSES": "2"}
    wait = "from hop import sharding; sharding.PATIENCE = 1; sharding.start_processes()"
    line = [sys.executable, "-c", wait]
    alone = subprocess.Popen(line, env=env | {"HOP_PROCESS_ID": "0"}, stderr=subprocess.PIPE)
    code, said = end(alone)
    assert code == 1
    assert "hop: error: the other processes of this job have not all come within 1 s" in said
