"""Every measure against 50 digits, and against the laws that hold for any P and Q.

The reference reads the numbers that the view stores, exactly, and computes what they mean:
softmax for logits, the doubles themselves for Probs (then in I-divergence form). Extreme cases
use 800 digits, because 1 - exp(-700) is 1 in fifty.

Every case is measured by the NumPy formulas and by the kernels. Tolerances. Between laws of the
same kind that differ by their own size every measure is right to 1e-13 (1e-12 where a power of
1e-300 is formed: its logarithm has an error of 700 eps). Probs that are nearly equal to Probs keep
these digits, because q - p is formed exactly. Logits do not: their common maximum is taken away
first, which leaves an error of an eps or so in log q/p, and a relative error of that over the
perturbation. This is not the best that float64 input permits, but it is an error of
1e-15 sqrt(KL), far below anything that is averaged.
Kernels sum logits of single precision or less in single precision, to 2e-6.
"""

import math
from functools import cache, partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special, stats

import pandq
from pandq import Counts, InputError, Labels, Logits, LogProbs, Probs
from pandq.core import numerics
from pandq.core.kernels import builds_here, run
from pandq.core.numerics import BFLOAT16, widen
from pandq.views import VIEWS

INF = math.inf

# ---------------------------------------------------------------------------------- reference


def _meaning(view, row):
    """The distinct probabilities of a row as mpf, and which of them each class has."""
    if view.kind == "labels":
        one_hot = (np.arange(view.n_classes) == view.array[row]).astype(np.intp)
        return [mp.mpf(0), mp.mpf(1)], one_hot
    raw = view.array[row] if view.kind == "counts" else widen(view.array)[row]
    values, codes, times = np.unique(raw, return_inverse=True, return_counts=True)
    levels = [mp.mpf(float(value)) for value in values]
    if view.kind in ("logits", "logprobs"):
        top = levels[-1] if view.kind == "logits" else mp.mpf(0)
        levels = [mp.exp(level - top) for level in levels]
    if view.kind in ("logits", "counts"):
        total = mp.fsum(level * int(n) for level, n in zip(levels, times, strict=True))
        levels = [level / total for level in levels]
    return levels, codes


def exact_pairs(p, q, row):
    """(p_k, q_k, how often) for the distinct pairs of a row."""
    (p_levels, p_codes), (q_levels, q_codes) = _meaning(p, row), _meaning(q, row)
    pairs, times = np.unique(np.stack([p_codes, q_codes]), axis=1, return_counts=True)
    return [(p_levels[i], q_levels[j], int(n)) for i, j, n in zip(*pairs, times, strict=True)]


def flipped(pairs):
    return [(y, x, n) for x, y, n in pairs]


def forbidden(pairs):
    return any(y == 0 < x for x, y, _ in pairs)


def total(terms):
    return mp.fsum(terms)


def ref_entropy(pairs):
    return total(-n * x * mp.log(x) for x, _, n in pairs if x)


def ref_cross_entropy(pairs):
    return mp.inf if forbidden(pairs) else total(-n * x * mp.log(y) for x, y, n in pairs if x)


def ref_kl(pairs):
    if forbidden(pairs):
        return mp.inf
    return total(n * ((x * mp.log(x / y) if x else 0) - x + y) for x, y, n in pairs)


def ref_js(pairs, w=0.5):
    w = mp.mpf(w)
    mixed = [(x, y, w * x + (1 - w) * y, n) for x, y, n in pairs]
    to_p, to_q = [(x, m, n) for x, _, m, n in mixed], [(y, m, n) for _, y, m, n in mixed]
    return w * ref_kl(to_p) + (1 - w) * ref_kl(to_q)


def ref_jeffreys(pairs):
    return ref_kl(pairs) + ref_kl(flipped(pairs))


def _powers(pairs, alpha):
    return total(n * x**alpha * y ** (1 - alpha) for x, y, n in pairs if x and y)


def ref_renyi(pairs, alpha):
    if alpha == 1:
        return ref_kl(pairs)
    if alpha > 1 and forbidden(pairs):
        return mp.inf
    if alpha == INF:
        return max(mp.log(x / y) for x, y, _ in pairs if x)
    a = mp.mpf(alpha)
    power = _powers(pairs, a)
    # minus the masses, so that rows that sum to one only in float64 have no share in it
    excess = power - total(n * (a * x + (1 - a) * y) for x, y, n in pairs)
    power = 1 + excess if abs(excess) < 0.5 else power
    return mp.log(power) / (a - 1) if power else mp.inf


