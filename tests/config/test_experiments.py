"""From a config to an experiment: parts that do not fit each other are refused."""

import math

import pytest

import hop
from hop import config as config_lib


def test_the_tangent_alone_must_stay(tiny):
    with pytest.raises(hop.UserError, match="tangent_share=inf"):
        config_lib.build(tiny(strategy__residual=0.0))
    config_lib.build(tiny(strategy__residual=0.0, strategy__tangent_share=math.inf))


def test_a_class_is_no_problem(tiny):
    config = tiny()
    problem = config_lib.build(config).problem
    with pytest.raises(hop.UserError, match="has no instance: give an object"):
        config_lib.build(config, type(problem))
