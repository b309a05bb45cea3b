"""A comparison that is fed batch by batch is the comparison of all batches in one."""

import copy
import pickle

import numpy as np
import pytest

import pandq
from pandq import Counts, InputError, Labels, Logits, Probs
from pandq.loops import state
from tests.loops.truth import Rows, apart

CLOSE = 1e-12
N = 400


def some(kind, models=2, seed=0):
    """P, the models' Q, and what belongs to the rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 4))
    p = {
        "labels": Labels(rng.integers(4, size=N)),
        "counts": Counts(rng.integers(1, 4, size=(N, 4))),
        "logits": Logits(x),
    }[kind]
    qs = [Logits(x + rng.normal(size=(N, 4))) for _ in range(models)]
    more = {
        "by": {"site": rng.choice(["oslo", "bern"], size=N)},
        "cluster": rng.integers(150, size=N),
        "ids": rng.permutation(N),
        "weights": rng.integers(1, 4, size=N) / 2,
    }
    return p, qs, more


def cut(more, rows):
    by = {name: x[rows] for name, x in more["by"].items()} if "by" in more else None
    return {name: by if name == "by" else x[rows] for name, x in more.items()}


def fed(p, qs, more, batches, labels=None, **options):
    comparer = pandq.Comparer(by=["site"] if "by" in more else [], **options)
    for rows in batches:
        beside = None if labels is None else labels[rows]
        comparer.update(p[rows], *(q[rows] for q in qs), labels=beside, **cut(more, rows))
    return comparer


BATCHES = [slice(0, 33), slice(33, 34), slice(34, 250), slice(250, N)]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(state, "WAITING_ROWS", 64)


@pytest.mark.parametrize("kind", ["labels", "counts", "logits"])
@pytest.mark.parametrize("models", [2, 3])
def test_batches_say_what_one_says(kind, models):
    p, qs, more = some(kind, models)
    wanted = pandq.compare(p, *qs, **more).to_dict()
    assert apart(wanted, fed(p, qs, more, BATCHES).result().to_dict()) <= CLOSE
    assert fed(p, qs, more, [slice(None)]).result().to_dict() == wanted


def test_differences_are_over_annotators_as_those_of_a_comparison():
    rows = Rows(N, kind="votes")
    votes, old = rows.views(slice(None))
    new = Logits(old.array * np.float32(0.6))
    wanted = pandq.compare(votes, old, new)
    one, other = pandq.Comparer(), pandq.Comparer()
    for place, some in enumerate(BATCHES):
        p, q = rows.views(some)
        (one if place < 2 else other).update(p, q, new[some])
    found = pandq.Comparer.from_bytes(one.to_bytes()).merge(other).result()
    assert "12 annotators" in found.differences[0].cross_entropy.method
    assert apart(wanted.to_dict(), found.to_dict()) <= CLOSE


def test_a_control_is_what_it_is_of_all_rows_at_once():
    p, qs, more = some("logits")
    rng = np.random.default_rng(4)
    again = Logits(p.array + 0.1 * rng.normal(size=(N, 4)))
    wanted = pandq.compare(p, *qs, control=again, **more).to_dict()
    one, other = (pandq.Comparer(by=["site"]) for _ in range(2))
    for place, rows in enumerate(BATCHES):
        some_qs = (q[rows] for q in qs)
        side = one if place < 2 else other
        side.update(p[rows], *some_qs, control=again[rows], **cut(more, rows))
    found = pandq.Comparer.from_bytes(one.to_bytes()).merge(other)
    assert found.result().control is not None
    assert apart(wanted, found.result().to_dict()) <= CLOSE
    assert found.result().from_reference[0].kl_excess.low > 0
    before = found.to_bytes()
    for given, told in (({}, "lacks control"), ({"control": Probs([[0.25] * 4])}, "of control")):
        with pytest.raises(InputError, match=told):
            found.update(p[:1], *(q[:1] for q in qs), **given, **cut(more, slice(0, 1)))
    assert found.to_bytes() == before
    of_labels = Labels([0]), Logits([[0.0, 1.0]]), Logits([[0.0, 2.0]])
    with pytest.raises(InputError, match="a control is a reference's distribution"):
        pandq.Comparer().update(*of_labels, control=Logits([[0.0, 1.0]]))


def test_options_are_those_of_a_comparison():
    p, qs, more = some("labels")
    options = {"names": ["old", "new"], "unit": "bit", "level": 0.9, "worst": 3, "seed": 2}
    wanted = pandq.compare(p, *qs, **more, **options).to_dict()
    found = fed(p, qs, more, BATCHES, **options).result()
    assert apart(wanted, found.to_dict()) <= CLOSE
    assert [model.q for model in found.models] == ["old", "new"]


def tops(k, x):
    """The k most probable classes of each row."""
    ids = np.argsort(-x, axis=1)[:, :k]
    return pandq.TopK(ids, np.take_along_axis(np.log(x), ids, axis=1), n_classes=x.shape[1])


@pytest.mark.parametrize("which", ["p", "q", "both"])
@pytest.mark.parametrize("q_floor", [None, 1e-4])
def test_a_top_k_has_its_bounds_also_where_servers_give_more_or_fewer_classes(which, q_floor):
    rng = np.random.default_rng(8)
    p, *qs = (rng.dirichlet(np.ones(6), size=N) for _ in range(3))
    cluster = rng.integers(90, size=N)

    def views(rows, k):
        top = [tops(k, p[rows]), *(tops(k, q[rows]) for q in qs)]
        full = [Probs(p[rows]), *(Probs(q[rows]) for q in qs)]
        return {"p": (top[0], *full[1:]), "q": (full[0], *top[1:]), "both": top}[which]

    given = {"q_floor": q_floor, "level": 0.9, "names": ["old", "new"]}
    wanted = pandq.compare(*views(slice(None), 3), cluster=cluster, **given)
    one, other = pandq.Comparer(**given), pandq.Comparer(**given)
    for place, rows in enumerate(BATCHES):
        (one if place < 2 else other).update(*views(rows, 3), cluster=cluster[rows])
    there = pandq.Comparer.from_bytes(one.merge(other).to_bytes())
    assert there.n == N
    assert apart(wanted.to_dict(), there.result().to_dict()) <= CLOSE
    # of another batch more may be known
    there.update(*views(slice(0, 5), 4), cluster=cluster[:5])
    assert there.result().n == N + 5
    before = there.to_bytes()
    # known in part where it was known in full, and the other way round
    turned = (
        [Probs(p), *(tops(2, q) for q in qs)] if which == "p" else [tops(2, p), *map(Probs, qs)]
    )
    with pytest.raises(InputError, match="another kind of"):
        there.update(*turned, cluster=cluster)
    assert there.to_bytes() == before


def test_a_floor_of_q_is_for_a_top_k():
    with pytest.raises(InputError, match="q_floor is for a TopK"):
        pandq.Comparer(q_floor=0.1).update(Labels([0]), Logits([[0.0, 1.0]]), Logits([[0.0, 2.0]]))
    with pytest.raises(InputError, match="no rows have come"):
        pandq.Comparer(q_floor=0.1).result()


def test_a_row_of_a_top_k_that_comes_again_is_counted_once():
    p = np.random.default_rng(9).dirichlet(np.ones(6), size=4)
    comparer = pandq.Comparer(unique=True, q_floor=1e-3)
    for rows in (slice(0, 3), slice(1, 4)):
        comparer.update(Probs(p[rows]), tops(2, p[rows]), ids=np.arange(4)[rows])
    found = comparer.result()
    assert found.n == 4
    assert "2 rows came again" in found.notes[0]


@pytest.mark.parametrize("models", [1, 2])
def test_a_copy_is_held_to_its_reference_with_its_tokens(models):
    p, qs, more = some("logits", models)
    del more["by"]
    y = Labels(np.random.default_rng(5).integers(4, size=N))
    wanted = pandq.compare(p, *qs, labels=y, **more).to_dict()
    found = fed(p, qs, more, BATCHES, labels=y).result().to_dict()
    assert apart(wanted, found) <= CLOSE


def test_merged_comparers_and_bytes_say_what_one_says():
    p, qs, more = some("labels")
    one, other = fed(p, qs, more, BATCHES[:2]), fed(p, qs, more, BATCHES[2:])
    before = one.to_bytes(), other.to_bytes()
    whole = pickle.loads(pickle.dumps(one)).merge(copy.deepcopy(other))  # noqa: S301
    assert (one.to_bytes(), other.to_bytes()) == before
    wanted = pandq.compare(p, *qs, **more).to_dict()
    assert apart(wanted, whole.result().to_dict()) <= CLOSE
    again = pandq.Comparer.from_bytes(whole.to_bytes())
    assert again.result().to_dict() == whole.result().to_dict()
    with pytest.raises(InputError, match="is no auditor"):
        pandq.Auditor.from_bytes(whole.to_bytes())


def test_a_row_that_comes_again_is_compared_once():
    p, qs, more = some("labels")
    found = fed(p, qs, more, [*BATCHES, slice(0, 90)], unique=True).result()
    assert found.n == N
    assert "90 rows came again" in found.notes[0]


@pytest.mark.parametrize(
    ("words", "qs", "more"),
    [
        ("no Q to compare", [], {}),
        ("P is none", [Logits([[0.0, 1.0]])], {}),
        ("another number of models", [Logits([[0.0, 1.0]])] * 3, {}),
        ("another kind of Q 2", [Logits([[0.0, 1.0]]), Probs([[0.5, 0.5]])], {}),
        ("labels have nothing to say", [Logits([[0.0, 1.0]])] * 2, {"labels": Labels([0])}),
        ("other columns of groups", [Logits([[0.0, 1.0]])] * 2, {"by": {"site": ["a"]}}),
        (
            "another kind of Q, got topk",
            [pandq.TopK([[0]], np.log([[0.6]]), 2), Logits([[0.0, 1.0]])],
            {},
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_bad_batch_is_refused_and_leaves_no_trace(words, qs, more):
    comparer = pandq.Comparer()
    comparer.update(Labels([0, 1]), *[Logits([[0.0, 1.0], [2.0, 0.0]])] * 2)
    before = comparer.to_bytes()
    with pytest.raises((InputError, TypeError), match=words):
        comparer.update(Labels([0]), *qs, **more)
    assert comparer.to_bytes() == before


def test_names_are_as_many_as_models():
    comparer = pandq.Comparer(names=["a", "b", "c"])
    with pytest.raises(InputError, match="2 models need"):
        comparer.update(Labels([0]), *[Logits([[0.0, 1.0]])] * 2)
