"""Squared scores in parts: the Brier score and, of ordered classes, the ranked probability score.

Both are expected squared errors of the probabilities of some events: that the label is a class, or
that it is a class or one before. With x the events' probabilities under P, y those under Q and c
those after recalibration

    E |y - event|^2 = E x (1 - x) + E |c - x|^2 + (E |y - x|^2 - E |c - x|^2)
                      floor         grouping loss  calibration loss

and two votes of a row say what x (1 - x) is without bias: half as often as they disagree about the
event, it is. One label a row leaves floor and grouping loss open.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from pandq.core import scores
from pandq.estimate.averages.means import Means
from pandq.estimate.averages.votemeans import Answers, VoteMeans
from pandq.views import Counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.decomposition.rowparts import RowParts, Squares
    from pandq.estimate.decomposition.trained import Trained
    from pandq.read.chunks import Chunk, VotesOfRows
    from pandq.results.decomposition import LabelType
    from pandq.results.estimate import Estimate

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

BRIER, RPS = "brier", "rps"
# of a score less its floor, what is left before and after recalibration
_PARTS = ("floor", "calibration_loss", "grouping_loss", "above")
# What holds of annotators that were drawn, whether they are all that there are or not.
_OF_ANYONE = (BRIER, RPS, "calibration_loss")
KNOWN = "mean over rows with a full P or two votes; the floor is unbiased"
OF_LABELS = "mean over rows; of one label a row the floor is not identified"
# What is this share of a loss is what is left of equal numbers.
ROUNDING = 1e-12


def score_means(score: str, *, pooled: bool = False, replicates: int = 0, seed: int = 0) -> Means:
    """No rows of a score and its parts.

    The floor for a few people, who are all that there are, varies with rows alone.
    """
    names = _names(score)
    of_votes = [name for part, name in names.items() if not pooled or part in _OF_ANYONE]
    drawn = {"replicates": replicates, "seed": seed}
    return Means.empty(tuple(names.values()), of_votes=tuple(of_votes), **drawn)


def _names(score: str) -> dict[str, str]:
    """What a score and its parts are called among means, by the parts' own names."""
    # the parts of a score are no parts of the loss, whatever they have in common
    return {score: score} | {part: f"{part} of {score}" for part in _PARTS}


def scored_rows(blank: Means, chunk: Chunk, found: RowParts, trained: Trained, unit: Keys) -> Means:
    """A score's parts of one chunk, over the rows of which its floor is identified.

    Args:
        blank: of `score_means`.
        chunk: rows of P and Q.
        found: what is known of them before and after recalibration.
        trained: the maps.
        unit: (n,) what is never split between folds.

    Returns:
        The sums over rows with two votes or a full P; of one label a row over all, with no floor,
        and none of the Brier score.
    """
    score = blank.names[0]
    squares = None if trained.label_type == "labels" else found.of_classes
    if score == RPS:
        squares = trained.ranked(chunk.p, chunk.q, unit)
    if squares is None:
        return blank.of_only(np.empty((0, len(blank.names))))
    kept, larger = _counted(chunk, trained)
    means = blank.of_only(
        _parts(squares, larger)[kept],
        None if chunk.weights is None else chunk.weights[kept],
        clusters=None if chunk.clusters is None else chunk.clusters[kept],
        keys=chunk.keys[kept],
    )
    answers = Answers.of(chunk, partial(_of_votes, chunk=chunk, trained=trained, score=score))
    if answers is None or means.votes is None:
        return means
    of_kept, _ = answers.over((means.votes, VoteMeans.empty(())), kept)
    return replace(means, votes=of_kept)


def _parts(squares: Squares, larger: Floats) -> Floats:
    """(n, 5): a score and its parts, in the order of their names."""
    before, after, floor = squares.before, squares.after, squares.own * larger
    return np.stack([before, floor, before - after, after - floor, before - floor]).T


