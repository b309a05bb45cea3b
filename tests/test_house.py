"""Files and functions that one can take in at a glance."""

import ast
from pathlib import Path

import pytest

import pandq

HOUSE = Path(pandq.__file__).parent
MODULES = sorted(HOUSE.rglob("*.py"))
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60


def name_of(file):
    return file.relative_to(HOUSE).as_posix()


def lines_of(node):
    """How many lines of code a function has, from its name to its end, without its docstring."""
    told = 0
    if ast.get_docstring(node) is not None:
        told = node.body[0].end_lineno - node.body[0].lineno + 1
    return node.end_lineno - node.lineno + 1 - told


def long_functions(code):
    """The names of functions that are too long, in order."""
    return [
        node.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and lines_of(node) > MOST_LINES_OF_A_FUNCTION
    ]


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_file_is_one_that_can_be_read_at_a_sitting(file):
    n = len(file.read_text(encoding="utf-8").splitlines())
    assert n <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_function_is_one_that_fits_a_screen(file):
    assert long_functions(file.read_text(encoding="utf-8")) == []


def test_a_docstring_is_no_line_of_code():
    body = "    x = 1\n" * 59
    doc = '    """One.\n\n    Two.\n    """\n'
    assert long_functions(f"def f():\n{doc}{body}") == []
    assert long_functions(f"def f():\n{doc}{body}    x = 2\n") == ["f"]
