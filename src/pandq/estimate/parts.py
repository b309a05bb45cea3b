"""Parts: what the second pass says of floor, rest and miscalibration, as estimates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.estimate.decomposition import BRIER, MODEL, Evidence, PartSums, Trained
from pandq.estimate.intervals import Estimate, finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.estimate.means import Means
    from pandq.estimate.planner import BudgetPlan
    from pandq.estimate.recalibrator import Recalibrator
    from pandq.sums.reliability import Reliability
    from pandq.units import Unit

CERTIFIED = (
    "certified interval; the point is the middle of its bounds, without their sampling errors"
)
# Bounds that are tight cross by chance now and then: an accusation needs more than an interval.
SURE = 0.9999
BLINDLY = "Q has seen these labels: bounds that ignore Q, and no point"
NOT_IDENTIFIED = "one label per row: not identified, anywhere between these bounds"


@dataclass(frozen=True, slots=True)
class Decomposition:
    """H(P,Q) = floor + rest + miscalibration, each with what the evidence allows to say."""

    evidence: Evidence
    n: int
    cross_entropy: Estimate
    floor: Estimate
    miscalibration: Estimate
    rest: Estimate
    recalibrated: Estimate
    leak: bool
    model_floor: Estimate | None
    brier: dict[str, Estimate]
    kind: str
    losses: dict[str, float]
    recalibrator: Recalibrator
    reliability: list[dict[str, Any]]
    calibration_error: float
    calibration_error_of_noise: float
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    plan: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        parts = ("floor", "miscalibration", "rest", "recalibrated", "cross_entropy")
        return {
            "evidence": self.evidence,
            "n": self.n,
            **{name: getattr(self, name).to_dict() for name in parts},
            "leak": self.leak,
            "model_floor": None if self.model_floor is None else self.model_floor.to_dict(),
            "brier": {name: estimate.to_dict() for name, estimate in self.brier.items()},
            "recalibration": {
                "kind": self.kind,
                "cross_entropy": {name: finite(x) for name, x in self.losses.items()},
                "torch": self.recalibrator.to_torch(),
            },
            "reliability": self.reliability,
            "expected_calibration_error": {
                "value": self.calibration_error,
                "of_a_calibrated_model": self.calibration_error_of_noise,
                "method": "15 bins of confidence; biased upwards by the noise in each bin",
            },
            "classes": self.classes,
            "groups": self.groups,
            "plan": self.plan,
        }


def decomposed(
    sums: PartSums,
    trained: Trained,
    plan: BudgetPlan | None,
    *,
    classes: Sequence[str],
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
        level: of the intervals.

    Returns:
        A Decomposition.
    """
    means, evidence = sums.parts, trained.evidence
    leak = _leak(means)
    found = _parts(means, trained, leak=leak, level=level)
    model = means.estimate(MODEL, level=level) if MODEL in means.names else None
    table = {str(k): name for k, name in enumerate(classes)}
    return Decomposition(
        evidence=evidence,
        n=means.n,
        **{name: estimate.to_unit(unit) for name, estimate in found.items()},
        leak=leak,
        model_floor=None if model is None else _model_based(model).to_unit(unit),
        brier=_brier(sums.brier, level=level),
        kind=trained.recalibration.kind,
        losses={
            k: Estimate(x, None, None).to_unit(unit).value or 0.0
            for k, x in trained.recalibration.loss.items()
        },
        recalibrator=replace(trained.recalibration.map, classes=tuple(classes) if named else None),
        reliability=_reliability(sums.reliability, level=level),
        calibration_error=sums.reliability.ece,
        calibration_error_of_noise=sums.reliability.ece_of_noise,
        classes=_table(sums.classes.groups(), trained, table, leak=leak, unit=unit, level=level),
        groups={
            name: _table(groups.groups(), trained, None, leak=leak, unit=unit, level=level)
            for name, groups in sums.groups.items()
        },
        plan=[] if plan is None else _plan(plan, unit),
    )


