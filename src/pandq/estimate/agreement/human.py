"""The floor of any model that predicts these people: the entropy of their votes, certified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from pandq.core.hashing import hash_ids
from pandq.estimate.averages.means import Means
from pandq.estimate.floor.certificate import Certificate, train_certificate
from pandq.estimate.floor.pool import TURNS, with_replacement
from pandq.estimate.sampling import MIN_ROWS, folds_of, sample_size
from pandq.read.chunks import chunk_rows
from pandq.results.estimate import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.agreement.cells import Cells

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]
    Keys = NDArray[np.uint64]

CERTIFIED = "certified from votes without a model{}, cross-fitted in 2 folds"
POOLED = (
    ", for a randomly chosen one of {:,} people, if those who were asked of an item are a random"
    " sample of them"
)
MIDDLE = ": what Q could be is not used; the point is the middle of its bounds"
WIDE = ": too wide for a point"


def human_floor(
    cells: Cells,
    ids: NDArray[np.str_],
    *,
    level: float,
    seed: int,
    pool: int | None = None,
) -> Estimate | None:
    """Bounds of E[H(P)], the least loss of any model on votes of people drawn like these.

    The certificate of an audit, with the class frequencies in the place of Q: nothing about the
    items but their votes is used.

    Args:
        cells: of items with at least one vote.
        ids: (n,) what the items are called, by which they go into folds.
        level: of the interval.
        seed: of the folds.
        pool: how many people there are, of whom each item asked some different ones; None where
            they are drawn from many.

    Returns:
        The interval in nats; None where there are too few items, or all votes are for one class.
    """
    n, k = len(cells.votes), cells.n_classes
    if n < MIN_ROWS or len(np.unique(cells.klass)) < 2 or cells.votes.max() < 2:
        return None
    keys = hash_ids(ids)
    halves = folds_of(keys, 2, seed)
    if min(np.bincount(halves, minlength=2)) < MIN_ROWS // 4:
        return None
    with threadpool_limits(limits=1, user_api="blas"):
        certificates = [_trained(cells, (halves != fold), keys, pool) for fold in range(2)]
        sums = Means.empty(("floor_low", "floor_high"))
        step = chunk_rows(k)
        for start in range(0, n, step):
            some = slice(start, start + step)
            turns = _draws(cells.table(some), keys[some], pool)
            bounds = np.mean([_bounds(x, halves[some], certificates) for x in turns], axis=0)
            sums = sums.merge(sums.of_only(bounds))
    low, high = sums.bounds("floor_low", "floor_high", level=level)
    most = float(np.log(k))
    low, high = max(low, 0.0), min(high, most)
    middle = np.clip([sums.mean("floor_low"), sums.mean("floor_high")], 0.0, most).mean()
    wide = high - low > middle
    floor = Estimate(None, None, None, level, "nat", n, name="floor")
    if low > high:
        return None
    how = CERTIFIED.format("" if pool is None else POOLED.format(pool))
    how += WIDE if wide else MIDDLE
    return floor.ranged(low, high, how, None if wide else float(middle))


def _draws(table: Counts, keys: Keys, pool: int | None) -> list[Counts]:
    """Votes that are independent draws; of a pool several draws that are made of the same votes."""
    if pool is None:
        return [table]
    return [with_replacement(table, pool, keys, turn=turn) for turn in range(TURNS)]


def _bounds(
    table: Counts, halves: NDArray[Any], certificates: list[tuple[Certificate, Floats]]
) -> Floats:
    """(n, 2) bounds of items, each by the certificate that was trained without its fold."""
    bounds = np.empty((len(table), 2))
    for fold, (certificate, frequencies) in enumerate(certificates):
        rows = halves == fold
        prior = np.broadcast_to(frequencies, (int(rows.sum()), table.shape[1]))
        bounds[rows] = np.stack(certificate.row_bounds(table[rows], prior), axis=1)
    return bounds


def _trained(
    cells: Cells, chosen: NDArray[np.bool_], keys: Keys, pool: int | None
) -> tuple[Certificate, Floats]:
    """A certificate of some items, and the class frequencies that stand for Q in it."""
    most = sample_size(cells.n_classes)
    if chosen.sum() > most:
        limit = np.partition(keys[chosen], most)[most]
        chosen = chosen & (keys < limit)
    some = cells.of_items(chosen)
    frequencies = some.by_class(some.count.astype(np.float64)) + 1.0
    frequencies /= frequencies.sum()
    table = _draws(some.table(slice(0, len(some.votes))), keys[chosen], pool)[0]
    return train_certificate(table, np.tile(frequencies, (len(table), 1))), frequencies
