"""Linear: what is measured of hidden states and a head is what is measured of their logits."""

import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import BFLOAT16, InputError, Labels, Linear, Logits, ViewTypeError
from pandq.views import linear

N, D, K = 90, 24, 50
TWO = [
    pandq.kl_divergence,
    pandq.cross_entropy,
    pandq.js_divergence,
    pandq.jeffreys_divergence,
    pandq.chi2_divergence,
    pandq.hellinger_distance,
    pandq.total_variation_distance,
    pandq.brier_score,
    pandq.top1,
]


def states(seed=0, n=N):
    """Hidden states and two heads, in single precision."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, D), dtype=np.float32)
    weight = rng.standard_normal((K, D), dtype=np.float32) / np.float32(3)
    return hidden, weight, weight + rng.standard_normal((K, D), dtype=np.float32) / np.float32(20)


def exact(hidden, weight):
    """Their logits in double precision."""
    return Logits(hidden.astype(np.float64) @ weight.astype(np.float64).T)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Seven rows at once, so that everything goes through several pieces and an odd last one."""
    monkeypatch.setattr(linear, "AT_ONCE_NUMBERS", 7 * K)


@pytest.mark.parametrize("measure", TWO, ids=lambda x: x.__name__)
def test_a_measure_of_linear_is_that_of_logits_in_double_precision(measure):
    hidden, weight, other = states()
    p, q = exact(hidden, weight), exact(hidden, other)
    for one in (Linear(hidden, weight), p):
        for two in (Linear(hidden, other), q):
            assert measure(one, two) == pytest.approx(measure(p, q), abs=1e-5)
    y = Labels(np.arange(N) % K)
    assert pandq.log_loss(y, Linear(hidden, other)) == pytest.approx(pandq.log_loss(y, q), abs=1e-5)


def test_measures_of_one_view_are_those_of_its_logits():
    hidden, weight, _ = states()
    q, view = exact(hidden, weight), Linear(hidden, weight)
    assert pandq.entropy(view) == pytest.approx(pandq.entropy(q), abs=1e-5)
    assert pandq.confidence(view) == pytest.approx(pandq.confidence(q), abs=1e-6)
    assert (pandq.top_class(view) == pandq.top_class(q)).all()
    low, high = pandq.kl_bounds(q, view)
    assert low == pytest.approx(0, abs=1e-5)
    assert high == pytest.approx(0, abs=1e-5)


@given(
    st.sampled_from(["float64", "float32", "float16", "bfloat16"]),
    st.sampled_from(["float64", "float32", "float16", "bfloat16"]),
    st.booleans(),
    st.sampled_from([None, 0.25]),
    st.sampled_from([None, 5.0]),
)
def test_every_float_type_scale_cap_and_bias_is_the_formula(kind, head_kind, with_bias, scale, cap):
    hidden, weight, _ = states(n=9)
    bias = np.linspace(-1, 1, K, dtype=np.float32) if with_bias else None

    def stored(x, name):
        if name != "bfloat16":
            return x.astype(name), x.astype(name).astype(np.float64)
        bits = (x.view(np.uint32) >> 16).astype(np.uint16)
        return bits.view(BFLOAT16), (bits.astype(np.uint32) << 16).view(np.float32).astype(float)

    (h, wide_h), (w, wide_w) = stored(hidden, kind), stored(weight, head_kind)
    x = wide_h @ wide_w.T + (0.0 if bias is None else bias)
    x = x * (scale or 1.0)
    x = x if cap is None else cap * np.tanh(x / cap)
    view = Linear(h, w, bias, scale, cap)
    double = "float64" in (kind, head_kind)
    assert view.array.dtype == (np.float64 if double else np.float32)
    assert view.array == pytest.approx(x, abs=1e-13 if double else 2e-5)


def test_threads_do_not_change_a_bit(monkeypatch):
    hidden, weight, other = states()
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("PANDQ_THREADS", threads)
        found.append(pandq.kl_divergence(Linear(hidden, weight), Linear(hidden, other)))
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_an_audit_and_a_comparison_are_those_of_logits():
    hidden, weight, other = states(n=400)
    y = Labels(np.random.default_rng(1).integers(0, K, 400))
    p, q = exact(hidden, weight), exact(hidden, other)
    one, two = pandq.audit(y, Linear(hidden, other)), pandq.audit(y, q)
    assert one.values() == pytest.approx(two.values(), abs=1e-4, nan_ok=True)
    a = pandq.compare(Linear(hidden, weight), Linear(hidden, other), labels=y)
    b = pandq.compare(p, q, labels=y)
    assert a.values() == pytest.approx(b.values(), abs=1e-4, nan_ok=True)
    items = pandq.items(y, Linear(hidden, other))
    assert np.asarray(items["cross_entropy"]) == pytest.approx(pandq.log_loss(y, q), abs=1e-5)


