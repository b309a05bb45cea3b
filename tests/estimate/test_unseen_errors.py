"""Where Q was right in every row, intervals allow for rows in which it is not."""

import math

import numpy as np
import pyarrow as pa
import pytest

import pandq
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans

LOSS, RIGHT = "cross_entropy", "expected_accuracy"


def sure_rows(n, seed=0, least=1.5):
    """Labels that are all 0, and a Q that is more or less sure of it."""
    sure = 1 - 10 ** np.random.default_rng(seed).uniform(-3.5, -least, n)
    return pandq.Labels(np.zeros(n, int), n_classes=2), np.stack([sure, 1 - sure], axis=1)


def test_the_upper_end_of_a_loss_has_as_many_errors_as_were_likely_not_to_be_seen():
    p, q = sure_rows(300)
    found = pandq.audit(p, pandq.Probs(q), decompose=False)
    loss = -np.log(q[:, 0]).mean()
    share = 1 - 0.025 ** (1 / 300)  # Clopper and Pearson of 0 in 300
    up = loss + share * (-math.log(1 - math.exp(-loss)) - loss)
    assert found.cross_entropy.high == pytest.approx(up, rel=1e-12)
    assert found.kl.high == found.cross_entropy.high
    brier = 2 * np.square(q[:, 1]).mean()
    assert found.brier.high == pytest.approx(brier + share * (2 - brier), rel=1e-12)
    assert "Q is wrong, as in no row" in found.cross_entropy.method


def test_one_error_that_was_seen_leaves_the_interval_to_the_rows():
    p, q = sure_rows(300)
    labels = p.array.copy()
    labels[0] = 1
    found = pandq.audit(pandq.Labels(labels, n_classes=2), pandq.Probs(q), decompose=False)
    assert "no row" not in found.cross_entropy.method


def test_sets_without_an_error_are_covered_that_rows_alone_would_miss():
    error, n, sets, covered, narrow, without = 0.002, 200, 200, 0, 0, 0
    at, weight = np.polynomial.legendre.leggauss(100)
    sure = 1 - 10 ** (-2.5 + at)
    truth = float((-(1 - error) * np.log(sure) - error * np.log1p(-sure)) @ weight) / 2
    for seed in range(sets):
        _, q = sure_rows(n, seed)
        labels = (np.random.default_rng([1, seed]).random(n) < error).astype(int)
        audit = pandq.audit(pandq.Labels(labels, n_classes=2), pandq.Probs(q), decompose=False)
        found = audit.cross_entropy
        covered += found.low <= truth <= found.high
        without += not labels.any()
        t = found.value + 2 * found.standard_error
        narrow += truth <= t and not labels.any()
    assert without > 0.5 * sets
    assert narrow == 0
    assert covered >= 0.95 * sets


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_have_the_ends_that_each_has_alone(weighted):
    rng = np.random.default_rng(3)
    codes, n = rng.integers(0, 4, 400), 400
    loss, right = rng.gamma(0.1, size=n) + 1e-3, (codes != 2) | (rng.random(n) < 0.9)
    brier = np.minimum(loss, 1.0)
    w = rng.gamma(2.0, size=n) if weighted else None
    others = np.stack([brier, right.astype(float)], axis=1)
    blank = GroupLossMeans.empty((LOSS,), ("brier", RIGHT), numbered=True)
    groups = blank.of_only(codes, range(4), loss[:, None], others, w)
    ends = groups.ends((LOSS, "brier"), level=0.95)
    for g, (name, means) in enumerate(groups.groups()):
        assert means.without_error == (name != "2")
        for quantity in (LOSS, "brier"):
            # the two kinds of interval differ in skewness, which groups do not keep
            alone, allowed = means.estimate(quantity, level=0.95), ends[quantity][2][g]
            if "no row" in alone.method:
                assert allowed == pytest.approx(alone.high, rel=1e-12)
            else:
                assert allowed == pytest.approx(alone.high, rel=0.2)


def test_a_gain_that_errors_would_undo_is_not_shown():
    n = 500
    q = np.tile([0.98, 0.02], (n, 1))
    q[:, 0] += np.linspace(-1e-4, 1e-4, n)
    q[:, 1] = 1 - q[:, 0]
    found = pandq.audit(pandq.Labels(np.zeros(n, int), n_classes=2), pandq.Probs(q)).decomposition
    assert found.calibration_loss.value > 0.015
    assert found.calibration_loss.low == 0.0
    error = 0.004
    best = -(1 - error) * math.log(1 - error) - error * math.log(error)
    assert found.refinement_loss.low < best < found.refinement_loss.high
    assert found.floor.high > best


def test_a_difference_of_two_that_are_never_wrong_allows_for_what_errors_cost_the_surer():
    p, q = sure_rows(400)
    surer = np.stack([np.sqrt(q[:, 0]), 1 - np.sqrt(q[:, 0])], axis=1)
    found = pandq.compare(p, pandq.Probs(q), pandq.Probs(surer), decompose=False)
    difference = found.differences[0].cross_entropy
    losses = [x.cross_entropy for x in found.models]
    by = [x.high - x.value for x in losses]
    assert difference.value < 0
    assert difference.high == pytest.approx(difference.value + by[1] - by[0], rel=1e-9)
    assert found.differences[0].p_value is None
    assert "Q is right in all 400 rows" in " ".join(str(found).split())


def test_a_loss_of_exactly_nothing_stays_nothing():
    q = np.tile([1.0, 0.0], (50, 1))
    found = pandq.audit(pandq.Labels(np.zeros(50, int), n_classes=2), pandq.Probs(q))
    assert (found.cross_entropy.value, found.cross_entropy.high) == (0.0, 0.0)


def test_the_report_says_how_many_may_be_wrong_where_none_is():
    p, q = sure_rows(500)
    told = " ".join(str(pandq.audit(p, pandq.Probs(q))).split())
    assert "Q is right in all 500 rows, and may be wrong in up to 0.735 % of those to come" in told


def test_no_row_is_no_row_without_an_error():
    assert not LossMeans.empty((LOSS,), (RIGHT,)).without_error


def test_means_with_a_judge_allow_for_errors_that_no_human_label_shows():
    n, human, sets = 1000, 80, 60
    covered, without = 0, 0
    for seed in range(sets):
        rng = np.random.default_rng([7, seed])
        sure = 1 - 10 ** rng.uniform(-2.5, -1.0, n)
        y = (rng.random(n) < 0.01).astype(int)
        judge = np.where(rng.random(n) < 0.97, y, 1 - y)
        labels = np.where(np.arange(n) < human, y, np.nan)
        loss = np.where(y == 0, -np.log(sure), -np.log(1 - sure))
        table = pa.table(
            {
                "human": pa.array(labels, from_pandas=True).cast(pa.int64()),
                "llm": judge,
                "q": list(np.stack([sure, 1 - sure], axis=1)),
            }
        )
        rows = pandq.scan(table, p="labels:human", q="probs:q", judge="labels:llm")
        found = pandq.audit(rows, decompose=False).judged.models[0]
        if not y[:human].any():
            without += 1
            for estimate in (found.human_alone[LOSS], found.with_judge[LOSS]):
                assert "no row that was seen" in estimate.method
                covered += estimate.low <= loss.mean() <= estimate.high
    assert without > sets / 4
    assert covered >= 0.95 * 2 * without
