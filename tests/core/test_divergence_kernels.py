"""The kernels of the divergences other than KL, and the NumPy formulas that they must agree with.

The reference is `core/measures.py` in float64, itself held to 50 digits in `test_measures.py`, as
the kernels are. Logits of single precision or less, of many classes, may differ from it by what
single precision costs: 1e-5. Everything else agrees to 1e-12.
"""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import Counts, Labels, Logits, Probs
from pandq.core import kernels
from pandq.core.kernels import run
from pandq.core.threads import THREADS
from pandq.views import VIEWS
from tests.core.test_kernels import (
    BUILDS,
    FUSED,
    STORAGES,
    layouts,
    once_for_all_builds,
    view_of,
)

INF = math.inf

pytestmark = pytest.mark.skipif(not BUILDS, reason="no kernels were compiled here")

DIVERGENCES = {
    "js": pandq.js_divergence,
    "js of other weights": partial(pandq.js_divergence, weights=(0.3, 0.7)),
    "js of one weight near 0": partial(pandq.js_divergence, weights=(1e-6, 1 - 1e-6)),
    "jeffreys": pandq.jeffreys_divergence,
    "total variation": pandq.total_variation_distance,
    "hellinger": pandq.hellinger_distance,
    "chi2": pandq.chi2_divergence,
    **{
        f"renyi of {alpha}": partial(pandq.renyi_divergence, alpha=alpha)
        for alpha in (0, 0.3, 0.5, 1.5, 2, 40, INF)
    },
    **{
        f"alpha of {alpha}": partial(pandq.alpha_divergence, alpha=alpha)
        for alpha in (-1, 0.3, 0.5, 2, 3)
    },
}


@pytest.fixture(params=BUILDS)
def build(request, monkeypatch):
    monkeypatch.setattr(run, "build", lambda: kernels.builds_here()[request.param])
    return request.param


@once_for_all_builds
def by_formulas(p, q):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "build", lambda: None)
        return {name: divergence(p, q) for name, divergence in DIVERGENCES.items()}


def assert_agree(p, q):
    single = p.kind == q.kind == "logits" and max(a.array.dtype.itemsize for a in (p, q)) < 8
    close = 1e-5 if single and p.n_classes > 64 else 1e-12
    for name, want in by_formulas(p, q).items():
        found = DIVERGENCES[name](p, q)
        np.testing.assert_allclose(found, want, rtol=close, atol=1e-15, err_msg=name)


def bits(p, q):
    return {name: divergence(p, q).tobytes() for name, divergence in DIVERGENCES.items()}


SHAPES = [(1, 2), (65, 64), (5, 65), (2, 5000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("q_kind", [kind for kind in VIEWS if kind not in ("labels", "counts")])
@pytest.mark.parametrize("p_kind", VIEWS)
def test_kernel_agrees_with_the_formulas(build, p_kind, q_kind, shape):
    rng = np.random.default_rng(7)
    for storage in STORAGES:
        p = view_of(p_kind, rng, *shape, storage)
        assert_agree(p, view_of(q_kind, rng, *shape, storage))


def test_counts_agree_with_the_formulas(build):
    rng = np.random.default_rng(3)
    for k in (3, 80):
        assert_agree(*(Counts(rng.integers(0, 3, (30, k)) + 1) for _ in range(2)))
        zeros = rng.integers(0, 2, (30, k)) * rng.integers(0, 5, (30, k))
        zeros[:, 0] += 1
        assert_agree(Counts(zeros), Counts(np.roll(zeros, 1, axis=0)))


@given(st.integers(1, 90), st.integers(2, 90), st.floats(0.01, 60), st.integers(0, 2**32 - 1))
def test_any_logits_agree_with_the_formulas(n, k, scale, seed):
    rng = np.random.default_rng(seed)
    p, q = (view_of("logits", rng, n, k, "float32", scale) for _ in range(2))
    assert_agree(p, q)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("k", [3, 65, 3000])
def test_forbidden_classes_are_the_same_as_in_the_formulas(build, k, storage):
    rng = np.random.default_rng(k)
    x, y = rng.normal(size=(2, 40, k)) * 3
    p_mask, q_mask = rng.random((2, 40, k)) < 0.2
    p_mask[:, 0] = q_mask[:, 0] = False
    q_mask[::2] &= p_mask[::2]
    p_mask[::3] = q_mask[::3]
    x[p_mask] = y[q_mask] = -INF
    assert_agree(Logits(STORAGES[storage](x)), Logits(STORAGES[storage](y)))


@pytest.mark.parametrize("noise", [1e-7, 1e-5, 1e-3, 0.1, 1.0, 8.0, 60.0])
@pytest.mark.parametrize("scale", [1.0, 8.0])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_laws_as_near_or_far_as_may_be_agree_with_the_formulas(build, noise, scale, shift):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 5000)) * scale
    y = x + noise * rng.normal(size=x.shape) + shift
    for stored in (np.float32, np.float64):
        assert_agree(Logits(x.astype(stored)), Logits(y.astype(stored)))
    p, q = (np.exp(a - a.max(axis=1, keepdims=True)) for a in (x, y))
    for stored in (np.float32, np.float64):
        laws = ((a / a.sum(axis=1, keepdims=True)).astype(stored) for a in (p, q))
        assert_agree(*(Probs(law, tolerance=1e-3) for law in laws))


