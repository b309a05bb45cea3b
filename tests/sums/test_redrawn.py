"""Quantiles under a bootstrap of clusters: against replicates by hand, and their coverage."""

import numpy as np
import pytest

from pandq.core.hashing import hash_ids
from pandq.sums.redrawn import REPLICATES, RedrawnHistogram
from pandq.sums.resample import drawn_times


def test_a_replicate_draws_whole_clusters_and_its_quantile_is_that_of_its_rows():
    rng = np.random.default_rng(0)
    x, cluster = rng.exponential(size=400), hash_ids(np.arange(400) // 8)
    times = drawn_times(cluster, REPLICATES)
    by_hand = [np.quantile(np.repeat(x, t.astype(int)), 0.9, method="inverted_cdf") for t in times]
    low, high = np.quantile(by_hand, [0.05, 0.95], method="inverted_cdf")
    found = RedrawnHistogram.empty().of_only(x, cluster).limits(0.9, level=0.9)
    assert found == pytest.approx((low, high), rel=0.011)


def test_weights_count_as_repeated_rows_of_one_cluster():
    rng = np.random.default_rng(1)
    x, cluster = rng.exponential(size=60), hash_ids(np.arange(60) // 3)
    w = rng.integers(0, 4, size=60)
    weighted = RedrawnHistogram.empty().of_only(x, cluster, w.astype(float))
    repeated = RedrawnHistogram.empty().of_only(np.repeat(x, w), np.repeat(cluster, w))
    assert weighted.limits(0.5, level=0.9) == repeated.limits(0.5, level=0.9)


def test_intervals_over_clusters_cover_and_those_over_rows_do_not():
    """Eight rows of a cluster are one value: 800 rows are 100 draws."""
    rng = np.random.default_rng(2)
    truth, trials, covered = -np.log(0.1), 120, np.zeros(2)
    for _ in range(trials):
        x = np.repeat(rng.exponential(size=100), 8)
        for i, names in enumerate((np.arange(800), np.arange(800) // 8)):
            low, high = RedrawnHistogram.empty().of_only(x, hash_ids(names)).limits(0.9, level=0.9)
            covered[i] += low / 1.01 <= truth <= high * 1.01
    assert covered[0] / trials < 0.7
    assert covered[1] / trials > 0.8
