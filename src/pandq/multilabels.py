"""Multi-label audits: every class by the machinery of an audit, and all of them together.

Rows are gone through once for every so many classes as fit into memory with the rows that are
trained on, and once more for all of them. What is of all classes together is summed of each row
first: the classes of a row are not independent, and rows are what intervals are over.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from pandq.auditing import Ready, concluded, ready
from pandq.core.columns import Columns
from pandq.errors import InputError
from pandq.estimate.averages.leaning import limits_of
from pandq.estimate.averages.lossmeans import LossMeans
from pandq.estimate.decomposition.partsums import LOSSES, PARTS, PartSums, parts_of_rows
from pandq.estimate.decomposition.together import parts_of_all
from pandq.estimate.firstpass import AuditSums, first_of
from pandq.estimate.passes import name_of
from pandq.estimate.sampling import sample_size
from pandq.read.scan import Scan
from pandq.report.shown import MultiLabelAudit
from pandq.rows import measure_rows
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary
from pandq.views.multilabel import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pandq.auditing import Asked
    from pandq.engines.run import Run
    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.report.shown import Audit
    from pandq.results.estimate import Estimate

TOTAL = ("cross_entropy", "kl"), ("entropy", "accuracy")
SHOWN_PARTS = ("floor", "grouping_loss", "calibration_loss", "refinement_loss")
# Of the rows that are trained on, the numbers of one, and of so many classes as are done together.
NUMBERS_OF_ROW, NUMBERS = 9, 1 << 25


def audited_each(asked: Asked, rows: Scan | MemoryScan, run: Run) -> MultiLabelAudit:
    """What is asked of every class.

    Raises:
        InputError: there were no rows, or a row cannot be used.
    """
    if asked.ordered:
        what = "--ordered has nothing to say of classes that are each a yes or no"
        raise InputError(what, got="--multilabel", remedy="Leave one of them out.")
    names = _names(rows)
    firsts: dict[int, AuditSums] = {}
    made: dict[int, Ready] = {}
    total: LossMeans | None = None
    for some in _together(len(names), asked, rows.n_rows):
        blank = EachSums.empty(asked, rows, some, total=None if total else names)
        what = "measuring" if len(some) == len(names) else f"measuring {_told(some, names)}"
        of = partial(first_of_each, blank=blank, sampled=asked.decompose, n_rows=rows.n_rows)
        sums = run.summarise(what, rows, of, blank)
        total = total or sums.total
        for k in some:
            first = sums.classes[str(k)]
            run.tell(f"training {_told([k], names)}" if asked.decompose else "summing up")
            made[k] = ready(asked, _of_class(rows, k), first, run.tell)
            # what was trained on is not needed any more, and is most of it
            firsts[k] = replace(first, sample=Sample.empty(0))
    trained = {str(k): one.trained for k, one in made.items() if one.trained is not None}
    parts = None
    if trained:
        empty = EachParts.empty(asked, rows, made)
        parts = run.summarise(
            "decomposing", rows, partial(parts_of_each, blank=empty, trained=trained), empty
        )
    run.tell("summing up")
    audits = {
        name: concluded(
            *(asked, _of_class(rows, k), firsts[k], made[k]),
            None if parts is None else parts.classes.get(str(k)),
        )
        for k, name in enumerate(names)
    }
    summed = None
    if parts is not None and len(trained) == len(names):
        summed = parts_of_all(parts.total, list(trained.values()), level=asked.level)
    assert total is not None  # noqa: S101 - there is a class
    return _result(asked, rows, total, summed, audits)


@summary
class EachSums(Summary):
    """The first pass over some classes, and over all of them the sum of each row's."""

    classes: Mapping[str, AuditSums]
    total: LossMeans | None

    @classmethod
    def empty(
        cls,
        asked: Asked,
        rows: Scan | MemoryScan,
        classes: Iterable[int],
        *,
        total: Sequence[str] | None,
    ) -> Self:
        """No rows; with a `total` over all classes where these are named."""
        drawn: dict[str, Any] = dict(asked.drawn)
        return cls(
            {str(k): asked.blank(tuple(rows.by)) for k in classes},
            None if total is None else LossMeans.empty(TOTAL[0], TOTAL[1], **drawn),
        )


@summary
class EachParts(Summary):
    """The second pass over every class, and the sum of each row's parts."""

    classes: Mapping[str, PartSums]
    total: LossMeans

    @classmethod
    def empty(cls, asked: Asked, rows: Scan | MemoryScan, made: Mapping[int, Ready]) -> Self:
        """No rows, of the classes for which something was trained."""
        by = tuple(rows.by)
        drawn: dict[str, Any] = dict(asked.drawn)
        return cls(
            {str(k): x.blank(asked, by) for k, x in made.items() if x.trained is not None},
            LossMeans.empty(LOSSES, PARTS, **drawn),
        )


def first_of_each(chunk: Chunk, *, blank: EachSums, sampled: bool, n_rows: int | None) -> EachSums:
    """The first pass over one chunk."""
    found: dict[str, AuditSums] = {}
    summed: list[Any] = []
    for k in range(chunk.q.n_classes):
        of = blank.classes.get(str(k))
        if of is None and blank.total is None:
            continue
        one = chunk.of_class(k)
        measured = measure_rows(one.p, one.q) if of is None else of.rows.measured(one)
        if of is not None:
            found[str(k)] = first_of(
                one, blank=of, sampled=sampled, n_rows=n_rows, measured=measured
            )
        if blank.total is not None:
            summed = _added(summed, (measured.columns(*names) for names in TOTAL))
    total = None
    if blank.total is not None:
        losses, (entropy, right) = summed
        others = Columns([entropy, right / chunk.q.n_classes])
        total = blank.total.of_only(
            Columns(losses), others, chunk.weights, clusters=chunk.clusters, keys=chunk.keys
        )
    return replace(blank, classes=found, total=total)


