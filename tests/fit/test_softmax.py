"""SoftmaxRegression: the conventions, the same bits for both objectives, and the optimum itself."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, sparse, special
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import pandq
from pandq import Counts, InputError, Labels, Probs, SoftmaxRegression


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([SoftmaxRegression()])
def test_it_is_an_estimator_by_scikit_learns_conventions(estimator, check):
    check(estimator)


def problem(n=400, d=6, k=4, seed=0, scales=1.0):
    """Features of any scale, and laws of which labels and votes are drawn."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    X = rng.normal(size=(n, d)) @ mix * np.logspace(0, np.log10(scales), d)
    p = special.softmax(X / np.logspace(0, np.log10(scales), d) @ rng.normal(size=(d, k)), axis=1)
    y = np.array([rng.choice(k, p=row) for row in p])
    return X, p, y


def in_plain_numpy(X, p, w, l2, theta):
    """The mean objective and its gradient, written out."""
    z = X @ theta[:-1] + theta[-1]
    log_q = special.log_softmax(z, axis=1)
    loss = -(w[:, None] * special.xlogy(p, 1) + w[:, None] * p * log_q).sum()
    loss += l2 / 2 * np.square(theta[:-1]).sum()
    r = w[:, None] * (np.exp(log_q) * p.sum(axis=1, keepdims=True) - p)
    gradient = np.vstack([X.T @ r + l2 * theta[:-1], r.sum(axis=0)])
    return loss / w.sum(), gradient / w.sum()


@pytest.mark.parametrize("l2", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_vanishes_at_the_coefficients(l2, weighted):
    X, p, _ = problem()
    w = np.random.default_rng(1).uniform(0.2, 3, len(X)) if weighted else np.ones(len(X))
    model = SoftmaxRegression(l2=l2, objective="cross_entropy")
    model.fit(X, p, sample_weight=w if weighted else None)
    theta = np.vstack([model.coef_.T, model.intercept_])
    value, gradient = in_plain_numpy(X, p, w, l2, theta)
    scale = np.append(np.sqrt((w @ np.square(X)) / w.sum()), 1.0)[:, None]
    assert np.abs(gradient / scale).max() <= 1.5e-10
    assert model.objective_ == pytest.approx(value, rel=1e-12)
    assert model.gradient_norm_ <= 1e-10


def test_the_optimum_is_that_of_scipy():
    X, p, _ = problem(n=120, d=3, k=3)
    w = np.ones(len(X))

    def flat(x):
        value, gradient = in_plain_numpy(X, p, w, 0.5, x.reshape(4, 3))
        return value, gradient.ravel()

    found = optimize.minimize(flat, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-9})
    model = SoftmaxRegression(l2=0.5, objective="cross_entropy").fit(X, p)
    assert model.objective_ == pytest.approx(found.fun, abs=1e-12)
    assert pytest.approx(found.x.reshape(4, 3)[:-1], abs=1e-5) == model.coef_.T


@pytest.mark.parametrize("k", [2, 3])
def test_labels_give_the_optimum_of_scikit_learn(k):
    X, _, y = problem(k=k)
    model = SoftmaxRegression(l2=2.0, objective="cross_entropy").fit(X, y)
    other = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(X, y)
    assert model.predict_proba(X) == pytest.approx(other.predict_proba(X), abs=1e-5)


def test_both_objectives_have_the_same_bits_and_differ_by_the_entropy_of_p():
    """The README's claim: minimising KL is minimising the cross entropy, H(P) is a constant."""
    X, p, _ = problem()
    w = np.random.default_rng(2).uniform(0.5, 2, len(X))
    kl, ce = (
        SoftmaxRegression(objective=name).fit(X, p, sample_weight=w)
        for name in ("kl", "cross_entropy")
    )
    assert kl.coef_.tobytes() == ce.coef_.tobytes()
    assert kl.intercept_.tobytes() == ce.intercept_.tobytes()
    assert kl.gradient_norm_ == ce.gradient_norm_
    floor = float(w @ pandq.entropy(Probs(p)) / w.sum())
    assert ce.objective_ - kl.objective_ == pytest.approx(floor, abs=1e-15)


