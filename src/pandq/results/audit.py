"""Audit: what an audit found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pandq.results.estimate import Estimate, finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.recalibrator import Recalibrator
    from pandq.results.decomposition import Decomposition
    from pandq.results.findings import Finding
    from pandq.results.uncertainty import Uncertainty
    from pandq.units import Unit


class RowParts(Protocol):
    """What was trained for a decomposition, as far as it tells of single rows."""

    @property
    def row_names(self) -> tuple[str, ...]:
        """What `rows` tells of each row."""
        ...

    def rows(self, chunk: Chunk) -> dict[str, NDArray[np.float64]]:
        """Each row's own numbers, in nats: (n,) by name."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """What an audit found; `to_dict()` is its JSON form, `print` its text."""

    n: int
    n_classes: int
    unit: Unit
    level: float
    cross_entropy: Estimate
    entropy: Estimate
    kl: Estimate
    kl_plug_in: Estimate | None
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    confidence: Estimate
    infinite_rows: int
    infinite: list[dict[str, Any]]
    finite_part: dict[str, Estimate]
    kl_quantiles: dict[str, float]
    kl_quantile_accuracy: float
    kl_histogram: dict[str, Any]
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    worst: list[dict[str, Any]]
    decomposition: Decomposition | None
    uncertainty: Uncertainty | None
    p_kind: str
    q_kind: str
    source: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    trained: RowParts | None = field(default=None, repr=False)

    @property
    def recalibrator(self) -> Recalibrator | None:
        """The recalibration map fitted on all rows, to apply to other predictions."""
        return None if self.decomposition is None else self.decomposition.recalibrator

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON values (schema pandq/audit/1)."""
        estimates = [
            "cross_entropy",
            "entropy",
            "kl",
            "accuracy",
            "expected_accuracy",
            "brier",
            "confidence",
        ]
        return {
            "schema": "pandq/audit/1",
            "n": self.n,
            "n_classes": self.n_classes,
            "unit": self.unit,
            "level": self.level,
            "p": self.p_kind,
            "q": self.q_kind,
            "source": self.source,
            "options": self.options,
            "notes": list(self.notes),
            "findings": [finding.to_dict() for finding in self.findings],
            **{name: getattr(self, name).to_dict() for name in estimates},
            "kl_plug_in": self.kl_plug_in and self.kl_plug_in.to_dict(),
            "decomposition": self.decomposition and self.decomposition.to_dict(),
            "uncertainty": self.uncertainty and self.uncertainty.to_dict(),
            "infinite_rows": self.infinite_rows,
            "infinite": self.infinite,
            "finite_part": {name: e.to_dict() for name, e in self.finite_part.items()},
            "kl_quantiles": {name: finite(x) for name, x in self.kl_quantiles.items()},
            "kl_quantile_accuracy": self.kl_quantile_accuracy,
            "kl_histogram": self.kl_histogram,
            "classes": self.classes,
            "groups": self.groups,
            "worst": self.worst,
        }

    def __repr__(self) -> str:
        return f"<pandq.Audit of {self.n:,} rows: {self.cross_entropy}, {self.kl}>"
