"""A Markdown summary, appended where a pipeline shows it (GITHUB_STEP_SUMMARY)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pandq.errors import InputError
from pandq.plain import markdown_safe
from pandq.report.terminal.comparison import reference_sentence, sentence
from pandq.report.terminal.tables import interval
from pandq.report.words import entropy_of, headline, plug_in, said_first
from pandq.results.comparison import Comparison
from pandq.store import append_text
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.results.audit import Audit
    from pandq.results.estimate import Estimate
    from pandq.results.gates import Gate

VARIABLE = "GITHUB_STEP_SUMMARY"


def append_summary(result: Audit | Comparison, gates: Sequence[Gate]) -> None:
    """Append what was found to the file that GITHUB_STEP_SUMMARY names, if it names one.

    Raises:
        InputError: the file cannot be written.
    """
    place = summary_file()
    if place is None:
        return
    try:
        append_text(markdown(result, gates), place)
    except InputError as error:
        what = f"{VARIABLE} {error.what}"
        raise InputError(what, where=place, got=error.got) from None


def summary_file() -> str | None:
    """Where a pipeline wants a summary, if it wants one."""
    return os.environ.get(VARIABLE) or None


def markdown(result: Audit | Comparison, gates: Sequence[Gate]) -> str:
    """The result as Markdown: a sentence, a table, the limits."""
    lines, rows = _comparison(result) if isinstance(result, Comparison) else _audit(result)
    table = [f"| {name} | {number(e.value)} | {interval(e)} |" for name, e in rows]
    heading = f"| mean over {result.n:,} rows | {result.unit} | {result.level:.0%} interval |"
    marks = {True: "✅", False: "❌"}
    limits = [f"- {marks[gate.passed]} {markdown_safe(str(gate))}" for gate in gates]
    parts = [
        "\n".join(["## pandq", *(f"\n{markdown_safe(line)}" for line in lines)]),
        "\n".join([heading, "|---|---|---|", *table]),
        "\n".join(limits),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _comparison(result: Comparison) -> tuple[list[str], list[tuple[str, Estimate]]]:
    rows = [(markdown_safe(f"{x.q} less {x.against}"), x.cross_entropy) for x in result.differences]
    rows += [(markdown_safe(f"KL(P||Q) of {x.q}"), x.kl) for x in result.from_reference]
    rows += [(markdown_safe(f"KL(P||Q) of {x.q}, bounds"), x.kl) for x in result.bounds]
    said = [sentence(x, result.unit) for x in result.differences]
    return said + [reference_sentence(x, result.unit) for x in result.from_reference], rows


def _audit(result: Audit) -> tuple[list[str], list[tuple[str, Estimate]]]:
    rows = [
        ("cross entropy H(P,Q)", result.cross_entropy),
        (markdown_safe(entropy_of(result)), result.entropy),
        (markdown_safe("divergence KL(P||Q)"), result.kl),
    ]
    rows += plug_in(result)
    if result.decomposition is not None:
        parts = ("floor", "grouping_loss", "calibration_loss")
        rows += [(name, getattr(result.decomposition, name)) for name in parts]
    lines = [*said_first(result), headline(result)]
    return lines + [x.sentence for x in result.findings if not x.first], rows