def test_votes_and_labels_are_laws_like_any():
    X, p, y = problem(k=3)
    votes = np.random.default_rng(3).multinomial(5, p)
    by_votes = SoftmaxRegression().fit(X, Counts(votes))
    by_shares = SoftmaxRegression().fit(X, votes / 5)
    assert by_votes.coef_ == pytest.approx(by_shares.coef_, abs=1e-12)
    by_labels = SoftmaxRegression().fit(X, Labels(y, 3))
    one_hot = SoftmaxRegression().fit(X, np.eye(3)[y])
    assert by_labels.coef_ == pytest.approx(one_hot.coef_, abs=1e-9)
    assert SoftmaxRegression().fit(X, y).coef_ == pytest.approx(one_hot.coef_, abs=1e-9)


def test_a_weight_is_a_row_that_stands_several_times():
    X, p, _ = problem(n=60)
    times = np.random.default_rng(4).integers(0, 4, 60)
    times[:2] = 1
    weighted = SoftmaxRegression().fit(X, p, sample_weight=times)
    repeated = SoftmaxRegression().fit(np.repeat(X, times, axis=0), np.repeat(p, times, axis=0))
    assert weighted.coef_ == pytest.approx(repeated.coef_, abs=1e-7)


def test_sparse_features_give_the_coefficients_of_dense_ones():
    X, p, _ = problem()
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    dense = SoftmaxRegression().fit(X, p)
    for make in (sparse.csr_matrix, sparse.csc_array):
        thin = SoftmaxRegression().fit(make(X), p)
        assert thin.coef_ == pytest.approx(dense.coef_, abs=1e-9)
        assert thin.predict_proba(make(X)) == pytest.approx(dense.predict_proba(X), abs=1e-9)


def test_chunks_do_not_change_the_coefficients(monkeypatch):
    from pandq.fit.regressions import softmax

    X, p, _ = problem(n=3000)
    whole = SoftmaxRegression().fit(X, p)
    monkeypatch.setattr(softmax, "CHUNK_NUMBERS", 3000)
    parts = SoftmaxRegression().fit(X, p)
    assert parts.coef_ == pytest.approx(whole.coef_, abs=1e-8)


def test_more_features_than_a_gram_matrix_may_have_are_fitted_all_the_same(monkeypatch):
    from pandq.fit.regressions import gram

    X, p, _ = problem()
    whole = SoftmaxRegression().fit(X, p)
    monkeypatch.setattr(gram, "MOST_FEATURES", 3)
    for features in (X, sparse.csr_array(X)):
        found = SoftmaxRegression().fit(features, p)
        assert found.coef_ == pytest.approx(whole.coef_, abs=1e-6)


@pytest.mark.parametrize("scales", [1.0, 1e4, 1e8])
def test_ill_conditioned_features_cost_few_steps(scales):
    X, p, _ = problem(n=2000, d=20, k=5, scales=scales)
    model = SoftmaxRegression(l2=1e-3).fit(X, p)
    assert model.n_iter_[0] <= 15
    assert model.gradient_norm_ <= 1e-8


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_soft_labels_of_a_softmax_are_recovered(k, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, d))
    p = special.softmax(X @ rng.normal(size=(d, k)) + rng.normal(size=k), axis=1)
    model = SoftmaxRegression(l2=0.0, tol=1e-9).fit(X, p)
    assert model.predict_proba(X) == pytest.approx(p, abs=1e-6)
    assert model.objective_ == pytest.approx(0.0, abs=1e-9)


def test_digits_are_told_apart_and_the_audit_says_what_is_left():
    X, y = load_digits(return_X_y=True)
    model = SoftmaxRegression(l2=0.5).fit(X[::2] / 16, y[::2])
    assert model.score(X[1::2] / 16, y[1::2]) > 0.94
    found = pandq.audit(Labels(y[1::2]), Probs(model.predict_proba(X[1::2] / 16)))
    assert found.kl.value < 0.3


def test_separable_classes_without_a_penalty_are_said_to_have_their_optimum_at_infinity():
    X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    with pytest.warns(ConvergenceWarning, match="optimum at infinity"):
        SoftmaxRegression(l2=0.0, max_iter=5, tol=1e-14).fit(X, y)


