"""Votes whose number depends on them are found out, and honest ones are let be."""

import numpy as np
import pytest

import pandq
from pandq.estimate.floor.assumptions import agreement, following, unanimity

N = 1000


def draws(p, m, seed=0):
    return np.random.default_rng(seed).multinomial(m, p)


def third_where_two_differ(p, seed=0):
    """A third opinion only where two differ."""
    counts = draws(p, 2, seed)
    return counts + draws(p, 1, seed + 1) * (counts.max(axis=1) == 1)[:, None]


def until_two_agree(p, seed=0):
    """Opinions until two agree, five at most."""
    counts = draws(p, 2, seed)
    for i in range(3):
        counts = counts + draws(p, 1, seed + 1 + i) * (counts.max(axis=1) < 2)[:, None]
    return counts


def five_where_three_differ(p, seed=0):
    """Two more opinions where three are not unanimous."""
    counts = draws(p, 3, seed)
    return counts + draws(p, 2, seed + 1) * (counts.max(axis=1) < 3)[:, None]


ADAPTIVE = (third_where_two_differ, until_two_agree, five_where_three_differ)
# Of equal rows the inequality is nearly an equality: no honest ones are closer to a false alarm.
LAWS = {
    "two equal classes": lambda rng, n: np.full((n, 2), 0.5),
    "ten equal classes": lambda rng, n: np.full((n, 10), 0.1),
    "rows that differ": lambda rng, n: rng.dirichlet([1.0, 1.0, 1.0], n),
    "mostly sure": lambda rng, n: rng.dirichlet([0.2, 0.2], n),
    "one class rare": lambda rng, n: rng.dirichlet([1.0, 9.0], n),
}
DIFFER = ("rows that differ", "mostly sure", "one class rare")


def numbers(design, p, rng):
    """Numbers of votes that were settled without a look at them."""
    n = len(p)
    if design == "random":
        return rng.integers(1, 9, n)
    if design == "by Q":
        q = p + rng.normal(size=p.shape) * 0.1
        return np.where(q.max(axis=1) > np.median(q.max(axis=1)), 2, 4)
    return np.full(n, int(design))


@pytest.mark.parametrize("law", DIFFER)
@pytest.mark.parametrize("design", ADAPTIVE)
def test_a_number_of_votes_that_depends_on_them_is_found(design, law):
    p = LAWS[law](np.random.default_rng(5), N)
    found = unanimity(design(p))
    assert found.broken
    assert found.several
    assert found.worst.unanimous < found.worst.least


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("design", ["3", "5", "random", "by Q"])
def test_a_number_of_votes_that_was_settled_beforehand_is_not_accused(design, law):
    rng = np.random.default_rng(6)
    p = LAWS[law](rng, N)
    counts = rng.multinomial(numbers(design, p, rng), p)
    assert not unanimity(counts).broken


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("design", ["3", "4", "5", "random", "by Q"])
@pytest.mark.parametrize("n", [60, 200, 1000])
def test_one_honest_set_in_a_hundred_at_most_is_accused(design, law, n):
    rng = np.random.default_rng(n)
    alarms = []
    for _ in range(300):
        p = LAWS[law](rng, n)
        counts = rng.multinomial(numbers(design, p, rng), p)
        alarms.append(unanimity(counts).broken or following(counts, np.square(p).sum(axis=1)).seen)
    assert np.mean(alarms) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("law", DIFFER)
@pytest.mark.parametrize("design", ADAPTIVE)
def test_adaptive_sets_of_a_thousand_rows_are_found_nearly_always(design, law):
    rng = np.random.default_rng(7)
    found = [unanimity(design(LAWS[law](rng, N), seed)).broken for seed in range(0, 500, 5)]
    assert np.mean(found) >= 0.95


def test_clusters_widen_the_standard_error():
    p = np.random.default_rng(8).dirichlet(np.ones(2), 60)
    counts = third_where_two_differ(p)
    rows = np.repeat(np.arange(60), 20)
    once = unanimity(counts)
    assert unanimity(counts[rows]).p_value < 1e-20
    assert unanimity(counts[rows], rows).p_value == pytest.approx(once.p_value)


def test_the_least_share_of_unanimous_rows_is_what_equal_rows_have():
    p = np.full((200_000, 2), 0.5)
    one = unanimity(draws(p, 4)).numbers[0]
    assert (one.votes, one.rows) == (4, 200_000)
    assert one.unanimous == pytest.approx(2 * 0.5**4, abs=0.003)
    assert one.least == pytest.approx(0.5**3, abs=0.003)


def test_two_votes_a_row_cannot_tell():
    assert unanimity(np.array([[1, 1]] * 500)).p_value == 1.0
    assert unanimity(np.zeros((0, 2), np.int64)).worst is None


