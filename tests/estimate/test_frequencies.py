"""What guessing costs, beside Q's loss."""

import numpy as np
import pytest
from sklearn.metrics import d2_log_loss_score, log_loss

import pandq
from pandq import Audit, Counts, Labels, Linear, Logits, LogProbs, Probs

DRAW = np.random.default_rng(0)
N, K = 300, 4
TRUTH = DRAW.dirichlet([4.0, 2.0, 1.0, 1.0], N)
Q = Probs(0.8 * TRUTH + 0.05)
LABELS = np.array([DRAW.choice(K, p=row) for row in TRUTH])
WEIGHTS = DRAW.uniform(0.5, 2.0, N)


def audited(p, q=Q, **options):
    return pandq.audit(p, q, decompose=False, **options)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_share_taken_of_labels_is_that_of_scikit_learn(weights):
    found = audited(Labels(LABELS), weights=weights)
    shares = np.bincount(LABELS, weights) / (N if weights is None else weights.sum())
    dummy = log_loss(LABELS, np.tile(shares, (N, 1)), sample_weight=weights)
    score = d2_log_loss_score(LABELS, np.asarray(Q), sample_weight=weights)
    assert found.guessing.of_frequencies.value == pytest.approx(dummy, rel=1e-12)
    assert found.guessing.taken.value == pytest.approx(score, rel=1e-9)
    assert found.guessing.of_uniform.value == pytest.approx(np.log(K))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("kind", ["counts", "probs", "logits", "logprobs", "linear"])
def test_of_votes_and_soft_labels_it_is_the_entropy_of_their_mean(kind, weights):
    votes = np.array([DRAW.multinomial(3, row) for row in TRUTH])
    logs = np.log(TRUTH)
    p = {
        "counts": Counts(votes),
        "probs": Probs(TRUTH),
        "logits": Logits(logs + 7),
        "logprobs": LogProbs(logs),
        "linear": Linear(logs, np.eye(K)),
    }[kind]
    rows = votes / 3 if kind == "counts" else TRUTH
    mean = np.average(rows, axis=0, weights=weights)
    found = audited(p, weights=weights).guessing.of_frequencies
    assert found.value == pytest.approx(-(mean * np.log(mean)).sum(), rel=1e-12)


def test_it_follows_the_unit_and_the_share_does_not():
    nat, bit = (audited(Labels(LABELS), unit=unit).guessing for unit in ("nat", "bit"))
    assert (bit.of_uniform.value, bit.of_uniform.unit) == (pytest.approx(2.0), "bit")
    assert bit.of_frequencies.value == pytest.approx(nat.of_frequencies.value / np.log(2))
    assert bit.taken == nat.taken


def test_the_frequencies_themselves_take_nothing_and_a_worse_q_less_than_that():
    mean = np.bincount(LABELS) / N
    same = audited(Labels(LABELS), Probs(np.tile(mean, (N, 1)))).guessing.taken
    assert same.value == pytest.approx(0.0, abs=1e-12)
    worse = pandq.audit(Labels(LABELS), Logits(6 * np.log(TRUTH)[:, ::-1]))
    assert worse.guessing.taken.value < 0
    told = next(x for x in worse.findings if x.key == "worse_than_frequencies")
    assert told.numbers["of_frequencies"] == pytest.approx(worse.guessing.of_frequencies.value)


def test_an_infinite_loss_takes_less_than_anything_and_comes_back_from_json():
    found = audited(Labels([0, 1]), Probs([[1.0, 0.0], [1.0, 0.0]]))
    assert found.guessing.taken.value == -np.inf
    again = Audit.from_dict(found.to_dict())
    assert again.guessing == found.guessing


def test_rows_of_one_class_leave_nothing_to_take():
    found = audited(Labels([0, 0]), Probs([[0.5, 0.5], [0.9, 0.1]]))
    assert (found.guessing.of_frequencies.value, found.guessing.taken.value) == (0.0, None)


@pytest.mark.parametrize("width", [80, 120])
def test_no_label_of_a_guess_is_cut_in_a_report(width):
    text = audited(Labels(LABELS)).to_text(width=width)
    for label in (
        "guessing frequencies H(mean P)",
        "guessing evenly ln K",
        "share that Q takes away",
    ):
        assert label in text