def ref_alpha(pairs, alpha):
    if alpha in (0, 1):
        return ref_kl(pairs if alpha else flipped(pairs))
    if (alpha > 1 and forbidden(pairs)) or (alpha < 0 and forbidden(flipped(pairs))):
        return mp.inf
    a = mp.mpf(alpha)
    masses = total(n * (a * x + (1 - a) * y) for x, y, n in pairs)
    return (_powers(pairs, a) - masses) / (a * (a - 1))


def ref_total_variation_distance(pairs):
    return total(n * abs(x - y) for x, y, n in pairs) / 2


def ref_hellinger_distance(pairs):
    return mp.sqrt(total(n * (mp.sqrt(x) - mp.sqrt(y)) ** 2 for x, y, n in pairs) / 2)


def ref_chi2(pairs):
    return mp.inf if forbidden(pairs) else total(n * (x - y) ** 2 / y for x, y, n in pairs if y)


def ref_brier(pairs):
    return total(n * ((x - y) ** 2 + x * (1 - x)) for x, y, n in pairs)


def _js(w):
    return partial(pandq.js_divergence, weights=(w, 1 - w)), partial(ref_js, w=w)


def _renyi(alpha):
    return partial(pandq.renyi_divergence, alpha=alpha), partial(ref_renyi, alpha=alpha)


def _alpha(alpha):
    return partial(pandq.alpha_divergence, alpha=alpha), partial(ref_alpha, alpha=alpha)


RENYI = (0, 0.3, 0.5, 0.999999, 1, 1.000001, 2, 50, INF)
ALPHA = (-1, 0, 0.5, 1, 2, 3)
MEASURES = {
    "entropy": (lambda p, q: pandq.entropy(p), ref_entropy),
    "cross_entropy": (pandq.cross_entropy, ref_cross_entropy),
    "kl": (pandq.kl_divergence, ref_kl),
    "js": _js(0.5),
    "js_3_to_7": _js(0.3),
    "js_1_to_9999": _js(1e-4),
    "jeffreys": (pandq.jeffreys_divergence, ref_jeffreys),
    "total_variation_distance": (pandq.total_variation_distance, ref_total_variation_distance),
    "hellinger_distance": (pandq.hellinger_distance, ref_hellinger_distance),
    "chi2": (pandq.chi2_divergence, ref_chi2),
    "brier": (pandq.brier_score, ref_brier),
    **{f"renyi_{alpha}": _renyi(alpha) for alpha in RENYI},
    **{f"alpha_{alpha}": _alpha(alpha) for alpha in ALPHA},
}
DIVERGENCES = {
    name: functions
    for name, functions in MEASURES.items()
    if name not in ("entropy", "cross_entropy", "brier")
}

# -------------------------------------------------------------------------------------- cases


def softmax(x):
    return special.softmax(x, axis=1)


def bfloat16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32) >> np.uint32(16)
    return bits.astype(np.uint16).view(BFLOAT16)