def _counted(chunk: Chunk, trained: Trained) -> tuple[NDArray[np.bool_], Floats]:
    """Which rows count, and how many times the shares' own x (1 - x) the floor is in each."""
    every = np.ones(len(chunk), dtype=bool)
    if trained.label_type == "labels":
        return every, np.zeros(len(chunk))
    if not isinstance(chunk.p, Counts):
        return every, np.ones(len(chunk))
    # unbiased: of m votes, the share of ordered pairs that disagree
    m = chunk.p.votes
    larger = m / np.maximum(m - 1.0, 1.0)
    if trained.bounding.pool is not None:
        # two draws with replacement are by one person in one case of N, and then agree
        larger = larger * (1.0 - 1.0 / trained.bounding.pool)
    return m > 1, larger


def _of_votes(
    votes: VotesOfRows, *, chunk: Chunk, trained: Trained, score: str
) -> dict[str, Floats]:
    """What each vote adds to a score and its parts: (m,) by name.

    Of x (1 - x) of a row's shares x this is f + f'(e - x) = (e - x)^2, with e the vote.
    """
    rows, unit = votes.rows, trained.unit_of(votes.rows)
    said = np.eye(chunk.q.n_classes, dtype=np.int64)[rows.p.array]
    shares = chunk.p[votes.row].law().prob
    alone = Counts.trusted(said, chunk.q.n_classes)
    if score == RPS:
        squares = trained.ranked(alone, rows.q, unit)
        apart = scores.cumulative(said.astype(np.float64)) - scores.cumulative(shares)
    else:
        of_counts = trained.parts(alone, rows.q, trained.recalibration, unit)
        squares = cast("Squares", of_counts.of_classes)
        apart = said - shares
    own = np.square(apart).sum(axis=1)
    larger = _counted(chunk, trained)[1][votes.row]
    found = _parts(squares._replace(own=own), larger)
    return dict(zip(_names(score).values(), found.T, strict=True))


def score_parts(
    means: Means, label_type: LabelType, *, won: bool, doubted: bool, level: float
) -> dict[str, Estimate]:
    """A score and its parts, what a doubt leaves of them; they add up.

    Where no map gains anything there is none, as for the loss. An unbiased floor above the score
    is cut to it, as no grouping loss is below 0.

    Args:
        means: of all rows; none where the score is not known.
        label_type: what P is.
        won: whether a map gained anything of the loss.
        doubted: whether pairs of votes tell nothing of the floor, or Q has seen them.
        level: of the intervals.
    """
    if not means.n:
        return {}
    score, of_labels = means.names[0], label_type == "labels"
    how = OF_LABELS if of_labels else KNOWN
    found = {
        part: replace(means.estimate(name, level=level, unit="", method=how), name=part)
        for part, name in _names(score).items()
    }
    above = found.pop("above")
    if not won:
        found["grouping_loss"] = replace(above, name="grouping_loss")
        found["calibration_loss"] = replace(found["calibration_loss"], value=0.0, low=0.0, high=0.0)
    grouping_loss, floor = found["grouping_loss"], found["floor"]
    left = grouping_loss.value or 0.0
    if left < 0:
        found["floor"] = replace(floor, value=(floor.value or 0.0) + left)
        found["grouping_loss"] = replace(grouping_loss, value=0.0)
    found |= {name: _cut(found[name]) for name in ("floor", "grouping_loss")}
    found["grouping_loss"] = above_rounding(found["grouping_loss"], found[score])
    untold = ("floor", "grouping_loss") if doubted or of_labels else ()
    return {name: part for name, part in found.items() if name not in untold}


def _cut(part: Estimate) -> Estimate:
    """A part of a score with bounds that hold its point, and are not negative."""
    value = part.value or 0.0
    low, high = (value if x is None else x for x in (part.low, part.high))
    return replace(part, low=min(max(low, 0.0), value), high=max(high, value))


def above_rounding(part: Estimate, of: Estimate) -> Estimate:
    """What a loss leaves above P's own part: 0 where that is what is left of equal numbers."""
    if part.high is not None and part.high <= ROUNDING * (of.value or 0.0):
        return replace(part, value=0.0, low=0.0, high=0.0)
    return at_least_zero(part)


def at_least_zero(part: Estimate) -> Estimate:
    """A part whose interval is not negative."""
    return replace(part, low=None if part.low is None else max(part.low, 0.0))
