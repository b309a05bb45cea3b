"""One suite for the kernels and for the NumPy formulas that they must agree with.

The reference is `core/measures.py` in float64, itself held to 50 digits in `test_measures.py`.
Logits of single precision or less may differ from it by what single precision costs: 2e-6 of an
entropy or a cross entropy, 1e-5 of a divergence. Everything else agrees to 1e-12.
"""

import functools
import hashlib
import math
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import Counts, InputError, Labels, Logits, LogProbs, Probs
from pandq.core import kernels, measures, scores
from pandq.core.columns import Columns
from pandq.core.kernels import builds, run
from pandq.core.laws import Law
from pandq.core.numerics import BFLOAT16, widen
from pandq.core.threads import THREADS
from pandq.rows import label_losses, measure_rows
from pandq.views import VIEWS

INF = np.inf
BUILDS = list(kernels.builds_here())
# without a fused multiply-add the roundings are others
FUSED = [name for name in BUILDS if name != "v2"]

pytestmark = pytest.mark.skipif(not BUILDS, reason="no kernels were compiled here")


@pytest.fixture(params=BUILDS)
def build(request, monkeypatch):
    monkeypatch.setattr(run, "build", lambda: kernels.builds_here()[request.param])
    return request.param


@pytest.fixture
def threads(monkeypatch):
    return lambda n: monkeypatch.setenv(THREADS, str(n))


def bfloat16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32) >> np.uint32(16)
    return bits.astype(np.uint16).view(BFLOAT16)


STORAGES = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": bfloat16,
}


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def view_of(kind, rng, n, k, storage="float64", scale=2.0):
    x = rng.normal(size=(n, k)) * scale
    stored = STORAGES[storage]
    if kind == "labels":
        return Labels(rng.integers(k, size=n), k)
    if kind == "counts":
        return Counts(rng.integers(0, 5, (n, k)) + (np.arange(k) == rng.integers(k)))
    if kind == "logits":
        return Logits(stored(x))
    law = softmax(x)
    view = Probs if kind == "probs" else LogProbs
    return view(stored(law if kind == "probs" else np.log(law)), tolerance=0.5)


def once_for_all_builds(formulas):
    """Formulas of p and q, which are the same whatever build they are held against."""
    said = {}

    @functools.wraps(formulas)
    def of(p, q):
        given = hashlib.sha256(pickle.dumps((p, q))).digest()
        if given not in said:
            said[given] = formulas(p, q)
        return said[given]

    return of


@once_for_all_builds
def by_formulas(p, q):
    """Every measure of core/measures.py and core/scores.py; of ties in laws, of the first class."""
    certain = p.kind == "labels"
    p, q = p.law(), q.law()
    top_p, top_q = scores.first_top(p), scores.first_top(q)
    return {
        "cross_entropy": measures.cross_entropy(p, q),
        "entropy": measures.entropy(p),
        "kl": measures.kl_divergence(p, q),
        "kl_reverse": measures.kl_divergence(q, p),
        "accuracy": scores.accuracy(p, q) if certain else (top_p == top_q).astype(float),
        "brier": scores.brier_score(p, q),
        "confidence": scores.confidence(q),
        "expected_accuracy": p.prob[np.arange(len(top_q)), top_q],
        "q_entropy": measures.entropy(q),
        "p_class": scores.top_class(p).astype(float),
        "q_class": scores.top_class(q).astype(float),
        "p_confidence": scores.confidence(p),
        "q_mass": q.prob[np.arange(len(top_p)), top_p],
    }


def measured(p, q):
    found = kernels.measured(p.kind, p.array, q.kind, q.array)
    assert found is not None
    return found


def assert_agrees(p, q):
    found, want = measured(p, q), by_formulas(p, q)
    single = q.kind == "logits" and q.array.dtype.itemsize < 8
    for name, value in found.items():
        close = (2e-6 if "kl" not in name else 1e-5) if single else 1e-12
        np.testing.assert_allclose(value, want[name], rtol=close, atol=1e-15, err_msg=name)


