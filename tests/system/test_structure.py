"""Imports go one way, and nothing beside the package is needed, nor its insides from outside."""

import ast
import graphlib
import re
from pathlib import Path

import jax
import pytest

import hop
from hop.checkpoints import Workdir

ROOT = Path(hop.__file__).parent
TESTS = Path(__file__).parents[1]
# From the ground up: a module imports only modules of lower rooms.
ROOMS = [
    ["errors", "share", "provenance", "standalone", "compiler"],
    ["files", "ambient", "translation"],
    ["tracking"],
    ["metrics", "derivatives", "ownership", "preemption", "sharding"],
    ["domain", "bases", "references.newton", "curves"],
    ["laws"],
    ["laws.spectral"],
    ["laws.*"],
    ["laws.named", "laws.normalised_field"],
    ["problem", "samplers"],
    ["samplers.*", "networks", "references", "references.*"],
    ["problems", "networks.*"],
    ["problems.*"],
    ["ansatz", "splits"],
    ["builder"],
    ["datasets"],
    ["homotopy", "homotopy.path", "least_squares", "solvers", "checkpoints", "windows"],
    ["solvers.*", "homotopy.slow_mode", "homotopy.marching"],
    ["homotopy.pin"],
    ["homotopy.terms"],
    ["homotopy.terms.*"],
    ["homotopy.loss"],
    ["homotopy.predictors"],
    ["strategies"],
    ["strategies.*"],
    ["config.schema"],
    ["config.experiments"],
    ["config"],
    ["config.files"],
    ["operators", "checking"],
    ["examining"],
    ["trust", "kernels", "polishing"],
    ["evaluation", "plotting"],
    ["inference", "publishing", "exporting"],
    ["labels"],
    ["training.program", "console"],
    ["training.records"],
    ["training.feeds", "training.fronts"],
    ["training.loop"],
    ["training"],
    ["refinement", "running"],
    ["cli"],
]
# Where modules of one room extend each other.
FAMILIES = ("references", "networks", "samplers", "problems")


def name_of(path: Path) -> str:
    """A module's name below `hop`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
del MODULES["__init__"], MODULES["__main__"]


def room(module: str) -> int:
    for level, names in enumerate(ROOMS):
        if module in names:
            return level
    for level, names in enumerate(ROOMS):
        if f"{module.rpartition('.')[0]}.*" in names:
            return level
    raise AssertionError(f"hop.{module} has no room; give it one")


def imports(module: str) -> set[str]:
    """The modules that one imports, wherever in its code; "" is the package itself."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"hop.{module} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known = whole.removeprefix("hop.") in MODULES
                found.add(whole if known else node.module or "")
    return {name.removeprefix("hop").removeprefix(".") for name in found
            if name.split(".")[0] == "hop"}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    for other in imports(module):
        below = other and room(other) < room(module)
        # Solvers share parts, and a network or a problem may extend another.
        sibling = any(module.startswith(f"{home}.") and other.startswith(home) for home in FAMILIES)
        assert below or sibling, f"hop.{module} imports hop.{other}, which is not below it"
        one = other.startswith("problems.") and not module.startswith("problems.")
        assert not one, f"hop.{module} imports hop.{other}: a problem is found by its name"
        alone = module.split(".")[0] in ("references", "plotting")
        shipped = other.split(".")[0] == "problems"
        assert not (alone and shipped), f"hop.{module} imports hop.{other}: it serves any problem"


def test_no_imports_go_round():
    graph = {module: imports(module) - {module} for module in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_the_package_imports_nothing_beside_it():
    """Of the repository's folders a wheel has `hop` alone."""
    beside = {path.stem for path in ROOT.parent.iterdir()} - {"hop"}
    assert {"reproduce", "benchmarks", "tests"} <= beside
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & beside, path


def test_numbers_depend_on_no_setting_of_the_process():
    """Float types and random keys come from `hop.ambient` alone, and files are UTF-8."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem not in ("ambient", "standalone"):
            assert "enable_x64" not in text, path
            assert "random.key(" not in text, path
        assert "_text()" not in text, path


@pytest.mark.devices
def test_lazy_names_resolve():
    for name in hop.__all__:
        assert getattr(hop, name)
    with pytest.raises(AttributeError):
        _ = hop.nothing
    assert jax.device_count() == 8
    assert Workdir is not None


def private(name: str) -> bool:
    return re.fullmatch("_[^_].*", name) is not None


def own(tree: ast.AST) -> set[str]:
    """The private names that a file gives to something itself."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return set(filter(private, found))


PRIVATE = set().union(
    *(own(ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES.values())
)


def insides(text: str) -> set[str]:
    """The private names of `hop` that a test uses: imported, as attributes, or in strings.

    A class of the test's own may have such a name of its own, on `self`.
    """
    tree, found = ast.parse(text), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hop":
            found |= {alias.name for alias in node.names}
            found |= set((node.module or "").split("."))
        elif isinstance(node, ast.Attribute):
            mine = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            found |= set() if mine else {node.attr}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"[\w.]+", node.value):  # a name to patch
                found |= set(node.value.split("."))
            found |= set(re.findall(r"\b[a-z]\w*\.(_[A-Za-z]\w*)", node.value))  # a program
    return set(filter(private, found)) & PRIVATE


@pytest.mark.parametrize(
    "text",
    [
        "from hop.operators import _limits",
        "operator._values(u0)",
        'monkeypatch.setattr("hop.operators._limits", None)',
        'monkeypatch.setattr(operators, "_limits", None)',
        'run("from hop import operators; operators._limits(None)")',
    ],
)
def test_insides_are_found(text):
    assert len(insides(text)) == 1


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_tests_use_what_is_public(path):
    """What a test needs to see is worth a name that can be relied on."""
    if path.stem not in ("mutations", "test_structure"):  # whose strings are code
        assert not insides(path.read_text(encoding="utf-8"))
