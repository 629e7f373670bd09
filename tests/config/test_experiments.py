"""From a config to an experiment: parts that do not fit each other are refused."""

import inspect
import math

import pytest

import hop
from hop import config as config_lib


def test_the_tangent_alone_must_stay(tiny):
    with pytest.raises(hop.UserError, match="tangent_share=inf"):
        config_lib.build(tiny(strategy__residual=0.0))
    config_lib.build(tiny(strategy__residual=0.0, strategy__tangent_share=math.inf))


def test_what_does_not_derive_from_problem_is_none(tiny, replace):
    named = tiny()
    problem, config = config_lib.build(named).problem, replace(named, problem={})

    class Alike:
        """With all that a problem has, but for its name."""

        domain, inputs, residual, lift = problem.domain, problem.inputs, problem.residual, None

    build = inspect.unwrap(config_lib.build)  # where types are not checked
    with pytest.raises(hop.UserError, match=r"BurgersSteady is a class; give an object"):
        build(config, type(problem))
    for wrong in (Alike(), "burgers_steady"):
        with pytest.raises(hop.UserError, match="an object of a class that derives from hop.Prob"):
            build(config, wrong)
    assert build(config, problem).problem is problem
