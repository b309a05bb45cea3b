"""Perplexity: what a model's log-probabilities of drawn tokens say, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pandq.results.estimate import Estimate
from pandq.results.record import Document
from pandq.units import Unit


@dataclass(frozen=True, slots=True, repr=False)
class Perplexity(Document):
    """What `pandq.perplexity` found; `to_dict()` is its JSON form, `print` its text.

    Of each row is known what Q gave to the token that was drawn, and nothing of the others: there
    are no classes, no accuracy and no parts of the loss. Quantiles of the loss go by the share of
    rows below them; `finite_part` is there where some rows are infinite and some are not.
    """

    SCHEMA: ClassVar[str] = "pandq/perplexity/1"
    KIND: ClassVar[str] = "perplexity"
    COMMAND: ClassVar[str] = "audit"
    LEAST_CLASSES: ClassVar[int | None] = None

    n: int
    unit: Unit
    level: float
    source: dict[str, Any]
    options: dict[str, Any]
    notes: tuple[str, ...]
    cross_entropy: Estimate
    perplexity: Estimate
    bits_per_byte: Estimate | None
    infinite_rows: int
    finite_part: Estimate | None = field(metadata={"name": "cross_entropy"})
    quantiles: dict[str, float]
    quantile_accuracy: float
    groups: dict[str, list[dict[str, Any]]]
    worst: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"<pandq.Perplexity of {self.n:,} rows: {self.cross_entropy}>"
