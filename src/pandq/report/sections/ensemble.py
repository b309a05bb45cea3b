"""What an audit says of an ensemble: what its members agree on, and what they do not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.quantities import QUANTITIES
from pandq.report import figures
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
from pandq.report.words import class_word
from pandq.results.uncertainty import SPLIT
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.audit import Audit
    from pandq.results.uncertainty import Uncertainty

MEASURED = {"kl": "KL(P||Q)", "squared": "squared distance, by pairs of votes"}


def ensemble_sections(audit: Audit, found: Uncertainty) -> Iterator[Section]:
    """The split, what averaging gains, and what the claim is worth."""
    optional = {"p_entropy": found.p_entropy, "gap": found.gap}
    rows = [Row(name, getattr(found, name)) for name in SPLIT]
    rows += [Row(name, x) for name, x in {**found.averaged, **optional}.items() if x is not None]
    yield Section(
        "What Q does not know, and what cannot be known",
        rows=rows,
        unit=audit.unit,
        level=audit.level,
        note=list(_sentences(found, audit.unit)),
    )
    if found.curve and found.distance is not None:
        measured = MEASURED[found.distance]
        told = f"{measured} in bins of Q's epistemic uncertainty, with intervals."
        draw = partial(figures.epistemic, audit)
        chart = Chart("epistemic", "What the claim is worth", told, draw)
        title = "Does Q err more where it claims to know less?"
        yield Section(title, chart=[chart], table=[_curve(found, measured, audit.unit)])
    split = {"class of Q": found.classes, **found.groups}
    tables = [_groups(*item, audit.unit) for item in split.items()]
    for title, lines in (
        ("rows with the highest epistemic uncertainty: more data would help", found.most_epistemic),
        ("rows with the highest aleatoric uncertainty: it would not", found.most_aleatoric),
    ):
        if lines:
            tables.append(_rows(title, lines, audit.unit))
    yield Section("Where Q is uncertain", table=tables)


def _sentences(found: Uncertainty, unit: str) -> Iterator[str]:
    """What the split says, and what its claim is worth."""
    share = (found.epistemic.value or 0.0) / (found.total.value or 1.0)
    total, aleatoric, epistemic = (short(getattr(found, name).value) for name in SPLIT)
    yield (
        f"Of {total} {unit} that Q is uncertain by, {aleatoric} is aleatoric (noise, by its own"
        f" account) and {epistemic} epistemic (what members disagree about,"
        f" {share:.0%}), by {found.members} members. More data would shrink the epistemic part"
        " alone. Few members show too little of it: the jackknife corrects most of that."
    )
    if found.gap is not None and found.p_entropy is not None:
        rough = " (of few votes, corrected but rough)" if found.distance == "squared" else ""
        by = "" if found.correlation is None else f"; correlation {found.correlation:.2f} over rows"
        yield (
            f"P's own entropy is {short(found.p_entropy.value)} {unit} on average{rough}; the"
            f" aleatoric part less that: {number(found.gap.value)} {interval(found.gap)}{by}."
        )
    if found.distance is None:
        yield (
            "One label per row cannot check the claim: with votes, an audit also shows how far Q is"
            " from P where it claims to know little."
        )


def _curve(found: Uncertainty, measured: str, unit: str) -> Table:
    rows = [
        (
            Cell(line["bin"]),
            whole(line["n"]),
            figure_of(line["claimed"]["value"]),
            *estimated(line["measured"]),
        )
        for line in found.curve
    ]
    columns = (f"epistemic uncertainty, {unit}", "rows", "mean", measured, "interval")
    return Table("measured distance from P", columns, rows)


def _groups(title: str, lines: Sequence[Mapping[str, Any]], unit: str) -> Table:
    rows = [
        (
            Cell(line["name"]),
            whole(line["n"]),
            *(figure_of(line[part]["value"]) for part in SPLIT),
            Cell(interval(line["epistemic"]), kind="number"),
        )
        for line in lines
    ]
    total, *parts = (QUANTITIES[x].label.split()[0] for x in SPLIT)
    columns = (title, "rows", f"{total}, {unit}", *parts, "interval")
    return Table(title, columns, rows, cut="largest total epistemic uncertainty first")


def _rows(title: str, lines: Sequence[Mapping[str, Any]], unit: str) -> Table:
    rows = [
        (
            Cell(str(line["id"])),
            Cell(str(line["row"]), line["row"], "number"),
            *(figure_of(line[part]) for part in ("epistemic", "aleatoric")),
            Cell(class_word(line["q_class"])),
        )
        for line in lines
    ]
    return Table(title, ("id", "row", f"epistemic, {unit}", "aleatoric", "Q's class"), rows)
