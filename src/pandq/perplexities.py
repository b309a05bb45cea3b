"""Perplexity: what a model gave to what was drawn in, its loss with intervals out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.engines.checkpoints import resumable
from pandq.errors import InputError
from pandq.estimate.averages.drawn import LOSS, DrawnLoss
from pandq.estimate.averages.intervals import exponential
from pandq.estimate.averages.perbyte import bits_per_byte
from pandq.estimate.passes import (
    QUANTILES,
    Intervals,
    check_choices,
    drawn_alone,
    redrawn,
    refuse_empty,
    rows_of,
    run_of,
)
from pandq.read.scan import Scan
from pandq.report.shown import Perplexity
from pandq.units import Unit, per_nat
from pandq.views import SAMPLED_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike

    from pandq.engines.contract import Engine, Progress
    from pandq.read.chunks import MemoryScan


@resumable
def perplexity(
    q: object,
    *,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    n_bytes: ArrayLike | None = None,
    unit: Unit = "nat",
    level: float = 0.95,
    seed: int = 0,
    intervals: Intervals = "t",
    worst: int = 10,
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Perplexity:
    """The loss of a model on what was drawn, from the log-probability that it gave to that.

    Args:
        q: Sampled, or a Scan of files with a Q of that kind (then the columns are its own).
        by: named arrays of n values each; every one gives a table of groups.
        cluster: (n,) values that say which rows are of one sequence or document.
        ids: (n,) names of the rows; their numbers from 0 when left out.
        weights: (n,) row weights, not negative.
        n_bytes: (n,) how many bytes of text each row is, for bits per byte.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of the bootstrap.
        intervals: "t" from the rows' (or clusters') covariances, or "bootstrap".
        worst: how many of the rows of largest loss to keep.
        engine: who goes through the rows; this process when left out.
        checkpoint: a folder that keeps what was summed; make the same call again to resume.
        progress: called with a `pandq.engines.Done` after each chunk.

    Returns:
        A Perplexity. What needs the other tokens' probabilities is not in it: accuracy, the Brier
        score, and the parts of the loss.

    Raises:
        ViewTypeError: q is no view.
        InputError: the rows cannot be used.
        EngineError: the engine was lost.

    >>> import pandq
    >>> result = pandq.perplexity(pandq.Sampled([-0.5, -1.5, -1.0]))
    >>> round(result.perplexity.value, 4)
    2.7183
    """
    check_choices(unit, level, seed, worst, intervals=(intervals, Intervals))
    more: dict[str, Any] = {"by": by, "cluster": cluster, "ids": ids, "weights": weights}
    given = (q,) if isinstance(q, Scan) else (q, q)
    rows = rows_of(*given, in_full=False, n_bytes=n_bytes, **more)
    _refuse_other(rows)
    options = {"seed": seed, "intervals": intervals, "worst": worst}
    run = run_of(rows, engine, progress, checkpoint, {"command": "perplexity", **options})
    blank = DrawnLoss.empty(by=tuple(rows.by), worst=worst, **redrawn(intervals, seed))
    sums = run.summarise("measuring", rows, blank.of_only, blank)
    refuse_empty(rows, sums.means.n, sums.means.weight)
    run.tell("summing up")
    loss, scale = sums.means.estimate(LOSS, level=level), per_nat(unit)
    part = sums.means.finite_part(LOSS, level=level)
    quantiles = sums.spread.quantile(QUANTILES) * scale
    return Perplexity(
        n=sums.means.n,
        unit=unit,
        level=level,
        source=_source(rows, sums),
        options=options,
        notes=rows.notes,
        cross_entropy=loss.to_unit(unit),
        perplexity=exponential("perplexity", loss),
        bits_per_byte=bits_per_byte(sums.per_byte, level=level),
        infinite_rows=sums.means.n_infinite,
        finite_part=None if part is None else part.to_unit(unit),
        quantiles={f"{q:g}": float(x) for q, x in zip(QUANTILES, quantiles, strict=True)},
        quantile_accuracy=sums.spread.accuracy,
        groups=sums.group_lines(scale, level),
        worst=sums.worst_rows(scale),
    )


def _refuse_other(rows: Scan | MemoryScan) -> None:
    """Refuse a P, and what else has nothing to say of draws.

    Raises:
        InputError: there is one.
    """
    if rows.q.kind != SAMPLED_KIND:
        remedy = "Of distributions it is in `pandq audit` (pandq.audit)."
        what = "the perplexity of what was drawn needs its log-probabilities, sampled:COLUMN"
        raise InputError(what, got=f"Q is {rows.q.kind}", remedy=remedy)
    if not drawn_alone(rows):
        raise InputError(
            what="log-probabilities of what was drawn stand alone in an audit",
            got=f"P is {rows.p.kind}",
            remedy="Leave P out, which is what was drawn; how far the sampler is from another model"
            " is `pandq compare FILE --p sampled:SAMPLER --q sampled:OTHER`.",
        )
    given = {"--best-q": rows.best_q, "--judge": getattr(rows, "judge", None)}
    for option, value in given.items():
        if value is not None:
            what = f"{option} has nothing to say of log-probabilities of draws"
            raise InputError(what, remedy="Leave it out.")


def _source(rows: Scan | MemoryScan, sums: DrawnLoss) -> dict[str, Any]:
    """What was read, and what the intervals are over."""
    source: dict[str, Any] = {"rows": sums.means.n}
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "q": str(rows.q)}
        source |= rows.beside
    if rows.cluster is not None:
        source |= {"intervals_over": f"{sums.n_clusters:,} clusters"}
    return source
