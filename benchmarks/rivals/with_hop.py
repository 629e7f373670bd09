"""The step by hop: the program that `hop train` runs, without what is around it."""

import argparse
import sys
from pathlib import Path

from worker import Case, Steps, serve

sys.path.append(str(Path(__file__).parents[1]))
import train_step

import hop


def prepare(case: Case, _: argparse.Namespace) -> Steps:
    if case.inference:
        return inference(case)
    if case.functions:
        made = train_step.program(
            case.functions, case.points, case.equation, case.parts, case.nonlinear
        )
    else:
        made = train_step.of_one_function(
            case.equation, case.points, case.perceptron[1:-1], case.parts
        )
    return train_step.stepper(made)


def inference(case: Case) -> Steps:
    """By the pretrained operator, whose network is that of the case."""
    op, (values, x) = hop.load("burgers-steady", eps=0.05), case.request()

    def steps(count: int) -> None:
        for _ in range(count):
            op(values, x)

    return steps


if __name__ == "__main__":
    serve(prepare)
