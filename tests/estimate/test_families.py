"""KL between laws with parameters: against quadrature and mpmath; and KL by sampling."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import pandq
from pandq import InputError

positive = st.floats(0.2, 8.0)


def by_quadrature(p, q, *points):
    """KL of two laws given by their logarithms in mpmath; its nodes stand close at the ends."""
    with mpmath.workdps(25):

        def integrand(x):
            log_p = p(x)
            return mpmath.exp(log_p) * (log_p - q(x))

        return float(mpmath.quad(integrand, points))


def normal(m, v):
    return lambda x: -((x - m) ** 2) / (2 * mpmath.mpf(v)) - mpmath.log(2 * mpmath.pi * v) / 2


def gamma(a, s):
    a, s = mpmath.mpf(a), mpmath.mpf(s)
    return lambda x: a * mpmath.log(s) - mpmath.loggamma(a) + (a - 1) * mpmath.log(x) - s * x


def beta(a, b):
    a, b = mpmath.mpf(a), mpmath.mpf(b)
    norm = mpmath.log(mpmath.beta(a, b))
    return lambda x: (a - 1) * mpmath.log(x) + (b - 1) * mpmath.log1p(-x) - norm


@given(st.floats(-2, 2), positive, st.floats(-2, 2), positive)
def test_gaussians_are_those_of_quadrature(m, v, n, w):
    found = float(pandq.gaussian_kl([m], [v], [n], [w]))
    span = 12 * np.sqrt(v)
    expected = by_quadrature(normal(m, v), normal(n, w), m - span, m, m + span)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert float(pandq.gaussian_kl([m], [[v]], [n], [[w]])) == pytest.approx(found, abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_full_gaussians_are_those_of_mpmath(d, seed):
    rng = np.random.default_rng(seed)
    a, b = (x @ x.T + 0.1 * np.eye(d) for x in rng.normal(size=(2, d, d)))
    m, n = rng.normal(size=(2, d))
    with mpmath.workdps(40):
        inverse = mpmath.matrix(b.tolist()) ** -1
        apart = mpmath.matrix((n - m).tolist())
        trace = sum((inverse * mpmath.matrix(a.tolist()))[i, i] for i in range(d))
        ratio = mpmath.det(mpmath.matrix(b.tolist())) / mpmath.det(mpmath.matrix(a.tolist()))
        expected = (trace + (apart.T * inverse * apart)[0] - d + mpmath.log(ratio)) / 2
    assert float(pandq.gaussian_kl(m, a, n, b)) == pytest.approx(float(expected), rel=1e-9)


def test_nearly_equal_gaussians_keep_their_digits():
    v = np.ones(3)
    assert pandq.gaussian_kl(np.zeros(3), v * (1 + 1e-9), np.zeros(3), v) == pytest.approx(
        3 * 1e-18 / 4, rel=1e-6
    )
    assert pandq.gaussian_kl(np.zeros(3), np.eye(3), np.zeros(3), np.eye(3)) == 0.0


@settings(max_examples=20)
@given(st.floats(0.8, 6), positive, st.floats(0.8, 6), positive)
def test_gammas_and_betas_are_those_of_quadrature(a, s, b, t):
    found = float(pandq.gamma_kl(a, s, b, t))
    expected = by_quadrature(gamma(a, s), gamma(b, t), 0, a / s, 60 * (1 + a) / s)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)
    found = float(pandq.beta_kl(a, 0.6 + s, b, 0.6 + t))
    expected = by_quadrature(beta(a, 0.6 + s), beta(b, 0.6 + t), 0, 0.5, 1)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)


@given(st.lists(positive, min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_dirichlets_are_those_of_mpmath(alpha, seed):
    beta = np.random.default_rng(seed).uniform(0.2, 8, len(alpha))
    with mpmath.workdps(40):
        total_a, total_b = mpmath.fsum(alpha), mpmath.fsum(beta.tolist())
        expected = mpmath.loggamma(total_a) - mpmath.loggamma(total_b)
        for a, b in zip(alpha, beta.tolist(), strict=True):
            expected += mpmath.loggamma(b) - mpmath.loggamma(a)
            expected += (a - mpmath.mpf(b)) * (mpmath.digamma(a) - mpmath.digamma(total_a))
    found = float(pandq.dirichlet_kl(alpha, beta))
    assert found == pytest.approx(float(expected), rel=1e-10, abs=1e-12)


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_bernoullis_are_categoricals_of_two(p, q):
    both = pandq.categorical_kl([1 - p, p], [1 - q, q])
    assert float(pandq.bernoulli_kl(p, q)) == pytest.approx(float(both), abs=1e-15)


def test_shapes_are_those_of_the_parameters_broadcast():
    assert pandq.gaussian_kl(np.zeros((4, 3, 2)), np.ones(2), np.ones(2), np.ones(2)).shape == (
        4,
        3,
    )
    assert pandq.gamma_kl(np.ones((2, 1)), 1.0, np.ones(5), 1.0).shape == (2, 5)
    assert pandq.dirichlet_kl(np.ones((3, 2)), np.ones(2)).shape == (3,)
    assert pandq.bernoulli_kl([0.1, 0.2], 0.5).shape == (2,)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_sampling_covers_the_truth_as_often_as_it_says(estimator):
    truth = float(pandq.gaussian_kl([0.0], [1.0], [0.3], [0.8]))
    p, q = stats.norm(0, 1), stats.norm(0.3, np.sqrt(0.8))
    x = np.linspace(-12, 12, 200_001)
    expected = truth
    if estimator == "k2":
        log_r = q.logpdf(x) - p.logpdf(x)
        expected = integrate.trapezoid(p.pdf(x) * log_r**2 / 2, x)
    covered = 0
    for seed in range(300):
        draws = np.random.default_rng(seed).normal(size=500)
        found = pandq.monte_carlo_kl(p.logpdf, q.logpdf, draws, estimator=estimator)
        covered += found.low <= expected <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def test_draws_in_sequences_have_intervals_over_sequences():
    """Draws that repeat within a sequence: taken as independent they cover far too seldom."""
    p, q = stats.norm(0, 1), stats.norm(0.5, 1)
    sequence, covered = np.repeat(np.arange(30), 20), np.zeros(2)
    for seed in range(200):
        draws = np.repeat(np.random.default_rng(seed).normal(size=30), 20)
        for place, cluster in enumerate((None, sequence)):
            found = pandq.monte_carlo_kl(p.logpdf, q.logpdf, draws, cluster=cluster)
            covered[place] += found.low <= 0.125 <= found.high
    assert covered[0] / 200 < 0.5
    assert 0.91 <= covered[1] / 200 <= 0.99
    assert "over 30 clusters" in found.method


def test_k3_overflows_where_q_is_far_more_probable_and_says_so():
    found = pandq.monte_carlo_kl(
        lambda x: -1000.0 * x, lambda x: 0.0 * x, np.array([0.0, 1.0]), estimator="k3"
    )
    assert found.value == np.inf
    assert "Q's density is exp(1e+03) times P's at a draw of P" in found.method
    other = pandq.monte_carlo_kl(
        lambda x: 0.0 * x, lambda x: -1000.0 * x, np.array([0.0, 1.0]), estimator="k3"
    )
    assert other.value == pytest.approx((1000 - 1) / 2)


def by_neighbours(d, apart, variance, n_seeds):
    truth = float(
        pandq.gaussian_kl(np.zeros(d), np.ones(d), np.full(d, apart), np.full(d, variance))
    )
    found = []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(600, d))
        y = rng.normal(apart, np.sqrt(variance), size=(600, d))
        found.append(pandq.knn_kl(x, y))
    return truth, found


@pytest.mark.parametrize("d", [1, 2, 4, 8])
def test_neighbours_find_the_kl_of_gaussians_that_overlap(d):
    truth, found = by_neighbours(d, 0.7, 1.5, 16)
    values = [f.value for f in found]
    assert np.mean(values) == pytest.approx(truth, rel=0.08)
    told = np.mean([f.half_width for f in found]) / stats.t.ppf(0.975, 19)
    assert 0.5 < told / np.std(values, ddof=1) < 2
    assert np.mean([f.low <= np.mean(values) <= f.high for f in found]) >= 0.8


def test_neighbours_find_too_little_where_the_docstring_says_so():
    truth, found = by_neighbours(4, 1.5, 1.0, 8)
    assert truth == pytest.approx(4.5)
    assert np.mean([f.value for f in found]) == pytest.approx(2.9, abs=0.1)
    assert all(f.high < truth for f in found)


def test_neighbours_of_samples_of_one_distribution_find_nothing():
    rng = np.random.default_rng(0)
    found = pandq.knn_kl(rng.normal(size=(1000, 3)), rng.normal(size=(1500, 3)))
    assert found.low < 0 < found.high
    assert "1,000 and 1,500 points in 3 dimensions" in found.method
    assert "which no interval contains" in found.method


def test_gradients_of_the_estimators_are_biased_where_the_docstring_says_so():
    """Gaussians of variances 1 and 1/2: KL is (m - n)^2 plus a constant; the draws stay."""
    m, n, step = 0.0, 0.8, 1e-4
    draws = np.random.default_rng(0).normal(m, 1, 400_000)

    def mean(estimator, m, n):
        p, q = stats.norm(m, 1).logpdf, stats.norm(n, np.sqrt(0.5)).logpdf
        return pandq.monte_carlo_kl(p, q, draws, estimator=estimator).value

    for estimator, in_q, in_p in (("k1", True, False), ("k2", False, True), ("k3", True, False)):
        by_q = (mean(estimator, m, n + step) - mean(estimator, m, n - step)) / (2 * step)
        by_p = (mean(estimator, m + step, n) - mean(estimator, m - step, n)) / (2 * step)
        assert bool(abs(by_q - 2 * (n - m)) < 0.03) is in_q
        assert bool(abs(by_p - 2 * (m - n)) < 0.03) is in_p


def test_k3_is_never_negative_and_varies_least_near_equality():
    p, q = stats.norm(0, 1), stats.norm(0.05, 1)
    draws = np.random.default_rng(0).normal(size=2000)
    found = {k: pandq.monte_carlo_kl(p.logpdf, q.logpdf, draws, estimator=k) for k in ("k1", "k3")}
    assert found["k3"].low > 0
    assert found["k3"].half_width < found["k1"].half_width / 5


def test_the_elbo_is_the_evidence_when_q_is_the_posterior_and_never_above_it_otherwise():
    """A Gaussian mean with a Gaussian prior: everything is known in closed form."""
    rng = np.random.default_rng(0)
    y = rng.normal(1.0, 1.0, 20)
    n, prior = len(y), 4.0
    variance = 1 / (n + 1 / prior)
    mean = variance * y.sum()
    evidence = stats.multivariate_normal(np.zeros(n), np.eye(n) + prior).logpdf(y)

    def bound(m, v):
        draws = rng.normal(m, np.sqrt(v), 4000)
        likelihood = stats.norm(draws[:, None], 1).logpdf(y).sum(axis=1)
        return pandq.elbo(
            likelihood, float(pandq.gaussian_kl([m], [v], [0.0], [prior])), level=0.999
        )

    best = bound(mean, variance)
    assert best.low < evidence < best.high
    for m, v in ((mean + 0.3, variance), (mean, 3 * variance), (0.0, prior)):
        gap = float(pandq.gaussian_kl([m], [v], [mean], [variance]))
        other = bound(m, v)
        assert other.low < evidence - gap < other.high


def test_the_elbo_fits_one_hump_of_two():
    """KL(q || p) punishes mass where the target has none: q sits on one hump, with its width."""
    grid = np.linspace(-12, 12, 4001)
    target = np.logaddexp(stats.norm(-4, 1).logpdf(grid), stats.norm(4, 1).logpdf(grid)) - np.log(2)

    def kl(m, s):
        q = stats.norm(m, s)
        weights = q.pdf(grid)
        return integrate.trapezoid(weights * (q.logpdf(grid) - target), grid)

    from scipy import optimize

    start = [3.0, 0.0]
    found = optimize.minimize(lambda x: kl(x[0], np.exp(x[1])), start, method="Nelder-Mead").x
    assert abs(abs(found[0]) - 4) < 0.05
    assert np.exp(found[1]) == pytest.approx(1.0, abs=0.05)
    assert kl(0.0, 4.1) > kl(found[0], np.exp(found[1]))


BAD = {
    "a variance of zero": lambda: pandq.gaussian_kl([0.0], [0.0], [0.0], [1.0]),
    "another dimension": lambda: pandq.gaussian_kl([0.0], [1.0], [0.0, 1.0], [1.0, 1.0]),
    "no covariance": lambda: pandq.gaussian_kl([0.0, 0], -np.eye(2), [0.0, 0], np.eye(2)),
    "no symmetry": lambda: pandq.gaussian_kl([0.0, 0], [[1, 0.5], [0, 1]], [0.0, 0], np.eye(2)),
    "a negative shape": lambda: pandq.gamma_kl(-1.0, 1.0, 1.0, 1.0),
    "no law": lambda: pandq.categorical_kl([0.5, 0.6], [0.5, 0.5]),
    "no probability": lambda: pandq.bernoulli_kl(1.5, 0.5),
    "arrays for functions": lambda: pandq.monte_carlo_kl(np.ones(3), np.ones(3), np.ones(3)),
    "one draw": lambda: pandq.monte_carlo_kl(np.abs, np.abs, np.ones(1)),
    "an unknown estimator": lambda: pandq.monte_carlo_kl(
        np.abs, np.abs, np.ones(3), estimator="k4"
    ),
    "NaN": lambda: pandq.monte_carlo_kl(np.abs, np.abs, np.array([1.0, np.nan])),
    "clusters of another length": lambda: pandq.monte_carlo_kl(
        np.abs, np.abs, np.ones(3), cluster=[1, 2]
    ),
    "one cluster": lambda: pandq.monte_carlo_kl(np.abs, np.abs, np.ones(3), cluster=[1, 1, 1]),
    "few points": lambda: pandq.knn_kl(np.arange(50.0), np.arange(200.0)),
    "points that are the same": lambda: pandq.knn_kl(np.ones(200), np.arange(200.0)),
    "dimensions that differ": lambda: pandq.knn_kl(np.eye(200), np.arange(200.0)),
    "a point that is not finite": lambda: pandq.knn_kl(
        np.r_[np.inf, np.arange(199.0)], np.arange(200.0)
    ),
    "no neighbour": lambda: pandq.knn_kl(np.arange(200.0), np.arange(200.0), k=0),
    "one draw of q": lambda: pandq.elbo([1.0], 0.0),
    "text": lambda: pandq.beta_kl("one", 1.0, 1.0, 1.0),
    "shapes that do not fit": lambda: pandq.gamma_kl([1.0, 2.0], [1.0, 2.0, 3.0], 1.0, 1.0),
    "no classes": lambda: pandq.dirichlet_kl([], []),
    "no dimensions": lambda: pandq.gaussian_kl([], [], [], []),
    "a mean that is NaN": lambda: pandq.gaussian_kl([np.nan], [1.0], [1.0], [1.0]),
    "fewer digits than any": lambda: pandq.beta_kl(5e-324, 0.5, 0.5, 0.5),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_law_is_refused(case):
    with pytest.raises(InputError):
        BAD[case]()


def exact(f, digits, *parameters):
    """A closed form of numbers of so many orders, by as many digits as may cancel."""
    with mpmath.workdps(100 + 4 * digits):
        return f(*([mpmath.mpf(float(x)) for x in p] for p in parameters))


def exact_gamma(p, q):
    (a, s), (b, t) = p, q
    log_gamma = mpmath.loggamma(b) - mpmath.loggamma(a)
    return (a - b) * mpmath.digamma(a) + log_gamma + b * mpmath.log(s / t) + a * (t - s) / s


def exact_dirichlet(p, q):
    total_p, total_q = mpmath.fsum(p), mpmath.fsum(q)
    found = mpmath.loggamma(total_p) - mpmath.loggamma(total_q)
    for a, b in zip(p, q, strict=True):
        found += mpmath.loggamma(b) - mpmath.loggamma(a)
        found += (a - b) * (mpmath.digamma(a) - mpmath.digamma(total_p))
    return found


VALUES = {
    "a beta of large parameters": (pandq.beta_kl(1e7, 1e7, 1e7 + 1, 1e7), 2.5e-8),
    "of a large and a small one": (pandq.beta_kl(1e20, 3, 1e20, 4), 0.1758),
    "a gamma of nearly equal rates": (pandq.gamma_kl(5, 1, 5, 1 + 1e-9), 2.5e-18),
}


@pytest.mark.parametrize("case", VALUES)
def test_closed_forms_keep_the_digits_of(case):
    found, expected = VALUES[case]
    assert float(found) == pytest.approx(expected, rel=1e-3)


def parameters(rng, digits):
    """Some that are equal, nearly equal, some orders apart, or anything."""
    a = 10.0 ** rng.uniform(-digits, digits, 3)
    near = a * (1 + rng.normal(size=3) * 10.0 ** rng.uniform(-14, 0, 3))
    some, any_ = a * 10.0 ** rng.uniform(-3, 3, 3), 10.0 ** rng.uniform(-digits, digits, 3)
    return a, np.abs(np.choose(rng.integers(4, size=3), [a, near, some, any_]))


@pytest.mark.parametrize("digits", [1, 5, 20, 150])
def test_closed_forms_are_those_of_mpmath_over_300_orders_of_magnitude(digits):
    rng = np.random.default_rng(digits)
    for _ in range(4):
        p, q = parameters(rng, digits)
        for found, formula, width in (
            (pandq.dirichlet_kl(p, q), exact_dirichlet, 3),
            (pandq.beta_kl(*p[:2], *q[:2]), exact_dirichlet, 2),
            (pandq.gamma_kl(*p[:2], *q[:2]), exact_gamma, 2),
        ):
            expected = exact(formula, digits, p[:width], q[:width])
            assert float(found) == pytest.approx(float(expected), rel=1e-12, abs=0), (p, q)


@settings(max_examples=30)
@given(st.lists(st.floats(-290, 290), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_closed_forms_are_never_negative_and_0_only_from_themselves(digits, seed):
    rng = np.random.default_rng(seed)
    p = 10.0 ** np.array(digits)
    q = p * (1 + rng.choice([0, 1e-15, 1e-9, 0.1], len(p)))
    assert float(pandq.dirichlet_kl(p, q)) >= 0
    assert float(pandq.gamma_kl(*p[:2], *q[:2])) >= 0
    assert float(pandq.dirichlet_kl(p, p)) == float(pandq.gamma_kl(*p[:2], *p[:2])) == 0.0


def test_gaussians_tell_variances_from_covariances_by_their_dimensions():
    rng = np.random.default_rng(0)
    m, n = rng.normal(size=(2, 3, 2))
    v, w = rng.uniform(0.5, 2, (2, 3, 2))
    expected = [pandq.gaussian_kl(*row) for row in zip(m, v, n, w, strict=True)]
    full_v, full_w = (x[:, :, None] * np.eye(2) for x in (v, w))
    for a, b in ((v, w), (full_v, full_w), (v, full_w), (full_v, w)):
        assert pandq.gaussian_kl(m, a, n, b) == pytest.approx(expected, rel=1e-13)
    # as many rows as coordinates: still one variance for each
    assert pandq.gaussian_kl(m[:2], v[:2], n[:2], w[:2]) == pytest.approx(expected[:2], rel=1e-13)
    once = pandq.gaussian_kl(m, full_v[:1], n[0], full_w)
    for row, found in enumerate(once):
        one = pandq.gaussian_kl(m[row], full_v[0], n[0], full_w[row])
        assert found == pytest.approx(one, rel=1e-13)
    with pytest.raises(InputError, match="covariances \\(\\.\\.\\., 2, 2\\)"):
        pandq.gaussian_kl(m[0], np.ones((3, 2)), n[0], w[0])
    with pytest.raises(InputError, match="shapes of two Gaussians differ"):
        pandq.gaussian_kl(m, np.ones((2, 2)), n, w)


def test_symmetry_is_judged_relative_to_the_diagonal():
    tiny = np.array([[1.0, 1e-9 + 1e-15], [1e-9, 1.0]])
    assert pandq.gaussian_kl([0.0, 0], tiny, [0.0, 0], tiny) == 0.0
    small = np.array([[1e-12, 1e-13], [3e-13, 1e-12]])
    with pytest.raises(InputError, match="not symmetric"):
        pandq.gaussian_kl([0.0, 0], small, [0.0, 0], np.eye(2))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_nearly_equal_covariances_of_any_scale_keep_their_digits(scale):
    b = np.array([[2.0, 0.5], [0.5, 1.0]]) * scale
    a = b + np.array([[1e-9, 0], [0, 0]]) * scale
    change = np.linalg.inv(b / scale)[0, 0] * ((a - b) / scale)[0, 0]
    found = pandq.gaussian_kl([0.0, 0], a, [0.0, 0], b)
    assert found == pytest.approx(change**2 / 4, rel=1e-8)


def test_overflow_of_k3_is_no_verdict_on_q():
    x = np.zeros(3)

    def log_p(_):
        return np.array([0.0, 0.0, -800.0])

    found = pandq.monte_carlo_kl(log_p, lambda x: x, x, estimator="k3")
    assert np.isinf(found.value)
    assert "Q's density is exp(800) times P's" in found.method
    assert "rules out" not in found.method
    ruled_out = pandq.monte_carlo_kl(lambda x: x, lambda x: x - np.inf, x, estimator="k3")
    assert "Q rules out draws of P" in ruled_out.method
