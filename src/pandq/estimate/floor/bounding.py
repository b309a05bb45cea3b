"""How the floor of votes is bounded: with or without a look at Q, from all rows or from some."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from pandq.core.checks import is_number
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

CERTIFIED = (
    "certified interval, if a row's votes are independent draws from P and Q has not seen them"
)
BLIND = "certified interval without a look at Q, if a row's votes are independent draws from P"
POOLED = (
    "certified interval for a randomly chosen one of {:,} people, if those who were asked of a row"
    " are a random sample of them"
)
ALSO = ", and Q has not seen their votes"
# Of fewer rows no certificate is trained.
LEAST_ROWS = 25


@dataclass(frozen=True, slots=True)
class Bounding:
    """How the floor of votes is bounded.

    Args:
        blindly: whether without a look at Q.
        min_votes: rows with fewer votes take the mean bounds of the others; 1 where every row has
            bounds of its own.
        pool: how many people there are, of whom each row asked some different ones; None where they
            are drawn from many.
    """

    blindly: bool = False
    min_votes: int = 1
    pool: int | None = None

    @property
    def told(self) -> str:
        """How it is bounded, and what that assumes."""
        how = BLIND if self.blindly else CERTIFIED
        if self.pool is not None:
            seen = ALSO if not self.blindly else ""
            how = f"{POOLED.format(self.pool)}{seen}"
        if self.min_votes > 1:
            return f"{how}; from rows with {self.min_votes} votes or more, taken for all"
        return how


ALL = Bounding()


def check_min_votes(least: object) -> None:
    """Refuse a least number of votes that is none.

    Raises:
        InputError: it is no whole number from 1.
    """
    if not is_number(least, Integral) or cast("int", least) < 1:
        raise InputError(what="min_votes is a whole number from 1", got=repr(least))


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The bounds of rows with enough votes, spread over all rows.

    Args:
        least: how many votes are enough.
        share: of the rows that have so many.
        mean: about what their bounds are, (2,) nats: it serves the variance alone.

    Source:
        Horvitz and Thompson (1952), of the departure from a mean that is known beforehand.
    """

    least: int
    share: float
    mean: Floats

    @classmethod
    def of(
        cls, counts: Counts, least: int, bounds: Callable[[Counts, NDArray[np.bool_]], Floats]
    ) -> Self:
        """Learn share and mean from some rows, to apply them to others.

        Args:
            counts: (n, K) votes, at least one per row.
            least: how many votes are enough.
            bounds: of the votes of some rows, and which these are: (m, 2) nats.

        Raises:
            InputError: too few rows have so many votes.
        """
        enough = counts.sum(axis=1) >= least
        if enough.sum() < LEAST_ROWS:
            raise InputError(
                what=f"too few rows have {least} votes or more to bound the floor from them",
                got=f"{enough.sum()} of {len(counts)} rows in one of two folds",
                remedy=f"At least {LEAST_ROWS} are needed: ask for fewer votes (min_votes).",
            )
        return cls(least, float(enough.mean()), bounds(counts[enough], enough).mean(axis=0))

    def over(self, bounds: Floats, votes: Counts) -> Floats:
        """(n, 2) numbers whose mean over all rows is that of the rows with enough votes.

        >>> half = Spread(2, 0.5, np.array([0.1, 0.9]))
        >>> half.over(np.array([[0.2, 0.8], [9.0, 9.0]]), np.array([3, 1])).mean(axis=0)
        array([0.2, 0.8])
        """
        enough = (votes >= self.least)[:, None]
        return np.where(enough, (bounds - self.mean) / self.share, 0.0) + self.mean
