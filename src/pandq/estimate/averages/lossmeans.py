"""Averages of losses, which may be infinite in some rows, beside what is finite in all of them.

A row in which Q rules out what happened (q = 0 < p) was chosen by its outcome: an average over the
other rows is no estimate of anything. So the mean of a loss is infinite as soon as one row is, what
is finite is averaged over every row, and the mean over the finite rows is only ever shown beside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.columns import Columns
from pandq.estimate.averages.intervals import OF_THE_OUTCOME, added_by_an_error, unseen
from pandq.estimate.averages.means import GroupMeans, Means
from pandq.results.estimate import Estimate
from pandq.rows import by_top
from pandq.sums.groups import union
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pandq.estimate.averages.votemeans import Answers
    from pandq.sums.groups import GroupMoments
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

RIGHT = "expected_accuracy"
# A mean of ones, by weights that rounding has touched.
ALL = 1 - 1e-12
UNSEEN = "more where Q is wrong, as in no row that was seen"
FINITE_PART = "mean over the rows where it is finite, which their outcomes chose"


@summary
class LossMeans(Summary):
    """A Summary: means of `losses` over the rows where all are finite, and of `others` over all.

    >>> blank = LossMeans.empty(("loss",), ("entropy",))
    >>> rows = blank.of_only(np.array([[1.0], [np.inf]]), np.array([[0.2], [0.4]]))
    >>> rows.estimate("loss", level=0.95).value, rows.estimate("entropy", level=0.95).value
    (inf, 0.30000000000000004)
    """

    losses: Means
    others: Means

    @classmethod
    def empty(
        cls,
        losses: tuple[str, ...],
        others: tuple[str, ...],
        *,
        replicates: int = 0,
        seed: int = 0,
        of_votes: tuple[str, ...] = (),
    ) -> Self:
        """No rows; `of_votes` as of Means."""
        drawn: dict[str, Any] = {"replicates": replicates, "seed": seed, "of_votes": of_votes}
        return cls(Means.empty(losses, **drawn), Means.empty(others, **drawn))

    def of_only(
        self,
        losses: Floats | Columns,
        others: Floats | Columns,
        w: Floats | None = None,
        *,
        clusters: Keys | None = None,
        keys: Keys | None = None,
        answers: Answers | None = None,
    ) -> Self:
        """(n, d) values that may be infinite, (n, e) finite ones, and what belongs to the rows."""
        losses, kept = _finite(losses, w)
        finite = self.losses.of_only(
            losses[kept], _of(w, kept), clusters=_of(clusters, kept), keys=_of(keys, kept)
        )
        every = self.others.of_only(others, w, clusters=clusters, keys=keys)
        if answers is not None and finite.votes is not None and every.votes is not None:
            of_finite, of_all = answers.over((finite.votes, every.votes), kept)
            finite, every = replace(finite, votes=of_finite), replace(every, votes=of_all)
        return type(self)(finite, every)

    @property
    def n_annotators(self) -> int:
        """How many annotators the intervals allow for; 0 where they are not known."""
        of = (
            means.n_annotators(name) for means in (self.losses, self.others) for name in means.names
        )
        return max(of, default=0)

    @property
    def n(self) -> int:
        """How many rows."""
        return self.others.n

    @property
    def weight(self) -> float:
        """Their total weight."""
        return self.others.moments.weight

    @property
    def n_infinite(self) -> int:
        """How many rows of positive weight have an infinite loss."""
        return self.others.n - self.losses.n

    def mean(self, name: str) -> float:
        """The weighted mean of one quantity."""
        if name in self.others.names:
            return self.others.mean(name)
        return np.inf if self.n_infinite else self.losses.mean(name)

    def estimate(
        self,
        name: str,
        *,
        level: float,
        unit: str | None = None,
        method: str = "mean over rows",
        of: str = "",
    ) -> Estimate:
        """One mean with its interval, `of` as of Means; infinite where a row's loss is.

        KL of one label a row is the cross entropy, and so is its interval. Where Q was right in
        every row, the upper end allows for rows in which it is not, of which none was seen.
        """
        if name == "kl" and self._one_label_a_row:
            same = self.estimate("cross_entropy", level=level, unit=unit, method=method)
            return replace(same, name=name)
        if self.n_infinite and name not in self.others.names:
            how = f"infinite: q = 0 < p in {self.n_infinite} rows"
            return Estimate(np.inf, np.inf, np.inf, level, unit or "nat", self.n, how, of or name)
        means = self.others if name in self.others.names else self.losses
        found = means.estimate(name, level=level, unit=unit, method=method, of=of)
        more = self.unseen(name, level=level)
        return found.reaching(means.mean(name) + more, UNSEEN) if more else found

    @property
    def without_error(self) -> bool:
        """Is it known of all rows that Q's most probable class is right?"""
        known = self.n > 0 and RIGHT in self.others.names
        return known and bool(self.others.mean(RIGHT) >= ALL)

    def unseen(self, name: str, *, level: float) -> float:
        """What wrong rows may add to a mean, of which none was seen; 0 where one was."""
        if not self.without_error or name not in OF_THE_OUTCOME:
            return 0.0
        share = self.others.sampling(RIGHT).unseen(level)
        return share * float(added_by_an_error(name, self.mean(name)))

    @property
    def _one_label_a_row(self) -> bool:
        """Does P say one class in every row?"""
        return "entropy" in self.others.names and self.others.mean("entropy") == 0.0

    def finite_part(self, name: str, *, level: float) -> Estimate | None:
        """The mean of a loss over the rows where it is finite; None where that is all or none."""
        if not self.n_infinite or not self.losses.n:
            return None
        return self.losses.estimate(name, level=level, method=FINITE_PART)

    def bounds(self, low: str, high: str, *, level: float) -> tuple[float, float]:
        """An interval for what lies between two means, which holds it wherever it lies there."""
        if low in self.others.names:
            return self.others.bounds(low, high, level=level)
        return (np.inf, np.inf) if self.n_infinite else self.losses.bounds(low, high, level=level)

    def at_most(self, name: str, *, level: float) -> float:
        """The upper one-sided limit of a mean."""
        means = self.others if name in self.others.names else self.losses
        return np.inf if self.n_infinite and means is self.losses else means.at_most(name, level)