def _cases():
    rng = np.random.default_rng(20)
    x, y = rng.normal(size=(3, 6)) * 3, rng.normal(size=(3, 6)) * 5
    noise = rng.uniform(-1, 1, size=x.shape)
    p = softmax(x)
    cases = {
        "logits": (Logits(x), Logits(y)),
        "probs": (Probs(p), Probs(softmax(y))),
        "logprobs": (LogProbs(np.log(p)), LogProbs(np.log(softmax(y)))),
        "probs against logits": (Probs(p), Logits(y)),
        "labels against logits": (Labels([0, 5, 2], 6), Logits(y)),
        "counts against logits": (Counts([[1, 2, 0, 0, 4, 9]] * 3), Logits(y)),
        "counts against counts": (Counts([[1, 2, 3]]), Counts([[2, 3, 4]])),
        "one-hot": (Probs(np.eye(3)), Probs([[0.25, 0.5, 0.25]] * 3)),
        "towards one-hot": (Probs([[0.25, 0.5, 0.25]] * 3), Probs(np.eye(3))),
        "one-hot against one-hot": (Probs(np.eye(3)), Labels([0, 0, 2], 3)),
        "forbidden in logits": (
            Logits([[0, 1, -INF], [-INF, 0, 1], [0, 1, 2], [0, -INF, -INF]]),
            Logits([[0, 2, -INF], [0, 0, 1], [0, -INF, 1], [-INF, 0, 1]]),
        ),
        "logits float16": (Logits(x.astype(np.float16)), Logits(y.astype(np.float16))),
        "logits float32": (Logits(x.astype(np.float32)), Logits(y.astype(np.float32))),
        "logits bfloat16": (Logits(bfloat16(x)), Logits(bfloat16(y))),
        "probs float32": (Probs(p.astype(np.float32)), Probs(softmax(y).astype(np.float32))),
        "probs bfloat16 against logits": (Probs(bfloat16(p)), Logits(bfloat16(y))),
        "teacher against student": (
            Logits((x * 4).astype(np.float32)),
            Logits((x * 4 + noise).astype(np.float16)),
        ),
    }
    tiny = np.array([[1 - 1e-300, 1e-300, 0.0], [0.5, 0.5, 1e-300], [0.5, 1e-300, 0.5]])
    less = np.array([[0.25, 0.5, 0.25], [0.25, 0.75, 2e-300], [0.5, 0.5, 1e-290]])
    cases |= {
        "1e-300": (Probs(tiny), Probs(less)),
        "towards 1e-300": (Probs(less), Probs(tiny)),
        "1e-300 against log": (Probs(less), LogProbs(np.log(less[:, [2, 0, 1]]))),
    }
    for gap in (50.0, 700.0, 1e30):
        sure = [[0.0, -gap, -1.1 * gap]]
        cases |= {
            f"gap {gap:g} in both": (Logits(sure), Logits([[0.0, -gap / 2, -1.3 * gap]])),
            f"gap {gap:g} opposed": (Logits(sure), Logits([[-gap / 2, 0.0, -1.3 * gap]])),
            f"gap {gap:g} labels": (Labels([0, 1], 3), Logits(sure * 2)),
            f"gap {gap:g} probs": (Probs([[0.25, 0.25, 0.5]]), Logits(sure)),
        }
    levels = rng.normal(size=(2, 300)) * 4
    codes = rng.integers(300, size=100_000)
    cases["100,000 logits"] = tuple(Logits(level[codes][None]) for level in levels)
    cases["100,000 probs"] = tuple(Probs(softmax(level[codes][None])) for level in levels)
    for size in (1e-3, 1e-6, 1e-9, 1e-12):
        moved = p * (1 + size * noise)
        cases |= {
            f"probs near by {size:g}": (Probs(p), Probs(moved / moved.sum(axis=1)[:, None])),
            f"logits near by {size:g}": (Logits(x), Logits(x * (1 + size * noise))),
            f"shifted logits near by {size:g}": (Logits(x + 30), Logits((x + 30) + size * noise)),
            f"probs against logits near by {size:g}": (Probs(p), Logits(x * (1 + size * noise))),
            f"logits against logprobs near by {size:g}": (
                Logits(x),
                LogProbs(special.log_softmax(x * (1 + size * noise), axis=1)),
            ),
        }
    return cases


CASES = _cases()


@cache
def reference(case):
    extreme = "300" in case or "700" in case or "one-hot" in case
    digits = 800 if extreme else 60
    p, q = CASES[case]
    with mp.workdps(digits):
        return digits, [exact_pairs(p, q, row) for row in range(len(q))]


def tolerance(case, name):
    if " near by " in case and not case.startswith("probs near"):
        return 1e-12 + 2e-15 / float(case.rsplit(" ", 1)[1])
    if "300" in case or "700" in case or name in ("renyi_50", "js_1_to_9999"):
        return 1e-12
    return 1e-13


@pytest.fixture(params=["formulas", "kernels"])
def by_formulas(request, monkeypatch):
    """Is it the formulas that answer, or the kernels where there are any?"""
    if request.param == "formulas":
        monkeypatch.setattr(run, "build", lambda: None)
    return request.param == "formulas" or not builds_here()