@pytest.mark.parametrize("gap", [1.0, 15.0, 25.0, 60.0, 85.0, 100.0, 800.0, 1e30])
@pytest.mark.parametrize("k", [3, 100])
def test_nearly_certain_laws_agree_with_the_formulas(build, k, gap):
    x, y = np.zeros((2, 4, k), np.float32)
    x[:, 0] = y[:, -1] = y[2:, 1] = gap
    x[1, 1] = gap * 0.99
    assert_agree(Logits(x), Logits(y))
    assert_agree(Logits(x), Logits(x * np.float32(1.01)))


def test_probabilities_that_underflow_agree_with_the_formulas(build):
    p = np.full((4, 80), 1 / 80)
    q = p.copy()
    p[0, 3] = q[1, 4] = 5e-324
    p[2, :2], q[2, :2] = (1e-300, 3e-300), (2e-300, 1e-310)
    p[3, :2], q[3, :2] = (1e-160, 1e-170), (1e-200, 1e-165)
    laws = (Probs(a, tolerance=0.1) for a in (p, q))
    assert_agree(*laws)


def test_a_law_is_exactly_0_from_itself(build):
    for k in (10, 500, 20_000):
        p = Logits(np.random.default_rng(k).normal(size=(3, k)).astype(np.float32))
        for divergence in DIVERGENCES.values():
            assert divergence(p, p).tolist() == [0.0, 0.0, 0.0]


# ------------------------------------------------------------------------------------- same bits

BIT_CASES = [
    ("logits", "logits", "float32", 5000),
    ("logits", "logits", "bfloat16", 1000),
    ("logits", "logits", "float32", 12),
    ("probs", "probs", "float32", 1000),
    ("probs", "logprobs", "float64", 200),
    ("counts", "logits", "float64", 30),
]


@pytest.fixture(params=BIT_CASES, ids=str)
def pair(request):
    p_kind, q_kind, storage, k = request.param
    rng = np.random.default_rng(9)
    n = 300 if k < 100 else 20
    return view_of(p_kind, rng, n, k, storage), view_of(q_kind, rng, n, k, storage)


@pytest.mark.skipif(len(FUSED) < 2, reason="needs two builds with fused multiply-add")
def test_every_instruction_set_with_fma_gives_the_same_bits(pair, monkeypatch):
    found = []
    for name in FUSED:
        monkeypatch.setattr(run, "build", lambda name=name: kernels.builds_here()[name])
        found.append(bits(*pair))
    assert all(other == found[0] for other in found[1:])


def test_threads_and_chunks_give_the_same_bits(build, pair, monkeypatch):
    p, q = pair
    whole = bits(p, q)
    monkeypatch.setattr(run, "TASK_NUMBERS", 1000)
    for threads in (1, 2, 5):
        monkeypatch.setenv(THREADS, str(threads))
        assert bits(p, q) == whole
    for step in (1, 7, 65):
        parts = [bits(p[i : i + step], q[i : i + step]) for i in range(0, len(q), step)]
        assert {name: b"".join(part[name] for part in parts) for name in whole} == whole


@pytest.mark.parametrize("layout", layouts(np.zeros((1, 1))))
def test_any_memory_layout_gives_the_same_bits(build, pair, layout):
    moved = [type(view).trusted(layouts(view.array)[layout], view.n_classes) for view in pair]
    assert bits(*moved) == bits(*pair)


def test_labels_are_left_to_the_formulas():
    assert (
        kernels.divergence("js", 0.5, "labels", np.zeros(1), "probs", np.array([[1.0, 0.0]]))
        is None
    )
    assert pandq.js_divergence(Labels([0]), Probs([[1.0, 0.0]])).tolist() == [0.0]
