"""Who made a result: versions, machine and date, as checkpoints and figures carry them."""

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax


def versions() -> dict[str, str]:
    """The versions that make a checkpoint."""
    packages = ("hop", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
    return {name: _version(name) for name in packages} | {
        "python": platform.python_version(),
        "platform": jax.default_backend(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a folder, without an installation
        return "unknown"


def machine() -> str:
    """The processor, or the accelerators where there are any."""
    if jax.default_backend() != "cpu":
        devices = jax.devices()
        return f"{len(devices)} × {devices[0].device_kind}"
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    said = info.read_text(encoding="utf-8") if info.exists() else ""
    if found := re.search(r"model name\s*: (.*)", said):
        cpu = found[1]
    return f"{os.cpu_count()} cores of {cpu}"


def made(command: str) -> dict[str, str]:
    """The command that made something, with machine and date."""
    return {"command": command, "machine": machine(), "date": str(datetime.date.today())}


def credit(command: str, by: Mapping[str, Any] | None = None) -> str:
    """`command`, machine and date, as every published figure carries them: by default ours, now."""
    by = by or made(command)
    return f"`{command}`, {by['machine']}, {by['date']}"
