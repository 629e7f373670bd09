"""The device mesh and where arrays lie on it.

The mesh has three axes. The batch of functions is split over `function`, the collocation points
over `point`; over `model`, usually of one device, parameters and solver state are: every array by
its last axis, where that can be split evenly. Everything is `jax.jit` with `NamedSharding`s (what
`pjit` has become), so the only collective of a training step is the sum of the gradients, but for
what a model axis adds.
"""

import dataclasses
import math
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from hop.errors import UserError

FUNCTION, POINT, MODEL = "function", "point", "model"

PATIENCE = 240.0  # seconds that the processes of a job wait for each other; at 300 JAX aborts


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh with the shardings used on it."""

    mesh: Mesh

    @classmethod
    def create(
        cls,
        function: int = -1,
        point: int = 1,
        devices: Sequence[jax.Device] | None = None,
        model: int = 1,
    ) -> "Layout":
        """A mesh of function × point × model devices; −1 stands for all that the others leave.

        Raises:
          UserError: the axes do not multiply to the number of devices.
        """
        devices = jax.devices() if devices is None else devices
        sizes = {FUNCTION: function, POINT: point, MODEL: model}
        for name, size in sizes.items():
            if size < 1 and size != -1:
                raise UserError(f"config.mesh.{name}={size} must be positive, or -1 for the rest")
        free = [name for name, size in sizes.items() if size == -1]
        taken = math.prod(size for size in sizes.values() if size != -1)
        if len(free) > 1:
            names = " and ".join(f"config.mesh.{name}" for name in free)
            raise UserError(f"{names} are all -1; let one of them at most take the rest")
        if free and len(devices) % taken == 0:
            sizes[free[0]] = len(devices) // taken
        elif taken != len(devices):
            raise UserError(
                f"config.mesh asks for function={function} x point={point} x model={model} devices "
                f"and there are {len(devices)}; make their product {len(devices)}"
            )
        auto, shape = (AxisType.Auto,) * len(sizes), tuple(sizes.values())
        return cls(jax.make_mesh(shape, tuple(sizes), axis_types=auto, devices=devices))

    def sharding(self, *axes: str | None) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    @property
    def replicated(self) -> NamedSharding:
        return self.sharding()

    def over_model(self, shapes: Any) -> Any:
        """The shardings of parameters, or of a state made of their like, from their shapes."""
        size = self.mesh.shape[MODEL]

        def of(leaf: Any) -> NamedSharding:
            if size == 1 or not leaf.shape or leaf.shape[-1] % size:
                return self.replicated
            return self.sharding(*(None,) * (len(leaf.shape) - 1), MODEL)

        return jax.tree.map(of, shapes)

    def constrain(self, tree: Any, *axes: str | None) -> Any:
        """Inside jit: lays the leading axes of every leaf along the named mesh axes."""
        return jax.lax.with_sharding_constraint(tree, self.sharding(*axes))

    def put(self, tree: Any, *axes: str | None) -> Any:
        """Host arrays, the same in every process, as global arrays on the mesh."""
        return self.put_as(tree, jax.tree.map(lambda _: self.sharding(*axes), tree))

    def put_as(self, tree: Any, shardings: Any) -> Any:
        """The same, each with a sharding of its own."""

        def put(value: Any, sharding: NamedSharding) -> Array:
            value = np.asarray(value)
            return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

        return jax.tree.map(put, tree, shardings)

    def check(self, what: str, count: int, axis: str) -> None:
        """Refuses a batch that does not split evenly over a mesh axis."""
        size = self.mesh.shape[axis]
        if count % size:
            raise UserError(
                f"{what}={count} is not divisible by the {size} devices of the '{axis}' mesh axis; "
                f"use a multiple of {size}, or set config.mesh.{axis} to a divisor of {count}"
            )


def on_host(tree: Any) -> Any:
    """Whole arrays on the host, wherever their parts lie; every process of a job calls this."""

    def whole(leaf: Any) -> Any:
        if isinstance(leaf, Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            leaf = multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)

    return jax.tree.map(whole, tree)


def start_processes() -> None:
    """Joins the other processes of the job, where the environment says that there are any.

    HOP_COORDINATOR (host:port), HOP_PROCESSES and HOP_PROCESS_ID name them outright; with
    HOP_DISTRIBUTED=1, JAX finds them itself (SLURM, Cloud TPU, GKE, Open MPI).

    Raises:
      UserError: the environment says it in part, or in other words; else each would train alone.
    """
    env = os.environ
    distributed = env.get("HOP_DISTRIBUTED", "")
    if distributed not in ("", "0", "1"):
        raise UserError(
            f"HOP_DISTRIBUTED={distributed!r} is not known; set 1 to train with the job's other "
            "processes, or 0 to train alone"
        )
    if "HOP_COORDINATOR" in env:
        missing = [k for k in ("HOP_PROCESSES", "HOP_PROCESS_ID") if not env.get(k, "").isdigit()]
        if missing:
            raise UserError(
                f"HOP_COORDINATOR is set but {' and '.join(missing)} is no number; set all three"
            )
        _join(env["HOP_COORDINATOR"], int(env["HOP_PROCESSES"]), int(env["HOP_PROCESS_ID"]))
    elif named := [k for k in ("HOP_PROCESSES", "HOP_PROCESS_ID") if k in env]:
        raise UserError(
            f"{' and '.join(named)} without HOP_COORDINATOR; set all three, or none of them"
        )
    elif distributed == "1":
        _join()


def _join(*address: Any) -> None:
    # Its service would take SIGTERM for itself, and Orbax's own step numbers confuse it.
    jax.config.update("jax_enable_preemption_service", False)
    late = threading.Timer(PATIENCE, _give_up)
    late.daemon = True
    late.start()
    try:
        jax.distributed.initialize(*address)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"this process cannot join its job ({str(error).splitlines()[0]}); set "
            "HOP_COORDINATOR, HOP_PROCESSES and HOP_PROCESS_ID, or none of them to train alone"
        ) from error
    finally:
        late.cancel()


def _give_up() -> None:
    print(
        f"hop: error: the other processes of this job have not all come within {PATIENCE:g} s; "
        "see why, then run the same command to resume",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def wait_for_all(what: str) -> None:
    """Returns once every process of the job has come here; at once in a job of one."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def is_chief() -> bool:
    """Whether this process writes logs, plots and configs (Orbax saves from all of them)."""
    return jax.process_index() == 0
