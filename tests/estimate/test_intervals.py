"""Intervals of means, shares and what never varied, against exact distributions and plain loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import pandq
from pandq.core.hashing import hash_ids
from pandq.estimate.averages.intervals import (
    Sampling,
    mean_estimate,
    one_sided_level,
)
from pandq.estimate.averages.leaning import log_normal_skewness, stretch
from pandq.estimate.averages.lossmeans import GroupLossMeans
from pandq.estimate.averages.means import GroupMeans, Means
from tests.estimate.leaving import interval


def ends(estimate):
    return estimate.value, estimate.low, estimate.high


def uneven(rng, n=240, clusters=9):
    cluster = rng.choice(clusters, size=n, p=rng.dirichlet(np.full(clusters, 2.0)))
    return rng.gamma(0.6, size=n) * (1 + cluster), rng.lognormal(size=n), cluster


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_an_interval_is_that_of_leaving_out_one_unit_after_the_other(seed, weighted, clustered):
    x, w, cluster = uneven(np.random.default_rng(seed))
    w, cluster = w if weighted else None, cluster if clustered else None
    keys = None if cluster is None else hash_ids(cluster)
    blank, found = Means.empty(("x",)), Means.empty(("x",))
    for rows in np.array_split(np.arange(len(x)), 4):
        some = (None if one is None else one[rows] for one in (w, keys))
        weights, clusters = some
        found = found.merge(blank.of_only(x[rows, None], weights, clusters=clusters))
    got = ends(found.estimate("x", level=0.9))
    assert got == pytest.approx(interval(x, w, cluster, level=0.9), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_what_is_never_negative_leans_to_the_right_where_units_are_few(weighted, clustered):
    x, w, cluster = uneven(np.random.default_rng(5), n=30)
    x = x.max() - x + 0.1  # leans to the left
    w, cluster = w if weighted else None, cluster if clustered else None
    keys = None if cluster is None else hash_ids(cluster)
    means = Means.empty(("kl",)).of_only(x[:, None], w, clusters=keys)
    want = interval(x, w, cluster, positive=True)
    assert ends(means.estimate("kl", level=0.95)) == pytest.approx(want, rel=1e-9)
    lean = interval(x, w, cluster)
    assert want[2] >= lean[2]
    assert want[1] >= lean[1]
    assert want != lean


def test_groups_of_clusters_have_the_intervals_of_their_own_rows():
    x, w, cluster = uneven(np.random.default_rng(4), n=400)
    code = np.arange(400) % 2
    groups = GroupMeans.empty(("x",)).of_only(
        code, ("a", "b"), x[:, None], w, clusters=hash_ids(cluster)
    )
    for name, means in groups.groups():
        mine = code == "ab".index(name)
        want = interval(x[mine], w[mine], cluster[mine])
        assert ends(means.estimate("x", level=0.95)) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_all_groups_at_once_have_the_intervals_of_one_after_the_other(weighted, clustered):
    rng = np.random.default_rng(3)
    n, losses, others = 900, ("cross_entropy", "kl"), ("entropy", "accuracy", "brier")
    codes = np.minimum(rng.geometric(0.1, size=n), 60)
    loss = rng.exponential(size=(n, 2)) + codes[:, None]
    entropy, right = np.where(codes % 3, 0.0, rng.random(n)), rng.random(n) < codes / 20
    # one group of infinite losses alone, some where a few are, one without an error
    loss[(codes == 7) | (rng.random(n) < 0.02)] = np.inf
    scores = np.stack(
        [entropy, np.where(codes == 4, 1.0, right), np.where(codes == 5, 0.5, rng.random(n))]
    )
    w = rng.random(n) if weighted else None
    clusters = hash_ids(rng.integers(n // 4, size=n)) if clustered else None
    blank = GroupLossMeans.empty(losses, others, numbered=True)
    groups = blank.of_only(codes, range(70), loss, scores.T, w, clusters=clusters)
    found = groups.ends((*losses, *others), level=0.9)
    for g, (_, means) in enumerate(groups.groups()):
        assert groups.n_infinite[g] == means.n_infinite
        for name, of in found.items():
            one = means.estimate(name, level=0.9)
            got = np.array([x[g] for x in of])
            assert np.array_equal(got, [one.value, one.low, one.high], equal_nan=True), (g, name)


def test_the_far_end_is_moved_by_what_edgeworth_has_for_a_small_skewness():
    for z in (1.3, 2.0):
        assert stretch(1e-6, z) == pytest.approx(1e-6 * (2 * z**2 + 1) / 6, rel=1e-5)
    assert stretch(-0.3, 2.0) == 0.0


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 40), (3, 40), (40, 40), (499, 500)])
def test_a_share_of_rows_has_clopper_and_pearsons_interval(hits, n):
    x = (np.arange(n) < hits).astype(float)[:, None]
    found = Means.empty(("accuracy",)).of_only(x).estimate("accuracy", level=0.95)
    want = stats.binomtest(hits, n).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((want.low, want.high), abs=1e-12)
    assert "Clopper-Pearson" in found.method


def test_accuracy_of_1_says_what_its_reliability_table_says():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=500)
    q = np.where(np.arange(2) == y[:, None], 0.99, 0.01)
    found = pandq.audit(pandq.Labels(y), pandq.Probs(q))
    (line,) = found.decomposition.reliability
    assert found.accuracy.low == pytest.approx(line["low"], rel=1e-9)
    assert (found.accuracy.value, found.accuracy.high) == (1.0, 1.0)
    assert 0.99 < found.accuracy.low < 0.995


def test_a_share_of_clusters_that_agree_is_known_as_by_so_many_rows():
    hit, cluster = np.repeat(np.arange(20) < 14, 30).astype(float), np.repeat(np.arange(20), 30)
    found = Means.empty(("accuracy",)).of_only(hit[:, None], clusters=hash_ids(cluster))
    low, high = found.sampling("accuracy").share_limits(0.95)
    # Korn and Graubard 1998: as many rows as have this variance, by their degrees of freedom
    share, variance = 0.7, 0.7 * 0.3 / 19
    n = share * (1 - share) / variance * 600 / 599
    n *= (stats.t.ppf(0.975, 599) / stats.t.ppf(0.975, 19)) ** 2
    n *= 599 / 600
    want = stats.beta.ppf(0.025, n * share, n * (1 - share) + 1)
    assert low == pytest.approx(want, abs=2e-3)
    assert high == pytest.approx(stats.beta.ppf(0.975, n * share + 1, n * (1 - share)), abs=2e-3)
    sure = Means.empty(("accuracy",)).of_only(np.ones((600, 1)), clusters=hash_ids(cluster))
    assert sure.estimate("accuracy", level=0.95).low == pytest.approx(0.025 ** (1 / 20), rel=1e-9)


def test_a_loss_that_never_varied_has_an_interval_that_holds_two_classes_in_95_percent():
    """Q is constant and only one class was seen: the other's loss is known for two classes."""
    q, n = 0.8, 50
    found = Means.empty(("cross_entropy",)).of_only(np.full((n, 1), -math.log(q)))
    high = found.estimate("cross_entropy", level=0.95).high
    # the largest share of the other class of which none is seen in 2.5 % of sets
    share = 1 - 0.025 ** (1 / n)
    assert high == pytest.approx((share - 1) * math.log(q) - share * math.log(1 - q), rel=1e-9)


