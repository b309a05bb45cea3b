"""MultiLabelAudit: what an audit of each class by itself found, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pandq.results.audit import Audit
from pandq.results.estimate import Estimate
from pandq.results.record import Document
from pandq.units import Unit


@dataclass(frozen=True, slots=True, repr=False)
class MultiLabelAudit(Document):
    """What an audit class by class found; `to_dict()` is its JSON form, `print` its text.

    `audits` has each class's own, of no and yes. What stands beside is of all classes together: the
    loss of a row is the sum of its classes' losses, and intervals are over rows; accuracy is the
    mean over classes. A part is None where some class has no decomposition.
    """

    SCHEMA: ClassVar[str] = "pandq/multilabel/1"
    KIND: ClassVar[str] = "multilabel"
    COMMAND: ClassVar[str] = "audit"

    n: int
    n_classes: int
    unit: Unit
    level: float
    p_kind: str
    q_kind: str
    source: dict[str, Any]
    options: dict[str, Any]
    notes: tuple[str, ...]
    cross_entropy: Estimate
    entropy: Estimate
    kl: Estimate
    accuracy: Estimate
    floor: Estimate | None
    grouping_loss: Estimate | None
    calibration_loss: Estimate | None
    refinement_loss: Estimate | None
    infinite_rows: int
    finite_part: dict[str, Estimate]
    audits: dict[str, Audit]

    def within(self, most: int) -> dict[str, Any]:
        """The document with the audits of those classes alone whose loss is largest."""
        return replace(self, audits=dict(self.largest[:most])).to_dict()

    @property
    def largest(self) -> list[tuple[str, Audit]]:
        """The classes' names and audits, the largest loss first."""
        return sorted(self.audits.items(), key=lambda x: -(x[1].cross_entropy.value or 0.0))

    def __repr__(self) -> str:
        return (
            f"<pandq.MultiLabelAudit of {self.n:,} rows, {self.n_classes:,} classes:"
            f" {self.cross_entropy}>"
        )
