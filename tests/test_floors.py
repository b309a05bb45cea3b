"""The house: imports go strictly downwards, and importing pandq brings nothing heavy."""

import ast
import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pandq

# The rooms of the house, and of its large rooms, from the ground up.
FLOORS = {
    "": [
        ("plain",),
        ("errors",),
        ("units", "documents", "quantities"),
        ("core",),
        ("views", "sealed"),
        ("sums", "measure", "rows", "torch"),
        ("read", "recalibrator"),
        ("store",),
        ("engines",),
        ("results",),
        ("parametric", "montecarlo"),
        ("estimate",),
        ("fit",),
        ("report",),
        ("proposals", "auditing"),
        ("multilabels",),
        (
            *("outputs", "agreements", "audits", "calibrations", "comparisons", "inspections"),
            "perplexities",
        ),
        ("loops", "sklearn"),
        ("demo",),
        ("__init__",),
        ("cli", "selftest"),
        ("__main__",),
    ],
    "estimate": [
        ("averages", "calibration", "floor", "sampling", "passes"),
        ("decomposition", "ensemble", "findings"),
        ("firstpass",),
        ("comparison",),
        ("agreement",),
    ],
    "report": [
        ("bar", "few"),
        ("provenance", "words"),
        ("figures",),
        ("curves", "sections"),
        ("terminal",),
        ("page", "markdown"),
        ("explore", "shown"),
    ],
    "sklearn": [
        ("responses",),
        ("scorers", "calibrated"),
    ],
    "fit": [
        ("targets",),
        ("regressions", "networks"),
        ("folder",),
        ("models",),
    ],
}
# The package's own names are what types of its public functions are written with.
TYPES_OF_ALL = ("", "__init__")
HEAVY = ["torch", "sklearn", "matplotlib", "dask", "duckdb", "pandas", "polars", "rich", "click"]
HEAVY += ["torchmetrics", "transformers", "lightning"]
# What stands in another library's loop is imported by nobody else.
IN_OTHER_LOOPS = ["loops.torchmetrics", "loops.transformers"]

HOUSE = Path(pandq.__file__).parent


@dataclass(frozen=True)
class Import:
    """One import by a module of another."""

    place: str
    module: str
    of: str
    for_types: bool


def imports_of(tree, module):
    """Every import of pandq's own modules in a module, by their dotted names below pandq."""
    found = []

    def visit(node, *, for_types):
        if isinstance(node, ast.ImportFrom | ast.Import):
            found.extend(
                Import(f"{module}:{node.lineno}", module, of, for_types) for of in named(node)
            )
        guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, for_types=for_types or (guard and child in node.body))

    visit(tree, for_types=False)
    return found


def named(node):
    """The modules that an import statement names; "__init__" is the package itself."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif node.level:
        names = ["pandq.(relative)"]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    inside = [name.partition(".") for name in names]
    return [of or "__init__" for package, _, of in inside if package == "pandq"]


def module_of(file):
    """A file's dotted name below pandq."""
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts)


def floor_of(large, room):
    """On which floor of a large room a room is; None for one that the plan does not know."""
    floors = [floor for floor, rooms in enumerate(FLOORS[large]) if room in rooms]
    return floors[0] if floors else None


def wrong(found):
    """Does this import go anywhere but downwards, in the house or in one of its large rooms?"""
    mine, other = found.module.split("."), found.of.split(".")
    if mine[0] == other[0]:
        if mine[0] not in FLOORS or len(other) == 1 or mine[1] == other[1]:
            return False
        large, mine, other = mine[0], mine[1:], other[1:]
    else:
        large = ""
    if found.for_types and (large, mine[0]) == TYPES_OF_ALL:
        return False
    below = floor_of(large, other[0])
    return below is None or below >= floor_of(large, mine[0])


MODULES = sorted(HOUSE.rglob("*.py"))


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_module_lives_in_a_known_room(file):
    room, *inside = module_of(file).split(".")
    assert floor_of("", room) is not None
    if room in FLOORS and inside != ["__init__"]:
        assert floor_of(room, inside[0]) is not None


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_module_imports_only_from_floors_below(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert [found for found in imports_of(tree, module_of(file)) if wrong(found)] == []


@pytest.mark.parametrize("room", IN_OTHER_LOOPS)
def test_what_is_for_another_library_is_imported_by_nobody_else(room):
    for file in MODULES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = [x for x in imports_of(tree, module_of(file)) if x.of.startswith(room)]
        assert [x for x in found if not x.for_types] == []


@pytest.mark.parametrize(
    ("module", "code", "refused"),
    [
        ("core.laws", "from pandq.views import View", True),
        ("core.laws", "if TYPE_CHECKING:\n    from pandq.views import View", True),
        ("core.laws", "def f():\n    import pandq.views", True),
        ("core.laws", "from pandq import views", True),
        ("core.laws", "from . import views", True),
        ("core.laws", "from pandq.core.laws import Law", False),
        ("measure", "from pandq.rows import x", True),
        ("measure", "from pandq.core.laws import Law", False),
        ("results.audit", "def f():\n    from pandq.report import figures", True),
        ("audits", "from pandq.report.shown import Audit", False),
        ("estimate.averages.means", "from pandq.estimate.comparison import paired", True),
        ("estimate.averages.means", "from pandq.estimate import comparison", True),
        ("estimate.averages.means", "from pandq.estimate.sampling import FOLDS", True),
        ("estimate.comparison.paired", "from pandq.estimate.averages.means import Means", False),
        ("report.figures", "if TYPE_CHECKING:\n    from pandq.report.page import svg", True),
        ("report.figures", "from pandq.report.unheard_of import x", True),
        ("report.words", "if TYPE_CHECKING:\n    from pandq.cli import x", True),
        ("__init__", "if TYPE_CHECKING:\n    from pandq.cli import x", False),
        ("__init__", "if TYPE_CHECKING:\n    pass\nelse:\n    from pandq.cli import x", True),
        ("read.scan", "from pandq.unheard_of import x", True),
        ("read.scan", "from pandq import audit", True),
        ("views.base", "import numpy", False),
    ],
)
def test_the_walk_finds_what_goes_upwards(module, code, refused):
    assert any(map(wrong, imports_of(ast.parse(code), module))) is refused


def modules_after(code):
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return json.loads(run.stdout)


def test_importing_pandq_brings_nothing_heavy():
    assert [name for name in HEAVY if name in modules_after("import pandq")] == []


def test_the_room_of_loops_brings_nothing_heavy():
    code = "import pandq.loops; dir(pandq.loops)"
    assert [name for name in HEAVY if name in modules_after(code)] == []


def test_measuring_brings_nothing_heavy():
    code = "import pandq; pandq.entropy(pandq.Probs([[0.5, 0.5]]))"
    assert [name for name in HEAVY if name in modules_after(code)] == []


@pytest.mark.parametrize("name", pandq.__all__)
def test_public_name_can_be_imported(name):
    assert getattr(importlib.import_module("pandq"), name) is not None


def test_public_names_are_listed_once():
    assert len(set(pandq.__all__)) == len(pandq.__all__)


def test_dir_shows_the_public_names():
    assert set(pandq.__all__) <= set(dir(pandq))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'kl'"):
        _ = pandq.kl
