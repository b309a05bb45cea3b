"""The floor from rows with enough votes, and the floor without a look at Q."""

import json
from dataclasses import replace

import numpy as np
import pytest

import pandq
from pandq import Counts, InputError, Probs
from pandq.estimate.floor.bounding import Spread
from pandq.report.words import headline, two_floors

N = 390


def truth_of(p):
    return float(pandq.entropy(Probs(p)).mean())


def drawn(rng, n, votes):
    """P, a Q that knows much of it, and votes of these numbers."""
    p = rng.dirichlet(np.ones(3), n)
    return p, 0.8 * p + 0.2 * rng.dirichlet(np.ones(3), n), rng.multinomial(votes, p)


@pytest.fixture(scope="module")
def uneven():
    rng = np.random.default_rng(1)
    return drawn(rng, N, rng.integers(1, 6, N))


def test_bounds_of_some_rows_are_spread_over_all_without_a_bias():
    rng = np.random.default_rng(2)
    votes, bounds = rng.integers(1, 4, 100_000), rng.normal([1.0, 3.0], 1.0, (100_000, 2))
    spread = Spread(2, float((votes > 1).mean()), np.array([0.7, 3.9]))
    enough = bounds[votes > 1].mean(axis=0)
    assert spread.over(bounds, votes).mean(axis=0) == pytest.approx(enough, abs=1e-12)


def test_rows_with_two_votes_and_more_have_a_narrower_floor(uneven):
    p, q, counts = uneven
    every = pandq.audit(Counts(counts), Probs(q))
    some = pandq.audit(Counts(counts), Probs(q), min_votes=2)
    floor, narrow = every.decomposition.floor, some.decomposition.floor
    assert narrow.high - narrow.low < 0.8 * (floor.high - floor.low)
    assert narrow.low <= truth_of(p) <= narrow.high
    assert "from rows with 2 votes or more, taken for all" in narrow.method
    assert [x.key for x in every.findings if x.key == "single_votes"] == ["single_votes"]
    assert "--min-votes 2" in " ".join(every.to_text().split())
    assert "single_votes" not in [x.key for x in some.findings]
    assert some.options["min_votes"] == 2
    parts = some.decomposition
    assert parts.floor.low + parts.grouping_loss.low < parts.refinement_loss.value
    assert parts.floor.high + parts.grouping_loss.high > parts.refinement_loss.value


def test_of_equal_numbers_of_votes_the_least_number_changes_nothing():
    _, q, counts = drawn(np.random.default_rng(3), 120, 3)
    one, two = (
        pandq.audit(Counts(counts), Probs(q), min_votes=m).decomposition.floor for m in (1, 2)
    )
    assert (one.low, one.high) == pytest.approx((two.low, two.high), rel=1e-12)


def test_rows_of_few_votes_that_are_unlike_the_others_are_named():
    rng = np.random.default_rng(4)
    p = np.where(np.arange(N)[:, None] % 2 == 0, [0.9, 0.1], [0.5, 0.5])
    counts = rng.multinomial(np.where(np.arange(N) % 2 == 0, 1, 3), p)
    found = pandq.audit(Counts(counts), Probs(p), min_votes=2)
    assert [x.key for x in found.findings if x.first] == ["fewer_votes_differ"]
    assert "the floor of the others is not theirs" in found.to_text().replace("\n", " ")


@pytest.mark.parametrize("bad", [0, 1.5, True, "2"])
def test_a_least_number_of_votes_is_a_whole_number_from_one(bad, uneven):
    _, q, counts = uneven
    with pytest.raises(InputError, match="min_votes is a whole number"):
        pandq.audit(Counts(counts), Probs(q), min_votes=bad)


def test_more_votes_than_rows_have_are_refused_in_a_sentence(uneven):
    _, q, counts = uneven
    with pytest.raises(InputError, match="too few rows have 9 votes or more"):
        pandq.audit(Counts(counts), Probs(q), min_votes=9)


def test_the_blind_floor_is_the_same_whatever_q_is(uneven):
    p, q, counts = uneven
    seen = Probs.normalised(0.95 * q + 0.05 * counts / counts.sum(axis=1, keepdims=True))
    one, other = (
        pandq.audit(Counts(counts), x, floor="blind").decomposition for x in (Probs(q), seen)
    )
    assert one.floor.low == other.floor.low
    assert one.floor.low <= truth_of(p) <= one.floor.high
    assert "without a look at Q" in one.floor.method
    assert (one.blind_floor.low, one.floor.low) == (one.floor.low, one.blind_floor.low)
    plain = pandq.audit(Counts(counts), Probs(q)).decomposition
    assert plain.blind_floor == one.blind_floor
    assert plain.floor.high - plain.floor.low < one.floor.high - one.floor.low


def test_a_floor_that_is_apart_from_the_blind_one_is_shown_with_it(uneven):
    _, q, counts = uneven
    parts = pandq.audit(Counts(counts), Probs(q)).decomposition
    assert two_floors(parts, "nat") == []
    low = parts.blind_floor.low
    below = replace(parts, floor=replace(parts.floor, low=0.2 * low, high=1.1 * low))
    (told,) = two_floors(below, "nat")
    assert told.startswith(f"A floor that does not look at Q is {low:.3f} to ")
    assert "--floor blind takes that one" in told


def test_a_blind_floor_needs_votes():
    with pytest.raises(InputError, match="at least two votes per row"):
        pandq.audit(pandq.Labels([0, 1] * 50, 2), Probs(np.full((100, 2), 0.5)), floor="blind")


def test_where_the_interval_spans_more_than_its_middle_there_is_no_point():
    rng = np.random.default_rng(6)
    p = np.where(np.arange(300)[:, None] % 100 == 0, [0.5, 0.5], [1.0, 0.0])
    counts = rng.multinomial(2, p)
    found = pandq.audit(Counts(counts), Probs(np.where(p == 1.0, 0.99, np.where(p == 0, 0.01, p))))
    parts = found.decomposition
    floor = parts.floor
    assert floor.high - floor.low > (floor.low + floor.high) / 2
    assert (floor.value, parts.grouping_loss.value, parts.kl.value) == (None, None, None)
    assert "no point, as it spans more than its middle" in floor.method
    assert " to " in headline(found).split("is people disagreeing")[0]
    assert parts.kl.low <= parts.kl.high
    json.dumps(found.to_dict())


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"min_votes": 2}, {"floor": "blind"}])
def test_floors_of_random_numbers_of_votes_cover(options):
    covered, width = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, q, counts = drawn(rng, 600, rng.integers(1, 9, 600))
        floor = pandq.audit(Counts(counts), Probs(q), worst=0, **options).decomposition.floor
        # psi(K + 1) - psi(2) is the mean entropy of uniform distributions
        covered.append(floor.low <= 1 / 2 + 1 / 3 <= floor.high)
        width.append(floor.high - floor.low)
    assert np.mean(covered) >= 0.92
