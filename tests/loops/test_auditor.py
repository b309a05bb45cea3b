"""An audit that is fed batch by batch is the audit of all batches in one."""

import copy
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pandq
from pandq import InputError, Labels, Logits, Probs
from pandq.loops import state
from tests.loops.truth import Rows, apart

ALL = ("by", "cluster", "ids", "weights")
KEPT = [("counts", ()), ("counts", ALL), ("votes", ALL)]
CLOSE = 1e-12


@pytest.fixture(scope="module")
def rows():
    return Rows(700, columns=ALL)


@pytest.fixture
def soon(monkeypatch):
    """Rows are summed after so few that the batches of a test are."""
    monkeypatch.setattr(state, "WAITING_ROWS", 40)


# ------------------------------------------------------------------------ the same as an audit


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", ["labels", "counts", "votes", "probs"])
@given(cuts=st.lists(st.integers(0, 120), max_size=6), columns=st.sets(st.sampled_from(ALL)))
@settings(max_examples=8)
def test_batches_of_any_sizes_say_what_one_says(kind, cuts, columns):
    rows = Rows(120, k=3, kind=kind, columns=sorted(columns))
    found = rows.fed(rows.batches(*sorted(cuts))).result().to_dict()
    assert apart(rows.audited().to_dict(), found) <= CLOSE


