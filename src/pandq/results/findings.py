"""Finding: one thing that a reader must know of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from pandq.results.record import Record


@dataclass(frozen=True, slots=True)
class Finding(Record):
    """One thing to know: `first` is said before the headline; a `remedy` replaces all advice."""

    key: str
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)
    first: bool = False
    remedy: str = ""
