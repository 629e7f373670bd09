"""A solution, or an operator, by DeepXDE until it is accurate (in the environment of the rivals).

    python to_accuracy.py CASE --test=TEST.npz --path=0.5,0.1,0.05 --steps=1500 --rate=1e-3 \\
        --goal=0.01 --limit=100 --seed=0

Adam, operators with zero coordinate shift. Every ε of the path but the last is trained for
--steps steps, each from where the one before ended; at the last, the error on the test is measured
every 100 steps, which is not timed, until the goal is reached or the time is up. Prints a JSON
line.
"""

import argparse
import json
import time

import deepxde as dde
import numpy as np
from with_deepxde import of_one_function, training
from worker import Case

_EVERY = 100  # steps from one look at the error to the next


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", help="a Case, as JSON")
    parser.add_argument(
        "--test", help="an .npz of values (n, m) if any, x (q, d) and solutions u (n, q)"
    )
    parser.add_argument("--path", type=lambda text: [float(eps) for eps in text.split(",")])
    for name in ("steps", "seed"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("rate", "goal", "limit"):
        parser.add_argument(f"--{name}", type=float)
    args = parser.parse_args()
    args.zcs, args.forward = True, False
    dde.config.set_random_seed(args.seed)
    at, test = {"eps": args.path[0]}, np.load(args.test)
    case = Case(**json.loads(args.case))
    model, steps = (
        training(case, args, at, args.rate)
        if case.functions
        else of_one_function(case, at, args.rate)
    )
    seen = (test["values"], test["x"]) if case.functions else test["x"]
    began = time.perf_counter()
    steps(1)
    start = time.perf_counter() - began
    taken, seconds, error = 0, 0.0, np.inf
    for eps in args.path:
        at["eps"], first = eps, taken
        while seconds < args.limit:
            if eps != args.path[-1] and taken - first >= args.steps:
                break
            began = time.perf_counter()
            steps(_EVERY)
            seconds, taken = seconds + time.perf_counter() - began, taken + _EVERY
            if eps == args.path[-1]:
                u = model.predict(seen).reshape(test["u"].shape)
                gap, size = np.square(u - test["u"]).mean(axis=1), np.square(test["u"]).mean(axis=1)
                error = float(np.sqrt(gap / size).mean())
                if error <= args.goal:
                    break
    print(json.dumps({"seconds": seconds, "start": start, "steps": taken, "l2re": error}))


if __name__ == "__main__":
    main()
