"""What a comparison says of models whose rows are not the same, by their documents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pandq.report.sections.oftext import per_text, text_row, text_unit
from pandq.report.sections.section import (
    Cell,
    Section,
    Table,
    estimated,
    figure_of,
    interval,
    whole,
)
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pandq.results.bydocument import ByDocument, DocumentDifference
    from pandq.results.comparison import Comparison

PAIRED = (
    "Rows (tokens) differ with the tokenizer; what was compared is each document's loss in bits by"
    " its {unit}s. A difference is the sum of the documents' differences by the sum of their"
    " {unit}s, and its interval is over documents."
)
# Documents that are named where some are not in every model's rows.
NAMED = 5


def document_sentence(found: DocumentDifference, source: Mapping[str, Any]) -> str:
    """What an interval lets one say of two models."""
    e, one, other = found.bits_per_byte, found.q, found.against
    if e.value is None:
        return f"{one} and {other} both forbid part of the text: no mean compares them."
    if not math.isfinite(e.value):
        return f"{one if e.value > 0 else other} forbids part of the text: its loss is infinite."
    way = "more" if e.value > 0 else "fewer"
    size = f"{short(abs(e.value))} {per_text(source)} {way}"
    what = f"{one} needs {size} than {other}, {interval(e)} at {e.level:.0%}"
    if found.verdict == "not told apart":
        return f"{what}: these documents do not tell the two apart."
    return f"{what}: it is {found.verdict}."


def left_out_note(found: ByDocument) -> list[str]:
    """Which documents are not in every model's rows."""
    if not found.left_out:
        return []
    few = [
        f"{line['document']} (not in {', '.join(line['missing_in'])})"
        for line in found.left_out[:NAMED]
    ]
    more = ", ..." if len(found.left_out) > NAMED else ""
    n = len(found.left_out)
    what = "1 document is" if n == 1 else f"{n:,} documents are"
    return [f"{what} not in every model's rows, and left out: {', '.join(few)}{more}."]


def document_sections(comparison: Comparison, found: ByDocument) -> Iterator[Section]:
    """Each model, their differences, and the documents that make these."""
    source = comparison.source
    lines = [
        (Cell(x.q), whole(x.n), *estimated(x.bits_per_byte), whole(x.infinite_rows))
        for x in found.models
    ]
    columns = ("model", "rows", per_text(source), "interval", "infinite rows")
    alone = "each model alone; what tells two apart is their paired difference"
    yield Section(
        "Models",
        rows=[
            text_row(x.bits_per_byte, source, f": {x.q} less {x.against}")
            for x in found.differences
        ],
        level=comparison.level,
        table=[Table("models", columns, lines, alone)],
        note=[PAIRED.format(unit=text_unit(source))],
        first=True,
    )
    for place, x in enumerate(found.differences):
        if x.largest:
            name = f"documents-{place}"
            yield Section(f"{x.q} less {x.against}", table=[_largest(x, name, source)])
    method = found.differences[0].bits_per_byte.method
    yield Section("How it was computed", definitions={"differences": method})


def _largest(found: DocumentDifference, name: str, source: Mapping[str, Any]) -> Table:
    lines = [
        (
            Cell(str(line["document"])),
            whole(line["n_bytes"]),
            *(
                figure_of(math.inf if line[key] is None and line["n_bytes"] else line[key])
                for key in ("difference", "against", "q")
            ),
        )
        for line in found.largest
    ]
    columns = ("document", f"{text_unit(source)}s", "difference", found.against, found.q)
    caption = f"{per_text(source)}; largest part of the difference first"
    return Table("documents that differ most", columns, lines, caption, name=name)