SHAPES = [(1, 2), (130, 3), (64, 10), (65, 64), (5, 65), (3, 1000), (2, 2048), (2, 5000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("q_kind", [kind for kind in VIEWS if kind != "labels"])
@pytest.mark.parametrize("p_kind", VIEWS)
def test_kernel_agrees_with_the_formulas(build, p_kind, q_kind, storage, shape):
    rng = np.random.default_rng(7)
    p = view_of(p_kind, rng, *shape, storage)
    assert_agrees(p, view_of(q_kind, rng, *shape, storage))


@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
@pytest.mark.parametrize("k", [3, 64, 65, 5000])
def test_logits_at_the_ends_of_single_precision_have_finite_losses(build, k, storage):
    x = np.zeros((3, k))
    x[0, :2], x[1, :2], x[2, :2] = (3e38, -3e38), (-3e38, 3e38), (-3e38, -3e38)
    q = Logits(STORAGES[storage](x))
    exact = widen(q.array)
    loss = measure_rows(Labels([1, 0, 2], k), q).cross_entropy
    assert loss[:2] == pytest.approx(np.abs(exact[:2, :2]).sum(axis=1), rel=1e-15)
    assert loss[2] == pytest.approx(np.log(k - 2))
    assert_agrees(Labels([1, 0, 2], k), q)


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_counts_of_any_integer_type_are_the_same_votes(build, dtype):
    rng = np.random.default_rng(3)
    votes = rng.integers(1, 9, (20, 5))
    q = view_of("probs", rng, 20, 5)
    assert_agrees(Counts(votes.astype(dtype)), q)


@given(st.integers(1, 90), st.integers(2, 90), st.floats(0.01, 60), st.integers(0, 2**32 - 1))
def test_any_logits_agree_with_the_formulas(n, k, scale, seed):
    rng = np.random.default_rng(seed)
    p, q = (view_of("logits", rng, n, k, "float32", scale) for _ in range(2))
    assert_agrees(p, q)
    assert_agrees(Labels(rng.integers(k, size=n), k), q)


# ------------------------------------------------------------------------- what is not ordinary


def forbidding(x, where):
    x = x.copy()
    x[where] = -INF
    return x


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("k", [3, 10, 64, 65, 3000])
def test_forbidden_classes_are_the_same_as_in_the_formulas(build, k, storage):
    rng = np.random.default_rng(k)
    x, y = rng.normal(size=(2, 40, k)) * 3
    p_mask, q_mask = rng.random((2, 40, k)) < 0.2
    p_mask[:, 0] = q_mask[:, 1] = False
    q_mask[::2] &= p_mask[::2]  # every other row stays finite
    stored = STORAGES[storage]
    p, q = Logits(stored(forbidding(x, p_mask))), Logits(stored(forbidding(y, q_mask)))
    assert np.isinf(measured(p, q)["kl"]).any()
    assert np.isfinite(measured(p, q)["kl"]).any()
    assert_agrees(p, q)
    assert_agrees(Labels(np.full(40, k - 1), k), q)


@pytest.mark.parametrize("whole", [False, True], ids=["lean", "whole"])
@pytest.mark.parametrize("storage", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("noise", [0.01, 1.0])
@pytest.mark.parametrize("where", ["start", "middle", "end", "here and there"])
def test_classes_that_both_forbid_are_no_matter(build, where, noise, storage, whole):
    rng = np.random.default_rng(12)
    x = rng.normal(size=(4, 9000)) * 3
    y = x + noise * rng.normal(size=x.shape) + 2.0
    places = {
        "start": np.arange(9000) < 5000,
        "middle": abs(np.arange(9000) - 4500) < 1500,
        "end": np.arange(9000) > 6100,
        "here and there": rng.random(9000) < 0.3,
    }
    x[:, places[where]] = y[:, places[where]] = -INF
    p, q = (Logits(STORAGES[storage](a)) for a in (x, y))
    found = kernels.measured("logits", p.array, "logits", q.array, whole=whole)
    want = by_formulas(p, q)
    for name, value in found.items():
        close = 1e-5 if "kl" in name else 2e-6
        np.testing.assert_allclose(value, want[name], rtol=close, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("gap", [1.0, 15.0, 25.0, 60.0, 85.0, 100.0, 800.0, 1e30])
@pytest.mark.parametrize("k", [3, 100])
def test_laws_that_are_far_apart_agree_with_the_formulas(build, k, gap):
    x, y = np.zeros((2, 4, k), np.float32)
    x[:, 0] = y[:, -1] = y[2:, 1] = gap
    x[1, 1] = gap * 0.99
    assert_agrees(Logits(x), Logits(y))
    assert_agrees(Labels([0, 1, 2, 0], k), Logits(y))


@pytest.mark.parametrize("k", [4, 80])
def test_equal_largest_logits_are_counted_once_each(build, k):
    x = np.zeros((3, k), np.float32)
    x[1, :3] = 20.0
    x[2, -2:] = 90.0
    y = np.roll(x, 1, axis=1)
    assert_agrees(Logits(x), Logits(y))
    assert_agrees(Labels([0, 1, k - 1], k), Logits(x))


def test_maxima_that_rise_from_block_to_block_agree_with_the_formulas(build):
    k = 9000
    rising = np.linspace(-30, 30, k, dtype=np.float32)[None]
    noise = np.random.default_rng(2).normal(size=(1, k)).astype(np.float32)
    for x, y in ((rising, rising + noise), (rising, -rising), (rising + noise, noise)):
        for stored in (np.asarray, lambda a: a.astype(np.float16), bfloat16):
            assert_agrees(Logits(stored(x)), Logits(stored(y)))


def test_nearly_certain_rows_keep_their_digits(build):
    x = np.array([[0.0, -18.0, -19.0], [0.0, -40.0, -41.0]], np.float32)
    wide = np.full((2, 100), -60.0, np.float32)
    wide[:, :3] = x
    for logits in (x, wide):
        assert_agrees(Labels([0, 0], logits.shape[1]), Logits(logits))
        assert_agrees(Logits(logits), Logits(logits * np.float32(1.01)))


# ----------------------------------------------------------------------------- small divergences


def in_long_double(x, y):
    """KL(P||Q) and KL(Q||P) as sums of terms that cannot be negative."""
    x, y = (a.astype(np.longdouble) for a in (x, y))
    x, y = (a - a.max(axis=1, keepdims=True) for a in (x, y))
    log_p, log_q = (a - np.log(np.exp(a).sum(axis=1, keepdims=True)) for a in (x, y))

    def kl(log_p, log_q):
        t = log_q - log_p
        series = t * t * (0.5 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t / 720))))
        terms = np.exp(log_p) * np.where(abs(t) < 1e-2, series, np.expm1(t) - t)
        return terms.sum(axis=1).astype(float)

    return kl(log_p, log_q), kl(log_q, log_p)


@pytest.mark.parametrize("whole", [False, True], ids=["lean", "whole"])
@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("noise", [1e-4, 4.5e-3, 0.05, 0.3, 1.0, 3.0])
def test_kl_of_128256_classes_in_float32_is_right_however_small(build, noise, shift, whole):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 128_256)).astype(np.float32) * np.float32([[1.0], [3.0], [8.0]])
    y = (x + noise * rng.normal(size=x.shape) + shift).astype(np.float32)
    forth, back = in_long_double(x, y)
    found = kernels.measured("logits", x, "logits", y, whole=whole)
    np.testing.assert_allclose(found["kl"], forth, rtol=1e-6)
    np.testing.assert_allclose(found["kl_reverse"], back, rtol=3e-6)


