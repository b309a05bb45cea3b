"""Log-probabilities of what was drawn: k1, k2 and k3, against enumeration and plain formulas."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special, stats

import pandq
from pandq import InputError, Sampled
from pandq.results.tidy import lines_of
from tests import commands
from tests.estimate import leaving

S, T, K = 40, 12, 9


def rollouts(seed, apart=0.3, shared=0.3):
    """Tokens of S sequences from P, Q's shift in common within one; and KL over all their steps."""
    rng = np.random.default_rng(seed)
    log_p = special.log_softmax(rng.normal(size=(S, T, K)) * 1.5, axis=2)
    moved = apart * rng.normal(size=log_p.shape) + shared * rng.normal(size=(S, 1, K))
    log_q = special.log_softmax(log_p + moved, axis=2)
    drawn = (rng.random((S, T, 1)) > np.exp(log_p).cumsum(axis=2)).sum(axis=2).clip(max=K - 1)
    p, q = (np.take_along_axis(x, drawn[..., None], axis=2).ravel() for x in (log_p, log_q))
    return p, q, np.repeat(np.arange(S), T), special.rel_entr(np.exp(log_p), np.exp(log_q))


def compared(p, *qs, **options):
    return pandq.compare(Sampled(p), *map(Sampled, qs), **options)


