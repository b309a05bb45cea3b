"""LogProbs: logarithms of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pandq.core.checks import (
    first_bad,
)
from pandq.core.laws import Law
from pandq.core.numerics import widen
from pandq.errors import RowError
from pandq.views.matrix import Matrix
from pandq.views.probs import sum_told

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, init=False)
class LogProbs(Matrix):
    """Natural logarithms of probabilities; -inf is a class of probability zero.

    Args:
        x: (n, K) float16/32/64, or bits of BFLOAT16.
        tolerance: as for Probs, of the sum of exp(x).

    Raises:
        InputError: NaN, +inf, or a row whose probabilities do not sum to one.

    >>> LogProbs(np.log([[0.5, 0.5]])).law().prob
    array([[0.5, 0.5]])
    """

    kind: ClassVar[str] = "logprobs"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Exponentials that sum to one."""
        x = widen(block)
        first_bad("LogProbs", np.isnan(x), "holds NaN")
        with np.errstate(over="ignore"):
            total = np.exp(x).sum(axis=1)
        off = ~(np.abs(total - 1.0) <= tolerance)
        if off.any():
            row = int(off.argmax())
            raise RowError(
                view="LogProbs",
                row=row,
                problem=f"has probabilities that sum to {sum_told(float(total[row]))}"
                f" (tolerance {tolerance:g})",
                remedy="If these are not normalised, use Logits(x).",
            )

    def law(self) -> Law:
        """The distribution itself."""
        return Law.from_log_probs(widen(self.array))