def single_precision(case):
    return any(x.kind == "logits" and x.array.dtype.itemsize < 8 for x in CASES[case])


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("case", CASES)
def test_measure_agrees_with_high_precision(case, name, by_formulas):
    compute, formula = MEASURES[name]
    close = tolerance(case, name)
    if single_precision(case) and not by_formulas:
        close = 2e-6
    got = compute(*CASES[case])
    digits, rows = reference(case)
    # a score near certainty is 1 - p, which float64 knows to 1e-16; all else is relative
    floor = 1e-15 if name == "brier" else 1e-300
    with mp.workdps(digits):
        want = [formula(pairs) for pairs in rows]
        for value, truth in zip(got.tolist(), want, strict=True):
            if truth > mp.mpf(np.finfo(float).max):
                assert value == INF
            else:
                assert abs(value - truth) <= close * truth + floor


def test_entropy_agrees_with_scipy():
    p = softmax(np.random.default_rng(1).normal(size=(5, 7)))
    assert pandq.entropy(Probs(p)) == pytest.approx(stats.entropy(p, axis=1), rel=1e-14)


def test_kl_of_fine_bins_approaches_the_integral_for_two_normals():
    edges = np.linspace(-12, 13, 20_001)
    laws = [np.diff(stats.norm(mean, 1).cdf(edges))[None] for mean in (0.0, 1.0)]
    p, q = (Probs.normalised(np.maximum(law, 1e-300)) for law in laws)
    density, other = stats.norm(0, 1), stats.norm(1, 1)
    want, _ = integrate.quad(
        lambda t: density.pdf(t) * (density.logpdf(t) - other.logpdf(t)), -12, 13
    )
    assert pandq.kl_divergence(p, q)[0] == pytest.approx(want, rel=1e-4)


# ------------------------------------------------------------------------- views of the same law


DYADIC = np.array([[1, 2, 5], [4, 3, 1]])
ONE_HOT = np.array([[0, 4, 0], [4, 0, 0]])


def views_of(counts):
    shares = counts / counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(shares)
    views = {
        "counts": Counts(counts),
        "probs": Probs(shares),
        "logprobs": LogProbs(logs),
        "logits": Logits(logs + 3.0),
    }
    if (shares.max(axis=1) == 1.0).all():
        views["labels"] = Labels(shares.argmax(axis=1), 3)
    return views


@pytest.mark.parametrize("q_kind", [kind for kind in VIEWS if kind != "labels"])
@pytest.mark.parametrize("p_kind", VIEWS)
def test_every_pair_of_kinds_gives_the_same_kl(p_kind, q_kind):
    counts = ONE_HOT if p_kind == "labels" else DYADIC
    p, q = views_of(counts)[p_kind], views_of(DYADIC[::-1])[q_kind]
    want = special.rel_entr(counts / counts.sum(1)[:, None], DYADIC[::-1] / 8).sum(axis=1)
    assert pandq.kl_divergence(p, q) == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("p_kind", VIEWS)
@pytest.mark.parametrize("q_kind", VIEWS)
def test_certain_laws_of_any_two_kinds_are_the_same_or_infinitely_far(p_kind, q_kind):
    p, q = views_of(ONE_HOT)[p_kind], views_of(ONE_HOT[[0, 0]])[q_kind]
    assert pandq.kl_divergence(p, q).tolist() == [0.0, INF]


@pytest.mark.parametrize("name", MEASURES)
def test_labels_are_one_hot_probs(name):
    compute, _ = MEASURES[name]
    y, q = [0, 2, 1], Logits([[0.0, 1.0, -2.0]] * 3)
    assert compute(Labels(y), q) == pytest.approx(compute(Probs(np.eye(3)[y]), q), rel=1e-14)


@pytest.mark.parametrize("name", MEASURES)
def test_labels_of_100000_classes_need_no_square_matrix(name):
    compute, _ = MEASURES[name]
    q = Logits(np.zeros((2, 100_000)))
    one_hot = np.zeros((2, 100_000))
    one_hot[[0, 1], [0, 99_999]] = 1.0
    got = compute(Labels([0, 99_999], n_classes=100_000), q)
    assert got == pytest.approx(compute(Probs(one_hot), q), rel=1e-13)


def test_bits_are_nats_over_log_2():
    p, q = Probs([[0.5, 0.5]]), Probs([[0.25, 0.75]])
    nats, bits = pandq.kl_divergence(p, q), pandq.kl_divergence(p, q, unit="bit")
    assert bits == pytest.approx(nats / math.log(2), rel=1e-15)


