"""Probabilities that were rounded for display: bounds that every distribution behind them obeys."""

import copy
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

import pandq
from pandq import InputError, Labels, Logits, Probs, TopK, ViewTypeError, kl_bounds
from pandq.cli import main
from pandq.views import Rounded

SEEDS = st.integers(0, 2**32 - 1)
TINY = 1e-9


def drawn(seed, k, n=20):
    """Two exact distributions, from even to nearly certain, and a label for each row."""
    rng = np.random.default_rng(seed)
    concentration = rng.choice([0.1, 0.5, 3.0])
    p, q = rng.dirichlet(np.full(k, concentration), size=(2, n))
    return p, q, rng.integers(k, size=n)


def shown(x, decimals):
    return Probs(np.round(x, decimals), decimals=decimals)


def kl(p, q):
    return special.rel_entr(p, q).sum(axis=1)


def within(truth, bounds):
    low, high = bounds
    return (low <= truth * (1 + TINY) + TINY).all() and (truth <= high * (1 + TINY) + TINY).all()


@given(st.integers(2, 12), st.integers(1, 4), SEEDS)
def test_bounds_hold_for_the_distributions_that_were_rounded(k, decimals, seed):
    p, q, y = drawn(seed, k)
    of_p, of_q = shown(p, decimals), shown(q, decimals)
    assert within(kl(p, q), kl_bounds(Probs(p), of_q))
    assert within(kl(p, q), kl_bounds(of_p, Probs(q)))
    assert within(kl(p, q), kl_bounds(of_p, of_q))
    assert within(-np.log(q[np.arange(len(y)), y]), kl_bounds(Labels(y), of_q))


@given(st.integers(2, 8), st.integers(1, 3), SEEDS)
def test_bounds_of_a_difference_hold_for_what_was_rounded(k, decimals, seed):
    p, a, y = drawn(seed, k)
    _, b, _ = drawn(seed + 1, k)
    rows = np.arange(len(y))
    for of_p, truth in (
        (Labels(y), np.log(a[rows, y]) - np.log(b[rows, y])),
        (Probs(p), kl(p, b) - kl(p, a)),
    ):
        found = pandq.compare(of_p, shown(a, decimals), shown(b, decimals)).difference_bounds[0]
        assert found.lower_bound.value <= truth.mean() + TINY
        assert found.upper_bound.value >= truth.mean() - TINY


@given(st.integers(2, 6), st.integers(1, 3), SEEDS)
def test_bounds_of_labels_are_attained(k, decimals, seed):
    """The least and the most that one probability may be, by a linear program."""
    _, q, y = drawn(seed, k, n=2)
    x = np.round(q, decimals)
    low, high = kl_bounds(Labels(y), shown(q, decimals))
    half = 10.0**-decimals / 2
    for row in range(2):
        ends = [(max(v - half, 0), min(v + half, 1)) for v in x[row]]
        goal = np.eye(k)[y[row]]
        least, most = (
            sign * optimize.linprog(sign * goal, A_eq=np.ones((1, k)), b_eq=[1], bounds=ends).fun
            for sign in (1, -1)
        )
        assert low[row] == pytest.approx(-np.log(most), abs=1e-7)
        assert high[row] == (pytest.approx(-np.log(least), rel=1e-7) if least > 1e-9 else np.inf)


def corners(low, high):
    """The corners of the distributions between these ends: all but one class at an end."""
    k = len(low)
    for free in range(k):
        others = [j for j in range(k) if j != free]
        for ends in itertools.product(*[(low[j], high[j]) for j in others]):
            x = np.zeros(k)
            x[others] = ends
            x[free] = 1 - sum(ends)
            if low[free] - 1e-12 <= x[free] <= high[free] + 1e-12:
                yield x


def chord_gap(f, low, high):
    """The most by which the chord of a convex function is above it, over all classes."""
    t = np.linspace(0, 1, 201)[:, None]
    x = low + t * (high - low)
    return (f(low) + t * (f(high) - f(low)) - f(x)).max()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("which", ["p", "q"])