@pytest.mark.parametrize(
    "options",
    [
        {"unit": "bit", "level": 0.9, "seed": 3, "worst": 2},
        {"intervals": "bootstrap"},
        {"decompose": False},
        {"floor": "certified", "classes": ["a", "b", "c", "d"]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_are_those_of_an_audit(rows, options):
    found = rows.fed(rows.batches(100, 101, 350), **options).result()
    assert apart(rows.audited(**options).to_dict(), found.to_dict()) <= CLOSE


@pytest.mark.parametrize("kind", ["labels", "counts", "votes", "probs"])
def test_one_batch_gives_the_same_bits(kind):
    rows = Rows(500, kind=kind, columns=ALL)
    assert rows.fed(rows.batches()).result().to_dict() == rows.audited().to_dict()


def test_batches_as_an_audit_cuts_chunks_give_the_same_bits(monkeypatch):
    rows = Rows(900, k=3)
    monkeypatch.setattr("pandq.read.chunks.chunk_rows", lambda _: 200)
    monkeypatch.setattr(state, "WAITING_ROWS", 200)
    whole = rows.audited().to_dict()
    assert rows.fed(rows.batches(200, 400, 600, 800)).result().to_dict() == whole
    assert rows.fed(rows.batches()).result().to_dict() == whole


@pytest.fixture(scope="module")
def of_file(cifar10h):
    file = pandq.scan(cifar10h, p="counts:counts", q="probs:crossval", by="label")
    return pandq.audit(file).to_dict() | {"source": {"rows": 10_000}}


@pytest.mark.parametrize("size", [1, 7, 256, 10_000])
def test_cifar10h_in_batches_is_audited_as_its_file_is(cifar10h, of_file, size):
    table = pq.read_table(cifar10h, columns=["counts", "crossval", "label"])
    p, q = (np.stack(table[name].to_numpy()) for name in ("counts", "crossval"))
    site = table["label"].to_numpy()
    auditor = pandq.Auditor(by=["label"])
    for start in range(0, len(q), size):
        some = slice(start, start + size)
        auditor.update(pandq.Counts(p[some]), Probs(q[some]), by={"label": site[some]})
    assert apart(of_file, auditor.result().to_dict()) <= CLOSE


def test_infinite_losses_and_ensembles_are_the_same():
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=200)
    x = rng.normal(size=(200, 3))
    x[rng.random((200, 3)) < 0.05] = -np.inf
    x[:, 0] = np.where(np.isneginf(x).all(axis=1), 0.0, x[:, 0])
    for q in (Logits(x), pandq.Ensemble([Logits(rng.normal(size=(200, 3))) for _ in range(3)])):
        auditor = pandq.Auditor()
        for some in (slice(0, 33), slice(33, 150), slice(150, 200)):
            auditor.update(Labels(y[some]), q[some])
        wanted = pandq.audit(Labels(y), q).to_dict()
        assert apart(wanted, auditor.result().to_dict()) <= CLOSE


def test_half_precision_is_taken_as_it_is():
    bits = pandq.Logits(
        np.random.default_rng(0)
        .integers(0x3F00, 0x4040, size=(90, 3), dtype=np.uint16)
        .view(pandq.BFLOAT16)
    )
    y = Labels(np.arange(90) % 3)
    auditor = pandq.Auditor()
    for some in (slice(0, 40), slice(40, 90)):
        auditor.update(y[some], bits[some])
    there = pickle.loads(pickle.dumps(auditor))  # noqa: S301
    for one in (auditor, there):
        assert apart(pandq.audit(y, bits).to_dict(), one.result().to_dict()) <= CLOSE


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", ["counts", "labels", "probs"])
def test_a_better_q_and_bytes_come_along(kind):
    rows = Rows(400, kind=kind, columns=("cluster",))
    best, size = Logits(rows.q / np.float32(1.3)), np.random.default_rng(3).integers(9, size=400)
    auditor = pandq.Auditor()
    for some in rows.batches(30, 31, 250):
        if some.start == 31:  # what has come is all in the bytes, waiting or summed
            auditor = pandq.Auditor.from_bytes(auditor.to_bytes())
        auditor.update(*rows.views(some), **rows.more(some), best_q=best[some], n_bytes=size[some])
    wanted = rows.audited(best_q=best, n_bytes=size)
    assert apart(wanted.to_dict(), auditor.result().to_dict()) <= CLOSE
    assert wanted.bits_per_byte is not None
    if kind == "labels":
        assert wanted.decomposition.floor.high != rows.audited().decomposition.floor.high
    with pytest.raises(InputError, match="lacks best_q"):
        auditor.update(*rows.views(slice(0, 5)), **rows.more(slice(0, 5)), n_bytes=size[:5])
    with pytest.raises(InputError, match="another kind of best_q"):
        auditor.update(
            *rows.views(slice(0, 2)),
            **rows.more(slice(0, 2)),
            n_bytes=size[:2],
            best_q=Probs(np.full((2, 4), 0.25)),
        )


# ------------------------------------------------------------------------ who gave the votes

OVER_PEOPLE = ("cross_entropy", "kl", "floor", "grouping_loss")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("columns", [(), ("cluster", "weights")])
def test_intervals_are_over_annotators_as_those_of_an_audit(columns):
    rows = Rows(400, k=3, kind="votes", columns=columns)
    batches = rows.batches(7, 8, 300)
    parts = [rows.fed([some]) for some in batches]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(pickle.loads(pickle.dumps(part)))  # noqa: S301
    wanted = rows.audited().decomposition
    for found in (rows.fed(batches).result(), merged.result()):
        assert found.source["annotators"] == 12
        for name in OVER_PEOPLE:
            right, mine = getattr(wanted, name), getattr(found.decomposition, name)
            assert "12 annotators" in mine.method
            assert (mine.low, mine.high) == pytest.approx((right.low, right.high), abs=CLOSE)
    p, q = rows.views(slice(None))
    nobody = pandq.Auditor()
    nobody.update(p.counts, q, **rows.more(slice(None)))
    alone, known = nobody.result().cross_entropy, merged.result().cross_entropy
    assert "annotators" not in alone.method
    assert alone.high - alone.low < known.high - known.low


def test_a_pool_may_be_all_annotators_that_were_seen():
    rows = Rows(400, kind="votes")
    found = rows.fed(rows.batches(90), annotator_pool="seen").result()
    assert apart(rows.audited(annotator_pool="seen").to_dict(), found.to_dict()) <= CLOSE


def test_bounds_of_the_rows_that_were_kept_are_over_the_annotators_of_these(monkeypatch):
    monkeypatch.setattr("pandq.loops.auditor.sample_size", lambda _: 300)
    rows = Rows(900, kind="votes", columns=("ids",))
    kept = np.sort(np.argsort(pandq.core.hashing.hash_ids(rows.given["ids"]))[:300])
    found = rows.fed(rows.batches(*range(100, 900, 100))).result().decomposition
    wanted = rows.at(kept).audited().decomposition
    for name in OVER_PEOPLE[2:]:
        right, mine = getattr(wanted, name), getattr(found, name)
        assert "12 annotators" in mine.method
        assert (mine.low, mine.high) == pytest.approx((right.low, right.high), abs=1e-6)


def test_annotators_come_with_every_batch_or_with_none():
    votes, q = Rows(60, kind="votes").views(slice(None))
    for first, second, words in (
        (votes, votes.counts, "lacks annotators, and all need them"),
        (votes.counts, votes, "has annotators, and those before had none"),
    ):
        auditor = pandq.Auditor()
        auditor.update(first, q)
        with pytest.raises(InputError, match=words):
            auditor.update(second, q)


# ------------------------------------------------------------------------------------ in a loop


def test_a_result_on_the_way_changes_nothing(rows):
    batches = rows.batches(100, 300)
    auditor = rows.fed(batches[:2])
    assert auditor.result().n == auditor.n == 300
    auditor.update(*rows.views(batches[2]), **rows.more(batches[2]))
    assert auditor.result().to_dict() == rows.fed(batches).result().to_dict()


def test_reset_begins_again(rows):
    auditor = rows.fed(rows.batches(100))
    auditor.reset()
    assert auditor.n == 0
    # also of another kind
    auditor.update(Labels([0, 1]), Probs([[0.5, 0.5], [0.5, 0.5]]), by={"site": ["a", "b"]})
    assert auditor.result().n_classes == 2


def test_a_batch_may_be_written_over_by_the_next():
    rows = Rows(300, kind="labels")
    y, x = np.empty(50, np.int64), np.empty((50, 4), np.float32)
    auditor = pandq.Auditor()
    for some in rows.batches(*range(50, 300, 50)):
        y[:], x[:] = rows.p[some], rows.q[some]
        auditor.update(Labels(y), Logits(x))
    y[:], x[:] = 0, 0.0
    assert apart(rows.audited().to_dict(), auditor.result().to_dict()) <= CLOSE


def test_no_rows_have_no_result(rows):
    auditor = rows.fed([])
    with pytest.raises(InputError, match="no rows have come"):
        auditor.result()
    auditor.update(*rows.views(slice(0, 0)), **rows.more(slice(0, 0)))
    with pytest.raises(InputError, match="no rows have come"):
        auditor.result()


def test_a_batch_of_no_rows_counts_nothing(rows):
    found = rows.fed([slice(0, 0), *rows.batches(90, 90)]).result()
    assert apart(rows.audited().to_dict(), found.to_dict()) <= CLOSE


# ------------------------------------------------------------------------------------ bad batches


def bad_batches():
    p, q = Labels([0, 1]), Logits(np.zeros((2, 3)))
    more = {"by": {"site": ["a", "b"]}, "ids": [100, 101]}
    yield "another number of classes", (p, Logits(np.zeros((2, 4)))), more
    yield "another kind of P", (pandq.Counts([[1, 0, 1], [2, 0, 0]]), q), more
    yield "another kind of Q", (p, Probs(np.full((2, 3), 1 / 3))), more
    yield "other columns of groups", (p, q), more | {"by": {"ward": ["a", "b"]}}
    yield "other columns of groups", (p, q), more | {"by": None}
    yield "lacks ids", (p, q), more | {"ids": None}
    yield "has weights", (p, q), more | {"weights": [1.0, 2.0]}
    yield "has clusters", (p, q), more | {"cluster": [1, 1]}
    yield "one value per row", (p, q), more | {"by": {"site": ["a"]}}
    yield "must say what its numbers mean", (p, np.zeros((2, 3))), more
    yield "different numbers of rows", (Labels([0, 1, 2]), q), more
    yield "has best_q", (p, q), more | {"best_q": q}
    yield "has n_bytes", (p, q), more | {"n_bytes": [1, 2]}
    yield "other class names", (Labels(["a", "b"], classes=["a", "b", "c"]), q), more


@pytest.mark.parametrize(
    ("words", "views", "more"), list(bad_batches()), ids=lambda x: x if isinstance(x, str) else ""
)
def test_a_bad_batch_is_refused_and_leaves_no_trace(words, views, more):
    rng = np.random.default_rng(2)
    auditor = pandq.Auditor(by=["site"], worst=3)
    good = Labels(rng.integers(3, size=80)), Logits(rng.normal(size=(80, 3)))
    auditor.update(*good, by={"site": ["a"] * 80}, ids=np.arange(80))
    before, n = auditor.result().to_dict(), auditor.n
    with pytest.raises((InputError, TypeError), match=words):
        auditor.update(*views, **more)
    assert auditor.n == n
    assert auditor.result().to_dict() == before


def test_what_a_row_is_worth_alone_is_refused_where_it_comes():
    with pytest.raises(InputError, match="holds NaN"):
        Logits(np.array([[0.0, np.nan]], np.float16))
    with pytest.raises(InputError, match="forbids every class"):
        Logits(np.array([[-np.inf, -np.inf]], np.float16))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 2.0}, "level must lie"),
        ({"floor": "none"}, "floor is one of"),
        ({"by": [3]}, "by is text"),
        ({"unique": "yes"}, "unique is true or false"),
        ({"classes": ["a", "a"]}, "the same name"),
    ],
    ids=str,
)
def test_options_that_no_audit_has_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        pandq.Auditor(**options)


