"""Comparing models: paired differences against plain NumPy, their coverage, and what is said."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import optimize, special, stats

import pandq
from pandq import Counts, InputError, Labels, Logits, Probs, TopK
from pandq.estimate.averages.intervals import Sampling, mean_estimate
from pandq.estimate.averages.means import Means
from pandq.estimate.comparison.verdicts import holm, p_value
from tests.estimate.leaving import interval


def models(n=2000, k=4, seed=0):
    """Labels from a truth, a sharp model and a dull one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) * 2
    y = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
    return y, special.softmax(x * 1.3, axis=1), special.softmax(x * 0.6, axis=1)


def ends(estimate):
    return estimate.value, estimate.low, estimate.high


def test_the_difference_on_real_votes_is_that_of_a_plain_calculation(cifar10h):
    table = pq.read_table(cifar10h)
    votes, a, b = (
        np.array(table[c].to_pylist(), float) for c in ("counts", "resnet18", "crossval")
    )
    shares = votes / votes.sum(axis=1, keepdims=True)
    losses = [
        special.rel_entr(shares, q).sum(axis=1) + stats.entropy(shares, axis=1) for q in (a, b)
    ]
    assert losses[0].mean() == pytest.approx(0.32767, abs=5e-7)
    rows = pandq.scan(cifar10h, p="counts:counts", q=["probs:resnet18", "probs:crossval"])
    found = pandq.compare(rows, decompose=False).differences[0]
    assert ends(found.cross_entropy) == pytest.approx(interval(losses[1] - losses[0]), abs=1e-12)
    assert found.verdict == "worse"
    assert found.wins["q_better"].value == pytest.approx((losses[1] < losses[0]).mean(), abs=1e-12)


@pytest.mark.parametrize("unit", ["nat", "bit"])
def test_every_score_is_the_mean_of_paired_differences(unit):
    y, a, b = models()
    found = pandq.compare(Labels(y), Probs(a), Probs(b), unit=unit).differences[0]
    row = np.arange(len(y))
    loss = (np.log(a[row, y]) - np.log(b[row, y])) / (1 if unit == "nat" else np.log(2))
    hit = (b.argmax(axis=1) == y).astype(float) - (a.argmax(axis=1) == y)
    one_hot = np.eye(4)[y]
    brier = np.square(b - one_hot).sum(axis=1) - np.square(a - one_hot).sum(axis=1)
    assert ends(found.cross_entropy) == pytest.approx(interval(loss), abs=1e-12)
    assert ends(found.accuracy) == pytest.approx(interval(hit), abs=1e-12)
    assert ends(found.brier) == pytest.approx(interval(brier), abs=1e-12)
    same = (a.argmax(axis=1) == b.argmax(axis=1)).mean()
    assert found.same_top1.value == pytest.approx(same, abs=1e-12)
    level = optimize.brentq(lambda x: interval(loss, level=x)[1], 0.5, 1 - 1e-9, xtol=1e-13)
    assert found.p_value == pytest.approx(1 - level, rel=1e-6)
    assert found.p_value > stats.ttest_1samp(loss, 0).pvalue  # a mean that is skewed towards 0


def test_the_floor_cancels_whatever_p_is():
    _, a, b = models()
    votes = np.random.default_rng(1).multinomial(5, a)
    found = pandq.compare(Counts(votes), Probs(a), Probs(b)).differences[0]
    kl = [pandq.kl_divergence(Counts(votes), Probs(q)).mean() for q in (a, b)]
    assert found.cross_entropy.value == pytest.approx(kl[1] - kl[0], abs=1e-12)
    assert found.kl == replace(found.cross_entropy, name="kl")
    assert found.to_dict()["kl"] == found.to_dict()["cross_entropy"]


def test_a_model_is_not_told_apart_from_itself():
    y, a, _ = models()
    found = pandq.compare(Labels(y), Probs(a), Probs(a)).differences[0]
    assert ends(found.cross_entropy) == (0.0, 0.0, 0.0)
    assert (found.verdict, found.p_value) == ("not told apart", 1.0)
    assert found.wins["tie"].value == 1.0
    assert found.against_better == found.q_better == []


