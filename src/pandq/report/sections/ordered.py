"""What an audit says of classes in their order: the ranked probability score and its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.report import words
from pandq.report.sections.section import Row, Section
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.results.audit import Audit
    from pandq.results.estimate import Estimate

# So many classes are named at either end where there are more than twice as many.
ENDS = 6
MEANING = {
    "floor": "half the steps between two labels for one row: no model can pass it",
    "grouping_loss": "the model's, at most",
    "calibration_loss": "removed by recalibrating, at least",
}
OF_LABELS = (
    "One label a row leaves the floor of this score open; two votes a row say it without bias."
)


def ordered_section(audit: Audit, rps: Estimate) -> Section:
    """The score of all rows, and of what it is made where that is known."""
    parts = {} if audit.decomposition is None else dict(audit.decomposition.rps)
    rows = [Row("rps", rps)]
    whole = parts.pop("rps", rps)
    if whole.n != rps.n:
        rows.append(Row("rps", whole, f"{words.said('rps')}, rows of two votes or more"))
    rows += [Row(name, x, f"  its {words.said(name)}", MEANING[name]) for name, x in parts.items()]
    labels = audit.decomposition is not None and audit.decomposition.label_type == "labels"
    return Section(
        "Classes in their order",
        rows=rows,
        level=audit.level,
        note=[OF_LABELS] if labels else [],
    )


def told_of_score(audit: Audit) -> list[str]:
    """What the score is made of, in a sentence; none where classes have no order."""
    if audit.rps is None:
        return []
    parts = {} if audit.decomposition is None else audit.decomposition.rps
    shares = [f"{name.partition('_')[0]} {short(x.value)}" for name, x in parts.items()][1:]
    made = f": {', '.join(shares)}" if shares else ""
    return [f"Ranked probability score {short(audit.rps.value)}{made}."]


def in_order(order: Sequence[str]) -> str:
    """Classes from one end to the other; of many those at the ends.

    >>> in_order(["bad", "fair", "good"])
    'bad < fair < good'
    """
    some = list(order)
    if len(some) > 2 * ENDS:
        some = [*some[:ENDS], "...", *some[-ENDS:]]
    return " < ".join(some)
