"""Agreement, and Krippendorff's alpha: how much of it chance would give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special

from pandq.core.numerics import blocks
from pandq.results.estimate import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.agreement.cells import Cells

    Floats = NDArray[np.float64]

JACKKNIFE = "exp of an interval: jackknife over items of the logarithm of 1 less this"
ROUNDING = 1e-12
ALIKE = "all items are alike: exact limit for the share of items that are not (Clopper-Pearson)"


def disagreeing(cells: Cells) -> Floats:
    """(n,) the chance that another vote of an item differs, summed over its votes.

    Args:
        cells: of items with at least two votes.

    Source: Krippendorff 2019, Content Analysis, section 12.2.
    """
    others = cells.votes[cells.item] - cells.count
    return cells.total(cells.count * others / (cells.votes[cells.item] - 1.0))


def agreement_and_alpha(cells: Cells, *, level: float) -> tuple[Estimate, Estimate | None]:
    """Observed agreement, and Krippendorff's alpha for nominal classes.

    Agreement is the chance that another vote for the same item, drawn at random, is the same;
    alpha is 1 - (observed disagreement) / (disagreement of votes paired without regard to items).

    Args:
        cells: of items with at least two votes each, and at least one such item.
        level: of the intervals, which are over items, for the people who answered them.

    Returns:
        Both; alpha is None where all votes are for one class, as then chance leaves nothing.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability; the interval is the
    delete-one jackknife (Miller 1974) of log(1 - alpha), cut to what is possible.

    >>> from pandq import Counts
    >>> from pandq.estimate.agreement.cells import Cells
    >>> cells = Cells.of(Counts([[2, 0], [1, 1], [0, 2]]))
    >>> [round(x.value, 3) for x in agreement_and_alpha(cells, level=0.95)]
    [0.667, 0.444]
    """
    n, size = len(cells.votes), int(cells.votes.sum())
    apart = disagreeing(cells)
    classes = cells.by_class(cells.count.astype(np.float64))
    expected = 1.0 - float((classes * (classes - 1.0)).sum()) / (size * (size - 1.0))
    observed = float(apart.sum()) / size
    # each item left out, with all that follows for the chance of agreement
    left = size - cells.votes
    others = classes[cells.klass]
    squares = (classes * (classes - 1.0)).sum() + cells.total(
        cells.count * (cells.count - 2.0 * others + 1.0)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        observed_without = (apart.sum() - apart) / left
        expected_without = 1.0 - squares / (left * (left - 1.0))
        ratio_without = observed_without / expected_without
    agreement = _left_to_one(observed, observed_without, n, level, (0.0, 1.0), "observed_agreement")
    if expected == 0.0:
        return agreement, None
    alpha = _left_to_one(observed / expected, ratio_without, n, level, (-1.0, 1.0), "alpha")
    return agreement, alpha


def ordinal_alpha(cells: Cells, *, level: float) -> Estimate | None:
    """Krippendorff's alpha for classes in their order: between ranks of votes, squared.

    Two votes differ by the number of votes whose rank lies between theirs, half of those of their
    own classes; with r a class's mid-rank by that is (r_c - r_k)^2.

    Args:
        cells: of items with at least two votes each, and at least one such item.
        level: of the interval, as for `agreement_and_alpha`.

    Returns:
        None where all votes are for one class.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability, ordinal metric.

    >>> from pandq import Counts
    >>> from pandq.estimate.agreement.cells import Cells
    >>> cells = Cells.of(Counts([[2, 0, 0], [1, 1, 0], [0, 0, 2]]))
    >>> round(ordinal_alpha(cells, level=0.95).value, 3)
    0.778
    """
    n, k = len(cells.votes), cells.n_classes
    votes = cells.by_class(cells.count.astype(np.float64))
    place, m = (cells.item, cells.klass), cells.votes.astype(np.float64)
    table = sparse.csr_array((cells.count.astype(np.float64), place), shape=(n, k))
    pairs = sparse.csr_array((cells.count / (m[cells.item] - 1.0), place), shape=(n, k))
    coincidences = (table.T @ pairs).toarray() - np.diag(np.asarray(pairs.sum(axis=0)).ravel())
    observed, expected = _by_ranks(votes[None], coincidences, np.zeros((1, k)), np.full(1, 2.0))
    if expected[0] == 0.0:
        return None
    without = np.empty(n)
    for rows in blocks(n, k):
        c = table[rows].toarray()
        own, chance = _by_ranks(votes - c, coincidences, c, m[rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            without[rows] = own / chance
    left = float(observed[0] / expected[0])
    return _left_to_one(left, without, n, level, (-1.0, 1.0), "ordinal_alpha")


def _by_ranks(votes: Floats, coincidences: Floats, c: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Observed and expected squared distances of ranks, without some items each.

    Args:
        votes: (r, K) of all other items.
        coincidences: (K, K) of all items: how often a vote for one class meets one for another.
        c: (r, K) votes of the item that is left out.
        m: (r,) how many they are.
    """
    rank = np.cumsum(votes, axis=1) - votes / 2.0
    size, squares = votes.sum(axis=1), (votes * rank**2).sum(axis=1)
    own = ((c * rank).sum(axis=1) ** 2 - (c * rank**2).sum(axis=1)) / (m - 1.0)
    together = ((rank @ coincidences) * rank).sum(axis=1) - own
    apart = size * squares - (votes * rank).sum(axis=1) ** 2
    return (squares - together) * (size - 1.0), np.maximum(apart, 0.0)


def _left_to_one(
    left: float,
    without: Floats,
    n: int,
    level: float,
    within: tuple[float, float],
    name: str,
) -> Estimate:
    """1 - left with the interval by Student's t of log(left)."""
    value = 0.0 if abs(1.0 - left) < ROUNDING else 1.0 - left
    known: dict[str, Any] = {"level": level, "unit": "", "n": n, "name": name}
    sound = np.isfinite(without).all() and n > 1
    if not sound or np.ptp(without) <= ROUNDING:
        # what is not seen in n items is so rare, whatever it would do
        rare = -math.expm1(math.log((1.0 - level) / 2.0) / n)
        low, high = (value + rare * (end - value) for end in within)
        return Estimate(value, low, high, method=ALIKE, **known)
    # one item may have all the disagreement there is: without it the logarithm has no value
    on_logs = bool((without > 0.0).all())
    x = np.log(without) if on_logs else without
    error = math.sqrt((n - 1) / n * float(np.square(x - x.mean()).sum()))
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    if on_logs:
        low, high = 1.0 - left * math.exp(half), 1.0 - left * math.exp(-half)
        error *= left
    else:
        low, high = value - half, value + half
    return Estimate(
        value,
        max(low, within[0]),
        min(high, within[1]),
        method=JACKKNIFE if on_logs else "jackknife over items",
        standard_error=error,
        degrees=n - 1,
        **known,
    )
