"""CalibratedClassifier: any scikit-learn classifier with a map of fit_calibration after it."""

import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import pandq
from pandq.recalibrator import KINDS

PSEUDO_ROWS = "how much of the class frequencies is mixed in says how many rows the map has seen"


def by_the_rule(estimator):
    """A weight is no number of rows: evidence of rows that were not seen would be made up."""
    if estimator.kind == "identity":
        return {}
    checks = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]
    return dict.fromkeys(checks, PSEUDO_ROWS)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@parametrize_with_checks(
    [
        pandq.CalibratedClassifier(LogisticRegression()),
        pandq.CalibratedClassifier(LogisticRegression(), kind="identity"),
        pandq.CalibratedClassifier(LogisticRegression(), kind="vector"),
    ],
    expected_failed_checks=by_the_rule,
)
def test_it_follows_scikit_learns_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    return make_classification(
        900, n_informative=6, n_redundant=8, n_classes=3, class_sep=0.7, random_state=0
    )


def by_hand(model, x, y, kind, folds):
    """The map, fitted to what scikit-learn itself predicts of rows held out."""
    log_q = cross_val_predict(model, x, y, cv=folds, method="predict_log_proba")
    return pandq.fit_calibration(pandq.Labels(y), pandq.LogProbs(log_q), kind)


@pytest.mark.parametrize("kind", [*(kind for kind in KINDS if kind != "isotonic"), "best"])
def test_it_is_the_map_of_held_out_predictions_after_the_model_of_all_rows(rows, kind):
    x, y = rows
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    found = pandq.CalibratedClassifier(GaussianNB(), kind=kind, cv=folds).fit(x, y)
    c = by_hand(GaussianNB(), x, y, kind, folds)
    assert found.recalibrator_.to_dict() == c.to_dict()
    whole = pandq.LogProbs(GaussianNB().fit(x, y).predict_log_proba(x))
    assert np.array_equal(found.predict_log_proba(x), c.of(whole).law().log_prob)
    assert np.array_equal(found.predict_proba(x), c.of(whole).law().prob)
    assert np.array_equal(found.predict(x), found.predict_proba(x).argmax(axis=1))


def test_two_classes_may_have_any_rising_map(rows):
    x, y = rows
    y = (y == 1).astype(int)
    found = pandq.CalibratedClassifier(GaussianNB(), kind="isotonic").fit(x, y)
    c = by_hand(GaussianNB(), x, y, "isotonic", 5)
    assert found.recalibrator_.to_dict() == c.to_dict()
    assert found.recalibrator_.kind == "isotonic"


def test_a_number_of_folds_is_as_scikit_learn_has_it(rows):
    x, y = rows
    one = pandq.CalibratedClassifier(GaussianNB(), cv=4).fit(x, y)
    other = pandq.CalibratedClassifier(GaussianNB(), cv=StratifiedKFold(4)).fit(x, y)
    assert one.recalibrator_.to_dict() == other.recalibrator_.to_dict()


def test_its_temperature_is_scikit_learns(rows):
    x, y = rows
    found = pandq.CalibratedClassifier(LogisticRegression(C=100.0), cv=5).fit(x, y)
    theirs = CalibratedClassifierCV(
        LogisticRegression(C=100.0), method="temperature", cv=5, ensemble=False
    ).fit(x, y)
    beta = theirs.calibrated_classifiers_[0].calibrators[0].beta_
    assert found.recalibrator_.parameters["a"] == pytest.approx(beta, rel=1e-3)
    c = found.recalibrator_
    mixed = (1 - c.eps) * theirs.predict_proba(x) + c.eps * c.freq
    assert found.predict_proba(x) == pytest.approx(mixed, abs=1e-3)


@pytest.mark.parametrize("kind", ["temperature", "best"])
def test_an_overconfident_model_loses_less_on_other_rows(kind):
    x, y = load_digits(return_X_y=True)
    model = pandq.CalibratedClassifier(GaussianNB(var_smoothing=1e-3), kind=kind)
    alone = GaussianNB(var_smoothing=1e-3).fit(x[::2], y[::2])
    score = pandq.scorer("cross_entropy")
    loss, before = (-score(m, x[1::2], y[1::2]) for m in (model.fit(x[::2], y[::2]), alone))
    assert loss < 0.2 * before


