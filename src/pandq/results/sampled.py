"""How far Q is from P by what was drawn from P, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import special

from pandq.results.estimate import Estimate
from pandq.results.record import Record

# What is said of whoever drew is said where it would hardly ever be chance.
SURE = 0.9999


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

    @property
    def of_others(self) -> bool:
        """Do the draws show that they are not P's?

        Of draws of P the mean of ln p/q is a divergence, and that of q/p at most 1.
        """
        return _limit(self.k1, SURE) < 0 or _limit(self.mean_ratio, 1 - SURE) > 1


def _limit(mean: Estimate, level: float) -> float:
    """One-sided, of Student's t; nan where the mean has no error of its own."""
    if mean.value is None or mean.standard_error is None or mean.degrees is None:
        return math.nan
    return mean.value + float(special.stdtrit(max(mean.degrees, 1.0), level)) * mean.standard_error
