"""Tables of single rows and of groups, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pandq.core.scores import TIED
from pandq.estimate.averages.rowsums import AVERAGES, DETAILS, ORDERED
from pandq.quantities import QUANTITIES
from pandq.results.estimate import ENDS, finite

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
    names = (*AVERAGES, *(x for x in ORDERED if x in groups.others.names))
    moments, measured = groups.others.moments, groups.ends(names, level=level)
    columns = {
        measure: [[finite(x) for x in (of * _scale(measure, scale)).tolist()] for of in found]
        for measure, found in measured.items()
    }
    infinite, total = groups.n_infinite.tolist(), moments.weight * groups.finite_mean("kl")
    table = []
    for g, name in enumerate(map(str, moments.names)):
        entry: dict[str, Any] = {
            "name": rename[name] if rename else name,
            "n": int(moments.n[g]),
            "weight": float(moments.weight[g]),
            "infinite_rows": infinite[g],
        }
        entry |= {
            measure: dict(zip(ENDS, (of[g] for of in each), strict=True))
            for measure, each in columns.items()
        }
        if votes:
            entry["kl_plug_in"], entry["kl"] = entry["kl"], dict.fromkeys(ENDS)
        table.append((-infinite[g], -float(total[g]), entry["name"], entry))
    return [entry for *_, entry in sorted(table, key=lambda line: line[:3])]


def _scale(measure: str, scale: float) -> float:
    return scale if QUANTITIES[measure].unit else 1.0


def ends(estimate: Estimate, scale: float) -> dict[str, float | None]:
    """An estimate's value and interval in a unit, as JSON has them."""
    told = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: finite(None if x is None else x * scale) for name, x in told.items()}


def class_name(classes: Sequence[str], place: float) -> str | None:
    """The name of a row's most probable class; None where several share the top."""
    return None if place == TIED else classes[int(place)]
