"""What an ensemble does not know, apart from what cannot be known: sums over rows."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core import measures
from pandq.core.scores import top_class
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.means import GroupMeans, Means
from pandq.results.uncertainty import SPLIT
from pandq.rows import by_top
from pandq.sums.summary import Summary, merged_by, summary
from pandq.sums.tallies import WorstRows
from pandq.views import Counts, Ensemble, Labels, geometric, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.read.chunks import Chunk
    from pandq.views import View

    Rows = NDArray[np.float64]

AVERAGED = ("member", "averaged_probabilities", "averaged_logits")
PEOPLE = ("aleatoric", "p_entropy", "gap")
DETAILS = (*SPLIT, "q_class")
# Edges of the bins of claimed epistemic uncertainty, nats: half a decade each.
EDGES = tuple(float(10**x) for x in np.arange(-4.0, 0.51, 0.5))


def bin_names(unit_scale: float = 1.0) -> tuple[str, ...]:
    """The bins' names, in their order."""
    ends = [f"{x * unit_scale:.2g}" for x in EDGES]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
    return (f"below {ends[0]}", *between, f"above {ends[-1]}")


@summary
class MemberSums(Summary):
    """Sums over rows of an ensemble.

    `split` are the entropies; `averaged` the losses of a member taken at random and of the means of
    probabilities and of logits; `people` the aleatoric part beside people's own entropy;
    `curve` the claimed epistemic part beside the measured distance from P, by bins of the claim.
    """

    members: int = merged_by(max)
    split: Means
    averaged: Mapping[str, LossMeans]
    people: Means
    curve: GroupLossMeans
    classes: GroupMeans
    groups: Mapping[str, GroupMeans]
    most_epistemic: WorstRows
    most_aleatoric: WorstRows

    @classmethod
    def empty(cls, *, by: Sequence[str] = (), worst: int = 10) -> Self:
        """No rows."""
        return cls(
            members=0,
            split=Means.empty(SPLIT),
            averaged={name: LossMeans.empty((name,), ()) for name in AVERAGED},
            people=Means.empty(PEOPLE),
            curve=GroupLossMeans.empty(("measured",), ("claimed",)),
            classes=GroupMeans.empty(SPLIT, numbered=True),
            groups={name: GroupMeans.empty(SPLIT) for name in by},
            most_epistemic=WorstRows.empty(worst, len(DETAILS)),
            most_aleatoric=WorstRows.empty(worst, len(DETAILS)),
        )

    def merge(self, other: Self) -> Self:
        """Both together; of what is no ensemble there is nothing."""
        if not self.members or not other.members:
            return self if self.members else other
        return Summary.merge(self, other)

    def of_only(self, chunk: Chunk) -> Self:
        """The sums of one chunk; nothing, where Q is one distribution per row."""
        q = chunk.q
        if not isinstance(q, Ensemble):
            nothing: Self = _nothing(type(self), tuple(self.groups), self.most_epistemic.k)
            return nothing
        total, aleatoric, epistemic = split(q.array)
        x = np.stack([total, aleatoric, epistemic], axis=1)
        some: dict[str, Any] = {"w": chunk.weights, "clusters": chunk.clusters}
        mean = q.law()
        top = top_class(mean)
        rows, codes, shares = by_top(q, top, chunk.weights)
        row = np.arange(chunk.start, chunk.start + len(chunk))
        details = np.column_stack([x, top])
        people = people_entropy(chunk.p)
        known = np.isfinite(people)
        beside = np.stack([aleatoric, people, aleatoric - people], axis=1)
        measured, kept = distance(chunk.p, mean)
        bins = np.searchsorted(EDGES, epistemic[kept], side="right").astype(np.intp)
        claim = measured[kept][:, None], epistemic[kept][:, None]
        classes = range(q.n_classes or 1)
        return type(self)(
            members=q.n_members,
            split=self.split.of_only(x, **some),
            averaged={
                name: self.averaged[name].of_only(loss[:, None], np.empty((len(loss), 0)), **some)
                for name, loss in zip(AVERAGED, _averaged(chunk.p, q, mean).T, strict=True)
            },
            people=self.people.of_only(beside[known], **_of(some, known)),
            curve=self.curve.of_only(bins, bin_names(), *claim, **_of(some, kept)),
            classes=self.classes.of_only(
                codes, classes, x[rows], shares, clusters=_of(some, rows)["clusters"]
            ),
            groups={
                name: self.groups[name].of_only(codes, names, x, **some)
                for name, (codes, names) in chunk.groups.items()
                if name in self.groups
            },
            most_epistemic=self.most_epistemic.of_only(epistemic, row, details, chunk.ids),
            most_aleatoric=self.most_aleatoric.of_only(aleatoric, row, details, chunk.ids),
        )


@lru_cache(maxsize=4)
def _nothing(kind: Any, by: tuple[str, ...], worst: int) -> Any:
    """Of rows that are no ensemble: the same for all chunks, which nothing changes."""
    return kind.empty(by=by, worst=worst)


def people_entropy(p: View) -> Rows:
    """The entropy of each row's P, (n,) nats; nan where it is not to be had, as for one label.

    Of votes, with the Miller-Madow correction (classes seen - 1) / (2 votes): the plug-in entropy
    of few votes is too low (Miller 1955).
    """
    if isinstance(p, Labels):
        return np.full(len(p), np.nan)
    h = measures.entropy(p.law())
    if isinstance(p, Counts):
        seen, votes = (p.array > 0).sum(axis=1), p.votes
        h = np.where(votes >= 2, h + (seen - 1) / (2 * votes), np.nan)
    return h


def distance(p: View, q: Law) -> tuple[Rows, NDArray[np.bool_]]:
    """How far Q is from P in each row, and in which rows that can be said.

    KL(P||Q), nats, where P is a distribution. Of two or more votes the squared distance
    sum (p - q)^2, which pairs of votes estimate without bias; its KL is not identified. One
    label says neither.
    """
    if isinstance(p, Labels):
        return np.zeros(len(p)), np.zeros(len(p), dtype=bool)
    if isinstance(p, Counts):
        n, votes = p.array.astype(np.float64), p.votes
        kept = votes >= 2
        safe = np.maximum(votes, 2.0)[:, None]
        terms = n * (n - 1) / (safe * (safe - 1)) - 2 * q.prob * n / safe + np.square(q.prob)
        return terms.sum(axis=1), kept
    return measures.kl_divergence(p.law(), q), np.ones(len(p), dtype=bool)


def _averaged(p: View, q: Ensemble, mean: Law) -> Rows:
    """Losses of a random member, the mean of probabilities and the mean of logits, (n, 3)."""
    if isinstance(p, Labels):
        place = np.arange(len(p))
        members = -q.array[place, :, p.array].mean(axis=1)
        averaged = -mean.log_prob[place, p.array]
    else:
        law = p.law()
        with np.errstate(invalid="ignore"):
            terms = np.where(law.prob[:, None, :] > 0, law.prob[:, None, :] * -q.array, 0.0)
        members = terms.sum(axis=2).mean(axis=1)
        averaged = measures.cross_entropy(law, mean)
    # the identity: the mean of logits has as much less loss as the members lie apart from it
    _, won = geometric(q.array)
    with np.errstate(invalid="ignore"):
        logits = np.where(np.isinf(members), np.inf, members - won)
    return np.stack([members, averaged, logits], axis=1)


def _of(some: dict[str, Any], kept: Any) -> dict[str, Any]:
    return {name: None if x is None else x[kept] for name, x in some.items()}
