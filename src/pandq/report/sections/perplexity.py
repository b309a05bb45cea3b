"""What log-probabilities of what was drawn say of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.quantities import QUANTITIES
from pandq.report.few import few_units
from pandq.report.sections.oftext import text_row
from pandq.report.sections.sampled import INDEPENDENT
from pandq.report.sections.section import (
    Cell,
    Row,
    Section,
    Table,
    estimated,
    figure_of,
    interval,
    whole,
)
from pandq.report.words import rows
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.perplexity import Perplexity

NOT_KNOWN = (
    "Of each row is known what Q gave to the one token that was drawn. What takes its other"
    " probabilities is left out: accuracy, Brier score, calibration, and the parts of the loss."
)


def perplexity_sections(found: Perplexity) -> Iterator[Section]:
    """All that is said, the answer first."""
    over = found.source.get("intervals_over")
    about = (
        f"{found.n:,} rows; Q is what {found.source.get('q', 'a model')} gave to what was drawn;"
        f" intervals{f' over {over}' if over else ''} at {found.level:.0%}"
    )
    told = [*found.notes, *few_units(found.cross_entropy)]
    notes = [f"Note: {note.rstrip('.')}." for note in told]
    yield Section(_answer(found), note=[about, *notes], first=True, answer=True)
    yield Section(
        "The loss, per row",
        rows=list(_rows(found)),
        unit=found.unit,
        level=found.level,
        note=[NOT_KNOWN, *([] if over else [INDEPENDENT])],
        first=True,
    )
    named = f"quantiles of {QUANTITIES['cross_entropy'].label} of single rows"
    listed = ", ".join(
        f"{'largest' if q == '1' else f'{100 * float(q):g}%'} {number(x)}"
        for q, x in found.quantiles.items()
    )
    yield Section(
        "Where the loss is",
        note=[f"{named} (within {found.quantile_accuracy:.1%}): {listed}."],
        table=[*(_group(*item, found.unit) for item in found.groups.items()), *_worst(found)],
    )
    options = ", ".join(f"{name} {value}" for name, value in found.options.items())
    yield Section(
        "How it was computed",
        definitions={"options": options, "cross entropy": found.cross_entropy.method},
    )


def _answer(found: Perplexity) -> str:
    """The perplexity, in a sentence."""
    if found.infinite_rows:
        lost = rows(found.infinite_rows)
        return f"The perplexity is infinite: Q forbids what was drawn in {lost}."
    loss, size = found.cross_entropy, found.perplexity
    return (
        f"Perplexity {short(size.value)} {interval(size)}: a loss of {short(loss.value)}"
        f" {found.unit} per row, {interval(loss)} at {found.level:.0%}."
    )


def _rows(found: Perplexity) -> Iterator[Row]:
    yield Row("cross_entropy", found.cross_entropy, meaning="mean of -ln q of what was drawn")
    yield Row("perplexity", found.perplexity)
    if found.bits_per_byte is not None:
        yield text_row(found.bits_per_byte, found.source)
    if found.finite_part is not None:
        label = f"{QUANTITIES['cross_entropy'].label}, finite rows only"
        why = "the rows where it is finite were chosen by their outcome: no estimate"
        yield Row("cross_entropy", found.finite_part, label, why)


def _group(title: str, lines: Sequence[Mapping[str, Any]], unit: str) -> Table:
    shown = []
    for line in lines:
        value, ends = estimated(line["cross_entropy"])
        if line["infinite_rows"]:
            value, ends = Cell("inf", kind="number"), Cell("-", kind="number")
        shown.append((Cell(line["name"]), whole(line["n"]), value, ends))
    columns = (title, "rows", f"loss, {unit}", "interval")
    return Table(title, columns, shown, cut="largest loss first")


def _worst(found: Perplexity) -> list[Table]:
    if not found.worst:
        return []
    shown = [
        (
            Cell(str(line["id"])),
            Cell(str(line["row"]), line["row"], "number"),
            figure_of(float("inf") if line["cross_entropy"] is None else line["cross_entropy"]),
        )
        for line in found.worst
    ]
    columns = ("id", "row", f"loss, {found.unit}")
    return [Table("rows of largest loss", columns, shown, name="worst")]