def test_class_names_that_do_not_fit_are_refused_with_the_first_batch():
    auditor = pandq.Auditor(classes=["a", "b"])
    with pytest.raises(InputError, match="do not fit Q"):
        auditor.update(Labels([0]), Logits([[0.0, 0.0, 0.0]]))


def test_an_id_that_came_before_is_refused_at_the_end(rows):
    auditor = rows.fed(rows.batches(100))
    auditor.update(*rows.views(slice(0, 5)), **rows.more(slice(0, 5)))
    with pytest.raises(InputError, match="5 rows have an id that came before") as caught:
        auditor.result()
    assert "unique=True" in caught.value.remedy


# ------------------------------------------------------------------------------ merge and bytes


@pytest.mark.parametrize(("kind", "columns"), KEPT)
@pytest.mark.parametrize("cuts", [(250,), (1, 2, 400), (0, 350)])
def test_merged_auditors_say_what_one_says(kind, columns, cuts):
    rows = Rows(500, kind=kind, columns=columns)
    parts = [rows.fed([some]) for some in rows.batches(*cuts)]
    before = [part.to_bytes() for part in parts]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part)
    assert whole.n == 500
    assert apart(rows.audited().to_dict(), whole.result().to_dict()) <= CLOSE
    assert [part.to_bytes() for part in parts] == before


