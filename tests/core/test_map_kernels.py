"""Sums of softmax maps: the kernels against NumPy, row by row, and against each other."""

import numpy as np
import pytest

from pandq.core import kernels
from pandq.core.kernels import maps
from pandq.core.kernels.maps import (
    BIASES,
    DIAGONAL,
    FIRST,
    FULL,
    SCALE,
    SoftmaxMap,
    mixture_sums,
    products_of,
    sums_size,
)
from pandq.core.threads import THREADS
from pandq.estimate.calibration.crossfit import crossfit
from pandq.estimate.calibration.families import RowSums, numpy_sums
from pandq.estimate.calibration.fitting import fit_map
from pandq.estimate.calibration.foldrows import FoldRows
from pandq.estimate.calibration.softmaxfits import bias_ridges

BUILDS = list(kernels.builds_here())
# without a fused multiply-add the roundings are others
FUSED = [name for name in BUILDS if name != "v2"]
ORDERS = [SCALE, FIRST, BIASES, DIAGONAL, FULL]
SHAPES = [(1, 2), (63, 2), (64, 3), (65, 10), (200, 30), (130, 64), (5, 65), (1, 1000), (7, 1000)]

pytestmark = pytest.mark.skipif(not BUILDS, reason="no kernels were compiled here")


@pytest.fixture(params=BUILDS)
def build(request, monkeypatch):
    use(monkeypatch, request.param)
    return request.param


def use(monkeypatch, name):
    monkeypatch.setattr(maps, "build", lambda: kernels.builds_here().get(name))


def log_law(rng, n, k, zeros=0.0, scale=2.0):
    z = rng.normal(size=(n, k)) * scale
    z[(rng.random((n, k)) < zeros) & (z < z.max(axis=1, keepdims=True))] = -np.inf
    return z - np.logaddexp.reduce(z, axis=1, keepdims=True)


def one_map(rng, n, k, *, matrix, zeros=0.2):
    scale = rng.normal(1.0, 0.3, k)
    if matrix:
        scale = np.diag(scale) + rng.normal(size=(k, k)) / k
    mass = rng.random(n) * (rng.random(n) > 0.2)
    return SoftmaxMap(log_law(rng, n, k, zeros), scale, rng.normal(size=k), -11.0), mass


def kernel_sums(one, rows, mass, order):
    k, matrix = one.x.shape[1], one.scale.ndim == 2
    out = np.zeros(sums_size(k, order, matrix=matrix))
    assert one.sums(rows, mass, order, out)
    return out


def formula_sums(one, rows, mass, order):
    k, matrix = one.x.shape[1], one.scale.ndim == 2
    out = np.zeros(sums_size(k, order, matrix=matrix))
    numpy_sums(one, rows, mass, order, out)
    return out


def softmax_of(one):
    """The map's probabilities by their definition, class by class."""
    k = one.x.shape[1]
    zero = np.isneginf(one.x)
    x = np.where(zero, one.floor, one.x)
    scale = one.scale if one.scale.ndim == 2 else np.diag(one.scale[:k])
    z = np.einsum("kj,ij->ik", scale, x) + one.bias[:k]
    z[zero] = -np.inf
    return x, np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)), z


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_kernel_s_sums_are_numpy_s(build, shape, order, matrix):
    if matrix and shape[1] > 64:
        shape = (shape[0], 20)
    one, mass = one_map(np.random.default_rng(sum(shape)), *shape, matrix=matrix)
    everything = slice(0, shape[0])
    found = kernel_sums(one, everything, mass, order)
    want = formula_sums(one, everything, mass, order)
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-11 * (1 + np.abs(want).max()))


@pytest.mark.parametrize("k", [2, 10, 64, 1000])
def test_the_sums_are_what_they_are_said_to_be(build, k):
    one, mass = one_map(np.random.default_rng(k), 70, k, matrix=False)
    x, m, z = softmax_of(one)
    sums = RowSums.of(kernel_sums(one, slice(0, 70), mass, DIAGONAL), k, DIAGONAL, matrix=False)
    close = {"rtol": 1e-10, "atol": 1e-12}
    assert sums.log_z == pytest.approx(mass @ np.logaddexp.reduce(z, axis=1), rel=1e-12)
    mean = (m * x).sum(axis=1)
    assert sums.mean == pytest.approx(mass @ mean, rel=1e-12)
    assert sums.square == pytest.approx(mass @ (m * x * x).sum(axis=1), rel=1e-12)
    assert sums.mean_squared == pytest.approx(mass @ mean**2, rel=1e-12)
    assert sums.norm == pytest.approx(mass**2 @ (m * m).sum(axis=1), rel=1e-12)
    for row, term in zip(
        sums.classes, (m, m * x, m * m, m * x * x, m * m * x, m * m * x * x), strict=True
    ):
        np.testing.assert_allclose(row, mass @ term, **close)


