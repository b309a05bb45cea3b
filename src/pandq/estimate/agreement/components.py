"""How much of all disagreement lies between items, and how much between annotators.

Two votes for different items by different people differ with some chance. They differ less often
where the item is the same, as far as items differ, and less often where the person is the same, as
far as people differ in which classes they like to give. What is left is neither: an opinion on this
very item, or a slip.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from pandq.core.hashing import hash_ids
from pandq.estimate.averages.intervals import Sampling, mean_estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.results.estimate import Estimate
    from pandq.views import Votes

    Floats = NDArray[np.float64]

GROUPS = 50
NAMES = ("between_items", "between_annotators", "within_both")
METHOD = "pairs of votes; delete-a-group jackknife over items, for these annotators"


def components(votes: Votes, *, level: float, seed: int) -> dict[str, Estimate] | None:
    """The shares of disagreement between items, between annotators, and of neither.

    Args:
        votes: with annotators.
        level: of the intervals.
        seed: of the groups of items.

    Returns:
        Three shares that sum to one, of which noise can make one negative; None where votes have no
        pair of each kind, or never differ.

    Source: Searle, Casella and McCulloch 1992, Variance Components, section 4.7 (two-way crossed,
    by pairs); Light and Margolin 1971, An analysis of variance for categorical data.

    >>> from pandq import Votes
    >>> found = components(Votes([["a", "a"], ["b", "b"]] * 9, ["x", "y"]), level=0.95, seed=0)
    >>> round(found["between_items"].value, 3), round(found["between_annotators"].value, 3)
    (1.0, 0.0)
    """
    n = int((np.diff(votes.offsets) > 0).sum())
    everything = _Pairs.of(votes, np.ones(len(votes), dtype=bool))
    whole = everything.shares()
    if whole is None:
        return None
    size = min(GROUPS, n)
    # as many items in each group, or what is left out would differ in size
    group = np.full(len(votes), -1)
    some = np.flatnonzero(np.diff(votes.offsets) > 0)
    group[some[np.argsort(hash_ids(some, seed=seed), kind="stable")]] = np.arange(n) % size
    found = [_Pairs.of(votes, group == g).taken_from(everything).shares() for g in range(size)]
    parts = np.array([x for x in found if x is not None])
    error = np.full(3, np.nan)
    if len(parts) == size and size > 2:
        spread = np.square(parts - parts.mean(axis=0)).sum(axis=0)
        error = np.sqrt((size - 1) / size * spread)
    return {
        name: mean_estimate(
            Sampling(float(x), float(e * e) if e > 0 else math.nan, effective=size, n=n),
            level=level,
            unit="",
            method=METHOD,
            name=name,
        )
        for name, x, e in zip(NAMES, whole, error, strict=True)
    }


class _Pairs:
    """Sums over some items of which every kind of pair of votes is made."""

    def __init__(self, people: sparse.csr_array, item_pairs: float, item_same: float) -> None:
        self.people = people  # (A, K) votes of each annotator
        self.item_pairs, self.item_same = item_pairs, item_same

    @classmethod
    def of(cls, votes: Votes, chosen: NDArray[np.bool_]) -> _Pairs:
        """Of some items."""
        rows = votes.rows
        kept = chosen[rows]
        rows, codes = rows[kept], votes.codes[kept].astype(np.int64)
        who = np.asarray(votes.annotators)[kept]
        shape = (len(votes.annotator_names or ()), max(votes.n_classes, 1))
        people = sparse.csr_array((np.ones(len(codes)), (who, codes)), shape=shape)
        size = np.diff(votes.offsets)[chosen].astype(np.float64)
        _, count = np.unique(rows * shape[1] + codes, return_counts=True)
        count = count.astype(np.float64)
        return cls(people, float((size * (size - 1)).sum()), float((count * (count - 1)).sum()))

    def taken_from(self, all_of: _Pairs) -> _Pairs:
        """All but these."""
        return _Pairs(
            sparse.csr_array(all_of.people - self.people),
            all_of.item_pairs - self.item_pairs,
            all_of.item_same - self.item_same,
        )

    def shares(self) -> tuple[float, float, float] | None:
        """Between items, between annotators, neither; None where a kind of pair is missing."""
        by_class = np.asarray(self.people.sum(axis=0)).ravel()
        by_person = np.asarray(self.people.sum(axis=1)).ravel()
        own = self.people.data
        person_pairs = float((by_person * (by_person - 1)).sum())
        # nobody answers an item twice, so that two votes of one person are for two items
        person_same = float((own * (own - 1)).sum())
        total = float(by_class.sum())
        pairs = total * (total - 1) - self.item_pairs - person_pairs
        same = float((by_class * (by_class - 1)).sum()) - self.item_same - person_same
        if min(pairs, person_pairs, self.item_pairs) <= 0 or pairs <= same:
            return None
        apart = 1.0 - same / pairs
        of_item = 1.0 - self.item_same / self.item_pairs
        of_person = 1.0 - person_same / person_pairs
        items, people = (apart - of_item) / apart, (apart - of_person) / apart
        return items, people, 1.0 - items - people
