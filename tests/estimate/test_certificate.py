"""Certified floors: bounds that hold for every law, whatever they were trained on."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import comb
from scipy.stats import binom

from pandq.core.hashing import fold_of, hash_ids
from pandq.estimate.floor.bernstein import (
    bernstein_basis,
    bound_vectors,
    check,
    entropy_term,
    thinning,
)
from pandq.estimate.floor.blind import BlindBounds
from pandq.estimate.floor.certificate import ManyVotes, Stratum, stratum_degrees, train_certificate
from pandq.estimate.floor.mixture import fit_mixture
from pandq.estimate.floor.pairs import train_pairs
from pandq.estimate.floor.planner import plan_budget, rows_to_plan
from pandq.estimate.floor.smooth import smooth_bound_vectors
from pandq.sums.resample import PoissonBootstrap

rng = np.random.default_rng(3)
N, K = 1_500, 4
TRUTH = rng.dirichlet(np.full(K, 0.6), N)
Q = TRUTH**1.3 / (TRUTH**1.3).sum(axis=1, keepdims=True)
FLOOR = -(TRUTH * np.log(TRUTH)).sum(axis=1).mean()
GRID = np.unique(np.r_[0.0, np.geomspace(1e-12, 1, 20_001), 1 - np.geomspace(1e-12, 1, 20_001)])


def pair_lower_vector(agreement):
    """The best lower vector for two votes; it touches h at 0 and at t (Karlin and Studden 1966)."""
    slope = 1.0 - np.log(agreement)
    return np.array([0.0, slope / 2.0, slope - 1.0 / agreement])


def pair_upper_vector(atom):
    """The best upper vector for two votes: it touches h at y and passes through h(1) = 0."""
    h, slope, r = -atom * np.log(atom), -1.0 - np.log(atom), 1.0 - atom
    b = -(slope + h / r) / r
    a = h / r - b * r
    return np.array([a + b, a / 2.0, 0.0])


def votes(m, seed=0):
    return np.random.default_rng(seed).multinomial(m, TRUTH)


@pytest.mark.parametrize("m", [1, 2, 3, 5, 10, 47])
def test_trained_vectors_lie_on_their_side_of_the_entropy_everywhere(m):
    certificate = train_certificate(votes(m), Q)
    h = entropy_term(GRID)
    for stratum in certificate.strata:
        if not isinstance(stratum, Stratum):
            continue
        basis = bernstein_basis(stratum.degree, GRID)
        for lower, upper in zip(stratum.lower, stratum.upper, strict=True):
            assert (basis @ lower <= h + 1e-12).all()
            assert (basis @ upper >= h - 1e-12).all()


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 6, 12, 30, 100])
def test_any_counts_give_a_sound_vector(m, side):
    h = entropy_term(GRID)
    shares = np.random.default_rng(m).dirichlet(np.full(m + 1, 0.3), 6)
    shares[0] = np.eye(m + 1)[0]
    cells = np.array([400.0, 3.0, 10.0, 400.0, 1e5, 1e7])
    made = []
    if m <= 2:
        made.append(bound_vectors(shares, np.full(6, 400.0), side=side, kappa=1.0))
    if m > 1:
        made += [smooth_bound_vectors(shares, cells, side=side, penalty=x) for x in (1e-4, 0.1)]
    for vector in np.concatenate(made):
        gap = h - bernstein_basis(m, GRID) @ vector
        assert (gap if side == "lower" else -gap).min() >= -1e-12


@pytest.mark.parametrize("m", [2, 3, 5, 20, 60])
def test_a_vector_that_crosses_the_entropy_by_a_hair_is_found_out(m):
    h, basis = entropy_term(GRID), bernstein_basis(m, GRID)
    for side, sign in (("lower", 1.0), ("upper", -1.0)):
        vector = rng.normal(size=(40, m + 1))
        vector[:, 0] = 0.0 if side == "lower" else abs(vector[:, 0])
        for size in (1.0, 0.1, 0.01):
            v = vector * size
            worst = (sign * (v @ basis.T - h)).max(axis=1)
            found = check(v, side).worst
            assert (found >= worst - 1e-15).all()
            assert (found <= np.maximum(worst, 0) + 1e-5).all()


def by_linear_programme(share, error, side):
    """The best vector by the definition, its constraint on a grid, and what it is worth."""
    m, sign = len(share) - 1, 1.0 if side == "lower" else -1.0
    x = np.unique(np.r_[0, np.geomspace(1e-9, 1, 400), np.linspace(0, 1, 600)])
    rows = sign * bernstein_basis(m, x)
    for strength in 2.0 ** np.arange(8):
        cost = np.r_[strength * error - sign * share, strength * error + sign * share]
        found = linprog(
            cost, np.hstack([rows, -rows]), sign * entropy_term(x), bounds=(0, None), method="highs"
        )
        if found.x is not None:
            return -found.fun, strength
    return None


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("m", [1, 2])
def test_one_and_two_votes_have_the_vectors_of_their_linear_programme(m, side):
    generator = np.random.default_rng(m)
    for cells in (20, 60, 500, 20_000):
        for a in (0.05, 0.5, 3.0):
            for b in (0.1, 1.0, 20.0):
                drawn = generator.binomial(m, generator.beta(a, b, cells))
                share = np.bincount(drawn, minlength=m + 1) / cells
                error = np.sqrt((share + 1 / cells) / cells)
                best, strength = by_linear_programme(share, error, side)
                (v,) = bound_vectors(share[None], np.array([cells]), side=side, kappa=1.0)
                sign = 1.0 if side == "lower" else -1.0
                worth = sign * share @ v - strength * error @ abs(v)
                # on its grid the programme may cross h between two points
                assert best - 2e-4 <= worth <= best + 1e-7


def test_pairs_of_votes_have_the_bounds_known_in_closed_form():
    x = np.random.default_rng(1).beta(0.4, 1.2, 4_000)
    share = np.stack([(1 - x) ** 2, 2 * x * (1 - x), x**2], axis=1).mean(axis=0)
    m1, m2 = share[1] / 2 + share[2], share[2]
    lower, upper = pair_lower_vector(m2 / m1), pair_upper_vector((m1 - m2) / (1 - m1))
    many = np.array([1e12])
    for known, side in ((lower, "lower"), (upper, "upper")):
        (found,) = bound_vectors(share[None], many, side=side, kappa=0.0)
        assert share @ known == pytest.approx(share @ found, abs=1e-7)
    t = m2 / m1
    assert lower == pytest.approx([0, (1 - np.log(t)) / 2, 1 - np.log(t) - 1 / t])


@pytest.mark.parametrize("k", [2, 3, 10])
def test_joint_tables_of_two_votes_hold_on_the_whole_simplex(k):
    generator = np.random.default_rng(k)
    truth = generator.dirichlet(np.full(k, 0.5), 800)
    q = truth**0.8 / (truth**0.8).sum(axis=1, keepdims=True)
    tables = train_pairs(generator.multinomial(2, truth), q, 4, kappa=1.0)
    sharp = [generator.dirichlet(np.full(k, a), 300) for a in (0.02, 0.2, 1.0, 5.0)]
    p = np.vstack([np.eye(k), np.full((1, k), 1 / k), *sharp])
    prior = generator.dirichlet(np.full(k, 0.7), len(p))
    low, high = np.zeros(len(p)), np.zeros(len(p))
    for i in range(k):
        for j in range(k):
            votes = np.tile(np.eye(k, dtype=int)[i] + np.eye(k, dtype=int)[j], (len(p), 1))
            below, above = tables.bounds(votes, prior, np.full(len(p), 2))
            low += p[:, i] * p[:, j] * below
            high += p[:, i] * p[:, j] * above
    entropy = entropy_term(p).sum(axis=1)
    assert (low <= entropy + 1e-9).all()
    assert (high >= entropy - 1e-9).all()


def test_one_vote_gives_nothing_below_and_a_tangent_above():
    certificate = train_certificate(votes(1), Q)
    low, high = certificate.row_bounds(votes(1, seed=1), Q)
    assert abs(low).max() < 1e-12
    assert high.mean() > FLOOR


def test_thinning_keeps_the_polynomial():
    vector = rng.normal(size=4)
    raised = thinning(np.full(10, 9), np.arange(10), 3) @ vector
    x = rng.random(50)
    np.testing.assert_allclose(
        bernstein_basis(9, x) @ raised, bernstein_basis(3, x) @ vector, atol=1e-12
    )


@pytest.mark.parametrize("votes", [100, 101, 5_000, 10**9, 2**40])
def test_thinning_is_hypergeometric_for_any_number_of_votes(votes):
    counts = np.array([0, 1, 40, votes // 3, votes - 50, votes - 1, votes])
    found = thinning(np.full(len(counts), votes), counts, 100)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    for law, c in zip(found, counts, strict=True):
        for j in (0, 1, 33, 99, 100):
            # by the definition, in whole numbers
            ways = comb(int(c), j, exact=True) * comb(votes - int(c), 100 - j, exact=True)
            expected = Fraction(ways, comb(votes, 100, exact=True))
            assert law[j] == pytest.approx(float(expected), rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("votes", [100_000, 2**40])
def test_very_many_votes_take_the_floor_that_they_give(votes):
    truth = rng.dirichlet(np.full(3, 0.6), 400)
    counts = rng.multinomial(votes, truth)
    counts[0] = [2, 1, 0]  # beside few
    q = 0.9 * truth + 0.1 / 3
    certificate = train_certificate(counts[200:], q[200:])
    low, high = (x[1:] for x in certificate.row_bounds(counts[:200], q[:200]))
    exact = entropy_term(truth[1:200]).sum(axis=1)
    assert (high - low <= 2.1 / votes).all()
    assert abs(low.mean() - exact.mean()) < 3 * np.log(votes) / np.sqrt(200 * votes) + 1e-12


def test_plug_in_bounds_hold_between_them_what_few_votes_would_show():
    """Also where nobody would use them: their means enclose the entropy for any law."""
    for m in (1, 2, 10):
        p = np.array([0.6, 0.3, 0.1])
        counts = rng.multinomial(m, p, 20_000)
        low, high = ManyVotes(1).bounds(counts, counts, counts.sum(axis=1))
        error = 4 * low.std() / np.sqrt(len(low))
        assert low.mean() - error <= entropy_term(p).sum() <= high.mean() + error


def test_the_basis_is_the_binomial_law():
    x = rng.random(20)
    expected = binom.pmf(np.arange(6), 5, x[:, None])
    np.testing.assert_allclose(bernstein_basis(5, x), expected, rtol=1e-12)


@pytest.mark.parametrize("m", [2, 3, 5, 12])
def test_cross_fitted_bounds_hold_the_truth_between_them(m):
    counts, low, high = votes(m), np.empty(N), np.empty(N)
    halves = fold_of(hash_ids(np.arange(N)), 2)
    for half in (0, 1):
        rows = halves == half
        certificate = train_certificate(counts[~rows], Q[~rows])
        low[rows], high[rows] = certificate.row_bounds(counts[rows], Q[rows])
    error = 2.5 * (low.std() + high.std()) / np.sqrt(N)
    assert low.mean() - error < FLOOR < high.mean() + error


def test_bounds_of_a_wrong_q_hold_all_the_same():
    wrong = np.random.default_rng(8).dirichlet(np.ones(K), N)
    certificate = train_certificate(votes(3), wrong)
    low, high = certificate.row_bounds(votes(3, seed=5), wrong)
    error = 3 * (low.std() + high.std()) / np.sqrt(N)
    assert low.mean() - error < FLOOR < high.mean() + error


def test_more_votes_bring_the_bounds_together():
    gaps = []
    for m in (2, 5, 20):
        low, high = train_certificate(votes(m), Q).row_bounds(votes(m, seed=1), Q)
        gaps.append((high - low).mean())
    # measured on rows that trained neither, where a gap near nothing may fall below it
    assert gaps[0] > 5 * abs(gaps[1])
    assert abs(gaps[2]) < 0.01


def test_blind_bounds_do_not_look_at_q():
    low, high = BlindBounds.of(votes(3)).row_bounds(votes(3, seed=1))
    assert low.mean() < FLOOR < high.mean()


def test_every_number_of_votes_finds_a_stratum():
    mixed = np.repeat([1, 2, 3, 9, 40], 300)
    degrees = stratum_degrees(mixed)
    assert degrees[0] == 1
    assert degrees == sorted(set(degrees))
    assert all(d <= 40 for d in degrees)


def test_the_mixture_finds_the_entropy_of_data_drawn_from_such_a_model():
    counts = votes(4)
    mixture = fit_mixture(counts, Q)
    assert mixture.posterior_entropy(counts, Q).mean() == pytest.approx(FLOOR, rel=0.05)
    np.testing.assert_allclose(mixture.prior_mean(Q).sum(axis=1), 1.0, rtol=1e-9)


def test_the_mixture_survives_zeros_and_certainty_in_q():
    q = np.where(Q.max(axis=1, keepdims=True) == Q, 1.0, 0.0)
    assert np.isfinite(fit_mixture(votes(3), q).prior_mean(q)).all()


def test_the_plan_promises_narrower_intervals_for_more_votes_and_rows():
    plan = plan_budget(fit_mixture(votes(3), Q), Q, rows=rows_to_plan(10_000))
    assert (np.diff(plan.width, axis=0) < 0).all()
    assert plan.width[0, 1] > plan.width[0, -1]


@pytest.mark.parametrize("m", [2, 5])
def test_what_a_plan_gives_away_for_less_work_is_below_a_hundredth_of_any_width(monkeypatch, m):
    mixture, rows = fit_mixture(votes(m), Q), rows_to_plan(10_000)
    plan = plan_budget(mixture, Q, rows=rows)
    monkeypatch.setattr("pandq.estimate.floor.planner._GIVEN_AWAY", 0.0)
    exact = plan_budget(mixture, Q, rows=rows)
    assert (plan.width != exact.width).any()
    np.testing.assert_allclose(plan.width, exact.width, rtol=0.01)


def test_the_bootstrap_has_the_standard_error_of_the_mean():
    x = rng.normal(size=(4_000, 1))
    drawn = PoissonBootstrap.empty(1, replicates=800).of_only(hash_ids(np.arange(4_000)), x)
    assert drawn.means().std() == pytest.approx(x.std() / np.sqrt(4_000), rel=0.1)
    counts = PoissonBootstrap.empty(1, replicates=50).of_only(
        hash_ids(np.arange(9)), np.ones((9, 1))
    )
    assert counts.totals[:, 0].mean() == pytest.approx(9, abs=1.5)
