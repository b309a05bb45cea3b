"""Labels under a TopK: exact where it names them, and between bounds that hold the truth."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import optimize, special

import pandq
from pandq import InputError, Labels, Logits, TopK
from pandq.views import label_bounds
from tests import commands
from tests.estimate import leaving
from tests.test_topk import top_of

N, K = 200, 12


def models(seed=0, k=K, n=N):
    """Log-probabilities of a reference and of a copy, and labels drawn from the reference."""
    rng = np.random.default_rng(seed)
    p = special.log_softmax(2 * rng.normal(size=(n, k)), axis=1)
    q = special.log_softmax(p + 0.4 * rng.normal(size=(n, k)), axis=1)
    return p, q, np.array([rng.choice(k, p=np.exp(row)) for row in p])


def at(log_p, y):
    return log_p[np.arange(len(y)), y]


@pytest.mark.parametrize("top", [1, 3, 8, 11, 12])
@pytest.mark.parametrize("complete", [True, False])
def test_bounds_of_labels_hold_the_truth_and_are_it_where_the_label_is_named(top, complete):
    for seed in range(6):
        _, q, y = models(seed)
        seen = top_of(q, top)
        view = TopK(seen.ids, seen.log_probs, K, complete=complete)
        least, most, evenly = label_bounds(Labels(y), view)
        named = (view.ids == y[:, None]).any(axis=1)
        truth = at(q, y)
        assert (least <= truth + 1e-9).all()
        assert (truth <= most + 1e-9).all()
        assert least[named] == pytest.approx(truth[named])
        assert most[named] == pytest.approx(truth[named])
        assert ((least <= evenly + 1e-12) & (evenly <= most + 1e-12)).all()


def test_bounds_of_labels_are_what_a_linear_programme_finds():
    _, q, _ = models(3, 6, 8)
    view = top_of(q, 3)
    for row in range(8):
        unseen = np.setdiff1d(np.arange(6), view.ids[row])
        least, most, _ = label_bounds(Labels([unseen[0]], n_classes=6), view[row : row + 1])
        about = {"A_eq": np.ones((1, 3)), "b_eq": view.unseen[[row]]}
        about["bounds"] = [(0, view.caps[row])] * 3
        ends = [optimize.linprog([sign, 0, 0], **about).x[0] for sign in (1, -1)]
        assert np.exp([least[0], most[0]]) == pytest.approx(ends, abs=1e-9)


def test_a_floor_raises_the_least_and_lowers_the_most():
    _, q, y = models(4)
    floor = float(np.exp(q.min()))
    view = top_of(q, 3)
    bare, floored = label_bounds(Labels(y), view), label_bounds(Labels(y), view, floor=floor)
    truth = at(q, y)
    assert ((bare[0] <= floored[0]) & (floored[0] <= truth + 1e-9)).all()
    assert ((truth - 1e-9 <= floored[1]) & (floored[1] <= bare[1])).all()
    assert np.isfinite(floored[0]).all()


def test_labels_in_every_list_make_all_of_it_exact():
    p, q, y = models(5)
    found = pandq.compare(top_of(p, K), top_of(q, K), labels=Labels(y)).bounds[0].labels
    whole = pandq.compare(Logits(p), Logits(q), labels=Labels(y)).from_reference[0]
    assert (found.outside, found.reference_outside) == (0, 0)
    for name in ("perplexity", "reference_perplexity", "probability_change"):
        told, true = found.within[name], getattr(whole.tokens, name)
        ends = (told.value, told.low, told.high)
        assert ends == pytest.approx((true.value, true.low, true.high))
        assert found.lower[name].value == found.upper[name].value == found.assumed[name].value
    assert found.within["same_top1"].value == pytest.approx(whole.same_top1.value)


def test_means_lie_between_the_bounds_and_the_assumption_is_marked():
    p, q, y = models(6)
    floor = float(np.exp(q.min()))
    told = pandq.compare(top_of(p, 4), top_of(q, 4), labels=Labels(y), q_floor=floor)
    found = told.bounds[0].labels
    truth = {
        "cross_entropy": -at(q, y).mean(),
        "perplexity": np.exp(-at(q, y).mean()),
        "probability_change": (np.exp(at(q, y)) - np.exp(at(p, y))).mean(),
        "same_top1": (p.argmax(1) == q.argmax(1)).mean(),
    }
    for name, true in truth.items():
        assert found.lower[name].value <= true <= found.upper[name].value
        assert "assumed" in found.assumed[name].method
    assert found.outside == (np.argsort(-q, axis=1)[:, :4] != y[:, None]).all(axis=1).sum()
    assert not found.within["cross_entropy"].identified
    text = " ".join(told.to_text().split())
    assert "an assumption, not a bound" in text
    assert f"Of {N} labels A does not name {found.outside}" in text
    again = pandq.Comparison.from_dict(json.loads(json.dumps(told.to_dict(), allow_nan=False)))
    assert again.to_dict() == told.to_dict()


def test_the_interval_holds_the_truth_of_other_samples():
    """The mean loss of many rows, from 60 of them at a time."""
    p, q, y = models(7, n=6000)
    floor, truth = float(np.exp(q.min())), -at(q, y).mean()
    held = 0
    for start in range(0, 6000, 60):
        some = slice(start, start + 60)
        view, labels = top_of(q[some], 6), Labels(y[some], n_classes=K)
        found = pandq.compare(top_of(p[some], 6), view, labels=labels, q_floor=floor)
        told = found.bounds[0].labels.within["cross_entropy"]
        held += told.low <= truth <= told.high
    assert held >= 92


def test_the_top_class_of_an_incomplete_list_is_known_where_nothing_can_be_above_it():
    view = TopK([[0, 1], [0, 1]], np.log([[0.6, 0.1], [0.4, 0.1]]), 5, complete=False)
    full = Logits(np.log([[0.5, 0.2, 0.1, 0.1, 0.1]] * 2))
    found = pandq.compare(full, view, labels=Labels([0, 0])).bounds[0].labels
    assert found.lower["same_top1"].value == 0.5
    assert found.upper["same_top1"].value == 1.0


def test_of_labels_as_p_the_cap_bounds_the_loss_from_below():
    view = TopK([[0, 1]], np.log([[0.5, 0.1]]), 10)
    low, high = pandq.kl_bounds(Labels([3]), view)
    assert np.exp(-low[0]) == pytest.approx(0.1)
    assert high[0] == np.inf
    low, high = pandq.kl_bounds(Labels([1]), view)
    assert low[0] == high[0] == pytest.approx(-np.log(0.1))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (Labels([1, 2]), "different numbers of rows"),
        (Labels([40] * N), "40"),
        (Logits(np.zeros((N, K))), "labels are Labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, told):
    p, q, _ = models(8)
    with pytest.raises((InputError, pandq.ViewTypeError), match=told):
        pandq.compare(top_of(p, 3), top_of(q, 3), labels=labels)


def test_the_command_line_takes_labels_beside_topk_and_limits_the_cross_entropy(tmp_path):
    p, q, y = models(9)
    tops = {"p": top_of(p, 4), "q": top_of(q, K)}
    columns = {f"{name}_ids": x.ids.tolist() for name, x in tops.items()}
    columns |= {f"{name}_logs": x.log_probs.tolist() for name, x in tops.items()}
    pq.write_table(pa.table({**columns, "token": y}), tmp_path / "t.parquet")
    words = ["compare", "t.parquet", "--p", "topk:p_ids,p_logs", "--q", "topk:q_ids,q_logs"]
    words += ["--classes", str(K)]

    def run(*more):
        return commands.pandq(*words, *more, cwd=tmp_path)

    told = run("--labels", "token", "--json", "-", "--max-cross-entropy", "50")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)["bounds"][0]["labels"]["within"]["perplexity"]
    assert found["value"] == pytest.approx(np.exp(-at(q, y).mean()))
    assert run("--labels", "token", "--max-cross-entropy", "0.01").returncode == 1
    refused = run("--max-cross-entropy", "1")
    assert refused.returncode == 2
    assert "--labels" in refused.stderr
    mean, low, high = leaving.interval(-at(q, y), positive=True)
    told = json.loads(run("--labels", "token", "--json", "-").stdout)["bounds"][0]["labels"]
    loss = told["within"]["cross_entropy"]
    assert (loss["value"], loss["low"], loss["high"]) == pytest.approx((mean, low, high))
