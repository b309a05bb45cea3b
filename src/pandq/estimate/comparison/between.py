"""What lies between two means, of which each row has a lower and an upper bound."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pandq.estimate.averages.intervals import one_sided_level
from pandq.quantities import quantity
from pandq.results.estimate import Estimate

if TYPE_CHECKING:
    from pandq.estimate.averages.means import Means

NO_POINT = "between certified bounds: no point is identified"


def between(
    low: Means,
    high: Means,
    *,
    n: int,
    level: float,
    methods: tuple[str, str],
    of: str = "",
    lost: float = np.inf,
) -> tuple[Estimate, Estimate, Estimate]:
    """Both bounds, and an interval for what lies between them.

    Args:
        low: of the rows' lower bounds, over the rows where these are finite; of one quantity.
        high: of the upper ones.
        n: how many rows there are.
        level: confidence level of the intervals.
        methods: what to say of the lower and of the upper bound.
        of: the quantity between them; that of the lower one when left out.
        lost: the lower bound where a row has none: of what is infinite in a row infinite, of a
            difference of two such nothing is known.

    Returns:
        The bounds, infinite where they are so in any row, and the interval.
    """
    (one_name,), (other_name,) = low.names, high.names
    key = of or one_name
    known = quantity(key)
    # what may lie below 0 has bounds that may: theirs have no name that would cut them
    called = low.names + high.names if known else (f"{key}, at least", f"{key}, at most")
    found = [
        replace(means, names=(name,)).estimate(name, level=level, method=method)
        for means, name, method in zip((low, high), called, methods, strict=True)
    ]
    one, other = low.sampling(one_name), high.sampling(other_name)
    # of rows that need not be the same no covariance is kept: the gap is less sure than it could be
    apart = math.hypot(one.standard_error, other.standard_error)
    each = one_sided_level(one, other, gap_error=apart, level=level)
    ends, unit = [one.one_sided(each)[0], other.one_sided(each)[1]], found[0].unit
    for place, means in enumerate((low, high)):
        if without := n - means.n:
            method, end = f"infinite in {without} rows", (lost, np.inf)[place]
            found[place] = Estimate(end, end, end, level, unit, n, method, found[place].name)
            ends[place] = end
    if known:
        ends = [max(ends[0], known.low), min(ends[1], known.high)]
    within = Estimate(None, ends[0], ends[1], level, unit, n, NO_POINT, key, identified=False)
    return found[0], found[1], within