@pytest.mark.parametrize("stored", [np.float16, bfloat16], ids=["float16", "bfloat16"])
def test_kl_of_a_copy_that_rounding_made_is_right(build, stored):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4, 20_000)) * 3
    make = stored if stored is bfloat16 else lambda a: a.astype(stored)
    p, q = Logits(make(x)), Logits(make(x + 0.01 * rng.normal(size=x.shape)))
    np.testing.assert_allclose(measured(p, q)["kl"], by_formulas(p, q)["kl"], rtol=1e-5)


def test_kl_has_no_seam_where_the_formulas_change(build):
    rng = np.random.default_rng(8)
    x, step = rng.normal(size=(2, 1, 3000))
    size = np.geomspace(1e-3, 30, 400)[:, None]
    p = np.repeat(x, 400, axis=0).astype(np.float32)
    q = (x + size * step).astype(np.float32)
    found = kernels.measured("logits", p, "logits", q, whole=False)
    want = in_long_double(p, q)
    np.testing.assert_allclose(found["kl"], want[0], rtol=3e-6)
    np.testing.assert_allclose(found["kl_reverse"], want[1], rtol=1e-5)
    assert (np.diff(found["kl"]) > 0).all()


@pytest.mark.parametrize("k", [10, 500, 128_256])
def test_a_law_is_exactly_0_from_itself(build, k):
    x = np.random.default_rng(k).normal(size=(3, k)).astype(np.float32)
    assert measured(Logits(x), Logits(x))["kl"].tolist() == [0.0, 0.0, 0.0]
    assert measured(Logits(x), Logits(x))["kl_reverse"].tolist() == [0.0, 0.0, 0.0]


