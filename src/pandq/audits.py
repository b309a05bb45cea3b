"""Audit: rows of P and Q in, averages with intervals and what they mean out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, overload

from pandq.auditing import Asked, audited
from pandq.engines.checkpoints import resumable
from pandq.estimate.averages.judged import with_judge
from pandq.estimate.firstpass import first_of
from pandq.estimate.passes import rows_of, run_of
from pandq.multilabels import audited_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from pandq.auditing import Floor
    from pandq.engines.contract import Engine, Progress
    from pandq.estimate.floor.pool import Pool
    from pandq.estimate.passes import Intervals
    from pandq.report.shown import Audit, MultiLabelAudit
    from pandq.units import Unit
    from pandq.views import MultiLabel


@overload
def audit(  # type: ignore[overload-overlap]
    p: MultiLabel, q: MultiLabel, **options: Any
) -> MultiLabelAudit: ...
@overload
def audit(
    p: object,
    q: object = None,
    *,
    classes: Sequence[str] | None = None,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    best_q: object = None,
    n_bytes: ArrayLike | None = None,
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
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Audit: ...
@resumable  # type: ignore[misc]
def audit(
    p: object,
    q: object = None,
    *,
    classes: Sequence[str] | None = None,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    best_q: object = None,
    n_bytes: ArrayLike | None = None,
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
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Audit | MultiLabelAudit:
    """How far Q is from P, and where.

    Args:
        p: a view of what is true, or a Scan of files (then `q` and the columns are its own). A
            MultiLabel, or a Scan with `multilabel`, is audited class by class.
        q: a view of what is predicted.
        classes: class names, for the report.
        by: named arrays of n values each; every one gives a table of groups.
        cluster: (n,) values that say which rows belong together.
        ids: (n,) names of the rows; their numbers from 0 when left out.
        weights: (n,) row weights, not negative.
        best_q: a view of a better model's Q, for the upper bound on the floor.
        n_bytes: (n,) how many bytes of text each row is, for bits per byte.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of folds and bootstrap.
        decompose: whether a second pass over the rows takes the loss apart.
        floor: "auto" bounds it as far as P allows, "certified" insists on votes, "blind" bounds it
            without a look at Q, which may then have seen the votes.
        min_votes: rows with fewer votes take the others' floor, as where their number is random.
        annotator_pool: how many people there are, of whom each row asked some different ones, or
            "seen", the annotators of P: the floor is then for a randomly chosen one of these.
        intervals: "t" from the rows' (or clusters') covariances, or "bootstrap".
        worst: how many of the worst rows to keep.
        ordered: whether Q's columns are classes in their order (grades, stars): the ranked
            probability score and its parts besides, and maps that respect the order.
        engine: who goes through the rows; `pandq.engines.Dask(client)` for a cluster, this process
            when left out. The result is the same, to the last bit.
        checkpoint: a folder that keeps what was summed; make the same call again to resume.
        progress: called with a `pandq.engines.Done` after each chunk.

    Returns:
        An Audit; of a MultiLabel a MultiLabelAudit, with an Audit of each class.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used.
        EngineError: the engine was lost.

    >>> import pandq
    >>> result = pandq.audit(pandq.Labels([0, 0]), pandq.Probs([[0.9, 0.1], [0.9, 0.1]]))
    >>> round(result.kl.value, 6)
    0.105361
    """
    asked = Asked(
        unit, level, seed, decompose, floor, intervals, worst, min_votes, annotator_pool, ordered
    )
    more: dict[str, Any] = {"by": by, "cluster": cluster, "ids": ids, "weights": weights}
    more |= {"classes": classes, "best_q": best_q, "n_bytes": n_bytes}
    rows = rows_of(p, q, by_class=True, **more)
    asked.check(rows)
    about = {"command": "audit", **asked.told}
    run = run_of(rows, engine, progress, checkpoint, about)
    if rows.multilabel:
        return audited_each(asked, rows, run)
    blank = asked.blank(tuple(rows.by))
    of_first = partial(first_of, blank=blank, sampled=decompose, n_rows=rows.n_rows)
    first = run.summarise("measuring", rows, of_first, blank)
    return with_judge(audited(asked, rows, first, run), rows, run)
