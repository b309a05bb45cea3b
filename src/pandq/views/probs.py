"""Probs: probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pandq.core.checks import (
    first_bad,
    one_number_per_row,
    rows_of_classes,
)
from pandq.core.laws import Law
from pandq.core.numerics import widen
from pandq.errors import RowError
from pandq.views.matrix import Matrix
from pandq.views.rounded import Rounded

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def instead_of_probs(row: NDArray[np.float64], like: NDArray[np.float64] | None = None) -> str:
    """What numbers that do not sum to one may be; `like` are more such rows."""
    total = row.sum()
    if abs(total - 100) <= 1:
        return "If these are percentages, divide them by 100; to rescale, Probs.normalised(x)."
    if (row == np.floor(row)).all() and total > 1:
        if row.max() == 1:
            return (
                "If each class is a yes or no of its own, MultiLabel.probs(x) takes it class by"
                " class (--multilabel); if these are votes, use Counts(n)."
            )
        return "If these are votes, use Counts(n); to rescale, Probs.normalised(x)."
    each = [rounded_to(x) for x in (row[None] if like is None else like[:_LOOKED_AT])]
    digits = None if None in each else max((x for x in each if x is not None), default=None)
    if digits is not None:
        return (
            f"If these were rounded to {digits} digits, Probs(x, decimals={digits}) gives bounds"
            " for whatever they were, and Probs.normalised(x) rescales them."
        )
    if abs(total - 1) <= _ROUNDING and (row >= 0).all():
        return "If these are float32 or rounded outputs, rescale them: Probs.normalised(x)."
    return "If these are logits, use Logits(x); to rescale, Probs.normalised(x)."


# Sums of probabilities in float32 are off by no more, whatever made them.
_ROUNDING = 1e-3
# Rows whose digits are counted.
_LOOKED_AT = 100


def rounded_to(row: NDArray[np.float64]) -> int | None:
    """How many digits numbers were rounded to, if that is why they do not sum to one."""
    for digits in range(1, 9) if np.isfinite(row).all() else ():
        unit = 10.0**-digits
        if (np.abs(row - np.round(row, digits)) <= 1e-6 * unit).all():
            return digits if abs(row.sum() - 1) <= len(row) * unit / 2 + 1e-9 else None
    return None


def _others(total: NDArray[np.float64], off: NDArray[np.bool_]) -> str:
    """How many rows around it are off, and by how much at most."""
    n, most = int(off.sum()), float(np.abs(total[off] - 1.0).max())
    return (
        "" if n == 1 else f"; {n:,} of the {len(off):,} rows around it are off, by up to {most:.2g}"
    )


def sum_told(total: float) -> str:
    """A sum, as its distance from one where it is near.

    >>> sum_told(1.2), sum_told(0.999999)
    ('1.2', '1 - 1e-06')
    """
    off = total - 1.0
    return f"{total:.6g}" if abs(off) >= 1e-4 else f"1 {'-' if off < 0 else '+'} {abs(off):.2g}"


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Probs(Matrix):
    """Probabilities that sum to one in each row, within `tolerance`.

    Args:
        x: (n, K) float16/32/64, or bits of BFLOAT16; one row may be given as (K,).
        tolerance: how far a row's sum may lie from one; by default a few rounding errors of
            the storage type (float64 1e-6, float32 1e-5, float16 1e-3, bfloat16 1e-2).
        decimals: to how many digits behind the point they were rounded for display. They then stand
            for every distribution that rounds to them: `pandq.kl_bounds` and `pandq.compare` say
            what holds for each, and nothing else takes them.

    Raises:
        InputError: NaN, a negative probability, or a row that does not sum to one.

    >>> Probs([[0.9, 0.3]])
    Traceback (most recent call last):
    pandq.errors.RowError: Probs row 0 sums to 1.2 (tolerance 1e-06). If these are logits, ...
    """

    kind: ClassVar[str] = "probs"

    def __new__(  # type: ignore[misc]
        cls, x: ArrayLike = (), *, tolerance: float | None = None, decimals: int | None = None
    ) -> Probs | Rounded:
        """What was rounded is another view: it stands for many distributions."""
        del tolerance
        return object.__new__(cls) if decimals is None else Rounded(x, decimals)

    def __init__(
        self, x: ArrayLike, *, tolerance: float | None = None, decimals: int | None = None
    ) -> None:
        del decimals
        super(Probs, self).__init__(x, tolerance=tolerance)

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Not negative, and summing to one."""
        x = widen(block)
        first_bad("Probs", np.isnan(x), "holds NaN")
        remedy = "If these are logits, use Logits(x)."
        first_bad("Probs", x < 0, "has a negative probability", remedy, x)
        total = x.sum(axis=1)
        off = ~(np.abs(total - 1.0) <= tolerance)
        if off.any():
            row = int(off.argmax())
            told = f"(tolerance {tolerance:g}{_others(total, off)})"
            raise RowError(
                view="Probs",
                row=row,
                problem=f"sums to {sum_told(float(total[row]))} {told}",
                remedy=instead_of_probs(x[row], x[off]),
            )

    @classmethod
    def normalised(cls, x: ArrayLike) -> Probs:
        """Rows that are not negative, divided by their sums because you asked for it.

        >>> Probs.normalised([[3.0, 1.0]]).array
        array([[0.75, 0.25]])
        """
        raw = widen(rows_of_classes("Probs", x))
        first_bad("Probs", ~np.isfinite(raw), "holds NaN or infinity")
        first_bad("Probs", raw < 0, "has a negative probability", "", raw)
        # in units of each row's largest, so that no sum overflows
        largest = raw.max(axis=1, keepdims=True)
        first_bad("Probs", largest == 0, "sums to 0 and cannot be rescaled")
        shares = raw / largest
        return cls(shares / shares.sum(axis=1, keepdims=True))

    @classmethod
    def binary(cls, x: ArrayLike) -> Probs:
        """Two classes from the probability of class 1 alone.

        >>> Probs.binary([0.25]).array
        array([[0.75, 0.25]])
        """
        one = widen(one_number_per_row("Probs.binary", x))
        first_bad("Probs.binary", np.isnan(one)[:, None], "holds NaN")
        outside = (one < 0) | (one > 1)
        if outside.any():
            row = int(outside.argmax())
            raise RowError(
                view="Probs.binary",
                row=row,
                problem="is not between 0 and 1",
                got=f"{one[row]:g}",
                remedy="Log-odds are Logits.binary(x); divide percentages by 100.",
            )
        return cls(np.stack([1.0 - one, one], axis=1))

    def law(self) -> Law:
        """The distribution itself."""
        return Law.from_probs(widen(self.array))
