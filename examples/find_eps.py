"""Finds ε from noisy values of a solution of −εu″ + u′ = f, for a known f.

An operator with ε as an input predicts these values at any ε, and their slope in ε. Gauss–Newton
on log ε minimises the misfit; the slope at its end gives the standard error, which is large where
no value lies in the layer, since u hardly depends on ε elsewhere. The values are those of the
classical solver, which took no part in the training, with Gaussian noise.

hop train --config=configs/convection_diffusion.py --workdir=runs/layers
python examples/find_eps.py runs/layers --eps=0.02
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import hop
from hop.problem import Lam

STEPS = 20
TRIED = 25  # ε of the range, the best of which is the start


def find(op, f, x, data, noise):
    """The most likely ε, and the standard error of log ε.

    f (1, m) on op.sensors, x (q, 1), data (q,) with noise of this standard deviation.
    """
    low, high = np.log(op.span)

    @jax.jit
    def predict(t):
        return op(f, x, eps=jnp.exp(t))[0]

    slope = jax.jit(jax.jacfwd(predict))

    def misfit(t):
        return np.sum((np.asarray(predict(t)) - data) ** 2)

    t = min(np.linspace(low, high, TRIED), key=misfit)
    for _ in range(STEPS):
        along = np.asarray(slope(t), float)
        step = along @ (data - np.asarray(predict(t))) / (along @ along)
        tried = np.clip(t + step * 0.5 ** np.arange(10), low, high)
        before, t = t, next((new for new in tried if misfit(new) < misfit(t)), t)
        if abs(t - before) < 1e-5:
            break
    return np.exp(t), noise / np.linalg.norm(slope(t))


def main(words=None):
    parser = argparse.ArgumentParser(description="ε from noisy values of a solution.")
    parser.add_argument("workdir", help="a run of convection_diffusion with ε as an input")
    parser.add_argument("--eps", type=float, default=0.02, help="the ε to be found")
    parser.add_argument("--count", type=int, default=40, help="values")
    parser.add_argument("--noise", type=float, default=0.01, help="its standard deviation")
    args = parser.parse_args(words)
    op, rng = hop.load(args.workdir), np.random.default_rng(0)
    if op.span is None:
        parser.error(f"{args.workdir} has one ε a stage; train with config.ansatz.eps")
    law, problem = op.laws["f"], op.ansatz.problem
    drawn, x = law.sample(jax.random.key(0), 1), rng.random((args.count, 1))
    u = problem.reference({"f": drawn}, x, Lam(0.0, args.eps))[0]
    f, data = np.asarray(law.values(drawn)), u + args.noise * rng.normal(size=args.count)
    eps, error = find(op, f, x, data, args.noise)
    print(f"ε = {eps:.3g} ± {100 * error:.1f} % (one standard error), and the truth {args.eps:g}")
    misfit = np.sqrt(np.mean((op(f, x, eps=eps)[0] - data) ** 2)) / args.noise
    print(f"misfit {misfit:.2f} times the noise; well above 1 the operator's own error shows")


if __name__ == "__main__":
    main()
