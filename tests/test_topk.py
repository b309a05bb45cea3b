"""TopK: certified bounds against the divergences that they must enclose, and what they attain."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

import pandq
from pandq import InputError, Logits, Probs, TopK, kl_bounds


def top_of(log_p, k):
    ids = np.argsort(-log_p, axis=1)[:, :k]
    return TopK(ids, np.take_along_axis(log_p, ids, axis=1), log_p.shape[1])


def laws(n=20, k=8, seed=0, scale=2.0):
    rng = np.random.default_rng(seed)
    return special.log_softmax(rng.normal(size=(2, n, k)) * scale, axis=2)


@given(st.integers(2, 12), st.integers(1, 12), st.floats(0.1, 8), st.integers(0, 2**32 - 1))
def test_bounds_enclose_the_divergence_of_the_whole_laws(k, top, scale, seed):
    p, q = laws(10, k, seed, scale)
    truth = special.rel_entr(np.exp(p), np.exp(q)).sum(axis=1)
    for seen in (top_of(p, min(top, k)), Logits(p)):
        for other in (top_of(q, min(top, k)), Logits(q)):
            low, high = kl_bounds(seen, other, q_floor=None)
            assert (low <= truth * (1 + 1e-9) + 1e-12).all()
            assert (high >= truth * (1 - 1e-9) - 1e-12).all()


def test_lower_bound_is_the_divergence_of_the_merged_laws():
    p, q = laws()
    top = top_of(p, 3)
    low, _ = kl_bounds(top, Logits(q))
    seen_p, seen_q = (np.take_along_axis(np.exp(x), top.ids, axis=1) for x in (p, q))
    merged = [np.column_stack([x, 1 - x.sum(axis=1)]) for x in (seen_p, seen_q)]
    assert low == pytest.approx(special.rel_entr(*merged).sum(axis=1), rel=1e-9)


def test_lower_bound_rises_as_more_is_seen_until_nothing_is_left_open():
    p, q = laws()
    found = [kl_bounds(top_of(p, k), Logits(q)) for k in range(1, 9)]
    for (low, high), (more, less) in pairwise(found):
        assert (more >= low - 1e-12).all()
        assert (less <= high + 1e-12).all()
    low, high = found[-1]
    assert low == pytest.approx(pandq.kl_divergence(Logits(p), Logits(q)), rel=1e-9)
    assert low == pytest.approx(high, rel=1e-12)


def test_upper_bound_is_attained_by_the_worst_law_that_agrees_with_what_is_seen():
    """Of many corners of what is possible none does better, and one does as well."""
    p, q = laws(n=6, k=7, seed=3)
    top = top_of(p, 2)
    _, high = kl_bounds(top, Logits(q))
    rng = np.random.default_rng(0)
    for row in range(6):
        seen = np.exp(top.log_probs[row])
        cap, mass = seen.min(), 1 - seen.sum()
        unseen = np.setdiff1d(np.arange(7), top.ids[row])
        fixed = special.rel_entr(seen, np.exp(q[row, top.ids[row]])).sum()
        best = -np.inf
        for _ in range(60):
            # the corner of the polytope in a random direction
            corner = optimize.linprog(
                rng.normal(size=5), A_eq=np.ones((1, 5)), b_eq=[mass], bounds=[(0, cap)] * 5
            ).x
            best = max(best, special.rel_entr(corner, np.exp(q[row, unseen])).sum())
        assert fixed + best <= high[row] + 1e-9
        assert fixed + best == pytest.approx(high[row], rel=1e-6)


@given(st.integers(1, 4), st.integers(1, 4), st.floats(0.05, 1), st.integers(0, 2**32 - 1))
def test_bounds_hold_for_every_topk_that_is_accepted(k, others, share, seed):
    """One that is no top of any law is refused; of the others all corners are within."""
    rng = np.random.default_rng(seed)
    n = k + others
    seen = rng.dirichlet(np.ones(k)) * share
    log_q = special.log_softmax(rng.normal(size=n) * 3)
    cap, mass = seen.min(), 1 - seen.sum()
    args = ([list(range(k))], np.log([seen]), n)
    if mass > cap * others * (1 + 1e-9) + 1e-6:
        with pytest.raises(InputError, match="not the most probable ones"):
            TopK(*args)
        return
    low, high = kl_bounds(TopK(*args), Logits(log_q[None]))
    fixed = special.rel_entr(seen, np.exp(log_q[:k])).sum()
    found = []
    for order in permutations(range(others)):
        left, corner = mass, np.zeros(others)
        for place in order:
            corner[place] = min(cap, left)
            left -= corner[place]
        found.append(fixed + special.rel_entr(corner, np.exp(log_q[k:])).sum())
    assert low[0] <= min(found) + 1e-5
    assert max(found) == pytest.approx(high[0], abs=1e-5)


def test_what_is_no_complete_topk_is_refused():
    with pytest.raises(
        InputError, match=r"row 0 leaves 0\.4 to 2 classes that are at most 0\.1 each"
    ):
        TopK([[0, 3]], np.log([[0.5, 0.1]]), 4)
    for filler in (-np.inf, -9999.0):
        for first in (np.log(0.5), 0.0):
            with pytest.raises(InputError, match="row 0 holds a filler"):
                TopK([[0, 1]], [[first, filler]], 4)


def drawn(seed, n):
    """A distribution over n classes, another, and some of the first one's classes, not the top."""
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(n, 0.5), size=2) * 0.999 + 0.001 / n
    return p, q, rng


