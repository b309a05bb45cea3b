"""Leaning: how far a skewed mean moves the ends of its interval, seen and unseen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

# What is seen of skewness falls short where few units carry it; chosen in benchmarks/coverage.py.
UNSEEN_SKEWNESS = 2.0
# Skewness of a mean by its coefficient of variation, and as how many units that of a sample counts
# beside it; both chosen there, too.
LOG_NORMAL, ENOUGH_UNITS = 3.0, 100.0


def limits_of(
    mean: Any, error: Any, degrees: Any, skewness: Any, likely: Any, level: float
) -> tuple[Any, Any]:
    """The limits of `Sampling.one_sided`, of one mean or of many."""
    t, z = special.stdtrit(np.maximum(degrees, 1.0), level), float(special.ndtri(level))
    down = t + stretch(-likely, z)
    up = t + np.maximum(stretch(skewness, z), edgeworth(likely, z))
    return mean - down * error, mean + up * error


def likely_skewness(
    mean: Any, error: Any, effective: Any, skewness: Any, unevenness: float, least: float
) -> Any:
    """What `Sampling.likely_skewness` has, of one mean or of many."""
    if least == -math.inf or not unevenness > 0.0:
        return skewness
    above = mean - least
    known = (above > 0.0) & (error > 0.0)
    law = LOG_NORMAL * unevenness * error / np.where(known, above, 1.0)
    share = effective / (effective + ENOUGH_UNITS)
    return np.where(known, share * skewness + (1 - share) * law, skewness)


def stretch(skewness: Any, z: Any) -> Any:
    """How many standard errors further the limit lies on the side that the mean is skewed to.

    Args:
        skewness: of the mean, positive where the limit is on its longer side.
        z: the normal quantile of the limit.

    Source: Hall 1992, of the Studentised mean: skewness (2 z^2 + 1) / 6.

    >>> float(stretch(-0.3, 1.96)), round(float(stretch(0.1, 1.96)), 3)
    (0.0, 0.174)
    """
    longer = np.maximum(skewness, 0.0)
    return edgeworth(longer * (1 + UNSEEN_SKEWNESS * longer), z)


def edgeworth(skewness: Any, z: Any) -> Any:
    """What a known skewness adds to a normal quantile of the Studentised mean.

    >>> round(float(edgeworth(0.3, 1.96)), 3)
    0.434
    """
    return np.maximum(skewness, 0.0) * (2 * z * z + 1) / 6