def test_loops_take_it_and_keep_nothing_of_a_head_that_changes():
    hidden, weight, other = states(n=120)
    y = Labels(np.arange(120) % K)
    fed, compared = pandq.Auditor(), pandq.Comparer()
    for start in (0, 60):
        rows, head = slice(start, start + 60), other.copy()
        one, two = Linear(hidden[rows], weight), Linear(hidden[rows], head)
        fed.update(y[rows], two)
        compared.update(y[rows], exact(hidden[rows], weight), two)
        fed_of_logits = exact(hidden[rows], weight)
        pandq.Auditor().update(fed_of_logits, one)
        head[:] = 0.0
    expected = pandq.audit(y, exact(hidden, other)).cross_entropy.value
    assert fed.result().cross_entropy.value == pytest.approx(expected, abs=1e-5)
    again = pandq.Auditor.from_bytes(fed.to_bytes())
    assert again.result().cross_entropy.value == fed.result().cross_entropy.value
    direct = pandq.compare(y, exact(hidden, weight), exact(hidden, other))
    assert compared.result().values() == pytest.approx(direct.values(), abs=1e-4, nan_ok=True)


def test_rows_are_taken_as_of_any_view():
    hidden, weight, _ = states()
    view = Linear(hidden, weight)
    assert len(view[-1]) == 1
    assert view.shape == (N, K)
    assert (view[[3, 0]].array == view.array[[3, 0]]).all()
    assert np.asarray(view[:2], np.float64).dtype == np.float64
    assert sum(len(row) for row in view) == N
    assert repr(view) == "Linear(rows=90, classes=50)"


def test_a_bias_may_forbid_a_class():
    hidden, weight, _ = states()
    bias = np.zeros(K)
    bias[-1] = -np.inf
    q = Linear(hidden, weight, bias).law().prob
    assert (q[:, -1] == 0).all()
    whole = exact(hidden, weight[:-1]).law().prob
    assert q[:, :-1] == pytest.approx(whole, abs=1e-6)


def test_a_memory_map_and_a_tensor_are_read_where_they_are(tmp_path):
    torch = pytest.importorskip("torch")
    hidden, weight, _ = states()
    np.save(tmp_path / "h.npy", hidden)
    mapped = np.load(tmp_path / "h.npy", mmap_mode="r")
    expected = Linear(hidden, weight).array
    assert (Linear(mapped, torch.tensor(weight)).array == expected).all()
    with pytest.raises(InputError, match=r"In a loss use pandq.torch.Linear"):
        Linear(hidden, torch.tensor(weight, requires_grad=True))


def with_nan(x, row):
    x = x.copy()
    x[row, 1] = np.nan
    return x


REFUSED = {
    "another width": (lambda h, w: Linear(h[:, 1:], w), r"do not fit, got 23 .* a head for 24"),
    "a head on its side": (lambda h, w: Linear(h, w.T), "do not fit, got 24 .* for 50"),
    "a state that is NaN": (lambda h, w: Linear(with_nan(h, 4), w), "hidden row 4 holds a number"),
    "a head that is NaN": (lambda h, w: Linear(h, with_nan(w, 7)), "weight row 7 holds a number"),
    "three axes": (lambda h, w: Linear(h[None], w), r"\(rows, numbers\).*hidden\[mask\]"),
    "whole numbers": (lambda h, w: Linear(h.astype(int), w), "hidden is of a float type"),
    "a short bias": (lambda h, w: Linear(h, w, w[1:, 0]), "49 numbers for 50 classes"),
    "a bias that is NaN": (lambda h, w: Linear(h, w, with_nan(w, 3)[:, 1]), "nan of class 3"),
    "no scale": (lambda h, w: Linear(h, w, scale=0.0), "scale is a number above 0, got 0.0"),
    "a cap below 0": (lambda h, w: Linear(h, w, softcap=-1), "softcap is a number above 0"),
    "a view": (lambda h, w: Linear(Logits(h), w), "need an array of numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_or_is_not_finite_is_refused_by_name(case):
    make, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        make(*states()[:2])


def test_a_product_that_overflows_is_named_by_its_row_in_the_whole():
    hidden, weight, _ = states()
    hidden[40] = 1e30
    view = Linear(hidden, np.abs(weight) * np.float32(1e20))
    for fails in (
        lambda: pandq.entropy(view),
        lambda: pandq.audit(Labels([0] * N), view),
    ):
        with pytest.raises(InputError, match=r"Linear row 40 holds .* give one in float64"):
            fails()


def test_logits_of_a_large_vocabulary_are_never_all_in_memory(monkeypatch):
    monkeypatch.setattr(linear, "AT_ONCE_NUMBERS", 1 << 18)
    rng = np.random.default_rng(0)
    n, k = 4096, 16_384
    view = Linear(rng.random((n, 2), np.float32), rng.random((k, 2), np.float32))
    pandq.entropy(view[:64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pandq.entropy(view)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < n * k * 4 / 2**20 / 4


def test_a_view_without_a_head_is_no_view():
    with pytest.raises(ViewTypeError, match="Linear"):
        pandq.entropy([[1.0]])
