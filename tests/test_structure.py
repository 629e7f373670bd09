"""Imports go one way, and every shipped config builds."""

import ast
import runpy
from pathlib import Path

import jax
import pytest

import hop
from hop import config as config_lib
from hop.checkpoints import Workdir
from hop.training import train

ROOT = Path(hop.__file__).parent
# From the ground up: a module imports only modules of lower rooms.
ROOMS = [
    ["errors", "share"],
    ["metrics", "derivatives"],
    ["domain", "fields"],
    ["problems", "networks"],
    ["references", "references.*"],
    ["problems.*", "networks.*"],
    ["ansatz", "datasets"],
    ["homotopy", "homotopy.path", "least_squares", "solvers", "sharding", "checkpoints"],
    ["solvers.*", "homotopy.slow_mode"],
    ["homotopy.pin", "homotopy.adaptive"],
    ["homotopy.terms"],
    ["homotopy.predictors"],
    ["strategies"],
    ["strategies.*"],
    ["config"],
    ["operators"],
    ["evaluation", "plotting"],
    ["inference"],
    ["training", "progress"],
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
        sibling = module.startswith("references.") and other.startswith("references")
        assert below or sibling, f"hop.{module} imports hop.{other}, which is not below it"


CONFIGS = [
    (path, variant)
    for path in sorted((ROOT.parent / "configs").glob("*.py"))
    for variant in ("", "paper", "quickstart")
    if not variant or f'"{variant}"' in path.read_text()
]


@pytest.mark.parametrize(("path", "variant"), CONFIGS, ids=lambda v: getattr(v, "stem", v))
def test_every_config_builds_and_takes_a_step(path, variant, data_dir, tmp_path, listener):
    get_config = runpy.run_path(str(path))["get_config"]
    skin = get_config(variant) if variant else get_config()
    skin.data.data_dir = data_dir
    skin.train.update(steps=1, functions=8, points=16, validation=1, dispatch=1, save_every=1)
    config = config_lib.parse(skin.to_dict())
    assert config_lib.parse(config_lib.to_json(config)) == config
    heard = listener(interrupt_after=1)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", heard)
    assert heard.windows[0]["total"] > 0


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
