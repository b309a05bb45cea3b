"""BayesianSoftmaxRegression: the bound against quadrature and NUTS, and what it does not know."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special, stats
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pandq
from pandq import BayesianSoftmaxRegression, Counts, InputError, Labels, Probs
from pandq.fit.regressions.bayesfit import Space
from pandq.fit.regressions.bayessums import BoundSums, Rule, contrasts
from pandq.fit.regressions.posterior import Posterior, of_precision
from pandq.fit.regressions.softmaxsums import Problem, Rows

COVARIANCES = ("full", "blocks", "diagonal")


# A row takes its own turn of the rule, by its number: other numbers, other rounding of the bound.
BY_THE_RULE = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "the rule that takes expectations is turned by the row's number",
)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [BayesianSoftmaxRegression(n_nodes=32)], expected_failed_checks=lambda _: BY_THE_RULE
)
def test_it_is_an_estimator_by_scikit_learns_conventions(estimator, check):
    check(estimator)


def problem(n=300, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    p = special.softmax(X @ rng.normal(size=(d, k)), axis=1)
    return X, p, np.array([rng.choice(k, p=row) for row in p])


def test_with_one_parameter_the_bound_and_the_posterior_are_those_of_quadrature():
    """One coefficient, no intercept: the evidence and the best Gaussian by integrals on a grid."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = (rng.random(40) < special.expit(1.5 * x)).astype(int)
    model = BayesianSoftmaxRegression(fit_intercept=False, prior_scale=2.0, tol=1e-6)
    model.fit(x[:, None], y)
    w = np.linspace(-6, 8, 20_001)
    log_p = stats.norm(0, 2).logpdf(w) - np.logaddexp(0, np.outer(w, np.where(y, -x, x))).sum(
        axis=1
    )
    evidence = np.log(integrate.trapezoid(np.exp(log_p), w))
    q = stats.norm(model.coef_[0, 0], np.sqrt(model.posterior_.variance[0, 0]))
    bound = integrate.trapezoid(q.pdf(w) * (log_p - q.logpdf(w)), w)
    assert model.bound_ == pytest.approx(bound, abs=1e-5)
    assert bound < evidence < bound + 0.02
    gap = integrate.trapezoid(q.pdf(w) * (q.logpdf(w) - (log_p - evidence)), w)
    assert evidence - bound == pytest.approx(gap, abs=1e-8)
    for m, s in ((0.02, 0.0), (0.0, 0.03), (-0.02, 0.0), (0.0, -0.03)):
        other = stats.norm(q.mean() + m, q.std() * np.exp(s))
        worse = integrate.trapezoid(other.pdf(w) * (log_p - other.logpdf(w)), w)
        assert worse < bound


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("k", [2, 4])
def test_the_bound_is_what_fresh_draws_say(covariance, k):
    X, _, y = problem(k=k)
    model = BayesianSoftmaxRegression(covariance=covariance).fit(X, y)
    assert model.elbo_.low - 0.5 < model.bound_ < model.elbo_.high + 1.0
    assert model.gradient_norm_ <= 1e-3
    q, d = model.posterior_, X.shape[1]
    draws = q.draws(4000, np.random.default_rng(5))
    z = np.einsum("nd,tds->tns", np.column_stack([X, np.ones(len(X))]), draws)
    z = np.concatenate([np.zeros_like(z), z], axis=2) if k == 2 else z
    likelihood = special.log_softmax(z, axis=2)[:, np.arange(len(y)), y].sum(axis=1)
    prior = np.append(np.ones(d), 100.0)[:, None]
    flat = np.tile(prior.T.ravel(), q.mean.shape[1])
    kl = pandq.gaussian_kl(q.flat, q.covariance, np.zeros_like(q.flat), flat)
    assert model.kl_prior_ == pytest.approx(float(kl), rel=1e-9)
    mine = likelihood.mean() - kl
    error = likelihood.std() / np.sqrt(len(likelihood))
    assert model.elbo_.value == pytest.approx(mine, abs=5 * error + model.elbo_.half_width)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("k", [2, 3])
