"""The audit on real predictions and real votes, against figures computed elsewhere."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pandq

rng = np.random.default_rng(0)
N, K = 2_000, 4
TRUTH = rng.dirichlet(np.full(K, 0.5), N)
SHARP = TRUTH**1.7 / (TRUTH**1.7).sum(axis=1, keepdims=True)
LABELS = np.array([rng.choice(K, p=row) for row in TRUTH])
VOTES = np.array([rng.multinomial(5, row) for row in TRUTH])


def test_resnet18_on_the_votes_has_the_known_averages(cifar10h):
    result = pandq.audit(
        pandq.scan(cifar10h, p="counts:counts", q="probs:resnet18"), decompose=False
    )
    assert result.n == 10_000
    assert result.entropy.value == pytest.approx(0.154460, abs=5e-7)
    assert result.cross_entropy.value == pytest.approx(0.327670, abs=5e-7)
    assert result.kl_plug_in.value == pytest.approx(0.173210, abs=5e-7)
    assert result.kl.value is None  # without a floor only its bounds are known
    assert result.kl.high == result.kl_plug_in.high


def test_crossval_on_the_labels_has_the_known_log_loss(cifar10h):
    result = pandq.audit(
        pandq.scan(cifar10h, p="labels:label", q="probs:crossval"), decompose=False
    )
    assert result.cross_entropy.value == pytest.approx(0.249171, abs=5e-7)
    assert result.accuracy.value == pytest.approx(0.9294, abs=1e-9)


def test_crossval_on_the_votes_decomposes_as_an_independent_prototype_found(cifar10h):
    result = pandq.audit(pandq.scan(cifar10h, p="counts:counts", q="probs:crossval"))
    parts = result.decomposition
    assert parts.cross_entropy.value == pytest.approx(0.5135, abs=5e-5)
    assert parts.recalibration.cross_entropy["temperature"] == pytest.approx(0.3781, abs=5e-4)
    assert parts.recalibration.cross_entropy["vector"] == pytest.approx(0.3749, abs=1e-3)
    assert parts.recalibration.cross_entropy["matrix"] <= 0.3718 + 5e-4
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
    assert parts.grouping_loss.value is None
    assert parts.calibration_loss.low > 0


def test_parts_add_up_to_the_cross_entropy():
    # with labels that say much of the floor, so that all have a point
    votes = np.random.default_rng(9).multinomial(20, TRUTH)
    flat = np.full(TRUTH.shape, 1 / K)
    parts = pandq.audit(pandq.Counts(votes), pandq.Probs(flat)).decomposition
    total = parts.floor.value + parts.grouping_loss.value + parts.calibration_loss.value
    assert total == pytest.approx(parts.cross_entropy.value, rel=1e-12)


def test_a_full_p_has_a_known_floor():
    result = pandq.audit(pandq.Probs(TRUTH), pandq.Probs(SHARP))
    parts = result.decomposition
    assert parts.floor.identified
    expected = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.value == pytest.approx(expected, rel=1e-9)
    # Q is a power of P: a temperature repairs all of it, and nothing is left to group
    assert parts.recalibration.kind in ("temperature", "bias", "vector", "matrix")
    assert parts.grouping_loss.value == pytest.approx(0.0, abs=2e-3)


def test_a_certified_floor_covers_the_truth_it_was_simulated_from():
    parts = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP)).decomposition
    truth = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.low < truth < parts.floor.high


def test_a_calibrated_model_is_not_told_to_recalibrate():
    parts = pandq.audit(pandq.Labels(LABELS), pandq.Probs(TRUTH)).decomposition
    assert parts.calibration_loss.value < 0.01


def test_a_model_that_has_seen_its_labels_is_found_out():
    votes = np.array([rng.multinomial(3, row) for row in TRUTH])
    memory = (votes + 0.02) / (votes + 0.02).sum(axis=1, keepdims=True)
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(memory))
    assert result.decomposition.leak
    assert "Distrust Q" in result.to_text()


def test_votes_of_unequal_number_are_told_apart():
    some = np.array(
        [rng.multinomial(m, row) for m, row in zip(rng.integers(1, 9, N), TRUTH, strict=True)]
    )
    parts = pandq.audit(pandq.Counts(some), pandq.Probs(SHARP)).decomposition
    truth = -np.sum(TRUTH * np.log(TRUTH), axis=1).mean()
    assert parts.floor.low < truth < parts.floor.high
    assert parts.label_type == "votes"


def test_one_vote_per_row_is_like_a_label():
    one = np.eye(K, dtype=int)[LABELS]
    votes = pandq.audit(pandq.Counts(one), pandq.Probs(SHARP)).decomposition
    label = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP)).decomposition
    assert votes.label_type == "labels"
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
        pandq.audit(p, q, by={"id": np.arange(20_000)}, decompose=False)


def test_few_clusters_still_get_their_averages():
    result = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP), cluster=np.arange(N) % 3)
    assert result.decomposition is None
    assert any("too few clusters" in note for note in result.notes)


def test_a_perfect_model_is_told_so():
    result = pandq.audit(pandq.Labels(LABELS), pandq.Probs(np.eye(K)[LABELS]))
    assert result.to_text().startswith("No loss")


def test_a_class_that_is_never_predicted_is_no_obstacle():
    q = np.hstack([SHARP, np.zeros((N, 1))])
    votes = np.hstack([VOTES, np.zeros((N, 1), int)])
    parts = pandq.audit(pandq.Counts(votes), pandq.Probs(q)).decomposition
    assert np.isfinite(parts.refinement_loss.value)


def ruled_out(votes, q, rows):
    """Q with a zero where most of a row's votes are."""
    q = q.copy()
    q[rows, votes[rows].argmax(axis=1)] = 0.0
    return q / q.sum(axis=1, keepdims=True)