@given(st.integers(3, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_bounds_of_an_incomplete_top_contain_the_truth(n, k, seed):
    """Any classes with complete=False; the top and one more with ranks: the truth is within."""
    p, q, rng = drawn(seed, n)
    truth = special.rel_entr(p, q).sum()
    k = min(k, n - 1)
    some = rng.choice(n, k, replace=False)
    order = np.argsort(-p)
    last = rng.integers(k, n)
    appended = order[[*range(k), last]]
    tops = [
        TopK([some], [np.log(p[some])], n, complete=False),
        TopK([appended], [np.log(p[appended])], n, ranks=[[*range(1, k + 1), last + 1]]),
    ]
    assert tops[1].caps == pytest.approx(p[order[k if last == k else k - 1]])
    for top in tops:
        low, high = kl_bounds(top, Probs(q[None]))
        assert low[0] <= truth + 1e-12
        assert truth <= high[0] + 1e-12
    assert kl_bounds(tops[1], Probs(q[None]))[1] <= high[0] + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_upper_bound_of_an_incomplete_top_is_what_direct_search_finds(seed):
    p, q, _ = drawn(seed, 6)
    seen, unseen, mass = np.array([4, 2]), np.array([0, 1, 3, 5]), 1 - p[[4, 2]].sum()
    _, high = kl_bounds(TopK([seen], [np.log(p[seen])], 6, complete=False), Probs(q[None]))
    fixed = special.rel_entr(p[seen], q[seen]).sum()

    def less(x):
        return -special.rel_entr(special.softmax(x) * mass, q[unseen]).sum()

    found = optimize.differential_evolution(less, [(-60, 60)] * 4, seed=seed, maxiter=100)
    assert fixed - found.fun == pytest.approx(high[0], rel=1e-6)


def test_the_case_of_the_token_that_was_drawn_and_appended():
    """0 was once said to be the most; a spread that agrees with what is seen attains 0.0575."""
    top = TopK([[0, 3]], np.log([[0.5, 0.1]]), 4, complete=False)
    q = Probs([[0.5, 0.2, 0.2, 0.1]])
    low, high = kl_bounds(top, q)
    attained = special.rel_entr([0.3, 0.1], [0.2, 0.2]).sum()
    assert low[0] <= attained <= high[0]
    assert high[0] == pytest.approx(0.4 * np.log(2))
    ranked = TopK([[0, 3]], np.log([[0.5, 0.1]]), 4, ranks=[[1, 4]])
    assert kl_bounds(ranked, q)[1] == pytest.approx(high)


def test_what_no_class_has_room_for_is_spread_at_its_worst_and_not_lost():
    """Within the tolerance a row may leave more than its others can hold: it still counts."""
    top = TopK([[0, 1]], np.log([[1 - 5e-7 - 1e-9, 1e-9]]), 3)
    _, high = kl_bounds(top, Probs([[0.5, 0.5 - 1e-300, 1e-300]]))
    left = top.unseen[0]
    seen = special.rel_entr(np.exp(top.log_probs[0]), [0.5, 0.5]).sum()
    assert high[0] == pytest.approx(seen + left * np.log(left / 1e-300), rel=1e-9)
    assert left == pytest.approx(5e-7, rel=1e-6)


def test_rows_of_unequal_length_are_as_each_row_alone():
    ids, probs = [[3], [0, 1, 2], [1, 0]], [[0.6], [0.5, 0.2, 0.1], [0.7, 0.2]]
    logs = [np.log(row) for row in probs]
    q = Probs(np.random.default_rng(0).dirichlet(np.ones(5), size=3))
    top = TopK(ids, logs, 5)
    assert top.shape == (3, 3)
    together = kl_bounds(top, q)
    for row in range(3):
        alone = kl_bounds(TopK([ids[row]], [logs[row]], 5), q[[row]])
        for both, one in zip(together, alone, strict=True):
            assert both[row] == pytest.approx(one[0])
    assert top[1].caps == pytest.approx([0.1])
    with pytest.raises(InputError, match="each id, got 2 and 1 in row 1"):
        TopK([[3], [0, 1], [2]], [[-1.0], [-1.0], [-1.0, -2.0]], 5)


def test_classes_of_equal_probability_may_share_a_rank():
    logs = np.log([[0.4, 0.2, 0.2, 0.01]])
    assert TopK([[0, 1, 2, 3]], logs, 9, ranks=[[1, 2, 2, 7]]).caps == pytest.approx([0.2])
    assert TopK([[0, 1, 2, 3]], logs, 90, ranks=[[1, 2, 2, 4]]).caps == pytest.approx([0.01])
    assert TopK([[0, 1, 2, 3]], logs, 9, ranks=[[2, 3, 3, 7]]).caps == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"ranks": [[1, 2, 3]]}, "one rank for each id"),
        ({"ranks": [[0, 1]]}, "has a rank that is not from 1 to 3"),
        ({"ranks": [[1, 4]]}, "has a rank that is not from 1 to 3"),
        ({"ranks": [[2, 1]]}, "ranks that do not follow its log-probabilities"),
        ({"ranks": [[1.5, 2]]}, "not a class number"),
        ({"ranks": [[1, 2]], "complete": False}, "ranks say which classes are the most probable"),
        ({"complete": 1}, "complete is True or False"),
    ],
)
def test_options_of_a_topk_that_make_no_sense_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        TopK([[0, 1]], np.log([[0.5, 0.3]]), 3, **options)


