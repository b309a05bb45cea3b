"""Estimate: a number with its interval, and how the interval was made."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
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


def exponential(name: str, found: Estimate) -> Estimate:
    """The exponential of a mean, and of the ends of its interval.

    >>> print(exponential("perplexity", Estimate(0.0, 0.0, 1.0)))
    perplexity 1.000 [1.000, 2.718]
    """

    def raised(x: float | None) -> float | None:
        # what no float holds is infinite
        with np.errstate(over="ignore"):
            return None if x is None else float(np.exp(x))

    ends = {end: raised(getattr(found, end)) for end in ("value", "low", "high")}
    low, high, value = (ends[end] for end in ("low", "high", "value"))
    made = found.ranged(low, high, f"exp of the {found.method}", value)
    return replace(made, name=name, unit="", identified=True)