def test_bounds_are_nearly_attained(which, seed):
    """No corner is beyond the upper bound, one is within a chord of it; the lower one is met."""
    rng = np.random.default_rng(seed)
    exact, other = rng.dirichlet(np.full(4, 3.0), size=(2, 1))
    box = shown(other, 2)
    if not (box.low > 0).all():
        pytest.skip("a bound is infinite")
    a, b = box.low[0], box.high[0]

    def of(x):
        return special.rel_entr(x, exact[0]) if which == "p" else special.rel_entr(exact[0], x)

    low, high = kl_bounds(*((box, Probs(exact)) if which == "p" else (Probs(exact), box)))
    best = max(of(x).sum() for x in corners(a, b))
    assert best <= high[0] + 1e-10
    assert high[0] <= best + chord_gap(of, a, b) + 1e-10
    middle = a + (1 - a.sum()) / (b - a).sum() * (b - a)
    least = optimize.minimize(
        lambda x: of(x).sum(),
        middle,
        bounds=list(zip(a, b, strict=True)),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    ).fun
    assert low[0] == pytest.approx(least, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_the_lower_bound_of_two_that_were_rounded_is_nearly_attained(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(4, 3.0), size=(2, 1))
    one, two = shown(p, 1), shown(q, 1)
    ends = [
        (max(a, 1e-12), b) for x in (one, two) for a, b in zip(x.low[0], x.high[0], strict=True)
    ]
    least = optimize.minimize(
        lambda x: special.rel_entr(x[:4], x[4:]).sum(),
        np.concatenate([p[0], q[0]]),
        bounds=ends,
        constraints=[
            {"type": "eq", "fun": lambda x: x[:4].sum() - 1},
            {"type": "eq", "fun": lambda x: x[4:].sum() - 1},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    ).fun
    low, _ = kl_bounds(one, two)
    assert low[0] <= least + 1e-7
    assert low[0] == pytest.approx(least, abs=1e-4)


def test_what_is_shown_as_none_is_no_infinity_but_an_open_end():
    low, high = kl_bounds(
        Labels([0, 1, 1]), Probs([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], decimals=2)
    )
    assert low == pytest.approx([-np.log(0.005), 0.0, -np.log(0.005)], abs=1e-12)
    assert high.tolist()[0] == np.inf
    assert high[1] == pytest.approx(-np.log(0.995))


def test_many_digits_leave_next_to_nothing_open():
    p, q, _ = drawn(4, 5)
    low, high = kl_bounds(Probs(p), Probs(np.round(q, 12), decimals=12))
    assert low == pytest.approx(kl(p, q), rel=1e-6)
    assert high == pytest.approx(kl(p, q), rel=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_was_rounded_and_stored_is_the_same(kind):
    x = np.round(drawn(1, 5)[0], 3)
    assert Probs(x.astype(kind), decimals=3).low == pytest.approx(Probs(x, decimals=3).low)


WRONG = {
    "not so rounded": ([[0.123, 0.877]], 2, r"row 0 is not rounded to 2 decimals, got 0\.123"),
    "no sum": ([[0.5, 0.5], [0.6, 0.6]], 1, "row 1 sums to 1.2, and no distribution of 2 classes"),
    "cut off": ([[0.33, 0.33, 0.31]], 2, "sums to 0.97, and no distribution of 3 classes rounds"),
    "negative": ([[-0.1, 1.1]], 1, "negative"),
    "NaN": ([[np.nan, 1.0]], 1, "NaN"),
    "half a digit": ([[0.5, 0.5]], 1.5, "whole number from 0 to 12"),
    "too many": ([[0.5, 0.5]], 20, "whole number from 0 to 12"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_nothing_rounds_to_is_refused(case):
    x, decimals, text = WRONG[case]
    with pytest.raises(InputError, match=text):
        Probs(x, decimals=decimals)


def test_whatever_needs_one_distribution_refuses_many():
    p, q, y = drawn(0, 4)
    rounded = shown(q, 2)
    assert isinstance(rounded, Rounded)
    for call in (
        lambda: pandq.kl_divergence(Probs(p), rounded),
        lambda: pandq.entropy(rounded),
        lambda: pandq.audit(Labels(y, 4), rounded),
        lambda: np.asarray(rounded),
    ):
        with pytest.raises((ViewTypeError, TypeError), match="rounded"):
            call()
    with pytest.raises(InputError, match="rounded probabilities are known of all classes"):
        kl_bounds(TopK([[0]] * 20, np.log([[0.9]] * 20), 4), rounded)
    with pytest.raises(InputError, match="q_floor"):
        kl_bounds(Probs(p), rounded, q_floor=0.01)


def test_probs_without_decimals_are_as_they_were():
    x = Probs([[0.25, 0.75]])
    again = copy.deepcopy(x)
    assert type(again) is Probs
    assert np.array_equal(again.array, x.array)
    assert type(x[0]) is Probs


def test_rows_of_rounded_probabilities_are_theirs():
    _, q, _ = drawn(3, 4)
    whole = shown(q, 2)
    assert np.array_equal(whole[[3, 1]].low, whole.low[[3, 1]])
    assert [len(x) for x in whole] == [1] * 20


def test_batches_are_compared_like_the_whole():
    p, q, _ = drawn(5, 4, n=60)
    _, other, _ = drawn(6, 4, n=60)
    views = Probs(p), shown(q, 2), shown(other, 2)
    whole = pandq.compare(*views)
    comparer = pandq.Comparer()
    for start in range(0, 60, 25):
        comparer.update(*(x[start : start + 25] for x in views))
    parts = comparer.result()
    for mine, theirs in zip(
        (*whole.bounds, *whole.difference_bounds),
        (*parts.bounds, *parts.difference_bounds),
        strict=True,
    ):
        assert mine.lower_bound.value == pytest.approx(theirs.lower_bound.value, rel=1e-12)


# -------------------------------------------------------------------------- on the command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    p, q, _ = drawn(7, 4, n=80)
    rng = np.random.default_rng(7)
    y = [int(rng.choice(4, p=row)) for row in p]
    columns = {
        "label": y,
        "a": np.round(p, 2).tolist(),
        "b": np.round(0.9 * q + 0.025, 2).tolist(),
        "hundred": np.round(100 * p, 1).tolist(),
        "exact": p.tolist(),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    monkeypatch.chdir(tmp_path)
    return p, y


def ran(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["pandq", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


BOTH = ("compare", "t.parquet", "--p", "labels:label", "--q", "probs:a", "--q", "probs:b")


def test_a_comparison_of_rounded_columns_has_bounds(folder, monkeypatch, capsys):
    assert ran(monkeypatch, *BOTH, "--rounded", "2", "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert [x["q"] for x in told["bounds"]] == ["probs:a", "probs:b"]
    (apart,) = told["difference_bounds"]
    assert apart["lower_bound"]["value"] < apart["upper_bound"]["value"]
    assert any("rounds to 2 digits as shown (--rounded)" in note for note in told["notes"])
    again = pandq.Comparison.from_dict(told)
    assert again.difference_bounds[0].against == "probs:a"
    assert "certified bounds of differences" in again.to_text()


def test_a_regression_is_held_against_the_upper_bound(folder, monkeypatch, capsys):
    assert ran(monkeypatch, *BOTH, "--rounded", "2", "--max-regression", "0.0001") == 1
    assert "probs:b less probs:a" in capsys.readouterr().err
    assert ran(monkeypatch, *BOTH, "--rounded", "2", "--max-regression", "50") in (0, 1)


def test_percentages_were_rounded_as_they_are_shown(folder):
    p, y = folder
    rows = pandq.scan("t.parquet", p="labels:label", q="probs:hundred", percent="q", rounded=1)
    found = pandq.compare(rows).bounds[0]
    low, _ = kl_bounds(Labels(y), Probs(np.round(p, 3), decimals=3))
    assert found.lower_bound.value == pytest.approx(low.mean())


REFUSED = {
    "an audit": (
        ("audit", "t.parquet", "--q", "probs:a"),
        "--normalise q, or pandq compare --rounded 2",
    ),
    "normalised": ((*BOTH, "--rounded", "2", "--normalise", "q"), "two ways to take rounded"),
    "no probabilities": (
        ("compare", "t.parquet", "--p", "labels:label", "--q", "logits:exact", "--rounded", "2"),
        "--rounded is for probabilities, got labels:label, logits:exact",
    ),
    "fewer digits": ((*BOTH, "--rounded", "1"), "is not rounded to 1 decimals"),
    "labels beside": ((*BOTH, "--rounded", "2", "--labels", "label"), "labels have nothing to say"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_bounded_is_one_line(folder, monkeypatch, capsys, case):
    words, text = REFUSED[case]
    assert ran(monkeypatch, *words) == 2
    told = capsys.readouterr().err
    assert text in told
    assert told.count("\n") == 1
    assert told.startswith("pandq: ")


def test_one_line_says_how_far_sums_are_off_and_what_fits(folder, monkeypatch, capsys):
    assert ran(monkeypatch, "audit", "t.parquet", "--q", "probs:a") == 2
    told = capsys.readouterr().err
    off = np.abs(np.round(folder[0], 2).sum(axis=1) - 1)
    n = (off > 1e-6).sum()
    assert f"{n:,} of the 80 rows around it are off, by up to {off.max():.2g}" in told
    assert ran(monkeypatch, "audit", "t.parquet", "--q", "probs:hundred") == 2
    assert "--percent q" in capsys.readouterr().err
    assert ran(monkeypatch, "audit", "t.parquet", "--q", "probs:hundred", "--percent", "q") == 2
    assert "--normalise q, or pandq compare --rounded 1" in capsys.readouterr().err


def test_logits_beside_rounded_probabilities_are_taken(folder):
    p, _ = folder
    low, high = kl_bounds(Logits(np.log(np.maximum(p, 1e-300))), shown(p, 2))
    assert within(np.zeros(80), (low, high))


def test_bounds_of_a_difference_lie_in_their_own_intervals_on_either_side_of_nothing():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 4))
    labels = Labels((z + rng.gumbel(size=z.shape)).argmax(axis=1))
    noisy = z + rng.normal(size=z.shape)
    one, other = (Probs(np.round(special.softmax(x, axis=1), 2), decimals=2) for x in (z, noisy))
    for qs in ((one, other), (other, one)):
        (found,) = pandq.compare(labels, *qs).difference_bounds
        for bound in (found.lower_bound, found.upper_bound):
            assert bound.low < bound.value < bound.high
        assert found.lower_bound.value < found.upper_bound.value
        assert found.cross_entropy.low < found.lower_bound.value
        assert found.upper_bound.value < found.cross_entropy.high
