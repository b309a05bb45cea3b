"""The page of benchmarks: each table stands under a command that can make it anew."""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAGE = (BENCHMARKS / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", BENCHMARKS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_names_a_script_and_options_that_it_takes(tables):
    commands = tables.commands(PAGE)
    assert len(commands) == PAGE.count("<!-- end -->") == len(set(commands)) > 5
    for command in commands:
        _, script, *words = shlex.split(command)
        code = (BENCHMARKS.parent / script).read_text(encoding="utf-8")
        for option in (word for word in words if word.startswith("--")):
            assert f'"{option}"' in code, command


def test_every_table_of_times_stands_under_its_command(tables):
    by_hand = tables.MADE.sub("", PAGE).split("## Goals that were set")[0]
    assert re.findall(r"\|[^|\n]*\d m?s \|", by_hand) == []


def test_a_table_that_is_made_anew_replaces_its_own_and_no_other(tables):
    first, second = "python benchmarks/one.py", "python benchmarks/two.py --rounds 3"
    page = "Text.\n" + "".join(f"\n<!-- {x} -->\n\nold\n\n<!-- end -->\n" for x in (first, second))
    made = tables.with_table(page, second, "\na \\1 machine\n\n| new |\n")
    assert made.count("old") == 1
    assert f"<!-- {second} -->\n\na \\1 machine\n\n| new |\n\n<!-- end -->" in made
    assert tables.with_table(made, second, "a \\1 machine\n\n| new |") == made
    assert tables.with_table(page, "python benchmarks/three.py", "new") == page


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_script_imports_of_pandq_is_there(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    for line in ast.walk(tree):
        if isinstance(line, ast.ImportFrom) and (line.module or "").split(".")[0] == "pandq":
            pytest.importorskip("torch") if line.module.startswith("pandq.torch") else None
            module = importlib.import_module(line.module)
            for name in line.names:
                assert hasattr(module, name.name), (line.module, name.name)