# ------------------------------------------------------------------------------------- same bits


def bits(found):
    return {name: value.tobytes() for name, value in found.items()}


BIT_CASES = [
    ("labels", "logits", "float32", 1000),
    ("labels", "logits", "float16", 10),
    ("labels", "probs", "float32", 10),
    ("counts", "logits", "float64", 30),
    ("logits", "logits", "float32", 5000),
    ("logits", "logits", "bfloat16", 5000),
    ("logits", "logits", "float32", 12),
    ("probs", "logprobs", "float64", 200),
]


@pytest.fixture(params=BIT_CASES, ids=str)
def pair(request):
    p_kind, q_kind, storage, k = request.param
    rng = np.random.default_rng(9)
    n = 700 if k < 100 else 40
    return view_of(p_kind, rng, n, k, storage), view_of(q_kind, rng, n, k, storage)


def test_a_measure_that_is_asked_for_alone_has_the_same_bits(build, pair):
    p, q = pair
    for name, value in measured(p, q).items():
        found = kernels.measured(p.kind, p.array, q.kind, q.array, only=name)
        assert found[name].tobytes() == value.tobytes()
        assert p.kind != "labels" or list(found) == [name]


@pytest.mark.skipif(len(FUSED) < 2, reason="needs two builds with fused multiply-add")
def test_every_instruction_set_with_fma_gives_the_same_bits(pair, monkeypatch):
    found = []
    for name in FUSED:
        monkeypatch.setattr(run, "build", lambda name=name: kernels.builds_here()[name])
        found.append(bits(measured(*pair)))
    assert all(other == found[0] for other in found[1:])


def test_any_number_of_threads_gives_the_same_bits(build, pair, threads, monkeypatch):
    monkeypatch.setattr(run, "TASK_NUMBERS", 1000)
    found = []
    for n in (1, 2, 5):
        threads(n)
        found.append(bits(measured(*pair)))
    assert found[0] == found[1] == found[2]


def test_any_chunking_gives_the_same_bits(build, pair):
    p, q = pair
    whole = measured(p, q)
    for step in (1, 7, 64, 65):
        parts = [measured(p[i : i + step], q[i : i + step]) for i in range(0, len(q), step)]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in whole}
        assert bits(joined) == bits(whole)


