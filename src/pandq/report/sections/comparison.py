"""What a comparison says."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.quantities import keys
from pandq.report import figures
from pandq.report.few import (
    alone,
    beside,
    ends_of_tables,
    few_carry,
    few_units,
    none_wrong,
    over_whom,
    who_gave,
)
from pandq.report.sections.bounded import bounded_sections, bounds_sentence
from pandq.report.sections.bydocument import (
    document_sections,
    document_sentence,
    left_out_note,
)
from pandq.report.sections.judged import judged_section
from pandq.report.sections.oftext import per_text, text_row, text_unit
from pandq.report.sections.ordered import in_order
from pandq.report.sections.reference import reference_sections, reference_sentence
from pandq.report.sections.sampled import sampled_sections, sampled_sentence
from pandq.report.sections.section import (
    Cell,
    Chart,
    Row,
    Section,
    Table,
    estimated,
    figure_of,
    interval,
    whole,
)
from pandq.report.words import class_word, rows
from pandq.results.comparison import Difference, Unpaired
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.comparison import Comparison

SCORES = ("accuracy", "expected_accuracy", "brier", "confidence")
CANCELS = (
    "The floor H(P) is the same for all and cancels in a difference, H(P,Q) - H(P,A) = KL(P||Q) -"
    " KL(P||A), also with one label per row. What tells two models apart is the paired difference,"
    " never their own intervals side by side."
)
UNPAIRED = (
    "Unpaired: the baseline's rows may be others, and their difficulty does not cancel. Both models"
    " on the same rows would tell more."
)


def _said(comparison: Comparison) -> list[str]:
    """What a comparison says in sentences, the answer first."""
    unit = comparison.unit
    said = [difference_sentence(x, unit) for x in comparison.differences]
    said += [reference_sentence(x, unit) for x in comparison.from_reference]
    if comparison.control is not None:
        size = f"{short(comparison.control.kl.value)} {unit}, {interval(comparison.control.kl)}"
        said.append(f"The control, the reference run a second time, is at {size} from it.")
    said += [bounds_sentence(x, unit) for x in comparison.bounds]
    said += [
        f"The loss of {x.q} less that of {x.against} lies between {number(x.lower_bound.value)} and"
        f" {number(x.upper_bound.value)} {unit}."
        for x in comparison.difference_bounds
    ]
    said += [sampled_sentence(x, unit) for x in comparison.sampled]
    if comparison.by_document is not None:
        source = comparison.source
        said += [document_sentence(x, source) for x in comparison.by_document.differences]
    return said


def _few(comparison: Comparison) -> list[str]:
    """On how little intervals rest, where it is little."""
    right = [x.expected_accuracy for x in comparison.models]
    documents = comparison.by_document
    told = right[:1] if documents is None else [documents.differences[0].bits_per_byte]
    few = [note for x in told for note in few_units(x)]
    if all(x.value == 1.0 for x in right):
        sure = any(x.cross_entropy.value == 0.0 for x in comparison.models)
        few += [note for x in right[:1] for note in none_wrong(x, sure=sure)]
    for x in comparison.differences:
        few += few_carry(x.cross_entropy, f"difference of {x.q}")
    return few


def comparison_sections(comparison: Comparison) -> Iterator[Section]:
    """All that a comparison says, the answer first."""
    unit, documents, said = comparison.unit, comparison.by_document, _said(comparison)
    left_out = [] if documents is None else left_out_note(documents)
    about = f"{_amount(comparison)}; P is {comparison.p_kind}; {_over(comparison)}"
    notes = [f"Note: {note.rstrip('.')}." for note in (*comparison.notes, *_few(comparison))]
    yield Section(said[0], note=[*said[1:], about, *left_out, *notes], first=True, answer=True)
    if documents is not None:
        yield from document_sections(comparison, documents)
        return
    if comparison.bounds:
        yield from bounded_sections(comparison)
        return
    if comparison.sampled:
        for drawn in comparison.sampled:
            yield from sampled_sections(drawn, comparison)
        return
    yield _models(comparison)
    for place, difference in enumerate(comparison.differences):
        if isinstance(difference, Difference):
            yield from _difference(difference, comparison, place)
    if comparison.judged is not None:
        yield judged_section(comparison.judged, unit)
    for place, found in enumerate((*comparison.from_reference, comparison.control)):
        if found is not None:
            yield from reference_sections(found, comparison, place)
    yield Section("How it was computed", definitions=_method(comparison))


def _amount(comparison: Comparison) -> str:
    """How much was compared."""
    found = comparison.by_document
    if found is not None:
        unit = text_unit(comparison.source)
        return f"{found.documents:,} documents of {found.n_bytes:,.0f} {unit}s"
    classes = f", {comparison.n_classes:,} classes" if comparison.n_classes else ""
    classes += "" if comparison.order is None else f", {in_order(comparison.order)}"
    return f"{comparison.n:,} rows{classes}"


def _over(comparison: Comparison) -> str:
    """What varies in the intervals."""
    if comparison.by_document is not None:
        return f"intervals over documents at {comparison.level:.0%}"
    over = comparison.source.get("intervals_over", "")
    if comparison.models:
        one, people = comparison.models[0], comparison.source.get("annotators", 0)
        return over_whom(one.cross_entropy, people, rows=over)
    if comparison.sampled and comparison.sampled[0].n_sequences:
        over = f"{comparison.sampled[0].n_sequences:,} clusters"
    return f"intervals{f' over {over}' if over else ''} at {comparison.level:.0%}"


def difference_sentence(difference: Difference | Unpaired, unit: str) -> str:
    """What an interval lets one say of two models."""
    loss = difference.cross_entropy
    one, other = difference.q, difference.against
    if loss.value is None:
        return (
            f"{one} and {other} both have rows of infinite loss (q = 0 < p): no mean compares them."
        )
    if not math.isfinite(loss.value):
        lost = one if loss.value > 0 else other
        n = getattr(difference, "infinite_rows", {}).get(lost, 0)
        return (
            f"{lost} has an infinite loss (q = 0 < p) in {rows(n)}: {one} is {difference.verdict}."
        )
    if loss.value == 0.0 and loss.low == loss.high:
        return f"{one} has the same loss as {other} in every row."
    size = f"{short(abs(loss.value))} {unit} per row {'higher' if loss.value > 0 else 'lower'}"
    what = f"The loss of {one} is {size} than that of {other}, {interval(loss)} at {loss.level:.0%}"
    if difference.verdict == "not told apart":
        return f"{what}: these rows do not tell the two apart."
    return f"{what}: it is {difference.verdict}."


def _models(comparison: Comparison) -> Section:
    """Each model alone, and what a difference is."""
    names = ["cross_entropy", "kl", "accuracy", "brier"]
    optional = {"rps": "RPS", "bits_per_byte": per_text(comparison.source)}
    more = [name for name in optional if getattr(comparison.models[0], name) is not None]
    names, headings = [*names, *more], [optional[name] for name in more]
    lines = [
        (Cell(x.q), *(figure_of(getattr(x, name).value) for name in names), whole(x.infinite_rows))
        for x in comparison.models
    ]
    loss = f"H(P,Q), {comparison.unit}"
    columns = (
        "model",
        loss,
        "KL(P||Q)",
        "accuracy",
        "Brier",
        *headings,
        "infinite rows",
    )
    alone = "each model alone; what tells two apart is their paired difference"
    caption = alone if comparison.differences else ""
    charts, note = [], []
    if comparison.differences:
        told = " ".join(difference_sentence(x, comparison.unit) for x in comparison.differences)
        draw = partial(figures.differences, comparison)
        charts.append(Chart("differences", "Differences in loss", told, draw, wide=True))
        unpaired = any(isinstance(x, Unpaired) for x in comparison.differences)
        note.append(UNPAIRED if unpaired else CANCELS)
    return Section(
        "Models", chart=charts, table=[Table("models", columns, lines, caption)], note=note,
        first=True,
    )  # fmt: skip


def _difference(difference: Difference, comparison: Comparison, place: int) -> Iterator[Section]:
    """One model less the one that it is compared with."""
    one, other = difference.q, difference.against
    wins = {name: f"{x.value:.1%} {interval(x)}" for name, x in difference.wins.items()}
    row_by_row = (
        f"Row by row {other} has the lower loss in {wins['against_better']}, {one} in"
        f" {wins['q_better']}, and they are equal in {wins['tie']}; the top class is the same in"
        f" {difference.same_top1.value:.1%} {interval(difference.same_top1)}"
        f"{alone(difference.wins['tie'], difference.cross_entropy)}."
    )
    notes = [row_by_row]
    notes += [
        f"{name} has an infinite loss (q = 0 < p) in {rows(lost)}; so has every class and group"
        " with one of them. What is left after recalibration is over all rows."
        for name, lost in difference.infinite_rows.items()
        if lost
    ]
    tables = {"class of P": difference.classes, **difference.groups}
    looked_at = (
        f"{difference.groups_looked_at} groups were looked at; verdicts allow for all (Holm)"
    )
    unit = comparison.unit
    ends = ends_of_tables(difference.cross_entropy)
    shown = [_groups(name, lines, looked_at, unit, ends) for name, lines in tables.items()]
    for model, side, lines in (
        (other, "against", difference.against_better),
        (one, "q", difference.q_better),
    ):
        if lines:
            headings = [f"difference, {unit}", *(f"{x}'s class" for x in ("P", other, one))]
            title = f"rows where {model} is better by most"
            shown.append(_rows(title, f"{side}-better-{place}", headings, lines))
    yield Section(
        f"{one} less {other}",
        rows=list(_quantities(difference, comparison.source)),
        unit=comparison.unit,
        level=comparison.level,
        note=notes,
        table=shown,
    )


def _quantities(difference: Difference, source: Mapping[str, Any]) -> Iterator[Row]:
    """The means of the rows' differences."""
    loss = "cross entropy, and KL(P||Q)"
    yield Row("cross_entropy", difference.cross_entropy, loss, _p(difference.p_value))
    for key, estimate, label, words in (
        ("cross_entropy", difference.finite_part, "over rows finite in both",
         "which their outcomes chose: no estimate"),
        ("grouping_loss", difference.grouping_loss, "grouping loss",
         "after recalibrating both: the models"),
        ("calibration_loss", difference.calibration_loss, "calibration loss",
         "what recalibrating each removes"),
    ):  # fmt: skip
        if estimate is not None:
            yield Row(key, estimate, f"  {label}", words)
    if difference.bits_per_byte is not None:
        yield text_row(difference.bits_per_byte, source)
    for name in (*SCORES, *keys("ordered")):
        if (found := getattr(difference, name)) is not None:
            yield Row(name, found).among(difference.cross_entropy)


