"""Reliability table of the top label: mergeable sums per confidence bin, intervals, ECE."""

from __future__ import annotations

from operator import and_
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, ndtri, xlog1py, xlogy

from pandq.core.columns import Columns
from pandq.core.kernels import group_sums
from pandq.errors import InputError
from pandq.sums.summary import Summary, merged_by, summary

Array = NDArray[np.float64]
Method = Literal["clopper-pearson", "hoeffding", "normal"]


@summary
class Reliability(Summary):
    """Sums per equal-width bin of the top-label confidence max_k q_k; merging adds them.

    Bin b of B holds confidences in [b/B, (b + 1)/B), the last one also 1.  Of several classes with
    the same largest q the first is the predicted one.

    Args:
        count: (B,) float64 number of rows.
        confidence: (B,) float64 sum of max_k q_k.
        hit: (B,) float64 sum of P at the predicted class.
        hit_squared: (B,) float64 sum of its square.
        one_label: whether every P so far had all its weight on one class.

    Example:
        >>> q, hits = np.array([0.9, 0.8, 0.9]), np.array([1.0, 1.0, 0.0])
        >>> table = Reliability.empty(2).of_only(q, hits)
        >>> table.count.tolist(), table.hit.tolist(), round(table.ece, 6)
        ([0.0, 3.0], [0.0, 2.0], 0.2)
        >>> Reliability.empty(2).merge(table).ece == table.ece
        True
    """

    count: Array
    confidence: Array
    hit: Array
    hit_squared: Array
    one_label: bool = merged_by(and_)

    @classmethod
    def empty(cls, n_bins: int = 15) -> Self:
        """Table of no rows."""
        zeros = np.zeros(n_bins)
        return cls(zeros, zeros, zeros, zeros, one_label=True)

    def of_only(self, q: Array, mass: Array, w: Array | None = None) -> Self:
        """Table of one chunk of rows.

        Args:
            q: (n,) float64 confidence max_k q_k of each row.
            mass: (n,) float64 P at the predicted class; 0 or 1 for labels.
            w: (n,) float64 row weights, or None for equal ones.

        Returns:
            The table.

        Source: Guo et al. 2017, equations 2 and 3.
        """
        # q can exceed 1 by rounding, and 1 itself belongs to the last bin.
        n_bins = len(self.count)
        where = np.minimum((q * n_bins).astype(np.intp), n_bins - 1)
        values = Columns([np.ones(len(q)), q, mass, mass * mass])
        count, confidence, hit, hit_squared = group_sums(where, n_bins, values, w).T.copy()
        certain = bool(((mass == 0) | (mass == 1)).all() and (w is None or (w == 1).all()))
        return type(self)(count, confidence, hit, hit_squared, one_label=certain)

    def interval(self, *, level: float = 0.95, method: Method | None = None) -> tuple[Array, Array]:
        """Confidence interval of the mean of P at the predicted class, per bin.

        Clopper-Pearson counts hits and needs one label per row.  Hoeffding's interval holds at
        every n for independent rows with values in [0, 1], whatever their distribution, but does
        not profit from a small variance; the normal interval does, and is too short in small
        bins and where all rows agree.

        Args:
            level: coverage.
            method: None for Clopper-Pearson with one label per row, else Hoeffding.

        Returns:
            lower, upper: (B,) float64; nan in empty bins.

        Raises:
            InputError: Clopper-Pearson asked for rows with more than one label.

        Source: Clopper & Pearson 1934; Hoeffding 1963, theorem 1 (relative-entropy form).
        """
        if method is None:
            method = "clopper-pearson" if self.one_label else "hoeffding"
        if method == "clopper-pearson" and not self.one_label:
            raise InputError(what="Clopper-Pearson needs one label per row")
        tail = (1 - level) / 2
        n = np.where(self.count > 0, self.count, np.nan)
        mean = self.hit / n
        if method == "clopper-pearson":
            miss = n - self.hit
            lower = np.where(self.hit > 0, betaincinv(np.maximum(self.hit, 1), miss + 1, tail), 0.0)
            upper = np.where(miss > 0, betaincinv(self.hit + 1, np.maximum(miss, 1), 1 - tail), 1.0)
        elif method == "hoeffding":
            lower, upper = hoeffding_bounds(mean, np.log(1 / tail) / n)
        else:
            half = -ndtri(tail) * self.standard_error
            lower, upper = mean - half, mean + half
        return lower + 0 * n, upper + 0 * n

    @property
    def standard_error(self) -> Array:
        """(B,) float64 standard error of the mean hit; nan in bins of fewer than two rows."""
        n = np.where(self.count > 1, self.count, np.nan)
        spread = self.hit_squared - self.hit**2 / n
        # of equal hits rounding is left
        variance = np.where(spread > 1e-12 * self.hit_squared, spread, 0 * n) / (n - 1)
        return cast("Array", np.sqrt(variance / n))

    @property
    def ece(self) -> float:
        """Expected calibration error sum_b |sum confidence - sum hit| / n; nan without rows.

        Biased upwards: noise in a bin counts as error (see `ece_of_noise`), though errors of
        opposite sign within one bin cancel and are missed.

        Source: Guo et al. 2017, equation 3; its bias: Kumar, Liang, Ma 2019.
        """
        n = self.count.sum()
        apart = np.abs(self.confidence - self.hit)
        # of equal sums rounding is left
        apart = np.where(apart > 1e-12 * self.confidence, apart, 0.0)
        return float(apart.sum() / n) if n else float("nan")

    @property
    def ece_of_noise(self) -> float:
        """About the ECE that a calibrated model would show here.

        With one label per row its hits in a bin are binomial with the bin's mean confidence, and
        their mean deviation has a closed form. Of any other P the spread is the rows' own, with
        sum_b n_b/n sqrt(2/pi) se_b, to which bins of one row add nothing.

        Source: De Moivre 1730; Diaconis and Zabell 1991, Closed form summation, equation 1.1.
        """
        n = self.count.sum()
        if self.one_label:
            noise = mean_deviation(self.count, self.confidence).sum()
        else:
            noise = np.nansum(self.count * self.standard_error) * np.sqrt(2 / np.pi)
        return float(noise / n) if n else float("nan")


