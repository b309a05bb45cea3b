"""VoteMeans: averages as means over votes, and how they vary with who gave these.

A row's cross entropy from votes is the mean of its votes' own, and so is every average that is
linear in the votes' shares, or is taken so close to them. With w the weight of a row of m votes it
is a mean over votes of weight w/m. Rows and annotators each carry an error of their own, so that
the variance is that over rows plus that over annotators, less that over votes, which is in both.

Source: Cameron, Gelbach and Miller 2011, Robust inference with multiway clustering, eq. 2.11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.estimate.averages.intervals import Sampling
from pandq.quantities import DIFFERENCE
from pandq.rows import measure_rows
from pandq.sums.clusters import ClusterTotals
from pandq.sums.moments import Moments
from pandq.sums.summary import Summary, alike, merged_by, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk, VotesOfRows
    from pandq.rows import RowMeasures

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]
    Values = Callable[[VotesOfRows], Mapping[str, Floats]]

# Rows and votes are of one weight, up to the rounding of their sums.
_EQUAL = 1e-9


@summary
class VoteMeans(Summary):
    """Means over votes, and their totals for each annotator: grows with the annotators alone.

    >>> blank = VoteMeans.empty(("loss",))
    >>> x, by = np.array([[1.0], [3.0], [2.0]]), np.array([7, 8, 7], np.uint64)
    >>> votes = blank.of_only(x, np.array([0.5, 0.5, 1.0]), by)
    >>> votes.n_annotators, votes.moments.mean
    (2, array([2.]))
    """

    names: tuple[str, ...] = merged_by(alike)
    moments: Moments
    annotators: ClusterTotals

    @classmethod
    def empty(cls, names: tuple[str, ...]) -> Self:
        """No votes."""
        return cls(names, Moments.empty(len(names)), ClusterTotals.empty(len(names)))

    def of_only(self, x: Floats, w: Floats, annotators: Keys) -> Self:
        """(m, d) values of votes, (m,) weights, and the hashed names of who gave them."""
        one = np.zeros(len(x), np.uint64)
        return type(self)(
            self.names, self.moments.of_only(x, w), self.annotators.of_only(one, annotators, x, w)
        )

    @property
    def n_annotators(self) -> int:
        """How many people gave them."""
        return self.annotators.n_clusters()

    def allow_for(self, name: str, weight: float) -> bool:
        """Is the mean one over votes of at least two people, who are known in all rows?"""
        same = abs(self.moments.weight - weight) <= _EQUAL * weight
        return name in self.names and self.n_annotators > 1 and same

    def crossed(self, found: Sampling, name: str) -> Sampling:
        """What is known of a mean's error, over rows (or clusters) and annotators together."""
        i = self.names.index(name)
        variance, skewness = self.annotators.combined(np.eye(len(self.names))[i])
        people = Sampling(found.mean, variance, self.annotators.effective(), found.n, skewness)
        return found.crossed(people, self.moments.mean_variance(i))


@dataclass(frozen=True, slots=True)
class Answers:
    """The votes of a chunk, and what is measured of each.

    Args:
        chunk: with votes whose annotators are known.
        values: of some of them as rows of one label: (m,) by name.
    """

    chunk: Chunk
    values: Values

    @classmethod
    def of(cls, chunk: Chunk, values: Values) -> Answers | None:
        """None where nothing is known of annotators."""
        return None if chunk.votes is None else cls(chunk, values)

    def over(self, blanks: tuple[VoteMeans, VoteMeans], kept: Any) -> tuple[VoteMeans, VoteMeans]:
        """Means of losses over the votes of the rows that are kept, and of others over all.

        Args:
            blanks: of losses, and of others.
            kept: which rows of the chunk have finite losses, as an index.
        """
        finite = np.zeros(len(self.chunk), bool)
        finite[kept] = True
        losses, others = blanks
        for votes in self.chunk.by_vote():
            found, w = self.values(votes), votes.rows.weights
            some = finite[votes.row]
            of_losses, of_others = (_columns(found, x.names, len(w)) for x in blanks)
            by = votes.annotators
            losses = losses.merge(blanks[0].of_only(of_losses[some], w[some], by[some]))
            others = others.merge(blanks[1].of_only(of_others, w, by))
        return losses, others


def _columns(found: Mapping[str, Floats], names: tuple[str, ...], n: int) -> Floats:
    return np.stack([found[name] for name in names]).T if names else np.empty((n, 0))


# What is a mean over votes, or of which it is known what one vote adds; of the accuracy of the
# majority it is not.
AVERAGES = ("cross_entropy", "entropy", "kl", "expected_accuracy", "brier", "rps")
PARTS = ("cross_entropy", "gain", "refinement_loss")
BOUNDS = tuple(
    f"{part}_{end}" for part in ("floor", "grouping_loss", "kl", "blind") for end in ("low", "high")
)
DIFFERENCES = tuple(
    f"{name}{DIFFERENCE}"
    for name in (*AVERAGES[:1], *AVERAGES[3:], "calibration_loss", "grouping_loss")
)


def averages(votes: VotesOfRows, *, ordered: bool = False) -> dict[str, Floats]:
    """What each vote adds to the averages of an audit, of `ordered` classes or any: (m,) by name.

    Of what is not linear in the shares p of a row's votes, f + f'(e - p) with e the vote: entropy
    and divergence of the shares are the means of these.

    >>> from pandq import Probs, Votes
    >>> from pandq.read.chunks import views_scan
    >>> chunk = views_scan(Votes([["a", "b", "b"]], ["x", "y", "z"]), Probs([[0.5, 0.5]])).whole()
    >>> (votes,) = chunk.by_vote()
    >>> averages(votes)["entropy"].round(3).tolist()
    [1.099, 0.405, 0.405]
    """
    m = measure_rows(votes.rows.p, votes.rows.q, ordered=ordered)
    entropy = 0.0 - np.log(votes.share)
    return {
        "cross_entropy": m.cross_entropy,
        "entropy": entropy,
        "kl": m.cross_entropy - entropy,
        "expected_accuracy": m.expected_accuracy,
        "brier": m.brier,
        **({} if m.rps is None else {"rps": m.rps}),
    }


def difference(against: RowMeasures, q: RowMeasures) -> dict[str, Floats]:
    """What each vote adds to the differences of two models: (m,) by name."""
    scores = ("expected_accuracy", "brier", *(() if q.rps is None else ("rps",)))
    found = {f"{x}{DIFFERENCE}": getattr(q, x) - getattr(against, x) for x in scores}
    return {f"cross_entropy{DIFFERENCE}": apart(against.cross_entropy, q.cross_entropy), **found}


def apart(against: Floats, q: Floats) -> Floats:
    """One loss less the other; two infinite ones are equally bad.

    >>> apart(np.array([1.0, np.inf, 0.0]), np.array([3.0, np.inf, np.inf]))
    array([ 2.,  0., inf])
    """
    with np.errstate(invalid="ignore"):
        return np.where(against == q, 0.0, q - against)