def test_the_bounds_gradient_is_that_of_differences(covariance, k):
    X, p, _ = problem(n=60, d=3, k=k)
    shape = Problem(k, 3, intercept=True)
    d, s = shape.shape
    rng = np.random.default_rng(2)
    root = rng.normal(size=(d * s, d * s)) / 3
    start = of_precision(rng.normal(size=(d, s)), np.eye(d * s) + root @ root.T, covariance)
    rule = Rule.of(s - start.joint, 32, 0)
    rows, space = Rows(7, X, p), Space(start)

    def value(theta):
        q = space.posterior(theta)
        return BoundSums.of(rows, shape, q, rule, own=True).log_likelihood - q.kl(np.ones((d, s)))

    theta = 0.1 * rng.normal(size=space.size)
    q = space.posterior(theta)
    sums = BoundSums.of(rows, shape, q, rule, own=True)
    from pandq.fit.regressions.bayessums import as_matrix

    by_covariance = -as_matrix(sums.curvature) - np.eye(d * s)
    found = space.gradient(theta, sums.gradient - q.mean, by_covariance)
    for i in range(space.size):
        step = np.zeros(space.size)
        step[i] = 1e-5
        difference = (value(theta + step) - value(theta - step)) / 2e-5
        assert found[i] == pytest.approx(difference, abs=2e-5)


def test_a_rule_is_exact_up_to_the_second_moment():
    for s in (1, 3, 9):
        rule = Rule.of(s, 64, 0)
        assert rule.weights @ rule.nodes == pytest.approx(np.zeros(s), abs=1e-12)
        second = (rule.nodes * rule.weights[:, None]).T @ rule.nodes
        assert second == pytest.approx(np.eye(s), abs=1e-12)
    basis = contrasts(4)
    assert basis.T @ basis == pytest.approx(np.eye(3), abs=1e-12)
    assert basis.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)


def test_blocks_of_one_score_are_the_full_covariance():
    X, _, y = problem(k=2)
    full, blocks = (BayesianSoftmaxRegression(covariance=c).fit(X, y) for c in ("full", "blocks"))
    assert blocks.posterior_.covariance == pytest.approx(full.posterior_.covariance, abs=1e-8)
    assert blocks.bound_ == pytest.approx(full.bound_, abs=1e-8)


def test_a_richer_covariance_has_the_larger_bound():
    X, _, y = problem(d=6)
    full, blocks, diagonal = (
        BayesianSoftmaxRegression(covariance=c).fit(X @ np.tri(6), y).elbo_.value
        for c in COVARIANCES
    )
    assert full > blocks > diagonal


def test_the_diagonal_covariance_is_too_narrow_where_features_are_correlated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) + 0.3 * rng.normal(size=(300, 3))
    y = rng.integers(0, 2, 300)
    full, diagonal = (
        BayesianSoftmaxRegression(covariance=c).fit(X, y).posterior_.variance[:3]
        for c in ("full", "diagonal")
    )
    assert (np.sqrt(diagonal / full) < 0.75).all()


def test_a_vote_is_an_observation_and_a_weight_a_row_that_stands_several_times():
    X, p, _ = problem(n=80)
    votes = np.random.default_rng(3).multinomial(3, p)
    by_votes = BayesianSoftmaxRegression().fit(X, Counts(votes))
    rows = np.repeat(np.arange(80), 3)
    labels = np.concatenate([np.repeat(np.arange(3), row) for row in votes])
    one_by_one = BayesianSoftmaxRegression().fit(X[rows], Labels(labels, 3))
    assert by_votes.coef_ == pytest.approx(one_by_one.coef_, abs=0.02)
    assert by_votes.bound_ == pytest.approx(one_by_one.bound_, abs=0.3)
    times = np.random.default_rng(4).integers(1, 4, 80)
    weighted = BayesianSoftmaxRegression().fit(X, p, sample_weight=times)
    repeated = BayesianSoftmaxRegression().fit(
        np.repeat(X, times, axis=0), np.repeat(p, times, axis=0)
    )
    assert weighted.coef_ == pytest.approx(repeated.coef_, abs=0.02)


def test_the_prior_scale_of_the_largest_bound_is_found():
    X, _, y = problem(k=2, d=8)
    auto = BayesianSoftmaxRegression(prior_scale="auto").fit(X, y)
    bounds = {
        s: BayesianSoftmaxRegression(prior_scale=s).fit(X, y).bound_
        for s in (auto.prior_scale_ * 0.9, auto.prior_scale_, auto.prior_scale_ * 1.1)
    }
    assert auto.bound_ == pytest.approx(bounds[auto.prior_scale_], abs=1e-3)
    assert max(bounds, key=bounds.get) == auto.prior_scale_


