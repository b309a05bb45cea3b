"""Rounded: probabilities as they were rounded for display, and what they may have been."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

import numpy as np

from pandq.core.checks import first_bad, is_number, rows_of_classes
from pandq.core.numerics import widen
from pandq.errors import InputError, RowError
from pandq.views.base import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pandq.views.base import Index

    Rows = NDArray[np.float64]

MOST_DECIMALS = 12
# By how much of half a unit float32 may be off what was rounded.
_NOISE = 1e-3
# Known in part: of each probability two ends (pandq.views.boxes).
ROUNDED_KIND = "rounded"


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Rounded:
    """Every distribution that rounds to what is shown; made by `Probs(x, decimals=2)`.

    It is known in part, as a TopK is: `pandq.kl_bounds` and `pandq.compare` say what holds for each
    of these distributions, and nothing else takes it.

    Args:
        x: (n, K) probabilities of any float type, rounded to `decimals` digits behind the point.
        decimals: how many, from 0 to 12.

    Attributes:
        low: (n, K) the least that each probability may have been, where all sum to one.
        high: (n, K) the most.

    Raises:
        InputError: a number is no probability, is not rounded so, or no distribution rounds to a
            row.

    >>> shown = Rounded([[0.67, 0.33, 0.0]], 2)
    >>> shown.low.round(3).tolist(), shown.high.round(3).tolist()
    ([[0.665, 0.325, 0.0]], [[0.675, 0.335, 0.005]])
    """

    low: Rows
    high: Rows

    kind: ClassVar[str] = ROUNDED_KIND

    def __init__(self, x: ArrayLike, decimals: int) -> None:
        if not is_number(decimals, Integral) or not 0 <= decimals <= MOST_DECIMALS:
            what = f"decimals is a whole number from 0 to {MOST_DECIMALS}"
            raise InputError(what, got=repr(decimals))
        given = widen(rows_of_classes("Probs", x)).astype(np.float64)
        first_bad("Probs", ~np.isfinite(given), "holds NaN or infinity")
        first_bad("Probs", given < 0, "has a negative probability", "", given)
        unit = 10.0**-decimals
        shown = np.round(given, decimals)
        more = np.abs(given - shown) > _NOISE * unit / 2
        first_bad(
            "Probs",
            more,
            f"is not rounded to {decimals} decimals",
            "Say to how many it was, or leave decimals out (on the command line: --rounded).",
            given,
        )
        low, high = np.clip(shown - unit / 2, 0, 1), np.clip(shown + unit / 2, 0, 1)
        _require_some(low, high, shown, decimals)
        # what is left by the others at their ends
        rest_low = 1 - (high.sum(axis=1, keepdims=True) - high)
        rest_high = 1 - (low.sum(axis=1, keepdims=True) - low)
        # a rounding error of the sum may not lift an end that is 0
        rest_low = np.where(rest_low <= 4 * low.shape[1] * np.finfo(float).eps, 0, rest_low)
        self._set(np.maximum(low, rest_low), np.minimum(high, np.maximum(rest_high, low)))

    def _set(self, low: Rows, high: Rows) -> None:
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", np.maximum(high, low))

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self.low.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and classes."""
        return len(self.low), self.n_classes

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, rows: Index) -> Self:
        some = places(rows, len(self))
        few = object.__new__(type(self))
        few._set(self.low[some], self.high[some])
        return few

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:  # noqa: FBT001 - NumPy's own
        raise TypeError("rounded probabilities are two arrays: x.low and x.high")  # noqa: EM101


def _require_some(low: Rows, high: Rows, shown: Rows, decimals: int) -> None:
    """Refuse a row to which no distribution rounds."""
    slack = 4 * low.shape[1] * np.finfo(float).eps
    bad = (low.sum(axis=1) > 1 + slack) | (high.sum(axis=1) < 1 - slack)
    if bad.any():
        row = int(bad.argmax())
        raise RowError(
            view="Probs",
            row=row,
            problem=f"sums to {shown[row].sum():.6g}, and no distribution of {low.shape[1]} classes"
            f" rounds to that at {decimals} decimals",
            remedy="They may be percentages, or cut off rather than rounded; Probs.normalised(x)"
            " rescales.",
        )