# --------------------------------------------------------------------------------- properties


FEW = st.integers(2, 6)


@st.composite
def logit_pairs(draw, largest=30, sizes=FEW):
    """Two rows of logits on a grid of 1/64, sometimes the same but for a small step."""
    k = draw(sizes)
    rows = hnp.arrays(np.int64, (1, k), elements=st.integers(-64 * largest, 64 * largest))
    x = draw(rows) / 64
    if draw(st.booleans()):
        step = draw(st.sampled_from([2.0**-40, 2.0**-20, 2.0**-10]))
        return x, x + step * draw(hnp.arrays(np.int64, (1, k), elements=st.integers(-9, 9)))
    return x, draw(rows) / 64


def agree(a, b):
    """An error d in log q/p moves a divergence D by about d sqrt(2 D)."""
    size = np.maximum(np.abs(a), np.abs(b))
    return bool((np.abs(a - b) <= 1e-12 * size + 1e-13 * np.sqrt(size)).all())


def both(pair, p_kind=Logits, q_kind=Logits):
    return tuple(
        kind(x) if kind is Logits else kind(softmax(x))
        for kind, x in zip((p_kind, q_kind), pair, strict=True)
    )


KINDS = st.sampled_from([Logits, Probs])


@pytest.mark.parametrize("name", DIVERGENCES)
@given(logit_pairs(), KINDS, KINDS)
@settings(max_examples=30)
def test_no_divergence_is_negative(name, pair, p_kind, q_kind):
    assert (DIVERGENCES[name][0](*both(pair, p_kind, q_kind)) >= 0).all()


@pytest.mark.parametrize("name", DIVERGENCES)
@given(logit_pairs(), KINDS)
@settings(max_examples=20)
def test_divergence_of_a_law_from_itself_is_exactly_zero(name, pair, kind):
    p, _ = both(pair, kind, kind)
    assert DIVERGENCES[name][0](p, p).tolist() == [0.0]


@pytest.mark.parametrize("name", DIVERGENCES)
def test_zero_divergence_has_no_minus_sign(name):
    p = Probs([[0.5, 0.25, 0.25]])
    assert not np.signbit(DIVERGENCES[name][0](p, p)).any()


@pytest.mark.parametrize("kind", [Logits, Probs])
def test_kl_is_zero_only_if_p_equals_q(kind):
    x = np.array([[0.25, 0.25, 0.5]])
    # multiples of the spacing of doubles, so that the sum stays one
    y = x + np.array([[1, 1, -2]]) * 2.0**-53
    assert pandq.kl_divergence(kind(x), kind(y))[0] > 0


@given(logit_pairs(), KINDS, KINDS)
def test_cross_entropy_is_entropy_plus_kl(pair, p_kind, q_kind):
    p, q = both(pair, p_kind, q_kind)
    parts = pandq.entropy(p) + pandq.kl_divergence(p, q)
    assert pandq.cross_entropy(p, q) == pytest.approx(parts, rel=1e-12, abs=4e-16)


