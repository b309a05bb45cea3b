"""Logits: log-probabilities up to a constant of the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pandq.core.checks import (
    first_bad,
    one_number_per_row,
)
from pandq.core.laws import Law
from pandq.core.numerics import BFLOAT16, widen
from pandq.views.matrix import Matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Logits(Matrix):
    """Unnormalised log-probabilities; -inf is a forbidden class.

    Args:
        x: (n, K) float16/32/64, integers, or bits of BFLOAT16.

    Raises:
        InputError: NaN, +inf, or a row in which every class is forbidden.

    >>> Logits([[0.0, 0.0]]).law().prob
    array([[0.5, 0.5]])
    """

    kind: ClassVar[str] = "logits"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Something finite, and nothing that softmax has no answer for."""
        del tolerance
        top = widen(block).max(axis=1) if block.dtype == BFLOAT16 else widen(block.max(axis=1))
        if np.isfinite(top).all():
            return
        first_bad("Logits", np.isnan(top)[:, None], "holds NaN")
        first_bad("Logits", np.isposinf(top)[:, None], "holds +inf, which has no softmax")
        first_bad("Logits", np.isneginf(top)[:, None], "forbids every class: all -inf")

    @classmethod
    def binary(cls, x: ArrayLike) -> Logits:
        """Two classes from the log-odds of class 1 alone.

        >>> Logits.binary([0.0]).law().prob
        array([[0.5, 0.5]])
        """
        one = widen(one_number_per_row("Logits.binary", x))
        return cls(np.stack([np.zeros_like(one), one], axis=1))

    def law(self) -> Law:
        """The softmax of each row."""
        return Law.from_logits(widen(self.array))
