"""Imports go one way, and every shipped config builds."""

import ast
import json
import pkgutil
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import hop
from hop import config as config_lib
from hop import plotting
from hop.checkpoints import Workdir
from hop.training import train

ROOT = Path(hop.__file__).parent
# From the ground up: a module imports only modules of lower rooms.
ROOMS = [
    ["errors", "share", "provenance", "standalone"],
    ["files", "ambient"],
    ["metrics", "derivatives", "ownership", "preemption", "sharding"],
    ["domain", "fields"],
    ["problems", "networks"],
    ["references", "references.*"],
    ["problems.*", "networks.*"],
    ["ansatz", "datasets"],
    ["homotopy", "homotopy.path", "least_squares", "solvers", "checkpoints"],
    ["solvers.*", "homotopy.slow_mode", "homotopy.in_time", "homotopy.resampling"],
    ["homotopy.pin", "homotopy.adaptive"],
    ["homotopy.terms"],
    ["homotopy.predictors"],
    ["strategies"],
    ["strategies.*"],
    ["config"],
    ["operators", "config_files", "checking"],
    ["trust", "kernels"],
    ["evaluation", "plotting"],
    ["inference", "publishing", "exporting"],
    ["training.program", "console"],
    ["training.records"],
    ["training.feeds", "training.fronts"],
    ["training.loop"],
    ["training"],
    ["refinement"],
    ["cli"],
]


def room(module: str) -> int:
    for level, names in enumerate(ROOMS):
        if module in names:
            return level
    for level, names in enumerate(ROOMS):
        if f"{module.split('.')[0]}.*" in names and "." in module:
            return level
    raise AssertionError(f"hop.{module} has no room; give it one")


def imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hop"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                path = ROOT.parent / whole.replace(".", "/")
                known = path.with_suffix(".py").exists() or path.is_dir()
                yield (whole if known else node.module).removeprefix("hop").removeprefix(".")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_go_one_way(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if module in ("__init__", "__main__"):
        return
    for other in imports(ast.parse(path.read_text())):
        below = room(other) < room(module)
        # Solvers share parts, and a network may extend another.
        sibling = any(
            module.startswith(f"{home}.") and other.startswith(home)
            for home in ("references", "networks")
        )
        assert below or sibling, f"hop.{module} imports hop.{other}, which is not below it"
        one = other.startswith("problems.") and not module.startswith("problems.")
        assert not one, f"hop.{module} imports hop.{other}: a problem is found by its name"


def test_the_package_imports_nothing_beside_it():
    """Of the repository's folders a wheel has `hop` alone."""
    beside = {path.stem for path in ROOT.parent.iterdir()} - {"hop"}
    assert {"reproduce", "benchmarks", "tests"} <= beside
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & beside, path


CONFIGS = [
    (path, variant)
    for path in sorted((ROOT.parent / "configs").glob("*.py"))
    for variant in ("", "paper", "tanh", "quickstart", "plain", "free")
    if not variant or f'"{variant}"' in path.read_text()
]


@pytest.mark.parametrize(("path", "variant"), CONFIGS, ids=lambda v: getattr(v, "stem", v))
def test_every_config_builds_and_takes_a_step(path, variant, data_dir, tmp_path, listener):
    get_config = runpy.run_path(str(path))["get_config"]
    skin = get_config(variant) if variant else get_config()
    skin.data.data_dir = data_dir
    skin.train.update(steps=1, functions=8, points=16, validation=1, dispatch=1)
    config = config_lib.parse(skin.to_dict())
    assert config_lib.parse(config_lib.to_json(config)) == config
    heard = listener(interrupt_after=1)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", heard)
    assert heard.windows[0]["total"] > 0


def test_numbers_depend_on_no_setting_of_the_process():
    """Float types and random keys come from `hop.ambient` alone, and files are UTF-8."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem not in ("ambient", "standalone"):
            assert "enable_x64" not in text, path
            assert "random.key(" not in text, path
        assert "_text()" not in text, path


def modules(package):
    return sorted(found.name for found in pkgutil.iter_modules([str(ROOT / package)]))


@pytest.mark.parametrize("strategy", modules("strategies"))
@pytest.mark.parametrize("problem", modules("problems"))
def test_every_pair_takes_a_step_or_is_refused(problem, strategy, data_dir, tmp_path, listener):
    operator = config_lib.find("problem", problem)().random_field is not None
    skin = config_lib.experiment(
        problem=problem, network="deeponet" if operator else "mlp", strategy=strategy
    )
    skin.network.update(
        {"branch": (8,), "trunk": (8,), "rank": 4} if operator else {"widths": (8,)}
    )
    if not operator:
        skin.mesh.update(function=1, point=-1)
        skin.train.precision = "float64"
    skin.path.eps = (0.5,)
    skin.data.data_dir = data_dir
    skin.train.update(steps=1, functions=8, points=16, validation=1, dispatch=1)
    heard = listener(interrupt_after=1)
    with pytest.raises((KeyboardInterrupt, hop.UserError)) as stopped:
        train(config_lib.parse(skin.to_dict()), tmp_path / "w", heard)
    if stopped.type is KeyboardInterrupt:
        assert heard.windows[0]["total"] > 0
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize("problem", ["helmholtz", "high_frequency", "allen_cahn_2d"])
def test_other_shapes_of_problem_are_trained_scored_and_drawn(
    problem, tiny_mlp, tmp_path, listener
):
    """Many dimensions, with moving boundary data; a residual without derivatives; a square."""
    options = {"name": problem} | (
        {"dim": 4, "boundary_points": 16} if problem == "helmholtz" else {}
    )
    mesh = {"function": 1, "point": -1}
    config = tiny_mlp(
        problem=options,
        mesh=mesh,
        path__s=(0.2,),  # where Allen–Cahn in the square has a solution other than 0
        train__steps=2,
        train__dispatch=1,
    )
    records = train(config, tmp_path / "w", listener())
    assert [record["stage"] for record in records] == [0, 1]
    assert all(0 < record["l2re"] < 10 for record in records)
    assert plotting.path(str(tmp_path / "w")).stat().st_size > 10_000
    u = hop.load(str(tmp_path / "w"))
    x = np.zeros((3, u.ansatz.problem.domain.dim))
    assert u(x).shape == (3,)


def test_a_picture_of_losses_is_that_of_the_residual_stage_by_stage(tmp_path):
    windows = [(0, 10, 1e-1), (0, 20, 1e-2), (1, 30, 1e-1), (1, 40, 1e-3)]
    records = [
        {"kind": "window", "stage": k, "total_steps": n, "residual": h, "total": 9 * h}
        for k, n, h in windows
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    axes = Figure().subplots()
    plotting._losses(axes, path, np.zeros((2, 4)))
    drawn = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert drawn == [[[n, h] for k, n, h in windows if k == stage] for stage in (0, 1)]
    assert axes.get_yscale() == "log"


def test_checkpoints_name_no_module_outside_the_package(data_dir, tiny):
    values = config_lib.to_json(tiny())
    values["problem"]["name"] = "os"
    with pytest.raises(hop.UserError, match="problem.name='os' is not known"):
        config_lib.build(config_lib.parse(values))


def test_lazy_names_resolve():
    for name in hop.__all__:
        assert getattr(hop, name)
    with pytest.raises(AttributeError):
        _ = hop.nothing
    assert jax.device_count() == 8
    assert Workdir is not None
