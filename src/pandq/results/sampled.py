"""How far Q is from P by what was drawn from P, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandq.results.estimate import Estimate
from pandq.results.record import Record


@dataclass(frozen=True, slots=True)
class SampledDivergence(Record):
    """KL(P||Q) from log-probabilities of draws of P; r = q/p at a draw.

    `by_sequence` has k1, k2 and k3 of whole sequences, where rows were in clusters, and is empty
    otherwise. `effective_sample_size` is what draws of P are worth for means under Q, in rows and
    in sequences. Quantiles of r go by the share of rows below them.
    """

    q: str
    n: int
    n_sequences: int
    k1: Estimate
    k2: Estimate
    k3: Estimate
    mean_ratio: Estimate
    by_sequence: dict[str, Estimate]
    entropy: Estimate
    cross_entropy: Estimate
    reference_perplexity: Estimate
    perplexity: Estimate
    ratio_quantiles: dict[str, float]
    effective_sample_size: dict[str, float]
    infinite_rows: int
    largest: list[dict[str, Any]]