def test_parts_are_over_all_rows_also_where_q_rules_out_what_happened():
    q = ruled_out(VOTES, SHARP, [7])
    result = pandq.audit(pandq.Counts(VOTES), pandq.Probs(q))
    parts = result.decomposition
    assert result.infinite_rows == parts.infinite_rows == 1
    assert parts.n == N
    assert parts.cross_entropy.value == parts.calibration_loss.value == parts.kl.value == np.inf
    assert np.isfinite(
        [parts.floor.value, parts.grouping_loss.high, parts.refinement_loss.value]
    ).all()
    assert parts.finite_part["cross_entropy"].n == N - 1
    assert "infinite: Q rules out what happened in 1 row; after recalibration" in result.to_text()
    assert result.to_dict()["decomposition"]["calibration_loss"]["value"] is None


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("kind", ["votes", "labels", "soft labels"])
def test_writing_zeros_as_1e_minus_300_changes_no_part_but_the_calibration_loss(k, kind):
    draw = np.random.default_rng(k)
    truth = draw.dirichlet(np.ones(k), 400)
    q = 0.7 * truth + 0.3 * draw.dirichlet(np.ones(k), 400)
    zero = draw.random(q.shape) < 0.15
    zero[np.arange(400), q.argmax(axis=1)] = False
    q = np.where(zero, 0.0, q)
    q /= q.sum(axis=1, keepdims=True)
    p = {
        "votes": pandq.Counts(np.array([draw.multinomial(3, row) for row in truth])),
        "labels": pandq.Labels(np.array([draw.choice(k, p=row) for row in truth])),
        "soft labels": pandq.Probs(truth),
    }[kind]
    with_zeros, with_traces = (
        pandq.audit(p, pandq.Probs(x)).decomposition.to_dict()
        for x in (q, np.where(zero, 1e-300, q))
    )
    assert with_zeros["infinite_rows"] > 0
    assert with_traces["infinite_rows"] == 0
    for part in (
        "floor",
        "grouping_loss",
        "refinement_loss",
        "brier",
        "model_floor",
        "reliability",
    ):
        assert with_zeros[part] == with_traces[part]
    lost, kept = with_zeros["recalibration"], with_traces["recalibration"]
    assert lost["cross_entropy"] == kept["cross_entropy"]


