"""Writes input functions that no training has seen: fresh samples of a random field.

    python examples/new_functions.py --count=10000 --output=u0.npy

The file holds (count, m) values at the field's sensors, as `hop infer --input` reads them.
"""

import argparse

import jax
import numpy as np

from hop.laws.named import NAMED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--field", default="paper", choices=sorted(NAMED))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--output", default="u0.npy")
    args = parser.parse_args()
    law = NAMED[args.field]
    values = law.values(law.sample(jax.random.key(args.seed), args.count))
    np.save(args.output, np.asarray(values))
    print(f"{args.count:,} functions at {law.width} sensors: {args.output}")


if __name__ == "__main__":
    main()
