"""Units: what an interval is over, and how much it rests on, said where that is little."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pandq.units import significant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.results.estimate import Estimate

# Below these the effective number of units is shown, and said what it means.
FEW, VERY_FEW = 30, 10
_BOTH = " and annotators"
_CLUSTERS = re.compile(r"[\d,]+ clusters")


def over_whom(estimate: Estimate, people: int, *, rows: str = "") -> str:
    """What intervals are over, where it is not single rows.

    Args:
        estimate: one that allows for annotators where they are known.
        people: how many annotators are known; 0 where they are not.
        rows: what to call rows that are not told apart.

    >>> from pandq.results.estimate import Estimate
    >>> how = "mean over rows, Student t over rows and 12 annotators"
    >>> print(over_whom(Estimate(0.3, 0.2, 0.4, method=how), 12))
    intervals over rows and 12 annotators at 95%
    >>> print(over_whom(Estimate(0.3, 0.2, 0.4, method="Poisson bootstrap of rows"), 12))
    intervals over rows alone at 95%
    """
    if not rows and (found := _CLUSTERS.search(estimate.method)):
        rows = found[0]
    over = f" over {rows}" if rows else ""
    if people and _crossed(estimate):
        over = f" over {rows or _units(estimate).removesuffix(_BOTH)} and {people:,} annotators"
    elif people:
        over = f" over {rows or _units(estimate)} alone"
    return f"intervals{over} at {estimate.level:.0%}"


def who_gave(estimate: Estimate, people: int, *, votes: bool) -> dict[str, object]:
    """By whom votes are, as far as it is known, and what that means for intervals.

    Args:
        estimate: as above.
        people: as above.
        votes: whether P is votes, several of a row.
    """
    if people and _crossed(estimate):
        alone = f"those of tables are over {_units(estimate)}"
        alone = alone.removesuffix(_BOTH)
        return {"votes": f"by {people:,} annotators, over whom intervals are, too; {alone} alone"}
    how = "taken as exchangeable: that people recur is not allowed for"
    return {"votes": how} if votes else {}


def beside(source: Mapping[str, Any]) -> dict[str, object]:
    """The columns that said which rows belong together, and what each counts.

    >>> beside({"p": "labels:y", "cluster": "document", "weights": "w"})
    {'cluster': 'document', 'weights': 'w'}
    """
    return {name: source[name] for name in ("cluster", "weights") if source.get(name)}


def ends_of_tables(estimate: Estimate, *, of_bins: bool = False) -> str:
    """What stands above the intervals of a table, which never allow for annotators.

    Args:
        estimate: one that does where they are known.
        of_bins: whether they do not allow for clusters either.

    >>> from pandq.results.estimate import Estimate
    >>> how = "mean over rows, cluster-robust over 20 clusters and 12 annotators"
    >>> ends_of_tables(Estimate(0.3, 0.2, 0.4, method=how))
    'interval over clusters'
    """
    units = _units(estimate).removesuffix(_BOTH)
    if of_bins:
        return "interval" if _units(estimate) == "rows" else "interval over rows"
    return f"interval over {units}" if _crossed(estimate) else "interval"


def alone(estimate: Estimate, among: Estimate) -> str:
    """That an interval does not allow for annotators, among those that do; else nothing.

    Args:
        estimate: of votes.
        among: one that allows for annotators where they are known.
    """
    if _crossed(estimate) or not _crossed(among):
        return ""
    return f"; {ends_of_tables(among)} alone"


def _units(estimate: Estimate) -> str:
    return " and ".join(_kinds(estimate))


def _kinds(estimate: Estimate) -> list[str]:
    units = "clusters" if "cluster-robust" in estimate.method else "rows"
    return [units, *(["annotators"] if _crossed(estimate) else [])]


def _crossed(estimate: Estimate) -> bool:
    return "annotators" in estimate.method


def few_units(estimate: Estimate) -> list[str]:
    """How many equal and independent units the intervals rest on, where these are few.

    >>> from pandq.results.estimate import Estimate
    >>> few_units(Estimate(0.3, 0.2, 0.4, n=90, degrees=19.0, effective=20.0, method="mean"))
    ['the intervals rest on as much as 20 equal rows would tell (19 degrees of freedom)']
    """
    size, degrees = estimate.effective, estimate.degrees
    if size is None or degrees is None or size >= FEW:
        return []
    units = _units(estimate)
    told = (
        f"the intervals rest on as much as {size:.3g} equal {units} would tell ({degrees:.3g}"
        " degrees of freedom)"
    )
    if size >= VERY_FEW:
        return [told]
    more = ", and not more rows in these," if units.startswith("clusters") else ""
    only = f"only more {units}{more} would tell"
    why = "so few may all lack what is rare, and then the truth lies beyond the interval"
    return [f"{told}; {why}: {only}"]


def few_carry(estimate: Estimate, of: str) -> list[str]:
    """How few rows (or clusters) make up the error of a mean, where these are very few.

    Of a mean whose spread is that of k equal outliers, the skewness is 1 / sqrt(k).

    Args:
        estimate: a mean with its skewness.
        of: what it is the mean of.

    >>> from pandq.results.estimate import Estimate
    >>> found = Estimate(0.3, 0.2, 0.5, n=200, effective=200.0, skewness=0.5, method="mean")
    >>> few_carry(found, "loss")[0][:48]
    'the error of the loss rests on as few as 4 rows:'
    """
    skewness, size = abs(estimate.skewness or 0.0), estimate.effective
    if size is None or size < VERY_FEW or skewness * skewness * VERY_FEW <= 1:
        return []
    few = max(round(1 / (skewness * skewness)), 1)
    units = " or ".join(x.removesuffix("s" if few == 1 else "") for x in _kinds(estimate))
    told = (
        f"the error of the {of} rests on as few as {few} {units}: how often the like of these comes"
        " is hardly known, and the truth may lie beyond the interval"
    )
    return [told]


def none_wrong(right: Estimate, *, sure: bool = False) -> list[str]:
    """How many rows may be wrong where none is, if that is so.

    Args:
        right: the expected accuracy.
        sure: whether Q rules out all that is not its most probable class.

    >>> from pandq.results.estimate import Estimate
    >>> none_wrong(Estimate(1.0, 0.9926, 1.0, n=500, method="mean over rows, Clopper-Pearson"))[0]
    'Q is right in all 500 rows, and may be wrong in up to 0.740 % of those to come: ...'
    """
    if right.value != 1.0 or right.low is None:
        return []
    share = f"{significant(100 * (1 - right.low))} %"
    told = f"Q is right in all {right.n:,} rows, and may be wrong in up to {share} of those to come"
    if sure:
        return [f"{told}, each of which would make the loss infinite"]
    return [f"{told}: intervals of losses allow for that"]
