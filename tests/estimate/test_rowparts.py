"""Rows under the map of their fold: the kernel against the formulas, and against itself."""

from itertools import pairwise

import numpy as np
import pytest

from pandq import Counts, InputError, Labels, Logits, LogProbs, Probs
from pandq.core import kernels
from pandq.core.kernels import parts
from pandq.core.numerics import widen
from pandq.core.threads import THREADS
from pandq.estimate.decomposition.rowparts import by_formulas, row_parts
from pandq.recalibrator import Recalibrator
from tests.core.test_kernels import BUILDS, FUSED, STORAGES

SHAPES = [(1, 2), (130, 3), (64, 10), (65, 64), (5, 65), (7, 1000), (2, 5000)]

pytestmark = pytest.mark.skipif(not BUILDS, reason="no kernels were compiled here")


@pytest.fixture(params=BUILDS)
def build(request, monkeypatch):
    use(monkeypatch, request.param)
    return request.param


def use(monkeypatch, name):
    monkeypatch.setattr(parts, "build", lambda: kernels.builds_here().get(name))


def view_of(kind, rng, n, k, storage="float64", zeros=0.1):
    x = rng.normal(size=(n, k)) * 2
    x[(rng.random((n, k)) < zeros) & (x < x.max(axis=1, keepdims=True))] = -np.inf
    law = np.exp(x - np.logaddexp.reduce(x, axis=1, keepdims=True))
    stored = STORAGES[storage]
    if kind == "labels":
        return Labels(rng.integers(k, size=n), k)
    if kind == "counts":
        return Counts(rng.integers(0, 4, (n, k)) + (np.arange(k) == rng.integers(k)))
    if kind == "logits":
        return Logits(stored(x))
    with np.errstate(divide="ignore"):
        rows = stored(law if kind == "probs" else np.log(law))
    return (Probs if kind == "probs" else LogProbs)(rows, tolerance=0.5)


def maps_of(rng, k):
    """One of every kind, with and without a mixture."""
    freq = rng.dirichlet(np.full(k, 5.0))
    a, b = np.array(0.7), rng.normal(size=k)
    found = [
        Recalibrator("identity", {}, 0.0, freq, -9.0, 9),
        Recalibrator("identity", {}, 0.03, freq, -9.0, 9),
        Recalibrator("temperature", {"a": a}, 0.02, freq, -9.0, 9),
        Recalibrator("temperature", {"a": a}, 0.0, freq, -9.0, 9),
        Recalibrator("bias", {"a": a, "b": b}, 0.01, freq, -9.0, 9),
        Recalibrator("ordered", {"a": a, "b": b}, 0.01, freq, -9.0, 9),
        Recalibrator("vector", {"v": 1 + 0.2 * b, "b": b}, 0.5, freq, -9.0, 9),
    ]
    if k <= 64:
        w = np.eye(k) + rng.normal(size=(k, k)) / k
        found.append(Recalibrator("matrix", {"W": w, "b": b}, 0.01, freq, -9.0, 9))
    if k == 2:
        t = np.array([-np.inf, -2.0, 0.0, 1.0, np.inf])
        y = np.array([0.0, 0.1, 0.4, 0.9, 1.0])
        found += [Recalibrator("isotonic", {"t": t, "y": y}, eps, freq, 0, 9) for eps in (0.1, 0)]
    return found


def assert_same(found, want):
    for name, value in found._asdict().items():
        expected = getattr(want, name)
        if expected is None:
            assert value is None
            continue
        # a Brier score is a difference of numbers up to 2
        close = 1e-15 if "brier" in name else 1e-300
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=4 * close, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("q_kind", ["probs", "logprobs", "logits"])
@pytest.mark.parametrize("p_kind", ["labels", "counts", "probs", "logprobs", "logits"])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_kernel_s_rows_are_the_formulas(build, p_kind, q_kind, shape):
    rng = np.random.default_rng(sum(shape))
    p, q = view_of(p_kind, rng, *shape), view_of(q_kind, rng, *shape)
    maps = maps_of(rng, shape[1])
    folds = rng.integers(0, len(maps), shape[0])
    assert_same(row_parts(p, q, folds, maps), by_formulas(p, q, folds, maps))


@pytest.mark.parametrize("storage", STORAGES)
def test_any_storage_is_read_in_double_precision(build, storage):
    rng = np.random.default_rng(1)
    p, q = (view_of("logits", rng, 70, 11, storage) for _ in range(2))
    maps, folds = maps_of(rng, 11), rng.integers(0, 7, 70)
    wide = [Logits(widen(x.array)) for x in (p, q)]
    assert_same(row_parts(p, q, folds, maps), by_formulas(*wide, folds, maps))


