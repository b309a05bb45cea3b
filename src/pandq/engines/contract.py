"""What an engine is given and what it owes: parts of rows in, one Summary of each part out.

An engine knows nothing of statistics. It makes a Summary of each of a part's chunks and merges them
in chunk order; whoever called it merges the parts in their order. With the same boundaries
everywhere the same additions are made in the same order, so that every engine gives the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from pandq.sums.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pandq.read.parts import Part

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
S = TypeVar("S", bound=Summary)


class Rows(Protocol[C_co]):
    """Data that is gone through again and again, in parts, such as a Scan."""

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""

    def parts(self) -> Sequence[Part]:
        """What can be read apart, in order."""

    @property
    def apart(self) -> bool:
        """Whether parts are read sooner side by side than one after the other."""

    def count(self, part: Part) -> int:
        """How many rows a part has."""

    def prepared(self) -> Self:
        """The same rows, with all that a part's chunks depend on besides the part."""

    def pieces(self, parts: Sequence[Part]) -> Iterator[tuple[Part, C_co]]:
        """The chunks of consecutive parts, each with its part."""


class Engine(Protocol):
    """Who does the summing."""

    cache: bool

    def over(
        self,
        rows: Rows[C],
        parts: Sequence[Part],
        of: Callable[[C], S],
        tick: Callable[[int], None],
        kept: dict[int, Any] | None,
    ) -> Generator[tuple[Part, S | None]]:
        """Each part's Summary, in order; None where a part has no rows.

        Args:
            rows: whose parts they are; prepared.
            parts: consecutive ones; placed, if `needs_row_offsets`.
            of: a chunk's Summary.
            tick: told of rows that were summed, as they are.
            kept: this run's own, to keep chunks in where `cache` asks for it; None for rows that
                are not read again.
        """

    @property
    def needs_row_offsets(self) -> bool:
        """Whether parts must be counted before they are read."""

    def counts(self, rows: Rows[Any], parts: Sequence[Part]) -> list[int]:
        """How many rows each part has."""


@dataclass(frozen=True, slots=True)
class Done:
    """How far a pass has come; `chunks` are what one task reads, such as row groups.

    `rows_before` were summed before this run began, by one that was cut off.
    """

    what: str
    rows_done: int = 0
    rows: int | None = None
    chunks_done: int = 0
    chunks: int = 0
    rows_before: int = 0
    began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def rows_per_second(self) -> float | None:
        """Since the pass began; None while nothing is known."""
        seconds = time.monotonic() - self.began
        done = self.rows_done - self.rows_before
        return done / seconds if done > 0 and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until this pass ends, at the rate so far."""
        rate = self.rows_per_second
        return None if self.rows is None or rate is None else (self.rows - self.rows_done) / rate

    def to_dict(self) -> dict[str, Any]:
        """The progress as JSON values."""
        rate, left = self.rows_per_second, self.seconds_left
        return {
            "what": self.what,
            "rows_done": self.rows_done,
            "rows": self.rows,
            "chunks_done": self.chunks_done,
            "chunks": self.chunks,
            "rows_per_second": None if rate is None else round(rate, 1),
            "seconds_left": None if left is None else round(left, 1),
        }


Progress = Callable[[Done], None]
