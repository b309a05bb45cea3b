"""Scorers for scikit-learn's searches: what an audit says of held-out rows, greater is better."""

from copy import deepcopy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import pandq

AVERAGES = ("cross_entropy", "kl", "brier", "accuracy", "expected_accuracy")
PARTS = ("calibration_loss", "refinement_loss")


def noisy(n=600, *, n_classes=3, seed=0):
    """Rows of classes that overlap."""
    return make_classification(
        n, n_informative=5, n_classes=n_classes, class_sep=0.6, random_state=seed
    )


@pytest.fixture(scope="module")
def fitted():
    x, y = noisy()
    return LogisticRegression().fit(x[:300], y[:300]), x[300:], y[300:]


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def test_losses_are_scikit_learns_with_their_sign_turned(fitted):
    model, x, y = fitted
    q = model.predict_proba(x)
    found = pandq.scorer("cross_entropy")(model, x, y)
    assert found == pytest.approx(-log_loss(y, q), abs=1e-12)
    brier = brier_score_loss(y, q, labels=model.classes_, scale_by_half=False)
    assert pandq.scorer("brier")(model, x, y) == pytest.approx(-brier, abs=1e-12)
    assert pandq.scorer("accuracy")(model, x, y) == pytest.approx(model.score(x, y), abs=1e-12)


@pytest.mark.parametrize("key", AVERAGES + PARTS)
def test_a_score_is_what_an_audit_says(fitted, key):
    model, x, y = fitted
    audit = pandq.audit(pandq.Labels(y), pandq.Probs(model.predict_proba(x)))
    said = getattr(audit.decomposition if key in PARTS else audit, key).value
    sign = 1 if "accuracy" in key else -1
    assert pandq.scorer(key)(model, x, y) == pytest.approx(sign * said, abs=1e-9)


@pytest.mark.parametrize("key", ["cross_entropy", "brier", "refinement_loss"])
def test_the_name_says_which_sign_was_turned(key):
    assert pandq.scorer(key).name == f"neg_{key}"
    assert pandq.scorer("accuracy").name == "accuracy"


def test_weights_are_those_of_the_rows(fitted):
    model, x, y = fitted
    w = np.random.default_rng(0).uniform(size=len(y))
    found = pandq.scorer("cross_entropy")(model, x, y, sample_weight=w)
    said = log_loss(y, model.predict_proba(x), sample_weight=w)
    assert found == pytest.approx(-said, abs=1e-12)


def test_names_of_classes_are_in_the_order_of_the_classifier(fitted):
    model, x, y = fitted
    names = np.array(["cat", "ant", "bee"])
    named = LogisticRegression().fit(*_named(names))
    for key in AVERAGES:
        one, other = pandq.scorer(key)(model, x, y), pandq.scorer(key)(named, x, names[y])
        assert one == pytest.approx(other, abs=1e-6)


def _named(names):
    x, y = noisy()
    return x[:300], names[y[:300]]


@pytest.mark.parametrize("dtype", [bool, np.float64, np.int8, object, str])
def test_labels_of_any_kind_are_scored(dtype):
    x, y = noisy(n_classes=2)
    y = y.astype(dtype) if dtype is not object else np.where(y == 1, "one", "two").astype(object)
    model = LogisticRegression().fit(x, y)
    found = pandq.scorer("cross_entropy")(model, x, y)
    assert found == pytest.approx(-log_loss(y, model.predict_proba(x)), abs=1e-12)


def test_a_class_that_is_not_among_the_held_out_rows_is_no_trouble(fitted):
    model, x, y = fitted
    few = y != 2
    said = log_loss(y[few], model.predict_proba(x[few]), labels=model.classes_)
    assert pandq.scorer("cross_entropy")(model, x[few], y[few]) == pytest.approx(-said, abs=1e-12)


def test_a_class_that_the_classifier_has_not_seen_is_refused(fitted):
    model, x, y = fitted
    with pytest.raises(pandq.InputError, match=r"labels that the classifier was not fitted to.*7"):
        pandq.scorer("brier")(model, x, np.where(y == 0, 7, y))


def test_soft_labels_are_scored_as_they_are():
    x, y = noisy()
    p = np.full((len(y), 3), 0.1)
    p[np.arange(len(y)), y] = 0.8
    model = pandq.SoftmaxRegression(l2=1.0).fit(x, p)
    q = model.predict_proba(x)
    found = pandq.scorer("cross_entropy")(model, x, p)
    assert found == pytest.approx((p * np.log(q)).sum(axis=1).mean(), abs=1e-12)
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    assert pandq.scorer("kl")(model, x, p) == pytest.approx(-divergence, abs=1e-12)
    scores = cross_val_score(model, x, p, scoring=pandq.scorer("refinement_loss"), cv=3)
    assert (scores < -divergence).all()


def test_soft_labels_of_other_classes_are_refused(fitted):
    model, x, _ = fitted
    with pytest.raises(pandq.InputError, match="a column for each of 3 classes, got 2 columns"):
        pandq.scorer("kl")(model, x, np.full((len(x), 2), 0.5))