@pytest.mark.parametrize("name", MEASURES)
@given(logit_pairs(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_order_of_classes_does_not_matter(name, pair, random):
    compute, _ = MEASURES[name]
    order = random.sample(range(pair[0].shape[1]), pair[0].shape[1])
    got = compute(*both([x[:, order] for x in pair]))
    assert agree(got, compute(*both(pair)))


@pytest.mark.parametrize("name", MEASURES)
@given(logit_pairs(), st.integers(-1000, 1000))
@settings(max_examples=20)
def test_shift_of_logits_does_not_matter(name, pair, shift):
    compute, _ = MEASURES[name]
    # on a coarse grid a shift rounds nothing away, so that the law is exactly the same
    x, y = (np.round(logits * 64) / 64 for logits in pair)
    assert compute(Logits(x + shift), Logits(y)).tolist() == compute(*both((x, y))).tolist()


@given(logit_pairs(largest=8, sizes=st.sampled_from([4, 6])), KINDS)
def test_chain_rule_of_kl(pair, kind):
    p, q = (softmax(x).reshape(2, -1) for x in pair)
    first = pandq.kl_divergence(Probs(p.sum(1)), Probs(q.sum(1)))
    then = pandq.kl_divergence(*(Probs(law / law.sum(axis=1, keepdims=True)) for law in (p, q)))
    joint = pandq.kl_divergence(*both(pair, kind, kind))
    assert joint == pytest.approx(first + p.sum(1) @ then, rel=1e-11, abs=1e-15)


@given(logit_pairs(largest=8), logit_pairs(largest=8))
def test_kl_of_independent_variables_adds_up(one, other):
    joint = [(a.T + b).reshape(1, -1) for a, b in zip(one, other, strict=True)]
    parts = pandq.kl_divergence(*both(one)) + pandq.kl_divergence(*both(other))
    assert agree(pandq.kl_divergence(*both(joint)), parts)


@pytest.mark.parametrize("name", DIVERGENCES)
@given(logit_pairs(largest=8, sizes=st.integers(3, 6)))
@settings(max_examples=30)
def test_merging_two_classes_brings_laws_no_further_apart(name, pair):
    laws = [softmax(x) for x in pair]
    merged = [np.column_stack([law[:, :1] + law[:, 1:2], law[:, 2:]]) for law in laws]
    fine = DIVERGENCES[name][0](*map(Probs, laws))
    coarse = DIVERGENCES[name][0](*map(Probs, merged))
    # merging rounds: half an eps in p moves log q/p by as much
    assert (coarse <= fine * (1 + 1e-11) + 1e-15 * (1 + np.sqrt(fine))).all()


@given(logit_pairs(largest=4), st.sampled_from([-1e-9, 1e-9]))
def test_renyi_approaches_kl_as_alpha_approaches_one(pair, step):
    p, q = both(pair)
    got = pandq.renyi_divergence(p, q, alpha=1 + step)
    # its derivative at 1 is half the variance of log p/q, here at most 16^2 / 8
    assert np.abs(got - pandq.kl_divergence(p, q)).max() <= 1e-9 * 32


@given(logit_pairs(), KINDS)
def test_renyi_rises_with_alpha(pair, kind):
    p, q = both(pair, kind, kind)
    orders = (0, 0.1, 0.5, 0.9, 0.999999, 1, 1.000001, 1.1, 2, 10, 50, INF)
    values = np.array([pandq.renyi_divergence(p, q, alpha=alpha)[0] for alpha in orders])
    # probabilities are rounded, so that the largest ratio of two that nearly agree may be lost
    rounding = 1e-12 * values + 1e-13 * np.sqrt(values)
    assert (np.diff(values) >= -(rounding[1:] + rounding[:-1])).all()


@given(logit_pairs())
def test_alpha_divergence_of_half_is_four_hellinger_squared(pair):
    p, q = both(pair)
    assert agree(pandq.alpha_divergence(p, q, alpha=0.5), 4 * pandq.hellinger_distance(p, q) ** 2)


@given(logit_pairs())
def test_alpha_divergence_of_two_is_half_of_chi2(pair):
    p, q = both(pair)
    assert agree(pandq.alpha_divergence(p, q, alpha=2), pandq.chi2_divergence(p, q) / 2)


@given(logit_pairs(), st.sampled_from([-1.0, 0.25, 0.5, 2.0, 3.0]))
def test_alpha_divergence_turns_round_with_one_minus_alpha(pair, alpha):
    p, q = both(pair)
    turned = pandq.alpha_divergence(q, p, alpha=1 - alpha)
    assert agree(pandq.alpha_divergence(p, q, alpha=alpha), turned)


@pytest.mark.parametrize("limit", [0, 1])
@given(pair=logit_pairs(largest=4))
def test_alpha_divergence_is_continuous_at_its_limits(limit, pair):
    p, q = both(pair)
    at, beside = (pandq.alpha_divergence(p, q, alpha=a) for a in (limit, limit + 1e-8))
    # log p/q is at most 8, so that alpha moves it by about 8 times 1e-8 in relative size
    assert (np.abs(at - beside) <= 1e-6 * at + 1e-12).all()


@given(logit_pairs(), KINDS, KINDS)
def test_js_is_at_most_log_2(pair, p_kind, q_kind):
    js = pandq.js_divergence(*both(pair, p_kind, q_kind))
    assert (js <= math.log(2) * (1 + 1e-15)).all()


@pytest.mark.parametrize(
    "name", ["js", "jeffreys", "total_variation_distance", "hellinger_distance", "renyi_0.5"]
)
@given(logit_pairs())
def test_symmetric_divergence_is_symmetric(name, pair):
    p, q = both(pair)
    assert agree(DIVERGENCES[name][0](p, q), DIVERGENCES[name][0](q, p))


@given(logit_pairs())
def test_weighted_js_is_the_same_with_p_and_q_and_weights_exchanged(pair):
    p, q = both(pair)
    turned = pandq.js_divergence(q, p, weights=(0.75, 0.25))
    assert agree(pandq.js_divergence(p, q, weights=(0.25, 0.75)), turned)


@given(logit_pairs())
def test_pinsker(pair):
    p, q = both(pair)
    half = pandq.kl_divergence(p, q) / 2
    assert (pandq.total_variation_distance(p, q) ** 2 <= half * (1 + 1e-12)).all()


@given(logit_pairs())
def test_hellinger_squared_is_at_most_total_variation(pair):
    p, q = both(pair)
    assert (
        pandq.hellinger_distance(p, q) ** 2 <= pandq.total_variation_distance(p, q) * (1 + 1e-14)
    ).all()


@given(logit_pairs())
def test_total_variation_is_at_most_root_two_hellinger(pair):
    p, q = both(pair)
    bound = math.sqrt(2) * pandq.hellinger_distance(p, q) * (1 + 1e-12)
    assert (pandq.total_variation_distance(p, q) <= bound).all()


@given(logit_pairs())
def test_chi2_is_at_least_kl(pair):
    p, q = both(pair)
    assert (pandq.chi2_divergence(p, q) >= pandq.kl_divergence(p, q) * (1 - 1e-12)).all()


@given(logit_pairs())
def test_jeffreys_is_kl_both_ways(pair):
    p, q = both(pair)
    ways = pandq.kl_divergence(p, q) + pandq.kl_divergence(q, p)
    assert agree(pandq.jeffreys_divergence(p, q), ways)


# ----------------------------------------------------------------------------------- infinity

INFINITE_WHERE_Q_FORBIDS = [
    "cross_entropy",
    "kl",
    "jeffreys",
    "chi2",
    "renyi_1",
    "renyi_1.000001",
    "renyi_2",
    "renyi_50",
    "renyi_inf",
    "alpha_1",
    "alpha_2",
    "alpha_3",
]
INFINITE_WHERE_P_FORBIDS = ["jeffreys", "alpha_-1", "alpha_0"]


@pytest.mark.parametrize("kind", [Logits, LogProbs, Probs])
@pytest.mark.parametrize("name", MEASURES)
def test_infinite_exactly_where_one_law_forbids_what_the_other_allows(name, kind):
    laws = np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]])
    with np.errstate(divide="ignore"):
        rows = laws if kind is Probs else np.log(laws)
    compute, _ = MEASURES[name]
    got = compute(kind(rows[[0, 1, 0, 1]]), kind(rows[[0, 0, 1, 1]]))
    forbids = name in INFINITE_WHERE_Q_FORBIDS, name in INFINITE_WHERE_P_FORBIDS
    assert np.isinf(got).tolist() == [False, *forbids, False]


