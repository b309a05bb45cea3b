"""How far a copy is from its reference, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandq.results.estimate import Estimate
from pandq.results.record import Record


@dataclass(frozen=True, slots=True)
class Tokens(Record):
    """Losses of the labels under a copy (Q) and its reference (P); nothing here has a unit.

    The statistics are those of llama.cpp's perplexity tool, whose names a report shows.
    """

    perplexity: Estimate
    reference_perplexity: Estimate
    perplexity_ratio: Estimate
    log_perplexity_ratio: Estimate
    perplexity_difference: Estimate
    correlation: float | None
    probability_change: Estimate
    probability_change_rms: Estimate
    probability_change_quantiles: dict[str, float]


@dataclass(frozen=True, slots=True)
class FromReference(Record):
    """How far one Q is from P, its reference; quantiles go by the share of rows below them.

    `codes` is there where logits were read from codes of 16 bits: what these leave open.
    """

    q: str
    kl: Estimate
    kl_reverse: Estimate
    infinite_rows: dict[str, int]
    kl_quantiles: dict[str, float]
    kl_reverse_quantiles: dict[str, float]
    quantile_accuracy: float
    same_top1: Estimate
    top_change: Estimate
    top_change_rms: Estimate
    top_change_quantiles: dict[str, float]
    tokens: Tokens | None
    codes: dict[str, Any] | None = None