def test_what_is_fitted_already_stays_as_it_is(rows):
    x, y = rows
    model = GaussianNB().fit(x[:300], y[:300])
    found = pandq.CalibratedClassifier(model, kind="vector", cv="prefit").fit(x[300:], y[300:])
    assert found.estimator_ is model
    q = pandq.LogProbs(model.predict_log_proba(x[300:]))
    c = pandq.fit_calibration(pandq.Labels(y[300:]), q, "vector")
    assert found.recalibrator_.to_dict() == c.to_dict()
    frozen = pandq.CalibratedClassifier(FrozenEstimator(model), kind="vector").fit(x[300:], y[300:])
    assert frozen.predict_proba(x) == pytest.approx(found.predict_proba(x), abs=1e-9)


def test_what_is_said_to_be_fitted_and_is_not_is_refused(rows):
    with pytest.raises(NotFittedError):
        pandq.CalibratedClassifier(GaussianNB(), cv="prefit").fit(*rows)


def test_names_of_classes_come_back(rows):
    x, y = rows
    names = np.array(["bee", "ant", "cat"])
    found = pandq.CalibratedClassifier(GaussianNB()).fit(x, names[y])
    assert found.classes_.tolist() == ["ant", "bee", "cat"]
    assert set(found.predict(x)) == set(names)
    numbered = pandq.CalibratedClassifier(GaussianNB()).fit(x, y).predict_proba(x)
    assert found.predict_proba(x)[:, [1, 0, 2]] == pytest.approx(numbered, abs=1e-9)


