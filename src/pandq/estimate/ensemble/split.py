"""Uncertainty: an ensemble's entropy as aleatoric and epistemic, and what its claim is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.estimate.averages.tables import class_name, ends
from pandq.estimate.ensemble.membersums import DETAILS, MemberSums, bin_names
from pandq.results.estimate import finite
from pandq.results.uncertainty import SPLIT, Uncertainty
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.estimate.averages.means import GroupMeans
    from pandq.sums.tallies import WorstRows


def uncertainty(
    sums: MemberSums, p_kind: str, names: Sequence[str], *, unit: Unit, level: float
) -> Uncertainty | None:
    """The split that the sums tell; None where Q is one distribution per row."""
    if not sums.split.n:
        return None
    scale = per_nat(unit)
    distance = {"labels": None, "counts": "squared"}.get(p_kind, "kl")
    people = sums.people.n > 1
    how = f"mean over rows, jackknife over {sums.members} members, which are taken as given"
    found = {
        name: sums.split.estimate(name, level=level, method=how).to_unit(unit) for name in SPLIT
    }
    return Uncertainty(
        members=sums.members,
        **found,
        averaged={
            name: means.estimate(name, level=level).to_unit(unit)
            for name, means in sums.averaged.items()
        },
        p_entropy=sums.people.estimate("p_entropy", level=level).to_unit(unit) if people else None,
        gap=sums.people.estimate("gap", level=level).to_unit(unit) if people else None,
        correlation=_correlation(sums) if people else None,
        distance=distance,
        curve=_curve(sums, distance, scale, level),
        classes=_table(sums.classes, {str(k): name for k, name in enumerate(names)}, scale, level),
        groups={name: _table(table, None, scale, level) for name, table in sums.groups.items()},
        most_epistemic=_rows(sums.most_epistemic, names, scale),
        most_aleatoric=_rows(sums.most_aleatoric, names, scale),
    )


def _correlation(sums: MemberSums) -> float | None:
    """Correlation of the aleatoric part with people's entropy; few votes lower it by noise."""
    covariance = sums.people.moments.covariance()
    spread = float(covariance[0, 0] * covariance[1, 1])
    return finite(float(covariance[0, 1]) / np.sqrt(spread)) if spread > 0 else None


def _curve(
    sums: MemberSums, distance: str | None, scale: float, level: float
) -> list[dict[str, Any]]:
    """Measured distance by bins of the claim, from the least claim up."""
    factors = {"claimed": scale, "measured": scale if distance == "kl" else 1.0}
    order = {name: place for place, name in enumerate(bin_names())}
    lines = []
    for name, means in sums.curve.groups():
        line: dict[str, Any] = {"bin": bin_names(scale)[order[name]], "n": means.n}
        for what, factor in factors.items():
            line[what] = ends(means.estimate(what, level=level), factor)
        lines.append((order[name], line))
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def _table(
    table: GroupMeans, rename: Mapping[str, str] | None, scale: float, level: float
) -> list[dict[str, Any]]:
    """One entry per group, the largest total epistemic uncertainty first."""
    lines = []
    for name, means in table.groups():
        line: dict[str, Any] = {
            "name": rename[name] if rename else name,
            "n": means.n,
            "weight": means.moments.weight,
        }
        line |= {part: ends(means.estimate(part, level=level), scale) for part in SPLIT}
        lines.append(line)
    return sorted(lines, key=lambda x: (-x["weight"] * x["epistemic"]["value"], x["name"]))


def _rows(rows: WorstRows, names: Sequence[str], scale: float) -> list[dict[str, Any]]:
    lines = []
    for row, identity, details in zip(rows.row, rows.ids, rows.details, strict=True):
        found = dict(zip(DETAILS, details.tolist(), strict=True))
        top = class_name(names, found.pop("q_class"))
        line: dict[str, Any] = {"row": int(row), "id": identity, "q_class": top}
        lines.append(line | {name: x * scale for name, x in found.items()})
    return lines
