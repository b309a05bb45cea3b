"""Differences: what the paired sums say of one model against another, as estimates."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from pandq.estimate.averages.lossmeans import UNSEEN, infinite_difference
from pandq.estimate.averages.perbyte import NAME, bits_per_byte
from pandq.estimate.averages.rowsums import ORDERED
from pandq.estimate.averages.tables import class_name, ends
from pandq.estimate.comparison.paired import DETAILS, LOSS
from pandq.estimate.comparison.verdicts import holm, p_value, verdict
from pandq.quantities import DIFFERENCE
from pandq.results.comparison import Difference, Model
from pandq.results.estimate import Estimate, finite
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
    from pandq.estimate.averages.means import Means
    from pandq.estimate.averages.rowsums import RowSums
    from pandq.estimate.comparison.paired import PairSums
    from pandq.sums.tallies import WorstRows

PAIRED = "mean of paired differences"
LOSSES = ("cross_entropy",)
SCORES = ("accuracy", "expected_accuracy", "brier")
DIFFERENCES = (*SCORES, "confidence")
IN_UNITS = frozenset({"difference", "against_cross_entropy", "q_cross_entropy"})


def model_of(name: str, sums: RowSums, per_byte: LossMeans, *, unit: Unit, level: float) -> Model:
    """One model's averages."""
    found = {name: sums.estimate(name, level=level).to_unit(unit) for name in LOSSES}
    scores = (*SCORES, *ORDERED) if sums.ordered else SCORES
    found |= {name: sums.estimate(name, level=level) for name in scores}
    found["kl"] = sums.kl(level=level)[0].to_unit(unit)
    return Model(
        q=name,
        **found,
        infinite_rows=sums.n_infinite,
        bits_per_byte=bits_per_byte(per_byte, level=level),
    )


def difference_of(
    sums: PairSums,
    *,
    names: tuple[str, str],
    parts: LossMeans | None,
    classes: Sequence[str],
    unseen: float,
    unit: Unit,
    level: float,
) -> Difference:
    """What one pair's sums say.

    Args:
        sums: of the model named second against the one named first.
        names: what they are called.
        parts: the second pass over the pair.
        classes: class names.
        unseen: what wrong rows may move the difference by, in nats, where none was seen.
        unit: of the result.
        level: confidence level of the intervals.

    Returns:
        A Difference.
    """
    scale = per_nat(unit)

    def of(name: str, means: LossMeans = sums.means) -> Estimate:
        return means.estimate(f"{name}{DIFFERENCE}", level=level, method=PAIRED)

    lost = sums.infinite_q, sums.infinite_against
    finite_loss = sums.means.losses.estimate(LOSS, level=level, method=PAIRED)
    loss = finite_loss = replace(finite_loss, name="difference").to_unit(unit)
    if unseen and loss.value is not None:
        loss = loss.reaching(loss.value + unseen * scale, UNSEEN)
    per_byte = bits_per_byte(sums.per_byte, level=level, name=f"{NAME}{DIFFERENCE}")
    grouping = calibration = None
    if parts is not None:
        grouping = of("grouping_loss", parts).to_unit(unit)
        calibration = of("calibration_loss", parts).to_unit(unit)
    ordered = (x for x in ORDERED if f"{x}{DIFFERENCE}" in sums.means.others.names)
    infinite = sums.means.n_infinite > 0
    if infinite:
        loss = infinite_difference(loss, *lost)
        if calibration is not None:
            calibration = infinite_difference(calibration, *lost)
        if per_byte is not None:
            per_byte = infinite_difference(per_byte, *lost)
        how = f"{finite_loss.method}, over the rows where it is finite"
        finite_loss = replace(finite_loss, method=how)
    by_class = _groups(sums.classes, scale, level, {str(k): x for k, x in enumerate(classes)})
    groups = {name: _groups(table, scale, level, {}) for name, table in sums.groups.items()}
    wins = {name: sums.wins.estimate(name, level=level) for name in sums.wins.names}
    return Difference(
        q=names[1],
        against=names[0],
        paired=True,
        cross_entropy=loss,
        kl=replace(loss, name="kl"),
        finite_part=finite_loss if infinite and finite_loss.n else None,
        p_value=None if infinite or unseen else _p_value(sums.means.losses),
        verdict=verdict(loss.low, loss.high),
        grouping_loss=grouping,
        calibration_loss=calibration,
        **{name: of(name) for name in (*DIFFERENCES, *ordered)},
        same_top1=wins.pop("same_top1"),
        wins=wins,
        infinite_rows=dict(zip(reversed(names), lost, strict=True)),
        groups_looked_at=_judge([*by_class, *chain(*groups.values())], level),
        classes=by_class,
        groups=groups,
        against_better=_rows(sums.worse, classes, scale),
        q_better=_rows(sums.better, classes, scale),
        bits_per_byte=per_byte,
    )


def unseen_of_both(q: LossMeans, against: LossMeans, *, level: float) -> float:
    """What rows in which both are wrong may move their difference by; 0 where one was seen."""
    if not (q.without_error and against.without_error):
        return 0.0
    return q.unseen(LOSSES[0], level=level) - against.unseen(LOSSES[0], level=level)


def _judge(lines: Sequence[dict[str, Any]], level: float) -> int:
    """Give each group's line its verdict, allowing for how many groups there are; how many had one.

    Source: Holm 1979.
    """
    judged = [line for line in lines if line["n"] >= FEWEST and not line["infinite_rows"]]
    for line in lines:
        why = "infinite" if line["infinite_rows"] else "too few rows"
        line |= {"p_holm": None, "verdict": why}
    for line, p in zip(judged, holm([line["p_value"] for line in judged]), strict=True):
        line["p_holm"] = float(p)
        sure = p < 1 - level
        line["verdict"] = verdict(line["low"], line["high"]) if sure else "not told apart"
    return len(judged)


# Fewer rows than this make no verdict on a group, nor one of the groups that verdicts allow for.
FEWEST = 5


def _p_value(means: Means) -> float:
    return p_value(means.sampling(LOSS))


def _groups(
    groups: GroupLossMeans, scale: float, level: float, named: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One line per group: those of infinite losses first, then the largest total difference."""
    table = []
    for name, means in groups.groups():
        line: dict[str, Any] = {"name": named.get(name, name), "n": means.n}
        line["weight"] = means.weight
        line["infinite_rows"] = means.n_infinite
        loss = means.losses.estimate(LOSS, level=level)
        total = means.weight * abs(loss.value or 0.0)
        if means.n_infinite:
            loss = replace(loss, value=None, low=None, high=None)
        line |= ends(loss, scale) | {"p_value": None}
        if not means.n_infinite:
            line["p_value"] = _p_value(means.losses)
        table.append((-means.n_infinite, -total, line["name"], line))
    return [line for *_, line in sorted(table, key=lambda entry: entry[:3])]


def _rows(rows: WorstRows, classes: Sequence[str], scale: float) -> list[dict[str, Any]]:
    table = []
    for row, identity, details in zip(rows.row, rows.ids, rows.details, strict=True):
        found: Mapping[str, float] = dict(zip(DETAILS, details.tolist(), strict=True))
        line: dict[str, Any] = {"row": int(row), "id": identity}
        for name, x in found.items():
            if name.endswith("class"):
                line[name] = class_name(classes, x)
            else:
                line[name] = finite(x * scale if name in IN_UNITS else x)
        table.append(line)
    return table
