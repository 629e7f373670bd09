"""The package as someone gets it who has no repository."""

import importlib.metadata
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import build_wheel, needs

USE = """
import numpy as np
import hop

op = hop.load("burgers-steady", eps=0.05)
np.save("u0.npy", np.sin(np.pi * op.sensors)[None].repeat(3, 0))
np.save("x.npy", op.grid)
np.save("expected.npy", op(np.load("u0.npy")))
"""


ROOT = Path(__file__).parents[2]
GOOD = "exit 0"
OLD = 'case "$2" in *version_info*) exit 1 ;; esac'
BARE = 'case "$2" in *ensurepip*) echo "No module named ensurepip" >&2; exit 1 ;; esac'
BROKEN = "exit 127"  # as a shim whose Python is gone


@pytest.mark.parametrize(
    ("pythons", "words", "taken"),
    [
        ({"python3.13": GOOD, "python3.12": GOOD, "python3.11": GOOD, "python3": GOOD}, [], "3.13"),
        ({"python3.12": GOOD, "python3.11": GOOD, "python3": GOOD}, [], "3.12"),
        ({"python3.13": BROKEN, "python3.11": GOOD, "python3": OLD}, [], "3.11"),
        ({"python3": GOOD}, [], "3"),
        ({"python3.13": GOOD, "python3.11": GOOD}, ["PYTHON=python3.11"], "3.11"),
    ],
)
def test_make_install_takes_the_newest_python(pythons, words, taken, tmp_path):
    assert f"python{taken} -m venv .venv\n" in install(tmp_path, pythons, *words).stdout


@pytest.mark.parametrize(
    ("pythons", "words", "message"),
    [
        ({}, [], "nothing on PATH is Python 3.11 or newer; install it, or name another: make inst"),
        ({"python3": OLD}, [], "nothing on PATH is Python 3.11 or newer"),
        ({"python3": GOOD, "mine": OLD}, ["PYTHON=mine"], "mine is not Python 3.11 or newer"),
        (
            {"python3.12": BARE},
            [],
            "python3.12 has no venv; install it (Debian: apt install python",
        ),
    ],
)
def test_make_install_says_in_one_line_what_is_missing(pythons, words, message, tmp_path):
    done = install(tmp_path, pythons, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def install(folder: Path, pythons: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    """What `make install` would run where these Pythons are all there are."""
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    (folder / "bin").mkdir()
    for name, script in pythons.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    line = [shutil.which("make"), "--dry-run", "-f", ROOT / "Makefile", "install", *words]
    env = {"PATH": str(folder / "bin")}
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment(tmp_path):
    """`pip install` away from the repository: load by name, infer, export, run the export.

    Without a network: what hop says that it needs is linked from this environment, no more.
    """
    wheel = build_wheel(tmp_path)
    venv.create(tmp_path / "env", with_pip=True)
    (site,) = (tmp_path / "env/lib").glob("python*/site-packages")
    for name in {need.name for need in needs("hop")} - {"hop"}:
        package = importlib.metadata.distribution(name)
        for top in {path.parts[0] for path in package.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    bin, away = tmp_path / "env/bin", tmp_path / "away"
    away.mkdir()

    def run(program: str, *words: str) -> str:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [bin / program, *words], cwd=away, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pip", "install", "--quiet", "--no-index", str(wheel))
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


def test_wheel_is_complete(tmp_path):
    """Configs, data cards and pretrained models travel with the wheel, and are found there."""
    wheel = build_wheel(tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (*ROOT.glob("hop/**/*.py"), ROOT / "hop/py.typed"):
        assert str(path.relative_to(ROOT)) in names
    for folder in ("configs", "data", "pretrained"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"hop/_share/{path.relative_to(ROOT)}" in names
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import hop; from hop.share import share; print(share('configs')); " + (
        "print(hop.load('burgers-steady', eps=0.1)([lambda x: x]).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path / "site"
    )
    assert done.stdout.split("\n")[:2] == [str(tmp_path / "site/hop/_share/configs"), "(1, 1001)"]
