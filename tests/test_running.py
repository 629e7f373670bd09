"""hop.train from Python: a ConfigDict or a Config in, the operator of the last stage out."""

import numpy as np
from conftest import Listener

import hop
from hop import config as config_lib


def small():
    config = config_lib.experiment(problem="allen_cahn_1d", network="mlp")
    config.network.widths = (4,)
    config.path.eps = (0.5, 0.4)
    config.train.update(steps=3, points=16, dispatch=3)
    return config


def test_it_gives_the_last_stage_and_says_what_it_does(tmp_path, capsys):
    op = hop.train(small(), tmp_path / "w")
    assert op.eps == 0.4
    assert "stage 1" in capsys.readouterr().out
    np.testing.assert_array_equal(op(), hop.load(tmp_path / "w", stage=1)())
    assert not np.array_equal(op(), hop.load(tmp_path / "w", stage=0)())


def test_it_takes_a_config_and_a_reporter(tmp_path, capsys):
    heard = Listener()
    op = hop.train(config_lib.parse(small().to_dict()), tmp_path / "w", reporter=heard)
    assert [index for index, _ in heard.stages] == [0, 1]
    assert not capsys.readouterr().out
    again = hop.train(small(), tmp_path / "w", reporter=heard)
    np.testing.assert_array_equal(again(), op())
    assert len(heard.stages) == 2, "what is trained was trained again"
