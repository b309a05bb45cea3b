"""Softmax maps of log q to their kernel: sums of one block of rows, probabilities of one block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels.builds import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.int64]

# As in maps.h and laws.h.
NUMBERS = 5
PER_CLASS = 6
PAD_DOWN, PAD_ACROSS = 8, 24
SHORT_CLASSES, LANES = 64, 64
SCALE, FIRST, BIASES, DIAGONAL, FULL = range(5)


def _padded(n: int, to: int) -> int:
    return n + -n % to


def products_of(k: int, order: int, *, matrix: bool) -> list[tuple[int, int]]:
    """Shapes of the sums of products that a block ends in, padded.

    >>> products_of(2, FULL, matrix=True)
    [(8, 24), (8, 24)]
    """
    if matrix:
        found = [(k, k + 1)]
        if order == FULL:
            found.append((k * (k + 1) // 2, (k + 1) * (k + 2) // 2))
    else:
        found = [(2 * k, 2 * k)] if order == FULL and k <= SHORT_CLASSES else []
    return [(_padded(down, PAD_DOWN), _padded(across, PAD_ACROSS)) for down, across in found]


def sums_size(k: int, order: int, *, matrix: bool) -> int:
    """How many sums a block of rows has.

    >>> sums_size(1000, FULL, matrix=False)
    6005
    """
    products = sum(a * b for a, b in products_of(k, order, matrix=matrix))
    return NUMBERS + PER_CLASS * k + products


class SoftmaxMap:
    """A softmax map of the rows of log q, for the kernels.

    Args:
        x: (n, K) log q, -inf where q = 0.
        scale: (K,) factors of log q, or (K, K).
        bias: (K,) summands.
        floor: what stands for log 0 among the scores of other classes.

    >>> one = SoftmaxMap(np.log([[0.5, 0.5]]), np.ones(2), np.zeros(2), 0.0)
    >>> out = np.zeros(sums_size(2, FIRST, matrix=False))
    >>> one.sums(slice(0, 1), np.ones(1), FIRST, out) in (True, False)
    True
    """

    def __init__(self, x: Array, scale: Array, bias: Array, floor: float) -> None:
        self.x, self.floor = as_read(x), floor
        self.scale, self.bias = whole_steps(scale), whole_steps(bias)
        self._at, self._row = self.x.ctypes.data, self.x.strides[0]
        self._told = scale.ndim == 2, self.scale.ctypes.data, self.bias.ctypes.data, floor

    def sums(self, rows: slice, mass: Array, order: int, out: Array) -> bool:
        """What the map's loss, gradient and Hessian are made of, summed over rows.

        Args:
            rows: which of them, one after the other.
            mass: (n,) weight of every row.
            order: SCALE for the derivatives in one scale, FIRST for those of the first order in
                all parameters, BIASES with the curvature of each class's bias, DIAGONAL with that
                of its own scale too, FULL with all of it.
            out: (`sums_size`,) zeros, to be filled, m being a row's softmax: sums of mass times
                log Z, sum m x, sum m x^2 and (sum m x)^2, and of mass^2 times sum m^2 (these four
                but for FIRST); then of each class mass times m and m x, m^2 from BIASES on, and
                m x^2, m^2 x and m^2 x^2 from DIAGONAL on; then `products_of`. Of a matrix log Z
                and products alone.

        Returns:
            Whether there is a kernel; without one `out` stays as it is.

        Raises:
            MemoryError: there is too little.
        """
        chosen = build()
        if chosen is None:
            return False
        mass = as_read(mass)
        told = (self._at + rows.start * self._row, *self._told)
        mass_at, n = mass.ctypes.data + 8 * rows.start, rows.stop - rows.start
        chosen.map_sums(told, mass_at, n, self.x.shape[1], order, out.ctypes.data)
        return True

    def at(self, start: Places, column: Places, out: Array) -> bool:
        """The map's probabilities at some classes of each row.

        Args:
            start: (n + 1,) row i's classes are those from start[i] to start[i + 1] in `column`.
            column: classes from 0 to K - 1.
            out: as long as `column`, to be filled.

        Returns:
            Whether there is a kernel; without one `out` stays as it is.

        Raises:
            MemoryError: there is too little.
        """
        chosen = build()
        if chosen is None:
            return False
        start, column = as_read(start, np.int64), as_read(column, np.int64)
        told, (n, k) = (self._at, *self._told), self.x.shape
        chosen.map_at(told, start.ctypes.data, column.ctypes.data, n, k, out.ctypes.data)
        return True


def mixture_sums(
    weight: Array,
    inside: Array,
    column: Places,
    freq: Array,
    eps: float,
    pieces: Sequence[slice],
) -> tuple[float, float]:
    """Sums of w t and of w t^2, t the share of eps f in the mixture (1 - eps) m + eps f.

    More exactly t = eps (f - m) / ((1 - eps) m + eps f), what the logarithm of the mixture rises by
    with that of eps.

    Args:
        weight: (e,) w.
        inside: (e,) m.
        column: (e,) f is freq[column].
        freq: (K,) positive.
        eps: in (0, 1].
        pieces: which of them are summed.

    >>> one = np.ones(1)
    >>> mixture_sums(one, 0.25 * one, np.zeros(1, int), 0.75 * one, 0.5, [slice(0, 1)])
    (0.5, 0.25)
    """
    chosen, out = build(), np.zeros(2)
    if chosen is None:
        for piece in pieces:
            share = eps * (freq[column[piece]] - inside[piece])
            share /= inside[piece] + share
            out[0] += np.einsum("i,i->", weight[piece], share)
            out[1] += np.einsum("i,i,i->", weight[piece], share, share)
        return float(out[0]), float(out[1])
    weight, inside, freq = (as_read(a) for a in (weight, inside, freq))
    column = as_read(column, np.int64)
    at = [a.ctypes.data for a in (weight, inside, column)]
    for piece in pieces:
        here, n = (place + 8 * piece.start for place in at), piece.stop - piece.start
        chosen.mixture_sums(*here, freq.ctypes.data, eps, n, out.ctypes.data)
    return float(out[0]), float(out[1])


def as_read(x: NDArray[Any], dtype: type = np.float64) -> NDArray[Any]:
    """As a kernel reads it: a copy only if it does not lie so."""
    return np.require(x, dtype, ["C", "A"])


def whole_steps(x: Array) -> Array:
    """Parameters of classes, filled up to whole steps of the lanes; a matrix as it is."""
    x = as_read(x)
    if x.ndim == 2 or len(x) <= SHORT_CLASSES:
        return x
    return np.concatenate([x, np.zeros(-len(x) % LANES)])