def parts_of_each(chunk: Chunk, *, blank: EachParts, trained: Mapping[str, Any]) -> EachParts:
    """The second pass over one chunk."""
    found: dict[str, PartSums] = {}
    summed: list[Any] = []
    for k, of in blank.classes.items():
        one = chunk.of_class(int(k))
        rows = parts_of_rows(one, trained[k])
        found[k] = of.of_only(one, trained[k], rows)
        summed = _added(summed, (rows.losses, rows.parts))
    losses, (*parts, right) = summed
    others = Columns([*parts, right / len(blank.classes)])
    total = blank.total.of_only(
        Columns(losses), others, chunk.weights, clusters=chunk.clusters, keys=chunk.keys
    )
    return type(blank)(found, total)


def _added(summed: list[Any], more: Iterable[Columns]) -> list[Any]:
    """Columns of one class added to those of the classes before it."""
    new = [list(columns.columns) for columns in more]
    if not summed:
        return new
    return [
        [x + y for x, y in zip(mine, other, strict=True)]
        for mine, other in zip(summed, new, strict=True)
    ]


def _together(n_classes: int, asked: Asked, n_rows: int | None) -> list[range]:
    """The classes that are gone through together: as many as there is memory to train."""
    step = n_classes
    if asked.decompose:
        size = sample_size(len(ANSWERS))
        kept = size if n_rows is None else max(1, min(size, n_rows))
        step = max(1, NUMBERS // (NUMBERS_OF_ROW * kept))
    return [range(k, min(k + step, n_classes)) for k in range(0, n_classes, step)]


def _names(rows: Scan | MemoryScan) -> tuple[str, ...]:
    """What the classes are called; their numbers where they have no names.

    Raises:
        InputError: there is no class, or there are not as many names.
    """
    n = len(rows.classes or ()) if isinstance(rows, Scan) else rows.q.n_classes
    if not n:
        raise InputError(what="there are no rows", where=name_of(rows))
    names = rows.classes or tuple(map(str, range(n)))
    if len(names) != n:
        got = f"{len(names):,} names, {n:,} classes"
        raise InputError(what="the class names do not fit Q", got=got)
    return names


def _told(some: Sequence[int], names: Sequence[str]) -> str:
    """Which classes these are, in words."""
    of = f"of {len(names):,}"
    if len(some) == 1:
        return f"class {some[0] + 1:,} {of}"
    return f"classes {some[0] + 1:,} to {some[-1] + 1:,} {of}"


def _of_class(rows: Any, k: int) -> Any:
    """The rows as those of one class are told of: of no and yes, by the columns of its own."""
    about: dict[str, Any] = {"classes": ANSWERS, "notes": ()}
    if isinstance(rows, Scan):
        about |= {role: getattr(rows, role).of_one(k) for role in ("p", "q")}
    return replace(rows, **about)


def _result(
    asked: Asked,
    rows: Scan | MemoryScan,
    total: LossMeans,
    parts: Mapping[str, Estimate] | None,
    audits: Mapping[str, Audit],
) -> MultiLabelAudit:
    """What was found of all classes, beside what was found of each."""
    unit, level = asked.unit, asked.level
    of: dict[str, Any] = {
        name: total.estimate(name, level=level, method="mean over rows of the sum over classes")
        for name in ("cross_entropy", "entropy", "kl")
    }
    right = total.estimate("accuracy", level=level, method="mean over rows and classes")
    finite = {name: total.finite_part(name, level=level) for name in TOTAL[0]}
    one = next(iter(audits.values()))
    source: dict[str, Any] = {"rows": total.n}
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "p": str(rows.p), "q": str(rows.q)}
    found: dict[str, Any] = dict.fromkeys(SHOWN_PARTS)
    if parts is not None:
        found = {name: _adding_up(parts[name].to_unit(unit), audits) for name in SHOWN_PARTS}
    return MultiLabelAudit(
        n=total.n,
        n_classes=len(audits),
        unit=unit,
        level=level,
        p_kind=one.p_kind,
        q_kind=one.q_kind,
        source=source,
        options=asked.told,
        notes=rows.notes,
        **{name: estimate.to_unit(unit) for name, estimate in of.items()},
        accuracy=right,
        **found,
        infinite_rows=total.n_infinite,
        finite_part={name: x.to_unit(unit) for name, x in finite.items() if x is not None},
        audits=dict(audits),
    )


def _adding_up(total: Estimate, audits: Mapping[str, Audit]) -> Estimate:
    """A part of all classes, moved to be the sum of theirs.

    A class whose map gains nothing keeps its loss, where the sum over rows has what the map cost.
    """
    of = (getattr(one.decomposition, total.name).value for one in audits.values())
    value = math.fsum(math.nan if x is None else x for x in of)
    if total.value is None or not math.isfinite(value) or not math.isfinite(total.value):
        return total
    moved = value - total.value
    ends = [None if x is None else x + moved for x in (total.low, total.high)]
    if total.effective is not None and total.standard_error:  # of no bootstrap
        leaning = total.skewness or 0.0, total.likely_skewness or 0.0
        about = value, total.standard_error, total.degrees, *leaning
        ends = [float(x) for x in limits_of(*about, (1 + total.level) / 2)]
    low, high = (None if x is None else max(x, 0.0) for x in ends)
    return replace(total, value=value, low=low, high=high)
