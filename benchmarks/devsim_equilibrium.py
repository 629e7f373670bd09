"""The reference of `drift_diffusion` beside that of an independent simulator, DEVSIM.

python benchmarks/devsim_equilibrium.py PYTHON    # a Python that has devsim and mkl

Both have the same devices on grids of their own: ours by Numerov's differences of fourth order,
DEVSIM's by finite volumes of second order. So the difference falls by four when DEVSIM's grid is
halved, until it is that of the two solvers' tolerances.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POINTS = (2001, 4001, 8001)
LENGTHS = (1.0, 0.1, 0.01, 1e-3)


def simulate(x: np.ndarray, C: np.ndarray, length: float) -> np.ndarray:
    """φ at the equally spaced points x, by DEVSIM."""
    import devsim

    device = region = "device"
    devsim.create_1d_mesh(mesh=device)
    step = float(x[1] - x[0])
    for at, tag in ((0.0, "left"), (1.0, "right")):
        devsim.add_1d_mesh_line(mesh=device, pos=at, ps=step, tag=tag)
        devsim.add_1d_contact(mesh=device, name=tag, tag=tag, material="metal")
    devsim.add_1d_region(mesh=device, material="Si", region=region, tag1="left", tag2="right")
    devsim.finalize_mesh(mesh=device)
    devsim.create_device(mesh=device, device=device)
    where = {"device": device, "region": region}
    places = np.array(devsim.get_node_model_values(name="x", **where))
    assert np.allclose(places, x, atol=1e-9)
    devsim.node_solution(name="C", **where)
    devsim.set_node_values(name="C", values=list(map(float, C)), **where)
    devsim.node_solution(name="phi", **where)
    devsim.set_node_values(name="phi", values=list(map(float, np.arcsinh(C / 2e-4))), **where)
    devsim.edge_from_node_model(node_model="phi", **where)
    charge, flux = "2e-4 * sinh(phi) - C", f"{length**2} * (phi@n0 - phi@n1) * EdgeInverseLength"
    devsim.node_model(name="charge", equation=charge, **where)
    devsim.node_model(name="charge:phi", equation="2e-4 * cosh(phi)", **where)
    devsim.edge_model(name="flux", equation=flux, **where)
    for node, sign in ((0, ""), (1, "-")):
        slope = f"{sign}{length**2} * EdgeInverseLength"
        devsim.edge_model(name=f"flux:phi@n{node}", equation=slope, **where)
    devsim.equation(
        name="poisson", variable_name="phi", node_model="charge", edge_model="flux",
        variable_update="default", **where,
    )  # fmt: skip
    for contact in ("left", "right"):
        model = f"at_{contact}"
        devsim.contact_node_model(
            device=device, contact=contact, name=model, equation="phi - asinh(C / 2e-4)"
        )
        devsim.contact_node_model(device=device, contact=contact, name=f"{model}:phi", equation="1")
        devsim.contact_equation(device=device, contact=contact, name="poisson", node_model=model)
    devsim.solve(type="dc", absolute_error=1e-12, relative_error=1e-10, maximum_iterations=60)
    found = np.array(devsim.get_node_model_values(name="phi", **where))
    devsim.delete_device(device=device)
    devsim.delete_mesh(mesh=device)
    return found


def main(python: str) -> None:
    import jax.numpy as jnp

    from hop import ambient
    from hop.problem import Lam, reference
    from hop.problems.drift_diffusion import DriftDiffusion

    problem = DriftDiffusion()
    print("largest difference in φ, which is of size 9, over 3 devices")
    print("λ       " + "".join(f"{n - 1:>12,}" for n in POINTS))
    for length in LENGTHS:
        off = []
        for n in POINTS:
            x = np.linspace(0, 1, n)
            with ambient.on_cpu(), tempfile.TemporaryDirectory() as folder:
                a = {"C": problem.inputs["C"].sample(ambient.key(5), 3)}
                C = np.asarray(a["C"](jnp.asarray(x)[:, None]))
                ours = reference(problem, a, x[:, None], Lam(0.0, length))
                given, made = Path(folder) / "given.npz", Path(folder) / "made.npy"
                np.savez(given, x=x, C=C, length=length)
                command = [python, __file__, "--solve", str(given), str(made)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                off.append(np.abs(np.load(made) - ours).max())
        print(f"{length:<8g}" + "".join(f"{e:>12.1e}" for e in off))


if __name__ == "__main__":
    if sys.argv[1] == "--solve":
        given = np.load(sys.argv[2])
        rows = [simulate(given["x"], C, float(given["length"])) for C in given["C"]]
        np.save(sys.argv[3], rows)
    else:
        main(sys.argv[1])