@pytest.mark.parametrize(
    ("options", "words"),
    [({"level": 0.9}, "another level"), ({"worst": 3}, "another worst"), ({"seed": 1}, "seed")],
    ids=str,
)
def test_auditors_of_other_options_are_not_merged(rows, options, words):
    one, other = rows.fed(rows.batches(3)), rows.fed(rows.batches(3), **options)
    with pytest.raises(InputError, match=words):
        one.merge(other)


def test_auditors_of_other_rows_are_not_merged():
    one, other = Rows(60, k=3).fed([slice(None)]), Rows(60, k=5).fed([slice(None)])
    with pytest.raises(InputError, match="the other has another number of classes"):
        one.merge(other)
    with pytest.raises(InputError, match="this is no Auditor"):
        one.merge(3)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("cut", [0, 39, 41, 350])
@pytest.mark.parametrize(("kind", "columns"), KEPT)
def test_bytes_go_on_to_the_same_bits(kind, cut, columns):
    rows = Rows(600, kind=kind, columns=columns)
    first, second = rows.batches(cut) if cut else (slice(0, 0), slice(None))
    auditor = rows.fed([first] if cut else [])
    copies = [
        pandq.Auditor.from_bytes(auditor.to_bytes()),
        pickle.loads(pickle.dumps(auditor)),  # noqa: S301
        copy.deepcopy(auditor),
        copy.copy(auditor),
    ]
    for one in (*copies, auditor):
        one.update(*rows.views(second), **rows.more(second))
    wanted = auditor.to_bytes()
    assert all(one.to_bytes() == wanted for one in copies)
    assert copies[0].result().to_dict() == auditor.result().to_dict()


