"""The loss of a text by its length, in bytes or in characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.quantities import QUANTITIES
from pandq.report.sections.section import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.results.estimate import Estimate

_KEY = "bits_per_byte"


def text_unit(source: Mapping[str, Any]) -> str:
    """What a text's length is counted in: characters where the name of its column says so.

    >>> text_unit({"per": "n_chars"}), text_unit({"per": "size"}), text_unit({})
    ('character', 'byte', 'byte')
    """
    return "character" if "char" in str(source.get("per") or "").casefold() else "byte"


def per_text(source: Mapping[str, Any]) -> str:
    """The name of the loss by a text's length.

    >>> per_text({"per": "characters"})
    'bits per character'
    """
    return f"bits per {text_unit(source)}"


def text_row(estimate: Estimate, source: Mapping[str, Any], of: str = "") -> Row:
    """The loss by a text's length as a row, `of` a model or a difference."""
    meaning = QUANTITIES[_KEY].meaning.replace("byte", text_unit(source))
    return Row(_KEY, estimate, per_text(source) + of, meaning)
