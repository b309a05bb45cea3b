"""What is no argument is refused in one line, wherever it is given."""

import re
import warnings

import numpy as np
import pytest

import pandq
from pandq import Ensemble, InputError, Labels, Probs
from pandq.views import View

P = Probs([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
FEATURES = np.array([[1.0], [2.0], [3.0]])


def zero(x):
    return np.zeros(len(x))


MISUSES = {
    "weights must be two positive shares": [
        lambda: pandq.js_divergence(P, P, weights=0.5),
        lambda: pandq.js_divergence(P, P, weights=None),
        lambda: pandq.js_divergence(P, P, weights=(0.2, 0.3, 0.5)),
        lambda: pandq.js_divergence(P, P, weights=(0.5, np.nan)),
    ],
    "tolerance is a number": [
        lambda: Probs([[0.5, 0.5]], tolerance="wide"),
        lambda: Probs([[0.5, 0.5]], tolerance=-1),
        lambda: pandq.LogProbs([[0.0, -np.inf]], tolerance=np.nan),
    ],
    "n_classes is a whole number": [
        lambda: Labels([0], 1.5),
        lambda: Labels([0], True),
        lambda: Labels([0], "2"),
        lambda: Labels([0], 0),
        lambda: Labels([0], -1),
    ],
    "an ensemble's members are a list": [lambda: Ensemble(P), lambda: Ensemble(3)],
    "member 0 is an Ensemble": [lambda: Ensemble([Ensemble([P, P]), P])],
    "p must say what its numbers mean": [lambda: pandq.entropy(View(P.array, 2))],
    "level must lie between 0 and 1": [
        lambda: pandq.monte_carlo_kl(zero, zero, np.ones(3), level=2),
        lambda: pandq.elbo([1.0, 2.0], 0.5, level="high"),
    ],
    "log-likelihoods need numbers": [lambda: pandq.elbo("ab", 1.0)],
    "a log-likelihood is not finite": [lambda: pandq.elbo([-np.inf, 2.0], 1.0)],
    "kl is KL": [
        lambda: pandq.elbo([1.0, 2.0], -1.0),
        lambda: pandq.elbo([1.0, 2.0], np.nan),
        lambda: pandq.elbo([1.0, 2.0], "a"),
    ],
    "log_p need numbers": [lambda: pandq.monte_carlo_kl(lambda x: "a", zero, np.ones(3))],
    "beyond float64": [
        lambda: pandq.beta_kl(1e-300, 1e-300, 1e300, 1e300),
        lambda: pandq.beta_kl(1e308, 1e308, 1e308, 1e308),
    ],
    "a model is what pandq.fit_model makes": [lambda: pandq.save_model(3, "nowhere")],
    "a model is fitted to rows of features": [
        lambda: pandq.fit_model(3),
        lambda: pandq.fit_model(None, "softmax"),
    ],
    "tol is a number": [lambda: pandq.SoftmaxRegression(tol="a").fit(FEATURES, P)],
    "tol must be positive": [lambda: pandq.BayesianSoftmaxRegression(tol="a").fit(FEATURES, P)],
    "l2 must be finite": [lambda: pandq.SoftmaxRegression(l2="a").fit(FEATURES, P)],
    "max_iter is a whole number": [
        lambda: pandq.SoftmaxRegression(max_iter=0.5).fit(FEATURES, P),
        lambda: pandq.BayesianSoftmaxRegression(max_iter="a").fit(FEATURES, P),
    ],
}


@pytest.mark.parametrize(
    ("words", "misuse"), [(words, misuse) for words, all_ in MISUSES.items() for misuse in all_]
)
def test_what_is_no_argument_is_refused_in_one_line(words, misuse):
    with pytest.raises(InputError, match=re.escape(words)) as refused:
        misuse()
    assert "\n" not in str(refused.value)


def test_rows_at_the_end_of_float64_are_rescaled():
    rows = [[1e308, 1e308], [5e-324, 5e-324], [3.0, 1.0]]
    np.testing.assert_array_equal(Probs.normalised(rows).array, [[0.5, 0.5]] * 2 + [[0.75, 0.25]])


def test_closed_forms_warn_of_nothing_at_the_ends_of_float64():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pandq.gamma_kl(1e-300, 1e300, 1e300, 1e-300) == np.inf
        found = pandq.gamma_kl(1e308, 1.0, 1e308, 1.0000001)
    assert found == pytest.approx(5e293, rel=1e-6)
