"""Human labels on some rows and a judge's on all: estimates against closed forms, by NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pandq import InputError, Labels, Probs
from pandq.estimate.averages.judged import judged_finding, judged_of
from pandq.estimate.averages.judgedsums import JudgedSums
from pandq.read.chunks import views_scan

K = 3


def drawn(n=120, others=900, seed=0, *, right=0.9):
    """Labels, a judge's labels, two Qs, and which rows a human has labelled."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), n + others)
    y = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    judge = np.where(rng.random(len(y)) < right, y, rng.integers(0, K, len(y)))
    qs = [(1 - x) * p + x / K for x in (0.2, 0.6)]
    human = np.isin(np.arange(len(y)), rng.choice(len(y), n, replace=False))
    return y, judge, qs, human


def sums_of(y, judge, qs, human, *, cluster=None, weights=None, pieces=1):
    """The Summary of rows, of each side in so many chunks."""
    blank = total = JudgedSums.empty(len(qs))
    for side, labels in ((human, y), (~human, judge)):
        for some in np.array_split(np.flatnonzero(side), pieces):
            more = {"cluster": cluster, "weights": weights}
            more = {name: None if x is None else x[some] for name, x in more.items()}
            views = [Probs(q[some]) for q in qs]
            chunk = views_scan(Labels(labels[some]), views[0], rivals=views[1:], **more).whole()
            if labels is y:
                chunk = replace(chunk, judge=Labels(judge[some]))
            total = total.merge(blank.of_only(chunk))
    return total


def found_of(*rows, level=0.95, unit="nat", **more):
    names = ["a", "b"][: len(rows[2])]
    return judged_of(sums_of(*rows, **more), "labels:judge", names, unit=unit, level=level)


def losses(y, judge, q):
    i = np.arange(len(y))
    return -np.log(q[i, y]), -np.log(q[i, judge])


def test_the_estimate_is_the_closed_form_of_ppi_plus_plus():
    y, judge, qs, human = drawn()
    found = found_of(y, judge, qs, human)
    (own, theirs), (own_b, theirs_b) = (losses(y, judge, q) for q in qs)
    cases = {
        (0, "cross_entropy"): (own, theirs),
        (1, "cross_entropy"): (own_b, theirs_b),
        (2, "cross_entropy difference"): (own_b - own, theirs_b - theirs),
    }
    for (place, name), (every, other) in cases.items():
        loss, on, off = every[human], other[human], other[~human]
        n, m = len(on), len(off)
        weight = np.cov(loss, on)[0, 1] / n / (np.var(on, ddof=1) / n + np.var(off, ddof=1) / m)
        model = found.models[place]
        assert model.weight[name] == pytest.approx(weight, rel=1e-9)
        value = loss.mean() - weight * (on.mean() - off.mean())
        assert model.with_judge[name].value == pytest.approx(value, rel=1e-9)
        assert model.human_alone[name].value == pytest.approx(loss.mean(), rel=1e-12)
        assert model.correlation[name] == pytest.approx(np.corrcoef(loss, on)[0, 1], rel=1e-9)
        least = np.var(loss - weight * on, ddof=1) / n + weight**2 * np.var(off, ddof=1) / m
        g, leverage = n, 1 + (on.mean() - off.mean()) ** 2 / ((n - 1) * np.var(on, ddof=1) / n)
        rest = np.var(loss - weight * on, ddof=1) / n
        unseen = np.var(loss, ddof=1) + weight**2 * np.var(off, ddof=1)
        more = rest * ((g - 1) / (g - 2) * leverage - 1) + 4 / n * unseen / n
        assert model.with_judge[name].standard_error ** 2 == pytest.approx(least + more, rel=1e-6)


@pytest.mark.parametrize("weight", [-0.5, 0.3, 1.0])
def test_the_third_moment_is_that_of_the_mixture(weight):
    y, judge, qs, human = drawn(40, 60)
    sums = sums_of(y, judge, qs, human)
    loss, other = losses(y, judge, qs[0])
    mixed = loss[human] - weight * other[human]
    right = sum(
        ((x - x.mean()) ** 3).sum() / len(x) ** 3 * (len(x) / (len(x) - 1)) ** 1.5
        for x in (mixed, weight * other[~human])
    )
    assert sums.third(0, weight) == pytest.approx(right, rel=0.1)


def test_clusters_of_one_row_are_rows():
    rows = drawn(60, 200)
    alone = found_of(*rows).models
    clustered = found_of(*rows, cluster=np.arange(260)).models
    for one, other in zip(alone, clustered, strict=True):
        for name, x in one.with_judge.items():
            y = other.with_judge[name]
            assert (y.value, y.low, y.high) == pytest.approx((x.value, x.low, x.high), rel=0.02)


