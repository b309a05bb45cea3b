"""Decomposition: a cross entropy in parts, each with what the evidence allows to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pandq.recalibrator import Recalibrator
from pandq.results.estimate import Estimate
from pandq.results.record import HIDDEN, Record

LabelType = Literal["full", "votes", "labels"]


@dataclass(frozen=True, slots=True)
class Recalibration(Record):
    """The map that recalibrates Q, and what each map leaves of the loss on the rows trained on."""

    kind: str
    rows: int
    mixing_weight: float
    cross_entropy: dict[str, float]
    torch: str


@dataclass(frozen=True, slots=True)
class CalibrationError(Record):
    """The expected calibration error, and what a calibrated model would show on these rows.

    It is biased upwards by the noise in each bin: compare it with `of_a_calibrated_model`.
    """

    value: float
    of_a_calibrated_model: float
    method: str


@dataclass(frozen=True, slots=True)
class Decomposition(Record):
    """H(P,Q) = floor + grouping loss + calibration loss, each with what the labels allow to say.

    All are over all rows. Where Q rules out what happened (q = 0 < p) the cross entropy, KL and the
    calibration loss are infinite, and `finite_part` has their means over the other rows. `kl` is
    grouping and calibration loss together, `refinement_loss` floor and grouping loss. `brier` and,
    of ordered classes, `rps` are scores with parts of their own. `independent`
    is false where a row's votes are shown to be no independent draws from one P, `votes_settled`
    where their number is shown to depend on what they say, `leak` true where Q does better than
    votes allow of which neither is so.
    """

    label_type: LabelType
    n: int
    infinite_rows: int
    floor: Estimate
    grouping_loss: Estimate
    calibration_loss: Estimate
    refinement_loss: Estimate
    cross_entropy: Estimate
    kl: Estimate
    finite_part: dict[str, Estimate]
    leak: bool
    independent: bool
    votes_settled: bool
    model_floor: Estimate | None
    blind_floor: Estimate | None
    brier: dict[str, Estimate]
    recalibration: Recalibration
    reliability: list[dict[str, Any]]
    expected_calibration_error: CalibrationError
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    plan: list[dict[str, Any]] = field(default_factory=list)
    rps: dict[str, Estimate] = field(default_factory=dict)
    recalibrator: Recalibrator | None = field(default=None, repr=False, metadata=HIDDEN)