def mean_deviation(n: Array, expected: Array) -> Array:
    """E|X - n p| of a binomial X: 2 k C(n, k) p^k (1 - p)^(n - k + 1) with k = floor(n p) + 1.

    Args:
        n: float64 numbers of trials, whole; 0 gives 0.
        expected: float64 n p.

    Returns:
        float64, of the same shape.

    Source: Diaconis and Zabell 1991, Closed form summation for classical distributions.

    Example:
        >>> mean_deviation(np.array([1.0, 2.0]), np.array([0.5, 1.0]))
        array([0.5, 0.5])
    """
    p = np.clip(expected / np.maximum(n, 1.0), 0.0, 1.0)
    # of p = 1 rounding may be missing, and k is at most n
    k = np.minimum(np.floor(expected) + 1.0, np.maximum(n, 1.0))
    ways = -np.log(np.maximum(n, 1.0) + 1.0) - betaln(n - k + 1.0, k + 1.0)
    log_size = np.log(2.0 * k) + ways + xlogy(k, p) + xlog1py(n - k + 1.0, -p)
    return cast("Array", np.where(n > 0, np.exp(log_size), 0.0))


def hoeffding_bounds(mean: Array, budget: Array) -> tuple[Array, Array]:
    """The means mu on either side of `mean` with kl(mean || mu) = budget, by bisection.

    Args:
        mean: float64 sample means in [0, 1]; nan passes through.
        budget: float64 log(1 / tail probability) / n, nats.

    Returns:
        lower, upper bounds.

    Source: Hoeffding 1963, theorem 1.

    Example:
        >>> low, high = hoeffding_bounds(np.array([0.0]), np.array([np.log(2.0)]))
        >>> low.tolist(), high.round(12).tolist()
        ([0.0], [0.5])
    """

    def divergence(mu: Array) -> Array:
        with np.errstate(divide="ignore"):
            cross = -xlogy(mean, mu) - xlogy(1 - mean, 1 - mu)
        return cast("Array", cross + xlogy(mean, mean) + xlogy(1 - mean, 1 - mean))

    def solve(inner: Array, outer: Array) -> Array:
        for _ in range(60):
            middle = (inner + outer) / 2
            inside = divergence(middle) <= budget
            inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
        return outer

    return solve(mean, np.zeros_like(mean)) + 0 * mean, solve(mean, np.ones_like(mean)) + 0 * mean
