"""How far a copy is from its reference, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pandq.errors import InputError
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
    `kl_quantile_limits` has for each quantile of KL the ends of its interval, `low` and `high`, and
    `rows_beyond`; an end is None where it is infinite, as where an upper one needs more rows.
    `worst` are the rows of largest KL, of a logits file with their window and the position in it.
    `kl_excess` is there where there is a control: the mean of KL(P||Q) - KL(P||control), paired.
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
    kl_quantile_limits: dict[str, Any] = field(default_factory=dict)
    kl_excess: Estimate | None = None
    worst: list[dict[str, Any]] = field(default_factory=list)

    def kl_quantile(self, share: str) -> Estimate:
        """A quantile of KL with its interval, such as a Gate takes.

        Args:
            share: of the rows below it, as `kl_quantile_limits` has it: "0.999".

        Raises:
            InputError: it has no interval.
        """
        if share not in self.kl_quantile_limits:
            listed = ", ".join(self.kl_quantile_limits)
            raise InputError(what="no such quantile of KL", got=share, remedy=f"One of {listed}.")
        found = self.kl_quantile_limits[share]
        low, high = (math.inf if found[end] is None else found[end] for end in ("low", "high"))
        kl, name = self.kl, f"{100 * float(share):g} % quantile of kl"
        return Estimate(self.kl_quantiles[share], low, high, kl.level, kl.unit, kl.n, name=name)
