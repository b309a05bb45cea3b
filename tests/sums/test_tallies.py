"""Quantiles within their stated accuracy; the worst rows, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandq import InputError
from pandq.sums.tallies import LogHistogram, WorstRows

ACCURACIES = (1e-4, 0.005, 0.1)


@pytest.fixture(scope="module")
def wide():
    """Values over 200 decades; a prime number of them, so that no share falls between two."""
    return 10.0 ** np.random.default_rng(0).uniform(-100, 100, size=4999)


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_quantile_is_within_the_stated_relative_error(wide, accuracy):
    shares = np.linspace(0, 1, 101)
    got = LogHistogram.empty(accuracy).of_only(wide).quantile(shares)
    want = np.quantile(wide, shares, method="inverted_cdf")
    assert got == pytest.approx(want, rel=accuracy * (1 + 1e-9))


@given(st.floats(1e-300, 1e300), st.sampled_from(ACCURACIES))
def test_single_value_is_within_the_stated_relative_error(value, accuracy):
    got = LogHistogram.empty(accuracy).of_only(np.array([value])).quantile([0.5])
    assert got == pytest.approx([value], rel=accuracy * (1 + 1e-9))


@pytest.mark.parametrize("value", [5e-324, np.finfo(float).tiny, np.finfo(float).max])
def test_ends_of_float64_stay_positive_and_finite(value):
    got = LogHistogram.empty().of_only(np.array([value])).quantile([0.5])[0]
    assert 0 < got < np.inf


def test_weights_are_repetitions(wide):
    times = np.random.default_rng(1).integers(1, 5, size=len(wide))
    shares = np.linspace(0, 1, 101)
    weighted = LogHistogram.empty().of_only(wide, times.astype(float)).quantile(shares)
    repeated = LogHistogram.empty().of_only(np.repeat(wide, times)).quantile(shares)
    assert weighted.tolist() == repeated.tolist()


@pytest.mark.parametrize("scale", [1e-6, 1 / 3, 1e6])
def test_scale_of_the_weights_does_not_matter(wide, scale):
    shares = np.linspace(0, 1, 101)
    scaled = LogHistogram.empty().of_only(wide, np.full(len(wide), scale)).quantile(shares)
    assert scaled.tolist() == LogHistogram.empty().of_only(wide).quantile(shares).tolist()


def test_zero_and_infinity_have_bins_of_their_own():
    rows = LogHistogram.empty().of_only(np.array([np.inf, 0.0, 1e-300, 1e300, 0.0]))
    value, weight = rows.bins()
    assert (value[0], value[-1]) == (0.0, np.inf)
    assert weight.tolist() == [2.0, 1.0, 1.0, 1.0]


def test_quantiles_of_half_zeros_and_half_infinities():
    rows = LogHistogram.empty().of_only(np.array([0.0, np.inf, 0.0, np.inf]))
    assert rows.quantile([0.0, 0.5, 0.51, 1.0]).tolist() == [0.0, 0.0, np.inf, np.inf]


def test_values_of_no_weight_are_no_quantile():
    rows = LogHistogram.empty(1e-4).of_only(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0]))
    assert rows.quantile([0.0, 0.5, 1.0]) == pytest.approx([2.0, 2.0, 2.0], rel=1e-4)


def test_quantile_of_nothing_is_nan():
    assert np.isnan(LogHistogram.empty().quantile([0.0, 0.5])).all()


def test_histogram_grows_with_the_range_not_with_the_rows():
    x = np.random.default_rng(2).uniform(1, 100, size=100_000)
    assert len(LogHistogram.empty(0.005).of_only(x).index) <= np.log(100) / 0.01 + 2


@pytest.mark.parametrize("accuracy", [0.0, 1e-7, 1.0, -1.0, float("nan")])
def test_accuracy_out_of_range_is_refused(accuracy):
    with pytest.raises(InputError, match="accuracy must lie between 1e-6 and 1"):
        LogHistogram.empty(accuracy)


# ----------------------------------------------------------------------------------- worst rows


def worst(value, k):
    value = np.asarray(value, dtype=float)
    row = np.arange(len(value))
    return WorstRows.empty(k, 1).of_only(value, row, value[:, None], [f"id{i}" for i in row])


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, np.inf]), max_size=30), st.integers(0, 9))
def test_worst_rows_are_the_largest_and_the_earliest_among_equals(value, k):
    want = sorted(range(len(value)), key=lambda i: (-value[i], i))[:k]
    assert worst(value, k).row.tolist() == want


def test_worst_rows_bring_their_ids_and_details():
    got = worst([1.0, 3.0, 2.0], 2)
    assert (got.ids, got.details.tolist()) == (("id1", "id2"), [[3.0], [2.0]])


def test_merged_worst_rows_bring_their_ids_and_details():
    row = np.array([7])
    later = WorstRows.empty(2, 1).of_only(np.array([9.0]), row, np.array([[9.0]]), ["late"])
    got = worst([1.0, 3.0, 2.0], 2).merge(later)
    assert (got.ids, got.row.tolist()) == (("late", "id1"), [7, 1])
