"""Sampling: how a mean varies from one set of rows to the next, and the interval that follows.

Whatever the mean is of (losses, parts, differences, ratios), and whether its units are rows, rows
with weights, or clusters, a few numbers say what is known of its error: the leave-one-out standard
error, the effective number of units and how uneven these are, the skewness, and whether every
row's value is 0 or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special
from scipy.optimize import brentq

from pandq.estimate.averages.leaning import likely_skewness, limits_of
from pandq.quantities import QUANTITIES, Quantity, quantity
from pandq.results.estimate import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A share of the spread that is left of equal numbers.
ROUNDING = 1e-12
# The same of a mean under maps of several folds, each of which has numbers of its own.
OF_FOLDS = 1e-3
CROSS_FITTED = frozenset({"refinement_loss", "gain"})
# The losses of which one that was seen says what another could have been.
OF_A_CLASS = frozenset({"cross_entropy", "refinement_loss"})
# What depends on which class it was, and is the largest where Q's most probable class was not it.
OF_THE_OUTCOME = OF_A_CLASS | {"brier"}


@dataclass(frozen=True, slots=True)
class Sampling:
    """A mean, and what is known of its error.

    Args:
        mean: the mean.
        variance: of the mean, leaving out one unit after the other; nan where unknown.
        effective: Kish's effective number of units, (sum w)^2 / sum w^2.
        n: rows behind it.
        skewness: of the mean, sum e^3 / (sum e^2)^1.5 over the units' influences e; 0 if not kept.
        zero_one: whether every row's value is 0 or 1.
        unevenness: sum w sum w^3 / (sum w^2)^2 of the units' weights; 1 where they are equal, 0 for
            a mixture of means, which may lean to either side.
        heavy: the mean by the units' squared weights, larger than `mean` where weights go with the
            values; None where it is not kept.

    Source: variance: Efron and Stein 1981, for clusters CR3 of MacKinnon, Nielsen and Webb 2023;
    effective number: Kish 1965, section 11.7.

    >>> Sampling(1.0, 0.01, effective=10.0, n=10).limits(0.95)
    (0.7737842..., 1.2262157...)
    """

    mean: float
    variance: float
    effective: float
    n: int
    skewness: float = 0.0
    zero_one: bool = False
    unevenness: float = 1.0
    heavy: float | None = None

    @property
    def standard_error(self) -> float:
        """Standard error of the mean."""
        return math.sqrt(self.variance)

    @property
    def degrees(self) -> float:
        """Degrees of freedom: the effective number of units less one."""
        return max(self.effective - 1.0, 0.0)

    def crossed(self, other: Sampling, both: float) -> Sampling:
        """The error over two kinds of units that cross, such as rows and annotators.

        Args:
            other: the same mean, over units of the other kind.
            both: its variance over what is one unit of both kinds, such as votes.

        Source: variance: Cameron, Gelbach and Miller 2011, never below either (MacKinnon, Nielsen
        and Webb 2024); degrees: Satterthwaite 1946.

        >>> one = Sampling(1.0, 0.03, effective=31.0, n=60)
        >>> found = one.crossed(Sampling(1.0, 0.02, effective=9.0, n=60), 0.01)
        >>> round(found.variance, 4), round(found.degrees, 1)
        (0.04, 20.0)
        """
        parts = self.variance, other.variance
        variance = max(sum(parts) - both, *parts)
        if not variance > 0.0 or not all(map(math.isfinite, parts)):
            return self
        spent = sum(v * v / max(x.degrees, 1e-9) for v, x in zip(parts, (self, other), strict=True))
        cubes = sum(x.skewness * v**1.5 for v, x in zip(parts, (self, other), strict=True))
        return replace(
            self,
            variance=variance,
            effective=variance**2 / spent + 1.0,
            skewness=cubes / variance**1.5,
        )

    def limits(self, level: float, *, least: float = -math.inf) -> tuple[float, float]:
        """A two-sided interval: Student's t, its far end moved outwards where the mean is skewed.

        The near end stays: what a sample shows of skewness is often chance.

        Args:
            level: of the interval.
            least: what no unit is below, if it has no top: the mean is then taken for skewed even
                where the sample does not show it.
        """
        return self.one_sided((1 + level) / 2, least=least)

    def one_sided(self, level: float, *, least: float = -math.inf) -> tuple[float, float]:
        """The lower and the upper limit, each passed with a probability of 1 - level.

        Source: Hall 1992, On the removal of skewness by transformation, expansion of section 2.
        """
        found = self.mean, self.standard_error, self.degrees, self.skewness
        low, high = limits_of(*found, self.likely_skewness(least), level)
        return float(low), float(high)

    def likely_skewness(self, least: float) -> float:
        """That of the sample, and where it is small that of a law of its spread above `least`.

        A mean of few units is the most in error where they lack what is large, and there the sample
        is not skewed. What is never below 0 and spread as much as its mean is not symmetric: the
        mean of a log-normal law has at least three times its own coefficient of variation, and more
        under weights that are uneven or go with the values.

        >>> few = Sampling(1.0, 0.04, effective=10.0, n=10)
        >>> few.likely_skewness(-math.inf), round(few.likely_skewness(0.0), 3)
        (0.0, 0.545)
        """
        known = self.effective, self.skewness, self.unevenness, least, self.heavy
        return float(likely_skewness(self.mean, self.standard_error, *known))

    @property
    def constant(self) -> bool:
        """Whether the units are too much alike to tell their spread."""
        return self.alike()

    def alike(self, name: str = "") -> bool:
        """The same of a quantity, which may be of maps that differ from fold to fold.

        >>> found = Sampling(1.0, 1e-9, effective=10.0, n=10)
        >>> found.constant, found.alike("refinement_loss")
        (False, True)
        """
        least = ROUNDING
        if name in CROSS_FITTED:
            least = OF_FOLDS / math.sqrt(max(self.effective, 1.0))
        return self.n > 1 and self.standard_error <= least * abs(self.mean)

    def unseen(self, level: float) -> float:
        """The largest share of units that may differ where none was seen that does.

        >>> round(Sampling(1.0, 0.0, effective=500.0, n=500).unseen(0.95), 4)
        0.0074
        """
        return float(unseen(self.effective, level))

    def share_limits(self, level: float) -> tuple[float, float]:
        """Exact limits of a share; with weights or clusters, of as many rows as these are worth.

        Source: Clopper and Pearson 1934; Korn and Graubard 1998, Survey Methodology 24, 193.

        >>> Sampling(0.9, 0.09 / 19, effective=20, n=20, zero_one=True).share_limits(0.95)
        (0.683..., 0.987...)
        """
        low, high = _share_limits(
            self.mean, self.variance, self.effective, rows=self.n, level=level
        )
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Samplings:
    """The means of many groups and what is known of their errors: (G,) of what a Sampling has.

    >>> x = np.ones(2)
    >>> found = Samplings(x, 0.01 * x, 10.0 * x, 10 * np.ones(2, np.int64), x == 0)
    >>> found.ends("brier", level=0.95)[0]
    array([0.77..., 0.77...])
    """

    mean: Floats
    variance: Floats
    effective: Floats
    n: NDArray[np.int64]
    zero_one: NDArray[np.bool_]

    def ends(self, name: str, *, level: float) -> tuple[Floats, Floats]:
        """The intervals' ends, as `mean_estimate` has them."""
        known, error = quantity(name), np.sqrt(self.variance)
        degrees = np.maximum(self.effective - 1.0, 0.0)
        likely = likely_skewness(self.mean, error, self.effective, 0.0, 1.0, _floor_of(known))
        low, high = limits_of(self.mean, error, degrees, 0.0, likely, (1 + level) / 2)
        shares = self.zero_one & (self.n > 0) if _is_share(known) else np.zeros(len(low), np.bool_)
        about = self.mean, self.variance, self.effective
        of_shares = (x[shares] for x in about)
        low[shares], high[shares] = _share_limits(*of_shares, rows=self.n[shares], level=level)
        constant = ~shares & (self.n > 1) & (error <= ROUNDING * np.abs(self.mean))
        for g in np.flatnonzero(constant).tolist():
            mean, variance, effective = (float(x[g]) for x in about)
            one = Sampling(mean, variance, effective, int(self.n[g]))
            low[g], high[g] = _about_a_constant(one, level, known)
        if known is None:
            return low, high
        return np.maximum(low, known.low), np.minimum(high, known.high)


