"""Few units: how much an interval rests on, said where it is little."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandq.results.estimate import Estimate

# Below these the effective number of units is shown, and said what it means.
FEW, VERY_FEW = 30, 10


def few_units(estimate: Estimate) -> list[str]:
    """How many equal and independent units the intervals rest on, where these are few.

    >>> from pandq.results.estimate import Estimate
    >>> few_units(Estimate(0.3, 0.2, 0.4, n=90, degrees=19.0, effective=20.0, method="mean"))
    ['the intervals rest on as much as 20 equal rows would tell (19 degrees of freedom)']
    """
    size, degrees = estimate.effective, estimate.degrees
    if size is None or degrees is None or size >= FEW:
        return []
    units = "clusters" if "cluster-robust" in estimate.method else "rows"
    told = (
        f"the intervals rest on as much as {size:.3g} equal {units} would tell ({degrees:.3g}"
        " degrees of freedom)"
    )
    if size >= VERY_FEW:
        return [told]
    more = ", and not more rows in these," if units == "clusters" else ""
    only = f"only more {units}{more} would tell"
    why = "so few may all lack what is rare, and then the truth lies beyond the interval"
    return [f"{told}; {why}: {only}"]