def test_a_floor_on_q_bounds_what_q_does_not_tell():
    p, q = laws()
    seen = top_of(q, 3)
    _, open_end = kl_bounds(Logits(p), seen)
    floor = float(np.exp(q).min())
    low, high = kl_bounds(Logits(p), seen, q_floor=floor)
    truth = pandq.kl_divergence(Logits(p), Logits(q))
    assert np.isinf(open_end).all()
    assert (low <= truth).all()
    assert (truth <= high).all()


def test_bounds_in_bits_are_nats_over_log_2():
    p, q = laws()
    nats, bits = (kl_bounds(top_of(p, 2), Logits(q), unit=unit) for unit in ("nat", "bit"))
    assert bits[0] == pytest.approx(nats[0] / np.log(2))


def test_a_class_that_q_forbids_makes_both_bounds_infinite():
    low, high = kl_bounds(TopK([[0]], [[0.0]], 2), Probs([[0.0, 1.0]]))
    assert np.isinf([low[0], high[0]]).all()


def test_rounding_of_what_is_left_is_no_infinity():
    third = np.log(np.array([[1 / 3, 1 / 3, 1 / 3]]))
    top = TopK([[0, 1, 2]], third, 4)
    low, _ = kl_bounds(top, TopK([[2, 1, 0]], third, 4))
    assert low == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("ids", "log_probs", "text"),
    [
        ([[0, 1]], [[-0.7]], "one log-probability for each id"),
        ([[0.0, 1.0]], [[-0.7, -0.8]], "ids are class numbers"),
        ([[0, 4]], [[-0.7, -0.8]], "row 0 has a class out of range"),
        ([[0, 1], [2, 2]], [[-0.7, -0.8], [-1.0, -1.0]], "row 1 names a class twice"),
        ([[0, 1]], [[-0.7, np.nan]], "row 0 holds NaN"),
        ([[0, 1]], [[-0.1, -0.1]], "row 0 has probabilities that sum to 1.8"),
        ([[0, 1, 2]], [[-2.0, -2.0, -2.0]], "row 0 has probabilities that sum to 0.4"),
    ],
)
def test_what_is_no_topk_is_refused_in_words(ids, log_probs, text):
    with pytest.raises(InputError, match=text):
        TopK(ids, log_probs, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t, q: kl_bounds(t, [[1.0]]), "must say what its numbers mean"),
        (lambda t, q: kl_bounds(t, Probs([[0.5, 0.5]])), "different numbers of rows or classes"),
        (lambda t, q: kl_bounds(t, q, q_floor=0.9), "a floor of 3 probabilities"),
        (pandq.kl_divergence, "knows a distribution only in part"),
        (pandq.audit, "knows a distribution only in part"),
    ],
)
def test_what_a_topk_cannot_do_is_refused_in_words(call, text):
    with pytest.raises(InputError, match=text):
        call(TopK([[0, 1]], [[-0.7, -0.8]], 3), Probs([[0.2, 0.3, 0.5]]))


@pytest.mark.parametrize("bare", [None, 7, [[0.5, 0.5]], np.full((1, 2), 0.5), object], ids=repr)
def test_what_is_no_view_is_refused_beside_a_topk_too(bare):
    top = pandq.TopK([[0]], np.log([[0.6]]), 2)
    for pair in ((top, bare), (bare, top), (top, top, bare)):
        with pytest.raises(pandq.ViewTypeError, match="must say what its numbers mean"):
            pandq.compare(*pair)