@pytest.mark.parametrize("labels", [[False, True], [-1.0, 2.0], [np.str_("n"), np.str_("y")]])
def test_labels_of_any_kind_are_taken(rows, labels):
    x, y = rows
    found = pandq.CalibratedClassifier(LogisticRegression()).fit(x, np.array(labels)[y // 2])
    assert found.score(x, np.array(labels)[y // 2]) > 0.7


@pytest.mark.parametrize("model", [SVC(), LinearSVC(), SVC(kernel="precomputed")])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_alone_become_probabilities(rows, model, classes):
    x, y = rows
    y = np.minimum(y, classes - 1)
    x = StandardScaler().fit_transform(x)
    if getattr(model, "kernel", "") == "precomputed":
        x = x @ x.T / 100
    found = pandq.CalibratedClassifier(model, cv=3).fit(x, y)
    q = found.predict_proba(x)
    assert q.sum(axis=1) == pytest.approx(np.ones(len(x)), abs=1e-9)
    assert log_loss(y, q) < 0.9 * np.log(classes)
    assert (found.predict(x) == found.estimator_.predict(x)).mean() > 0.95


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(20, random_state=0), KNeighborsClassifier()]
)
def test_zeros_of_a_model_cost_no_infinite_loss(rows, model):
    x, y = rows
    assert (
        pandq.scorer("cross_entropy")(clone(model).fit(x[:600], y[:600]), x[600:], y[600:])
        == -np.inf
    )
    found = pandq.CalibratedClassifier(model).fit(x[:600], y[:600])
    assert -pandq.scorer("cross_entropy")(found, x[600:], y[600:]) < np.log(3)


def test_a_pipeline_is_calibrated_and_so_is_one_within(rows):
    x, y = rows
    inner = make_pipeline(StandardScaler(), pandq.CalibratedClassifier(GaussianNB()))
    outer = pandq.CalibratedClassifier(make_pipeline(StandardScaler(), GaussianNB()))
    assert inner.fit(x, y).predict_proba(x) == pytest.approx(
        outer.fit(x, y).predict_proba(x), abs=1e-6
    )


def test_texts_are_taken_where_the_model_takes_them():
    texts = ["good film", "bad film", "good food", "bad food"] * 10
    model = make_pipeline(CountVectorizer(), MultinomialNB())
    found = pandq.CalibratedClassifier(model).fit(texts, ["+", "-"] * 20)
    assert found.predict(["good", "bad"]).tolist() == ["+", "-"]


def test_columns_keep_their_names(rows):
    x, y = rows
    table = pd.DataFrame(x).add_prefix("x")
    found = pandq.CalibratedClassifier(LogisticRegression()).fit(table, pd.Series(y))
    assert found.feature_names_in_.tolist() == table.columns.tolist()
    assert found.n_features_in_ == x.shape[1]
    with pytest.raises(ValueError, match="feature names"):
        found.predict_proba(table.rename(columns={"x0": "z"}))


def test_other_numbers_of_features_are_refused(rows):
    x, y = rows
    found = pandq.CalibratedClassifier(LogisticRegression()).fit(x, y)
    with pytest.raises(ValueError, match="X has 3 features"):
        found.predict(x[:, :3])


def test_it_is_cloned_copied_and_searched(rows):
    x, y = rows
    model = pandq.CalibratedClassifier(GaussianNB(var_smoothing=2.0), kind="bias", cv=3)
    assert is_classifier(model)
    assert clone(model).get_params()["estimator__var_smoothing"] == 2.0
    fitted = model.fit(x, y)
    assert np.array_equal(deepcopy(fitted).predict_proba(x), fitted.predict_proba(x))
    assert not hasattr(clone(fitted), "recalibrator_")
    grid = {"kind": ["temperature", "vector"], "estimator__var_smoothing": [1e4, 0.1]}
    score = pandq.scorer("cross_entropy")
    search = GridSearchCV(model, grid, scoring=score, cv=3, error_score="raise").fit(x, y)
    assert search.best_params_["estimator__var_smoothing"] == 0.1


def test_soft_labels_are_fitted_as_they_are(rows):
    x, y = rows
    p = np.full((len(y), 3), 0.1)
    p[np.arange(len(y)), y] = 0.8
    model = pandq.SoftmaxRegression(l2=1.0)
    found = pandq.CalibratedClassifier(model, kind="bias", cv=KFold(3)).fit(x, p)
    log_q = np.zeros_like(p)
    for train, test in KFold(3).split(x):
        log_q[test] = clone(model).fit(x[train], p[train]).predict_log_proba(x[test])
    c = pandq.fit_calibration(pandq.Probs(p), pandq.LogProbs(log_q), "bias")
    assert found.recalibrator_.to_dict() == c.to_dict()
    scores = cross_val_score(found, x, p, scoring=pandq.scorer("kl"), cv=3, error_score="raise")
    assert (scores > -0.5).all()


def test_weights_are_the_models_and_the_maps(rows):
    x, y = rows
    w = np.random.default_rng(0).uniform(size=len(y))
    found = pandq.CalibratedClassifier(GaussianNB(), cv=KFold(3)).fit(x, y, sample_weight=w)
    log_q = np.zeros((len(y), 3))
    for train, test in KFold(3).split(x):
        log_q[test] = GaussianNB().fit(x[train], y[train], w[train]).predict_log_proba(x[test])
    c = pandq.fit_calibration(pandq.Labels(y), pandq.LogProbs(log_q), "temperature", weights=w)
    assert found.recalibrator_.to_dict() == c.to_dict()


def test_it_says_where_a_model_takes_no_weights(rows):
    with pytest.warns(RuntimeWarning, match="KNeighborsClassifier takes no sample_weight"):
        pandq.CalibratedClassifier(KNeighborsClassifier()).fit(*rows, np.ones(len(rows[1])))


def test_a_class_that_some_folds_have_not_seen_is_one_still(rows):
    x, y = rows
    y = np.where(np.arange(len(y)) == 7, 9, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = pandq.CalibratedClassifier(LogisticRegression(), cv=3).fit(x, y)
    assert found.classes_.tolist() == [0, 1, 2, 9]
    assert np.isfinite(found.predict_log_proba(x)).all()


def test_too_few_rows_for_the_best_map_are_refused_in_the_words_of_fit_calibration(rows):
    x, y = rows
    with pytest.raises(pandq.InputError, match="A map of one kind needs no folds"):
        pandq.CalibratedClassifier(GaussianNB(), kind="best", cv=2).fit(x[:12], y[:12])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"kind": "platt"}, "the kind of a map is one of"),
        ({"cv": "five"}, "cv is folds or 'prefit'"),
        ({"estimator": Ridge()}, "classes_ is needed, got Ridge"),
        ({"kind": "isotonic"}, "isotonic"),
    ],
)
def test_what_cannot_be_is_refused(rows, options, what):
    with pytest.raises(pandq.InputError, match=what):
        pandq.CalibratedClassifier(**{"estimator": GaussianNB()} | options).fit(*rows)


def test_a_column_of_soft_labels_too_many_is_refused(rows):
    x, y = rows
    model = GaussianNB().fit(x, y)
    with pytest.raises(pandq.InputError, match="a column for each of 3 classes, got 4"):
        pandq.CalibratedClassifier(model, cv="prefit").fit(x, np.full((len(y), 4), 0.25))
