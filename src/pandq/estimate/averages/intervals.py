"""Estimate: a number with its interval, and how the interval was made."""

from __future__ import annotations

import math

from scipy import special

from pandq.results.estimate import Estimate


def mean_estimate(
    mean: float,
    variance: float,
    *,
    degrees: int,
    n: int,
    level: float = 0.95,
    unit: str = "nat",
    method: str = "mean, Student t",
    name: str = "",
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Student's interval about a mean whose variance was estimated.

    Args:
        mean: the mean.
        variance: of the mean; nan where it cannot be estimated.
        degrees: of freedom: rows or clusters less one.
        n: rows behind it.
        level: of the interval, two-sided.
        unit: what the mean is measured in.
        method: how it was made, for the report.
        name: what it is.
        within: what it can be, to which the interval's ends are cut.

    Source: Student 1908; clusters: Cameron and Miller 2015, section VI.

    >>> mean_estimate(1.0, 0.01, degrees=9, n=10).high
    1.2262157...
    """
    half = float(special.stdtrit(max(degrees, 1), (1 + level) / 2)) * math.sqrt(variance)
    least, most = within
    return Estimate(
        mean,
        max(mean - half, least),
        min(mean + half, most),
        level,
        unit,
        n,
        method,
        name,
        standard_error=math.sqrt(variance),
        degrees=degrees,
    )
