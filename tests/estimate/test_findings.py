"""What is said of the rows before anything is made of their averages."""

import numpy as np
import pytest

import pandq
from pandq import Counts, Labels, Logits, Probs
from pandq.estimate.findings import MOST_VOTES, votes_in
from pandq.estimate.floor.planner import rows_to_plan
from pandq.report.markdown import markdown
from pandq.report.sections.result import sections_of
from pandq.report.words import headline, map_name, next_steps

N = 400


@pytest.fixture(scope="module")
def rows():
    """Q of three classes, and labels and three votes a row that are drawn from it."""
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(3), N)
    labels = np.array([rng.choice(3, p=row) for row in q])
    votes = np.stack([rng.multinomial(3, row) for row in q])
    return q, labels, votes


def keys(result):
    return [finding["key"] for finding in result.to_dict()["findings"]]


def finding(result, key):
    return next(x for x in result.to_dict()["findings"] if x["key"] == key)


def numbers(result, key):
    return finding(result, key)["numbers"]


def test_there_is_nothing_to_say_of_ordinary_rows(rows):
    q, labels, _ = rows
    assert keys(pandq.audit(Labels(labels, 3), Probs(q))) == []
    assert keys(pandq.audit(Probs(np.roll(q, 1, axis=0)), Probs(q), decompose=False)) == []


@pytest.mark.parametrize("by", [1, 2])
def test_shifted_labels_are_said_first_and_replace_all_advice(rows, by):
    q, labels, _ = rows
    found = pandq.audit(Labels((labels + by) % 3, 3), Probs(q))
    assert keys(found)[:2] == ["below_chance", "inverted"]
    assert "labels shifted?" in found.to_text().splitlines()[0]
    assert len(next_steps(found)) == 1
    assert "Check first" in next_steps(found)[0]
    assert found.to_html().index("labels shifted?") < found.to_html().index("<h1>")
    text = markdown(sections_of(found), [])
    assert text.index("labels shifted?") < text.index(headline(found)[:20])


def test_two_classes_that_are_swapped_are_an_inverted_map():
    rng = np.random.default_rng(1)
    one = rng.random(N)
    labels = (rng.random(N) >= one).astype(int)
    found = pandq.audit(Labels(labels, 2), Probs(np.stack([1 - one, one], axis=1)))
    assert {"below_chance", "inverted", "worse_than_frequencies"} <= set(keys(found))
    assert numbers(found, "inverted")["covariance"] < 0


def test_a_q_that_is_worse_than_the_frequencies_is_said_with_both_losses(rows):
    q, labels, _ = rows
    found = pandq.audit(Labels(labels, 3), Logits(np.log(q) * 6), unit="bit")
    assert keys(found) == ["worse_than_frequencies"]
    told, f = numbers(found, "worse_than_frequencies"), np.bincount(labels) / N
    assert told["of_frequencies"] == pytest.approx(-(f * np.log2(f)).sum())
    assert told["cross_entropy"] == pytest.approx(found.cross_entropy.value)
    assert len(next_steps(found)) > 1


def test_a_constant_q_at_the_frequencies_is_not_accused(rows):
    _, labels, _ = rows
    f = np.bincount(labels) / N
    assert "worse_than_frequencies" not in keys(
        pandq.audit(Labels(labels, 3), Probs(np.tile(f, (N, 1))))
    )


@pytest.mark.parametrize("digits", [2, 4, 15])
def test_votes_that_are_divided_by_their_number_are_said_first(rows, digits):
    q, _, votes = rows
    one = np.round(votes[:, 0] / 3, digits)
    two = np.column_stack([q[:, 0], 1 - q[:, 0]])
    found = pandq.audit(Probs(np.column_stack([one, 1 - one])), Probs(two))
    assert numbers(found, "p_is_votes")["votes"] == 3
    assert found.to_text().startswith("P's rows are all multiples of 1/3")
    assert "counts:COLUMN" in next_steps(found)[0]


