"""Intervals of means by leaving out one unit after the other: plain loops over all rows."""

import numpy as np
from scipy import stats


def of_clusters(x, w, cluster):
    """Variance, effective number and skewness of a weighted mean of clustered rows."""
    names = np.unique(cluster)
    mean = np.average(x, weights=w)
    without = [np.average(x[cluster != c], weights=w[cluster != c]) for c in names]
    moved = mean - np.array(without)
    weight = np.array([w[cluster == c].sum() for c in names])
    variance = (len(names) - 1) / len(names) * (moved**2).sum()
    spread = (moved**2).sum() ** 1.5
    return variance, weight.sum() ** 2 / (weight**2).sum(), (moved**3).sum() / spread


def of_rows(x, w):
    """The same of rows, where 1 / (1 - h)^2 is taken at the mean h that e^2 gives."""
    e = w * (x - np.average(x, weights=w))
    h = w / w.sum()
    left = 1 - (e**2 @ h) / (e**2).sum()
    variance = (len(x) - 1) / len(x) * (e**2).sum() / w.sum() ** 2 / left**2
    return variance, w.sum() ** 2 / (w**2).sum(), (e**3).sum() / (e**2).sum() ** 1.5


def ends(mean, variance, effective, skewness, level=0.95, likely=None):
    """Student's t, its far end moved by the skewness and twice its square; above also by what is
    `likely` where that is known from elsewhere."""
    likely = skewness if likely is None else likely
    tail = (1 + level) / 2
    t, z = stats.t.ppf(tail, max(effective - 1, 1)), stats.norm.ppf(tail)
    seen, unlikely = max(skewness, 0.0), max(-likely, 0.0)
    further = (2 * z**2 + 1) / 6
    low = t + (unlikely + 2 * unlikely**2) * further
    high = t + max(seen + 2 * seen**2, likely) * further
    return mean - low * np.sqrt(variance), mean + high * np.sqrt(variance)


def law_of_both(mean, variance, effective, weight, total):
    """The skewness of a log-normal law of values that go with their weights, to second order."""
    spread = np.sqrt(variance * effective) / mean
    tilt = max(weight @ total / (weight @ weight) / mean, 1.0)
    square = max((spread**2 + 2 * tilt - 1) / tilt**2, 1.0)  # E x^2 / (E x)^2
    third = tilt**6 * square**3 - 3 * tilt**4 * square + 3 * tilt**2 - 1
    third -= tilt**6 * (square - 1) ** 3
    law = max(third / spread**3, 3 * spread) if tilt > 1 else 3 * spread
    return law * (weight**3).sum() / (weight**2).sum() ** 1.5


def above_zero(mean, variance, effective, skewness, weight, total, level=0.95):
    """The same of what is never negative: it leans as a log-normal law where units are few."""
    law = law_of_both(mean, variance, effective, weight, total)
    likely = skewness * effective / (effective + 100) + law * 100 / (effective + 100)
    return ends(mean, variance, effective, skewness, level, likely)


def interval(x, w=None, cluster=None, level=0.95, *, skewed=True, positive=False):
    """The mean and its interval's ends; not `skewed` where cubes are not kept."""
    if (x == 0).all():
        return 0.0, 0.0, 0.0
    w = np.ones(len(x)) if w is None else w
    variance, effective, skewness = of_rows(x, w) if cluster is None else of_clusters(x, w, cluster)
    mean = np.average(x, weights=w)
    if positive:
        unit = np.arange(len(x)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
        units = np.bincount(unit, w), np.bincount(unit, w * x)
        return mean, *above_zero(mean, variance, effective, skewness, *units, level)
    return mean, *ends(mean, variance, effective, skewness if skewed else 0.0, level)