def test_bytes_that_are_not_an_auditors_are_refused(rows):
    stored = rows.fed(rows.batches(100)).to_bytes()
    for broken in (
        b"",
        stored[:-9],
        stored[:-1] + b"\0",
        stored.replace(b"auditor/1", b"auditor/9"),
    ):
        with pytest.raises(InputError, match="is no auditor"):
            pandq.Auditor.from_bytes(broken)
    with pytest.raises(InputError, match="read from bytes"):
        pandq.Auditor.from_bytes("text")


def test_bytes_of_another_version_or_other_options_are_refused(rows, monkeypatch):
    auditor = rows.fed(rows.batches(100))
    with monkeypatch.context() as patch:
        patch.setattr("pandq.loops.stored.metadata.version", lambda _: "0.0.9")
        older = auditor.to_bytes()
    with pytest.raises(InputError, match="pandq_version must be one of"):
        pandq.Auditor.from_bytes(older)
    with monkeypatch.context() as patch:
        options = auditor._options() | {"smoothing": 1}
        patch.setattr(pandq.Auditor, "_options", lambda _: options)
        other = auditor.to_bytes()
    with pytest.raises(InputError, match="smoothing has no meaning here"):
        pandq.Auditor.from_bytes(other)


# -------------------------------------------------------------------------------------- unique


@pytest.mark.usefixtures("soon")
def test_a_row_that_comes_again_is_counted_once():
    rows = Rows(400, columns=("ids", "by"))
    auditor = rows.fed([slice(0, 200), slice(100, 300), slice(300, 400), slice(0, 9)], unique=True)
    found = auditor.result()
    assert auditor.n == found.n == 400
    assert "109 rows came again" in found.notes[0]
    wanted = rows.audited().to_dict()
    assert apart(wanted | {"notes": []}, found.to_dict() | {"notes": []}) <= CLOSE


