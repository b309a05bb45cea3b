"""Compare: is one model better than another, or the same? Is a copy true to its reference?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.engines.checkpoints import resumable
from pandq.errors import InputError
from pandq.estimate.averages.judged import with_judge
from pandq.estimate.comparison.baseline import against_baseline
from pandq.estimate.comparison.bounded import BoundedSums, bounds_of, differences_of
from pandq.estimate.comparison.bydocument import (
    by_document,
    documents_of,
    refuse_beside,
    refuse_unpaired,
)
from pandq.estimate.comparison.called import names_of, names_of_files
from pandq.estimate.comparison.coded import CodeSums
from pandq.estimate.comparison.differences import difference_of, model_of, unseen_of_both
from pandq.estimate.comparison.firstpass import ComparisonSums, FirstPass
from pandq.estimate.comparison.idle import partly_known, refuse_idle
from pandq.estimate.comparison.pairedparts import PartDifferences, split_by
from pandq.estimate.comparison.reference import from_reference, worst_rows
from pandq.estimate.comparison.sampled import DrawnSums, sampled_divergence
from pandq.estimate.passes import (
    check_choices,
    check_truth,
    name_of,
    refuse_empty,
    require_order,
    rows_of,
    run_of,
)
from pandq.read.scan import Scan
from pandq.report.shown import Comparison
from pandq.results.audit import Audit
from pandq.units import per_nat
from pandq.views import SAMPLED_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from pandq.documents import Value
    from pandq.engines.contract import Engine, Progress
    from pandq.engines.run import Run
    from pandq.read.chunks import MemoryScan
    from pandq.results.comparison import Difference, Unpaired
    from pandq.units import Unit

# What the reference run a second time is called.
CONTROL = "control"


@resumable
def compare(
    p: object,
    *qs: object,
    names: Sequence[str] | None = None,
    labels: object = None,
    control: object = None,
    classes: Sequence[str] | None = None,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    n_bytes: ArrayLike | None = None,
    unit: Unit = "nat",
    level: float = 0.95,
    seed: int = 0,
    decompose: bool = True,
    worst: int = 10,
    ordered: bool = False,
    baseline: Audit | Mapping[str, Any] | Value | None = None,
    q_floor: float | None = None,
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """How much better each Q is than the first, and how far each is from a reference.

    In a difference of two divergences from one P the floor cancels, KL(P||B) - KL(P||A) =
    H(P,B) - H(P,A), so that it is identified whatever P is, even by one label per row.

    Args:
        p: a view of what is true, or of a reference model; or a Scan with rivals (then `qs` and the
            columns are its own); or of several Scans, one of each model, the first: where
            tokenizers differ, so do the rows, and models are paired by document (`cluster` and
            `per` of the Scans).
        qs: views of two or more models' predictions; one is enough where P is a full distribution.
        names: what to call them.
        labels: Labels beside a P that is a reference's: perplexities are then compared too.
        control: a view of the reference run a second time: how far it is from itself, and the
            excess of each Q's divergence over that.
        classes: class names, for the report.
        by: named arrays of n values each; every one gives a table of groups.
        cluster: (n,) values that say which rows belong together.
        ids: (n,) names of the rows; their numbers from 0 when left out.
        weights: (n,) row weights, not negative.
        n_bytes: (n,) how many bytes of text each row is, for bits per byte.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of the folds.
        decompose: whether a second pass splits differences into grouping and calibration loss.
        worst: how many rows to show in either direction.
        ordered: whether the classes are in their order (grades, stars): the ranked probability
            score besides, and maps that respect the order.
        baseline: an earlier Audit or its `to_dict()`, to compare one Q with; unpaired then.
        q_floor: where P or Q is a TopK, a probability that Q gives every class at least.
        engine: who goes through the rows; `pandq.engines.Dask(client)` for a cluster, this process
            when left out. The result is the same, to the last bit.
        checkpoint: a folder that keeps what was summed; make the same call again to resume.
        progress: called with a `pandq.engines.Done` after each chunk.

    Returns:
        A Comparison.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used, or there is nothing to compare.
        EngineError: the engine was lost.

    >>> import pandq
    >>> y = pandq.Labels([0, 1, 1])
    >>> a = pandq.Probs([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> b = pandq.Probs([[0.8, 0.2], [0.3, 0.7], [0.2, 0.8]])
    >>> print(pandq.compare(y, a, b).differences[0].cross_entropy)
    difference 0.0393 nat [-0.424, 0.412]
    """
    asked = Asked(unit, level, seed, decompose, worst, _audit_of(baseline), ordered)
    given: dict[str, Any] = {
        "classes": classes,
        "by": by,
        "cluster": cluster,
        "ids": ids,
        "weights": weights,
    }
    given |= {"labels": labels, "control": control, "n_bytes": n_bytes}
    if isinstance(p, Scan) and qs and all(isinstance(q, Scan) for q in qs):
        rows_of(p, in_full=False, **given)
        refuse_beside(baseline=baseline, q_floor=q_floor, ordered=ordered or None)
        scans: tuple[Any, ...] = (p, *qs)
        for each in scans:
            refuse_unpaired(each)
        run = run_of(p, engine, progress, checkpoint, {"command": "compare"}, *scans[1:])
        return _by_document(scans, names_of_files(scans, names), run, asked)
    rows = rows_of(p, *qs, in_full=False, **given)
    called = names_of(rows, names)
    asked.refuse_idle(rows, q_floor)
    run = run_of(
        rows, engine, progress, checkpoint, {"command": "compare", **asked.told, "q_floor": q_floor}
    )
    if SAMPLED_KIND in (rows.p.kind, rows.q.kind):
        return replace(_drawn(rows, called, run, asked), options=asked.told | {"q_floor": q_floor})
    if partly_known(rows):
        empty = BoundedSums.empty(len(called))
        of = partial(empty.of_only, q_floor=q_floor)
        found = run.summarise("measuring", rows, of, empty)
        if found.n == 0:
            raise InputError(what="there are no rows", where=name_of(rows))
        return bounded(asked, called, found, q_floor=q_floor, notes=rows.notes)
    about: dict[str, Any] = {"worst": worst, "ordered": ordered, "sampled": decompose}
    first = FirstPass.of(rows, alone=asked.then is not None, **about)
    sums = run.summarise("measuring", rows, first, first.empty)
    return with_judge(compared(asked, rows, called, sums, run), rows, run, called)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a comparison, whoever goes through the rows; see `compare`.

    Raises:
        InputError: no comparison could be made with it.
    """

    unit: Unit = "nat"
    level: float = 0.95
    seed: int = 0
    decompose: bool = True
    worst: int = 10
    then: Audit | None = None
    ordered: bool = False

    def __post_init__(self) -> None:
        check_choices(self.unit, self.level, self.seed, self.worst)
        check_truth("ordered", self.ordered)

    @property
    def told(self) -> dict[str, Any]:
        """The options that a result names."""
        names = ("seed", "decompose", "worst")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        told |= {"baseline": self.then is not None}
        return told | {"ordered": True} if self.ordered else told

    def refuse_idle(self, rows: Scan | MemoryScan, q_floor: float | None = None) -> None:
        """Refuse options that would have no effect on these rows.

        Raises:
            InputError: there is one.
        """
        if self.then is not None and rows.rivals:
            raise InputError(
                what="a baseline is the model to compare one Q with",
                got=f"{1 + len(rows.rivals)} of them",
            )
        refuse_idle(rows, q_floor, alone=self.then is not None, ordered=self.ordered)
        if self.ordered:
            require_order(rows)


def compared(
    asked: Asked,
    rows: Scan | MemoryScan,
    called: tuple[str, ...],
    sums: ComparisonSums,
    run: Run,
) -> Comparison:
    """What the first pass found, and the second.

    Args:
        asked: what is asked.
        rows: what the second pass goes through: all rows, or those that were kept of them.
        called: what each Q is called.
        sums: of all rows, with a sample to train on.
        run: who goes through them.

    Raises:
        InputError: there were no rows.
    """
    refuse_empty(rows, sums.models[0].n, sums.models[0].weight)
    notes: list[str] = []
    split = None
    if asked.decompose:
        notes, split = split_by(sums, rows, run, seed=asked.seed, ordered=asked.ordered)
    run.tell("summing up")
    scale: dict[str, Any] = {"unit": asked.unit, "level": asked.level}
    found = _result(rows, called, sums, split, asked.then, **scale)
    return replace(found, options=asked.told, notes=(*rows.notes, *notes))


def _audit_of(baseline: Audit | Mapping[str, Any] | Value | None) -> Audit | None:
    """An earlier audit, from its document where it is one."""
    if baseline is None or isinstance(baseline, Audit):
        return baseline
    return Audit.from_dict(baseline)


def bounded(
    asked: Asked,
    called: tuple[str, ...],
    found: BoundedSums,
    *,
    q_floor: float | None,
    notes: tuple[str, ...],
) -> Comparison:
    """Certified bounds of KL(P||Q): differences of bounds would say nothing.

    Args:
        asked: what is asked.
        called: what each Q is called.
        found: of all rows, of which there are some.
        q_floor: with which it was found.
        notes: of the rows, for the report.
    """
    scale: dict[str, Any] = {"unit": asked.unit, "level": asked.level}
    pairs = zip(called, found.sums, found.labels, strict=True)
    return Comparison(
        n=found.n,
        n_classes=found.shape.n_classes,
        **scale,
        p_kind=found.shape.p_kind,
        models=(),
        differences=(),
        from_reference=(),
        bounds=tuple(bounds_of(*x, n=found.n, rounded=found.rounded, **scale) for x in pairs),
        difference_bounds=differences_of(called, found, **scale),
        source={"rows": found.n} | ({"rounded": True} if found.rounded else {}),
        notes=notes,
        options=asked.told | {"q_floor": q_floor},
    )


def _drawn(rows: Scan | MemoryScan, called: tuple[str, ...], run: Run, asked: Asked) -> Comparison:
    """KL from the log-probabilities of what was drawn from P."""
    empty = DrawnSums.empty(len(called), worst=asked.worst)
    found = run.summarise("measuring", rows, empty.of_only, empty)
    refuse_empty(rows, found.n, found.weight)
    scale: dict[str, Any] = {"unit": asked.unit, "level": asked.level}
    return Comparison(
        n=found.n,
        n_classes=0,
        **scale,
        p_kind=SAMPLED_KIND,
        models=(),
        differences=(),
        from_reference=(),
        sampled=tuple(map(partial(sampled_divergence, **scale), called, found.models)),
        source={"rows": found.n},
        notes=rows.notes,
    )


def _by_document(
    scans: Sequence[Scan], called: tuple[str, ...], run: Run, asked: Asked
) -> Comparison:
    """Models that have rows of their own, by their losses on the same documents."""
    found = [documents_of(run, rows, q) for q, rows in zip(called, scans, strict=True)]
    told = by_document(called, found, level=asked.level, worst=asked.worst)
    return Comparison(
        n=told.documents,
        n_classes=0,
        unit=asked.unit,
        level=asked.level,
        p_kind=scans[0].p.kind,
        models=(),
        differences=(),
        from_reference=(),
        source={"name": ", ".join(rows.source.name for rows in scans), "per": scans[0].per},
        options={"worst": asked.worst},
        notes=tuple(dict.fromkeys(note for rows in scans for note in rows.notes)),
        by_document=told,
    )


def _result(
    rows: Scan | MemoryScan,
    called: tuple[str, ...],
    sums: ComparisonSums,
    split: PartDifferences | None,
    then: Audit | None,
    *,
    unit: Unit,
    level: float,
) -> Comparison:
    """What the passes found, of each model and of each against the first or the baseline."""
    shape, n = sums.shape, sums.models[0].n
    classes = shape.class_names(rows)
    scale: dict[str, Any] = {"unit": unit, "level": level}
    models = tuple(map(partial(model_of, **scale), called, sums.models, sums.per_byte))
    differences: list[Difference | Unpaired] = []
    if then is not None:
        known: dict[str, Any] = {"n_classes": shape.n_classes, "p_kind": shape.p_kind}
        differences.append(against_baseline(then, models[0], **known, unit=unit))
    for place, pair in enumerate(sums.pairs):
        found = difference_of(
            pair,
            names=(called[0], called[place + 1]),
            parts=None if split is None else split.pairs[place],
            classes=classes,
            unseen=unseen_of_both(sums.models[place + 1].means, sums.models[0].means, level=level),
            **scale,
        )
        differences.append(found)
    source = sums.models[0].source
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "p": str(rows.p)}
        source |= rows.beside
    if rows.cluster is not None:
        units = rows.units if isinstance(rows, Scan) else "clusters"
        source |= {"intervals_over": f"{sums.models[0].n_clusters:,} {units}"}
    of_copy = partial(from_reference, control=sums.control, **scale)
    place_of = getattr(getattr(rows, "source", None), "place_of", None)
    copies = [
        replace(x, worst=worst_rows(s.worst, classes, per_nat(unit), place_of))
        for x, s in zip(
            map(of_copy, called, sums.from_reference, sums.codes), sums.from_reference, strict=False
        )
    ]
    again = None
    if sums.control.kl.n:
        again = from_reference(CONTROL, sums.control, CodeSums.empty(), **scale)
    return Comparison(
        n=n,
        n_classes=shape.n_classes,
        **scale,
        p_kind=shape.p_kind,
        models=models,
        differences=tuple(differences),
        from_reference=tuple(copies),
        control=again,
        source=source,
        notes=(),
        order=classes if sums.models[0].ordered else None,
    )
