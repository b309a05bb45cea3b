"""Recalibration maps: derivatives, optima, and what they do to rows they have not seen."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from scipy.optimize import check_grad, minimize, minimize_scalar

from pandq.errors import InputError, PandqWarning
from pandq.estimate.calibration import newton, softmaxfits
from pandq.estimate.calibration.crossfit import crossfit
from pandq.estimate.calibration.families import FAMILIES
from pandq.estimate.calibration.fitting import fit_map
from pandq.estimate.calibration.foldrows import FoldRows
from pandq.estimate.calibration.inputs import row_losses
from pandq.estimate.calibration.mixing import mixing_weight
from pandq.estimate.calibration.softmaxfits import Objective
from pandq.recalibrator import KINDS, OF_ORDER, Recalibrator, pure_map

SOFTMAX = ("temperature", "bias", "ordered", "vector", "matrix")


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def sample(seed, n, k, *, a=1.0, votes=1, zeros=0.0):
    """Truth, votes and a model whose log-odds are a times the true ones; some q exactly 0."""
    g = np.random.default_rng(seed)
    truth = log_softmax(2 * g.normal(size=(n, k)))
    pt = np.exp(truth)
    p = np.array([g.multinomial(votes, r / r.sum()) for r in pt]) / votes
    q = a * truth
    q[(g.random((n, k)) < zeros) & (q < q.max(axis=1, keepdims=True))] = -np.inf
    return p, log_softmax(q)


def mean_loss(kind, p, log_q, w=None, folds=None):
    """What a map without a ridge minimises: theta -> loss, gradient and curvature."""
    rows = FoldRows.of(log_q, p, np.ones(len(p)) if w is None else w, folds)
    k, family = rows.k, FAMILIES[kind]
    ridge = np.zeros(len(family.theta(1.0, k)))
    objective = Objective.of(rows, rows.without(None), family, 1.0, ridge)

    def at(theta):
        one = objective.wanted((theta, True))
        return objective.at(theta, rows.sums([one])[0], one.order)

    return at, len(ridge)


@pytest.mark.parametrize("kind", SOFTMAX)
@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_gradient_and_hessian_are_derivatives(kind, zeros):
    p, log_q = sample(0, 30, 4, votes=3, zeros=zeros)
    at, size = mean_loss(kind, p, log_q, np.random.default_rng(1).random(30))
    theta = np.random.default_rng(2).normal(size=size)
    error = check_grad(lambda t: at(t).loss, lambda t: at(t).gradient, theta)
    assert error < 1e-5
    h = 1e-6
    numeric = [
        (at(theta + h * e).gradient - at(theta - h * e).gradient) / (2 * h) for e in np.eye(size)
    ]
    np.testing.assert_allclose(at(theta).curvature.hessian, numeric, atol=1e-5)


@pytest.mark.parametrize("kind", ["bias", "vector"])
def test_of_many_classes_the_curvature_has_the_hessian_s_blocks(kind):
    k = 70
    p, log_q = sample(1, 40, k, votes=3, zeros=0.2)
    at, size = mean_loss(kind, p, log_q)
    theta = np.random.default_rng(2).normal(size=size) / 3
    curvature, h = at(theta).curvature, 1e-6
    places = [0, size - 5] if kind == "bias" else [3, 3 + k]
    for i in places:
        step = h * np.eye(size)[i]
        numeric = (at(theta + step).gradient - at(theta - step).gradient) / (2 * h)
        assert curvature.diagonal[i] == pytest.approx(numeric[i], abs=1e-8)
        if kind == "vector":
            assert curvature.beside[3] == pytest.approx(numeric[3 + k if i == 3 else 3], abs=1e-8)
    if kind == "bias":
        # a bias that is added to every class changes nothing, and costs a ridge alone
        strong = newton.BlockCurvature(curvature.joined, np.full(size, 1e-3), None, k)
        alike = np.concatenate([[0.0], np.ones(k)])
        np.testing.assert_allclose(strong.solve(1e-3 * alike), alike, atol=1e-9)


@pytest.mark.parametrize("kind", SOFTMAX)
def test_sums_add_over_folds(kind):
    p, log_q = sample(3, 40, 4)
    (whole, size), (parts, _) = (
        mean_loss(kind, p, log_q, None, folds) for folds in (None, np.arange(40) % 3)
    )
    a, b = whole(np.full(size, 0.7)), parts(np.full(size, 0.7))
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-12)
    np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-14)
    np.testing.assert_allclose(a.curvature.hessian, b.curvature.hessian, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_temperature_agrees_with_scipy(seed):
    p, log_q = sample(seed, 500, 6, a=1.7, votes=4)
    a = fit_map("temperature", p, log_q).parameters["a"].item()
    other = minimize_scalar(
        lambda s: row_losses(p, log_softmax(s * log_q)).mean(), bracket=(0.4, 0.8), tol=1e-14
    ).x
    # Without derivatives scipy cannot do better than sqrt(float64 rounding); with them:
    mean, _ = mean_loss("temperature", p, log_q)
    exact = minimize(
        lambda s: mean(s)[:2], [other], jac=True, method="BFGS", options={"gtol": 1e-12}
    ).x.item()
    assert a == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("kind", SOFTMAX)
def test_newton_agrees_with_bfgs(kind):
    p, log_q = sample(11, 400, 3, a=2.0, votes=2)
    c = fit_map(kind, p, log_q, strength=1e-9)
    mean, size = mean_loss(kind, p, log_q)
    best = minimize(lambda t: mean(t)[:2], np.full(size, 0.5), jac=True, options={"gtol": 1e-9})
    m = pure_map(kind, c.parameters, log_q, c.floor)
    assert row_losses(p, np.log(m)).mean() == pytest.approx(best.fun, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [0.0, 0.4])
def test_json_round_trip_is_exact_and_chunks_agree(kind, zeros):
    k = 2 if kind == "isotonic" else 4
    p, log_q = sample(5, 120, k, a=1.5, zeros=zeros)
    c = fit_map(kind, p, log_q)
    text = json.dumps(c.to_dict(), allow_nan=False)
    again = Recalibrator.from_dict(json.loads(text))
    out = c.apply(log_q)
    assert (again.apply(log_q) == out).all()
    assert again.to_dict() == c.to_dict()
    assert not np.isnan(out).any()
    np.testing.assert_allclose(np.exp(out).sum(axis=1), 1, atol=1e-12)
    if c.eps > 0:
        assert np.isfinite(out).all()
    parts = np.vstack([c.apply(log_q[:1]), c.apply(log_q[1:50]), c.apply(log_q[50:])])
    assert (parts == out).all()


class FakeTensor(np.ndarray):
    """Just enough of torch.Tensor to run the text of `to_torch` on NumPy."""

    def double(self):
        return self

    def new_tensor(self, data):
        return np.asarray(data, dtype=np.float64).view(FakeTensor)

    def log_softmax(self, axis):
        return log_softmax(self).view(FakeTensor)

    def softmax(self, axis):
        return np.exp(log_softmax(self)).view(FakeTensor)

    def log(self):
        return np.log(self)

    def exp(self):
        return np.exp(self)

    def any(self, axis, *, keepdim):
        return np.any(np.asarray(self), axis=axis, keepdims=keepdim)

    def clamp(self, low, high):
        return np.clip(self, low, high)

    def logcumsumexp(self, axis):
        return np.logaddexp.accumulate(np.asarray(self), axis=axis).view(FakeTensor)

    def flip(self, axis):
        return np.flip(self, axis)

    def sigmoid(self):
        return special.expit(self)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_torch_text_is_the_map(kind, zeros):
    k = 2 if kind == "isotonic" else 4
    p, log_q = sample(6, 200, k, a=1.5, zeros=zeros)
    c = fit_map(kind, p, log_q)
    finite = log_q if kind == "identity" else log_q[np.isfinite(log_q).all(axis=1)]
    torch = types.SimpleNamespace(
        searchsorted=lambda t, s: np.searchsorted(t, s).view(FakeTensor),
        stack=lambda parts, axis: np.stack(parts, axis).view(FakeTensor),
        where=np.where,
        cat=np.concatenate,
        ones_like=np.ones_like,
        zeros_like=np.zeros_like,
    )
    scope = {"torch": torch, "logits": (finite + 3.7).view(FakeTensor), "len": len}
    text = c.to_torch()
    assert "\n" not in text
    exec(text, scope)  # noqa: S102
    np.testing.assert_allclose(scope["log_c"], c.apply(finite), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["identity", *SOFTMAX])
def test_one_hot_q_and_labels_on_zero(kind):
    labels = np.array([0, 1, 2, 0, 1, 2, 1] * 10)
    with np.errstate(divide="ignore"):
        log_q = np.log(np.eye(3)[np.array([0, 1, 2, 0, 1, 2, 2] * 10)])
    c = fit_map(kind, labels, log_q)
    loss = row_losses(np.eye(3)[labels], c.apply(log_q))
    assert np.isfinite(loss).all()
    # One label in seven falls on q = 0: the mixture must have learnt about that rate.
    assert 0.1 < c.eps < 0.35


def test_one_class_never_seen_and_separable():
    labels = np.array([0, 1] * 25)
    log_q = np.log(np.where(np.eye(3)[labels] == 1, 0.8, 0.1))
    for kind in SOFTMAX:
        out = fit_map(kind, labels, log_q).apply(log_q)
        assert np.isfinite(out).all()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_act_like_copies(kind):
    k = 2 if kind == "isotonic" else 3
    p, log_q = sample(7, 60, k, a=1.5)
    times = np.random.default_rng(0).integers(0, 4, 60)
    copies = fit_map(kind, np.repeat(p, times, 0), np.repeat(log_q, times, 0)).apply(log_q)
    # Weights are scaled to mean 1, so n differs (60 against times.sum()); 60 zero-free rows agree.
    p, log_q, times = p[times > 0], log_q[times > 0], times[times > 0]
    weighted = fit_map(kind, p, log_q, times.astype(float), strength=p.shape[0] / times.sum())
    if kind in ("identity", "isotonic", "temperature"):
        for name, value in weighted.parameters.items():
            again = fit_map(kind, np.repeat(p, times, 0), np.repeat(log_q, times, 0)).parameters
            np.testing.assert_allclose(again[name], value, rtol=1e-7)
    assert np.isfinite(copies).all()


def test_isotonic_is_monotone_pools_ties_and_takes_infinities():
    t = np.array([-np.inf, -np.inf, -1.0, -1.0, 0.0, 1.0, 2.0, np.inf, np.inf])
    y = np.array([0, 1, 0, 0, 1, 0, 1, 1, 1])
    log_q = np.stack([-np.logaddexp(0, t), -np.logaddexp(0, -t)], axis=1)
    c = fit_map("isotonic", y, log_q)
    assert np.isfinite(c.parameters["y"]).all()
    assert (np.diff(c.parameters["t"]) > 0).all()
    grid = np.concatenate([[-np.inf], np.linspace(-9, 9, 99), [np.inf]])
    out = c.apply(np.stack([-np.logaddexp(0, grid), -np.logaddexp(0, -grid)], axis=1))
    assert np.isfinite(out).all()
    assert (np.diff(out[:, 1]) >= -1e-12).all()


def test_mixing_weight_maximises_its_objective():
    p, log_q = sample(8, 300, 4, a=3.0)
    m, freq = np.exp(log_q), np.full(4, 0.25)
    row, column = np.nonzero(p)
    eps = mixing_weight(p[row, column], m[row, column], column, freq, 0.1)
    best = minimize_scalar(
        lambda e: row_losses(p, np.log((1 - e) * m + e * freq)).sum() - 0.1 * np.log(e),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-10},
    ).x
    assert eps == pytest.approx(best, abs=1e-6)


def test_permuting_rows_or_classes_changes_nothing():
    p, log_q = sample(9, 300, 4, a=1.5)
    rows = np.random.default_rng(0).permutation(300)
    for kind in (*SOFTMAX, "cumulative"):
        out = fit_map(kind, p, log_q).apply(log_q)
        # what has an order may only be turned round
        classes = np.array([3, 2, 1, 0] if kind in OF_ORDER else [2, 0, 3, 1])
        same = fit_map(kind, p[rows], log_q[rows]).apply(log_q)
        np.testing.assert_allclose(out, same, rtol=1e-7)
        swapped = fit_map(kind, p[:, classes], log_q[:, classes]).apply(log_q[:, classes])
        np.testing.assert_allclose(out[:, classes], swapped, rtol=1e-6, atol=1e-9)


def test_crossfit_chooses_without_the_scored_rows():
    p, log_q = sample(10, 400, 3, a=1.5)
    folds = np.arange(400) % 5
    result = crossfit(p, log_q, folds)
    other = p.copy()
    other[folds == 2] = np.roll(other[folds == 2], 1, axis=1)
    changed = crossfit(other, log_q, folds)
    for name, value in result.fold_map[2].parameters.items():
        if result.fold_kind[2] == changed.fold_kind[2]:
            # its fit starts where that of all rows ended, and arrives at the same optimum
            np.testing.assert_allclose(changed.fold_map[2].parameters[name], value, rtol=1e-8)


def out_of_fold(result, p, log_q, folds):
    """(n,) losses of each row under the map that was chosen without its fold."""
    loss = np.empty(len(p))
    for j, c in result.fold_map.items():
        loss[folds == j] = row_losses(p[folds == j], c.apply(log_q[folds == j]))
    return loss


def test_the_cross_fitted_loss_of_one_kind_is_that_of_its_fold_maps():
    p, log_q = sample(10, 400, 3, a=1.5)
    folds = np.arange(400) % 5
    result = crossfit(p, log_q, folds, kinds=["temperature"])
    mine = out_of_fold(result, p, log_q, folds).mean()
    assert result.loss["temperature"] == pytest.approx(mine, abs=1e-12)


def test_identity_is_kept_exactly_and_maps_are_finite_where_the_other_rows_are():
    p, log_q = sample(12, 100, 3)
    folds = np.arange(100) % 5
    result = crossfit(p, log_q, folds, kinds=["identity"])
    assert (out_of_fold(result, p, log_q, folds) == row_losses(p, log_q)).all()
    assert (result.map.apply(log_q) == log_q).all()
    log_q[0] = np.where(p[0] > 0, -np.inf, np.log(0.5))
    worst = crossfit(p, log_q, folds)
    assert row_losses(p, log_q)[0] == np.inf
    assert np.isfinite(out_of_fold(worst, p, log_q, folds)[1:]).all()


def test_bad_input_is_refused():
    p, log_q = sample(13, 20, 3)
    for bad in (log_q + 1, np.full((20, 3), np.nan), log_q[:, :1], log_q[:0]):
        with pytest.raises(InputError):
            fit_map("temperature", p[: len(bad)], bad)
    for bad_p in (p * 2, p[:, :2], np.full(20, 3), np.full(20, 0.5), np.full((20, 3), np.nan)):
        with pytest.raises(InputError):
            fit_map("temperature", bad_p, log_q)
    with pytest.raises(InputError):
        fit_map("isotonic", p, log_q)
    with pytest.raises(InputError):
        fit_map("temperature", p, log_q, -np.ones(20))
    with pytest.raises(InputError):
        crossfit(p, log_q, np.zeros(20, dtype=int))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 6),
    st.floats(0.01, 30), st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_every_map_stays_finite_on_tiny_samples(seed, n, k, a, zeros):
    p, log_q = sample(seed, n, k, a=a, zeros=zeros)
    for kind in KINDS:
        if kind == "isotonic" and k != 2:
            continue
        out = fit_map(kind, p, log_q).apply(log_q)
        assert not np.isnan(out).any()
        np.testing.assert_allclose(np.exp(out).sum(axis=1), 1, atol=1e-9)


CONSTANT = {
    "any": lambda rng, freq: rng.dirichlet(np.ones(6)),
    "uniform": lambda rng, freq: np.full(6, 1 / 6),
    "the class frequencies": lambda rng, freq: freq,
}


@pytest.mark.parametrize("noise", [0.0, 1e-9])
@pytest.mark.parametrize("case", CONSTANT)
@pytest.mark.parametrize("kind", ["temperature", "bias", "vector", "matrix"])
def test_maps_of_a_constant_q_take_few_evaluations_and_stay_where_nothing_identifies_them(
    monkeypatch, kind, case, noise
):
    rng = np.random.default_rng(0)
    y = rng.choice(6, size=4000, p=rng.dirichlet(np.full(6, 2.0)))
    law = np.log(CONSTANT[case](rng, np.bincount(y, minlength=6) / len(y)))
    log_q = law + noise * rng.normal(size=(len(y), 6))
    log_q -= special.logsumexp(log_q, axis=1, keepdims=True)
    fits = []

    def counted(*args):
        found = newton.together(*args)
        fits.extend(found)
        return found

    monkeypatch.setattr(softmaxfits, "together", counted)
    found = fit_map(kind, y, log_q)
    assert max(fit.evaluations for fit in fits) <= 20
    if case == "uniform" and kind in ("temperature", "bias"):
        assert found.parameters["a"] == pytest.approx(1.0, abs=1e-6)
    if kind != "temperature":
        # all of them can give the class frequencies, and none can do better
        loss = row_losses(np.eye(6)[y], found.apply(log_q)).mean()
        assert loss == pytest.approx(stats.entropy(np.bincount(y) / len(y)), abs=2e-4)


def test_a_fit_that_meets_its_bound_says_so():
    def steep(asks):
        flat = newton.DenseCurvature(np.eye(1) * 1e-9)
        return [
            newton.Sums(float(np.sqrt(1 + theta @ theta)), theta * 1e-3, flat)
            for _, (theta, _) in asks
        ]

    with pytest.warns(PandqWarning, match="met its bound of 7 evaluations"):
        found = newton.together([newton.newton(np.array([1.0]), max_evaluations=7)], steep)
    assert found[0].evaluations == 7


@pytest.mark.parametrize("k", [3, 100])
def test_a_fold_s_fit_that_starts_at_that_of_all_rows_ends_where_one_from_afar_does(k):
    p, log_q = sample(14, 600, k, a=1.6)
    folds = np.arange(600) % 5
    kinds = ["temperature", "bias", "vector"]
    for kind in kinds:
        warm = crossfit(p, log_q, folds, kinds=[kind]).fold_map[1]
        cold = fit_map(kind, p[folds != 1], log_q[folds != 1])
        assert warm.eps == pytest.approx(cold.eps, rel=1e-8)
        for name, value in cold.parameters.items():
            np.testing.assert_allclose(warm.parameters[name], value, rtol=1e-6, atol=1e-8)


def test_what_a_fold_s_rows_do_not_identify_does_not_come_from_the_rows_left_out():
    # Q is uniform but for the rows of fold 0: without them no scale is better than another
    p, log_q = sample(15, 200, 4, a=1.6)
    folds = np.arange(200) % 5
    log_q[folds != 0] = np.log(0.25)
    found = crossfit(p, log_q, folds, kinds=["temperature"])
    assert found.fold_map[0].parameters["a"] == 1.0
    assert found.map.parameters["a"] != 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_kernel_the_fits_are_the_same_to_rounding(monkeypatch, kind):
    k = 2 if kind == "isotonic" else 4
    p, log_q = sample(16, 300, k, a=1.5, votes=3, zeros=0.2)
    fits = [fit_map(kind, p, log_q)]
    monkeypatch.setattr("pandq.core.kernels.maps.build", lambda: None)
    fits.append(fit_map(kind, p, log_q))
    for name, value in fits[0].parameters.items():
        np.testing.assert_allclose(fits[1].parameters[name], value, rtol=1e-8, atol=1e-9)
    assert fits[1].eps == pytest.approx(fits[0].eps, rel=1e-8)


def test_weight_in_one_fold_alone_fits_no_map_and_says_so():
    log_q, y = np.log(np.full((100, 2), 0.5)), np.arange(100) % 2
    weights = np.where(np.arange(100) < 20, 1.0, 0.0)
    with pytest.raises(InputError, match="all weight lies in one fold"):
        crossfit(y, log_q, np.arange(100) // 20, weights=weights)
