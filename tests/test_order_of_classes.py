"""Nothing in a report depends on the order of classes; a tie counts its share."""

import numpy as np
import pytest

import pandq
from pandq import Counts, Ensemble, Labels, Logits, Probs

NAMES = ("ant", "bee", "cat", "dog")


def shares(x):
    """Each class's share of being the largest, row by row."""
    top = x == x.max(axis=1, keepdims=True)
    return top / top.sum(axis=1, keepdims=True)


def votes_and_q(n=400, k=4, m=2, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(k, 0.7), n)
    votes = np.stack([rng.multinomial(m, row) for row in truth])
    q = truth + rng.dirichlet(np.ones(k), n)
    q /= q.sum(axis=1, keepdims=True)
    q[::7] = np.round(q[::7] * 4) / 4 + 0.0
    q[::7] += (1 - q[::7].sum(axis=1, keepdims=True)) / k
    return votes, np.abs(q) / np.abs(q).sum(axis=1, keepdims=True)


def views(kind, votes, q, order):
    """P of a kind and Q, with the classes in another order."""
    inverse = np.argsort(order)
    p = {
        "counts": lambda: Counts(votes[:, order]),
        "probs": lambda: Probs(votes[:, order] / votes.sum(axis=1, keepdims=True)),
        "labels": lambda: Labels(inverse[votes.argmax(axis=1)], votes.shape[1]),
    }[kind]()
    return p, q[:, order]


def same(a, b, where="$"):
    """The places where two documents differ."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        return [x for key in a for x in same(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{where}: {len(a)} and {len(b)}"]
        return [
            x
            for i, (y, z) in enumerate(zip(a, b, strict=True))
            for x in same(y, z, f"{where}[{i}]")
        ]
    if isinstance(a, float) and isinstance(b, float):
        close = abs(a - b) <= 1e-4 * max(abs(a), abs(b), 1e-3) or a == b
        return [] if close or (np.isnan(a) and np.isnan(b)) else [f"{where}: {a} and {b}"]
    return [] if a == b else [f"{where}: {a!r} and {b!r}"]


def document(result):
    """A report as JSON, without the one line of torch that names the columns."""
    found = result.to_dict()
    if found.get("decomposition"):
        found["decomposition"]["recalibration"].pop("torch")
    return found


@pytest.mark.parametrize(
    ("kind", "q_kind", "k"),
    [
        ("counts", "probs", 4),
        ("labels", "logits", 4),
        ("labels", "probs", 2),
        ("probs", "probs", 4),
        ("probs", "logits", 2),
    ],
)
def test_an_audit_does_not_depend_on_the_order_of_classes(kind, q_kind, k):
    votes, q = votes_and_q(n=200, k=k)
    found = []
    for order in (np.arange(k), np.random.default_rng(1).permutation(k)[::-1]):
        p, moved = views(kind, votes, q, order)
        wrapped = Probs(moved) if q_kind == "probs" else Logits(np.log(moved + 1e-3))
        names = [NAMES[i] for i in order]
        site = {"site": np.arange(len(votes)) % 3}
        found.append(document(pandq.audit(p, wrapped, classes=names, by=site)))
    assert same(*found) == []


def test_a_comparison_does_not_depend_on_the_order_of_classes():
    votes, q = votes_and_q()
    other = np.roll(q, 1, axis=0)
    found = []
    for order in (np.arange(4), np.array([2, 3, 1, 0])):
        p, moved = views("counts", votes, q, order)
        names = [NAMES[i] for i in order]
        result = pandq.compare(p, Probs(moved), Probs(other[:, order]), classes=names)
        found.append(document(result))
    assert same(*found) == []


def test_an_ensemble_does_not_depend_on_the_order_of_classes():
    votes, q = votes_and_q()
    members = [q, np.roll(q, 1, axis=0), np.roll(q, 2, axis=0)]
    found = []
    for order in (np.arange(4), np.array([2, 3, 1, 0])):
        both = Ensemble([Probs(x[:, order]) for x in members])
        names = [NAMES[i] for i in order]
        result = pandq.audit(Counts(votes[:, order]), both, classes=names, decompose=False)
        found.append(document(result))
    assert same(*found) == []


def test_accuracy_of_two_votes_is_the_same_with_the_two_classes_swapped():
    rng = np.random.default_rng(3)
    truth = rng.beta(0.6, 0.4, 500)
    votes = rng.binomial(2, truth)
    votes, q = np.stack([2 - votes, votes], axis=1), np.stack([1 - truth, truth], axis=1)
    one, other = (
        pandq.audit(Counts(votes[:, order]), Probs(q[:, order]), decompose=False).accuracy.value
        for order in ([0, 1], [1, 0])
    )
    assert one == other == pytest.approx((shares(votes) * shares(q)).sum(axis=1).mean())


@pytest.mark.parametrize("k", [3, 80])
@pytest.mark.parametrize("view", [Probs, Logits], ids=lambda v: v.__name__)
def test_a_tie_of_q_counts_its_share(k, view):
    x = np.zeros((2, k))
    x[0, :2] = 0.5
    x[1, 2] = 1.0
    given = x if view is Probs else (10 * x).astype(np.float32)
    assert pandq.top1(Labels([1, 2]), view(given)).tolist() == [0.5, 1.0]
    assert pandq.top1(Labels([2, 0]), view(given)).tolist() == [0.0, 0.0]
    found = pandq.audit(Labels([1, 2]), view(given), decompose=False)
    assert found.accuracy.value == 0.75


def test_expected_accuracy_of_a_tie_is_the_mean_of_those_that_share_the_top():
    found = pandq.audit(Probs([[0.7, 0.2, 0.1]]), Probs([[0.4, 0.4, 0.2]]), decompose=False)
    assert found.expected_accuracy.value == pytest.approx(0.45)
    assert found.accuracy.value == 0.5


def test_a_row_whose_votes_tie_is_in_both_of_its_classes_with_half_its_weight():
    votes = np.array([[1, 1, 0], [2, 0, 0], [0, 0, 2]])
    q = np.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    found = pandq.audit(Counts(votes), Probs(q), classes=["a", "b", "c"], decompose=False)
    weights = {line["name"]: line["weight"] for line in found.classes}
    assert weights == {"a": 1.5, "b": 0.5, "c": 1.0}
    assert sum(weights.values()) == found.n
    assert next(row for row in found.worst if row["row"] == 0)["p_class"] is None


def test_a_model_and_its_copy_have_the_same_top_class_in_ties_too():
    q = Probs([[0.5, 0.5], [0.9, 0.1]])
    found = pandq.compare(Labels([0, 1]), q, q, decompose=False)
    assert found.differences[0].same_top1.value == 1.0
    other = Probs([[0.6, 0.4], [0.9, 0.1]])
    found = pandq.compare(Labels([0, 1]), q, other, decompose=False)
    assert found.differences[0].same_top1.value == 0.75
