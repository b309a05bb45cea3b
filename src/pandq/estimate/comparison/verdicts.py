"""Verdicts: is a difference more than chance would give, also when many were looked at?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def p_value(value: float, standard_error: float, degrees: int) -> float:
    """Two-sided, of a mean that would be 0: Student's t.

    >>> round(p_value(2.0, 1.0, 10_000), 4)
    0.0455
    """
    if not standard_error > 0.0:
        return 1.0 if value == 0.0 or np.isnan(standard_error) else 0.0
    return float(2 * special.stdtr(max(degrees, 1), -abs(value) / standard_error))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p-values: below a level, all of them together err no more often than that.

    Args:
        p_values: of each hypothesis.

    Returns:
        Same length; at least the p-values, at most 1.

    Source: Holm 1979, section 2.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def verdict(low: float | None, high: float | None) -> str:
    """What an interval of a difference in loss says of Q: better, worse, or not told apart.

    >>> verdict(-0.2, -0.1), verdict(-0.1, 0.1)
    ('better', 'not told apart')
    """
    if high is not None and high < 0.0:
        return "better"
    return "worse" if low is not None and low > 0.0 else "not told apart"
