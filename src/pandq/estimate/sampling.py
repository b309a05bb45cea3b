"""Which rows are trained on: a sample in which rare classes are, and its folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandq.read.chunks import Chunk
    from pandq.results.decomposition import LabelType
    from pandq.sums.sample import Sample

from typing import TYPE_CHECKING

from pandq.core.hashing import fold_of, hash_rows, mix
from pandq.sums.sample import Sample
from pandq.views import Counts, Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


# Recalibration maps are cross-fitted in this many folds; certificates in two.
FOLDS = 5
# Fewer rows than this leave folds too small for anything that is trained on them.
MIN_ROWS = 50
# A cluster is never split between folds, so there must be some for each.
MIN_CLUSTERS = 20
SAMPLE_ROWS = 50_000
SAMPLE_NUMBERS = 1 << 22
SAMPLE_LEAST = 200
# Fewer rows of a class than this would not help a map.
LEAST_OF_CLASS = 16


def sample_of(size: int, chunk: Chunk, *, of_rows: int | None = None) -> Sample:
    """The rows of a chunk that training may need, as a Sample.

    Args:
        size: of the whole sample.
        chunk: rows of P and Q.
        of_rows: how many rows there are in all, where that is known: most of a chunk then has
            keys so large that it cannot be in the sample, and is not looked at.

    Returns:
        A Sample of the rows of smallest keys, and of at least some of each class of P, with columns
        p, log_q, unit (the hashed id of the row or its cluster), content (a hash of Q's row),
        weight, and best_log_q where there is another model's Q.
    """
    least = least_of_class(size, chunk.q.n_classes or 1) if of_rows is None or of_rows > size else 0
    strata, seen = _strata(chunk, least)
    share = np.full(len(seen), _share(size, of_rows or len(chunk)))
    if least:
        share = np.maximum(share, _share(least, np.maximum(seen, 1)))
    few = np.flatnonzero(chunk.keys <= (share * (2**64 - 1025)).astype(np.uint64)[strata])
    unit = chunk.keys if chunk.clusters is None else chunk.clusters
    columns: dict[str, NDArray[Any]] = {
        "p": _p_rows(chunk.p[few]),
        "log_q": chunk.q[few].law().log_prob,
        "unit": unit[few],
        "content": hash_rows(chunk.q[few].array),
        "weight": np.ones(len(few)) if chunk.weights is None else chunk.weights[few],
    }
    if chunk.best_q is not None:
        columns["best_log_q"] = chunk.best_q[few].law().log_prob
    for place, rival in enumerate(chunk.rivals):
        columns[rival_name(place)] = rival[few].law().log_prob
    blank = Sample.empty(size, least)
    return blank.of_only(chunk.keys[few], chunk.start + few, columns, strata[few], seen)


def _share(wanted: int, of: Any) -> Any:
    """The keys below which the wanted rows lie, and eight standard deviations more."""
    return np.minimum((wanted + 8 * np.sqrt(wanted)) / of, 1.0)


def _strata(chunk: Chunk, least: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row's stratum, P's top class with the ties apart, and how many rows each has."""
    k = chunk.q.n_classes or 1
    if not least:
        return np.zeros(len(chunk), np.int64), np.full(1, len(chunk))
    if isinstance(chunk.p, Labels):
        strata = chunk.p.array.astype(np.int64)
    else:
        p = chunk.p.array
        tied = (p == p.max(axis=1, keepdims=True)).sum(axis=1) > 1
        strata = np.where(tied, k, p.argmax(axis=1))
    return strata, np.bincount(strata, minlength=k + 1)


def least_of_class(size: int, n_classes: int) -> int:
    """How many rows of each class to train on at least, where it has so many; 0 for many classes.

    >>> least_of_class(50_000, 2), least_of_class(50_000, 10), least_of_class(4_000, 1_000)
    (500, 312, 0)
    """
    each = min(500, size // (16 * n_classes))
    return each if each >= LEAST_OF_CLASS else 0


def weights_of(sample: Sample) -> Floats:
    """Each row's weight in training: its own, and what a class that is drawn more often takes."""
    weights: Floats = sample.columns["weight"] * sample.inverse_share
    return weights


def rival_name(place: int) -> str:
    """The column of a Sample that holds a rival's log-probabilities."""
    return f"log_q of rival {place}"


def sample_size(n_classes: int) -> int:
    """How many rows to train on: bounded in rows and in bytes.

    >>> sample_size(10), sample_size(100_000)
    (50000, 200)
    """
    return max(min(SAMPLE_ROWS, SAMPLE_NUMBERS // n_classes), SAMPLE_LEAST)


def label_type_of(p_kind: str, most_votes: float, *, one_class: bool = False) -> LabelType:
    """What P lets one say of its own entropy; of `one_class` in every row it is labels.

    >>> label_type_of("counts", 3), label_type_of("counts", 1)
    ('votes', 'labels')
    >>> label_type_of("probs", 0), label_type_of("probs", 0, one_class=True)
    ('full', 'labels')
    """
    if p_kind == "labels":
        return "labels"
    if p_kind == "counts":
        return "votes" if most_votes > 1 else "labels"
    return "labels" if one_class else "full"


def folds_of(unit: Keys, n_folds: int, seed: int) -> NDArray[np.intp]:
    """Folds by the hash of the row's (or its cluster's) id, never by its position."""
    salt = mix(np.full(1, (seed << 8) + n_folds, np.uint64))
    return fold_of(unit ^ salt, n_folds)


def _p_rows(p: View) -> NDArray[Any]:
    return p.array if isinstance(p, Labels | Counts) else p.law().prob


def shares_of(p: NDArray[Any]) -> NDArray[Any]:
    """Labels as they are; votes and probabilities as rows that sum to one to the last bit."""
    return p if p.ndim == 1 else p / p.sum(axis=1, keepdims=True, dtype=np.float64)


def reasons_to_stop(sample: Sample, n_classes: int) -> list[str]:
    """Why there is no decomposition; the other parts of a report can still be made."""
    if n_classes < 2:
        return ["one class only: there is nothing to decompose"]
    if len(sample) < MIN_ROWS:
        few = (
            f"too few rows to say what the loss is made of: {len(sample)}, and it takes {MIN_ROWS}"
        )
        return [f"{few}; the averages and their intervals stand"]
    clusters = len(np.unique(sample.columns["unit"]))
    if clusters < MIN_CLUSTERS:
        few = f"too few clusters to say what the loss is made of: {clusters}"
        return [f"{few}, and it takes {MIN_CLUSTERS}"]
    return []