def test_labels_that_are_written_as_probabilities_are_taken_for_labels(rows):
    q, labels, _ = rows
    found = pandq.audit(Probs(np.eye(3)[labels]), Probs(q))
    plain = pandq.audit(Labels(labels, 3), Probs(q))
    assert keys(found) == ["p_is_labels"]
    assert "taken as one label per row" in " ".join(found.to_text().split())
    assert headline(found) == headline(plain)
    assert next_steps(found) == next_steps(plain)
    parts, of_labels = found.decomposition, plain.decomposition
    assert (parts.label_type, parts.floor.value, parts.brier) == ("labels", None, {})
    assert parts.floor.high == pytest.approx(of_labels.floor.high, rel=1e-9)
    with pytest.raises(pandq.InputError, match="one vote in every row"):
        pandq.audit(Probs(np.eye(3)[labels]), Probs(q), floor="certified")


def test_where_nothing_fits_it_is_said_that_classes_may_be_in_another_order(rows):
    q, labels, _ = rows
    for one in (
        pandq.audit(Labels(labels, 3), Probs(q[:, [1, 2, 0]])),
        pandq.audit(Labels(labels, 3), Probs(q), floor="auto"),
    ):
        told = "Q's classes or the rows in another order" in " ".join(next_steps(one))
        assert told == ("below_chance" in keys(one))


def test_soft_labels_are_no_few_votes():
    p = np.random.default_rng(4).dirichlet(np.ones(2), 1000)
    assert (votes_in(p) > MOST_VOTES).mean() > 0.99


def test_ties_are_counted(rows):
    q, _, votes = rows
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    found = pandq.audit(Counts(votes), Probs(q), decompose=False)
    assert numbers(found, "ties_p")["rows"] == tied.sum()
    said = f"In {tied.sum()} rows several classes share P's largest"
    assert said in " ".join(found.to_text().split())


def test_rows_that_come_ten_times_are_counted_and_intervals_are_said_to_be_too_narrow(rows):
    q, labels, _ = rows
    q, labels = np.repeat(q[:150], 10, axis=0), np.repeat(labels[:150], 10)
    found = pandq.audit(Labels(labels, 3), Probs(q))
    told = numbers(found, "equal_rows")
    assert told["rows"] == 1350
    assert told["too_narrow"] == pytest.approx(np.sqrt(10))
    assert "3.2 times too narrow" in " ".join(found.to_text().split())
    # each under a map that never saw its copies: nothing is won where Q is the truth
    assert found.decomposition.calibration_loss.low <= 0
    alone = pandq.audit(Labels(labels, 3), Probs(q), cluster=np.arange(1500) // 10)
    assert "equal_rows" not in keys(alone)


def test_a_q_that_says_few_things_makes_no_copies(rows):
    q, labels, _ = rows
    coarse = np.round(q * 5) / 5
    coarse[:, 2] = 1 - coarse[:, :2].sum(axis=1)
    coarse = np.abs(coarse) / np.abs(coarse).sum(axis=1, keepdims=True)
    found = pandq.audit(Labels(labels, 3), Probs(coarse), decompose=False)
    assert "equal_rows" not in keys(found)


def test_labels_are_planned_for_about_as_many_rows_as_there_are():
    assert max(rows_to_plan(60)) <= 600
    assert min(rows_to_plan(60)) == 60
    assert 5_000 in rows_to_plan(5_000)


def test_a_large_mixing_weight_is_in_the_name_of_the_map(rows):
    q, labels, _ = rows
    found = pandq.audit(Labels(labels, 3), Logits(np.log(q) * 6))
    eps = found.recalibrator.eps
    shown = f"{eps:.0%} of the class frequencies mixed in"
    assert (shown in map_name(found.decomposition)) == (eps > 0.02)
    assert found.to_dict()["decomposition"]["recalibration"]["mixing_weight"] == eps


def test_a_constant_q_is_not_inverted_by_rounding(rows):
    _, labels, _ = rows
    found = pandq.audit(Labels(labels, 3), Probs(np.full((N, 3), 1 / 3)))
    assert "inverted" not in keys(found)


def test_frequencies_of_one_class_have_no_loss():
    found = pandq.audit(Labels(np.zeros(N, int), 3), Probs(np.full((N, 3), 1 / 3)))
    assert numbers(found, "worse_than_frequencies")["of_frequencies"] == 0.0
    assert "where they have 0." in finding(found, "worse_than_frequencies")["sentence"]


def test_no_event_in_a_hundred_rows_does_not_contradict_one_percent():
    q = np.tile([0.99, 0.01], (100, 1))
    found = pandq.audit(Labels(np.zeros(100, int), 2), Probs(q))
    assert "worse_than_frequencies" not in keys(found)