def test_exchanging_two_models_turns_the_difference_round():
    y, a, b = models()
    one = pandq.compare(Labels(y), Probs(a), Probs(b)).differences[0]
    other = pandq.compare(Labels(y), Probs(b), Probs(a)).differences[0]
    assert one.cross_entropy.value == pytest.approx(-other.cross_entropy.value, abs=1e-15)
    assert [x["row"] for x in one.against_better] == [x["row"] for x in other.q_better]


def test_recalibration_removes_what_differs_only_in_temperature():
    y, a, b = models(n=4000)
    found = pandq.compare(Labels(y), Probs(a), Probs(b)).differences[0]
    assert found.cross_entropy.value == pytest.approx(
        found.grouping_loss.value + found.calibration_loss.value, abs=1e-12
    )
    assert abs(found.grouping_loss.value) < 0.1 * abs(found.cross_entropy.value)


def test_more_than_two_models_are_each_compared_with_the_first():
    y, a, b = models()
    mixed = (a + b) / 2
    found = pandq.compare(Labels(y), Probs(a), Probs(b), Probs(mixed), names=["a", "b", "mixed"])
    assert [(x.q, x.against) for x in found.differences] == [("b", "a"), ("mixed", "a")]
    alone = pandq.compare(Labels(y), Probs(a), Probs(mixed)).differences[0]
    assert ends(found.differences[1].cross_entropy) == ends(alone.cross_entropy)


def test_clustered_rows_widen_the_interval():
    y, a, b = models(n=400)
    cluster = np.repeat(np.arange(40), 10)
    tiled = [np.repeat(x[::10], 10, axis=0) for x in (y, a, b)]
    plain = pandq.compare(Labels(tiled[0]), Probs(tiled[1]), Probs(tiled[2])).differences[0]
    robust = pandq.compare(
        Labels(tiled[0]), Probs(tiled[1]), Probs(tiled[2]), cluster=cluster
    ).differences[0]
    once = pandq.compare(Labels(y[::10]), Probs(a[::10]), Probs(b[::10])).differences[0]
    assert robust.cross_entropy.half_width > 2.5 * plain.cross_entropy.half_width
    assert robust.cross_entropy.half_width == pytest.approx(once.cross_entropy.half_width, rel=1e-9)


@pytest.mark.parametrize("clustered", [False, True], ids=["rows", "clusters"])
def test_the_interval_covers_the_true_difference(clustered):
    """400 data sets of known truth: 95 % give or take three standard errors of that."""
    k, n, covered = 3, 300, 0
    rng = np.random.default_rng(11)
    base = rng.normal(size=(n, k))
    for _ in range(400):
        x = base if not clustered else np.repeat(base[:60], 5, axis=0)
        p, a, b = (special.softmax(x * s, axis=1) for s in (1.0, 1.4, 0.7))
        draws = rng.gumbel(size=(60, k) if clustered else (n, k))
        y = (np.log(p) + (np.repeat(draws, 5, axis=0) if clustered else draws)).argmax(axis=1)
        cluster = np.repeat(np.arange(60), 5) if clustered else None
        found = pandq.compare(Labels(y, k), Probs(a), Probs(b), cluster=cluster, decompose=False)
        truth = (p * (np.log(a) - np.log(b))).sum(axis=1).mean()
        estimate = found.differences[0].cross_entropy
        covered += estimate.low <= truth <= estimate.high
    assert 0.917 * 400 <= covered <= 0.99 * 400


def rash(q, y, row=7):
    """The same model, that rules the label of one row out."""
    q = q.copy()
    q[row] = np.roll([1.0, 0.0, 0.0, 0.0], (y[row] + 1) % 4)
    return q


