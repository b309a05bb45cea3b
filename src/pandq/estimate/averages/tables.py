"""Tables of single rows and of groups, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pandq.core.scores import TIED
from pandq.estimate.averages.rowsums import AVERAGES, DETAILS
from pandq.quantities import QUANTITIES
from pandq.results.estimate import finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.estimate.averages.lossmeans import GroupLossMeans
    from pandq.results.estimate import Estimate
    from pandq.sums.tallies import Shown, WorstRows


def rows_table(rows: WorstRows, classes: Sequence[str], scale: float) -> list[dict[str, Any]]:
    """Single rows with their measures, as JSON values."""
    table = []
    each = cast("tuple[Shown, ...]", rows.ids)
    for row, shown, details in zip(rows.row, each, rows.details, strict=True):
        found = dict(zip(DETAILS, details.tolist(), strict=True))
        line: dict[str, Any] = {
            "row": int(row),
            "id": shown.id,
            "p_class": class_name(classes, found.pop("p_class")),
            "q_class": class_name(classes, found.pop("q_class")),
        }
        line |= {k: finite(x * scale if QUANTITIES[k].unit else x) for k, x in found.items()}
        top = [
            {"class": classes[k], "p": float(p), "q": float(q)}
            for k, p, q in zip(shown.top, shown.p, shown.q, strict=True)
        ]
        line["top"] = sorted(top, key=lambda x: (-max(x["p"], x["q"]), x["class"]))
        table.append(line)
    return table


def groups_table(
    groups: GroupLossMeans,
    rename: Mapping[str, str] | None,
    scale: float,
    level: float,
    *,
    votes: bool = False,
) -> list[dict[str, Any]]:
    """One entry per group: those of infinite loss first, then the largest divergence in total.

    Of `votes` the divergence of their shares has a name of its own, and KL is left open: it needs a
    floor, which rows that were chosen by their votes do not have.
    """
    table = []
    for name, means in groups.groups():
        entry: dict[str, Any] = {
            "name": rename[name] if rename else name,
            "n": means.n,
            "weight": means.weight,
            "infinite_rows": means.n_infinite,
        }
        for measure in AVERAGES:
            estimate = means.estimate(measure, level=level)
            entry[measure] = ends(estimate, scale if estimate.unit else 1.0)
        if votes:
            entry["kl_plug_in"], entry["kl"] = entry["kl"], dict.fromkeys(("value", "low", "high"))
        part = means.finite_part("kl", level=level)
        total = means.weight * (means.mean("kl") if part is None else part.value or 0.0)
        table.append((-means.n_infinite, -total, entry["name"], entry))
    return [entry for *_, entry in sorted(table, key=lambda line: line[:3])]


def ends(estimate: Estimate, scale: float) -> dict[str, float | None]:
    """An estimate's value and interval in a unit, as JSON has them."""
    told = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: finite(None if x is None else x * scale) for name, x in told.items()}


def class_name(classes: Sequence[str], place: float) -> str | None:
    """The name of a row's most probable class; None where several share the top."""
    return None if place == TIED else classes[int(place)]
