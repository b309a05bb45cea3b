"""Log-probabilities from codes of 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels.builds import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]
    Truths = NDArray[np.bool_]
    Floats = NDArray[np.float64]


def decoded(
    codes: NDArray[Any], scale: Singles, least: Singles, floored: Truths, into: Singles
) -> Floats | None:
    """Decode rows, and add up what is not at the floor.

    Args:
        codes: (n, K) uint16, the classes of a row side by side.
        scale: (n,) nats from code to code.
        least: (n,) log p of code 0.
        floored: (n,) whether code 0 is the floor.
        into: (n, K) that scale * code + least are written to.

    Returns:
        (n, 4): of the classes that are not at the floor the sum of p, of their squares, and the
        largest p; how many are at the floor. None where there is no build.
    """
    kernels = build()
    if kernels is None or not _fits(codes, into):
        return None
    n, k = codes.shape
    out = np.empty((n, 4))
    scale, least = (np.ascontiguousarray(x, np.float32) for x in (scale, least))
    flags = np.ascontiguousarray(floored)
    given = [x.ctypes.data for x in (scale, least, flags)]
    kernels.decode(
        codes.ctypes.data, codes.strides[0], *given, n, k, into.ctypes.data, out.ctypes.data
    )
    return out


def levelled(codes: NDArray[Any], level: Singles, floored: Truths, into: Singles) -> bool:
    """Give classes of code 0 their row's level, (n,); false where there is no build.

    Args:
        codes: as of `decoded`.
        level: (n,) log p of each class at the floor.
        floored: (n,) whether code 0 is the floor.
        into: (n, K) log p.
    """
    kernels = build()
    if kernels is None or not _fits(codes, into):
        return False
    flags, level = np.ascontiguousarray(floored), np.ascontiguousarray(level, np.float32)
    n, k = codes.shape
    given = (codes.ctypes.data, codes.strides[0], level.ctypes.data, flags.ctypes.data)
    kernels.level_codes(*given, n, k, into.ctypes.data)
    return True


def given_at(here: NDArray[Any], there: NDArray[Any], level: Singles) -> Floats | None:
    """The probability of classes that another row gives no more than a level.

    Args:
        here: (n, K) log p, float32.
        there: (n, K) the other rows' log p, float32.
        level: (n,) up to which classes count.

    Returns:
        (n,) sums of p; None where there is no build, or for other numbers.
    """
    kernels = build()
    both = here, there
    if kernels is None or any(x.dtype != np.float32 or not x.flags.c_contiguous for x in both):
        return None
    out, level = np.empty(len(here)), np.ascontiguousarray(level, np.float32)
    places = [x.ctypes.data for x in (here, there, level)]
    kernels.given(*places, *here.shape, out.ctypes.data)
    return out


def _fits(codes: NDArray[Any], into: Singles) -> bool:
    """Are these as the kernel goes through them?"""
    return codes.dtype == np.uint16 and codes.strides[1] == 2 and into.flags.c_contiguous
