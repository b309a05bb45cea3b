"""Cluster totals against means without one cluster after the other."""

import numpy as np
import pytest

from pandq.sums.clusters import ClusterTotals
from pandq.sums.moments import Moments
from tests.estimate.leaving import of_clusters


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    clusters = rng.integers(20, size=300).astype(np.uint64)
    x = rng.normal(size=(300, 2)) + rng.normal(size=20)[clusters.astype(int)][:, None]
    return clusters, x, rng.gamma(2.0, size=300)


def all_rows(n):
    return np.zeros(n, np.uint64)


def by_hand(clusters, x, w):
    """The covariance of a weighted mean, leaving out one cluster after the other."""
    mean, names = np.average(x, axis=0, weights=w), np.unique(clusters)
    spread = np.zeros((x.shape[1], x.shape[1]))
    for name in names:
        kept = clusters != name
        moved = np.average(x[kept], axis=0, weights=w[kept]) - mean
        spread += np.outer(moved, moved)
    return spread * (len(names) - 1) / len(names)


def test_covariance_of_means_is_that_of_leaving_out_one_cluster_after_the_other(rows):
    clusters, x, w = rows
    got = ClusterTotals.empty(2).of_only(all_rows(300), clusters, x, w).mean_covariance()
    assert got == pytest.approx(by_hand(clusters, x, w), rel=1e-10)


def test_rows_without_weights_count_once(rows):
    clusters, x, _ = rows
    got = ClusterTotals.empty(2).of_only(all_rows(300), clusters, x).mean_covariance()
    assert got == pytest.approx(by_hand(clusters, x, np.ones(300)), rel=1e-10)


def test_clusters_of_one_row_give_the_covariance_of_independent_rows(rows):
    _, x, _ = rows
    alone = np.arange(300, dtype=np.uint64)
    totals = ClusterTotals.empty(2).of_only(all_rows(300), alone, x)
    found = Moments.empty(2).of_only(x)
    assert totals.mean_covariance() == pytest.approx(found.mean_covariance(), rel=1e-10)
    assert totals.effective() == pytest.approx(found.effective, rel=1e-12)
    for i in range(2):
        variance, skewness = totals.combined(np.eye(2)[i])
        assert variance == pytest.approx(found.mean_variance(i), rel=1e-10)
        assert skewness == pytest.approx(found.mean_skewness(i), rel=1e-9)


def test_a_combination_has_the_variance_and_skewness_of_its_rows(rows):
    clusters, x, w = rows
    slope = np.array([1.0, -0.4])
    found = ClusterTotals.empty(2).of_only(all_rows(300), clusters, x, w)
    variance, effective, skewness = of_clusters(x @ slope, w, clusters)
    assert found.combined(slope) == pytest.approx((variance, skewness), rel=1e-9)
    assert found.effective() == pytest.approx(effective, rel=1e-12)


def test_every_row_twice_in_its_cluster_changes_nothing(rows):
    clusters, x, w = rows
    twice = [np.repeat(a, 2, axis=0) for a in (all_rows(300), clusters, x, w)]
    once = ClusterTotals.empty(2).of_only(all_rows(300), clusters, x, w).mean_covariance()
    assert ClusterTotals.empty(2).of_only(*twice).mean_covariance() == pytest.approx(
        once, rel=1e-10
    )


def test_groups_are_kept_apart(rows):
    clusters, x, w = rows
    group = (np.arange(300) % 2).astype(np.uint64)
    totals = ClusterTotals.empty(2).of_only(group, clusters, x, w)
    want = by_hand(clusters[1::2], x[1::2], w[1::2])
    assert totals.mean_covariance(group=1) == pytest.approx(want, rel=1e-10)


def test_clusters_are_counted_in_each_group():
    group = np.array([0, 0, 1], np.uint64)
    cluster = np.array([5, 6, 5], np.uint64)
    totals = ClusterTotals.empty(1).of_only(group, cluster, np.ones((3, 1)))
    assert (totals.n_clusters(0), totals.n_clusters(1), totals.n_clusters(2)) == (2, 1, 0)


def test_cluster_in_two_chunks_is_one_cluster(rows):
    clusters, x, w = rows
    halves = [
        ClusterTotals.empty(2).of_only(all_rows(150), clusters[part], x[part], w[part])
        for part in (slice(0, 150), slice(150, 300))
    ]
    whole = ClusterTotals.empty(2).of_only(all_rows(300), clusters, x, w)
    merged = halves[0].merge(halves[1])
    assert merged.totals == pytest.approx(whole.totals, rel=1e-10)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_clusters_have_no_covariance(n):
    totals = ClusterTotals.empty(2).of_only(all_rows(n), all_rows(n), np.ones((n, 2)))
    assert np.isnan(totals.mean_covariance()).all()
