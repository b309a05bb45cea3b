"""Audit: rows of P and Q in, averages with intervals and what they mean out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from pandq.engines.checkpoints import resumable
from pandq.errors import InputError
from pandq.estimate.averages.rowsums import AVERAGES, LOSSES, RowSums
from pandq.estimate.averages.tables import groups_table, rows_table
from pandq.estimate.decomposition.estimates import decomposed
from pandq.estimate.decomposition.partsums import PartSums
from pandq.estimate.decomposition.trained import Trained
from pandq.estimate.ensemble.membersums import MemberSums
from pandq.estimate.ensemble.split import uncertainty
from pandq.estimate.findings import Seen, findings_of
from pandq.estimate.passes import Shape, check_choices, name_of, rows_of, run_of
from pandq.estimate.sampling import label_type_of, reasons_to_stop, sample_of, sample_size
from pandq.read.scan import Scan
from pandq.report.shown import Audit
from pandq.rows import measure_rows
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from pandq.engines.contract import Engine, Progress
    from pandq.engines.run import Run
    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.results.decomposition import Decomposition
    from pandq.results.uncertainty import Uncertainty

Floor = Literal["auto", "certified"]
Intervals = Literal["t", "bootstrap"]

REPLICATES = 1000
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


@resumable
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
    unit: Unit = "nat",
    level: float = 0.95,
    seed: int = 0,
    decompose: bool = True,
    floor: Floor = "auto",
    intervals: Intervals = "t",
    worst: int = 10,
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Audit:
    """How far Q is from P, and where.

    Args:
        p: a view of what is true, or a Scan of files (then `q` and the columns are its own).
        q: a view of what is predicted.
        classes: class names, for the report.
        by: named arrays of n values each; every one gives a table of groups.
        cluster: (n,) values that say which rows belong together.
        ids: (n,) names of the rows; their numbers from 0 when left out.
        weights: (n,) row weights, not negative.
        best_q: a view of a better model's Q, for the upper bound on the floor.
        unit: "nat" or "bit" of the report.
        level: of the intervals.
        seed: of the folds and of the bootstrap.
        decompose: whether a second pass over the rows takes the loss apart.
        floor: "auto" bounds it as far as P allows, "certified" insists on votes.
        intervals: "t" from the rows' (or clusters') covariances, or "bootstrap".
        worst: how many of the worst rows to keep.
        engine: who goes through the rows; `pandq.engines.Dask(client)` for a cluster, this process
            when left out. The result is the same, to the last bit.
        checkpoint: a folder that keeps what was summed: after a loss the same call goes on there.
        progress: called with a `pandq.engines.Done` after each chunk.

    Returns:
        An Audit.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used as given.
        EngineError: the engine was lost.

    >>> import pandq
    >>> result = pandq.audit(pandq.Labels([0, 0]), pandq.Probs([[0.9, 0.1], [0.9, 0.1]]))
    >>> round(result.kl.value, 6)
    0.105361
    """
    check_choices(unit, level, seed, worst, floor=(floor, Floor), intervals=(intervals, Intervals))
    rows = rows_of(
        p, q, classes=classes, by=by, cluster=cluster, ids=ids, weights=weights, best_q=best_q
    )
    replicates = REPLICATES if intervals == "bootstrap" else 0
    shared: dict[str, Any] = {"by": tuple(rows.by), "replicates": replicates, "seed": seed}
    chosen = {"seed": seed, "decompose": decompose, "floor": floor, "intervals": intervals}
    chosen |= {"worst": worst}
    run = run_of(rows, engine, progress, checkpoint, {"command": "audit", **chosen})
    blank = RowSums.empty(worst=worst, **shared)
    members = MemberSums.empty(by=tuple(rows.by), worst=worst)
    empty = _FirstSums(Shape(), blank, Sample.empty(0), members, Seen.empty())
    first = _first_pass(rows, empty, run, sampled=decompose)
    shape, sums, sample = first.shape, first.rows, first.sample
    label_type = label_type_of(shape.p_kind, sums.most_votes)
    if floor == "certified" and label_type != "votes":
        raise InputError(
            what="a certified floor needs at least two votes per row",
            where=name_of(rows),
            got="one vote in every row" if label_type == "labels" else f"P is {shape.p_kind}",
            remedy="Give the votes as Counts, or leave --floor at auto.",
        )
    parts, trained = None, None
    notes = []
    if decompose:
        notes = reasons_to_stop(sample, shape.n_classes)
    if decompose and not notes:
        run.tell("fitting maps and bounds")
        # many small products: BLAS threads would cost more than they bring
        with threadpool_limits(limits=1, user_api="blas"):
            copies = rows.cluster is None and first.seen.copies
            trained = Trained.of(sample, label_type, seed=seed, by_content=copies)
            plan = trained.plan(sample, sums.n) if trained.certificates else None
        blank_parts = PartSums.empty(votes=label_type == "votes", **shared)
        of = partial(_parts, empty=blank_parts, trained=trained)
        parts = decomposed(
            run.summarise("decomposing", rows, of, blank_parts),
            trained,
            plan,
            classes=shape.class_names(rows),
            named=rows.classes is not None,
            unit=unit,
            level=level,
        )
    names = shape.class_names(rows)
    split = uncertainty(first.members, shape.p_kind, names, unit=unit, level=level)
    found = _result(sums, rows, shape, parts, split, trained, notes, unit=unit, level=level)
    told = findings_of(
        first.seen,
        shape.n_classes,
        accuracy=found.accuracy,
        cross_entropy=sums.estimate("cross_entropy", level=level),
        sample=sample if trained is not None else None,
        clustered=rows.cluster is not None,
        unit=unit,
    )
    return replace(found, options=chosen, findings=told)


def _first_pass(
    rows: Scan | MemoryScan, empty: _FirstSums, run: Run, *, sampled: bool
) -> _FirstSums:
    """Every plain average, and the rows to train on."""
    of = partial(_first, empty=empty, sampled=sampled, n_rows=rows.n_rows)
    found = run.summarise("measuring", rows, of, empty)
    if found.rows.n == 0:
        raise InputError(what="there are no rows", where=name_of(rows))
    if found.rows.weight == 0:
        raise InputError(what="all weights are zero", where=name_of(rows))
    return found


@summary
class _FirstSums(Summary):
    shape: Shape
    rows: RowSums
    sample: Sample
    members: MemberSums
    seen: Seen


def _first(chunk: Chunk, *, empty: _FirstSums, sampled: bool, n_rows: int | None) -> _FirstSums:
    """The averages of one chunk, and those of its rows that may be trained on."""
    few = empty.sample
    if sampled:
        few = sample_of(sample_size(chunk.q.n_classes or 1), chunk, of_rows=n_rows)
    measured = measure_rows(chunk.p, chunk.q)
    return _FirstSums(
        Shape.of(chunk),
        empty.rows.of_only(chunk, measured),
        few,
        empty.members.of_only(chunk),
        empty.seen.of_only(chunk, measured),
    )


def _parts(chunk: Chunk, *, empty: PartSums, trained: Trained) -> PartSums:
    """Every row's parts under maps that never saw it."""
    return empty.of_only(chunk, trained)