def test_of_classes_that_share_the_top_a_label_or_p_has_its_share(build):
    q = Logits([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
    maps = maps_of(np.random.default_rng(2), 3)[:1]
    of_labels = row_parts(Labels([1, 1], 3), q, np.zeros(2, int), maps)
    assert of_labels.hit.tolist() == [0.5, 1.0]
    assert of_labels.q_class.tolist() == [-1.0, 1.0]
    of_votes = row_parts(Counts([[1, 2, 1], [3, 0, 1]]), q, np.zeros(2, int), maps)
    assert of_votes.hit.tolist() == [0.375, 0.0]


def test_a_row_stands_for_itself_whatever_comes_with_it(build, monkeypatch):
    rng = np.random.default_rng(3)
    for k in (10, 200):
        p, q = view_of("probs", rng, 700, k), view_of("logits", rng, 700, k)
        maps = maps_of(rng, k)
        folds = rng.integers(0, len(maps), 700)
        found = []
        for threads, cuts in ((1, [0, 700]), (3, [0, 700]), (2, [0, 1, 64, 65, 333, 700])):
            monkeypatch.setenv(THREADS, str(threads))
            pieces = [slice(a, b) for a, b in pairwise(cuts)]
            told = [row_parts(p[rows], q[rows], folds[rows], maps) for rows in pieces]
            columns = zip(*told, strict=True)
            found.append([np.concatenate(column).tobytes() for column in columns])
        assert found[0] == found[1] == found[2]


@pytest.mark.skipif(len(FUSED) < 2, reason="one build with fused multiply-adds")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p_kind", ["labels", "probs"])
def test_builds_give_the_same_bits(monkeypatch, p_kind, shape):
    rng = np.random.default_rng(4)
    p, q = view_of(p_kind, rng, *shape), view_of("logits", rng, *shape, "float32")
    maps = maps_of(rng, shape[1])
    folds = rng.integers(0, len(maps), shape[0])
    found = []
    for name in FUSED:
        use(monkeypatch, name)
        told = row_parts(p, q, folds, maps)
        found.append([x.tobytes() for x in told if x is not None])
    assert found[0] == found[-1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_map_of_any_kind_is_applied_as_its_formula_says(build, shape):
    rng = np.random.default_rng(5)
    log_q = view_of("logprobs", rng, *shape).array
    for one in maps_of(rng, shape[1]):
        np.testing.assert_allclose(one.apply(log_q), one.by_formula(log_q), rtol=1e-12, atol=1e-15)


def test_what_hardly_any_softmax_reaches_counts_as_ruled_out(build):
    log_q = np.array([[0.0, -800.0], [0.0, -np.inf], [np.log(0.75), np.log(0.25)]])
    for one in maps_of(np.random.default_rng(6), 2):
        if one.eps:
            first, second, third = one.apply(log_q)
            assert first.tolist() == second.tolist()
            assert np.isfinite(third).all()


def test_a_map_that_overflows_gives_no_probabilities_and_that_is_said(build):
    one = Recalibrator("temperature", {"a": np.array(-1e308)}, 0.1, np.full(2, 0.5), 0.0, 9)
    with pytest.raises(InputError, match="gives row 0 no probabilities"):
        one.of(Probs([[0.999, 0.001]]))


def test_labels_changed_after_they_were_looked_at_are_refused_and_no_class_is_read(build):
    for k in (3, 100):
        y = Labels(np.zeros(200, int), k)
        y.array[150] = 10**9
        q = Probs(np.full((200, k), 1 / k))
        maps = maps_of(np.random.default_rng(7), k)[:1]
        with pytest.raises(InputError, match="is none now"):
            row_parts(y, q, np.zeros(200, int), maps)


def test_without_a_kernel_the_formulas_answer(monkeypatch):
    monkeypatch.setattr(parts, "build", lambda: None)
    rng = np.random.default_rng(8)
    p, q = view_of("counts", rng, 20, 4), view_of("probs", rng, 20, 4)
    maps, folds = maps_of(rng, 4), rng.integers(0, 7, 20)
    found, want = row_parts(p, q, folds, maps), by_formulas(p, q, folds, maps)
    assert all((a == b).all() for a, b in zip(found, want, strict=True))
