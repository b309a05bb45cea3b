"""Parts: what the second pass says of floor, grouping loss and calibration loss, as estimates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from pandq.estimate.averages.lossmeans import UNSEEN
from pandq.estimate.averages.tables import ends
from pandq.estimate.decomposition.scored import above_rounding, at_least_zero, score_parts
from pandq.estimate.decomposition.trained import MODEL, Trained
from pandq.results.decomposition import CalibrationError, Decomposition, Recalibration
from pandq.results.estimate import Estimate, finite
from pandq.units import per_nat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pandq.estimate.averages.lossmeans import LossMeans
    from pandq.estimate.averages.means import Means
    from pandq.estimate.decomposition.partsums import PartSums
    from pandq.estimate.floor.assumptions import Assumptions
    from pandq.estimate.floor.bounding import Bounding
    from pandq.estimate.floor.planner import BudgetPlan
    from pandq.sums.reliability import Reliability
    from pandq.units import Unit

MIDDLE = "the point is the middle of its bounds, without their sampling errors"
NO_POINT = "no point, as it spans more than its middle"
# Bounds that are tight cross by chance now and then: an accusation needs more than an interval.
SURE = 0.9999
BLINDLY = (
    "Q has seen these labels, or a row's votes are no independent draws: bounds that ignore Q,"
    " and no point"
)
DEPENDENT = "a row's votes are no independent draws from one P: nothing is certified"
CHOSEN = "how many votes a row has depends on what they say: nothing is certified"
NOT_IDENTIFIED = "one label per row: not identified, anywhere between these bounds"
# The finite parts by their names, and the columns that they are means of.
FINITE_PART = {"cross_entropy": "cross_entropy", "calibration_loss": "gain"}
BINNED = "15 bins of confidence; biased upwards by the noise in each bin"
NO_MAP = "no map that was tried gained anything"

Doubt = Literal["leak", "dependent", "chosen"]
# Doubts of the votes themselves, of which no model of them is made.
UNTOLD: tuple[Doubt, ...] = ("dependent", "chosen")


def decomposed(
    sums: PartSums,
    trained: Trained,
    plan: BudgetPlan | None,
    classes: Sequence[str],
    *,
    named: bool,
    unit: Unit,
    level: float,
) -> Decomposition:
    """The parts of a cross entropy as estimates.

    Args:
        sums: of the second pass.
        trained: what that pass used.
        plan: expected widths of the floor's interval for other numbers of votes, or None.
        classes: class names.
        named: whether those are the data's own, and not just numbers.
        unit: of the result.
        level: confidence level of the intervals.

    Returns:
        A Decomposition.
    """
    means, label_type = sums.parts, trained.label_type
    doubt = _doubt(means, trained.tested, level=level)
    found = parts_of(means, trained, (len(classes),), doubt=doubt, level=level)
    won = (found["calibration_loss"].value or 0.0) > 0
    trusted = label_type == "votes" and doubt not in UNTOLD
    model = means.estimate(MODEL, level=level) if trusted else None
    # a plan knows of rows and votes, and nothing of what varies between people
    people, blind = _over_people(means.others), None
    if trusted:
        blind = _blind_floor(means, found["refinement_loss"], trained.bounding, level=level)
    finite_part = {name: means.finite_part(of, level=level) for name, of in FINITE_PART.items()}
    table = {str(k): name for k, name in enumerate(classes)}
    about: dict[str, Any] = {
        "n_classes": (len(classes),),
        "doubt": doubt,
        "unit": unit,
        "level": level,
    }
    # pairs of dependent votes tell nothing of the floor; a Q that has seen them falls below it
    told: dict[str, Any] = {"won": won, "doubted": doubt is not None, "level": level}
    scores = {name: score_parts(x, label_type, **told) for name, x in sums.scores.items()}
    return Decomposition(
        label_type=label_type,
        n=means.n,
        infinite_rows=means.n_infinite,
        **{name: estimate.to_unit(unit) for name, estimate in found.items()},
        finite_part={
            name: replace(e, name=name).to_unit(unit)
            for name, e in finite_part.items()
            if e is not None
        },
        leak=doubt == "leak",
        independent=doubt != "dependent",
        votes_settled=doubt != "chosen",
        model_floor=None if model is None else _model_based(model).to_unit(unit),
        blind_floor=None if blind is None else blind.to_unit(unit),
        brier=scores["brier"],
        rps=scores.get("rps", {}),
        recalibration=_recalibration_of(trained, unit),
        recalibrator=replace(trained.recalibration.map, classes=tuple(classes) if named else None),
        reliability=_reliability(sums.reliability, level=level),
        expected_calibration_error=calibration_error_of(sums.reliability),
        classes=_table(sums.classes.groups(), trained, table, **about),
        groups={
            name: _table(groups.groups(), trained, None, **about)
            for name, groups in sums.groups.items()
        },
        plan=_plan(plan, unit) if plan is not None and trusted and not people else [],
    )


def _recalibration_of(trained: Trained, unit: Unit) -> Recalibration:
    """The map fitted on all rows of the sample, and what each kind left of their loss."""
    found, scale = trained.recalibration, per_nat(unit)
    return Recalibration(
        kind=found.kind,
        rows=found.n,
        mixing_weight=found.map.eps,
        cross_entropy={kind: x * scale for kind, x in found.loss.items()},
        torch=found.map.to_torch(),
    )


def parts_of(
    means: LossMeans,
    trained: Trained,
    n_classes: Sequence[int],
    *,
    doubt: Doubt | None,
    level: float,
) -> dict[str, Estimate]:
    """The parts in nats: exact for a full P, bounds otherwise. They add up to the cross entropy.

    Args:
        means: of the second pass.
        trained: what that pass used.
        n_classes: how many classes there are, of each loss if several were summed.
        doubt: what speaks against the assumptions of a certificate.
        level: confidence level of the intervals.
    """
    loss = means.estimate("cross_entropy", level=level)
    after, gain = _recalibration(means, trained, loss, level=level)
    # without a gain the identity is the map, and what it leaves above the floor is all of KL
    left = "kl" if after is loss else "grouping_loss"
    if trained.label_type == "full":
        how = "mean H(P), P known in full"
        floor = means.estimate("floor_low", level=level, method=how, of="floor")
        grouping_loss, kl = (
            above_rounding(means.estimate(f"{name}_low", level=level, of=of), after)
            for name, of in ((left, "grouping_loss"), ("kl", "kl"))
        )
    else:
        known = trained.certificates is not None
        how = trained.bounding.told + _over_people(means.others) if known else NOT_IDENTIFIED
        floor = _floor(means, after, how, known=known, level=level)
        if trained.label_type == "labels" and means.without_error:
            floor = _without_error(floor, means, n_classes, level=level)
        middle = floor.value
        grouping_loss = kl = _above(means, "kl", loss, middle, how, level=level)
        if after is not loss:
            grouping_loss = _above(means, "grouping_loss", after, middle, how, level=level)
    if doubt == "dependent":
        # the mean of the votes is unbiased whoever gave them, and so is every loss
        floor = floor.ranged(0.0, after.high, DEPENDENT)
        grouping_loss = grouping_loss.ranged(0.0, after.high, DEPENDENT)
        kl = kl.ranged(gain.low, loss.high, DEPENDENT)
    elif doubt == "chosen":
        floor, grouping_loss, kl = (
            x.ranged(None, None, CHOSEN) for x in (floor, grouping_loss, kl)
        )
    elif doubt == "leak":
        # the certificate believes Q, so a Q that has seen the votes leaves it nothing to say
        low, high = means.bounds("blind_low", "blind_high", level=level)
        floor = floor.ranged(max(low, 0.0), high, BLINDLY)
        if high < max(low, 0.0):
            floor = floor.ranged(None, None, BLINDLY)
        grouping_loss, kl = (part.ranged(None, None, BLINDLY) for part in (grouping_loss, kl))
    if floor.high is not None:
        # no law over K classes has more entropy than the uniform one
        floor = replace(floor, high=min(floor.high, sum(map(math.log, n_classes))))
    parts = {"cross_entropy": loss, "refinement_loss": after, "calibration_loss": gain}
    parts |= {"floor": floor, "grouping_loss": grouping_loss, "kl": kl}
    return {
        name: estimate if estimate.name == name else replace(estimate, name=name)
        for name, estimate in parts.items()
    }


def _recalibration(
    means: LossMeans, trained: Trained, loss: Estimate, *, level: float
) -> tuple[Estimate, Estimate]:
    """The loss after recalibration and what that gains, which is nothing where no map does."""
    kinds = sorted(set(trained.recalibration.fold_kind.values()))
    how = f"lower bound: {' or '.join(kinds)} map, cross-fitted in 5 folds"
    gain = means.estimate("gain", level=level, method=how)
    # rows in which Q is wrong, of which none was seen, would add to both
    more = means.unseen("cross_entropy", level=level) - means.unseen("refinement_loss", level=level)
    if more:
        gain = gain.reaching((gain.value or 0.0) + more, UNSEEN)
    if (gain.value or 0.0) > 0:
        return means.estimate("refinement_loss", level=level, method=how), at_least_zero(gain)
    none = gain.ranged(0.0, max(gain.high or 0.0, 0.0), f"{how}; {NO_MAP}", 0.0)
    return loss, replace(none, identified=gain.identified)


def _doubt(means: LossMeans, tested: Assumptions | None, *, level: float) -> Doubt | None:
    """What speaks against the certificate's assumptions.

    Votes of a row that agree less than votes of different rows are no independent draws, whatever
    Q is, nor are votes that are too rarely unanimous, unless it was they that settled their number.
    Beyond that, a loss below every honest floor, or bounds that cross.
    """
    if "agreement" not in means.others.names:
        return None
    if means.at_most("agreement", level=SURE) < 0:
        return "dependent"
    if tested is not None and (tested.chosen or tested.dependent):
        return "chosen" if tested.chosen else "dependent"
    low, high = means.bounds("floor_low", "floor_high", level=level)
    below = any(means.at_most(x, level=SURE) < 0 for x in ("leak", "leak_recalibrated", "gap"))
    return "leak" if below or low > high else None


def _floor(means: LossMeans, after: Estimate, how: str, *, known: bool, level: float) -> Estimate:
    """Bounds of the floor, which lies between 0 and the loss after recalibration.

    Their middle is the point, if both were certified.
    """
    low, high = means.bounds("floor_low", "floor_high", level=level)
    most, cap = after.value or 0.0, after.high or 0.0
    low, high = max(low, 0.0), min(high, cap)
    if low > high:
        low, high = 0.0, cap
    middle = np.clip([means.mean("floor_low"), means.mean("floor_high")], 0.0, most).mean()
    return _within(after, low, high, how, float(middle) if known else None)


def _over_people(means: Means, bound: str = "floor_low") -> str:
    """That an interval of bounds is over annotators besides, where it is."""
    people = means.n_annotators(bound) if means.bootstrap is None else 0
    units = "clusters" if len(means.clusters.cluster) else "rows"
    return f"; over {units} and {people:,} annotators" if people else ""


def _within(of: Estimate, low: float, high: float, how: str, point: float | None) -> Estimate:
    """What lies between two ends, with its point unless they are so far apart that it tells little.

    >>> _within(Estimate(1.0, 0.9, 1.1), 0.0, 0.3, "bounds", 0.1).value is None
    True
    """
    if point is None:
        return of.ranged(low, high, how)
    if high - low > point:
        return of.ranged(low, high, f"{how}; {NO_POINT}")
    return of.ranged(low, high, f"{how}; {MIDDLE}", point)


def _blind_floor(
    means: LossMeans, after: Estimate, bounding: Bounding, *, level: float
) -> Estimate | None:
    """The floor that does not look at Q, which votes have."""
    if "blind_low" not in means.others.names:
        return None
    low, high = means.bounds("blind_low", "blind_high", level=level)
    how = replace(bounding, blindly=True).told + _over_people(means.others, "blind_low")
    return replace(after.ranged(max(low, 0.0), high, how), name="blind_floor")


def _without_error(
    floor: Estimate, means: LossMeans, n_classes: Sequence[int], *, level: float
) -> Estimate:
    """The bound of the floor from labels of which Q got every one right.

    Losses of rows that Q gets wrong were not seen, so their mean is too low a limit. So many errors
    as are likely not to be seen allow the entropy that Fano's inequality has for them.

    Source: Cover and Thomas 2006, theorem 2.10.1, averaged over rows, of which it is concave.
    """
    # one-sided, as the floor may be 0
    unseen, most = means.others.sampling("refinement_loss").unseen(2 * level - 1), 0.0
    for k in n_classes:
        error = min(unseen, 1 - 1 / k)
        most += float(special.entr(error) + special.entr(1 - error))
        most += error * math.log(max(k - 1, 1))
    return replace(floor, high=max(floor.high or 0.0, most))


def _above(
    means: LossMeans, name: str, loss: Estimate, floor: float | None, how: str, *, level: float
) -> Estimate:
    """What a loss leaves above the floor, which is never less than nothing."""
    if loss.value is not None and np.isinf(loss.value):
        return loss
    low, high = (max(x, 0.0) for x in means.bounds(f"{name}_low", f"{name}_high", level=level))
    of = means.others if loss.name in means.others.names else means.losses
    if means.without_error or of.sampling(loss.name).constant:
        # and yet there may be rows that were not seen
        high += (loss.high or 0.0) - (loss.value or 0.0)
    point = None if floor is None else (loss.value or 0.0) - floor
    return _within(loss, min(low, high), high, how, point)


def _model_based(model: Estimate) -> Estimate:
    """Tagged: the mixture's own error, which is not the interval's, is left out."""
    return model.ranged(None, None, "model-based: mixture of three Dirichlets", model.value)


def calibration_error_of(table: Reliability) -> CalibrationError:
    """The expected calibration error, and what noise alone would make of it."""
    return CalibrationError(table.ece, table.ece_of_noise, BINNED)


def _reliability(table: Reliability, *, level: float) -> list[dict[str, Any]]:
    """Bins that have rows, with intervals."""
    low, high = table.interval(level=level)
    bins = len(table.count)
    with np.errstate(invalid="ignore"):
        confidence, hit = table.confidence / table.count, table.hit / table.count
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "rows": float(table.count[b]),
            "confidence": float(confidence[b]),
            "expected_accuracy": float(hit[b]),
            "low": float(low[b]),
            "high": float(high[b]),
        }
        for b in range(bins)
        if table.count[b] > 0
    ]


def _table(
    groups: Iterable[tuple[str, LossMeans]],
    trained: Trained,
    rename: Mapping[str, str] | None,
    *,
    n_classes: Sequence[int],
    doubt: Doubt | None,
    unit: Unit,
    level: float,
) -> list[dict[str, Any]]:
    """Each group's parts, the largest removable part first."""
    table = []
    scale = per_nat(unit)
    for name, means in groups:
        parts = parts_of(means, trained, n_classes, doubt=doubt, level=level)
        entry: dict[str, Any] = {"name": rename[name] if rename else name, "n": means.n}
        entry["infinite_rows"] = means.n_infinite
        entry |= {part: ends(estimate, scale) for part, estimate in parts.items()}
        if MODEL in means.others.names and doubt not in UNTOLD:
            entry["model_floor"] = finite(means.mean(MODEL) * scale)
        removable = (parts["calibration_loss"].value or 0.0) + _about(
            parts["grouping_loss"], trained
        )
        entry["removable"] = finite(removable * scale)
        table.append((-removable * means.n, entry["name"], entry))
    return [entry for *_, entry in sorted(table, key=lambda line: line[:2])]


def _about(grouping: Estimate, trained: Trained) -> float:
    """A grouping loss to sort by: its point, or of votes that give none the middle of its ends."""
    if grouping.value is None and trained.certificates is not None and grouping.low is not None:
        return (grouping.low + (grouping.high or 0.0)) / 2
    return grouping.value or 0.0


def _plan(plan: BudgetPlan, unit: Unit) -> list[dict[str, Any]]:
    return [
        {
            "votes": int(votes),
            "rows": int(rows),
            "labels": int(plan.budget[r, v]),
            "expected_width": Estimate(float(plan.width[r, v]), None, None).to_unit(unit).value,
        }
        for v, votes in enumerate(plan.votes)
        for r, rows in enumerate(plan.rows)
    ]
