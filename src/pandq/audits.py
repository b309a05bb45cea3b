"""Audit: rows of P and Q in, averages with intervals and what they mean out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from pandq.engines.checkpoints import resumable
from pandq.errors import InputError
from pandq.estimate.averages.intervals import exponential
from pandq.estimate.averages.judged import with_judge
from pandq.estimate.averages.perbyte import bits_per_byte
from pandq.estimate.averages.rowsums import AVERAGES, LOSSES, ORDERED, RowSums
from pandq.estimate.averages.tables import groups_table, rows_table
from pandq.estimate.decomposition.estimates import decomposed
from pandq.estimate.decomposition.partsums import PartSums
from pandq.estimate.decomposition.trained import Trained, kept_together
from pandq.estimate.ensemble.split import uncertainty
from pandq.estimate.findings import few_people, findings_of
from pandq.estimate.firstpass import AuditSums, first_of
from pandq.estimate.floor.bounding import Bounding, check_min_votes
from pandq.estimate.floor.pool import Pool, check_pool, size_of
from pandq.estimate.passes import (
    QUANTILES,
    Intervals,
    check_choices,
    check_truth,
    name_of,
    redrawn,
    refuse_empty,
    require_order,
    rows_of,
    run_of,
)
from pandq.estimate.sampling import label_type_of, reasons_to_stop
from pandq.read.scan import Scan
from pandq.report.shown import Audit
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from pandq.engines.contract import Engine, Progress
    from pandq.engines.run import Run
    from pandq.estimate.floor.planner import BudgetPlan
    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.results.decomposition import Decomposition, LabelType

Floor = Literal["auto", "certified", "blind"]


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
        An Audit.

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
    rows = rows_of(p, q, classes=classes, best_q=best_q, n_bytes=n_bytes, **more)
    asked.check(rows)
    about = {"command": "audit", **asked.told}
    run = run_of(rows, engine, progress, checkpoint, about)
    blank = asked.blank(tuple(rows.by))
    of_first = partial(first_of, blank=blank, sampled=decompose, n_rows=rows.n_rows)
    first = run.summarise("measuring", rows, of_first, blank)
    return with_judge(audited(asked, rows, first, run), rows, run)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an audit, whoever goes through the rows; see `audit`.

    Raises:
        InputError: no audit could be made with it.
    """

    unit: Unit = "nat"
    level: float = 0.95
    seed: int = 0
    decompose: bool = True
    floor: Floor = "auto"
    intervals: Intervals = "t"
    worst: int = 10
    min_votes: int = 1
    annotator_pool: Pool = None
    ordered: bool = False

    def __post_init__(self) -> None:
        chosen = {"floor": (self.floor, Floor), "intervals": (self.intervals, Intervals)}
        check_choices(self.unit, self.level, self.seed, self.worst, **chosen)
        check_truth("ordered", self.ordered)
        check_min_votes(self.min_votes)
        check_pool(self.annotator_pool)

    @property
    def told(self) -> dict[str, Any]:
        """The options that a result names."""
        names = ("seed", "decompose", "floor", "min_votes", "intervals", "worst")
        told = {name: getattr(self, name) for name in names}
        more = {"annotator_pool": self.annotator_pool, "ordered": self.ordered}
        return told | {name: value for name, value in more.items() if value}

    def check(self, rows: Scan | MemoryScan) -> None:
        """Refuse rows of which nothing says in which order their classes stand, where it counts.

        Raises:
            InputError: it does, and nothing says it.
        """
        if self.ordered:
            require_order(rows)

    @property
    def drawn(self) -> dict[str, int]:
        """How a bootstrap is drawn; of no replicates where none is wanted."""
        return redrawn(self.intervals, self.seed)

    def blank(self, by: Sequence[str]) -> AuditSums:
        """The first pass over no rows, which are told apart by the groups of some columns."""
        return AuditSums.empty(by=by, worst=self.worst, ordered=self.ordered, **self.drawn)


