"""Stands for data of your own: 200 sources f, and solutions of 40 of them by finite differences.

20 are labels to train on, 20 are kept to test.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

N = 40  # intervals along each axis


def solve(f, kappa, eps=0.1):
    """u and v, (N + 1, N + 1), y along the first axis."""
    second = N**2 * sp.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(N, N)).tolil()
    along_y = second[: N - 1, : N - 1]  # values vanish at both ends
    along_x = second
    along_x[-1, -2] = 2 * N**2  # a mirror at x = 1: nothing flows there
    Δ = sp.kron(sp.eye(N - 1), along_x) + sp.kron(along_y, sp.eye(N))
    one = sp.eye(N * (N - 1))
    matrix = sp.bmat([[one - eps**2 * Δ, -one], [-one, one - kappa * Δ]], "csc")
    inside = f[1:-1, 1:].ravel()
    found = np.zeros((2, N + 1, N + 1))
    found[:, 1:-1, 1:] = spsolve(matrix, np.append(inside, 0 * inside)).reshape(2, N - 1, N)
    return found


def at_sensors(values):
    """Every other node, as rows: (..., 441)."""
    return values[..., ::2, ::2].reshape(*values.shape[:-2], -1)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X, Y = np.meshgrid(np.linspace(0, 1, N + 1), np.linspace(0, 1, N + 1))  # x runs fastest
    (x0, y0), width = rng.uniform(0.25, 0.75, (2, 200, 1, 1)), rng.uniform(0.15, 0.3, (200, 1, 1))
    f = np.exp(-((X - x0) ** 2 + (Y - y0) ** 2) / width**2)
    kappa = 10 ** rng.uniform(-1, 0, 40)
    solutions = np.array([solve(*each) for each in zip(f[:40], kappa, strict=True)])
    x = np.stack([at_sensors(X), at_sensors(Y)], axis=1)
    np.save("x.npy", x)  # (441, 2)
    np.save("f.npy", at_sensors(f))  # (200, 441)
    u, v = at_sensors(solutions).swapaxes(0, 1)
    for name, some in ("labels", slice(20)), ("test", slice(20, 40)):
        np.savez(name, f=at_sensors(f[some]), kappa=kappa[some], x=x, u=u[some], v=v[some])