def _parts(means: Means, trained: Trained, *, leak: bool, level: float) -> dict[str, Estimate]:
    """The parts in nats: exact for a full P, bounds otherwise."""
    kinds = sorted(set(trained.recalibration.fold_kind.values()))
    how = f"lower bound: {' or '.join(kinds)} map, cross-fitted in 5 folds"
    gain = means.estimate("gain", level=level, method=how)
    parts = {
        "cross_entropy": means.estimate("cross_entropy", level=level),
        "recalibrated": means.estimate("recalibrated", level=level, method=how),
        "miscalibration": gain,
    }
    if trained.evidence == "full":
        parts["floor"] = means.estimate(
            "floor_low", level=level, method="mean H(P), P known in full"
        )
        parts["rest"] = means.estimate("rest_low", level=level)
    else:
        known = trained.certificates is not None
        for name in ("floor", "rest"):
            parts[name] = _between(means, name, known=known, level=level)
        if leak:
            # the certificate believes Q, so a Q that has seen the votes leaves it nothing to say
            low, high = means.bounds("blind_low", "blind_high", level=level)
            parts["floor"] = replace(parts["floor"], value=None, low=low, high=high, method=BLINDLY)
            parts["rest"] = replace(parts["rest"], value=None, low=None, high=None, method=BLINDLY)
    return {name: replace(estimate, name=name) for name, estimate in parts.items()}


def _leak(means: Means) -> bool:
    """Is Q's loss below every honest floor, or do bounds that rely on Q cross?"""
    if "leak" not in means.names:
        return False
    return any(means.bounds(x, x, level=SURE)[1] < 0 for x in ("leak", "leak_recalibrated", "gap"))


def _between(means: Means, name: str, *, known: bool, level: float) -> Estimate:
    """A part that the data only bound: its middle is the point, if both bounds were certified."""
    low, high = means.bounds(f"{name}_low", f"{name}_high", level=level)
    middle = (means.mean(f"{name}_low") + means.mean(f"{name}_high")) / 2
    return Estimate(
        middle if known else None,
        low,
        high,
        level,
        "nat",
        means.n,
        CERTIFIED if known else NOT_IDENTIFIED,
        name,
        identified=False,
    )


def _model_based(model: Estimate) -> Estimate:
    """Tagged: the mixture's own error, which is not the interval's, is left out."""
    return replace(
        model,
        low=None,
        high=None,
        method="model-based: mixture of three Dirichlets",
        identified=False,
    )


def _brier(means: Means, *, level: float) -> dict[str, Estimate]:
    if not means.n:
        return {}
    how = "mean over rows with a full P or two votes; the floor is unbiased"
    return {name: means.estimate(name, level=level, unit="", method=how) for name in BRIER}


def _reliability(table: Reliability, *, level: float) -> list[dict[str, Any]]:
    """Bins that have rows, with intervals."""
    low, high = table.interval(level=level)
    bins = len(table.count)
    with np.errstate(invalid="ignore"):
        confidence, mass = table.confidence / table.count, table.hit / table.count
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "rows": float(table.count[b]),
            "confidence": float(confidence[b]),
            "accuracy": float(mass[b]),
            "low": float(low[b]),
            "high": float(high[b]),
        }
        for b in range(bins)
        if table.count[b] > 0
    ]


def _table(
    groups: Any,
    trained: Trained,
    rename: Mapping[str, str] | None,
    *,
    leak: bool,
    unit: Unit,
    level: float,
) -> list[dict[str, Any]]:
    """Each group's parts, the largest removable part first."""
    table = []
    for name, means in groups:
        parts = _parts(means, trained, leak=leak, level=level)
        entry: dict[str, Any] = {"name": rename[name] if rename else name, "n": means.n}
        for part, estimate in parts.items():
            told = estimate.to_unit(unit)
            entry[part] = {
                "value": finite(told.value),
                "low": finite(told.low),
                "high": finite(told.high),
            }
        if MODEL in means.names:
            entry["model_floor"] = finite(
                Estimate(means.mean(MODEL), None, None).to_unit(unit).value
            )
        entry["removable"] = entry["miscalibration"]["value"] + (entry["rest"]["value"] or 0.0)
        table.append(entry)
    return sorted(table, key=lambda entry: -entry["removable"] * entry["n"])


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