@summary
class GroupLossMeans(Summary):
    """The same for the groups of a column."""

    losses: GroupMeans
    others: GroupMeans

    @classmethod
    def empty(
        cls, losses: tuple[str, ...], others: tuple[str, ...], *, numbered: bool = False
    ) -> Self:
        """No groups; `numbered` as of GroupMeans."""
        return cls(*(GroupMeans.empty(names, numbered=numbered) for names in (losses, others)))

    def of_only(
        self,
        codes: NDArray[np.intp],
        groups: tuple[str, ...] | range,
        losses: Floats | Columns,
        others: Floats | Columns,
        w: Floats | None = None,
        *,
        clusters: Keys | None = None,
    ) -> Self:
        """Rows whose group is groups[codes]: (n, d) losses, (n, e) finite values."""
        losses, kept = _finite(losses, w)
        some: tuple[GroupMoments | None, GroupMoments | None] = None, None
        if isinstance(kept, slice):
            # of the same rows: both are added up at once
            both = Columns.of(losses) + Columns.of(others)
            some = self.losses.moments.of_only(codes, groups, both, w).split(losses.shape[1])
        of_losses = codes[kept], groups, losses[kept], _of(w, kept)
        return type(self)(
            self.losses.of_only(*of_losses, clusters=_of(clusters, kept), moments=some[0]),
            self.others.of_only(codes, groups, others, w, clusters=clusters, moments=some[1]),
        )

    def of_only_by_top(
        self,
        view: View,
        tops: NDArray[Any],
        losses: Floats | Columns,
        others: Floats | Columns,
        w: Floats | None = None,
        *,
        clusters: Keys | None = None,
    ) -> Self:
        """Rows by a view's most probable class; where several are, the row counts its share."""
        rows, codes, w = by_top(view, tops, w)
        classes = range(view.n_classes or 1)
        return self.of_only(
            codes, classes, losses[rows], others[rows], w, clusters=_of(clusters, rows)
        )

    @property
    def n_infinite(self) -> NDArray[np.int64]:
        """(G,) how many rows of positive weight of each group have an infinite loss."""
        finite = np.zeros_like(self.others.moments.n)
        finite[self._places] = self.losses.moments.n
        return self.others.moments.n - finite

    def finite_mean(self, name: str) -> Floats:
        """(G,) the mean of a loss over the rows where it is finite; infinite where it is in all."""
        found = np.full(len(self.others.moments.n), np.inf)
        found[self._places] = self.losses.moments.mean[:, self.losses.names.index(name)]
        return found

    def ends(self, names: Sequence[str], *, level: float) -> dict[str, tuple[Floats, ...]]:
        """(G,) each group's `LossMeans.estimate`: values and the ends of their intervals."""
        always = [name for name in names if name in self.others.names]
        found = self.others.ends(always, level=level)
        found |= self.losses.ends([name for name in names if name not in always], level=level)
        infinite = self.n_infinite > 0
        for name in names:
            if name not in always:
                every = np.full((3, len(infinite)), np.inf)
                every[:, self._places] = found[name]
                every[:, infinite] = np.inf
                found[name] = tuple(every)
        found |= self._with_unseen({x: found[x] for x in names if x in OF_THE_OUTCOME}, level)
        if "kl" in found and "entropy" in self.others.names:
            one_label = self.others.moments.mean[:, self.others.names.index("entropy")] == 0.0
            both = zip(found["cross_entropy"], found["kl"], strict=True)
            found["kl"] = tuple(np.where(one_label, loss, kl) for loss, kl in both)
        return found

    def _with_unseen(
        self, found: dict[str, tuple[Floats, ...]], level: float
    ) -> dict[str, tuple[Floats, ...]]:
        """Upper ends that allow for wrong rows, of which none was seen, as those of LossMeans."""
        if RIGHT not in self.others.names:
            return found
        place = self.others.names.index(RIGHT)
        right = self.others.moments.mean[:, place] >= ALL
        share = unseen(self.others.moments.spread(place)[1][right], level)

        def allowing(name: str, mean: Floats, low: Floats, high: Floats) -> tuple[Floats, ...]:
            high = high.copy()
            up = mean[right] + share * added_by_an_error(name, mean[right])
            high[right] = np.maximum(high[right], up)
            return mean, low, high

        return {name: allowing(name, *each) for name, each in found.items()}

    @property
    def _places(self) -> Any:
        """Where the groups that have finite losses are among all."""
        return union(self.others.moments.names, self.losses.moments.names)[1]

    def groups(self) -> Iterator[tuple[str, LossMeans]]:
        """Each group's own LossMeans, in order of appearance."""
        finite = dict(self.losses.groups())
        for name, others in self.others.groups():
            losses = finite[name] if name in finite else Means.empty(self.losses.names)
            yield name, LossMeans(losses, others)


