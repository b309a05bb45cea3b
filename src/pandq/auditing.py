"""Auditing: what an audit does between its rows and its result, whoever brings the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from pandq.errors import InputError
from pandq.estimate.averages.intervals import exponential
from pandq.estimate.averages.perbyte import bits_per_byte
from pandq.estimate.averages.rowsums import AVERAGES, LOSSES, ORDERED, RowSums
from pandq.estimate.averages.tables import groups_table, rows_table
from pandq.estimate.decomposition.estimates import decomposed
from pandq.estimate.decomposition.partsums import PartSums
from pandq.estimate.decomposition.trained import Trained, kept_together
from pandq.estimate.ensemble.split import uncertainty
from pandq.estimate.findings import few_people, findings_of
from pandq.estimate.firstpass import AuditSums
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
)
from pandq.estimate.sampling import label_type_of, reasons_to_stop
from pandq.read.scan import Scan
from pandq.report.shown import Audit
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pandq.engines.run import Run
    from pandq.estimate.floor.planner import BudgetPlan
    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.results.decomposition import Decomposition, LabelType
    from pandq.results.findings import Finding

Floor = Literal["auto", "certified", "blind"]


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
    made = ready(asked, rows, first, run.tell)
    sums = None
    if made.trained is not None:
        blank = made.blank(asked, tuple(rows.by))
        of_parts = partial(_parts, blank=blank, trained=made.trained)
        sums = run.summarise("decomposing", rows, of_parts, blank)
    run.tell("summing up")
    return concluded(asked, rows, first, made, sums)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """What is known between the two passes: what was trained, or why nothing was, and findings."""

    stop: tuple[str, ...]
    findings: tuple[Finding, ...]
    trained: Trained | None = None
    plan: BudgetPlan | None = None

    def blank(self, asked: Asked, by: Sequence[str]) -> PartSums:
        """The second pass over no rows."""
        votes = self.trained is not None and self.trained.label_type == "votes"
        pooled = self.trained is not None and self.trained.bounding.pool is not None
        kinds: dict[str, Any] = {"ordered": asked.ordered, "votes": votes, "pooled": pooled}
        return PartSums.empty(by=by, **(kinds | asked.drawn))


def ready(
    asked: Asked, rows: Scan | MemoryScan, first: AuditSums, tell: Callable[[str], object]
) -> Ready:
    """Train on the sample of the first pass; nothing of the sample is needed after that.

    Raises:
        InputError: there were no rows, or their floor cannot be certified where it must be.
    """
    refuse_empty(rows, first.rows.n, first.rows.weight)
    label_type = _label_type(rows, first, certified=asked.floor != "auto")
    voters: dict[str, Any] = {"seen": first.rows.n_annotators, "most_votes": first.rows.most_votes}
    of_votes = {"votes": label_type == "votes", "where": name_of(rows), **voters}
    pool = size_of(asked.annotator_pool, **of_votes)
    stop = reasons_to_stop(first.sample, first.shape.n_classes) if asked.decompose else []
    trained, plan = None, None
    if asked.decompose and not stop:
        blindly = asked.floor == "blind"
        how = Bounding(blindly=blindly, min_votes=asked.min_votes, pool=pool)
        about: dict[str, Any] = {"seed": asked.seed, "tell": tell, "ordered": asked.ordered}
        trained, plan = _trained(rows, first, label_type, how, **about)
    told = findings_of(
        first.seen,
        first.shape.n_classes,
        accuracy=first.rows.estimate("accuracy", level=asked.level),
        cross_entropy=first.rows.estimate("cross_entropy", level=asked.level),
        sample=None if trained is None else first.sample,
        tested=None if trained is None else trained.tested,
        clustered=rows.cluster is not None,
        few_people=None if trained is None or pool is not None else few_people(**voters),
        unit=asked.unit,
    )
    return Ready(tuple(stop), told, trained, plan)


def concluded(
    asked: Asked, rows: Scan | MemoryScan, first: AuditSums, made: Ready, sums: PartSums | None
) -> Audit:
    """The audit that both passes make."""
    scale: dict[str, Any] = {"unit": asked.unit, "level": asked.level}
    parts = None
    if made.trained is not None and sums is not None:
        names = first.shape.class_names(rows)
        named = rows.classes is not None
        parts = decomposed(sums, made.trained, made.plan, names, named=named, **scale)
    found = _result(rows, first, parts, **scale)
    notes, told = (*rows.notes, *made.stop), made.findings
    return replace(found, options=asked.told, notes=notes, findings=told, trained=made.trained)


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
        source |= rows.beside
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
