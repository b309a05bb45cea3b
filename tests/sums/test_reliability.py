"""The reliability table: sums per bin, and intervals that hold."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pandq.errors import InputError
from pandq.sums.reliability import Reliability

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


def test_ece_is_the_weighted_gap_between_confidence_and_accuracy():
    table = Reliability.empty(2).of_only(np.array([0.9, 0.9, 0.8]), np.array([1.0, 0.0, 1.0]))
    assert table.ece == pytest.approx(abs(2.6 - 2.0) / 3)