def test_estimates_are_the_plain_formulas_of_the_draws():
    p, q, sequence, _ = rollouts(0)
    (found,) = compared(p, q, cluster=sequence).sampled
    log_r, r = q - p, np.exp(q - p)
    whole = np.bincount(sequence, weights=log_r)
    plain = {
        "k1": lambda x: -x,
        "k2": lambda x: x**2 / 2,
        "k3": lambda x: np.exp(x) - 1 - x,
    }
    for name, f in plain.items():
        assert getattr(found, name).value == pytest.approx(f(log_r).mean())
        by_sequence = found.by_sequence[name]
        mean, low, high = leaving.interval(f(whole), positive=name != "k1")
        low = low if name == "k1" else max(low, 0.0)
        told = by_sequence.value, by_sequence.low, by_sequence.high
        assert told == pytest.approx((mean, low, high))
    assert found.mean_ratio.value == pytest.approx(r.mean())
    assert found.cross_entropy.value == pytest.approx(-q.mean())
    assert found.perplexity.value == pytest.approx(np.exp(-q.mean()))
    assert found.reference_perplexity.value == pytest.approx(np.exp(-p.mean()))
    worth = found.effective_sample_size
    assert worth["rows"] == pytest.approx(r.sum() ** 2 / (r**2).sum())
    weight = np.exp(whole)
    assert worth["sequences"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert found.ratio_quantiles["0.5"] == pytest.approx(np.median(r), rel=0.01)
    assert found.ratio_quantiles["1"] == pytest.approx(r.max())
    order = np.argsort(-np.abs(log_r))[:10]
    assert [line["row"] for line in found.largest] == order.tolist()
    assert found.largest[0]["log_ratio"] == pytest.approx(log_r[order[0]])


def test_intervals_over_sequences_cover_the_divergence_and_those_over_tokens_do_not():
    """Every token of a sequence is the same draw: 480 tokens are 40 draws."""
    rng = np.random.default_rng(0)
    log_p, log_q = special.log_softmax(rng.normal(size=(2, K)), axis=1)
    truth = special.rel_entr(np.exp(log_p), np.exp(log_q)).sum()
    covered = np.zeros(2)
    for _ in range(150):
        drawn = np.repeat(rng.choice(K, size=S, p=np.exp(log_p)), T)
        for place, cluster in enumerate((None, np.repeat(np.arange(S), T))):
            (found,) = compared(log_p[drawn], log_q[drawn], cluster=cluster).sampled
            covered[place] += found.k1.low <= truth <= found.k1.high
    assert covered[0] / 150 < 0.6
    assert covered[1] / 150 >= 0.9


def test_k1_and_k3_agree_with_enumeration_on_average():
    errors = []
    for seed in range(40):
        p, q, sequence, terms = rollouts(seed)
        (found,) = compared(p, q, cluster=sequence).sampled
        truth = terms.sum(axis=2).mean()
        errors.append([found.k1.value - truth, found.k3.value - truth])
    assert np.abs(stats.ttest_1samp(errors, 0).statistic).max() < 3


def test_rows_that_q_forbids_are_counted_and_make_it_infinite():
    p, q, sequence, _ = rollouts(1)
    q[3] = -np.inf
    result = compared(p, q, cluster=sequence)
    (found,) = result.sampled
    assert found.infinite_rows == 1
    assert found.k1.value == found.k3.value == found.perplexity.value == np.inf
    assert found.largest[0]["row"] == 3
    assert found.by_sequence == {}
    assert "forbids what was drawn in 1 rows" in result.to_text()
    json.dumps(result.to_dict(), allow_nan=False)


def test_k3_overflows_where_q_is_far_more_probable_and_k1_does_not():
    (found,) = compared([-800.0, -0.1], [-0.1, -0.1]).sampled
    assert found.k1.value == pytest.approx(-799.9 / 2)
    assert found.k3.value == np.inf
    assert "r overflows" in found.k3.method


def test_several_models_are_each_compared_with_p_and_bits_are_nats_over_log_2():
    p, q, sequence, _ = rollouts(2)
    nats = compared(p, q, p, cluster=sequence).sampled
    bits = compared(p, q, p, cluster=sequence, unit="bit").sampled
    assert bits[0].k1.value == pytest.approx(nats[0].k1.value / np.log(2))
    assert bits[0].by_sequence["k3"].value == pytest.approx(
        nats[0].by_sequence["k3"].value / np.log(2)
    )
    assert bits[0].perplexity == nats[0].perplexity
    assert nats[1].k1.value == nats[1].k2.value == nats[1].k3.value == 0.0
    assert nats[1].effective_sample_size["rows"] == pytest.approx(S * T)


def test_a_document_is_read_again():
    p, q, sequence, _ = rollouts(3)
    result = compared(p, q, cluster=sequence)
    again = type(result).from_dict(result.to_dict())
    assert again.to_dict() == result.to_dict()
    names = {line["quantity"] for line in lines_of(result)}
    assert {"k1", "k2", "k3", "by_sequence.k1", "perplexity"} <= names


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Sampled([0.1]), "row 0 is above 0"),
        (lambda: Sampled([-1.0, np.nan]), "row 1 holds NaN"),
        (lambda: Sampled([[-1.0]]), "one number per row"),
        (lambda: np.asarray(Sampled([-1.0])), "x.log_probs"),
        (lambda: compared([-1.0, -np.inf], [-1.0, -1.0]), "P row 1 gives what was drawn there no"),
        (lambda: compared([-1.0, -1.0], [-1.0]), "different numbers of rows"),
        (
            lambda: pandq.compare(Sampled([-1.0]), pandq.Probs([[0.5, 0.5]])),
            "compared with one another, got Probs",
        ),
        (lambda: pandq.audit(Sampled([-1.0]), Sampled([-1.0])), "where it was drawn from"),
        (lambda: pandq.kl_divergence(Sampled([-1.0]), Sampled([-1.0])), "where it was drawn from"),
        (lambda: compared([-1.0, -1.0], [-1.0, -2.0], by={"x": [0, 1]}), "by makes groups"),
        (lambda: compared([-1.0], [-1.0], q_floor=0.1), "q_floor is for a TopK"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(call, text):
    with pytest.raises((InputError, TypeError), match=text):
        call()


def test_a_table_of_rollouts_is_compared_on_the_command_line(tmp_path):
    p, q, sequence, _ = rollouts(4)
    table = pa.table({"sampler": p, "trainer": q, "sequence": sequence})
    pq.write_table(table, tmp_path / "r.parquet")
    words = ["compare", "r.parquet", "--p", "sampled:sampler", "--q", "sampled:trainer"]
    words += ["--cluster", "sequence"]

    def run(*more):
        return commands.pandq(*words, *more, cwd=tmp_path)

    done = run("--max-kl", "9", "--full")
    assert done.returncode == 0, done.stderr
    assert "k1 of whole sequences" in done.stdout
    assert "Effective sample size" in done.stdout
    assert "--max-kl 9 holds: k1 of sampled:trainer" in done.stdout
    assert run("--max-kl", "1e-9").returncode == 1
    found = json.loads(run("--json", "-").stdout)["sampled"][0]
    (here,) = compared(p, q, cluster=sequence).sampled
    assert found["k1"]["value"] == pytest.approx(here.k1.value)
    assert found["k1"]["high"] == pytest.approx(here.k1.high)


def test_draws_of_q_taken_for_ps_are_told_and_are_nothing_to_limit(tmp_path):
    p, q, sequence, _ = rollouts(1)
    (right,), (wrong,) = (compared(*pair, cluster=sequence).sampled for pair in ((p, q), (q, p)))
    assert wrong.k1.high < 0
    assert (right.of_others, wrong.of_others) == (False, True)
    pq.write_table(pa.table({"p": p, "q": q, "run": sequence}), tmp_path / "rolls.parquet")
    words = ("compare", "rolls.parquet", "--p", "sampled:q", "--q", "sampled:p", "--cluster", "run")
    told = commands.pandq(*words, cwd=tmp_path)
    assert "The draws are not P's" in told.stdout
    held = commands.pandq(*words, "--max-kl", "0.5", "--json", "found.json", cwd=tmp_path)
    assert (held.returncode, held.stderr.count("\n")) == (2, 1)
    assert "are --p and --q the wrong way round?" in held.stderr
    assert not (tmp_path / "found.json").exists()


def test_draws_of_p_are_not_said_to_be_anothers_where_q_is_p_but_for_noise():
    told = 0
    for seed in range(200):
        p, q, sequence, _ = rollouts(seed, apart=0.02, shared=0.0)
        told += compared(p, q, cluster=sequence).sampled[0].of_others
    assert told == 0