@pytest.mark.parametrize("k", [2, 7, 30])
def test_products_of_a_matrix_are_those_of_pairs(build, k):
    one, mass = one_map(np.random.default_rng(k), 130, k, matrix=True)
    x, m, _ = softmax_of(one)
    f = np.hstack([x, np.ones((130, 1))])
    sums = RowSums.of(kernel_sums(one, slice(0, 130), mass, FULL), k, FULL, matrix=True)
    first = np.einsum("i,ik,ij->kj", mass, m, f)
    np.testing.assert_allclose(sums.products[0][:k, : k + 1], first, atol=1e-9)
    classes, features = np.transpose(np.triu_indices(k)), np.transpose(np.triu_indices(k + 1))
    for a in (0, 1, len(classes) - 1):
        for b in (0, 1, len(features) - 1):
            (i, j), (u, v) = classes[a], features[b]
            apart = m[:, i] * ((i == j) - m[:, j])
            want = mass @ (apart * f[:, u] * f[:, v])
            assert sums.products[1][a, b] == pytest.approx(want, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("matrix", [False, True])
def test_rows_without_weight_and_classes_that_q_rules_out_add_nothing(build, matrix):
    rng = np.random.default_rng(3)
    one, mass = one_map(rng, 100, 5, matrix=matrix, zeros=0.4)
    there = mass > 0
    bare = SoftmaxMap(one.x[there], one.scale, one.bias, one.floor)
    found = kernel_sums(one, slice(0, 100), mass, FULL)
    alone = kernel_sums(bare, slice(0, int(there.sum())), mass[there], FULL)
    np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-12)
    if not matrix:
        one.x[:, 2] = -np.inf
        classes = RowSums.of(
            kernel_sums(one, slice(0, 100), mass, FULL), 5, FULL, matrix=False
        ).classes
        assert (classes[:, 2] == 0).all()


@pytest.mark.skipif(len(FUSED) < 2, reason="one build with fused multiply-adds")
@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_builds_give_the_same_bits(monkeypatch, shape, order, matrix):
    if matrix and shape[1] > 64:
        shape = (shape[0], 20)
    one, mass = one_map(np.random.default_rng(sum(shape)), *shape, matrix=matrix)
    found = []
    for name in FUSED:
        use(monkeypatch, name)
        found.append(kernel_sums(one, slice(0, shape[0]), mass, order).tobytes())
    assert len(set(found)) == 1


def test_a_block_s_sums_are_those_of_its_rows_alone(build):
    one, mass = one_map(np.random.default_rng(4), 200, 10, matrix=False)
    part = SoftmaxMap(one.x[64:150].copy(), one.scale, one.bias, one.floor)
    inside = kernel_sums(one, slice(64, 150), mass, FULL)
    assert (inside == kernel_sums(part, slice(0, 86), mass[64:150], FULL)).all()


@pytest.mark.parametrize(("k", "matrix"), [(2, False), (10, True), (64, False), (1000, False)])
def test_probabilities_at_some_classes_are_the_softmax_there(build, k, matrix):
    rng = np.random.default_rng(5)
    one, _ = one_map(rng, 70, k, matrix=matrix)
    there = rng.random((70, k)) < 0.3
    there[5] = False
    start = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    column, out = np.nonzero(there)[1], np.full(there.sum(), np.nan)
    assert one.at(start, column, out)
    np.testing.assert_allclose(out, softmax_of(one)[1][there], rtol=1e-11, atol=1e-300)


def test_products_are_padded_as_the_kernel_pads_them(build):
    for k, matrix in ((1, False), (3, True), (31, True), (64, False)):
        for order in (FIRST, FULL):
            size = sums_size(max(k, 2), order, matrix=matrix)
            guard = np.full(64, 7.0)
            memory = np.concatenate([np.zeros(size), guard])
            one, mass = one_map(np.random.default_rng(k), 66, max(k, 2), matrix=matrix)
            assert one.sums(slice(0, 66), mass, order, memory[:size])
            assert (memory[size:] == guard).all()
            for down, across in products_of(max(k, 2), order, matrix=matrix):
                assert down % 8 == 0 == across % 24


# ------------------------------------------------------------------------------------- whole fits


def everything(found):
    """All that a cross-fit says, as text that holds every bit."""
    maps_ = [found.map, *found.fold_map.values()]
    return repr((dict(found.loss), found.kind, [c.to_dict() for c in maps_]))


