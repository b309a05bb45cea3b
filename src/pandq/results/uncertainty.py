"""Uncertainty: an ensemble's entropy, split into noise and ignorance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from pandq.results.estimate import Estimate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """total = aleatoric + epistemic, on average, by class and group; and what holds of the claim.

    `correlation` and `gap` hold the aleatoric part against people's own entropy, where P has any;
    `curve` has the measured distance from P by bins of the claimed epistemic part; `distance` says
    what is measured: "kl", or "squared" from pairs of votes.
    """

    members: int
    total: Estimate
    aleatoric: Estimate
    epistemic: Estimate
    averaged: dict[str, Estimate]
    people: Estimate | None
    gap: Estimate | None
    correlation: float | None
    distance: str | None
    curve: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    unknown: list[dict[str, Any]]
    disputed: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""

        def told(estimate: Estimate | None) -> Any:
            return estimate and estimate.to_dict()

        return {
            "members": self.members,
            **{name: told(getattr(self, name)) for name in SPLIT},
            "averaged": {name: told(x) for name, x in self.averaged.items()},
            "people": told(self.people),
            "gap": told(self.gap),
            "correlation": self.correlation,
            "distance": self.distance,
            "curve": self.curve,
            "classes": self.classes,
            "groups": self.groups,
            "unknown": self.unknown,
            "disputed": self.disputed,
        }


SPLIT = ("total", "aleatoric", "epistemic")