def test_agreement_is_unbiased_for_the_chance_that_two_votes_agree():
    p = np.random.default_rng(9).dirichlet(np.ones(3), 50_000)
    assert agreement(draws(p, 4)).mean() == pytest.approx(
        np.square(p).sum(axis=1).mean(), abs=0.005
    )


def test_votes_that_were_added_where_they_differ_go_against_agreement_whatever_q_says():
    p = np.random.default_rng(10).dirichlet(np.ones(2), N)
    found = following(third_where_two_differ(p), np.square(p).sum(axis=1))
    assert found.seen
    assert found.fewer == 1.0
    assert found.more < 0.4


@pytest.mark.parametrize("design", ["random", "by Q"])
def test_a_number_of_votes_that_goes_with_q_is_no_cause(design):
    rng = np.random.default_rng(11)
    p = rng.dirichlet(np.ones(2), 20 * N)
    q = rng.dirichlet(np.ones(2), 20 * N) * 0.1 + 0.9 * p
    m = numbers("random", p, rng) + 1 if design == "random" else 2 + (q.max(axis=1) < 0.7)
    assert not following(rng.multinomial(m, p), np.square(q).sum(axis=1)).seen


def test_rows_that_come_sorted_by_their_number_of_votes_are_compared():
    counts = np.concatenate([np.tile([2, 0], (200, 1)), np.tile([1, 2], (200, 1))])
    assert following(counts, np.zeros(400)).pairs > 50


def third_where_two_differ_or_by_chance(p, seed=0):
    """The same, and in a third of the other rows."""
    counts = draws(p, 2, seed)
    rng = np.random.default_rng(seed + 2)
    more = (counts.max(axis=1) == 1) | (rng.random(len(p)) < 1 / 3)
    return counts + draws(p, 1, seed + 1) * more[:, None]


def audited(design, n=N, **options):
    rng = np.random.default_rng(12)
    p = rng.dirichlet(np.ones(3), n)
    q = 0.8 * p + 0.2 * rng.dirichlet(np.ones(3), n)
    return pandq.audit(pandq.Counts(design(p)), pandq.Probs(q), **options)


@pytest.mark.parametrize("design", [third_where_two_differ, third_where_two_differ_or_by_chance])
def test_nothing_is_certified_and_nobody_accused_where_votes_chose_their_number(design):
    found = audited(design, 390, by={"half": np.arange(390) % 2})
    parts = found.decomposition
    assert not parts.votes_settled
    assert parts.independent
    assert not parts.leak
    for part in (parts.floor, parts.grouping_loss, parts.kl):
        assert (part.value, part.low, part.high, part.identified) == (None, None, None, False)
    assert parts.model_floor is None
    assert parts.plan == []
    assert set(parts.brier) == {"brier", "calibration_loss"}
    assert found.findings[0].key == "votes_chosen"
    text = " ".join(found.to_text().split())
    assert text.startswith("How many votes a row has depends on what they say")
    assert "seen" not in text
    assert "-> Count only votes whose number was settled beforehand" in text
    assert text.count("->") == 1
    assert {line["floor"]["value"] for line in found.to_dict()["decomposition"]["classes"]} == {
        None
    }


def test_of_the_first_two_votes_the_floor_is_certified_again():
    found = audited(lambda p: draws(p, 2), 150)
    assert found.decomposition.votes_settled
    assert not any(x.first for x in found.findings)


def test_a_number_that_goes_with_agreement_is_named_where_somebody_may_have_known():
    def by_difficulty(p):
        m = np.where(np.square(p).sum(axis=1) > 0.5, 2, 4)
        return np.random.default_rng(13).multinomial(m, p)

    rng = np.random.default_rng(14)
    p = rng.dirichlet(np.ones(3), N)
    found = pandq.audit(pandq.Counts(by_difficulty(p)), pandq.Probs(np.full((N, 3), 1 / 3)))
    assert [x.key for x in found.findings if x.first] == ["agreement_follows_votes"]
    truth = -(p * np.log(p)).sum(axis=1).mean()
    assert found.decomposition.floor.low <= truth <= found.decomposition.floor.high


def test_the_same_three_readers_of_every_row_are_no_independent_draws():
    yes = (np.random.default_rng(15).random((N, 3)) < [0.02, 0.5, 0.98]).sum(axis=1)
    votes = pandq.Counts(np.stack([3 - yes, yes], axis=1))
    parts = pandq.audit(votes, pandq.Probs(np.full((N, 2), 0.5))).decomposition
    assert not parts.independent
    assert parts.votes_settled
    assert not parts.leak
