"""Trackers hear of a run what TensorBoard does; without their packages nothing starts."""

import importlib.util
import json
import sys
import types

import pytest

from hop import tracking
from hop.config import experiment, parse
from hop.errors import UserError
from hop.metrics import Metrics

RECORD = {"kind": "step", "stage": 0, "total_steps": 50, "loss": 0.5}


class Service:
    """What the packages do with a run, kept: both are functions of their modules."""

    def __init__(self):
        self.begun, self.logged, self.ended, self.params = [], [], 0, []
        self.broken = False
        wandb, mlflow = types.ModuleType("wandb"), types.ModuleType("mlflow")
        wandb.init = self.init
        mlflow.start_run, mlflow.log_params = self.start_run, self.params.append
        mlflow.log_metrics, mlflow.end_run = self.log, self.finish
        self.modules = {"wandb": wandb, "mlflow": mlflow}

    def init(self, id, resume, name, dir, config):
        assert resume == "allow"
        assert config["train"]["steps"] == 7
        self.begun.append(id)
        return self

    def start_run(self, run_id, run_name):
        self.begun.append(run_id or "anew")
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="0af3"))

    def log(self, scalars, step):
        if self.broken:
            raise ConnectionError("no\nroute")
        self.logged.append((scalars, step))

    def finish(self):
        self.ended += 1


@pytest.fixture
def service(monkeypatch):
    service = Service()
    for name, module in service.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return service


def run(folder, name):
    with Metrics(folder, track=name, config={"train": {"steps": 7}}) as metrics:
        metrics.write(RECORD)


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_run_that_goes_on_is_one_run(name, service, tmp_path):
    run(tmp_path, name)
    run(tmp_path, name)
    assert service.logged == [({"step/loss": 0.5}, 50)] * 2
    assert service.ended == 2
    first, second = service.begun
    kept = json.loads((tmp_path / "track.json").read_text())[name]
    assert second == kept
    assert first in (kept, "anew")
    assert service.params == ([{"train.steps": "7"}] if name == "mlflow" else [])


def test_a_tracker_that_fails_ends_no_training(service, tmp_path):
    service.broken = True
    with pytest.warns(UserWarning, match="mlflow failed, and hears no more of this run: no route"):
        run(tmp_path, "mlflow")
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == RECORD


@pytest.mark.parametrize("text", ['{"wandb": "../x"}', "[1]", "{", '{"wandb": 3}'])
def test_an_id_of_a_stranger_is_not_used(text, service, tmp_path):
    (tmp_path / "track.json").write_text(text)
    run(tmp_path, "wandb")
    assert service.begun[0].isalnum()
    assert service.begun[0] not in text


def test_a_tracker_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package wandb; install it with"):
        tracking.check("wandb")
    tracking.check("")


def test_an_unknown_tracker_is_refused():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.train.track = "neptune"
    with pytest.raises(UserError, match=r"config.train.track"):
        parse(config.to_dict())
