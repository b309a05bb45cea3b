"""How much of the class frequencies is mixed into a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core.kernels.maps import mixture_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST_LOG, SAME_LOG = -60.0, 1e-13
"""Where log eps is looked for, and by how much two of them differ that are the same."""


def mixing_weight(
    weight: Array,
    inside: Array,
    column: NDArray[np.int64],
    freq: Array,
    pseudo_rows: float,
    *,
    pieces: Sequence[slice] | None = None,
    start: float | None = None,
) -> float:
    """Weight eps of the class frequencies: the likeliest one, given some pseudo-rows that need it.

    Maximises sum_e weight_e log((1 - eps) inside_e + eps freq_e) + pseudo_rows log eps, concave in
    eps.  The pseudo-rows keep eps > 0 (about pseudo_rows / n for a map without surprises); labels
    that fall where the map gives almost nothing raise it to the rate at which they occur.

    Args:
        weight: (e,) float64 weights of rows times P, for every row and class with P > 0.
        inside: (e,) float64 probabilities of the map there.
        column: (e,) the class there.
        freq: (K,) float64 class frequencies, positive.
        pseudo_rows: positive number of pseudo-rows.
        pieces: which of all these are meant; all when left out.
        start: a guess.

    Returns:
        eps in (0, 1].

    Example:
        >>> one, classes = np.ones(99), np.zeros(99, int)
        >>> eps = mixing_weight(one, one, classes, np.array([0.5, 0.5]), 1.0)
        >>> round(1 / eps, 6)
        50.0
    """
    pieces = [slice(0, len(weight))] if pieces is None else pieces

    def slope(log_eps: float) -> tuple[float, float]:
        """The derivative of what is maximised in log eps, and its own."""
        first, second = mixture_sums(weight, inside, column, freq, np.exp(log_eps), pieces)
        return first + pseudo_rows, first - second

    if start is None:
        start = pseudo_rows / (pseudo_rows + sum(float(weight[each].sum()) for each in pieces))
    low, high, here = LEAST_LOG, np.inf, float(np.log(start))
    while high - low > SAME_LOG:
        value, bend = slope(here)
        if value >= 0 and here == 0:
            return 1.0
        low, high = (here, high) if value > 0 else (low, here)
        there = here - value / bend if bend < 0 else np.inf
        if not low < there < high:
            there = (low + high) / 2
        there = min(there, 0.0)
        if abs(there - here) <= SAME_LOG * max(1.0, abs(here)):
            break
        here = there
    return float(np.exp(here))