def test_a_floor_does_not_depend_on_where_q_is_certain():
    # three votes a row from (0.8, 0.1, 0.1), Q certain of the first: the floor is H(P) all the same
    draw = np.random.default_rng(3)
    mode = draw.integers(0, 3, 2000)
    truth = np.full((2000, 3), 0.1)
    truth[np.arange(2000), mode] = 0.8
    votes = np.array([draw.multinomial(3, row) for row in truth])
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(np.eye(3)[mode]))
    parts = result.decomposition
    expected = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))
    assert result.cross_entropy.value == np.inf
    assert parts.floor.low < expected < parts.floor.high
    assert parts.refinement_loss.low < expected < parts.refinement_loss.high
    assert parts.grouping_loss.low == 0.0
    assert not parts.leak


def test_what_a_forest_gains_by_recalibration_is_what_its_saved_map_gives():
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    y = np.where(draw.random(len(y)) < 0.15, draw.integers(0, 10, len(y)), y)
    order = draw.permutation(len(y))
    train, test = order[:900], order[900:]
    forest = RandomForestClassifier(10, random_state=0).fit(x[train], y[train])
    q = pandq.Probs(forest.predict_proba(x[test]))
    result = pandq.audit(pandq.Labels(y[test]), q)
    parts = result.decomposition
    assert result.infinite_rows > 10
    saved = pandq.cross_entropy(pandq.Labels(y[test]), result.recalibrator.of(q))
    assert np.isfinite(saved).all()
    assert parts.refinement_loss.value == pytest.approx(saved.mean(), rel=0.1)
    assert parts.refinement_loss.n == len(test)


def test_groups_with_an_infinite_loss_say_so_and_keep_what_is_finite_over_all_their_rows():
    q = ruled_out(VOTES, SHARP, [7])
    result = pandq.audit(pandq.Counts(VOTES), pandq.Probs(q), by={"site": np.arange(N) % 2})
    odd, even = result.groups["site"]
    assert (odd["name"], odd["infinite_rows"], even["infinite_rows"]) == ("1", 1, 0)
    assert odd["cross_entropy"]["value"] is None
    assert odd["n"] == N // 2
    assert odd["accuracy"]["value"] > 0


def test_kl_of_votes_is_the_loss_above_the_floor():
    # P is Q exactly: two votes a row seem to differ from it, and do not
    draw = np.random.default_rng(5)
    q = draw.beta(1, 1, 3000)
    q = np.stack([q, 1 - q], axis=1)
    votes = np.array([draw.multinomial(2, row) for row in q])
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(q), by={"site": np.arange(3000) % 2})
    assert result.kl_plug_in.value > 0.2
    assert result.kl.low == 0.0
    assert result.kl.value is None  # its interval spans more than its middle
    assert result.kl.high < 0.06
    assert result.kl == result.decomposition.kl
    for line in result.groups["site"]:
        assert line["kl"]["low"] == 0.0
        assert line["kl"]["high"] < 0.1 < line["kl_plug_in"]["value"]
    # rows that are chosen by their votes have no floor of their own
    assert {line["kl"]["value"] for line in result.classes} == {None}


