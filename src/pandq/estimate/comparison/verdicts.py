"""Verdicts: is a difference more than chance would give, also when many were looked at?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special
from scipy.optimize import brentq

from pandq.estimate.averages.leaning import stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.estimate.averages.intervals import Sampling


def p_value(found: Sampling) -> float:
    """Two-sided, of a mean that would be 0: the least level at which its interval reaches 0.

    Where every unit has the same difference it is that of the sign test.

    >>> from pandq.estimate.averages.intervals import Sampling
    >>> round(p_value(Sampling(2.0, 1.0, effective=10_000, n=10_000)), 4)
    0.0455
    """
    value, error = found.mean, found.standard_error
    if value == 0.0 or np.isnan(error):
        return 1.0
    if found.constant:
        return min(1.0, math.pow(2.0, 1 - found.effective))
    size, degrees = abs(value) / error, max(found.degrees, 1.0)
    towards = -found.skewness if value > 0 else found.skewness
    if towards <= 0.0:
        return float(2 * special.stdtr(degrees, -size))

    def beyond(z: float) -> float:
        """How far the limit at the normal quantile z lies beyond 0, in standard errors."""
        t = -float(special.stdtrit(degrees, float(special.ndtr(-z))))
        return t + float(stretch(towards, z)) - size

    if beyond(0.0) >= 0.0:
        return 1.0
    if beyond(_FURTHEST) <= 0.0:
        return 0.0
    return float(2 * special.ndtr(-float(brentq(beyond, 0.0, _FURTHEST))))


# A normal quantile whose probability, 5e-198, a Student's t of any degrees still has.
_FURTHEST = 30.0


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
