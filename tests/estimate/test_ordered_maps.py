"""Maps of classes in their order: against mpmath and derivatives, and what they respect."""

from itertools import pairwise

import mpmath
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import pandq
from pandq import InputError, Labels, Probs
from pandq.core.cumulative import Edges
from pandq.estimate.calibration.crossfit import crossfit, default_kinds
from pandq.estimate.calibration.families import FAMILIES, steps
from pandq.estimate.calibration.fitting import fit_map
from pandq.estimate.calibration.foldrows import FoldRows
from pandq.estimate.calibration.inputs import row_losses
from pandq.estimate.calibration.linkfit import loss_and_slope
from pandq.estimate.calibration.softmaxfits import bias_ridges, tilt_ridges

K = 5


def logits(place, a=1.0, k=K):
    """Cumulative logits of ordered classes for rows at a place."""
    below = expit(a * (np.linspace(-2, 2, k - 1) - place[:, None]))
    return np.diff(below, axis=1, prepend=0, append=1)


def drawn(seed, n, *, shift=0.8, sharp=1.6, k=K):
    """A label, log Q and P of n rows: Q is shifted by one place and too sharp."""
    rng = np.random.default_rng(seed)
    place = 1.5 * rng.normal(size=n)
    p, q = logits(place, k=k), logits(place + shift, sharp, k=k)
    y = (rng.random((n, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
    return y, np.log(q), p


# ------------------------------------------------------------------------------ the cumulative map


def exact(q, a, b):
    """The map of one row of probabilities in 400 digits."""
    with mpmath.workdps(400):
        q = [mpmath.mpf(x) for x in q]
        inner = range(1, len(q))
        odds = [mpmath.log(sum(q[:k])) - mpmath.log(sum(q[k:])) for k in inner]
        below = [0, *(1 / (1 + mpmath.exp(-(a * x + b))) for x in odds), 1]
        return [float(mpmath.log(y - x)) for x, y in pairwise(below)]


@given(
    st.lists(st.floats(-100, 0), min_size=2, max_size=6),
    st.floats(0.01, 5),
    st.floats(-20, 20),
)
def test_the_map_is_that_of_many_digits_however_small_a_class_is(x, a, b):
    q = np.exp(np.array(x) - max(x))
    with mpmath.workdps(400):
        whole = sum(mpmath.mpf(v) for v in q.tolist())
        log_q = [float(mpmath.log(mpmath.mpf(v) / whole)) for v in q.tolist()]
    found = Edges.of(np.array([log_q])).log_mapped(a, b)[0]
    wanted = exact(q.tolist(), a, b)
    # rounding of log q, up to 100, is multiplied by the slope
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13 * (1 + 100 * a))


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 50), st.floats(-30, 30))
def test_every_row_stays_a_distribution_and_what_is_ruled_out_stays_so(seed, a, b):
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(6, 0.1), 20)
    q[q < 0.05] = 0
    q /= q.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        found = Edges.of(np.log(q)).log_mapped(a, b)
    assert not np.isnan(found).any()
    assert ((found == -np.inf) == (q == 0)).all()
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-12)


def test_a_line_through_the_middle_changes_nothing_and_backwards_is_the_same_line():
    q = np.random.default_rng(0).dirichlet(np.ones(K), 50)
    edges, back = Edges.of(np.log(q)), Edges.of(np.log(q[:, ::-1]))
    np.testing.assert_allclose(np.exp(edges.log_mapped(1.0, 0.0)), q, rtol=1e-13)
    there, again = edges.log_mapped(0.7, 0.4), back.log_mapped(0.7, -0.4)
    np.testing.assert_allclose(there, again[:, ::-1], atol=1e-13)


@pytest.mark.parametrize("theta", [(1.0, 0.0), (0.3, 2.0), (7.0, -1.0)])
def test_slopes_are_derivatives_of_the_loss(theta):
    rng = np.random.default_rng(1)
    edges, w = Edges.of(np.log(rng.dirichlet(np.full(K, 0.3), 30))), rng.random((30, K))
    _, slope = loss_and_slope(edges, w, *theta)
    h = 1e-6
    for i, step in enumerate(h * np.eye(2)):
        up, down = (loss_and_slope(edges, w, *(theta + s * step))[0] for s in (1, -1))
        assert slope[i] == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_the_line_of_a_proportional_odds_model_is_found():
    y, log_q, _ = drawn(2, 20_000)
    found = fit_map("cumulative", y, log_q)
    # Q's log-odds are 1.6 (step - place - 0.8), the true ones step - place
    assert found.parameters["a"] == pytest.approx(1 / 1.6, abs=0.02)
    assert found.parameters["b"] == pytest.approx(0.8, abs=0.04)


def test_of_two_classes_it_is_logistic_regression_on_the_log_odds():
    y, log_q, _ = drawn(3, 3000, k=2)
    found = fit_map("cumulative", y, log_q).parameters
    x = (log_q[:, 0] - log_q[:, 1])[:, None]
    other = LogisticRegression(C=1e9, tol=1e-9).fit(x, y == 0)
    assert found["a"] == pytest.approx(other.coef_.item(), abs=1e-3)
    assert found["b"] == pytest.approx(other.intercept_.item(), abs=1e-3)


@pytest.mark.parametrize("y", [0, K - 1])
def test_labels_that_are_all_one_class_have_an_end(y):
    _, log_q, _ = drawn(4, 200)
    found = fit_map("cumulative", np.full(200, y), log_q)
    assert np.isfinite([found.parameters["a"], found.parameters["b"]]).all()
    assert np.exp(found.apply(log_q))[:, y].min() > 0.9


# --------------------------------------------------------------------------------- the ordered map


