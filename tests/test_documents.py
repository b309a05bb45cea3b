"""What the documents say is so."""

import ast
import importlib
import os
import re
import shlex
from doctest import DocTestParser
from pathlib import Path

import click
import pytest

import pandq
from pandq.cli import cli
from pandq.demo import run_demo
from tests import commands, glossary

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = ("torch", "engines", "loops")


def examples_in(text):
    """The Python of a document: each block, and what a doctest in it types."""
    blocks = re.findall(r"```(?:python|\{code-cell\} ipython3)\n(.*?)```", text, re.DOTALL)
    for code in (re.sub(r"^:tags:.*\n", "", block) for block in blocks):
        if not code.startswith("%%"):
            yield typed(code) if ">>>" in code else code


def typed(text):
    """What the doctests of a text type, without their answers."""
    return "".join(example.source for example in DocTestParser().get_examples(text))


def docstrings():
    """Those of public functions and classes, and of what a public class can do."""
    for name in pandq.__all__:
        public = getattr(pandq, name)
        yield name, getattr(public, "__doc__", None) or ""
        for inner, part in vars(public).items() if isinstance(public, type) else ():
            if not inner.startswith("_"):
                yield f"{name}.{inner}", getattr(part, "__doc__", None) or ""


def taken(code):
    """Every name of pandq's that some Python takes: by an import, or as an attribute."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "pandq":
                yield from (f"{module}.{alias.name}"[6:] for alias in node.names)
            case ast.Import():
                names = [alias.name for alias in node.names]
                yield from (name[6:] for name in names if name.startswith("pandq."))
            case ast.Attribute(value=ast.Name(id="pandq"), attr=name):
                yield name


def private(code):
    """What some Python takes that is neither public nor a public name of a public room."""
    found = []
    for name in taken(code):
        room, _, inside = name.partition(".")
        listed = importlib.import_module(f"pandq.{room}").__all__ if room in ROOMS else ()
        if room not in (*pandq.__all__, *ROOMS) or (inside and inside not in listed):
            found.append(name)
    return found


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_examples_take_nothing_but_what_is_public(file):
    codes = examples_in(file.read_text(encoding="utf-8"))
    assert [name for code in codes for name in private(code)] == []


def test_doctests_of_public_names_take_nothing_but_what_is_public():
    found = {name: private(typed(doc)) for name, doc in docstrings()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("from pandq.rows import measure_rows", ["rows.measure_rows"]),
        ("import pandq.report.figures", ["report.figures"]),
        ("from pandq import core, audit", ["core"]),
        ("pandq.kl(p, q)", ["kl"]),
        ("from pandq.engines import Run, packing", ["engines.packing"]),
        ("import pandq\nfrom pandq import Probs\npandq.engines.Dask(client)", []),
    ],
)
def test_what_is_not_public_would_be_found(code, wrong):
    assert private(code) == wrong


def test_what_is_public_is_said_in_one_place():
    told = [file.name for file in DOCUMENTS if "`pandq.__all__`" in file.read_text("utf-8")]
    assert told == ["api.md"]


def test_a_file_that_a_document_names_is_there():
    missing = []
    for file in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        named = re.findall(r"`((?:src|tests|benchmarks|docs)/[\w./-]+)`", file.read_text("utf-8"))
        missing += [(file.name, name) for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_every_public_name_is_on_the_page_of_the_api():
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    said = set(re.findall(r"pandq\.(\w+)", text))
    assert set(pandq.__all__) - said == {"__version__"}


def commands_in(text):
    """Every line of pandq's in the shell blocks of a document, as a shell splits it."""
    for block in re.findall(r"```(?:sh|\{code-cell\} ipython3\n%%sh)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(";")[0].replace("[--", "--"), comments=True)
            if words[:1] == ["pandq"] and len(words) > 1:
                yield words[1:]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_commands_of_a_document_have_the_options_that_they_name(file):
    with click.Context(cli, info_name="pandq") as context:
        for name, *words in commands_in(file.read_text(encoding="utf-8")):
            command = cli.get_command(context, name)
            assert command is not None, name
            command.make_context(name, words, parent=context)


def test_the_page_of_the_command_line_is_made_from_the_commands():
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert ".. click:: pandq.cli.app:cli" in text
    assert ":nested: full" in text


def test_every_page_of_the_site_is_in_its_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^[\w/-]+$", index, re.MULTILINE))
    pages = {str(file.relative_to(ROOT / "docs").with_suffix("")) for file in DOCUMENTS[1:]}
    assert listed == pages - {"index"}


def test_the_readme_is_a_page():
    assert len((ROOT / "README.md").read_bytes()) <= 7000


def test_the_readme_shows_what_an_audit_prints(tmp_path):
    run_demo(tmp_path / "demo")
    told = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    command, *shown = told.splitlines()
    words = command.replace("pandq-demo", str(tmp_path / "demo")).split()[2:]
    done = commands.pandq(*words, env=os.environ | {"COLUMNS": "100"}, check=True)
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    assert [line for line in shown if line not in printed] == []


def test_the_glossary_has_every_quantity():
    """Where it has not: python -m tests.glossary."""
    text = glossary.FILE.read_text(encoding="utf-8")
    assert text.partition(glossary.MARK)[2].strip() == glossary.table().strip()