def test_one_id_twice_in_a_batch_is_counted_once():
    auditor = pandq.Auditor(unique=True)
    auditor.update(Labels([0, 1, 1]), Logits(np.zeros((3, 2))), ids=["a", "b", "a"])
    assert auditor.n == 2


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("world", [2, 3, 4, 7])
def test_what_a_sampler_adds_to_make_shards_equal_is_counted_once(world):
    rows = Rows(403, columns=("ids",))
    each = -(-403 // world)
    order = np.resize(np.arange(403), each * world)  # as DistributedSampler pads
    shards = [order[rank::world] for rank in range(world)]
    parts = [
        rows.fed([shard[i : i + 32] for i in range(0, each, 32)], unique=True) for shard in shards
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = pandq.Auditor.from_bytes(whole.merge(part).to_bytes())
    found = whole.result()
    assert found.n == 403
    again = each * world - 403
    assert [note for note in found.notes if "again" in note] == [
        f"{again} rows came again, by their ids, and were counted once"
    ][:again]
    first = np.sort(np.unique(np.concatenate(shards), return_index=True)[1])
    wanted = rows.at(np.concatenate(shards)[first]).audited().to_dict()
    assert apart(wanted | {"notes": []}, found.to_dict() | {"notes": []}) <= CLOSE


@pytest.mark.usefixtures("soon")
def test_rows_that_two_have_summed_are_not_merged(monkeypatch):
    monkeypatch.setattr(state, "LAST_ROWS", 8)
    rows = Rows(400, columns=("ids",))
    batches = rows.batches(*range(50, 400, 50))
    one, other = rows.fed(batches, unique=True), rows.fed(batches, unique=True)
    with pytest.raises(InputError, match="392 rows came to both"):
        one.merge(other)


def test_unique_needs_ids():
    with pytest.raises(InputError, match="by their ids"):
        pandq.Auditor(unique=True).update(Labels([0]), Logits([[0.0, 1.0]]))


# --------------------------------------------------------------------------- more than is kept


def test_beyond_what_is_kept_averages_are_over_all_rows_and_parts_over_the_sample(monkeypatch):
    monkeypatch.setattr("pandq.loops.auditor.sample_size", lambda _: 300)
    rows = Rows(3000, columns=("by", "ids"))
    found = rows.fed(rows.batches(*range(100, 3000, 100))).result()
    wanted = rows.audited()
    told, all_told = found.to_dict(), wanted.to_dict()
    for name in ("cross_entropy", "accuracy", "brier", "kl_quantiles", "classes", "worst", "n"):
        assert apart(all_told[name], told[name]) <= CLOSE
    assert found.decomposition.floor.n == 300
    assert any("is of 300 of 3,000 rows" in note for note in found.notes)
    # the same rows whatever the order of the batches
    backwards = rows.fed(reversed(rows.batches(*range(100, 3000, 100)))).result()
    one, other = found.decomposition.to_dict(), backwards.decomposition.to_dict()
    assert abs(one["floor"]["low"] - other["floor"]["low"]) <= 1e-6


def test_rows_that_are_kept_are_those_of_the_smallest_keys(monkeypatch):
    monkeypatch.setattr("pandq.loops.auditor.sample_size", lambda _: 100)
    rows = Rows(2000)
    auditor = rows.fed(rows.batches(*range(64, 2000, 64)))
    found = auditor._state.summed(auditor._of).all_kept.rows
    keys = pandq.core.hashing.hash_ids(np.arange(2000))
    assert found.row.tolist() == np.sort(np.argsort(keys)[:100]).tolist()


def test_a_group_that_is_not_in_the_sample_has_its_averages(monkeypatch):
    monkeypatch.setattr("pandq.loops.auditor.sample_size", lambda _: 100)
    rows = Rows(2000, columns=("by",))
    rows.given["by"]["site"][:3] = "nice"
    found = rows.fed(rows.batches(1000)).result()
    assert {line["name"]: line["n"] for line in found.groups["site"]}["nice"] == 3


@pytest.mark.parametrize(
    ("k", "batch", "batches", "most"), [(10, 8192, 40, 64), (1000, 1024, 12, 64)]
)
def test_the_state_stays_small(k, batch, batches, most):
    rng = np.random.default_rng(0)
    auditor = pandq.Auditor()
    for _ in range(batches):
        p = rng.dirichlet(np.ones(k), size=batch)
        auditor.update(Probs(p), Logits(rng.normal(size=(batch, k))))
    held = auditor._state
    size = sum(
        column.nbytes for piece in held.kept for column in piece.rows.columns.values()
    ) + sum(chunk.p.array.nbytes + chunk.q.array.nbytes for chunk in held.waiting)
    assert size < most << 20
    assert len(auditor.to_bytes()) < most << 20


def test_the_state_of_a_vocabulary_stays_small():
    rng = np.random.default_rng(0)
    auditor = pandq.Auditor()
    x = rng.normal(size=(64, 128_256)).astype(np.float32)
    for _ in range(5):
        auditor.update(Labels(rng.integers(128_256, size=64)), Logits(x))
    assert len(auditor.to_bytes()) < 256 << 20
