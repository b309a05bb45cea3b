"""The reliability table: sums per bin, and intervals that hold."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from pandq.errors import InputError
from pandq.sums.reliability import Reliability, mean_deviation

GENERATOR = np.random.default_rng(14)
CONFIDENCE = GENERATOR.uniform(0.25, 1.0, 500)
HIT = (GENERATOR.random(500) < CONFIDENCE**1.3).astype(float)


def test_chunks_give_the_table_of_the_whole():
    whole = Reliability.empty().of_only(CONFIDENCE, HIT)
    parts = (
        Reliability.empty()
        .of_only(CONFIDENCE[:123], HIT[:123])
        .merge(Reliability.empty().of_only(CONFIDENCE[123:], HIT[123:]))
    )
    np.testing.assert_allclose(whole.confidence, parts.confidence, rtol=1e-12)
    np.testing.assert_array_equal(whole.count, parts.count)
    assert whole.count.sum() == 500


def test_labels_get_clopper_and_pearsons_interval():
    table = Reliability.empty().of_only(CONFIDENCE, HIT)
    low, high = table.interval()
    for b in np.flatnonzero(table.count):
        exact = binomtest(int(table.hit[b]), int(table.count[b])).proportion_ci()
        assert (low[b], high[b]) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert np.isnan(low[table.count == 0]).all()


def test_votes_get_an_interval_that_is_no_shorter():
    table = Reliability.empty().of_only(CONFIDENCE, HIT)
    used = table.count > 0
    low, high = table.interval()
    wide_low, wide_high = table.interval(method="hoeffding")
    assert (wide_low <= low)[used].all()
    assert (wide_high >= high)[used].all()


def test_clopper_pearson_is_refused_for_votes():
    with pytest.raises(InputError):
        Reliability.empty().of_only(CONFIDENCE, HIT * 0.5).interval(method="clopper-pearson")


@pytest.mark.parametrize(
    ("n", "p"), [(1, 0.9), (5, 0.2), (17, 0.99), (200, 0.731), (9, 1.0), (9, 0.0)]
)
def test_the_mean_deviation_of_a_binomial_is_its_sum(n, p):
    hits = np.arange(n + 1)
    sum_of_all = (binom.pmf(hits, n, p) * np.abs(hits - n * p)).sum()
    found = mean_deviation(np.array([float(n), 0.0]), np.array([n * p, 0.0]))
    assert found == pytest.approx([sum_of_all, 0.0], abs=1e-12)


@pytest.mark.parametrize(("n", "least"), [(60, 1 / 3), (300, 1 / 3), (500, 0.995)])
def test_what_a_calibrated_model_shows_is_foretold_in_few_rows_too(n, least):
    rng = np.random.default_rng(n)
    shown, foretold = [], []
    for _ in range(300):
        q = least + (1 - least) * rng.random(n)
        table = Reliability.empty().of_only(q, (rng.random(n) < q).astype(float))
        shown.append(table.ece)
        foretold.append(table.ece_of_noise)
    assert np.mean(foretold) == pytest.approx(np.mean(shown), rel=0.06)


def test_of_hits_alone_the_confidences_have_a_spread():
    q = np.full(500, 0.99)
    assert Reliability.empty().of_only(q, np.ones(500)).ece_of_noise > 0.003


def test_ece_is_the_weighted_gap_between_confidence_and_accuracy():
    table = Reliability.empty(2).of_only(np.array([0.9, 0.9, 0.8]), np.array([1.0, 0.0, 1.0]))
    assert table.ece == pytest.approx(abs(2.6 - 2.0) / 3)