def test_two_fixed_readers_are_no_independent_draws_and_no_leak():
    draw = np.random.default_rng(6)
    readers = draw.random((2000, 2)) < [0.1, 0.9]
    yes = readers.sum(axis=1)
    votes = pandq.Counts(np.stack([2 - yes, yes], axis=1))
    result = pandq.audit(votes, pandq.Probs(np.full((2000, 2), 0.5)), floor="certified")
    parts = result.decomposition
    assert not parts.independent
    assert not parts.leak
    assert parts.floor.value is None
    # the mean of both readers' distributions has an entropy of ln 2
    assert parts.floor.low <= np.log(2) <= parts.floor.high + 1e-12
    assert "no independent draws" in result.to_text()
    assert "has seen" not in result.to_text()
    assert parts.model_floor is None
    assert parts.plan == []
    assert set(parts.brier) == {"brier", "calibration_loss"}


@pytest.mark.parametrize("seed", range(6))
def test_honest_votes_are_not_taken_for_dependent_ones(seed):
    draw = np.random.default_rng(seed)
    k, m = int(draw.integers(2, 5)), int(draw.integers(2, 6))
    truth = draw.dirichlet(np.full(k, draw.choice([0.3, 1.0, 30.0])), 500)
    votes = np.array([draw.multinomial(m, row) for row in truth])
    parts = pandq.audit(pandq.Counts(votes), pandq.Probs(np.full((500, k), 1 / k))).decomposition
    assert parts.independent
    assert not parts.leak


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([60, 200]))
def test_parts_lie_where_they_can_and_their_numbers_are_shown_by_their_intervals(seed, k, n):
    draw = np.random.default_rng(seed)
    truth = draw.dirichlet(np.full(k, draw.choice([0.2, 1.0])), n)
    q = truth if seed % 2 else np.full((n, k), 1 / k)
    votes = np.array([draw.multinomial(2, row) for row in truth])
    result = pandq.audit(pandq.Counts(votes), pandq.Probs(q))
    parts = result.decomposition
    if parts.leak or not parts.independent:
        return
    for part in (parts.floor, parts.grouping_loss, parts.kl, parts.calibration_loss):
        assert 0.0 <= part.low <= part.high
    assert parts.floor.high <= parts.refinement_loss.high
    if parts.floor.value is None:
        assert (parts.grouping_loss.value, parts.kl.value) == (None, None)
        return
    assert 0.0 <= parts.floor.value <= parts.refinement_loss.value
    if parts.grouping_loss.value is not None:
        total = parts.floor.value + parts.grouping_loss.value + parts.calibration_loss.value
        assert total == pytest.approx(parts.cross_entropy.value, rel=1e-9)
    for part in (parts.floor, parts.grouping_loss, parts.kl):
        assert part.value is None or part.high - part.low <= part.value
    first = result.to_text().replace("\n", " ").split(". ")[0]
    assert (parts.grouping_loss.low > 0) == ("nothing that can be shown is the model" not in first)


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
    assert first.decomposition.refinement_loss.value == pytest.approx(
        second.decomposition.refinement_loss.value, rel=1e-9
    )


def test_files_and_arrays_give_the_same_audit(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"votes": VOTES.tolist(), "probs": SHARP.tolist()})
    pq.write_table(table, path, row_group_size=300)
    from_file = pandq.audit(pandq.scan(path)).to_dict()
    from_views = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP)).to_dict()
    for part in ("floor", "calibration_loss", "grouping_loss"):
        ends = [
            x for x in ("value", "low", "high") if from_file["decomposition"][part][x] is not None
        ]
        for end in ends:
            assert from_file["decomposition"][part][end] == pytest.approx(
                from_views["decomposition"][part][end], rel=1e-6
            )


def test_rows_that_come_in_copies_get_wider_intervals_with_their_cluster():
    twice = np.repeat(np.arange(500), 4)
    p, q = pandq.Labels(LABELS[twice]), pandq.Probs(SHARP[twice])
    naive = pandq.audit(p, q, decompose=False).cross_entropy
    robust = pandq.audit(p, q, decompose=False, cluster=twice).cross_entropy
    assert robust.standard_error == pytest.approx(2 * naive.standard_error, rel=0.01)
    assert robust.half_width > 2 * naive.half_width
    assert "500 clusters" in robust.method