def _result(
    sums: RowSums,
    rows: Scan | MemoryScan,
    shape: Shape,
    parts: Decomposition | None,
    split: Uncertainty | None,
    trained: Trained | None,
    notes: list[str],
    *,
    unit: Unit,
    level: float,
) -> Audit:
    scale = per_nat(unit)
    names = shape.class_names(rows)
    of = {str(k): name for k, name in enumerate(names)}

    kl, kl_plug_in = sums.kl(level=level)
    votes = kl_plug_in is not None
    found_all = {name: sums.estimate(name, level=level) for name in AVERAGES}
    averages = {name: x.to_unit(unit) if x.unit else x for name, x in found_all.items()}
    averages["kl"] = kl.to_unit(unit) if parts is None or not votes else parts.kl
    part = {name: sums.means.finite_part(name, level=level) for name in LOSSES}
    groups = {
        name: groups_table(table, None, scale, level, votes=votes)
        for name, table in sums.groups.items()
    }
    if votes and parts is not None:
        for name, lines in groups.items():
            found = {line["name"]: line["kl"] for line in parts.groups[name]}
            for line in lines:
                line["kl"] = found[line["name"]]
    source: dict[str, Any] = {"rows": sums.n}
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "p": str(rows.p), "q": str(rows.q)}
    quantiles = sums.divergence.quantile(QUANTILES) * scale
    return Audit(
        n=sums.n,
        n_classes=shape.n_classes,
        unit=unit,
        level=level,
        **averages,
        kl_plug_in=None if kl_plug_in is None else kl_plug_in.to_unit(unit),
        infinite_rows=sums.n_infinite,
        infinite=rows_table(sums.infinite, names, scale),
        finite_part={name: x.to_unit(unit) for name, x in part.items() if x is not None},
        kl_quantiles={f"{q:g}": float(x) for q, x in zip(QUANTILES, quantiles, strict=True)},
        kl_quantile_accuracy=sums.divergence.accuracy,
        kl_histogram=sums.divergence.coarse(scale),
        classes=groups_table(sums.classes, of, scale, level, votes=votes),
        groups=groups,
        worst=rows_table(sums.worst, names, scale),
        decomposition=parts,
        uncertainty=split,
        p_kind=shape.p_kind,
        q_kind=shape.q_kind,
        source=source,
        options={},
        notes=(*rows.notes, *notes),
        findings=(),
        trained=trained,
    )
