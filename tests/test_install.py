"""The package as someone gets it who has no repository."""

import subprocess
import venv

import numpy as np
import pytest
from conftest import build_wheel

USE = """
import numpy as np
import hop

op = hop.load("burgers-steady", eps=0.05)
np.save("u0.npy", np.sin(np.pi * op.sensors)[None].repeat(3, 0))
np.save("x.npy", op.grid)
np.save("expected.npy", op(np.load("u0.npy")))
"""


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment(tmp_path):
    """`pip install` away from the repository: load by name, infer, export, run the export."""
    wheel = build_wheel(tmp_path)
    venv.create(tmp_path / "env", with_pip=True)
    bin, away = tmp_path / "env/bin", tmp_path / "away"
    away.mkdir()

    def run(program: str, *words: str) -> str:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [bin / program, *words], cwd=away, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pip", "install", "--quiet", str(wheel))
    run("python", "-c", USE)
    assert "burgers-steady" in run("hop", "info")
    words = ("--checkpoint=burgers-steady", "--eps=0.05")
    run("hop", "infer", *words, "--input=u0.npy", "--output=u.npy")
    run("hop", "export", *words, "--output=op.stablehlo")
    run("python", "op.run.py", "op.stablehlo", "u0.npy", "x.npy", "v.npy")
    expected, u, v = (np.load(away / f"{name}.npy") for name in ("expected", "u", "v"))
    np.testing.assert_allclose(u, expected, atol=1e-6)
    np.testing.assert_allclose(v, expected, atol=1e-6)
    run(
        "python",
        "-c",
        "import hop, pathlib as p; assert (p.Path(hop.__file__).parent/'py.typed').exists()",
    )
