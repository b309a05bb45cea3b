"""Audit: what an audit found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pandq.results.decomposition import Decomposition
from pandq.results.estimate import Estimate
from pandq.results.findings import Finding
from pandq.results.guessing import Guessing
from pandq.results.judged import Judged
from pandq.results.record import HIDDEN, Document
from pandq.results.uncertainty import Uncertainty
from pandq.units import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.recalibrator import Recalibrator


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
class Audit(Document):
    """What an audit found; `to_dict()` is its JSON form, `print` its text.

    `order` has the classes in their order, and `rps` the ranked probability score, where these were
    said to have one.
    """

    SCHEMA: ClassVar[str] = "pandq/audit/2"
    KIND: ClassVar[str] = "audit"
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
    findings: tuple[Finding, ...]
    cross_entropy: Estimate
    entropy: Estimate
    kl: Estimate
    kl_plug_in: Estimate | None
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    confidence: Estimate
    perplexity: Estimate
    bits_per_byte: Estimate | None
    guessing: Guessing
    decomposition: Decomposition | None
    uncertainty: Uncertainty | None
    infinite_rows: int
    infinite: list[dict[str, Any]]
    finite_part: dict[str, Estimate]
    kl_quantiles: dict[str, float]
    kl_quantile_accuracy: float
    kl_histogram: dict[str, Any]
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    worst: list[dict[str, Any]]
    judged: Judged | None = None
    rps: Estimate | None = None
    order: tuple[str, ...] | None = None
    trained: RowParts | None = field(default=None, metadata=HIDDEN)

    @property
    def recalibrator(self) -> Recalibrator | None:
        """The recalibration map fitted on all rows, to apply to other predictions."""
        return None if self.decomposition is None else self.decomposition.recalibrator

    def __repr__(self) -> str:
        return f"<pandq.Audit of {self.n:,} rows: {self.cross_entropy}, {self.kl}>"
