"""Counts: the votes that each row got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pandq.core.checks import (
    first_bad,
)
from pandq.core.laws import Law
from pandq.core.numerics import row_sums
from pandq.views.matrix import Matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray


NO_VOTES = "Leave such rows out (on the command line: --where SQL)."


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Counts(Matrix):
    """Votes: how many people chose each class.

    Args:
        n: (n, K) integers, not negative, each row with at least one vote.

    Raises:
        InputError: counts that are negative, not whole, or all zero in a row.

    >>> Counts([[3, 1]]).law().prob
    array([[0.75, 0.25]])
    """

    kind: ClassVar[str] = "counts"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Whole numbers of which at least one is positive."""
        del tolerance
        if block.dtype.kind == "f":
            first_bad("Counts", np.isnan(block), "holds NaN")
            whole = np.isfinite(block) & (block == np.floor(block))
            remedy = "Weights or soft labels are Probs(x) after dividing by their sum."
            first_bad("Counts", ~whole, "is not whole numbers of votes", remedy, block)
        first_bad("Counts", block < 0, "has a negative count", "", block)
        first_bad("Counts", block > 2**53, "has more votes than floats can count", "", block)
        remedy = NO_VOTES
        first_bad("Counts", (block == 0).all(axis=1)[:, None], "has no votes: all zero", remedy)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(n,) how many votes each row has."""
        return row_sums(self.array.astype(np.float64))

    def law(self) -> Law:
        """The votes' shares."""
        return Law.from_probs(self.array / self.votes[:, None])
