"""The audit on real predictions and real votes, against figures computed elsewhere."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq

rng = np.random.default_rng(0)
N, K = 2_000, 4
TRUTH = rng.dirichlet(np.full(K, 0.5), N)
SHARP = TRUTH**1.7 / (TRUTH**1.7).sum(axis=1, keepdims=True)
LABELS = np.array([rng.choice(K, p=row) for row in TRUTH])
VOTES = np.array([rng.multinomial(5, row) for row in TRUTH])


def test_resnet18_on_the_votes_has_the_known_averages(cifar10h):
    result = pandq.audit(pandq.scan(cifar10h, p="counts:counts", q="probs:resnet18"), floor="none")
    assert result.n == 10_000
    assert result.entropy.value == pytest.approx(0.154460, abs=5e-7)
    assert result.cross_entropy.value == pytest.approx(0.327670, abs=5e-7)
    assert result.kl.value == pytest.approx(0.173210, abs=5e-7)


def test_crossval_on_the_labels_has_the_known_log_loss(cifar10h):
    result = pandq.audit(pandq.scan(cifar10h, p="labels:label", q="probs:crossval"), floor="none")
    assert result.cross_entropy.value == pytest.approx(0.249171, abs=5e-7)
    assert result.accuracy.value == pytest.approx(0.9294, abs=1e-9)


def test_crossval_on_the_votes_decomposes_as_an_independent_prototype_found(cifar10h):
    result = pandq.audit(pandq.scan(cifar10h, p="counts:counts", q="probs:crossval"))
    parts = result.decomposition
    assert parts.cross_entropy.value == pytest.approx(0.5135, abs=5e-5)
    assert parts.losses["temperature"] == pytest.approx(0.3781, abs=5e-4)
    assert parts.losses["vector"] == pytest.approx(0.3749, abs=1e-3)
    assert parts.losses["matrix"] <= 0.3718 + 5e-4
    assert parts.floor.low < 0.179
    assert parts.floor.high > 0.183
    assert parts.floor.value == pytest.approx(0.181, abs=0.003)
    assert not parts.floor.identified
    assert parts.brier["floor"].value == pytest.approx(0.0765, abs=0.0013)
    assert not parts.leak


def test_one_label_per_row_gives_an_upper_bound_and_no_point(cifar10h):
    result = pandq.audit(pandq.scan(cifar10h, p="labels:label", q="probs:crossval"))
    parts = result.decomposition
    assert parts.floor.value is None
    assert parts.floor.low == 0.0
    assert parts.floor.high < 0.2492
    assert parts.rest.value is None
    assert parts.miscalibration.low > 0


def test_parts_add_up_to_the_cross_entropy():
    parts = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP)).decomposition
    total = parts.floor.value + parts.rest.value + parts.miscalibration.value
    assert total == pytest.approx(parts.cross_entropy.value, rel=1e-12)


def test_a_full_p_has_a_known_floor():
    result = pandq.audit(pandq.Probs(TRUTH), pandq.Probs(SHARP))
    parts = result.decomposition
    assert parts.floor.identified
    expected = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.value == pytest.approx(expected, rel=1e-9)
    # Q is a power of P: a temperature repairs all of it, and the rest is nothing
    assert parts.kind in ("temperature", "bias", "vector", "matrix")
    assert parts.rest.value == pytest.approx(0.0, abs=2e-3)


def test_a_certified_floor_covers_the_truth_it_was_simulated_from():
    parts = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP)).decomposition
    truth = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.low < truth < parts.floor.high


def test_a_calibrated_model_is_not_told_to_recalibrate():
    parts = pandq.audit(pandq.Labels(LABELS), pandq.Probs(TRUTH)).decomposition
    assert parts.miscalibration.value < 0.01


def test_a_model_that_has_seen_its_labels_is_found_out():
    votes = np.array([rng.multinomial(3, row) for row in TRUTH])
    memory = (votes + 0.02) / (votes + 0.02).sum(axis=1, keepdims=True)
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(memory))
    assert result.decomposition.leak
    assert "Distrust Q" in str(result)


def test_votes_of_unequal_number_are_told_apart():
    some = np.array(
        [rng.multinomial(m, row) for m, row in zip(rng.integers(1, 9, N), TRUTH, strict=True)]
    )
    parts = pandq.audit(pandq.Counts(some), pandq.Probs(SHARP)).decomposition
    truth = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.low < truth < parts.floor.high
    assert parts.evidence == "votes"


def test_one_vote_per_row_is_like_a_label():
    one = np.eye(K, dtype=int)[LABELS]
    votes = pandq.audit(pandq.Counts(one), pandq.Probs(SHARP)).decomposition
    label = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP)).decomposition
    assert votes.evidence == "labels"
    assert votes.floor.value is None
    assert votes.floor.high == pytest.approx(label.floor.high, rel=1e-9)


def test_a_certified_floor_of_single_votes_is_refused():
    one = np.eye(K, dtype=int)[LABELS]
    with pytest.raises(pandq.InputError, match=r"at least two votes.*one vote in every row"):
        pandq.audit(pandq.Counts(one), pandq.Probs(SHARP), floor="certified")


def test_few_rows_still_get_their_averages():
    result = pandq.audit(pandq.Labels(LABELS[:20]), pandq.Probs(SHARP[:20]))
    assert result.decomposition is None
    assert any("too few rows" in note for note in result.notes)
    assert result.cross_entropy.low < result.cross_entropy.high


def test_a_column_that_tells_every_row_apart_makes_no_groups():
    p, q = pandq.Labels(np.zeros(20_000, int)), pandq.Probs(np.full((20_000, 2), 0.5))
    with pytest.raises(pandq.InputError, match="too many values to group by"):
        pandq.audit(p, q, by={"id": np.arange(20_000)}, floor="none")


def test_few_clusters_still_get_their_averages():
    result = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP), cluster=np.arange(N) % 3)
    assert result.decomposition is None
    assert any("too few clusters" in note for note in result.notes)


def test_a_perfect_model_is_told_so():
    result = pandq.audit(pandq.Labels(LABELS), pandq.Probs(np.eye(K)[LABELS]))
    assert str(result).startswith("No loss")


def test_a_class_that_is_never_predicted_is_no_obstacle():
    q = np.hstack([SHARP, np.zeros((N, 1))])
    votes = np.hstack([VOTES, np.zeros((N, 1), int)])
    parts = pandq.audit(pandq.Counts(votes), pandq.Probs(q)).decomposition
    assert np.isfinite(parts.recalibrated.value)


def test_a_vote_on_a_class_that_q_rules_out_leaves_the_parts_of_the_finite_rows():
    votes = VOTES.copy()
    q = SHARP.copy()
    voted = votes[7].argmax()
    q[7, voted] = 0.0
    q[7] /= q[7].sum()
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(q))
    assert result.infinite_rows == 1
    assert result.decomposition.n == N - 1
    assert "where it is finite" in str(result)


def test_a_better_model_lowers_the_upper_bound_on_the_floor():
    blurred = 0.5 * TRUTH + 0.5 / K
    alone = pandq.audit(pandq.Labels(LABELS), pandq.Probs(blurred)).decomposition
    helped = pandq.audit(
        pandq.Labels(LABELS), pandq.Probs(blurred), best_q=pandq.Probs(TRUTH)
    ).decomposition
    truth = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert truth < helped.floor.high < alone.floor.high + 0.02


def test_folds_follow_the_ids_and_not_the_order_of_the_rows():
    order = rng.permutation(N)
    ids = np.arange(N)
    first = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP), ids=ids)
    second = pandq.audit(pandq.Labels(LABELS[order]), pandq.Probs(SHARP[order]), ids=ids[order])
    assert first.decomposition.recalibrated.value == pytest.approx(
        second.decomposition.recalibrated.value, rel=1e-9
    )


def test_files_and_arrays_give_the_same_audit(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"votes": VOTES.tolist(), "probs": SHARP.tolist()})
    pq.write_table(table, path, row_group_size=300)
    from_file = pandq.audit(pandq.scan(path)).to_dict()
    from_views = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP)).to_dict()
    for part in ("floor", "miscalibration", "rest"):
        for end in ("value", "low", "high"):
            assert from_file["decomposition"][part][end] == pytest.approx(
                from_views["decomposition"][part][end], rel=1e-6
            )


def test_rows_that_come_in_copies_get_wider_intervals_with_their_cluster():
    twice = np.repeat(np.arange(500), 4)
    p, q = pandq.Labels(LABELS[twice]), pandq.Probs(SHARP[twice])
    naive = pandq.audit(p, q, floor="none").cross_entropy
    robust = pandq.audit(p, q, floor="none", cluster=twice).cross_entropy
    assert robust.half_width == pytest.approx(2 * naive.half_width, rel=0.01)
    assert "500 clusters" in robust.method


def test_bootstrap_and_normal_intervals_agree_on_ordinary_data():
    p, q = pandq.Labels(LABELS), pandq.Probs(SHARP)
    normal = pandq.audit(p, q, floor="none").cross_entropy
    drawn = pandq.audit(p, q, floor="none", intervals="bootstrap").cross_entropy
    assert drawn.value == normal.value
    assert drawn.half_width == pytest.approx(normal.half_width, rel=0.1)
    assert "bootstrap" in drawn.method


def test_weights_of_two_are_like_rows_given_twice():
    w = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(N), w.astype(int))
    weighted = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP), weights=w, floor="none")
    copied = pandq.audit(pandq.Labels(LABELS[rows]), pandq.Probs(SHARP[rows]), floor="none")
    assert weighted.cross_entropy.value == pytest.approx(copied.cross_entropy.value, rel=1e-12)


def test_the_document_is_strict_json_and_has_what_it_promises():
    result = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP), by={"half": np.arange(N) % 2})
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for name in ("cross_entropy", "entropy", "kl"):
        assert {"value", "low", "high", "method"} <= set(document[name])
    for name in ("floor", "miscalibration", "rest"):
        assert {"value", "low", "high", "method", "identified"} <= set(
            document["decomposition"][name]
        )
    assert len(document["groups"]["half"]) == 2
    assert len(document["classes"]) == K
    assert len(document["worst"]) == 10


def test_the_recalibrator_does_to_other_rows_what_the_audit_promised():
    half = N // 2
    first = pandq.audit(pandq.Counts(VOTES[:half]), pandq.Probs(SHARP[:half]))
    log_q = np.log(SHARP[half:])
    after = pandq.LogProbs(first.recalibrator.apply(log_q))
    p = pandq.Counts(VOTES[half:])
    won = pandq.cross_entropy(p, pandq.Probs(SHARP[half:])) - pandq.cross_entropy(p, after)
    promised = first.decomposition.miscalibration
    spread = 3 * won.std() / np.sqrt(half)
    assert promised.low - spread < won.mean() < promised.high + spread


def test_a_bare_array_is_refused_with_the_names_of_the_views():
    with pytest.raises(TypeError, match=r"Labels.*Counts.*Probs.*LogProbs.*Logits"):
        pandq.audit(LABELS, SHARP)