@pytest.mark.parametrize("name", ["kl", "gain", "brier", "cross_entropy difference"])
def test_what_never_varied_has_an_interval_of_some_width_unless_it_is_0(name):
    for value, wide in ((0.3, True), (0.0, False)):
        found = Means.empty((name,)).of_only(np.full((30, 1), value)).estimate(name, level=0.95)
        assert (found.high > found.value > found.low) == wide
        assert found.value == pytest.approx(value, rel=1e-12)


def test_an_interval_does_not_reach_beyond_what_can_be():
    found = mean_estimate(Sampling(0.01, 1.0, 5.0, 5), name="kl")
    assert found.low == 0.0
    assert found.high > 2


def test_one_heavy_row_leaves_little_to_say():
    x, w = np.arange(50.0)[:, None], np.r_[1000.0, np.ones(49)]
    found = Means.empty(("x",)).of_only(x, w).estimate("x", level=0.95)
    assert found.effective == pytest.approx(1.1, abs=0.05)
    assert found.half_width > 5 * found.standard_error


def _gaps():
    """Bounds a gap apart, in standard errors of either, and how their errors go together."""
    return [(gap, rho) for gap in (0.0, 0.5, 1.5, 4.0, 30.0) for rho in (0.0, 0.8, 1.0)]


@pytest.mark.parametrize(("gap", "rho"), _gaps())
def test_what_lies_between_two_means_is_held_wherever_it_lies(gap, rho):
    """Normal errors, 3,000 draws; the truth at either end and in the middle."""
    rng = np.random.default_rng(int(10 * gap + rho))
    one = rng.normal(size=3000)
    other = rho * one + np.sqrt(1 - rho**2) * rng.normal(size=3000) + gap
    apart = math.sqrt(2 * (1 - rho))
    held = np.zeros((3000, 3), dtype=bool)
    for i, (low, high) in enumerate(zip(one, other, strict=True)):
        bounds = Sampling(low, 1.0, 1e6, 10**6), Sampling(high, 1.0, 1e6, 10**6)
        t = stats.norm.ppf(one_sided_level(*bounds, gap_error=apart))
        held[i] = [low - t <= x <= high + t for x in (0.0, gap / 2, gap)]
    covered = held.mean(axis=0)
    # of independent bounds that meet the estimates cross, and cover as often as two may miss
    assert covered.min() > (0.935 if rho else 0.92)
    if rho == 1.0:
        assert covered[[0, 2]] == pytest.approx(0.95, abs=0.012)