def test_rows_of_a_cluster_that_are_copies_count_once():
    y, judge, qs, human = drawn(60, 200)
    twice = [np.repeat(x, 2, axis=0) for x in (y, judge, *qs, human)]
    more = {"cluster": np.repeat(np.arange(260), 2)}
    copied = found_of(*twice[:2], twice[2:4], twice[4], **more).models[0]
    once = found_of(y, judge, qs, human, cluster=np.arange(260)).models[0]
    for name, x in once.with_judge.items():
        assert copied.with_judge[name].standard_error == pytest.approx(x.standard_error, rel=1e-6)


def test_equal_weights_change_nothing():
    rows = drawn()
    one = found_of(*rows).models[0].with_judge["cross_entropy"]
    other = found_of(*rows, weights=np.full(1020, 2.5)).models[0].with_judge["cross_entropy"]
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(4, 60), st.sampled_from([0.0, 0.5, 1.0]))
def test_no_judge_makes_an_interval_wider(seed, n, right):
    found = found_of(*drawn(n, 150, seed, right=right))
    for model in found.models:
        for name, x in model.with_judge.items():
            assert x.half_width <= model.human_alone[name].half_width * (1 + 1e-9)
            assert x.low <= x.value <= x.high


def test_a_judge_who_knows_nothing_has_next_to_no_weight():
    found = found_of(*drawn(400, 2000, right=0.0)).models[0]
    assert abs(found.weight["cross_entropy"]) < 0.3
    width = found.with_judge["accuracy"].half_width / found.human_alone["accuracy"].half_width
    assert 0.95 < width <= 1.0


def test_a_judge_who_is_never_seen_to_err_is_not_taken_for_a_human():
    y, judge, qs, human = drawn(50, 5000, right=0.99)
    judge[human] = y[human]
    found = found_of(y, judge, qs, human).models[0].with_judge["accuracy"]
    certain = (qs[0].argmax(axis=1) == judge).std() / np.sqrt(5050)
    assert found.half_width > 5 * certain


def test_the_order_of_chunks_does_not_matter():
    rows = drawn()
    one, other = (found_of(*rows, pieces=k).models[2].with_judge for k in (1, 4))
    for name, x in one.items():
        assert (other[name].low, other[name].high) == pytest.approx((x.low, x.high), rel=1e-9)


def test_a_loss_that_is_infinite_has_no_interval_and_the_others_have():
    y, judge, qs, human = drawn()
    row = np.flatnonzero(~human)[0]
    q = qs[0].copy()
    q[row] = 0.0
    q[row, (judge[row] + 1) % K] = 1.0
    found = found_of(y, judge, [q, qs[1]], human).models
    assert [sorted(x.with_judge) for x in found] == [
        ["accuracy", "brier"],
        ["accuracy", "brier", "cross_entropy"],
        ["accuracy difference", "brier difference"],
    ]


def test_rows_that_were_chosen_by_their_outcome_are_found():
    y, judge, qs, human = drawn(200, 1800)
    assert judged_finding(found_of(y, judge, qs, human)) is None
    easy = np.argsort(losses(y, judge, qs[0])[1])[:600]
    human = np.isin(np.arange(len(y)), easy[::3])
    found = found_of(y, judge, qs, human)
    assert found.chosen
    assert "no random sample" in judged_finding(found).sentence


def test_the_planner_says_what_is_at_hand_and_what_a_width_takes():
    rows = drawn(200, 1800)
    model = found_of(*rows).models[0]
    width = model.with_judge["cross_entropy"].half_width
    assert model.labels_for(width) == 200
    alone = model.human_alone["cross_entropy"].half_width
    assert model.labels_for(alone, judge=False) == 200
    assert model.labels_for(alone) < 200 < model.labels_for(width, judge=False)
    assert model.labels_for(width / 100) is None
    with pytest.raises(InputError, match="half_width is a number above 0"):
        model.labels_for(0)
    with pytest.raises(InputError, match="there is no 'kl' here"):
        model.labels_for(0.1, "kl")


def test_more_labels_reach_the_width_that_was_planned():
    y, judge, qs, human = drawn(150, 3850, seed=3)
    model = found_of(y, judge, qs, human).models[0]
    goal = 0.7 * model.with_judge["cross_entropy"].half_width
    n = model.labels_for(goal)
    more = np.isin(np.arange(len(y)), np.random.default_rng(5).choice(len(y), n, replace=False))
    reached = found_of(y, judge, qs, more).models[0].with_judge["cross_entropy"].half_width
    assert reached == pytest.approx(goal, rel=0.2)


def test_bits_are_nats_by_the_logarithm_of_two():
    rows = drawn()
    nat, bit = (found_of(*rows, unit=x).models[0].with_judge for x in ("nat", "bit"))
    assert bit["cross_entropy"].high == pytest.approx(nat["cross_entropy"].high / np.log(2))
    assert bit["accuracy"].high == nat["accuracy"].high
