"""The loss of a model on what was drawn, against plain formulas and against an audit of labels."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

import pandq
from pandq import InputError, Sampled
from tests import commands
from tests.estimate import leaving

S, T, K = 30, 8, 6


def rows(seed=0):
    """Logits of S sequences of T tokens, what was drawn, its log-probability, and its bytes."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(S * T, K)) + np.repeat(rng.normal(size=(S, K)), T, axis=0)
    drawn = rng.integers(K, size=S * T)
    log_q = special.log_softmax(logits, axis=1)[np.arange(S * T), drawn]
    return logits, drawn, log_q, np.repeat(np.arange(S), T), rng.integers(1, 7, S * T)


def test_it_is_what_an_audit_of_the_same_draws_as_labels_says():
    logits, drawn, log_q, sequence, size = rows()
    more = {"cluster": sequence, "n_bytes": size, "by": {"half": np.arange(S * T) % 2}}
    found = pandq.perplexity(Sampled(log_q), **more)
    whole = pandq.audit(pandq.Labels(drawn), pandq.Logits(logits), decompose=False, **more)
    for name in ("cross_entropy", "perplexity", "bits_per_byte"):
        one, other = getattr(found, name), getattr(whole, name)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    assert [line["row"] for line in found.worst] == [line["row"] for line in whole.worst]
    assert found.quantiles == pytest.approx(whole.kl_quantiles, rel=0.011)
    groups = {line["name"]: line["cross_entropy"] for line in whole.groups["half"]}
    for line in found.groups["half"]:
        assert line["cross_entropy"] == pytest.approx(groups[line["name"]])


def test_values_and_intervals_are_the_plain_formulas_of_sequences():
    _, _, log_q, sequence, size = rows(1)
    found = pandq.perplexity(Sampled(log_q), cluster=sequence, n_bytes=size)
    mean, low, high = leaving.interval(np.bincount(sequence, weights=-log_q) / T, positive=True)
    told = found.cross_entropy
    assert (told.value, told.low, told.high) == pytest.approx((mean, low, high))
    assert found.perplexity.value == pytest.approx(np.exp(-log_q.mean()))
    assert found.bits_per_byte.value == pytest.approx(-log_q.sum() / size.sum() / np.log(2))
    assert found.source["intervals_over"] == f"{S} clusters"
    bits = pandq.perplexity(Sampled(log_q), cluster=sequence, n_bytes=size, unit="bit")
    assert bits.cross_entropy.value == pytest.approx(mean / np.log(2))
    assert bits.perplexity.value == found.perplexity.value
    assert bits.worst[0]["cross_entropy"] == pytest.approx(-log_q.min() / np.log(2))


def test_intervals_over_sequences_cover_the_loss_and_those_over_tokens_do_not():
    """Every token of a sequence is the same draw."""
    rng = np.random.default_rng(0)
    log_q, p = special.log_softmax(rng.normal(size=K)), np.full(K, 1 / K)
    truth, covered = -(p @ log_q), np.zeros(2)
    for _ in range(150):
        drawn = np.repeat(rng.choice(K, size=S, p=p), T)
        for place, cluster in enumerate((None, np.repeat(np.arange(S), T))):
            found = pandq.perplexity(Sampled(log_q[drawn]), cluster=cluster).cross_entropy
            covered[place] += found.low <= truth <= found.high
    assert covered[0] / 150 < 0.7
    assert covered[1] / 150 >= 0.9


def test_what_q_forbids_makes_it_infinite_and_the_other_rows_are_told_apart():
    _, _, log_q, sequence, size = rows(2)
    log_q[3] = -np.inf
    found = pandq.perplexity(Sampled(log_q), cluster=sequence, n_bytes=size)
    assert found.infinite_rows == 1
    assert (
        found.cross_entropy.value == found.perplexity.value == found.bits_per_byte.value == np.inf
    )
    assert found.finite_part.value == pytest.approx(-np.delete(log_q, 3).mean())
    assert found.worst[0] == {"row": 3, "id": 3, "cross_entropy": None}
    assert "forbids what was drawn in 1 row" in found.to_text()
    read = pandq.Perplexity.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert read.to_dict() == found.to_dict()