def unseen(effective: Any, level: float) -> Any:
    """The limit of `Sampling.unseen`, of one number of units or of many."""
    return -np.expm1(math.log((1 - level) / 2) / np.maximum(effective, 1.0))


def _share_limits(
    mean: Any, variance: Any, effective: Any, *, rows: Any, level: float
) -> tuple[Any, Any]:
    """The limits of `Sampling.share_limits`, of one share or of many."""
    tail = (1 - level) / 2
    inside = (mean > 0.0) & (mean < 1.0) & (rows > 1) & (variance > 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = np.divide(mean * (1 - mean), rows - 1)
        worth = special.stdtrit(np.maximum(rows - 1, 1), tail)
        worth = worth / special.stdtrit(np.maximum(effective - 1.0, 1.0), tail)
        worth = np.minimum(np.divide(rows * independent, variance) * (worth * worth), rows)
    n = np.where(inside, worth, effective)
    hits, misses = n * mean, n * (1 - mean)
    low = np.where(hits > 0, special.betaincinv(hits, misses + 1, tail), 0.0)
    high = np.where(misses > 0, special.betaincinv(hits + 1, misses, 1 - tail), 1.0)
    return low, high


def _floor_of(known: Quantity | None) -> float:
    """What no unit of a quantity is below, where it has no top; else -inf."""
    return known.low if known is not None and known.high == math.inf else -math.inf


def _is_share(known: Quantity | None) -> bool:
    """Whether it is a share, which has exact limits where every row is 0 or 1."""
    return known is not None and known.share and known.low == 0


def one_sided_level(
    low: Sampling, high: Sampling, *, gap_error: float, level: float = 0.95
) -> float:
    """The level at each end of an interval for what lies somewhere between two means.

    Between bounds that lie far apart the truth can be missed at one end only, and between bounds
    that meet at both. The gap is taken to be a standard error smaller than estimated, as one that
    is estimated too large makes the interval too short.

    Args:
        low: the lower bound's mean.
        high: the upper bound's.
        gap_error: standard error of their difference.
        level: of the interval.

    Returns:
        From `level` to (1 + level) / 2.

    Source: Imbens and Manski 2004, eq. 7; the care: Stoye 2009, section 3.

    >>> far, near = Sampling(9.0, 1.0, 1e6, 10**6), Sampling(0.0, 1.0, 1e6, 10**6)
    >>> one_sided_level(near, far, gap_error=0.1), one_sided_level(near, near, gap_error=0.0)
    (0.95, 0.975)
    """
    error, most = max(low.standard_error, high.standard_error), (1 + level) / 2
    gap = max(high.mean - low.mean - gap_error, 0.0)
    if not error > 0.0 or gap > _FAR * error:
        return level
    if gap == 0.0:
        return most
    degrees = max(min(low.degrees, high.degrees), 1.0)

    def too_much(p: float) -> float:
        t = float(special.stdtrit(degrees, p))
        return float(special.stdtr(degrees, t + gap / error)) + p - 1 - level

    return float(brentq(too_much, level, most)) if too_much(level) < 0.0 else level


# A gap of so many standard errors is far, at any level in use.
_FAR = 12.0


def mean_estimate(
    found: Sampling,
    *,
    level: float = 0.95,
    unit: str = "nat",
    method: str = "mean",
    how: str = "Student t",
    name: str = "",
) -> Estimate:
    """A mean with its interval, which does not reach beyond what can be.

    Args:
        found: the mean and what is known of its error.
        level: of the interval, two-sided.
        unit: what the mean is measured in.
        method: how it was made, for the report.
        how: how its error was found.
        name: what it is; shares have exact intervals.

    Source: Student 1908; clusters: Cameron and Miller 2015, section VI.

    >>> mean_estimate(Sampling(1.0, 0.01, effective=10.0, n=10)).high
    1.2262157...
    """
    known = quantity(name)
    least, most = (-math.inf, math.inf) if known is None else (known.low, known.high)
    if _is_share(known) and found.zero_one and found.n:
        how = "Clopper-Pearson" if how == "Student t" else f"{how}, Clopper-Pearson"
        low, high = found.share_limits(level)
    elif found.alike(name):
        how = f"{how}; the same in every unit"
        low, high = _about_a_constant(found, level, known)
    else:
        low, high = found.limits(level, least=_floor_of(known))
    # what rounding alone has spread leans nowhere
    leans = found.standard_error > np.finfo(np.float64).eps
    return Estimate(
        found.mean,
        max(low, least),
        min(high, most),
        level,
        unit,
        found.n,
        f"{method}, {how}",
        name,
        standard_error=found.standard_error,
        degrees=found.degrees,
        effective=found.effective,
        skewness=found.skewness if leans else 0.0,
        likely_skewness=found.likely_skewness(_floor_of(known)) if leans else 0.0,
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


def _about_a_constant(found: Sampling, level: float, known: Quantity | None) -> tuple[float, float]:
    """What a mean can be where every unit has the same value, and some may come that do not.

    They are so few that none was likely to be seen, and may have any value that is possible. A loss
    of one class, -log q, is at least -log(1 - q) in another. What has no bounds is taken to be as
    far on the other side of 0, which is a sign test. A loss or a difference that is 0 in every row
    stays 0: that is not by chance.
    """
    some, value = found.unseen(level), found.mean
    if value and known is not None and math.isfinite(known.high - known.low):
        return value - some * (value - known.low), value + some * (known.high - value)
    far = up = 2 * abs(value)
    if known is not None and known.key in OF_A_CLASS and value > 0:
        up = max(up, float(added_by_an_error(known.key, value)))
    return value - some * far, value + some * up


def added_by_an_error(name: str, mean: Any) -> Any:
    """What a row adds to a mean, at least, where Q's top class is wrong as it was in no other.

    A class of which -log q is its loss leaves 1 - q to all others, and so -log(1 - q) and more to
    each of them; of rows that differ this is the more for their differences (Jensen). The Brier
    score comes near to its largest value.

    >>> round(float(np.exp(added_by_an_error("cross_entropy", -np.log(0.9)))), 9)
    9.0
    """
    if name not in OF_A_CLASS:
        return QUANTITIES[name].high - mean
    with np.errstate(divide="ignore"):
        # a loss of 0 is no matter of chance: what Q rules out it is sure of
        return np.where(mean > 0, -np.log(-np.expm1(-np.maximum(mean, 0.0))) - mean, 0.0)
