"""Inspection: what the columns of a table may be, as data."""

from __future__ import annotations

from dataclasses import dataclass

from pandq.results.record import Record

# Candidates that are shown; all of them are in Python.
FEW = 3


@dataclass(frozen=True, slots=True)
class Column(Record):
    """One column: its name and type, its first value as text, and the kind that it may be."""

    name: str
    type: str
    first: str
    may_be: str


@dataclass(frozen=True, slots=True)
class Inspection(Record):
    """What `pandq.inspect` found; `print` shows it.

    `p` and `q` are what may be true and what may be predicted, as KIND:COLUMN, the likeliest first;
    `rows` is None where counting them would need reading them; `next_steps` are what to run next,
    whole commands that its first rows went through, then those of which `notes` say what is still
    to be said; `layouts` are those that the table may have, the likeliest first.
    """

    name: str
    rows: int | None
    columns: tuple[Column, ...]
    p: tuple[str, ...]
    q: tuple[str, ...]
    next_steps: tuple[str, ...]
    layouts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The table, and how large it is."""
        rows = "" if self.rows is None else f"{self.rows:,} rows, "
        return f"{self.name}: {rows}{len(self.columns)} columns"

    @property
    def advice(self) -> tuple[str, ...]:
        """What may be P and Q, and what to do next."""
        roles = {"P, what is true,": self.p, "Q, what is predicted,": self.q}
        found = [
            f"{role} may be: {_few(specs) or 'no column; say which one it is'}"
            for role, specs in roles.items()
        ]
        told = [f"layout may be: {_few(self.layouts)}"] if self.layouts else []
        first, *others = self.next_steps
        return (*found, *told, "", f"Next: {first}", *(f"      {x}" for x in others), *self.notes)

    def __str__(self) -> str:
        columns = [
            f"  {x.name}: {x.type}, first {x.first}{x.may_be and f', may be {x.may_be}'}"
            for x in self.columns
        ]
        return "\n".join([self.headline, *columns, *self.advice])


def _few(names: tuple[str, ...]) -> str:
    """The likeliest, and how many more there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