def test_bootstrap_and_t_intervals_agree_on_ordinary_data():
    p, q = pandq.Labels(LABELS), pandq.Probs(SHARP)
    by_t = pandq.audit(p, q, decompose=False).cross_entropy
    drawn = pandq.audit(p, q, decompose=False, intervals="bootstrap").cross_entropy
    assert drawn.value == by_t.value
    assert drawn.half_width == pytest.approx(by_t.half_width, rel=0.1)
    assert "bootstrap" in drawn.method


def test_weights_of_two_are_like_rows_given_twice():
    w = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(N), w.astype(int))
    weighted = pandq.audit(pandq.Labels(LABELS), pandq.Probs(SHARP), weights=w, decompose=False)
    copied = pandq.audit(pandq.Labels(LABELS[rows]), pandq.Probs(SHARP[rows]), decompose=False)
    assert weighted.cross_entropy.value == pytest.approx(copied.cross_entropy.value, rel=1e-12)


def test_the_document_is_strict_json_and_has_what_it_promises():
    result = pandq.audit(pandq.Counts(VOTES), pandq.Probs(SHARP), by={"half": np.arange(N) % 2})
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for name in ("cross_entropy", "entropy", "kl"):
        assert {"value", "low", "high", "method"} <= set(document[name])
    for name in ("floor", "calibration_loss", "grouping_loss"):
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
    promised = first.decomposition.calibration_loss
    spread = 3 * won.std() / np.sqrt(half)
    assert promised.low - spread < won.mean() < promised.high + spread


def test_a_bare_array_is_refused_with_the_names_of_the_views():
    with pytest.raises(TypeError, match=r"Labels.*Counts.*Probs.*LogProbs.*Logits"):
        pandq.audit(LABELS, SHARP)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("level", "0.95", "level must lie between 0 and 1, got '0.95'"),
        ("level", None, "level must lie"),
        ("seed", None, "a seed is a whole number"),
        ("seed", True, "a seed is a whole number"),
        ("worst", -1, "worst is a whole number from 0 to 10,000, got -1"),
        ("worst", 1.5, "worst is a whole number"),
        ("floor", "AUTO", "floor is one of 'auto', 'certified', 'blind', got 'AUTO'"),
        ("intervals", "exact", "intervals is one of"),
        ("engine", "local", "this is no engine, got str"),
        ("progress", "bar", "progress is a function"),
        ("classes", 3.5, "classes are a list of names"),
        ("classes", ["a", "a"], "two classes have the same name"),
        ("weights", [1e300, 1.0], "weights row 0 is not between 1e-150 and 1e+150"),
        ("by", {"site": [[1], [1, 2]]}, "rows of equal length"),
        ("cluster", np.ma.masked_array([1, 2], mask=[0, 1]), "hold 1 masked value"),
    ],
)
def test_an_option_that_means_nothing_is_refused_by_name(option, value, words):
    with pytest.raises(pandq.InputError, match=re.escape(words)):
        pandq.audit(pandq.Labels([0, 1]), pandq.Probs([[0.5, 0.5]] * 2), **{option: value})


def test_a_missing_group_in_memory_is_called_as_one_in_a_file():
    p, q = pandq.Labels([0, 1]), pandq.Probs([[0.5, 0.5]] * 2)
    found = pandq.audit(p, q, by={"site": [None, "x"]}).groups["site"]
    assert {group["name"] for group in found} == {"(missing)", "x"}


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_the_largest_of_losses_has_a_report():
    logits = np.zeros((3, 2))
    logits[0, 1] = np.finfo(float).max
    found = pandq.audit(pandq.Labels([0, 1, 1]), pandq.Logits(logits))
    assert found.cross_entropy.value == pytest.approx(np.finfo(float).max / 3)
    assert "Infinity" not in json.dumps(found.to_dict())
