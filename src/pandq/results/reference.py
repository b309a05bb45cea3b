"""How far a copy is from its reference, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pandq.results.estimate import Estimate, finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Losses of the labels under a copy (Q) and its reference (base); nothing here has a unit."""

    ppl: Estimate
    ppl_base: Estimate
    ppl_ratio: Estimate
    log_ppl_ratio: Estimate
    ppl_difference: Estimate
    correlation: float
    p_difference: Estimate
    p_rms: Estimate
    p_quantiles: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, under the names of llama.cpp's perplexity tool."""
        return {
            "Mean PPL(Q)": self.ppl.to_dict(),
            "Mean PPL(base)": self.ppl_base.to_dict(),
            "Cor(ln(PPL(Q)), ln(PPL(base)))": finite(self.correlation),
            "Mean ln(PPL(Q)/PPL(base))": self.log_ppl_ratio.to_dict(),
            "Mean PPL(Q)/PPL(base)": self.ppl_ratio.to_dict(),
            "Mean PPL(Q)-PPL(base)": self.ppl_difference.to_dict(),
            "Mean Δp": self.p_difference.to_dict(),
            "RMS Δp": self.p_rms.to_dict(),
            "Δp": {name: finite(x) for name, x in self.p_quantiles.items()},
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one Q is from P, its reference."""

    q: str
    kl: Estimate
    kl_reverse: Estimate
    infinite: dict[str, int]
    kl_quantiles: dict[str, float]
    kl_reverse_quantiles: dict[str, float]
    quantile_accuracy: float
    same_top1: Estimate
    top_change: Estimate
    top_rms: Estimate
    top_quantiles: dict[str, float]
    tokens: Tokens | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "q": self.q,
            "kl": self.kl.to_dict(),
            "kl_reverse": self.kl_reverse.to_dict(),
            "infinite_rows": self.infinite,
            "KLD": {name: finite(x) for name, x in self.kl_quantiles.items()},
            "KLD reverse": {name: finite(x) for name, x in self.kl_reverse_quantiles.items()},
            "quantile_accuracy": self.quantile_accuracy,
            "Same top p": self.same_top1.to_dict(),
            "top_change": {
                "mean": self.top_change.to_dict(),
                "rms": self.top_rms.to_dict(),
                "quantiles": {name: finite(x) for name, x in self.top_quantiles.items()},
            },
            "tokens": self.tokens and self.tokens.to_dict(),
        }
