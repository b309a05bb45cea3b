"""Floating-point ground: what every formula in this house stands on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Blocks of this many numbers keep a formula's temporaries inside a core's cache.
BLOCK_NUMBERS = 1 << 16

# NumPy has no bfloat16: its bits, under a type that says what they are.
BFLOAT16 = np.dtype([("bfloat16", "<u2")])

# 1/n! from the highest order down to 1/2!, enough for |t| <= 1/2 to the last bit.
_TAYLOR = [1.0 / math.factorial(order) for order in range(16, 1, -1)]


def widen(x: NDArray[Any]) -> NDArray[np.float64]:
    """Any storage type as float64.

    Args:
        x: numbers of any shape; float16/32/64, integers, or bits of type BFLOAT16.

    Returns:
        The same numbers, exactly, as float64.

    >>> widen(np.array([0x3F80, 0xFF80], dtype=np.uint16).view(BFLOAT16))
    array([  1., -inf])
    """
    if x.dtype == BFLOAT16:
        bits = x["bfloat16"].astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32).astype(np.float64)
    return x.astype(np.float64, copy=False)


def storage_name(dtype: np.dtype[Any]) -> str:
    """What numbers are stored as, in one word.

    >>> storage_name(BFLOAT16), storage_name(np.dtype("f4"))
    ('bfloat16', 'float32')
    """
    return "bfloat16" if dtype == BFLOAT16 else dtype.name


def exp_remainder(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(t) - 1 - t, never negative and right to the last bits for any t.

    It is the term of a divergence: KL(P||Q) = sum of p exp_remainder(log q/p). Computed as
    written it would lose everything for small t, where it is about t^2 / 2.

    Args:
        t: any shape; may hold -inf and +inf, for which the result is +inf.

    Returns:
        Same shape.

    >>> exp_remainder(np.array([0.0, 1e-9, -np.inf]))
    array([0.e+00, 5.e-19,    inf])
    """
    small = np.abs(t) <= 0.5
    near = np.where(small, t, 0.0)
    series = np.full_like(near, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        series *= near
        series += coefficient
    series *= near
    series *= near
    if small.all():
        return series
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.expm1(t) - t
    return np.where(small, series, np.where(np.isposinf(t), np.inf, plain))


def row_sums(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's sum, pairwise.

    >>> row_sums(np.array([[1.0, 2.0]]))
    array([3.])
    """
    total: NDArray[np.float64] = x.sum(axis=1)
    return total


def blocks(n_rows: int, n_classes: int) -> Iterator[slice]:
    """Consecutive slices of rows, each of about BLOCK_NUMBERS numbers.

    >>> list(blocks(5, 1 << 15))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_NUMBERS // max(1, n_classes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