def test_features_that_say_nothing_want_a_prior_scale_of_almost_nothing():
    X = np.random.default_rng(0).normal(size=(200, 4))
    votes = np.random.default_rng(1).multinomial(3, [0.3, 0.3, 0.4], 200)
    model = BayesianSoftmaxRegression(prior_scale="auto").fit(X, Counts(votes))
    assert model.prior_scale_ < 0.05
    assert model.gradient_norm_ <= 1e-3


def test_the_curve_says_what_an_observation_loses_and_what_of_it_is_floor():
    X, p, _ = problem(n=200)
    votes = np.random.default_rng(3).multinomial(5, p)
    last = BayesianSoftmaxRegression().fit(X, Counts(votes)).curve_[-1]
    floor = np.average(pandq.entropy(Counts(votes)), weights=votes.sum(axis=1))
    assert last["train_floor"] == pytest.approx(floor)
    assert floor < last["train_cross_entropy"] < np.log(3)


def test_with_more_data_ignorance_falls_and_noise_does_not():
    """Epistemic part like 1/n, aleatoric part constant, on data of known truth."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 3))
    held = rng.normal(size=(200, 3))
    found = []
    for n in (100, 1000, 10_000, 100_000):
        X = rng.normal(size=(n, 3))
        y = (X @ w + rng.gumbel(size=(n, 3))).argmax(axis=1)
        q = BayesianSoftmaxRegression(n_nodes=64).fit(X, y).predict_members(held, 60)
        found.append((q.epistemic().mean(), q.aleatoric().mean()))
    epistemic, aleatoric = np.array(found).T
    for few, many in itertools.pairwise(epistemic):
        assert 4 < few / many < 25
    truth = pandq.entropy(pandq.Logits(held @ w)).mean()
    assert aleatoric[-1] == pytest.approx(truth, rel=0.02)
    assert abs(aleatoric[1] - aleatoric[-1]) < 0.1 * aleatoric[-1]


def test_rows_outside_the_training_range_are_known_less():
    X, y = load_digits(return_X_y=True)
    keep = y < 8
    scaler = StandardScaler().fit(X[keep])
    model = BayesianSoftmaxRegression(covariance="blocks", n_nodes=64)
    few = np.flatnonzero(keep)[:600]
    model.fit(scaler.transform(X[few]), y[few])
    inside = scaler.transform(X[keep][700:])
    noise = scaler.transform(np.random.default_rng(0).uniform(0, 16, (300, 64)))
    others = scaler.transform(X[~keep])
    known, unknown, strange = (
        np.median(model.predict_members(x, 40).epistemic()) for x in (inside, others, noise)
    )
    assert known < unknown
    assert known < strange / 5


def test_members_are_the_same_draws_for_all_rows_and_their_mean_is_the_prediction():
    X, _, y = problem()
    model = BayesianSoftmaxRegression().fit(X, y)
    many = model.predict_members(X, 3000)
    assert many.law().prob == pytest.approx(model.predict_proba(X), abs=0.02)
    whole, part = model.predict_members(X, 5), model.predict_members(X[100:], 5)
    assert part.array == pytest.approx(whole.array[100:], abs=1e-12)


def nuts_problem(name):
    """The data of benchmarks/nuts_reference.py."""
    if name == "breast_cancer":
        X, y = load_breast_cancer(return_X_y=True)
        return StandardScaler().fit_transform(X), y
    X, y = load_digits(return_X_y=True)
    if name == "pixels":
        most = np.sort(np.argsort(-X.var(axis=0), kind="stable")[:20])
        return StandardScaler().fit_transform(X[:, most]), y
    X = PCA(20, random_state=0).fit_transform(StandardScaler().fit_transform(X))
    return StandardScaler().fit_transform(X), y


def against_nuts(name, **options):
    """How far means are off (in posterior deviations), deviations (as ratios), and predictions."""
    stored = json.loads((Path(__file__).parent / "nuts.json").read_text())[name]
    X, y = nuts_problem(name)
    model = BayesianSoftmaxRegression(**options).fit(X, y)
    mean, sd = np.array(stored["mean"]), np.array(stored["sd"])
    predicted = model.predict_proba(X[stored["rows"]]) - np.array(stored["predictive"])
    apart = np.abs(model.posterior_.mean - mean) / sd
    return apart.max(), np.sqrt(model.posterior_.variance) / sd, np.abs(predicted).max()


@pytest.mark.parametrize("name", ["breast_cancer", "pixels"])
def test_the_posterior_is_that_of_a_long_nuts_run(name):
    means, deviations, predictions = against_nuts(name)
    assert means < 0.05
    assert (np.abs(deviations - 1) < 0.06).all()
    assert predictions < 0.005


def test_where_classes_can_nearly_be_told_apart_no_gaussian_is_the_posterior():
    """It is skewed: the best Gaussian's means are off by up to a fifth of a standard deviation."""
    means, deviations, predictions = against_nuts("components")
    assert means < 0.25
    assert (np.abs(deviations - 1) < 0.15).all()
    assert predictions < 0.01