@pytest.mark.parametrize("name", INFINITE_WHERE_Q_FORBIDS)
def test_underflowing_p_against_forbidden_q_is_infinite(name):
    compute, _ = MEASURES[name]
    assert compute(Logits([[0.0, -800.0]]), Logits([[0.0, -INF]])).tolist() == [INF]


@pytest.mark.parametrize("name", MEASURES)
def test_underflow_alone_is_no_infinity(name):
    compute, _ = MEASURES[name]
    got = compute(Logits([[0.0, -800.0]]), Logits([[0.0, -900.0]]))
    assert np.isfinite(got).all()


@pytest.mark.parametrize("alpha", [0, 0.3, 0.999999])
def test_renyi_below_one_of_disjoint_laws_is_infinite(alpha):
    got = pandq.renyi_divergence(Probs([[1.0, 0.0]]), Probs([[0.0, 1.0]]), alpha=alpha)
    assert got.tolist() == [INF]


def test_logits_further_apart_than_float64_reaches_are_certain():
    p = Logits([[1e308, -1e308]])
    assert pandq.kl_divergence(p, Logits([[0.0, 0.0]])) == pytest.approx([math.log(2)])


# ----------------------------------------------------------- blocks, layout, rows that stand by


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(3)
    return rng.normal(size=(50, 37)) * 3, rng.normal(size=(50, 37)) * 3