def test_probabilities_that_are_tiny_are_no_zeros():
    x = np.array([[0.0], [0.1], [100.0], [100.1]])
    model = GaussianNB(var_smoothing=1e-12).fit(x, [0, 0, 1, 1])
    assert model.predict_proba([[50.0]]).min() == 0
    assert np.isfinite(pandq.scorer("cross_entropy")(model, [[40.0], [40.0]], [0, 1]))


def test_what_was_held_impossible_costs_without_limit():
    model = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    assert pandq.scorer("cross_entropy")(model, [[0.0], [1.0]], [0, 0]) == -np.inf


@pytest.mark.parametrize("key", AVERAGES + PARTS)
def test_digits_are_cross_validated_by_each(digits, key):
    x, y = digits
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    found = cross_validate(model, x, y, scoring=pandq.scorer(key), cv=3, error_score="raise")
    scores = found["test_score"]
    assert np.isfinite(scores).all()
    assert (scores > 0.8).all() if "accuracy" in key else ((scores < 0) & (scores > -1)).all()


def test_several_scores_are_taken_at_once_under_their_names(digits):
    x, y = digits
    scores = [pandq.scorer(key) for key in ("cross_entropy", "calibration_loss", "refinement_loss")]
    scoring = {score.name: score for score in scores} | {"log": "neg_log_loss"}
    found = cross_validate(GaussianNB(), x, y, scoring=scoring, cv=3, error_score="raise")
    assert (found["test_neg_calibration_loss"] < 0).all()
    assert (found["test_neg_refinement_loss"] > found["test_neg_cross_entropy"]).all()


def test_a_search_picks_by_it(digits):
    x, y = digits
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [1e-5, 0.01]},
        scoring=pandq.scorer("cross_entropy"),
        cv=StratifiedKFold(3),
        error_score="raise",
    ).fit(x, y)
    assert search.best_params_ == {"logisticregression__C": 0.01}
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() > -0.5
    assert search.score(x, y) == pandq.scorer("cross_entropy")(search, x, y)


def test_what_recalibration_removes_is_no_reason_against_a_model(digits):
    """Strong regularisation says too little of digits that it tells apart well."""
    x, y = digits
    smooth, shrunk = GaussianNB(var_smoothing=1), LogisticRegression(C=1e-4, max_iter=1000)
    pipeline = Pipeline([("model", smooth)])
    picked = {}
    for key in ("cross_entropy", "refinement_loss"):
        grid = {"model": [smooth, shrunk]}
        search = GridSearchCV(pipeline, grid, scoring=pandq.scorer(key), cv=3, error_score="raise")
        picked[key] = type(search.fit(x, y).best_params_["model"])
    assert picked == {"cross_entropy": GaussianNB, "refinement_loss": LogisticRegression}


def test_rows_that_an_audit_does_not_take_apart_are_refused_in_its_words(fitted):
    model, x, y = fitted
    audit = pandq.audit(pandq.Labels(y[:5], 3), pandq.Probs(model.predict_proba(x[:5])))
    with pytest.raises(pandq.InputError) as error:
        pandq.scorer("refinement_loss")(model, x[:5], y[:5])
    assert audit.notes[-1] in str(error.value)
    assert np.isfinite(pandq.scorer("cross_entropy")(model, x[:5], y[:5]))


def test_what_labels_do_not_say_is_refused(fitted):
    with pytest.raises(pandq.InputError, match="grouping_loss has no point value"):
        pandq.scorer("grouping_loss")(*fitted)


@pytest.mark.parametrize("key", ["entropy", "confidence", "kl_plug_in", "floor", 3])
def test_what_is_no_merit_of_a_model_is_no_score(key):
    with pytest.raises(pandq.InputError, match="no score"):
        pandq.scorer(key)


def test_a_mistyped_score_is_offered_the_right_one():
    with pytest.raises(pandq.InputError, match="Did you mean 'refinement_loss'"):
        pandq.scorer("refinment_loss")


def test_a_classifier_without_probabilities_is_refused():
    x, y = noisy()
    with pytest.raises(pandq.InputError, match=r"SVC without predict_proba.*CalibratedClassifier"):
        pandq.scorer("kl")(SVC().fit(x, y), x, y)


def test_what_is_no_fitted_classifier_is_refused():
    with pytest.raises(pandq.InputError, match="fitted classifier"):
        pandq.scorer("kl")(LogisticRegression(), [[0.0]], [0])


def test_scorers_are_values(fitted):
    score = pandq.scorer("brier")
    assert deepcopy(score) == score == pandq.scorer("brier")
    assert repr(score) == "pandq.scorer('brier')"
    assert clone(score, safe=False) == score


def test_metadata_routing_brings_weights_where_they_are_asked_for():
    x, y = noisy()
    w = np.random.default_rng(1).uniform(size=len(y))
    folds = KFold(3)
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=False)
        scoring = pandq.scorer("cross_entropy").set_score_request(sample_weight=True)
        given = {"params": {"sample_weight": w}, "cv": folds, "error_score": "raise"}
        found = cross_validate(model, x, y, scoring=scoring, **given)["test_score"]
    said = []
    for train, test in folds.split(x):
        q = clone(model).fit(x[train], y[train]).predict_proba(x[test])
        said.append(-log_loss(y[test], q, sample_weight=w[test]))
    assert found == pytest.approx(said, abs=1e-12)
