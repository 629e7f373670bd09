"""The step by hop: the program that `hop train` runs, without what is around it."""

import argparse
import sys
from pathlib import Path

from worker import Case, Steps, serve

sys.path.append(str(Path(__file__).parents[1]))
import train_step


def prepare(case: Case, _: argparse.Namespace) -> Steps:
    if case.functions:
        made = train_step.trainer(
            case.functions, case.points, case.equation, case.parts, case.nonlinear
        )
    else:
        made = train_step.of_one_function(
            case.equation, case.points, case.perceptron[1:-1], case.parts
        )
    return train_step.stepper(made)


if __name__ == "__main__":
    serve(prepare)
