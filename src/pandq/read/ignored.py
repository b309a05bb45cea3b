"""Rows whose label says that they do not count, such as -100 for padding: left out, and counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pandq.core.checks import is_number
from pandq.core.classes import value_of
from pandq.errors import InputError
from pandq.read.database import literal, quoted
from pandq.read.sources import narrowed
from pandq.views import VOTES_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.parts import Source
    from pandq.read.recognise import Spec

    # a label, as a name or a number, or several
    Ignored = str | float | Sequence[str | float]


def counting(
    source: Source, specs: Sequence[Spec | None], ignored: Ignored, notes: list[str]
) -> Source:
    """The rows of a table whose labels count.

    Args:
        source: the table.
        specs: P, and labels beside it; of these the labels are looked at.
        ignored: the labels that do not count. One that is a number is met as a number.
        notes: they are told how many rows were left out.

    Raises:
        InputError: it is no label, or there are no labels.
    """
    values = _values(ignored)
    if not values:
        return source
    told = [spec for spec in specs if spec is not None]
    labels = [spec for spec in told if spec.kind == "labels"]
    if not labels:
        votes = next((spec for spec in told if spec.kind == VOTES_KIND), None)
        remedy = f"A vote that is none: --skip {values[0]}." if votes else ""
        got = f"--p {votes or told[0]}"
        raise InputError("--ignore-label is for labels", got=got, remedy=remedy)  # noqa: EM101
    each = " OR ".join(_is(spec.column, value) for spec in labels for value in values)
    gone = narrowed(source, f"coalesce({each}, false)")
    n = sum(gone.count(part) for part in gone.parts())
    names = " or ".join(dict.fromkeys(spec.column for spec in labels))
    listed = " or ".join(values)
    if not n:
        notes.append(f"no row of {names} is {listed} (--ignore-label)")
        return source
    s = "s were" if n > 1 else " was"
    notes.append(f"{n:,} row{s} left out, as {names} is {listed} (--ignore-label)")
    return narrowed(source, f"NOT coalesce({each}, false)")


def _values(given: Ignored) -> tuple[str, ...]:
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    values = tuple(several)
    if not all(isinstance(x, str) or is_number(x) for x in values):
        raise InputError(what="ignore_label is a label, or a list of labels", got=repr(given))
    return tuple(map(str, values))


def _is(column: str, value: str) -> str:
    """The SQL condition that a label is this one: as it is written, or by its value."""
    text = f"CAST({quoted(column)} AS VARCHAR)"
    same = f"{text} = {literal(value)}"
    number = value_of(value)
    if number is None or isinstance(number, bool):
        return same
    return f"({same} OR TRY_CAST({text} AS DOUBLE) = CAST({literal(str(number))} AS DOUBLE))"