def test_an_infinite_loss_makes_the_difference_infinite_whatever_the_other_rows_say():
    y, a, b = models(n=200)
    bad = rash(b, y)
    found = pandq.compare(Labels(y), Probs(a), Probs(bad), names=["a", "b"]).differences[0]
    assert found.infinite_rows == {"b": 1, "a": 0}
    assert ends(found.cross_entropy) == (np.inf, np.inf, np.inf)
    assert (found.verdict, found.p_value) == ("worse", None)
    row = np.arange(len(y)) != 7
    loss = (np.log(a) - np.log(b))[np.arange(len(y)), y][row]
    assert ends(found.finite_part) == pytest.approx(interval(loss), abs=1e-12)
    hit = (bad.argmax(axis=1) == y).astype(float) - (a.argmax(axis=1) == y)
    assert ends(found.accuracy) == pytest.approx(interval(hit), abs=1e-12)
    turned = pandq.compare(Labels(y), Probs(bad), Probs(a)).differences[0]
    assert (turned.cross_entropy.value, turned.verdict) == (-np.inf, "better")
    both = pandq.compare(Labels(y), Probs(bad), Probs(rash(a, y, 9))).differences[0]
    assert (both.cross_entropy.value, both.verdict) == (None, "not told apart")
    everywhere = Probs(np.roll(np.eye(4)[y], 1, axis=1))
    lost = pandq.compare(Labels(y), Probs(a), everywhere).differences[0]
    assert (lost.verdict, lost.finite_part) == ("worse", None)
    assert found.against_better[0]["row"] == 7
    assert found.to_dict()["against_better"][0]["difference"] is None


def test_groups_are_judged_together():
    y, a, b = models(n=3000)
    site = np.random.default_rng(3).choice(["x", "y", "z"], len(y))
    found = pandq.compare(Labels(y), Probs(a), Probs(b), by={"site": site}).differences[0]
    lines = [*found.classes, *found.groups["site"]]
    assert found.groups_looked_at == len(lines) == 7
    assert [x["p_holm"] for x in lines] == pytest.approx(
        holm([x["p_value"] for x in lines]).tolist()
    )
    line = next(x for x in found.groups["site"] if x["name"] == "y")
    here = site == "y"
    loss = (np.log(a) - np.log(b))[here, y[here]]
    found = line["value"], line["low"], line["high"]
    assert found == pytest.approx(interval(loss, skewed=False), abs=1e-12)


def test_a_group_of_few_rows_gets_no_verdict():
    y, a, b = models(n=300)
    site = np.where(np.arange(300) < 2, "tiny", "rest")
    found = pandq.compare(Labels(y), Probs(a), Probs(b), by={"site": site}).differences[0]
    line = next(x for x in found.groups["site"] if x["name"] == "tiny")
    assert (line["verdict"], line["p_holm"]) == ("too few rows", None)
    assert found.groups_looked_at == 5


def test_holm_steps_down_as_its_definition_says():
    p = np.random.default_rng(0).uniform(size=9) ** 2
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected = np.zeros(9, bool)
        for place, i in enumerate(np.argsort(p)):
            if p[i] > level / (9 - place):
                break
            rejected[i] = True
        assert (holm(p) <= level).tolist() == rejected.tolist()


def test_holm_errs_in_no_group_more_often_than_its_level():
    rng = np.random.default_rng(5)
    wrong = sum((holm(rng.uniform(size=12)) < 0.05).any() for _ in range(2000))
    assert wrong / 2000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_p_value_of_no_spread_is_that_of_the_sign_test():
    assert p_value(Sampling(0.0, 0.0, 6, 6)) == 1.0
    assert p_value(Sampling(0.1, float("nan"), 1, 1)) == 1.0
    for n in (2, 5, 6, 40):
        found = p_value(Sampling(-0.1, 0.0, n, n))
        assert found == pytest.approx(stats.binomtest(n, n).pvalue, rel=1e-12)
        low, high = ends(mean_estimate(Sampling(-0.1, 0.0, n, n)))[1:]
        assert (low < 0 < high) == (found > 0.05)


@pytest.mark.parametrize("mean", [-2.3, -0.7, 0.7, 2.3, 5.0])
@pytest.mark.parametrize("skewness", [-0.4, 0.0, 0.2])
@pytest.mark.parametrize("effective", [1.4, 6.0, 5000.0])
def test_a_p_value_is_the_level_at_which_the_interval_reaches_0(mean, skewness, effective):
    found = Sampling(mean, 1.0, effective, 5000, skewness)
    p = p_value(found)
    nearest = min(found.limits(1 - p), key=abs) if p < 1 else 0.0
    assert nearest == pytest.approx(0.0, abs=1e-6)
    assert 0 < p <= 1


