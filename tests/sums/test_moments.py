"""Means, variances and covariances against numpy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pandq.sums.groups import GroupMoments
from pandq.sums.moments import Moments, Scatter
from tests.estimate.leaving import of_rows


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 1e-4, 1e4] + [5.0, 0.0, -1e4]


@pytest.fixture
def w():
    return np.random.default_rng(1).gamma(1.0, size=200)


def sandwich(x, w):
    """sum w^2 (x - mean)(x - mean)' / (sum w)^2 as the books have it, without each row's own h."""
    centred = (x - np.average(x, axis=0, weights=w)) * w[:, None]
    left = 1 - np.square(centred).T @ w / np.square(centred).sum(axis=0) / w.sum()
    return centred.T @ centred / w.sum() ** 2 * (len(x) - 1) / len(x) / np.outer(left, left)


def test_mean_is_numpys(x):
    assert Moments.empty(3).of_only(x).mean == pytest.approx(x.mean(axis=0), rel=1e-12)


def test_weighted_mean_is_numpys(x, w):
    want = np.average(x, axis=0, weights=w)
    assert Moments.empty(3).of_only(x, w).mean == pytest.approx(want, rel=1e-12)


def test_covariance_is_numpys(x):
    want = np.cov(x.T, bias=True)
    assert Moments.empty(3).of_only(x).covariance() == pytest.approx(want, rel=1e-10)


def test_weighted_covariance_is_numpys(x, w):
    want = np.cov(x.T, aweights=w, bias=True)
    assert Moments.empty(3).of_only(x, w).covariance() == pytest.approx(want, rel=1e-10)


def test_covariance_of_means_is_the_sample_covariance_over_n(x):
    want = np.cov(x.T) / len(x)
    assert Moments.empty(3).of_only(x).mean_covariance() == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_variance_of_one_mean_is_that_of_all_to_the_last_bit(x, w, weighted):
    found = Moments.empty(3).of_only(x, w if weighted else None)
    found = found.merge(found.of_only(x[:7] + 1.0, w[:7] if weighted else None))
    whole = found.mean_covariance()
    assert [found.mean_variance(i) for i in range(3)] == list(np.diag(whole))
    assert np.isnan(Moments.empty(3).mean_variance(0))


def test_weighted_covariance_of_means_is_the_sandwich(x, w):
    got = Moments.empty(3).of_only(x, w).mean_covariance()
    assert got == pytest.approx(sandwich(x, w), rel=1e-10)


def test_equal_weights_change_no_interval(x):
    plain = Moments.empty(3).of_only(x).mean_covariance()
    weighted = Moments.empty(3).of_only(x, np.full(len(x), 7.0)).mean_covariance()
    assert weighted == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_skewness_and_variance_of_means_are_those_of_all_rows_at_once(x, w, weighted):
    w = w if weighted else np.ones(len(x))
    x = np.square(x - x.mean(axis=0))
    found = Moments.empty(3)
    for some in np.array_split(np.arange(200), [3, 40, 150]):
        found = found.merge(found.of_only(x[some], w[some] if weighted else None))
    for i in range(3):
        variance, effective, skewness = of_rows(x[:, i], w)
        assert found.mean_variance(i) == pytest.approx(variance, rel=1e-9)
        assert found.mean_skewness(i) == pytest.approx(skewness, rel=1e-9)
        assert found.effective == pytest.approx(effective, rel=1e-12)


def test_skewness_is_scipys_over_the_root_of_n(x):
    x = np.exp(x[:, 0])
    found = Moments.empty(1).of_only(x[:, None])
    assert found.mean_skewness(0) == pytest.approx(stats.skew(x) / np.sqrt(200), rel=1e-10)


def test_rows_in_blocks_are_summed_like_rows_at_once():
    x = np.random.default_rng(3).gamma(0.5, size=(10_000, 2))
    found = Moments.empty(2).of_only(x)
    assert found.covariance() == pytest.approx(np.cov(x.T, bias=True), rel=1e-12)
    assert found.mean_skewness(1) == pytest.approx(stats.skew(x[:, 1]) / 100, rel=1e-10)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_only_values_of_0_and_1_are_said_to_be_that(share, w):
    hits = (np.arange(200) < 200 * share).astype(float)
    assert Moments.empty(1).of_only(hits[:, None], w).zero_one(0)
    hits[7] = 0.5
    assert not Moments.empty(1).of_only(hits[:, None], w).zero_one(0)


def test_losses_whose_cubes_overflow_have_no_skewness_and_no_warning():
    x = np.r_[np.ones(9), 1e120][:, None]
    found = Moments.empty(1).of_only(x).merge(Moments.empty(1).of_only(x))
    assert found.mean_skewness(0) == 0.0
    assert found.mean_variance(0) > 0


def test_weighted_and_unweighted_chunks_merge(x, w):
    got = Moments.empty(3).of_only(x[:50]).merge(Moments.empty(3).of_only(x[50:], w[50:]))
    want = sandwich(x, np.r_[np.ones(50), w[50:]])
    assert got.mean_covariance() == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("n", [0, 1])
def test_covariance_of_means_is_nan_below_two_rows(n):
    assert np.isnan(Moments.empty(2).of_only(np.ones((n, 2))).mean_covariance()).all()


def test_weight_and_number_of_rows_are_kept(x, w):
    moments = Moments.empty(3).of_only(x[:9], w[:9])
    assert (moments.n, moments.weight) == (9, pytest.approx(w[:9].sum()))


def test_large_offset_costs_no_digits():
    x = np.array([[1e9 + 1], [1e9 + 2], [1e9 + 3], [1e9 + 4]])
    chunks = [Moments.empty(1).of_only(row[None]) for row in x]
    merged = chunks[0].merge(chunks[1]).merge(chunks[2].merge(chunks[3]))
    assert merged.covariance()[0, 0] == pytest.approx(1.25, rel=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), st.floats(-1e6, 1e6))
def test_scatter_about_a_centre_is_the_sum_of_squares_about_it(x, centre):
    got = Scatter.empty(1).of_only(np.array(x)[:, None]).about(np.array([centre]))
    assert got[0, 0] == pytest.approx(sum((v - centre) ** 2 for v in x), rel=1e-9, abs=1e-9)


def test_rows_of_weight_zero_leave_the_mean_alone():
    scatter = Scatter.empty(1).of_only(np.array([[1.0], [99.0]]), np.array([2.0, 0.0]))
    assert (scatter.mean.tolist(), scatter.m2.tolist()) == ([1.0], [[0.0]])


# --------------------------------------------------------------------------------------- groups


@pytest.fixture
def codes():
    return np.random.default_rng(2).integers(4, size=200)


NAMES = ("a", "b", "c", "d")


def test_group_means_are_numpys(x, w, codes):
    groups = GroupMoments.empty(3).of_only(codes, NAMES, x, w)
    want = [np.average(x[codes == g], axis=0, weights=w[codes == g]) for g in range(4)]
    assert groups.mean == pytest.approx(np.array(want), rel=1e-12)


def test_group_covariance_of_means_has_the_variances_of_its_rows(x, w, codes):
    groups = GroupMoments.empty(3).of_only(codes, NAMES, x, w)
    for g in range(4):
        mine, weight = groups.group(g), w[codes == g]
        e2 = np.square((x[codes == g] - mine.mean) * weight[:, None]).sum(axis=0)
        n, effective = len(weight), weight.sum() ** 2 / (weight @ weight)
        want = e2 / weight.sum() ** 2 * (n - 1) / n / (1 - 1 / effective) ** 2
        got = [mine.mean_variance(i) for i in range(3)]
        assert got == pytest.approx(want, rel=1e-10)
        assert np.diag(mine.mean_covariance()) == pytest.approx(want, rel=1e-10)


def test_group_counts_rows_and_weight(x, w, codes):
    groups = GroupMoments.empty(3).of_only(codes, NAMES, x, w)
    assert groups.n.tolist() == np.bincount(codes).tolist()
    assert groups.weight == pytest.approx(np.bincount(codes, weights=w))


def test_groups_without_rows_are_left_out(x):
    groups = GroupMoments.empty(3).of_only(np.full(200, 2), NAMES, x)
    assert groups.names == ("c",)


def by_name(groups):
    return dict(zip(groups.names, groups.mean[:, 0].tolist(), strict=True))


def one_each(names, values):
    x = np.array(values, dtype=float)[:, None]
    return GroupMoments.empty(1).of_only(np.arange(len(names)), tuple(names), x)


def test_disjoint_groups_stay_apart():
    merged = one_each("ab", [1, 2]).merge(one_each("cd", [3, 4]))
    assert by_name(merged) == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_overlapping_groups_are_joined_by_name():
    merged = one_each("ab", [1, 2]).merge(one_each("cb", [3, 4]))
    assert by_name(merged) == {"a": 1, "b": 3, "c": 3}


def test_same_name_under_another_code_is_the_same_group(x, codes):
    turned = GroupMoments.empty(3).of_only(3 - codes[100:], NAMES[::-1], x[100:])
    merged = GroupMoments.empty(3).of_only(codes[:100], NAMES, x[:100]).merge(turned)
    whole = GroupMoments.empty(3).of_only(codes, NAMES, x)
    assert by_name(merged) == pytest.approx(by_name(whole))


def test_groups_come_in_the_order_of_appearance():
    merged = one_each("db", [1, 2]).merge(one_each("ab", [3, 4]))
    assert merged.names == ("d", "b", "a")


def test_groups_that_have_numbers_are_those_that_have_names(x, w, codes):
    numbered, named = (GroupMoments.empty(3, numbered=x) for x in (True, False))
    names = tuple(map(str, range(90_000)))
    codes = 20_000 * codes
    rows = [slice(0, 7), slice(7, 90), slice(90, 200)]
    for some in rows:
        given = codes[some], x[some], w[some]
        numbered = numbered.merge(numbered.of_only(given[0], range(90_000), *given[1:]))
        named = named.merge(named.of_only(given[0], names, *given[1:]))
    assert list(map(str, numbered.names)) == list(named.names)
    for name in ("n", "weight", "mean", "weight2", "mean2", "m2"):
        assert np.array_equal(getattr(numbered, name), getattr(named, name))


@pytest.mark.parametrize(("row", "size"), [(-1, 4), (4, 4), (-1, 65), (65, 65)])
def test_a_row_of_no_group_is_an_error(row, size):
    with pytest.raises((IndexError, ValueError), match=r"none of|negative"):
        GroupMoments.empty(1).of_only(np.array([0, row]), range(size), np.zeros((2, 1)))


def test_groups_that_were_seen_before_and_do_not_come_again_keep_their_bits():
    before = one_each("abc", [0.1, 1e200, -0.3])
    after = before.merge(one_each("d", [2.0]))
    assert after.mean[:3].tolist() == before.mean.tolist()
    assert after.m2[:3].tolist() == before.m2.tolist()


def test_group_of_one_row_has_no_variance():
    assert np.isnan(one_each("a", [1]).group(0).mean_covariance()).all()