def audited(asked: Asked, rows: Scan | MemoryScan, first: AuditSums, run: Run) -> Audit:
    """What the first pass found, and the second.

    Args:
        asked: what is asked.
        rows: what the second pass goes through: all rows, or those that were kept of them.
        first: of all rows, with a sample to train on.
        run: who goes through them.

    Raises:
        InputError: there were no rows, or their floor cannot be certified where it must be.
    """
    refuse_empty(rows, first.rows.n, first.rows.weight)
    label_type = _label_type(rows, first, certified=asked.floor != "auto")
    voters: dict[str, Any] = {"seen": first.rows.n_annotators, "most_votes": first.rows.most_votes}
    of_votes = {"votes": label_type == "votes", "where": name_of(rows), **voters}
    pool = size_of(asked.annotator_pool, **of_votes)
    stop = reasons_to_stop(first.sample, first.shape.n_classes) if asked.decompose else []
    trained, plan, sums = None, None, None
    scale: dict[str, Any] = {"unit": asked.unit, "level": asked.level}
    if asked.decompose and not stop:
        blindly = asked.floor == "blind"
        how = Bounding(blindly=blindly, min_votes=asked.min_votes, pool=pool)
        kinds: dict[str, Any] = {"ordered": asked.ordered}
        about: dict[str, Any] = {"seed": asked.seed, "tell": run.tell, **kinds}
        trained, plan = _trained(rows, first, label_type, how, **about)
        kinds |= {"votes": label_type == "votes", "pooled": pool is not None}
        kinds |= {"by": tuple(rows.by), **asked.drawn}
        empty = PartSums.empty(**kinds)
        of_parts = partial(_parts, blank=empty, trained=trained)
        sums = run.summarise("decomposing", rows, of_parts, empty)
    run.tell("summing up")
    parts = None
    if trained is not None and sums is not None:
        names = first.shape.class_names(rows)
        parts = decomposed(sums, trained, plan, names, named=rows.classes is not None, **scale)
    found = _result(rows, first, parts, **scale)
    told = findings_of(
        first.seen,
        first.shape.n_classes,
        accuracy=found.accuracy,
        cross_entropy=first.rows.estimate("cross_entropy", level=asked.level),
        sample=None if trained is None else first.sample,
        tested=None if trained is None else trained.tested,
        clustered=rows.cluster is not None,
        few_people=None if trained is None or pool is not None else few_people(**voters),
        unit=asked.unit,
    )
    notes = (*rows.notes, *stop)
    return replace(found, options=asked.told, notes=notes, findings=told, trained=trained)


def _label_type(rows: Scan | MemoryScan, first: AuditSums, *, certified: bool) -> LabelType:
    """What P is, and whether its floor can be certified where it must be.

    Raises:
        InputError: it must be, and P has no two votes in any row.
    """
    kind = first.shape.p_kind
    label_type = label_type_of(kind, first.rows.most_votes, one_class=first.seen.most == 1)
    if certified and label_type != "votes":
        raise InputError(
            what="a certified floor needs at least two votes per row",
            where=name_of(rows),
            got="one vote in every row" if label_type == "labels" else f"P is {kind}",
            remedy="Give the votes as Counts, or leave --floor at auto.",
        )
    return label_type


def _trained(
    rows: Scan | MemoryScan,
    first: AuditSums,
    label_type: LabelType,
    how: Bounding,
    *,
    seed: int,
    ordered: bool,
    tell: Callable[[str], object],
) -> tuple[Trained, BudgetPlan | None]:
    """Maps and bounds from the sample, and of votes what more of them would bring."""
    # many small products: BLAS threads would cost more than they bring
    with threadpool_limits(limits=1, user_api="blas"):
        together = kept_together(clustered=rows.cluster is not None, copies=first.seen.copies)
        about: dict[str, Any] = {"seed": seed, "fold_by": together, "bounding": how, "tell": tell}
        about["ordered"] = ordered
        trained = Trained.of(first.sample, label_type, **about)
        if not trained.certificates or how.pool is not None:
            return trained, None
        tell("planning votes")
        return trained, trained.plan(first.sample, first.rows.n)