def of_two_points(k, n):
    """The mean of k ones among n zeros and ones, as of any loss that has no top."""
    share = k / n
    spread = share * (1 - share)
    skewness = (1 - 2 * share) / math.sqrt(spread * n)
    return Sampling(share, spread / (n - 1), n, n, skewness)


def of_log_normal(tilt, spread):
    """The skewness of a log-normal law under log-normal weights that go with it, exactly.

    Both have moments E w^j x^k = exp(quadratic form / 2); the weights' own part is left out.
    """
    weight_var, covariance = 1.0, math.log(tilt)
    variance = math.log((spread**2 - (tilt - 1) ** 2) / tilt**2 + 1)

    def moment(j, k):
        return math.exp((j * j * weight_var + 2 * j * k * covariance + k * k * variance) / 2)

    m = moment(1, 1) / moment(1, 0)
    central = (
        sum(math.comb(j, i) * (-m) ** (j - i) * moment(j, i) for i in range(j + 1)) for j in (2, 3)
    )
    second, third = (c / moment(j, 0) / m**j for c, j in zip(central, (2, 3), strict=True))
    assert second == pytest.approx(spread**2)
    return third / second**1.5


@pytest.mark.parametrize("tilt", [1.0, 1.001, 1.02])
def test_weights_that_go_with_the_loss_lean_as_a_log_normal_law_of_both(tilt):
    for spread in (0.04, 0.1):
        mine = float(log_normal_skewness(spread, tilt))
        assert mine == pytest.approx(of_log_normal(tilt, spread), rel=spread**2)


@given(st.floats(0.5, 4.0), st.floats(0.01, 20.0))
def test_no_law_leans_less_than_with_weights_that_say_nothing(tilt, spread):
    mine = float(log_normal_skewness(spread, tilt))
    assert mine >= 3 * spread
    if spread > 1.01 * (tilt - 1) >= 0.0:
        # and none is made to lean more than the law of both does
        assert mine <= of_log_normal(tilt, spread) * (1 + 1e-9)


def test_a_mean_by_squared_weights_is_told_of_rows_and_of_clusters():
    rng = np.random.default_rng(5)
    x, w = rng.gamma(1.0, size=(40, 1)), rng.gamma(1.0, size=40)
    want = (w**2 @ x)[0] / (w**2).sum()
    keys = hash_ids(np.repeat(np.arange(10), 4))
    rows = Means.empty(("kl",)).of_only(x, w)
    assert rows.sampling("kl").heavy == pytest.approx(want)
    assert Means.empty(("kl",)).of_only(x).sampling("kl").heavy is None
    total, sums = (v.reshape(10, 4).sum(axis=1) for v in (w, w * x[:, 0]))
    clustered = Means.empty(("kl",)).of_only(x, w, clusters=keys).sampling("kl")
    assert clustered.heavy == pytest.approx(total @ sums / (total @ total))
    # what goes with the weights leans further than the same spread that does not
    assert clustered.likely_skewness(0.0) >= replace(clustered, heavy=None).likely_skewness(0.0)


def test_likely_skewness_widens_no_interval_of_500_rows_by_more_than_1_percent():
    # for their coefficient of variation two points are the least skewed law above zero
    for n in (500, 2000):
        for k in range(1, n):
            found = of_two_points(k, n)
            (low, high), (least, most) = found.limits(0.95), found.limits(0.95, least=0.0)
            assert (most - least) / (high - low) < 1.01


@pytest.mark.parametrize("n", [60, 200, 500])
@pytest.mark.parametrize("zeros", [0.3, 0.1, 0.02])
def test_a_lower_end_that_is_drawn_in_where_few_rows_are_small_still_covers(n, zeros):
    chance = stats.binom(n, 1 - zeros)
    held = seen = 0.0
    for k in range(1, n):
        low, high = of_two_points(k, n).limits(0.95, least=0.0)
        held += chance.pmf(k) * (low <= 1 - zeros <= high)
        seen += chance.pmf(k)
    assert held / seen > 0.94


def test_the_level_at_each_end_is_imbens_and_manskis_equation_7():
    for gap in (0.3, 1.0, 2.5):
        low, high = Sampling(0.0, 1.0, 1e9, 10**9), Sampling(gap, 0.5, 1e9, 10**9)
        c = stats.norm.ppf(one_sided_level(low, high, gap_error=0.0))
        assert stats.norm.cdf(c + gap) - stats.norm.cdf(-c) == pytest.approx(0.95, abs=1e-6)


def test_labels_that_q_all_got_right_bound_the_floor_by_the_errors_that_may_have_been_missed():
    """One row in 500 is wrong: a third of the sets of 500 rows shows none."""
    truth = stats.entropy([0.002, 0.998])
    q = np.tile([0.998, 0.002], (500, 1))
    found = pandq.audit(pandq.Labels(np.zeros(500, int), 2), pandq.Probs(q)).decomposition.floor
    assert found.low == 0.0
    assert found.high > truth
    error = 1 - 0.05 ** (1 / 500)
    assert found.high == pytest.approx(stats.entropy([error, 1 - error]), rel=1e-9)