def test_weights_are_how_often_a_row_counts():
    _, _, log_q, _, _ = rows(3)
    times = np.arange(S * T) % 3
    found = pandq.perplexity(Sampled(log_q), weights=times)
    assert found.cross_entropy.value == pytest.approx(-np.repeat(log_q, times).mean())


def test_a_model_that_is_certain_loses_nothing():
    found = pandq.perplexity(Sampled([0.0, 0.0, 1e-3]))
    assert (found.cross_entropy.value, found.perplexity.value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: pandq.perplexity(pandq.Probs([[0.5, 0.5]])), "needs its log-probabilities"),
        (lambda: pandq.perplexity([-0.5]), "must say what its numbers mean"),
        (lambda: pandq.perplexity(Sampled([])), "there are no rows"),
        (lambda: pandq.perplexity(Sampled([-1.0]), n_bytes=[0]), "n_bytes are all zero"),
        (lambda: pandq.perplexity(Sampled([-1.0]), intervals="normal"), "intervals is one of"),
        (lambda: pandq.audit(Sampled([-1.0])), "pandq.perplexity"),
        (lambda: pandq.audit(Sampled([-1.0]), Sampled([-1.0])), "pandq.perplexity"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_what_can(call, told):
    with pytest.raises((InputError, pandq.ViewTypeError), match=told):
        call()


# ------------------------------------------------------------------------------- the command line


@pytest.fixture
def table(tmp_path):
    _, drawn, log_q, sequence, size = rows(4)
    path = tmp_path / "rollouts.parquet"
    columns = {"logprob": log_q, "other": log_q - 0.1, "label": drawn}
    pq.write_table(pa.table({**columns, "sequence": sequence, "n_bytes": size}), path)
    return path


def test_the_command_line_says_the_same_in_text_page_json_and_markdown(
    table, tmp_path, monkeypatch
):
    summary, page, document = (tmp_path / name for name in ("s.md", "p.html", "d.json"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    asked = ("--q", "sampled:logprob", "--cluster", "sequence", "--per", "n_bytes")
    outcome = commands.pandq("audit", table, *asked, "--html", page, "--json", document, "--full")
    assert outcome.returncode == 0, outcome.stderr
    of_file = pandq.scan(str(table), q="sampled:logprob", cluster="sequence", per="n_bytes")
    found = pandq.perplexity(of_file)
    told = json.loads(document.read_text())
    assert told["schema"] == "pandq/perplexity/1"
    assert told["cross_entropy"] == json.loads(json.dumps(found.cross_entropy.to_dict()))
    for drawing in (outcome.stdout, page.read_text(), summary.read_text()):
        assert f"{found.perplexity.value:.2f}" in drawing
        assert f"{found.bits_per_byte.value:.4f}" in drawing
    for drawing in (outcome.stdout, page.read_text()):
        flat = " ".join(drawing.split())
        assert f"intervals over {S} clusters" in flat
        assert "What takes its other probabilities is left out: accuracy, Brier score" in flat


def test_its_limit_is_the_cross_entropy_and_others_are_refused(table):
    asked = ("audit", table, "--q", "sampled:logprob")
    assert commands.pandq(*asked, "--max-cross-entropy", "100").returncode == 0
    assert commands.pandq(*asked, "--max-cross-entropy", "0.1").returncode == 1
    for more in (
        ("--max-kl", "1"),
        ("--items", "i.parquet"),
        ("--recalibrator", "r.json"),
        ("--floor", "certified"),
        ("--min-votes", "2"),
        ("--annotator-pool", "3"),
        ("--best-q", "sampled:other"),
        ("--p", "labels:label"),
        ("--p", "sampled:other"),
    ):
        outcome = commands.pandq(*asked, *more)
        assert outcome.returncode == 2, more
        assert outcome.stderr.count("\n") == 1


def test_a_comparison_of_one_column_with_itself_says_what_is_missing(table):
    outcome = commands.pandq("compare", table, "--q", "sampled:logprob")
    assert outcome.returncode == 2
    assert "--p sampled:COLUMN" in outcome.stderr


def test_the_audit_of_a_perplexity_document_is_refused_by_its_schema(table, tmp_path):
    document = tmp_path / "d.json"
    commands.pandq("audit", table, "--q", "sampled:logprob", "--json", document)
    with pytest.raises(InputError, match="schema"):
        pandq.Audit.from_dict(json.loads(document.read_text()))
