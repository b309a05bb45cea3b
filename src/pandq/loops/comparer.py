"""Comparer: a comparison of models whose rows come batch by batch and are never all there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pandq.comparisons import Asked, bounded, compared
from pandq.engines.run import Run
from pandq.errors import InputError
from pandq.estimate.comparison.bounded import BoundedSums
from pandq.estimate.comparison.called import named, names_of
from pandq.estimate.comparison.firstpass import ComparisonSums, require_reference, sampled_of
from pandq.estimate.comparison.idle import partly_known
from pandq.estimate.passes import require_laws
from pandq.loops.fed import Fed, sampled
from pandq.read.chunks import views_scan
from pandq.read.texts import texts
from pandq.report.shown import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from pandq.loops.batches import Like
    from pandq.loops.kept import Held
    from pandq.loops.state import State
    from pandq.read.chunks import Chunk
    from pandq.units import Unit


Sums = ComparisonSums | BoundedSums


class Comparer(Fed[Sums, Comparison]):
    """A comparison that is fed batch by batch, with the options of `pandq.compare`.

    Averages, differences, groups, classes, clusters, quantiles and the rows where models differ
    most are over all rows that have come. What recalibration does to a difference is over a sample
    that is kept, as for an `Auditor`. Of a TopK there are bounds of each divergence, and no row is
    kept.

    Args:
        names: what to call the models.
        by: names of the columns of groups that every batch brings.
        classes: class names, for the report.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of the folds.
        decompose: whether to keep rows and split differences into grouping and calibration loss.
        worst: how many rows to show in either direction.
        ordered: whether the classes are in their order (grades, stars): the ranked probability
            score besides, and maps that respect the order.
        unique: whether a row whose id has come before is left out; 8 bytes for each row.
        q_floor: where P or Q is a TopK, a probability that Q gives every class at least.

    Raises:
        InputError: no comparison could be made with these.

    >>> import pandq
    >>> comparer = pandq.Comparer(names=["old", "new"])
    >>> y, old = pandq.Labels([0, 1]), pandq.Probs([[0.9, 0.1], [0.2, 0.8]])
    >>> comparer.update(y, old, pandq.Probs([[0.8, 0.2], [0.3, 0.7]]))
    >>> print(comparer.result().differences[0].cross_entropy)
    difference 0.126 nat [-0.408, 0.226]
    """

    KIND = "comparer"
    SCHEMA = "pandq/comparer/1"

    def __init__(
        self,
        *,
        names: Sequence[str] | None = None,
        by: Sequence[str] = (),
        classes: Sequence[str] | None = None,
        unit: Unit = "nat",
        level: float = 0.95,
        seed: int = 0,
        decompose: bool = True,
        worst: int = 10,
        ordered: bool = False,
        unique: bool = False,
        q_floor: float | None = None,
    ) -> None:
        self._q_floor = q_floor
        self._called = None if names is None else texts("names", names)
        self._asked = Asked(unit, level, seed, decompose, worst, ordered=ordered)
        super().__init__(by, classes, unique=unique)

    def update(
        self,
        p: object,
        *qs: object,
        labels: object = None,
        control: object = None,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        n_bytes: ArrayLike | None = None,
    ) -> None:
        """One more batch of rows; where it cannot be used all stays as it was.

        Args:
            p: a view of what is true, or of a reference model.
            qs: views of two or more models' predictions; one is enough where P is a full
                distribution.
            labels: Labels beside a P that is a reference's.
            control: a view of the reference run a second time.
            by: the groups' arrays of n values each, by name.
            cluster: (n,) values that say which rows belong together.
            ids: (n,) names of the rows; their numbers from 0 when left out.
            weights: (n,) row weights, not negative.
            n_bytes: (n,) how many bytes of text each row is, for bits per byte.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: the rows cannot be used, or are not like those before, or there is nothing
                to compare.
        """
        if not qs:
            raise InputError(what="there is no Q to compare", remedy="update(p, q_a, q_b)")
        given: dict[str, Any] = {"by": by, "cluster": cluster, "ids": ids, "weights": weights}
        given |= {"n_bytes": n_bytes, "control": control}
        q, *rivals = qs
        rows = views_scan(p, q, rivals=rivals, labels=labels, classes=self._classes, **given)
        names_of(rows, self._called)
        if not partly_known(rows):
            require_laws(rows)
            if not rivals:
                require_reference(rows.p.kind)
        self._asked.refuse_idle(rows, self._q_floor)
        self._take(rows)

    def result(self) -> Comparison:
        """What all rows say that have come so far; more may come after it.

        Raises:
            InputError: none has come, or two have one id.
        """
        like, sums = self._state.like, self._state.sums
        if like is None or not isinstance(sums, BoundedSums) or not sums.n:
            return super().result()
        called, notes = named(like.n_models, self._called), self._notes(self._state)
        return bounded(self._asked, called, sums, q_floor=self._q_floor, notes=notes)

    def _options(self) -> dict[str, Any]:
        names = ("unit", "level", "seed", "decompose", "worst", "ordered")
        return {
            "names": None if self._called is None else list(self._called),
            "by": list(self._by),
            "classes": None if self._classes is None else list(self._classes),
            **{name: getattr(self._asked, name) for name in names},
            "unique": self._unique,
            "q_floor": self._q_floor,
        }

    def _blank(self, like: Like | None) -> Sums:
        if like is not None and like.partly:
            return BoundedSums.empty(like.n_models)
        kinds = {} if like is None else dict(like.kinds)
        models = 1 if like is None else like.n_models
        p_kind = kinds.get("p", "labels").partition(" in ")[0]
        about: dict[str, Any] = {"worst": self._asked.worst, "ordered": self._asked.ordered}
        return ComparisonSums.empty(models, p_kind, by=self._by, **about)

    def _wanted(self, like: Like) -> int:
        return sampled_of(like.n_models, like.n_classes) if self._asked.decompose else 0

    def _of(self, blank: Sums, chunk: Chunk) -> Sums:
        if isinstance(blank, BoundedSums):
            return blank.of_only(chunk, q_floor=self._q_floor)
        return blank.of_only(chunk, blank.sample)

    def _found(self, state: State[Sums], rows: Held) -> Comparison:
        size = sampled_of(1 + len(rows.rivals), rows.q.n_classes or 1)
        first = replace(cast("ComparisonSums", state.sums), sample=sampled(rows, size))
        return compared(self._asked, rows, names_of(rows, self._called), first, Run())
