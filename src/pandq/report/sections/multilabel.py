"""What an audit class by class says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.report import words
from pandq.report.few import few_units, over_whom
from pandq.report.sections.section import (
    Cell,
    Row,
    Section,
    Table,
    estimated,
    figure_of,
    whole,
)
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pandq.results.audit import Audit
    from pandq.results.estimate import Estimate
    from pandq.results.multilabel import MultiLabelAudit

PARTS = ("floor", "grouping_loss", "calibration_loss", "refinement_loss")
MEANINGS = {
    "floor": "H(P), summed over classes: no model can pass it",
    "grouping_loss": "KL(P||c(Q)), summed: the model's, at most",
    "calibration_loss": "KL(c(Q)||Q), summed: removed by recalibrating each class, at least",
    "refinement_loss": "H(P,c(Q)), summed: after recalibration",
}
# So many classes are named in a sentence.
NAMED = 5
# What each class of a P of 0 and 1 has to say, which is said once.
LABELS = "p_is_labels"
SAID_ONCE = "P is 0 or 1 in every row of {}: it is taken as one label per row"
# Rows that are equal in one class are no copies, unless they are in every other.
COPIES = "equal_rows"
LARGEST = "largest loss first"


def multilabel_sections(found: MultiLabelAudit) -> Iterator[Section]:
    """All that is said, the answer first."""
    lead, more = _findings(found.audits)
    about = (
        f"{found.n:,} rows, {found.n_classes:,} classes, each a yes or no of its own; P is"
        f" {found.p_kind}, Q is {found.q_kind}; {over_whom(found.cross_entropy, 0)}"
    )
    told = [*found.notes, *more, *few_units(found.cross_entropy)]
    yield Section(
        _headline(found),
        lead=lead,
        note=[about, *(f"Note: {note.rstrip('.')}." for note in told)],
        first=True,
        answer=True,
    )
    scale: dict[str, Any] = {"unit": found.unit, "level": found.level}
    yield Section("Classes", table=[_classes(found)], first=True)
    if steps := _steps(found):
        yield Section("What to do next", steps=steps, first=True)
    yield Section("The loss, per row", rows=list(_rows(found)), **scale)
    yield Section("The parts of each class", table=[_parts(found)])
    yield Section("Means over rows", rows=list(_averages(found)), **scale)
    yield Section("How it was computed", definitions=_method(found))


def _headline(found: MultiLabelAudit) -> str:
    if found.infinite_rows:
        return (
            "The loss is infinite: Q rules out what happened in some class in"
            f" {words.rows(found.infinite_rows)}."
        )
    loss = found.cross_entropy
    start = f"{short(loss.value)} {found.unit} of loss per row, summed over {found.n_classes:,}"
    start += f" classes ({short((loss.value or 0.0) / found.n_classes)} a class)"
    free, floor = found.calibration_loss, found.floor
    if free is None or floor is None:
        return f"{start}."
    gone = "recalibrating removes nothing that can be shown"
    if (free.low or 0.0) > 0:
        gone = f"{words.share(free)} goes away by recalibrating each class"
    if floor.value is not None:
        return f"{start}: {words.share(floor)} is P's own entropy, the floor; {gone}."
    return (
        f"{start}: {gone}; of the rest, one label per row and class cannot say how much is noise in"
        " the labels and how much is the model."
    )


def _rows(found: MultiLabelAudit) -> Iterator[Row]:
    yield Row("cross_entropy", found.cross_entropy, meaning="summed over the classes of a row")
    for name in PARTS:
        part = getattr(found, name)
        if part is not None:
            yield Row(name, part, words.said(name), MEANINGS[name])


def _averages(found: MultiLabelAudit) -> Iterator[Row]:
    for name in ("cross_entropy", "entropy", "kl"):
        yield Row(name, getattr(found, name), meaning="summed over the classes of a row")
    yield Row("accuracy", found.accuracy, meaning="mean over rows and classes")
    for name, part in found.finite_part.items():
        why = "the rows where it is finite were chosen by their outcome: no estimate"
        yield Row(name, part, f"{words.said(name)}, finite rows only", why)


def _classes(found: MultiLabelAudit) -> Table:
    """One line of all classes together, and one of each."""
    every = (f"all {found.n_classes:,}", found.cross_entropy, found.calibration_loss)
    lines = [every]
    for name, audit in found.largest:
        parts = audit.decomposition
        gain = None if parts is None else parts.calibration_loss
        lines.append((name, audit.cross_entropy, gain))
    rows = [(Cell(name), *_estimated(loss), *_estimated(gain)) for name, loss, gain in lines]
    columns = ("class", f"loss, {found.unit}", "interval", "calibration loss", "interval")
    return Table("class", columns, rows, cut=LARGEST)


def _parts(found: MultiLabelAudit) -> Table:
    """What the loss of each class is made of."""
    rows = []
    for name, audit in found.largest:
        parts = audit.decomposition
        of = [None if parts is None else getattr(parts, part) for part in PARTS[:3]]
        right = figure_of(audit.accuracy.value, 3)
        rows.append((Cell(name), whole(_rows_of_yes(audit)), *map(_known, of), right))
    columns = ("class", "rows of yes", *(words.said(part) for part in PARTS[:3]), "accuracy")
    return Table("parts of the loss of each class", columns, rows, cut=LARGEST)


def _known(part: Estimate | None) -> Cell:
    """A part's value, or else the interval that it is in."""
    if part is None:
        return Cell("-", kind="number")
    return estimated(part)[part.value is None]


