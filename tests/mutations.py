"""Shows that the tests bite: changes the code for the worse, one place at a time.

    python tests/mutations.py [NAME …]

Each mutation is made in a copy of the repository, where the tests named beside it must fail.
Prints a table; exits with 1 if a mutation survives, or cannot be made any more.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutation(NamedTuple):
    path: str
    old: str
    new: str
    tests: str  # as pytest takes them


MUTATIONS = {
    "sign of the residual": Mutation(
        "hop/problems/burgers_time.py", '+ u[""] * u["x"]', '- u[""] * u["x"]',
        "tests/test_burgers_time.py",
    ),
    "factor of ε": Mutation(
        "hop/problems/allen_cahn_1d.py", "lam.eps**2", "2 * lam.eps**2", "tests/test_problems.py",
    ),
    "a device's own share for the sum of all": Mutation(
        "hop/sharding.py",
        "return jax.lax.with_sharding_constraint(tree, self.sharding(*axes))",
        "return jax.tree.map(lambda a: a[: len(a) // self.mesh.shape[axes[0]]], tree)",
        "tests/test_training.py -k losses_do_not_depend",
    ),
    "digests of checkpoints skipped": Mutation(
        "hop/checkpoints.py", "if digests is not None:", "if digests is None:",
        "tests/test_operators.py -k digest",
    ),
    "digest of an export skipped": Mutation(
        "hop/standalone.py", '!= about["sha256"]', '== ""', "tests/test_exporting.py -k damaged",
    ),
    "SIGTERM unheard": Mutation(
        "hop/preemption.py", "self._heard = True", "self._heard = False",
        "tests/test_faults.py -k sigterm",
    ),
    "points drawn anew after a resume": Mutation(
        "hop/training.py", "(key, state.step if", "(key, id(self) % 999 if",
        "tests/test_training.py -k to_the_bit",
    ),
    "a tangent term that never fades": Mutation(
        "hop/homotopy/terms.py", "share_done / self.tangent_share", "0 * share_done",
        "tests/test_homotopy.py",
    ),
    "a shard of inference written twice": Mutation(
        "hop/inference.py", "sink.write(k * rows, part)", "sink.write(0, part)",
        "tests/test_inference.py -k files_of_every_kind",
    ),
}  # fmt: skip


def survives(mutation: Mutation, folder: Path) -> bool:
    """Whether the tests pass in a copy with the mutation."""
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    path = folder / mutation.path
    text = path.read_text()
    if text.count(mutation.old) < 1:
        raise SystemExit(f"{mutation.path} no longer holds {mutation.old!r}; mend the mutation")
    path.write_text(text.replace(mutation.old, mutation.new, 1))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    names, _, chosen = mutation.tests.partition(" -k ")
    words = [*names.split(), *(["-k", chosen] if chosen else [])]
    env = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run([*command, *words], cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1):  # no test ran
        raise SystemExit(f"the tests {mutation.tests} could not be run:\n{done.stdout[-2000:]}")
    return done.returncode == 0


def main(names: list[str]) -> int:
    alive = 0
    for name in names or MUTATIONS:
        with tempfile.TemporaryDirectory() as folder:
            lives = survives(MUTATIONS[name], Path(folder))
        alive += lives
        print(f"{'SURVIVES' if lives else 'found':9} {name}: {MUTATIONS[name].tests}", flush=True)
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