def layouts(x):
    padded = np.zeros((len(x), x.shape[1] + 3), x.dtype)
    padded[:, 1:-2] = x
    spread = np.zeros((len(x), 2 * x.shape[1]), x.dtype)
    spread[:, ::2] = x
    odd = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    return {
        "columns": np.asfortranarray(x),
        "a part of a table": padded[:, 1:-2],
        "every other column": spread[:, ::2],
        "backwards": np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
        "off its alignment": odd,
    }


@pytest.mark.parametrize("layout", layouts(np.zeros((1, 1))))
def test_any_memory_layout_gives_the_same_bits(build, pair, layout):
    p, q = pair
    moved = type(q).trusted(layouts(q.array)[layout], q.n_classes)
    if p.kind != "labels":
        p = type(p).trusted(layouts(p.array)[layout], p.n_classes)
    assert bits(measured(p, moved)) == bits(measured(*pair))


@pytest.mark.parametrize("k", [10, 65, 1001])
def test_every_number_of_16_bits_is_read_as_what_it_is(build, k):
    bits_16 = np.arange(1 << 16, dtype=np.uint16)
    for stored in (bits_16.view(np.float16), bits_16.view(BFLOAT16)):
        with np.errstate(invalid="ignore"):
            finite = stored[np.isfinite(widen(stored))]
        rows = np.random.default_rng(k).permutation(finite)[: len(finite) // k * k].reshape(-1, k)
        labels = Labels(np.arange(len(rows)) % k, k)
        found = measured(labels, Logits(rows))
        assert bits(found) == bits(measured(labels, Logits(widen(rows).astype(np.float32))))


@pytest.mark.parametrize("stored", [np.float32, np.float64])
@pytest.mark.parametrize("k", [3, 200])
@pytest.mark.parametrize("label", [-1, 10**15, 200])
def test_labels_that_are_changed_after_their_view_was_made_are_not_read_beyond_the_row(
    build, stored, k, label
):
    y = np.zeros(150, np.int64)
    p, q = Labels(y, n_classes=k), Logits(np.zeros((150, k), stored))
    y[130] = label
    with pytest.raises(InputError, match=f"was one of {k} classes when it was looked at"):
        measure_rows(p, q)


def test_a_group_that_is_none_is_not_added(build):
    for group in ([0, 2], [0, -1], [10**12, 0]):
        with pytest.raises(IndexError):
            run.group_sums(np.array(group), 2, np.ones((2, 1)))


def test_labels_that_are_changed_are_refused_by_the_formulas_too(monkeypatch):
    monkeypatch.setattr(run, "build", lambda: None)
    for label in (-1, 3):
        y = np.zeros(5, np.int64)
        p, q = Labels(y, n_classes=3), Logits(np.zeros((5, 3)))
        y[4] = label
        for measure in (measure_rows, pandq.cross_entropy, label_losses):
            with pytest.raises(InputError, match="row 4 is"):
                measure(p, q)


def test_a_build_of_other_sources_is_not_called(monkeypatch):
    monkeypatch.setattr(builds, "INTERFACE", 0)
    builds.builds_here.cache_clear()
    try:
        assert builds.builds_here() == {}
    finally:
        builds.builds_here.cache_clear()


def test_group_sums_have_the_bits_of_numpy(build, monkeypatch):
    rng = np.random.default_rng(4)
    group, x, w = rng.integers(0, 9, 5000), rng.normal(size=(5000, 7)), rng.random(5000)
    centre = rng.normal(size=(9, 7))
    for options in ({}, {"w": w}, {"centre": centre}, {"w": w, "centre": centre}):
        for times in (1, 6):  # more columns than a kernel takes
            given = {name: np.tile(a, times) if a.ndim == 2 else a for name, a in options.items()}
            found = kernels.group_sums(group, 9, np.tile(x, times), **given)
            with monkeypatch.context() as patch:
                patch.setattr(run, "build", lambda: None)
                want = kernels.group_sums(group, 9, x, **options)
            assert found.tobytes() == np.tile(want, times).tobytes()


@pytest.mark.parametrize("n", [1, 127, 128, 129, 5000])
@pytest.mark.parametrize("d", [1, 5, 16, 17])
def test_sums_about_a_centre_are_those_of_exact_arithmetic(build, n, d):
    x = np.random.default_rng(n).normal(size=(d, n)).T * 10.0 ** np.arange(d)
    centre = x.mean(axis=0) + 1.0
    squares, cubes = kernels.central_sums(Columns.of(x), centre)
    apart = x - centre
    for i in range(d):
        assert cubes[i] == pytest.approx(math.fsum(apart[:, i] ** 3), rel=1e-12)
        for j in range(d):
            want = math.fsum(apart[:, i] * apart[:, j])
            size = math.sqrt((apart[:, i] ** 2).sum() * (apart[:, j] ** 2).sum())
            assert abs(squares[i, j] - want) <= 1e-14 * size
    assert (squares == squares.T).all()


@pytest.mark.parametrize("kind", ["counts", "probs", "logprobs", "logits"])
@pytest.mark.parametrize("k", [1, 10, 64, 65, 1000])
def test_laws_are_summed_over_rows_as_the_formulas_say(build, kind, k):
    rng = np.random.default_rng(k)
    logits, w = rng.normal(size=(130, k)) * 3, rng.random(130)
    x = {
        "counts": rng.integers(0, 9, (130, k)) + np.eye(1, k, dtype=np.int64),
        "probs": softmax(logits),
        "logprobs": np.log(softmax(logits)),
        "logits": logits.astype(np.float32),
    }[kind]
    prob = VIEWS[kind](x).law().prob
    for weight in (None, w):
        found = kernels.law_sums(kind, x, weight)
        want = prob.sum(axis=0) if weight is None else weight @ prob
        np.testing.assert_allclose(found, want, rtol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, INF])
