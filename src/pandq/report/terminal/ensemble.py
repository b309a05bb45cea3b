"""An ensemble's uncertainty in a terminal and on a page: the same lines, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from pandq.report.terminal.tables import interval, table_of
from pandq.report.words import class_word
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from pandq.results.estimate import Estimate
    from pandq.results.uncertainty import Uncertainty

SHOWN = 10
SAID = {
    "total": "entropy of the members' mean",
    "aleatoric": "mean entropy of a member: noise, as Q sees it",
    "epistemic": "what members disagree about: ignorance, as Q sees it",
}
AVERAGED = {
    "member": "a member taken at random",
    "averaged probabilities": "the mean of their probabilities (Q here)",
    "averaged logits": "the mean of their logits",
}
MEASURED = {"kl": "KL(P||Q)", "squared": "squared distance, by pairs of votes"}


def sentences(found: Uncertainty, unit: str) -> Iterator[str]:
    """What the split says, and what its claim is worth."""
    share = (found.epistemic.value or 0.0) / (found.total.value or 1.0)
    yield (
        f"Of {short(found.total.value)} {unit} that Q is uncertain by, it calls"
        f" {short(found.aleatoric.value)} noise and {short(found.epistemic.value)} its own"
        f" ignorance ({share:.0%}), by {found.members} members. More data would shrink the"
        " ignorance, not the noise. Few members show too little of it: the jackknife takes off"
        " most of that."
    )
    if found.gap is not None and found.people is not None:
        rough = " (of few votes, corrected but rough)" if found.distance == "squared" else ""
        by = "" if found.correlation is None else f"; correlation {found.correlation:.2f} over rows"
        yield (
            f"P's own entropy is {short(found.people.value)} {unit} on average{rough}; what Q"
            f" calls noise, less that: {number(found.gap.value)} {interval(found.gap)}{by}."
        )
    if found.distance is None:
        yield (
            "One label per row cannot check the claim: with votes, an audit also shows how far Q is"
            " from P where it claims to know little."
        )


def averages(found: Uncertainty) -> Iterator[tuple[str, Estimate, str]]:
    """The split's lines, and what averaging wins."""
    for name, what in SAID.items():
        yield name, getattr(found, name), what
    for name, what in AVERAGED.items():
        if name in found.averaged:
            yield f"cross entropy, {name}", found.averaged[name], what


def split_parts(found: Uncertainty, unit: str, level: float) -> Iterator[RenderableType]:
    """The section of a report in a terminal."""
    table = table_of(
        "total = aleatoric + epistemic", unit, f"{level:.0%} interval", words="what it is"
    )
    for name, estimate, what in averages(found):
        table.add_row(name, number(estimate.value), interval(estimate), what)
    yield table
    for sentence in sentences(found, unit):
        yield Text(sentence)
    if found.curve and found.distance is not None:
        yield Text()
        yield _curve(found)
    for title, lines in {"class of Q": found.classes, **found.groups}.items():
        yield Text()
        yield _groups(title, lines)
    for title, rows in (
        ("least known, more data would help: id", found.unknown),
        ("most disputed, it would not: id", found.disputed),
    ):
        if rows:
            yield Text()
            yield _rows(title, rows)


def _curve(found: Uncertainty) -> Table:
    """Does Q err more where it claims to know less?"""
    table = table_of(
        "claimed ignorance", "rows", "mean", MEASURED[found.distance or "kl"], "interval"
    )
    for line in found.curve:
        claimed, measured = line["claimed"], line["measured"]
        table.add_row(
            line["bin"],
            f"{line['n']:,}",
            number(claimed["value"]),
            number(measured["value"]),
            interval(measured),
        )
    return table


def _groups(title: str, lines: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(title, "rows", "total", "aleatoric", "epistemic", "interval")
    for line in lines[:SHOWN]:
        table.add_row(
            line["name"],
            f"{line['n']:,}",
            *(number(line[part]["value"]) for part in SAID),
            interval(line["epistemic"]),
        )
    if len(lines) > SHOWN:
        table.caption = f"{len(lines) - SHOWN} more in --json; most ignorance in all first"
    return table


def _rows(title: str, lines: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(title, "row", "epistemic", "aleatoric", "Q's class")
    for line in lines:
        table.add_row(
            str(line["id"]),
            str(line["row"]),
            number(line["epistemic"]),
            number(line["aleatoric"]),
            class_word(line["q_class"]),
        )
    return table