def test_p_values_of_a_mean_of_zero_are_spread_evenly():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2000, 40))
    means = [Means.empty(("x",)).of_only(row[:, None]) for row in x]
    p = np.array([p_value(one.sampling("x")) for one in means])
    for level in (0.05, 0.3):
        assert (p < level).mean() == pytest.approx(level, abs=0.03)


def test_chunks_do_not_change_a_bit_of_the_result(monkeypatch):
    from pandq.read import chunks

    y, a, b = models(n=1500)
    whole = pandq.compare(Labels(y), Logits(np.log(a)), Logits(np.log(b)), decompose=False)
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 1 << 9)
    parts = pandq.compare(Labels(y), Logits(np.log(a)), Logits(np.log(b)), decompose=False)
    one, other = (x.differences[0].cross_entropy for x in (whole, parts))
    assert one.value == pytest.approx(other.value, rel=1e-13)


# ------------------------------------------------------------------------- a reference and its copy


def copied(n=300, k=50, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) * 2.5
    return x, x + noise * rng.normal(size=x.shape), (x + rng.gumbel(size=x.shape)).argmax(axis=1)


def test_divergence_from_a_reference_is_what_a_plain_calculation_gives():
    x, z, y = copied()
    found = pandq.compare(Logits(x), Logits(z), labels=Labels(y)).from_reference[0]
    p, q = special.softmax(x, axis=1), special.softmax(z, axis=1)
    kl, back = special.rel_entr(p, q).sum(axis=1), special.rel_entr(q, p).sum(axis=1)
    row, top = np.arange(len(y)), p.argmax(axis=1)
    change, moved = q[row, top] - p[row, top], q[row, y] - p[row, y]
    nll, base = -np.log(q[row, y]), -np.log(p[row, y])
    assert ends(found.kl) == pytest.approx(interval(kl, positive=True), abs=1e-12)
    assert ends(found.kl_reverse) == pytest.approx(interval(back, positive=True), abs=1e-12)
    assert found.same_top1.value == pytest.approx((q.argmax(axis=1) == top).mean(), abs=1e-12)
    assert ends(found.top_change) == pytest.approx(interval(change), abs=1e-12)
    assert found.top_change_rms.value == pytest.approx(np.sqrt((change**2).mean()), abs=1e-12)
    assert found.kl_quantiles["1"] == pytest.approx(kl.max(), abs=1e-12)
    assert found.kl_quantiles["0"] == pytest.approx(kl.min(), abs=1e-12)
    assert found.kl_quantiles["0.5"] == pytest.approx(np.median(kl), rel=0.02)
    assert found.top_change_quantiles["0.05"] == pytest.approx(
        np.quantile(change, 0.05, method="inverted_cdf"), abs=1e-4
    )
    tokens = found.tokens
    assert tokens.perplexity.value == pytest.approx(np.exp(nll.mean()), rel=1e-12)
    assert tokens.reference_perplexity.value == pytest.approx(np.exp(base.mean()), rel=1e-12)
    assert ends(tokens.log_perplexity_ratio) == pytest.approx(interval(nll - base), abs=1e-12)
    assert ends(tokens.perplexity_ratio) == pytest.approx(np.exp(interval(nll - base)), rel=1e-12)
    assert tokens.correlation == pytest.approx(np.corrcoef(nll, base)[0, 1], rel=1e-9)
    assert tokens.probability_change_rms.value == pytest.approx(
        np.sqrt((moved**2).mean()), rel=1e-12
    )
    slope = np.exp(nll.mean()) * nll - np.exp(base.mean()) * base
    mean, _, high = interval(slope, skewed=False)
    half = high - mean
    assert tokens.perplexity_difference.half_width == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("n", [1, 4, 60, 300])
