"""What the documents say is so."""

import re
from pathlib import Path

import pytest

import pandq
from tests import glossary

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = ("torch", "engines")


def names_in(text):
    """What the examples of a document take of pandq: `pandq.NAME` and what they import."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for block in blocks:
        yield from re.findall(r"\bpandq\.(\w+)", block)
        for imported in re.findall(r"from pandq import ([\w, ]+)", block):
            yield from re.split(r",\s*", imported)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_examples_take_nothing_but_what_is_public(file):
    used = set(names_in(file.read_text(encoding="utf-8")))
    assert used <= {*pandq.__all__, *ROOMS}


def test_what_is_not_public_would_be_found():
    text = "```python\npandq.kl(p)\nfrom pandq.estimate.floor import x\nfrom pandq import a, b\n```"
    assert list(names_in(text)) == ["kl", "estimate", "a", "b"]


def test_every_public_function_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    hidden = {"__version__", "View", "Scan", "Comparison", "Estimate"}
    hidden |= {name for name in pandq.__all__ if name.endswith("Error")}
    said = {name for name in pandq.__all__ if re.search(rf"\b{name}\b", text)}
    assert set(pandq.__all__) - said - hidden == set()


def test_the_glossary_has_every_quantity():
    """Where it has not: python -m tests.glossary."""
    text = glossary.FILE.read_text(encoding="utf-8")
    assert text.partition(glossary.MARK)[2].strip() == glossary.table().strip()
