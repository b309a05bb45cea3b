"""Decomposition: a cross entropy in parts, each with what the evidence allows to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pandq.results.estimate import Estimate, finite

if TYPE_CHECKING:
    import numpy as np

    from pandq.recalibrator import Recalibrator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """H(P,Q) = floor + rest + miscalibration, each with what the evidence allows to say.

    All are over all rows. Where Q rules out what happened (q = 0 < p) the cross entropy, KL and the
    miscalibration are infinite, and `finite_part` has their means over the other rows. `kl` is rest
    and miscalibration together. `independent` is false where a row's votes are shown to be no
    independent draws from one P, `leak` true where Q can do better than such draws allow.
    """

    evidence: Evidence
    n: int
    infinite_rows: int
    cross_entropy: Estimate
    floor: Estimate
    miscalibration: Estimate
    rest: Estimate
    recalibrated: Estimate
    kl: Estimate
    finite_part: dict[str, Estimate]
    leak: bool
    independent: bool
    model_floor: Estimate | None
    brier: dict[str, Estimate]
    kind: str
    losses: dict[str, float]
    trained_rows: int
    recalibrator: Recalibrator
    reliability: list[dict[str, Any]]
    calibration_error: float
    calibration_error_of_noise: float
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    plan: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        parts = ("floor", "miscalibration", "rest", "recalibrated", "cross_entropy", "kl")
        return {
            "evidence": self.evidence,
            "n": self.n,
            "infinite_rows": self.infinite_rows,
            **{name: getattr(self, name).to_dict() for name in parts},
            "finite_part": {name: e.to_dict() for name, e in self.finite_part.items()},
            "leak": self.leak,
            "independent": self.independent,
            "model_floor": None if self.model_floor is None else self.model_floor.to_dict(),
            "brier": {name: estimate.to_dict() for name, estimate in self.brier.items()},
            "recalibration": {
                "kind": self.kind,
                "rows": self.trained_rows,
                "mixing_weight": self.recalibrator.eps,
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


Evidence = Literal["full", "votes", "labels"]
