"""Tables of single rows and of groups, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.estimate.intervals import finite
from pandq.estimate.rowsums import DETAILS, LOSSES
from pandq.sums.tallies import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.estimate.means import GroupMeans
    from pandq.sums.tallies import WorstRows

_IN_UNITS = frozenset(LOSSES)


def rows_table(rows: WorstRows, classes: Sequence[str], scale: float) -> list[dict[str, Any]]:
    """Single rows with their measures, as JSON values."""
    table = []
    for row, shown, details in zip(rows.row, rows.ids, rows.details, strict=True):
        found = dict(zip(DETAILS, details.tolist(), strict=True))
        line: dict[str, Any] = {
            "row": int(row),
            "id": plain_id(shown.id),
            "p_class": classes[int(found.pop("p_class"))],
            "q_class": classes[int(found.pop("q_class"))],
        }
        line |= {k: finite(x * scale if k in _IN_UNITS else x) for k, x in found.items()}
        line["top"] = [
            {"class": classes[k], "p": float(p), "q": float(q)}
            for k, p, q in zip(shown.top, shown.p, shown.q, strict=True)
        ]
        table.append(line)
    return table


def groups_table(
    groups: GroupMeans, rename: Mapping[str, str] | None, scale: float, level: float
) -> list[dict[str, Any]]:
    """One entry per group, the largest divergence in total first."""
    table = []
    for name, means in groups.groups():
        entry: dict[str, Any] = {
            "name": rename[name] if rename else name,
            "n": means.n,
            "weight": means.moments.weight,
        }
        for measure in means.names:
            factor = scale if measure in _IN_UNITS else 1.0
            estimate = means.estimate(measure, level=level)
            ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            entry[measure] = {k: finite(None if x is None else x * factor) for k, x in ends.items()}
        table.append(entry)
    return sorted(table, key=lambda entry: -entry["weight"] * entry["kl"]["value"])


def plain_id(identity: Any) -> str | int | None:
    """An id as JSON has it."""
    value = plain(identity)
    return value if isinstance(value, int) or value is None else str(value)