@pytest.mark.parametrize(("n", "k", "zeros"), [(7000, 10, 0.0), (500, 100, 0.2), (3000, 2, 0.1)])
def test_fits_are_the_same_bits_with_any_number_of_threads(monkeypatch, n, k, zeros):
    rng = np.random.default_rng(6)
    log_q = log_law(rng, n, k, zeros)
    y = (np.where(np.isneginf(log_q), -9.0, log_q) + rng.gumbel(size=(n, k))).argmax(axis=1)
    folds = rng.integers(0, 5, n)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setenv(THREADS, str(threads))
        found.append(everything(crossfit(y, log_q, folds)))
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(len(FUSED) < 2, reason="one build with fused multiply-adds")
def test_fits_are_the_same_bits_on_every_build(monkeypatch):
    rng = np.random.default_rng(7)
    log_q = log_law(rng, 800, 4, 0.1)
    y = rng.integers(0, 4, 800)
    found = []
    for name in FUSED:
        use(monkeypatch, name)
        found.append(everything(crossfit(y, log_q, np.arange(800) % 5)))
    assert len(set(found)) == 1


@pytest.mark.parametrize(("kind", "k"), [("bias", 1000), ("vector", 70), ("matrix", 12)])
def test_a_fit_of_many_parameters_arrives_where_its_gradient_vanishes(build, kind, k):
    rng = np.random.default_rng(8)
    log_q = log_law(rng, 1500, k)
    y = (log_q * 0.7 + rng.gumbel(size=log_q.shape)).argmax(axis=1)
    c = fit_map(kind, y, log_q)
    # moving any of some directions a little makes the penalised loss no smaller
    loss = penalised(kind, c.parameters, y, log_q)
    for _ in range(5):
        moved = {n: v + 1e-4 * rng.normal(size=v.shape) for n, v in c.parameters.items()}
        assert penalised(kind, moved, y, log_q) > loss


def penalised(kind, parameters, y, log_q):
    """The sum of losses with the ridges that `fit_map` says, by their definition."""
    n, k = log_q.shape
    a0 = float(fit_map("temperature", y, log_q).parameters["a"])
    rows = FoldRows.of(log_q, np.eye(k)[y], np.ones(n))
    on_bias, _ = bias_ridges(rows, [rows.without(None)], [a0])[0]
    b = parameters["b"]
    if kind == "matrix":
        z, off = log_q @ parameters["W"].T + b, parameters["W"] - a0 * np.eye(k)
        ridge = np.where(np.eye(k) == 1, 2 * k, 2 * k * (k - 1)) / a0**2
        penalty = (ridge * off**2).sum()
    elif kind == "vector":
        z = log_q * parameters["v"] + b
        penalty = 2 * k / a0**2 * ((parameters["v"] - a0) ** 2).sum()
    else:
        z, penalty = log_q * parameters["a"] + b, 0.0
    loss = (np.logaddexp.reduce(z, axis=1) - z[np.arange(n), y]).sum()
    return loss + (penalty + on_bias * (b**2).sum()) / 2


def test_the_ridge_on_biases_is_the_moment_estimate_from_whole_residuals(build):
    rng = np.random.default_rng(9)
    log_q = log_law(rng, 400, 6, 0.2)
    p, w = rng.dirichlet(np.arange(1.0, 7.0), 400), rng.random(400)
    rows = FoldRows.of(log_q, p, w)
    zero = np.isneginf(log_q)
    m = softmax_of(SoftmaxMap(log_q, np.full(6, 0.8), np.zeros(6), -9.0))[1]
    wp = np.where(zero, 0.0, w[:, None] * p)
    s = wp.sum(axis=1, keepdims=True)
    r = s * m - wp
    slope = (s * m * (1 - m)).sum(axis=0)
    excess = (r.sum(axis=0) ** 2).sum() - (r * r).sum()
    want = (slope**2).sum() / excess
    assert 0 < want < 12
    assert bias_ridges(rows, [rows.without(None)], [0.8])[0] == pytest.approx([want, 0.0], rel=1e-9)


def test_sums_of_a_mixture_are_the_derivatives_of_its_loss(build):
    rng = np.random.default_rng(10)
    freq, column = rng.dirichlet(np.ones(5)), rng.integers(0, 5, 300)
    weight, inside = rng.random(300), rng.random(300) * (rng.random(300) > 0.1)
    pieces = [slice(0, 70), slice(90, 300)]
    there = np.r_[0:70, 90:300]

    def gain(log_eps):
        eps = np.exp(log_eps)
        mixed = (1 - eps) * inside[there] + eps * freq[column[there]]
        return weight[there] @ np.log(mixed)

    at, h = -2.0, 1e-4
    told = weight, inside, column, freq, np.exp(at), pieces
    first, second = mixture_sums(*told)
    assert first == pytest.approx((gain(at + h) - gain(at - h)) / (2 * h), rel=1e-6)
    curved = (gain(at + h) - 2 * gain(at) + gain(at - h)) / h**2
    assert first - second == pytest.approx(curved, rel=1e-4)
    share = np.exp(at) * (freq[column] - inside)
    share /= inside + share
    assert first == pytest.approx(weight[there] @ share[there], rel=1e-12)
    assert second == pytest.approx(weight[there] @ share[there] ** 2, rel=1e-12)