def _parts(chunk: Chunk, *, blank: PartSums, trained: Trained) -> PartSums:
    """The second pass over one chunk: every row's parts under maps that never saw it."""
    return blank.of_only(chunk, trained)


def _result(
    rows: Scan | MemoryScan,
    first: AuditSums,
    parts: Decomposition | None,
    *,
    unit: Unit,
    level: float,
) -> Audit:
    """What both passes found; what was asked for, and what is told of it, is yet to come."""
    sums, scale = first.rows, per_nat(unit)
    names = first.shape.class_names(rows)
    numbered = {str(k): name for k, name in enumerate(names)}
    votes = sums.most_votes > 1
    part = {name: sums.means.finite_part(name, level=level) for name in LOSSES}
    source = sums.source
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "p": str(rows.p), "q": str(rows.q)}
    quantiles = sums.divergence.quantile(QUANTILES) * scale
    return Audit(
        n=sums.n,
        n_classes=first.shape.n_classes,
        unit=unit,
        level=level,
        **_averages(sums, parts, unit=unit, level=level),
        perplexity=exponential("perplexity", sums.estimate("cross_entropy", level=level)),
        bits_per_byte=bits_per_byte(first.per_byte, level=level),
        guessing=first.frequencies.guessing(sums.estimate("cross_entropy", level=level), unit),
        infinite_rows=sums.n_infinite,
        infinite=rows_table(sums.infinite, names, scale),
        finite_part={name: x.to_unit(unit) for name, x in part.items() if x is not None},
        kl_quantiles={f"{q:g}": float(x) for q, x in zip(QUANTILES, quantiles, strict=True)},
        kl_quantile_accuracy=sums.divergence.accuracy,
        kl_histogram=sums.divergence.coarse(scale),
        classes=groups_table(sums.classes, numbered, scale, level, votes=votes),
        groups=_groups(sums, parts, scale, level),
        worst=rows_table(sums.worst, names, scale),
        decomposition=parts,
        uncertainty=uncertainty(first.members, first.shape.p_kind, names, unit=unit, level=level),
        p_kind=first.shape.p_kind,
        q_kind=first.shape.q_kind,
        source=source,
        options={},
        notes=(),
        findings=(),
        order=names if sums.ordered else None,
    )


def _averages(
    sums: RowSums, parts: Decomposition | None, *, unit: Unit, level: float
) -> dict[str, Any]:
    """The averages by name; of votes KL(P||Q) is the decomposition's, as far as there is one."""
    names = (*AVERAGES, *(ORDERED if sums.ordered else ()))
    found = {name: sums.estimate(name, level=level) for name in names}
    averages: dict[str, Any] = {name: x.to_unit(unit) if x.unit else x for name, x in found.items()}
    kl, plug_in = sums.kl(level=level)
    averages["kl"] = kl.to_unit(unit) if parts is None or plug_in is None else parts.kl
    averages["kl_plug_in"] = None if plug_in is None else plug_in.to_unit(unit)
    return averages


def _groups(
    sums: RowSums, parts: Decomposition | None, scale: float, level: float
) -> dict[str, list[dict[str, Any]]]:
    """A table for each column of groups; of votes with the decomposition's KL(P||Q)."""
    votes = sums.most_votes > 1
    tables = {
        name: groups_table(table, None, scale, level, votes=votes)
        for name, table in sums.groups.items()
    }
    if votes and parts is not None:
        for name, lines in tables.items():
            kl = {line["name"]: line["kl"] for line in parts.groups[name]}
            for line in lines:
                line["kl"] = kl.get(line["name"], line["kl"])
    return tables