def test_the_optimum_of_the_ordered_map_is_that_of_any_optimiser():
    y, log_q, _ = drawn(5, 300)
    rows = FoldRows.of(log_q, np.eye(K)[y], np.ones(300))
    training = rows.without(None)
    a0 = float(fit_map("temperature", y, log_q).parameters["a"])
    (on_bias, on_tilt), u = tilt_ridges(rows, [training], [a0])[0], steps(K)

    def penalised(theta):
        a, tilt, bias = theta[0], theta[1], theta[2:]
        losses = row_losses(np.eye(K)[y], log_softmax(a * log_q + bias + tilt * u, axis=1))
        return losses.sum() + (on_tilt * tilt**2 + on_bias * bias @ bias) / 2

    best = minimize(penalised, np.append(a0, np.zeros(K + 1)), options={"gtol": 1e-7})
    found = fit_map("ordered", y, log_q).parameters
    assert found["a"] == pytest.approx(best.x[0], abs=1e-4)
    np.testing.assert_allclose(found["b"], best.x[2:] + best.x[1] * u, atol=1e-3)


def test_a_shift_along_the_classes_costs_no_freedom_of_single_ones():
    """Q's class frequencies are tilted and nothing else: the rest of the biases is held firmly."""
    rng = np.random.default_rng(6)
    p = logits(1.5 * rng.normal(size=4000))
    y = (rng.random((4000, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
    log_q = log_softmax(np.log(p) + 1.5 * steps(K), axis=1)
    rows = FoldRows.of(log_q, np.eye(K)[y], np.ones(4000))
    (on_bias, on_tilt) = tilt_ridges(rows, [rows.without(None)], [1.0])[0]
    assert on_tilt < 1 < on_bias
    assert bias_ridges(rows, [rows.without(None)], [1.0])[0][0] < on_bias
    found = fit_map("ordered", y, log_q).parameters["b"]
    np.testing.assert_allclose(found - found.mean(), -1.5 * steps(K), atol=0.15)


@pytest.mark.parametrize("kind", ["ordered", "cumulative"])
def test_a_row_that_q_ranks_above_another_stays_above_it(kind):
    """Of rows in the order of their places, probability beyond every threshold rises or stays."""
    y, log_q, _ = drawn(7, 400)
    found = fit_map(kind, y, log_q)
    ranked = np.log(logits(np.linspace(-3, 3, 50)))
    below = np.cumsum(np.exp(found.apply(ranked)), axis=1)[:, :-1]
    assert (np.diff(below, axis=0) <= 1e-12).all()


@pytest.mark.parametrize("kind", ["ordered", "cumulative"])
def test_it_does_not_matter_which_end_is_first(kind):
    y, log_q, _ = drawn(8, 400)
    there = fit_map(kind, y, log_q).apply(log_q)
    back = fit_map(kind, K - 1 - y, log_q[:, ::-1]).apply(log_q[:, ::-1])
    np.testing.assert_allclose(there, back[:, ::-1], atol=1e-5)


def test_few_labels_of_a_shifted_q_are_worth_more_with_the_order():
    left = {False: [], True: []}
    for seed in range(6):
        y, log_q, _ = drawn(seed, 150, k=8)
        _, other, truth = drawn(seed + 100, 3000, k=8)
        for ordered, found in left.items():
            kinds = default_kinds(8, ordered=ordered)
            c = crossfit(y, log_q, np.arange(150) % 5, kinds=kinds).map.apply(other)
            found.append((truth * (np.log(truth) - c)).sum(axis=1).mean())
    assert np.mean(left[True]) < 0.7 * np.mean(left[False])


def test_of_two_classes_and_without_an_order_the_kinds_are_as_they_were():
    assert default_kinds(2, ordered=True) == default_kinds(2)
    for k in (3, 40, 100, 2000):
        assert not {"ordered", "cumulative"} & {*default_kinds(k)}
        assert "cumulative" in default_kinds(k, ordered=True)
    assert "ordered" in FAMILIES


# -------------------------------------------------------------------------------- for whoever asks


def test_an_ordered_audit_tries_them_and_the_same_map_is_fitted_alone():
    y, log_q, _ = drawn(9, 400)
    p, q = Labels(y, K), Probs(np.exp(log_q))
    found = pandq.audit(p, q, ordered=True)
    assert {"ordered", "cumulative"} <= set(found.decomposition.recalibration.cross_entropy)
    assert found.decomposition.recalibration.kind == "cumulative"
    alone = pandq.fit_calibration(p, q, ordered=True)
    assert alone.to_dict() == found.recalibrator.to_dict()
    np.testing.assert_array_equal(
        pandq.Recalibrator.from_dict(alone.to_dict()).of(q).array, alone.of(q).array
    )


@pytest.mark.parametrize("kind", ["ordered", "cumulative"])
def test_a_map_of_an_order_that_nobody_said_is_refused(kind):
    q = {"low": 0.2, "mid": 0.3, "high": 0.5}
    rows = pandq.scan(pa.table({"label": ["low", "mid", "high"] * 40, "probs": [q] * 120}))
    with pytest.raises(InputError, match="nothing says in which order"):
        pandq.fit_calibration(rows, kind=kind)


def test_scikit_learn_s_sorted_text_has_no_order():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 2)), np.arange(120) % 3
    names = np.array(["low", "mid", "high"])[y]
    with pytest.raises(InputError, match="text is sorted by its letters"):
        pandq.CalibratedClassifier(GaussianNB(), kind="ordered").fit(x, names)
    found = pandq.CalibratedClassifier(GaussianNB(), kind="ordered").fit(x, y)
    assert found.recalibrator_.kind == "ordered"


def test_ordered_maps_are_for_so_many_classes():
    with pytest.raises(InputError, match="at most 64 classes, got 65"):
        fit_map("ordered", np.arange(65), np.full((65, 65), -np.log(65)))