@pytest.mark.parametrize("k", [2, 3])
def test_an_optimum_at_infinity_is_said_even_where_the_gradient_is_small_enough(k):
    X = np.random.default_rng(0).normal(size=(300, 5))
    with pytest.warns(ConvergenceWarning, match="on the way to an optimum at infinity"):
        SoftmaxRegression(l2=0.0, tol=1e-6).fit(X, np.digitize(X[:, 0], [-0.5, 0.5][: k - 1]))


def test_a_class_that_never_occurs_has_its_optimum_at_infinity_without_a_penalty():
    X, _, y = problem(k=3)
    with pytest.warns(ConvergenceWarning, match="or never occur"):
        SoftmaxRegression(l2=0.0, tol=1e-6).fit(X, Labels(y, 4))


def test_classes_that_only_some_features_tell_apart_have_it_there_too():
    X, _, _ = problem(n=400, d=2, k=2)
    y = np.where(X[:, 0] > 0, 2, np.random.default_rng(0).integers(0, 2, 400))
    with pytest.warns(ConvergenceWarning, match="at infinity"):
        SoftmaxRegression(l2=0.0, tol=1e-6).fit(X, y)


def test_names_of_labels_are_what_is_predicted():
    X, _, y = problem(k=3)
    names = np.array(["ant", "bee", "cow"])[y]
    model = SoftmaxRegression().fit(X, Labels(names, classes=["cow", "bee", "ant"]))
    assert model.classes_.tolist() == ["cow", "bee", "ant"]
    assert (model.predict(X) == SoftmaxRegression().fit(X, names).predict(X)).all()


def test_a_class_that_never_occurs_gets_a_small_probability():
    X, _, y = problem(k=3)
    model = SoftmaxRegression().fit(X, Labels(y, 4))
    assert model.coef_.shape == (4, 6)
    assert model.predict_proba(X)[:, 3].max() < 0.01


def test_a_constant_feature_is_no_matter():
    X, p, _ = problem()
    model = SoftmaxRegression().fit(np.column_stack([X, np.full(len(X), 7.0)]), p)
    assert np.isfinite(model.coef_).all()
    assert model.gradient_norm_ <= 1e-8


BAD = {
    "negative": (lambda X, p, y: (X, p - 0.5), "has a negative probability"),
    "no sum of one": (lambda X, p, y: (X, p * 1.1), "sums to 1.1"),
    "too few rows": (lambda X, p, y: (X, p[:-1]), "different numbers of rows"),
    "NaN features": (lambda X, p, y: (X * np.nan, y), "NaN"),
    "one class": (lambda X, p, y: (X, np.zeros(len(X))), "one class"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_fitted_is_refused_in_words(case):
    make, text = BAD[case]
    X, y = make(*problem(n=40))
    with pytest.raises(ValueError, match=text):
        SoftmaxRegression().fit(X, y)


@pytest.mark.parametrize(
    "option", [{"objective": "brier"}, *({"l2": x} for x in (-1.0, np.nan, np.inf))]
)
def test_an_option_out_of_range_is_refused(option):
    X, p, _ = problem(n=40)
    with pytest.raises(InputError):
        SoftmaxRegression(**option).fit(X, p)


def test_nothing_is_warned_of_where_it_converges():
    X, p, _ = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftmaxRegression().fit(X, p)


def test_a_gradient_above_the_tolerance_is_never_called_converged():
    X, p, _ = problem(n=40)
    with pytest.warns(ConvergenceWarning, match="above"):
        stopped = SoftmaxRegression(tol=1e-300).fit(X, p)
    assert stopped.gradient_norm_ < 1e-12
    with pytest.warns(ConvergenceWarning, match="above"):
        SoftmaxRegression(tol=stopped.gradient_norm_ / 5).fit(X, p)


def test_without_a_penalty_the_last_steps_are_not_lost_to_what_only_rounding_bends(recwarn):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6000, 5))
    z = x @ rng.normal(size=(5, 3))
    truth = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    x, votes = x[:3000], rng.multinomial(3, truth)[:3000]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    fitted = pandq.SoftmaxRegression(l2=0.0).fit(x, pandq.Counts(votes))
    assert fitted.gradient_norm_ < 1e-13
    assert [str(w.message) for w in recwarn] == []
