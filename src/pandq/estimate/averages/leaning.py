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
    mean: Any,
    error: Any,
    effective: Any,
    skewness: Any,
    unevenness: float,
    least: float,
    heavy: Any = None,
) -> Any:
    """What `Sampling.likely_skewness` has, of one mean or of many."""
    if least == -math.inf or not unevenness > 0.0:
        return skewness
    above = mean - least
    known = (above > 0.0) & (error > 0.0)
    scale = np.where(known, above, 1.0)
    if heavy is None:
        law = LOG_NORMAL * unevenness * error / scale
    else:
        units = np.sqrt(np.maximum(effective, 1.0))
        law = log_normal_skewness(error / scale * units, (heavy - least) / scale)
        law = unevenness * (law / units)
    share = effective / (effective + ENOUGH_UNITS)
    return np.where(known, share * skewness + (1 - share) * law, skewness)


def log_normal_skewness(spread: Any, tilt: Any) -> Any:
    """The least skewness of a log-normal law under weights, which may go with the values.

    Weights that are log-normal together with the values x move these: the mean of x under w^j is
    `tilt` times that under w^(j-1), and E w^2 (x - m)^2 and E w^3 (x - m)^3 about the mean m under
    w follow. Where weights say nothing of the values, or are largest where these are small, it is
    that without weights, three times the coefficient of variation.

    Args:
        spread: root of E w^2 (x - m)^2 / (m^2 E w^2), the coefficient of variation where weights
            are equal.
        tilt: E w^2 x / (m E w^2).

    Returns:
        E w^3 (x - m)^3 / (E w^2 (x - m)^2)^1.5 times (E w^2)^1.5 / E w^3, to the order that it has
        for a small coefficient of variation.

    >>> float(log_normal_skewness(0.5, 1.0)), round(float(log_normal_skewness(0.5, 1.25)), 3)
    (1.5, 6.697)
    """
    more, plain = np.maximum(tilt, 1.0), LOG_NORMAL * spread
    with np.errstate(all="ignore"):
        own = np.maximum(spread**2 - (more - 1) ** 2, 0.0) / more**2
        third = (more**2 - 1) ** 3 + 3 * (more**2 - 1) * more**4 * own + 3 * more**6 * own**2
        return np.where(more > 1.0, np.fmax(third / spread**3, plain), plain)


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
