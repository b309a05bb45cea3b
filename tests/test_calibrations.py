"""Recalibration maps and calibration errors without an audit: the same bits as the audit's."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize_scalar

import pandq
from pandq import Counts, InputError, Labels, Logits, Probs, Recalibrator, ViewTypeError
from pandq.recalibrator import KINDS

DRAW = np.random.default_rng(11)
N, K = 400, 4
TRUTH = DRAW.dirichlet(np.full(K, 0.7), N)
Y = np.array([DRAW.choice(K, p=row) for row in TRUTH])
LOGITS = 2 * np.log(TRUTH) + DRAW.normal(size=(N, K)) / 2
TWO = LOGITS[:, :2]
P = {
    "labels": Labels(Y, K),
    "votes": Counts(np.array([DRAW.multinomial(5, row) for row in TRUTH])),
    "probabilities": Probs(TRUTH),
    "named labels": Labels(np.array(list("abcd"))[Y], classes=list("abcd")),
}
ROWS = {
    "as they are": {},
    "weights": {"weights": DRAW.uniform(0, 2, N)},
    "clusters": {"cluster": np.arange(N) // 3},
    "ids": {"ids": [f"row {i}" for i in range(N)]},
    "class names": {"classes": list("wxyz")},
    "a seed": {"seed": 9},
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("p", P)
def test_the_best_map_is_an_audits_to_the_bit(p, rows):
    q, given = Logits(LOGITS), ROWS[rows]
    found = pandq.fit_calibration(P[p], q, **given)
    assert found.to_dict() == pandq.audit(P[p], q, **given).recalibrator.to_dict()


def test_rows_that_come_again_share_a_fold_as_in_an_audit():
    p, q = Labels(np.tile(Y[:150], 3), K), Logits(np.tile(LOGITS[:150], (3, 1)))
    found = pandq.fit_calibration(p, q)
    assert found.to_dict() == pandq.audit(p, q).recalibrator.to_dict()


def test_more_rows_than_a_sample_has_are_sampled_as_in_an_audit(monkeypatch):
    for module in ("estimate.firstpass", "calibrations"):
        monkeypatch.setattr(f"pandq.{module}.sample_size", lambda _: 120)
    found = pandq.fit_calibration(P["votes"], Logits(LOGITS))
    assert found.to_dict() == pandq.audit(P["votes"], Logits(LOGITS)).recalibrator.to_dict()
    assert found.n < N


def test_a_scan_brings_all_that_belongs_to_it():
    table = pa.table({"label": Y, "logits": list(LOGITS), "patient": np.arange(N) // 3})
    scan = pandq.scan(table, cluster="patient", classes=list("abcd"))
    found = pandq.fit_calibration(scan)
    assert found.to_dict() == pandq.audit(scan).recalibrator.to_dict()
    assert found.classes == ("a", "b", "c", "d")


def test_a_temperature_minimises_the_cross_entropy():
    found = pandq.fit_calibration(P["votes"], Logits(LOGITS), "temperature")

    def loss(scale):
        return pandq.cross_entropy(P["votes"], Logits(scale * LOGITS)).mean()

    best = minimize_scalar(loss, bounds=(0.01, 10), options={"xatol": 1e-9})
    assert found.kind == "temperature"
    assert found.parameters["a"] == pytest.approx(best.x, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_of_each_kind_lowers_the_loss_and_survives_json(kind):
    q = Logits(TWO)
    p = Probs(TRUTH[:, :2] / TRUTH[:, :2].sum(axis=1, keepdims=True))
    found = pandq.fit_calibration(p, q, kind)
    before, after = (pandq.cross_entropy(p, view).mean() for view in (q, found.of(q)))
    assert found.kind == kind
    assert after == pytest.approx(before, rel=1e-12) if kind == "identity" else after < before
    again = Recalibrator.from_dict(json.loads(json.dumps(found.to_dict())))
    assert (again.of(q).array == found.of(q).array).all()


def test_few_rows_are_enough_for_a_map_of_one_kind():
    assert pandq.fit_calibration(Labels([0, 1]), Logits([[1.0, 0.0]] * 2), "temperature").n == 2


def many(k):
    return Labels(np.arange(60) % k, k), Logits(np.zeros((60, k)))


BAD = {
    "arrays": (lambda: (Y, LOGITS), ViewTypeError, "p must say what its numbers mean"),
    "an unknown kind": (
        lambda: (P["labels"], Logits(LOGITS), "platt"),
        InputError,
        "bias, ordered, cumulative, vector, matrix, isotonic, got 'platt'",
    ),
    "isotonic of four classes": (
        lambda: (P["labels"], Logits(LOGITS), "isotonic"),
        InputError,
        "isotonic",
    ),
    "few rows": (
        lambda: (Labels([0, 1]), Logits([[1.0, 0.0]] * 2)),
        InputError,
        r'too few rows .*: 2.*kind="temperature"',
    ),
    "no rows": (lambda: (Labels([], 2), Logits(np.zeros((0, 2)))), InputError, "no rows"),
    "one class": (lambda: (Labels([0] * 60), Logits(np.zeros((60, 1)))), InputError, "one class"),
    "a matrix of many classes": (
        lambda: (*many(200), "matrix"),
        InputError,
        "a matrix map of 200 classes has 40,200 parameters",
    ),
    "a scan with weights": (
        lambda: (pandq.scan(pa.table({"label": Y, "logits": list(LOGITS)})), Logits(LOGITS)),
        InputError,
        "a scan brings its own q",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_no_map_can_be_fitted_to_is_refused_in_words(case):
    given, error, text = BAD[case]
    with pytest.raises(error, match=text):
        pandq.fit_calibration(*given())


@pytest.mark.parametrize("find", [pandq.fit_calibration, pandq.calibration_error])
def test_weights_that_are_all_zero_are_refused(find):
    with pytest.raises(InputError, match="all weights are zero"):
        find(P["labels"], Logits(LOGITS), weights=np.zeros(N))


@pytest.mark.parametrize("rows", ["as they are", "weights"])
@pytest.mark.parametrize("p", P)
def test_the_calibration_error_is_an_audits_to_the_bit(p, rows):
    q, given = Logits(LOGITS), ROWS[rows]
    parts = pandq.audit(P[p], q, **given).decomposition
    assert pandq.calibration_error(P[p], q, **given) == parts.expected_calibration_error


def test_the_calibration_error_is_the_mean_distance_in_fifteen_bins():
    q = Logits(LOGITS)
    confidence, right = pandq.confidence(q), pandq.top1(Labels(Y, K), q)
    bins = np.minimum((confidence * 15).astype(int), 14)
    apart = [abs((confidence - right)[bins == b].sum()) for b in range(15)]
    found = pandq.calibration_error(Labels(Y, K), q)
    assert found.value == pytest.approx(sum(apart) / N, rel=1e-12)
    assert 0 < found.of_a_calibrated_model < found.value
    assert set(found.to_dict()) == {"value", "of_a_calibrated_model", "method"}


def test_a_calibration_error_of_no_rows_is_refused():
    with pytest.raises(InputError, match="there are no rows"):
        pandq.calibration_error(Labels([], 2), Logits(np.zeros((0, 2))))


def test_a_map_recalibrates_views_and_nothing_that_does_not_say_what_it_is():
    found = pandq.fit_calibration(P["labels"], Logits(LOGITS))
    assert found.of(Logits(LOGITS)).shape == (N, K)
    with pytest.raises(ViewTypeError, match="q must say what its numbers mean"):
        found.of(LOGITS)
