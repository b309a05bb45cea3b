"""How much of the class frequencies is mixed into a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST_LOG, SAME_LOG = -60.0, 1e-13
"""Where log eps is looked for, and by how much two of them differ that are the same."""


def mixing_weight(weight: Array, inside: Array, outside: Array, pseudo_rows: float) -> float:
    """Weight eps of the class frequencies: the likeliest one, given some pseudo-rows that need it.

    Maximises sum_e weight_e log((1 - eps) inside_e + eps outside_e) + pseudo_rows log eps, concave
    in eps.  The pseudo-rows keep eps > 0 (about pseudo_rows / n for a map without surprises);
    labels that fall where the map gives almost nothing raise it to the rate at which they occur.

    Args:
        weight: (m,) float64 weights of rows times P, for every row and class with P > 0.
        inside: (m,) float64 probabilities of the map there.
        outside: (m,) float64 frequencies of the class there.
        pseudo_rows: positive number of pseudo-rows.

    Returns:
        eps in (0, 1].

    Example:
        >>> eps = mixing_weight(np.ones(99), np.ones(99), np.full(99, 0.5), 1.0)
        >>> round(1 / eps, 6)
        50.0
    """
    gain = outside - inside

    def slope(log_eps: float) -> tuple[float, float]:
        """The derivative of what is maximised in log eps, and its own."""
        share = np.exp(log_eps) * gain
        share /= inside + share
        first = float(np.einsum("i,i->", weight, share))
        share *= share
        return first + pseudo_rows, first - float(np.einsum("i,i->", weight, share))

    if slope(0.0)[0] >= 0:
        return 1.0
    low, high = LEAST_LOG, 0.0
    here = float(np.log(pseudo_rows / (pseudo_rows + weight.sum())))
    while high - low > SAME_LOG:
        value, bend = slope(here)
        low, high = (here, high) if value > 0 else (low, here)
        step = -value / bend if bend < 0 else np.inf
        there = here + step if low < here + step < high else (low + high) / 2
        if abs(there - here) <= SAME_LOG * max(1.0, abs(here)):
            break
        here = there
    return float(np.exp(here))
