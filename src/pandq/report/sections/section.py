"""Sections: what a report says, once; a terminal, a page and Markdown draw them.

Whoever draws knows nothing of audits: a new number, table or chart is said here, and is everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pandq.quantities import QUANTITIES
from pandq.report.few import alone
from pandq.units import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pandq.results.estimate import Estimate

Kind = Literal["text", "number", "words", "bar", "better", "worse"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: what is shown, what it sorts by, and how it is drawn."""

    shown: str
    value: float | None = None
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns and rows of cells.

    Args:
        title: what the rows are.
        columns: a heading for each column; those of numbers are set to the right.
        rows: of as many cells.
        caption: what else to say of it.
        cut: how the rows are ordered, said where not all of them are shown; "" where they are few.
        name: of a table that a page lets one filter, with a picture beside rows that have one.
        pictures: what tells the rows apart for a picture beside each: their numbers and words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    cut: str = ""
    name: str = ""
    pictures: Sequence[tuple[int, str]] = ()

    def numeric(self, column: int) -> bool:
        """Is it a column of numbers?"""
        return any(row[column].kind == "number" for row in self.rows)


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity and what is known of it; label and meaning are its own unless told otherwise."""

    key: str
    estimate: Estimate
    label: str = ""
    meaning: str = ""
    digits: int = 4
    percent: bool = False

    @property
    def shown(self) -> tuple[str, str]:
        """Its value and its interval, as they are written."""
        e = self.estimate
        if not self.percent:
            return number(e.value, self.digits), interval(e, self.digits)
        ends = {
            end: None if x is None else 100 * x for end, x in (("low", e.low), ("high", e.high))
        }
        return f"{number(None if e.value is None else 100 * e.value, 3)} %", interval(ends, 3)

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """The same as cells."""
        value, ends = self.shown
        return Cell(value, self.estimate.value, "number"), Cell(ends, kind="number")

    @property
    def heading(self) -> str:
        """What it is called."""
        return self.label or QUANTITIES[self.key].heading

    @property
    def has_unit(self) -> bool:
        """Whether it is counted in nats or bits."""
        return bool(self.estimate.unit)

    @property
    def words(self) -> str:
        """What it is."""
        return self.meaning or QUANTITIES[self.key].meaning

    def among(self, other: Estimate) -> Row:
        """The same, which says so where its interval does not allow for annotators as another does.

        How sure Q is of itself is nothing that annotators said.
        """
        more = "" if self.key == "confidence" else alone(self.estimate, other)
        return replace(self, meaning=self.words + more) if more else self

    @classmethod
    def part(cls, key: str, estimate: Estimate, meaning: str = "") -> Row:
        """A part of the loss: its symbol tells what it is."""
        known = QUANTITIES[key]
        return cls(key, estimate, known.label, f"{known.symbol}: {meaning or known.meaning}")


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, drawn only by who can show one, and the same in words and in lines of text."""

    name: str
    title: str
    told: str
    draw: Callable[[], Figure]
    text: Sequence[str] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report; `first` stands on the first screen, `answer` is what all begins with.

    Args:
        title: in a few words; of the answer, the sentence that is the answer.
        lead: sentences before everything else.
        rows: quantities.
        unit: of those that have one.
        level: of their intervals.
        table: what has no name among the quantities.
        chart: figures.
        steps: what to do, one sentence each.
        note: sentences after everything else.
        first: whether it belongs on the first screen.
        answer: whether its title is the answer.
    """

    title: str
    lead: Sequence[str] = ()
    rows: Sequence[Row] = ()
    unit: str = ""
    level: float = 0.95
    table: Sequence[Table] = ()
    chart: Sequence[Chart] = ()
    steps: Sequence[str] = ()
    note: Sequence[str] = ()
    first: bool = False
    answer: bool = False
    definitions: Mapping[str, object] = field(default_factory=dict)

    @property
    def value_heading(self) -> str:
        """What stands above the numbers of its quantities: their unit, where all have it."""
        return self.unit if self._alike else "value"

    @property
    def row_headings(self) -> list[str]:
        """What its quantities are called; among some without a unit, with theirs."""
        unit = f", {self.unit}" if self.unit and not self._alike else ""
        return [row.heading + unit * row.has_unit for row in self.rows]

    @property
    def _alike(self) -> bool:
        return bool(self.unit) and all(row.has_unit for row in self.rows)


def interval(estimate: Estimate | Mapping[str, Any], digits: int = 4) -> str:
    """The two ends of an interval."""
    low, high = (_end(estimate, name) for name in ("low", "high"))
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"[{number(low, digits)}, {number(high, digits)}]"


def _end(estimate: Estimate | Mapping[str, Any], name: str) -> float | None:
    found: float | None = (
        estimate[name] if isinstance(estimate, Mapping) else getattr(estimate, name)
    )
    return found


def figure_of(x: float | None, digits: int = 4) -> Cell:
    """A number as a cell."""
    return Cell(number(x, digits), x, "number")


def whole(x: float) -> Cell:
    """A number of rows as a cell."""
    return Cell(f"{x:,.0f}", x, "number")


def estimated(estimate: Estimate | Mapping[str, Any], digits: int = 4) -> tuple[Cell, Cell]:
    """A value and its interval as cells."""
    shown = Cell(interval(estimate, digits), kind="number")
    return figure_of(_end(estimate, "value"), digits), shown