@pytest.mark.parametrize("place", [0, 63, 64, 999])
def test_a_doubtful_number_among_many_rows_is_found_wherever_it_is(build, bad, place):
    x = np.zeros((100, 10), np.float32)
    x.flat[place] = bad
    assert run.first_doubt("logits", x, 1e-5) == place // 10
    x.flat[place] = -INF
    assert run.first_doubt("logits", x, 1e-5) == 100


def test_sums_about_a_centre_have_the_same_bits_in_every_build(monkeypatch):
    x = np.random.default_rng(3).normal(size=(7, 1001)).T
    found = set()
    for name in BUILDS:
        monkeypatch.setattr(run, "build", lambda name=name: kernels.builds_here()[name])
        found.add(b"".join(part.tobytes() for part in kernels.central_sums(x, x[0])))
    assert len(found) == 1


def test_numpy_sums_about_a_centre_as_the_kernels_do(build, monkeypatch):
    x = np.random.default_rng(8).normal(size=(9000, 3))
    found = kernels.central_sums(x, x[0])
    monkeypatch.setattr(run, "build", lambda: None)
    for mine, formula in zip(found, kernels.central_sums(x, x[0]), strict=True):
        np.testing.assert_allclose(mine, formula, rtol=1e-12)


def test_importing_the_kernels_leaves_the_floating_point_state_alone():
    code = """
import numpy as np
tiny = np.float32(1e-38)
import pandq
pandq.kl_divergence(pandq.Logits(np.ones((9, 99), np.float32)), pandq.Logits(np.ones((9, 99))))
assert tiny / np.float32(4) > 0, "denormals are flushed to zero"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------- rows that are bad


BAD = {
    "NaN in logits": (Logits, np.nan),
    "+inf in logits": (Logits, INF),
    "NaN in probs": (Probs, np.nan),
    "negative probs": (Probs, -0.1),
    "a wrong sum": (Probs, 0.9),
    "NaN in logprobs": (LogProbs, np.nan),
    "+inf in logprobs": (LogProbs, INF),
    "a sum of exponentials that is wrong": (LogProbs, -0.1),
}


@pytest.mark.parametrize("k", [3, 70, 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named_as_the_formulas_name_it(build, case, dtype, k, monkeypatch):
    view, value = BAD[case]
    x = np.full((500, k), 1 / k)
    if view is LogProbs:
        x = np.log(x)
    x = x.astype(dtype)
    view(x)
    x[333, k - 1] = value
    with pytest.raises(InputError, match="row 333 ") as found:
        view(x)
    monkeypatch.setattr(run, "build", lambda: None)
    with pytest.raises(InputError) as want:
        view(x)
    assert str(found.value) == str(want.value)


@pytest.mark.parametrize("value", [np.float32(np.nan), -np.float32(np.nan)])
def test_nan_of_either_sign_is_found(build, value):
    x = np.zeros((3, 500), np.float32)
    x[2, 77] = value
    with pytest.raises(InputError, match="row 2 holds NaN"):
        Logits(x)


@pytest.mark.parametrize("k", [3, 500])
def test_a_row_that_forbids_everything_is_refused(build, k):
    x = np.zeros((9, k), np.float32)
    x[4] = -INF
    with pytest.raises(InputError, match="row 4 forbids every class"):
        Logits(x)


@pytest.mark.parametrize(
    ("votes", "text"),
    [([[1, 2], [0, 0]], "row 1 has no votes"), ([[1, 2], [3, -1]], "row 1 has a negative")],
)
def test_bad_counts_are_refused(build, votes, text):
    with pytest.raises(InputError, match=text):
        Counts(np.array(votes, np.int16))


def test_counts_that_are_not_whole_are_refused(build):
    with pytest.raises(InputError, match="row 1 is not whole numbers"):
        Counts(np.array([[1.0, 2.0], [0.5, 1.0]]))


# ------------------------------------------------------------------------------------ which build


def test_without_kernels_the_formulas_answer_and_say_so_once(monkeypatch):
    q = Probs([[0.75, 0.25]])
    want = measure_rows(Labels([0]), q).brier
    monkeypatch.setattr(builds, "builds_here", dict)
    builds.build_name.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="no kernels; none was compiled"):
            assert measure_rows(Labels([0]), q).brier == want
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert measure_rows(Labels([0]), q).brier == want
    finally:
        builds.build_name.cache_clear()


@pytest.mark.parametrize("name", [*BUILDS, "numpy"])
def test_the_environment_names_a_build(name):
    code = "from pandq.core import kernels; print(kernels.build_name())"
    env = os.environ | {builds.ENVIRONMENT: name}
    run_ = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert run_.stdout.strip() == name


def test_a_number_of_threads_that_is_none_is_refused_in_words(threads):
    threads("many")
    with pytest.raises(InputError, match="PANDQ_THREADS is a number of threads, got 'many'"):
        measure_rows(Labels([0]), Probs([[0.75, 0.25]]))


def test_arrays_that_no_kernel_knows_are_left_to_the_formulas():
    x = np.zeros((2, 3))
    assert (
        kernels.measured("labels", np.zeros(2), "probs", x.astype(x.dtype.newbyteorder())) is None
    )
    assert kernels.measured("labels", np.zeros(2), "probs", x.astype(np.longdouble)) is None
    swapped = Logits(np.arange(6.0).reshape(2, 3).astype(x.dtype.newbyteorder()))
    assert measure_rows(Labels([0, 1]), swapped).cross_entropy == pytest.approx(
        -Law.from_logits(np.arange(6.0).reshape(2, 3)).log_prob[[0, 1], [0, 1]]
    )