def _estimated(part: Estimate | None) -> tuple[Cell, Cell]:
    """A part as cells, empty where there is none."""
    return estimated(part) if part is not None else (Cell("-", kind="number"),) * 2


def _rows_of_yes(audit: Audit) -> float:
    """In how many rows P's top class is yes."""
    return next((line["n"] for line in audit.classes if line["name"] == "yes"), 0)


def _findings(audits: Mapping[str, Audit]) -> tuple[list[str], list[str]]:
    """What must be known before the headline, and after it: once, with the classes it is of."""
    told: dict[tuple[bool, str], list[tuple[str, str]]] = {}
    for name, audit in audits.items():
        for one in audit.findings:
            told.setdefault((one.first, one.key), []).append((name, one.sentence))
        for note in audit.notes:
            told.setdefault((False, note), []).append((name, note))
    said: tuple[list[str], list[str]] = ([], [])
    for (first, code), of in told.items():
        if code == COPIES and len(of) < len(audits):
            continue
        name, sentence = of[0]
        text = f"Class {name}: {sentence.rstrip('.')}{_and_in([x for x, _ in of[1:]])}."
        if code == LABELS:
            every = "every class" if len(of) == len(audits) else f"{len(of):,} classes"
            text = f"{SAID_ONCE.format(every)}."
        said[0 if first else 1].append(text)
    return said


def _and_in(others: list[str]) -> str:
    if not others:
        return ""
    few = ", ".join(others[:NAMED]) + (", ..." if len(others) > NAMED else "")
    return f" (and the like in {len(others):,} more: {few})"


def _steps(found: MultiLabelAudit) -> list[str]:
    """What to do next."""
    told = [finding for audit in found.audits.values() for finding in audit.findings]
    steps = list(dict.fromkeys(x.remedy for x in told if x.remedy))
    gains = [
        (audit.decomposition.calibration_loss.value or 0.0, name)
        for name, audit in found.audits.items()
        if audit.decomposition is not None and words.wins(audit.decomposition)
    ]
    if steps or not gains or found.infinite_rows or found.refinement_loss is None:
        return steps
    most = sorted(gains, key=lambda gain: -gain[0])
    named = ", ".join(f"{name} ({short(gain)})" for gain, name in most[:NAMED])
    s = "" if len(most) == 1 else f", most in {named}"
    where = f"in {len(most):,} classes{s}" if len(most) > 1 else f"in {named}"
    free = (
        f"Recalibrate each class, at no cost in data or training: that takes the loss from"
        f" {short(found.cross_entropy.value)} to {short(found.refinement_loss.value)} {found.unit},"
        f" {where}, if Q has not seen these labels."
    )
    return [free]


def _method(found: MultiLabelAudit) -> dict[str, object]:
    p, q = found.source.get("p", found.p_kind), found.source.get("q", found.q_kind)
    return {
        "P and Q": f"{p} and {q}, class by class: each as an audit of no and yes",
        "options": ", ".join(f"{name} {value}" for name, value in found.options.items()),
        "cross entropy": found.cross_entropy.method,
        **{
            words.said(name): part.method
            for name in PARTS[:3]
            if (part := getattr(found, name)) is not None
        },
    }
