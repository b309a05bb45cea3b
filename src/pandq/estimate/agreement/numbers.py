"""Does how many votes an item has depend on the votes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.estimate.floor.assumptions import unanimity
from pandq.estimate.floor.pool import with_replacement
from pandq.results.agreement import VoteNumbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.agreement.cells import Cells


def vote_numbers(
    cells: Cells, keys: NDArray[np.uint64], pool: int | None = None
) -> VoteNumbers | None:
    """The test that unanimous items are as many as votes settled beforehand would make.

    Args:
        cells: of items with at least one vote.
        keys: (n,) hashed ids of the items.
        pool: how many people there are, of whose votes draws with replacement are made.

    Returns:
        What was found; None where no number of votes can tell.

    Source: `pandq.estimate.floor.assumptions`.
    """
    # which class it is has no say in it: an item's counts side by side, without the gaps
    first = np.searchsorted(cells.item, np.arange(len(cells.votes)))
    place = np.arange(len(cells.item)) - first[cells.item]
    table = np.zeros((len(cells.votes), int(place.max(initial=0)) + 1), dtype=np.int64)
    table[cells.item, place] = cells.count
    found = unanimity(table if pool is None else with_replacement(table, pool, keys))
    worst = found.worst
    if worst is None:
        return None
    return VoteNumbers(
        depends=found.broken,
        p_value=found.p_value,
        votes=worst.votes,
        items=worst.rows,
        unanimous=worst.unanimous,
        least=worst.least,
    )