def infinite_difference(found: Estimate, q: int, against: int) -> Estimate:
    """A difference where a loss is infinite: no average over the other rows takes its place.

    Args:
        found: the difference over the rows where both are finite.
        q: in how many rows the loss is infinite from which the other is taken.
        against: in how many the other is.
    """
    method = f"q = 0 < p: infinite in {q} rows of one, {against} of the other"
    if q and against:
        how = f"{method}; infinite less infinite"
        return found.ranged(None, None, how)
    end = np.inf if q else -np.inf
    return replace(found.ranged(end, end, method, end), identified=True)


def _finite(losses: Floats | Columns, w: Floats | None) -> tuple[Floats | Columns, Any]:
    """The losses with 0 where a row of no weight is infinite, and which rows to average."""
    columns = Columns.of(losses)
    if np.isfinite(columns.sums()).all():
        return losses, slice(None)
    finite = np.ones(len(losses), np.bool_)
    for column in columns.distinct()[0].T:
        finite &= np.isfinite(column)
    if finite.all():
        return losses, slice(None)
    if w is not None:
        idle = ~finite & (w == 0)
        losses, finite = np.where(idle[:, None], 0.0, np.asarray(losses)), finite | idle
    return losses, finite


def _of(x: Any, kept: Any) -> Any:
    return None if x is None else x[kept]