@pytest.mark.parametrize("name", MEASURES)
def test_block_size_does_not_matter(monkeypatch, many, name):
    compute, _ = MEASURES[name]
    p, q = both(many)
    whole = compute(p, q)
    monkeypatch.setattr(numerics, "BLOCK_NUMBERS", 37 * 7)
    assert compute(p, q).tolist() == whole.tolist()


@pytest.mark.parametrize("name", MEASURES)
def test_rows_that_stand_by_do_not_matter(many, name):
    compute, _ = MEASURES[name]
    p, q = both(many)
    alone = [compute(p[i : i + 1], q[i : i + 1])[0] for i in range(50)]
    assert compute(p, q).tolist() == alone


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "every other row of a longer array": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every other column of a wider array": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MEASURES)
def test_memory_layout_does_not_matter(many, name, layout):
    compute, _ = MEASURES[name]
    got = compute(*both([LAYOUTS[layout](x) for x in many]))
    # the order in which numpy adds depends on the layout, and so does the last bit
    assert got == pytest.approx(compute(*both(many)), rel=1e-14)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_leave_their_arguments_alone(many, name):
    copies = [x.copy() for x in many]
    MEASURES[name][0](*both(many))
    assert all((x == copy).all() for x, copy in zip(many, copies, strict=True))


@pytest.mark.parametrize("name", MEASURES)
def test_no_rows_give_no_values(name):
    none = Probs(np.zeros((0, 3)))
    assert MEASURES[name][0](none, none).shape == (0,)


# ------------------------------------------------------------------- the others, and refusals


def test_log_loss_is_minus_log_of_the_label():
    q = np.array([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]])
    got = pandq.log_loss(Labels([1, 0]), Probs(q))
    assert got == pytest.approx([math.log(4), math.log(8)], rel=1e-15)


def test_top_class_is_the_lowest_among_equals():
    assert pandq.top_class(Probs([[0.25, 0.375, 0.375]])).tolist() == [1]


def test_top_class_tells_logits_apart_whose_probabilities_are_the_same_double():
    assert pandq.top_class(Logits([[0.0, 1e-17]])).tolist() == [1]


def test_top1_is_one_where_the_top_classes_agree():
    q = Probs([[0.75, 0.25], [0.75, 0.25]])
    assert pandq.top1(Labels([0, 1]), q).tolist() == [1.0, 0.0]


def test_confidence_is_the_largest_probability():
    got = pandq.confidence(Logits([[0.0, math.log(3)]]))
    assert got == pytest.approx([0.75], rel=1e-15)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: pandq.js_divergence(p, p, weights=(0.5, 0.6)), "weights .* got"),
        (lambda p: pandq.js_divergence(p, p, weights=(0.0, 1.0)), "two positive shares"),
        (lambda p: pandq.js_divergence(p, p, weights=(math.nan, 0.5)), "two positive shares"),
        (lambda p: pandq.renyi_divergence(p, p, alpha=-0.5), "alpha .* got -0.5"),
        (lambda p: pandq.renyi_divergence(p, p, alpha=math.nan), "alpha .* got nan"),
        (lambda p: pandq.alpha_divergence(p, p, alpha=INF), "alpha .* got inf"),
        (lambda p: pandq.log_loss(p, p), "log_loss needs Labels as P, got Probs"),
        (lambda p: pandq.entropy(p, unit="byte"), "unknown unit, got 'byte'. Use 'nat'"),
    ],
)
def test_option_out_of_range_is_refused(call, text):
    with pytest.raises(InputError, match=text):
        call(Probs([[0.5, 0.5]]))


def test_every_public_measure_is_tested_here():
    tested = {f.func.__name__ for f, _ in MEASURES.values() if isinstance(f, partial)}
    tested |= {f.__name__ for f, _ in MEASURES.values() if not isinstance(f, partial)}
    others = {"entropy", "log_loss", "top1", "top_class", "confidence"}
    others.add("ranked_probability_score")  # it alone knows an order: tests/test_ordered.py
    homes = {name: getattr(getattr(pandq, name), "__module__", "") for name in pandq.__all__}
    public = {name for name, home in homes.items() if home.startswith("pandq.measure.")}
    assert public == (tested - {"<lambda>"}) | others
