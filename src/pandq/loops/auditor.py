"""Auditor: an audit of rows that come batch by batch and are never all there."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pandq.auditing import Asked, audited
from pandq.engines.run import Run
from pandq.estimate.firstpass import AuditSums
from pandq.estimate.passes import require_laws
from pandq.estimate.sampling import sample_size
from pandq.loops.batches import afar
from pandq.loops.fed import Fed, sampled
from pandq.read.chunks import views_scan
from pandq.report.shown import Audit
from pandq.views import Linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from pandq.auditing import Floor
    from pandq.estimate.floor.pool import Pool
    from pandq.estimate.passes import Intervals
    from pandq.loops.batches import Like
    from pandq.loops.kept import Held
    from pandq.loops.state import State
    from pandq.read.chunks import Chunk
    from pandq.units import Unit


class Auditor(Fed[AuditSums, Audit]):
    """An audit that is fed batch by batch, with the options of `pandq.audit`.

    Averages, groups, classes, clusters, quantiles and the worst rows are over all rows that have
    come. What needs a second look at the rows (floor, grouping and calibration loss) is over a
    sample that is kept, chosen by the hash of ids, of at most as many as an audit trains on; up to
    that number the result is that of `pandq.audit` of all batches in one. Memory does not grow with
    the rows, but with the annotators where it is known who gave the votes.

    Args:
        by: names of the columns of groups that every batch brings.
        classes: class names, for the report.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of folds and bootstrap.
        decompose: whether to keep rows and take the loss apart.
        floor: "auto" bounds it as far as P allows, "certified" insists on votes, "blind" bounds it
            without a look at Q, which may then have seen the votes.
        min_votes: bound the floor from rows with so many votes or more, and take it for that of
            all rows: right where the number of votes says nothing of the row.
        annotator_pool: how many people there are, of whom each row asked some different ones, or
            "seen", the annotators of P: the floor is then for a randomly chosen one of these.
        intervals: "t" from the rows' (or clusters') covariances, or "bootstrap".
        worst: how many of the worst rows to keep.
        ordered: whether Q's columns are classes in their order (grades, stars): the ranked
            probability score and its parts besides, and maps that respect the order.
        unique: whether a row whose id has come before is left out, as when a sampler makes the
            shards of several processes equal; 8 bytes for each row.

    Raises:
        InputError: no audit could be made with these.

    >>> import pandq
    >>> auditor = pandq.Auditor()
    >>> for y, q in [([0], [[0.9, 0.1]]), ([0, 1], [[0.8, 0.2], [0.3, 0.7]])]:
    ...     auditor.update(pandq.Labels(y), pandq.Probs(q))
    >>> auditor
    <pandq.Auditor of 3 rows>
    >>> round(auditor.result().cross_entropy.value, 6)
    0.228393
    """

    KIND = "auditor"
    SCHEMA = "pandq/auditor/1"

    def __init__(
        self,
        *,
        by: Sequence[str] = (),
        classes: Sequence[str] | None = None,
        unit: Unit = "nat",
        level: float = 0.95,
        seed: int = 0,
        decompose: bool = True,
        floor: Floor = "auto",
        min_votes: int = 1,
        annotator_pool: Pool = None,
        intervals: Intervals = "t",
        worst: int = 10,
        ordered: bool = False,
        unique: bool = False,
    ) -> None:
        votes = min_votes, annotator_pool
        self._asked = Asked(
            unit, level, seed, decompose, floor, intervals, worst, *votes, ordered=ordered
        )
        super().__init__(by, classes, unique=unique)

    def update(
        self,
        p: object,
        q: object,
        *,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        best_q: object = None,
        n_bytes: ArrayLike | None = None,
    ) -> None:
        """One more batch of rows; where it cannot be used all stays as it was.

        Args:
            p: a view of what is true; one of `pandq.torch` is taken without its gradient.
            q: a view of what is predicted.
            by: the groups' arrays of n values each, by name.
            cluster: (n,) values that say which rows belong together.
            ids: (n,) names of the rows; their numbers from 0 when left out.
            weights: (n,) row weights, not negative.
            best_q: a view of a better model's Q, for the upper bound on the floor.
            n_bytes: (n,) how many bytes of text each row is, for bits per byte.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: the rows cannot be used, or are not like those before in their classes,
                kinds, groups or what belongs to them.
        """
        given: dict[str, Any] = {"by": by, "cluster": cluster, "ids": ids, "weights": weights}
        p, q, best_q = where_they_are(p, q, best_q)
        given |= {"best_q": best_q, "n_bytes": n_bytes}
        rows = views_scan(p, q, classes=self._classes, **given)
        require_laws(rows)
        self._asked.check(rows)
        self._take(rows)

    def _options(self) -> dict[str, Any]:
        classes = None if self._classes is None else list(self._classes)
        return {
            "by": list(self._by),
            "classes": classes,
            **asdict(self._asked),
            "unique": self._unique,
        }

    def _blank(self, like: Like | None) -> AuditSums:
        del like
        return self._asked.blank(self._by)

    def _wanted(self, like: Like) -> int:
        return sample_size(like.n_classes) if self._asked.decompose else 0

    def _of(self, blank: AuditSums, chunk: Chunk) -> AuditSums:
        return blank.of_only(chunk, blank.sample)

    def _found(self, state: State[AuditSums], rows: Held) -> Audit:
        first = replace(state.sums, sample=sampled(rows, sample_size(rows.q.n_classes or 1)))
        return audited(self._asked, rows, first, Run())


def where_they_are(p: object, q: object, best_q: object) -> tuple[object, object, object]:
    """Views of tensors as views of arrays; many rows of P and Q on another device stay there."""
    if best_q is not None:
        return tuple(x.as_arrays() if hasattr(x, "as_arrays") else x for x in (p, q, best_q))  # type: ignore[return-value]
    near: list[Any] = [x.where_it_is() if hasattr(x, "where_it_is") else x for x in (p, q)]
    if any(isinstance(x, Linear) for x in near):
        found_p, found_q = (x if isinstance(x, Linear) else _here(x) for x in near)
        return found_p, found_q, None
    kind = getattr(near[0], "kind", "")
    # of probabilities that may be votes' shares all are looked at
    stays = kind == "labels" or (afar(near[0]) and kind != "probs")
    found_p, found_q = near if stays and afar(near[1]) else map(_here, near)
    return found_p, found_q, None


def _here(view: Any) -> Any:
    return view.here() if afar(view) else view