@pytest.mark.parametrize("stored", [np.float32, np.float64])
@pytest.mark.parametrize("clustered", [False, True])
def test_a_copy_that_rounding_made_has_differences_that_say_so(n, stored, clustered):
    """Equal, with noise of 1e-9, and with a constant added to all logits."""
    x, _, y = copied(n=n, k=100)
    x = x.astype(stored)
    noise = np.random.default_rng(1).normal(size=x.shape) * 1e-9
    options = {"labels": Labels(y), "cluster": np.arange(n) // 3 if clustered else None}
    for copy, size in ((x, 0.0), ((x + noise).astype(stored), 1e-8), (x + stored(7), 1e-4)):
        found = pandq.compare(Logits(x), Logits(x), Logits(copy), **options)
        assert found.to_text()
        moved, apart = found.from_reference[1], found.differences[0]
        tokens = moved.tokens
        estimates = [moved.kl, moved.kl_reverse, moved.top_change, apart.cross_entropy]
        estimates += [
            tokens.perplexity_difference,
            tokens.log_perplexity_ratio,
            tokens.probability_change,
        ]
        estimates += [apart.accuracy, apart.brier, apart.confidence, apart.expected_accuracy]
        if n >= 60 and not clustered:
            estimates += [apart.grouping_loss, apart.calibration_loss]
        for found in estimates:
            assert abs(found.value) <= size * 100
            if n > 3 and found.name != "accuracy difference":
                assert found.half_width <= size * 100
        assert n == 1 or tokens.correlation == pytest.approx(1, abs=1e-6)
        if size == 0.0:
            assert {x for e in estimates for x in ends(e) if not np.isnan(x)} == {0.0}
            assert apart.verdict == "not told apart"
            assert n == 1 or tokens.correlation == 1.0


def test_divergence_from_a_reference_within_documents_is_clustered():
    x, z, y = copied(n=400, noise=0.1)
    z += np.repeat(np.random.default_rng(1).normal(size=(20, 50)), 20, axis=0) * 0.5
    document = np.repeat(np.arange(20), 20)
    plain = pandq.compare(Logits(x), Logits(z), labels=Labels(y)).from_reference[0]
    robust = pandq.compare(Logits(x), Logits(z), labels=Labels(y), cluster=document).from_reference[
        0
    ]
    assert robust.kl.value == plain.kl.value
    assert "20 clusters" in robust.kl.method
    assert robust.tokens.perplexity_ratio.half_width != plain.tokens.perplexity_ratio.half_width


def test_a_class_that_the_copy_forbids_makes_kl_infinite_and_is_counted():
    x, z, _ = copied(n=60)
    z[3, 0] = -np.inf
    found = pandq.compare(Logits(x), Logits(z)).from_reference[0]
    assert found.infinite_rows == {"kl": 1, "kl_reverse": 0}
    assert found.kl.value == np.inf
    assert np.isfinite(found.kl_reverse.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_an_int8_copy_of_a_network_diverges_as_float64_says():
    torch = pytest.importorskip("torch")
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X / 16.0, dtype=torch.float32)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(X), torch.tensor(y)).backward()
        optimiser.step()
    try:
        small = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}, torch.qint8)
        with torch.no_grad():
            a, b = net(X).numpy(), small(X).numpy()
    except (RuntimeError, AttributeError) as error:
        pytest.skip(f"no int8 engine: {error}")
    found = pandq.compare(Logits(a), Logits(b), labels=Labels(y)).from_reference[0]
    p, q = (special.softmax(x.astype(np.float64), axis=1) for x in (a, b))
    kl = special.rel_entr(p, q).sum(axis=1)
    assert kl.mean() > 0
    assert ends(found.kl) == pytest.approx(interval(kl, positive=True), rel=1e-6)


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda y, a, b: pandq.compare(Labels(y), Probs(a)), "one Q alone is compared"),
        (lambda y, a, b: pandq.compare(Labels(y)), "there is no Q"),
        (
            lambda y, a, b: pandq.compare(
                Labels(y), Probs(a), Probs(b[:, :3] / b[:, :3].sum(1, keepdims=True))
            ),
            "different numbers of classes",
        ),
        (
            lambda y, a, b: pandq.compare(Labels(y), Probs(a), Probs(b[:-1])),
            "different numbers of rows",
        ),
        (
            lambda y, a, b: pandq.compare(Labels(y), Probs(a), Probs(b), names=["x"]),
            "2 models need",
        ),
        (lambda y, a, b: pandq.compare(Labels(y), Probs(a), b), "must say what its numbers mean"),
        (lambda y, a, b: pandq.compare(Labels(y), Probs(a), Probs(b), level=2), "level must lie"),
        (lambda y, a, b: pandq.compare(Probs(a), Probs(b), labels=y), "labels are Labels"),
        (
            lambda y, a, b: pandq.compare(Labels(y[:0]), Probs(a[:0]), Probs(b[:0])),
            "there are no rows",
        ),
        (
            lambda y, a, b: pandq.compare(Labels(y), Probs(a), baseline={}),
            "is no audit",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(call, text):
    with pytest.raises(InputError, match=text):
        call(*models(n=60))


def test_a_scan_brings_its_own_columns():
    y, a, b = models(n=60)
    table = pa.table({"label": y, "a": a.tolist(), "b": b.tolist()})
    rows = pandq.scan(table, p="labels:label", q=["probs:a", "probs:b"])
    assert pandq.compare(rows).differences[0].q == "probs:b"
    with pytest.raises(InputError, match="a scan brings its own q"):
        pandq.compare(rows, Probs(a))


# ---------------------------------------------------------------------------------------- baselines


def losses_of(y, *models):
    return [-np.log(q[np.arange(len(y)), y]) for q in models]


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize("as_document", [False, True], ids=["audit", "document"])
def test_a_baseline_is_compared_with_by_welchs_t_and_said_to_be_uninterval(level, as_document):
    y, a, b = models()
    old = pandq.audit(Labels(y[:700]), Probs(a[:700]))
    old = json.loads(json.dumps(old.to_dict())) if as_document else old
    result = pandq.compare(Labels(y), Probs(b), baseline=old, level=level)
    found = result.differences[0]
    (then,), (now,) = losses_of(y[:700], a[:700]), losses_of(y, b)
    told = [x for q in (now, then) for x in (q.mean(), q.std(ddof=1), len(q))]
    test = stats.ttest_ind_from_stats(*told, equal_var=False)
    spread = np.hypot(*(q.std(ddof=1) / np.sqrt(len(q)) for q in (now, then)))
    loss = found.cross_entropy
    assert loss.value == pytest.approx(now.mean() - then.mean(), abs=1e-12)
    assert loss.standard_error == pytest.approx(spread, rel=1e-12)
    assert loss.value / loss.standard_error == pytest.approx(test.statistic, rel=1e-9)
    interval = stats.ttest_ind(now, then, equal_var=False).confidence_interval(level)
    assert (loss.low, loss.high) == pytest.approx(tuple(interval), rel=1e-9)
    assert "unpaired" in loss.method
    assert "Unpaired" in result.to_text()
    assert found.to_dict()["paired"] is False


def test_a_paired_difference_is_better_known_than_one_from_a_baseline():
    y, a, b = models()
    unpaired = pandq.compare(Labels(y), Probs(b), baseline=pandq.audit(Labels(y), Probs(a)))
    sharp = pandq.compare(Labels(y), Probs(a), Probs(b))
    widths = [x.differences[0].cross_entropy.half_width for x in (sharp, unpaired)]
    assert widths[0] < widths[1]


def clustered(x, cluster):
    """Standard error and degrees of a mean of rows within clusters: a plain sandwich."""
    _, place = np.unique(cluster, return_inverse=True)
    sums = np.bincount(place, x - x.mean())
    m = len(sums)
    return np.sqrt(m / (m - 1) * (sums**2).sum()) / len(x), m - 1


@pytest.mark.parametrize("now_clustered", [False, True])
def test_a_baseline_of_clusters_has_their_degrees(now_clustered):
    y, a, b = models(n=300)
    twelve, twenty = np.arange(300) % 12, np.arange(300) % 20
    old = pandq.audit(Labels(y), Probs(a), cluster=twelve, decompose=False).to_dict()
    cluster = twenty if now_clustered else None
    found = pandq.compare(Labels(y), Probs(b), baseline=old, cluster=cluster).differences[0]
    then, now = losses_of(y, a, b)
    known = [
        clustered(then, twelve),
        clustered(now, np.arange(300) if cluster is None else cluster),
    ]
    assert [x[1] for x in known] == [11, 19 if now_clustered else 299]
    variances = [error**2 for error, _ in known]
    degrees = sum(variances) ** 2 / sum(error**4 / own for error, own in known)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(sum(variances))
    loss = found.cross_entropy
    assert loss.half_width == pytest.approx(half, rel=1e-9)
    assert loss.degrees == pytest.approx(degrees, rel=1e-9)


def test_a_baseline_that_is_no_mean_is_refused():
    y, a, b = models(n=100)
    old = pandq.audit(Labels(y), Probs(rash(a, y)), decompose=False)
    for given in (old, old.to_dict()):
        with pytest.raises(InputError, match="the baseline's cross entropy is not finite"):
            pandq.compare(Labels(y), Probs(b), baseline=given)
    wider = pandq.audit(Labels(y), Probs(a), decompose=False)
    with pytest.raises(InputError, match="another number of classes, got 4, and 5 now"):
        pandq.compare(Labels(y, 5), Probs(np.column_stack([b, 0 * y])), baseline=wider)


def test_a_baseline_of_another_kind_of_p_is_refused():
    y, a, b = models(n=100)
    old = pandq.audit(Labels(y), Probs(a)).to_dict()
    votes = np.eye(4, dtype=int)[y] * 3
    with pytest.raises(InputError, match="P was labels, and is counts now"):
        pandq.compare(Counts(votes), Probs(b), baseline=old)


def test_a_baseline_in_bits_is_turned_into_nats():
    y, a, b = models()
    old = pandq.audit(Labels(y), Probs(a), unit="bit", level=0.9).to_dict()
    one = pandq.compare(Labels(y), Probs(b), baseline=old).differences[0].cross_entropy
    other = (
        pandq.compare(Labels(y), Probs(b), baseline=pandq.audit(Labels(y), Probs(a)).to_dict())
        .differences[0]
        .cross_entropy
    )
    assert ends(one) == pytest.approx(ends(other), rel=1e-9)


# ------------------------------------------------------------------------------------- the document


def test_the_json_has_what_the_contract_names():
    y, a, b = models(n=300)
    document = pandq.compare(Labels(y), Probs(a), Probs(b)).to_dict()
    assert document["schema"] == "pandq/comparison/2"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    difference = document["differences"][0]
    assert {"value", "low", "high", "method"} <= set(difference["cross_entropy"])
    assert {
        *("q", "against", "same_top1", "wins", "classes", "groups"),
        *("kl", "grouping_loss", "calibration_loss", "paired", "against_better", "q_better"),
    } <= set(difference)


def test_the_text_says_that_the_floor_cancels():
    y, a, b = models(n=300)
    text = pandq.compare(Labels(y), Probs(a), Probs(b)).to_text()
    assert text.startswith("The loss of B is ")
    assert "than that of A" in " ".join(text.split())
    assert "cancels" in text
    assert "groups were looked at" in text


def test_the_text_of_a_copy_has_the_names_of_llama_cpp():
    x, z, y = copied()
    text = pandq.compare(Logits(x), Logits(z), labels=Labels(y)).to_text()
    for name in ("Mean KLD", "99.9%", "Median", "Same top p", "RMS Δp", "Mean PPL(Q)/PPL(base)"):
        assert name in text


def test_bounds_of_a_topk_enclose_the_divergence_in_full():
    x, z, _ = copied(n=40, k=12)
    p = special.log_softmax(x, axis=1)
    ids = np.argsort(-p, axis=1)[:, :4]
    top = TopK(ids, np.take_along_axis(p, ids, axis=1), 12)
    found = pandq.compare(top, Logits(z), Logits(x), names=["copy", "itself"])
    truth = pandq.kl_divergence(Logits(x), Logits(z)).mean()
    copy, itself = found.bounds
    assert copy.lower_bound.value <= truth <= copy.upper_bound.value
    assert copy.kl.value is None
    assert itself.lower_bound.value == pytest.approx(0.0, abs=1e-12)
    assert "certified" in found.to_text()


def test_a_perplexity_with_an_impossible_token_is_infinite_and_the_references_is_not():
    draw = np.random.default_rng(2)
    reference = draw.normal(size=(60, 5))
    copy = reference + 0.1 * draw.normal(size=(60, 5))
    tokens = draw.integers(0, 5, 60)
    copy[3, tokens[3]] = -np.inf
    found = pandq.compare(pandq.Logits(reference), pandq.Logits(copy), labels=pandq.Labels(tokens))
    told = found.from_reference[0].tokens
    base = pandq.cross_entropy(pandq.Labels(tokens), pandq.Logits(reference))
    assert (
        told.perplexity.value
        == told.perplexity_ratio.value
        == told.perplexity_difference.value
        == np.inf
    )
    assert told.reference_perplexity.value == pytest.approx(np.exp(base.mean()), rel=1e-6)
    assert np.isfinite(told.probability_change.value)


def test_what_recalibration_leaves_is_compared_over_all_rows_also_infinite_ones():
    draw = np.random.default_rng(4)
    n = 300
    truth = draw.dirichlet(np.ones(3), n)
    labels = np.array([draw.choice(3, p=row) for row in truth])
    certain = np.eye(3)[truth.argmax(axis=1)]
    site = np.arange(n) % 2
    found = pandq.compare(
        pandq.Labels(labels), pandq.Probs(truth), pandq.Probs(certain), by={"site": site}
    ).differences[0]
    assert found.cross_entropy.value == found.calibration_loss.value == np.inf
    assert found.grouping_loss.n == n
    assert 0 < found.grouping_loss.low < found.grouping_loss.value < 1
    assert [line["infinite_rows"] > 0 for line in found.groups["site"]] == [True, True]
    assert {line["verdict"] for line in found.groups["site"]} == {"infinite"}


def copies(n, seed=0, **options):
    """A reference of n rows and its copy, and KL row by row in full precision."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    y = x + 0.3 * rng.normal(size=x.shape)
    log_p, log_q = (special.log_softmax(a, axis=1) for a in (x, y))
    kl = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    return pandq.compare(Logits(x), Logits(y), **options).from_reference[0], np.sort(kl)


@pytest.mark.parametrize(("share", "level"), [(0.5, 0.95), (0.9, 0.95), (0.99, 0.9)])
def test_a_quantile_of_independent_rows_lies_between_two_of_the_sorted_rows(share, level):
    found, kl = copies(2000, level=level)
    told = found.kl_quantile(f"{share:g}")
    rank = stats.binom(2000, share)
    low, high = int(rank.ppf((1 - level) / 2)), int(rank.ppf((1 + level) / 2)) + 1
    assert rank.cdf(high - 1) - rank.cdf(low - 1) >= level
    assert (told.low, told.high) == pytest.approx((kl[low - 1], kl[high - 1]), rel=0.011)
    assert told.value == found.kl_quantiles[f"{share:g}"]
    assert found.kl_quantile_limits[f"{share:g}"]["rows_beyond"] == round(2000 * (1 - share))


def test_a_quantile_with_hardly_a_row_beyond_has_no_upper_limit_and_the_report_says_so():
    found, kl = copies(1000)
    told = found.kl_quantile("0.999")
    assert (told.low, told.high) == (pytest.approx(kl[996], rel=0.011), np.inf)
    assert found.kl_quantile_limits["0.001"]["low"] == 0.0
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 6))
    text = pandq.compare(Logits(x), Logits(x + 0.1 * rng.normal(size=x.shape))).to_text()
    assert "Fewer than 20 rows lie beyond the quantiles 99.9%, 99.0%" in " ".join(text.split())
    assert "no limit]" in text


def test_quantiles_of_clusters_are_redrawn_and_their_document_is_read_again():
    cluster = np.arange(2000) // 40
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 6))
    y = x + (0.1 + rng.random((50, 1))[cluster]) * rng.normal(size=x.shape)
    alone, together = (pandq.compare(Logits(x), Logits(y), cluster=c) for c in (None, cluster))
    one, other = (c.from_reference[0].kl_quantile("0.9") for c in (alone, together))
    assert other.high - other.low > 1.5 * (one.high - one.low)
    again = pandq.Comparison.from_dict(together.to_dict()).from_reference[0]
    assert again.kl_quantile("0.9") == other
    with pytest.raises(InputError, match="no such quantile of KL"):
        again.kl_quantile("0.8")