def _p(value: float | None) -> str:
    if value is None:
        return "infinite: see below"
    return f"p = {value:.3g}" if value >= 1e-4 else "p < 0.0001"


def _groups(
    name: str, lines: Sequence[Mapping[str, Any]], looked_at: str, unit: str, heading: str
) -> Table:
    found = [
        (
            Cell(line["name"]),
            whole(line["n"]),
            *estimated(line),
            figure_of(line["p_holm"]),
            Cell(
                line["verdict"],
                kind=line["verdict"] if line["verdict"] in ("better", "worse") else "text",
            ),
        )
        for line in lines
    ]
    columns = (name, "rows", f"difference, {unit}", heading, "p (Holm)", "verdict")
    return Table(name, columns, found, looked_at, cut="largest total difference first")


def _rows(
    title: str, name: str, headings: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> Table:
    found = [
        (
            Cell(str(line["id"])),
            Cell(str(line["row"]), line["row"], "number"),
            figure_of(line["difference"]),
            *(Cell(class_word(line[of])) for of in ("p_class", "against_class", "q_class")),
        )
        for line in lines
    ]
    return Table(title, ("id", "row", *headings), found, name=name)


def _method(comparison: Comparison) -> dict[str, object]:
    found: dict[str, object] = {"P": comparison.source.get("p", comparison.p_kind)}
    found |= beside(comparison.source)
    if comparison.models:
        one, people = comparison.models[0], comparison.source.get("annotators", 0)
        found |= who_gave(one.cross_entropy, people, votes=one.kl.value is None)
    if comparison.differences:
        found["differences"] = comparison.differences[0].cross_entropy.method
    return found
