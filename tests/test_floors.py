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

FLOORS = [
    ("plain",),
    ("errors",),
    ("units", "documents"),
    ("core",),
    ("views",),
    ("ensembles",),
    ("sums", "measure", "rows", "topk", "torch"),
    ("read",),
    ("store", "sealed"),
    ("engines",),
    ("estimate",),
    ("fit",),
    ("audits", "comparisons"),
    ("report",),
    ("demo",),
    ("__init__",),
    ("cli",),
    ("__main__",),
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# An object's __str__ or to_html draws itself when it is asked to.
DRAWN_LATER = {("audits", "report"), ("comparisons", "report")}
HEAVY = ["torch", "sklearn", "matplotlib", "dask", "duckdb", "pandas", "polars", "rich", "click"]

HOUSE = Path(pandq.__file__).parent


@dataclass(frozen=True)
class Import:
    """One import of a room by another."""

    place: str
    room: str
    of: str
    in_function: bool
    for_types: bool


def imports_of(tree, room, module):
    """Every import of pandq's own rooms in a module, with where it stands."""
    found = []

    def visit(node, *, in_function, for_types):
        if isinstance(node, ast.ImportFrom | ast.Import):
            found.extend(
                Import(f"{module}:{node.lineno}", room, of, in_function, for_types)
                for of in rooms_named(node)
            )
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.iter_child_nodes(node):
            typed = for_types or (guard and child in node.body)
            visit(child, in_function=in_function, for_types=typed)

    visit(tree, in_function=False, for_types=False)
    return found


def rooms_named(node):
    """The rooms that an import statement names; "" is the package itself."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif node.level:
        names = ["pandq.(relative)"]
    elif node.module == "pandq":
        names = [f"pandq.{alias.name}" for alias in node.names]
    else:
        names = [node.module]
    parts = [name.split(".") for name in names]
    return [part[1] if len(part) > 1 else "__init__" for part in parts if part[0] == "pandq"]


def room_of(file):
    inside = file.relative_to(HOUSE).parts
    return inside[0].removesuffix(".py")


def wrong(found):
    """Does this import go anywhere but downwards?"""
    if found.of == found.room:
        return False
    if found.for_types and found.room in ("__init__", "report"):
        return False
    if found.in_function and (found.room, found.of) in DRAWN_LATER:
        return False
    return FLOOR_OF.get(found.of, len(FLOORS)) >= FLOOR_OF[found.room]


MODULES = sorted(HOUSE.rglob("*.py"))


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_module_lives_in_a_known_room(file):
    assert room_of(file) in FLOOR_OF


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_module_imports_only_from_floors_below(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = str(file.relative_to(HOUSE))
    upwards = [found for found in imports_of(tree, room_of(file), module) if wrong(found)]
    assert upwards == []


@pytest.mark.parametrize(
    ("room", "code", "refused"),
    [
        ("core", "from pandq.views import View", True),
        ("core", "if TYPE_CHECKING:\n    from pandq.views import View", True),
        ("core", "def f():\n    import pandq.views", True),
        ("core", "from pandq import views", True),
        ("core", "from . import views", True),
        ("core", "from pandq.core.laws import Law", False),
        ("measure", "from pandq.rows import x", True),
        ("measure", "from pandq.core.laws import Law", False),
        ("audits", "from pandq.report import text", True),
        ("audits", "def f():\n    from pandq.report import text", False),
        ("estimate", "def f():\n    from pandq.report import text", True),
        ("report", "if TYPE_CHECKING:\n    from pandq.cli import x", False),
        ("report", "if TYPE_CHECKING:\n    pass\nelse:\n    from pandq.cli import x", True),
        ("read", "from pandq.unheard_of import x", True),
        ("views", "import numpy", False),
    ],
)
def test_the_walk_finds_what_goes_upwards(room, code, refused):
    assert any(map(wrong, imports_of(ast.parse(code), room, "example"))) is refused


def modules_after(code):
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return json.loads(run.stdout)


def test_importing_pandq_brings_nothing_heavy():
    assert [name for name in HEAVY if name in modules_after("import pandq")] == []


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