def test_the_diagonal_covariance_is_as_much_too_narrow_as_the_readme_says():
    """Mean-field against NUTS: about half of the posterior's standard deviation."""
    _, deviations, _ = against_nuts("breast_cancer", covariance="diagonal")
    assert 0.55 < np.median(deviations) < 0.65


def test_files_in_chunks_give_the_posterior_of_arrays(monkeypatch):
    import pyarrow as pa

    from pandq.fit.regressions import softmax
    from pandq.read import chunks

    X, _, y = problem(n=500)
    whole = BayesianSoftmaxRegression().fit(X, Labels(y, 3))
    monkeypatch.setattr(chunks, "CHUNK_NUMBERS", 400)
    monkeypatch.setattr(softmax, "KEPT_NUMBERS", 0)
    table = pa.table({"x": X.tolist(), "label": y})
    rows = pandq.scan_features(table, x="x", p="labels:label")
    by_chunks = BayesianSoftmaxRegression().fit(rows)
    assert by_chunks.coef_ == pytest.approx(whole.coef_, abs=1e-4)
    assert by_chunks.bound_ == pytest.approx(whole.bound_, abs=1e-6)


def test_a_bayesian_last_layer_on_a_networks_features(tmp_path):
    pytest.importorskip("torch")
    X, y = load_digits(return_X_y=True)
    net = pandq.NetworkClassifier("mlp", epochs=10, lr=3e-3).fit(X[:800], y[:800])
    head = BayesianSoftmaxRegression(covariance="diagonal", n_nodes=32, tol=0.05)
    features = StandardScaler().fit(net.features(X[:800]))
    head.fit(features.transform(net.features(X[:800]))[:, ::4], y[:800])
    held = features.transform(net.features(X[800:]))[:, ::4]
    assert head.score(held, y[800:]) > 0.85
    assert (head.predict_members(held, 20).epistemic() > 0).mean() > 0.9


def test_a_fit_that_stopped_early_says_so():
    X, _, y = problem()
    with pytest.warns(ConvergenceWarning, match="above tol"):
        BayesianSoftmaxRegression(max_iter=2).fit(X, y)


BAD = {
    "covariance": "round",
    "prior_scale": -1.0,
    "intercept_scale": 0.0,
    "tol": 0.0,
    "n_nodes": 100,
}


@pytest.mark.parametrize("name", BAD)
def test_an_option_out_of_range_is_refused(name):
    X, _, y = problem(n=30)
    with pytest.raises(InputError):
        BayesianSoftmaxRegression(**{name: BAD[name]}).fit(X, y)


def test_more_coefficients_than_can_be_kept_are_refused():
    with pytest.raises(InputError, match="is too large"):
        BayesianSoftmaxRegression().fit(np.ones((4, 4000)), [0, 1, 0, 1])


def test_soft_labels_and_one_class_are_looked_at_as_elsewhere():
    X, p, _ = problem(n=30)
    with pytest.raises(InputError, match="negative"):
        BayesianSoftmaxRegression().fit(X, p - 0.5)
    with pytest.raises(InputError, match="two classes"):
        BayesianSoftmaxRegression().fit(X, np.zeros(30))
    law = BayesianSoftmaxRegression().fit(X, p).predict_proba(X)
    assert pandq.kl_divergence(Probs(p), Probs(law)).mean() < 0.2


def test_a_posteriors_draws_have_its_mean_and_covariance():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    precision = root @ root.T + np.eye(6)
    for kind in COVARIANCES:
        q = of_precision(rng.normal(size=(3, 2)), precision, kind)
        draws = q.draws(200_000, rng).transpose(0, 2, 1).reshape(-1, 6)
        assert draws.mean(axis=0) == pytest.approx(q.flat, abs=0.01)
        assert np.cov(draws.T) == pytest.approx(q.covariance, abs=0.01)
        assert isinstance(q, Posterior)
