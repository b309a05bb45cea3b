"""Where people disagree: by class, by pair of classes, and item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.estimate.agreement.cells import Cells

# Pairs of classes, and items, that a result lists.
MOST_PAIRS = 100
SHOWN_CLASSES = 5


def class_lines(cells: Cells, names: Sequence[str], *, level: float) -> list[dict[str, Any]]:
    """For each class, how many votes it has, and how often another vote of the item is the same.

    Args:
        cells: of items with at least two votes.
        names: of the classes.
        level: of the intervals, over items, by the delta method for a ratio of sums.

    Returns:
        A line for each class with votes, the most votes first.

    Source: Fleiss 1971, section 5 (conditional agreement); Cochran 1977, section 6.3 (ratios).
    """
    count = cells.count.astype(np.float64)
    same = count * (count - 1.0) / (cells.votes[cells.item] - 1.0)
    votes, agreeing = cells.by_class(count), cells.by_class(same)
    items = cells.by_class(np.ones(len(count)))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = agreeing / votes
        residual = np.square(same - share[cells.klass] * count)
        correction = items / (items - 1.0)
        error = np.sqrt(cells.by_class(residual) * correction) / votes
    half = special.stdtrit(np.maximum(items - 1.0, 1.0), (1 + level) / 2) * error
    total = votes.sum()
    lines = []
    for k in np.argsort(-votes, kind="stable"):
        if votes[k] == 0:
            break
        known = items[k] > 1
        lines.append(
            {
                "name": names[k],
                "n": int(votes[k]),
                "items": int(items[k]),
                "share": float(votes[k] / total),
                "agreement": {
                    "value": float(share[k]),
                    "low": max(float(share[k] - half[k]), 0.0) if known else 0.0,
                    "high": min(float(share[k] + half[k]), 1.0) if known else 1.0,
                },
            }
        )
    return lines


def pair_lines(cells: Cells, names: Sequence[str]) -> list[dict[str, Any]]:
    """Which classes are given for the same item by different people, and how often beside chance.

    Args:
        cells: of items with at least two votes.
        names: of the classes.

    Returns:
        The pairs with the largest share of all disagreement, at most 100: that share, the items
        in which both occur, and how many times as often as for votes paired at random.

    Source: Krippendorff 2011 (observed and expected coincidences).
    """
    n, k = len(cells.votes), cells.n_classes
    count = cells.count.astype(np.float64)
    place = (cells.item, cells.klass)
    table = sparse.csr_array((count, place), shape=(n, k))
    spread = sparse.csr_array((count / (cells.votes[cells.item] - 1.0), place), shape=(n, k))
    found = sparse.coo_array(sparse.triu(table.T @ spread, k=1))
    present = sparse.csr_array((np.ones(len(count)), place), shape=(n, k))
    both = sparse.csr_array(present.T @ present)
    votes = cells.by_class(count)
    total, all_votes = float(found.data.sum()), float(votes.sum())
    order = np.argsort(-found.data, kind="stable")[:MOST_PAIRS]
    lines = []
    for a, b, observed in zip(found.row[order], found.col[order], found.data[order], strict=True):
        expected = votes[a] * votes[b] / (all_votes - 1.0)
        lines.append(
            {
                "classes": [names[a], names[b]],
                "items": int(both[a, b]),
                "share": float(observed / total),
                "times_chance": float(observed / expected),
            }
        )
    return lines


def divided_lines(
    cells: Cells, ids: NDArray[Any], names: Sequence[str], *, most: int, scale: float
) -> list[dict[str, Any]]:
    """The items whose shares have the largest entropy: those that divide people most.

    Args:
        cells: of all items.
        ids: (n,) what they are called.
        names: of the classes.
        most: how many to list.
        scale: of the unit, per nat.

    Returns:
        A line for each, the most divided first, of equal ones that with more votes.
    """
    entropy = cells.entropies()
    split = np.flatnonzero(entropy > 0.0)
    order = split[np.lexsort((split, -cells.votes[split], -entropy[split]))][:most]
    starts = np.searchsorted(cells.item, [order, order + 1])
    lines = []
    for row, first, last in zip(order, *starts, strict=True):
        largest = np.argsort(-cells.count[first:last], kind="stable")[:SHOWN_CLASSES] + first
        lines.append(
            {
                "row": int(row),
                "id": str(ids[row]),
                "votes": int(cells.votes[row]),
                "entropy": float(entropy[row] * scale),
                "classes": {names[cells.klass[j]]: int(cells.count[j]) for j in largest},
            }
        )
    return lines
