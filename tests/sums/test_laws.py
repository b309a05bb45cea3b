"""The laws that every Summary keeps, whatever it sums.

merge is associative, the empty Summary is its identity on both sides, chunks of any sizes give
what one pass gives, no operand is changed, and a Summary survives pickling.

To put a new Summary under these laws add a Case to CASES:

    empty   makes the Summary of nothing;
    rows    makes n random rows from a generator, as a dict of arrays of length n (a key named
            "row" is their number in the whole, should the Summary need it);
    of      sums rows (any slice of them, also none) with an empty Summary;
    order   for a Summary that lists things in the order in which it met them: a canonical form
            of it to compare, in which that order is gone.

Fields are compared by name and recursively: numbers to rounding, all else exactly.
"""

import copy
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pandq import Counts, Labels, Logits, Probs
from pandq.core.hashing import hash_ids
from pandq.engines.packing import packed, rebuilt
from pandq.estimate.averages.means import Means
from pandq.estimate.averages.rowsums import RowSums
from pandq.estimate.decomposition.partsums import PartSums
from pandq.estimate.decomposition.trained import Trained
from pandq.estimate.findings import Seen
from pandq.estimate.sampling import sample_of
from pandq.read.chunks import views_scan
from pandq.rows import measure_rows
from pandq.sealed import read_sealed, write_sealed
from pandq.sums.clusters import ClusterTotals
from pandq.sums.moments import GroupMoments, Moments, Scatter
from pandq.sums.reliability import Reliability
from pandq.sums.repeats import Repeats
from pandq.sums.resample import PoissonBootstrap
from pandq.sums.sample import Sample
from pandq.sums.tallies import LogHistogram, WorstRows


def as_it_is(summary):
    return summary


@dataclass(frozen=True)
class Case:
    """How to make one kind of Summary."""

    empty: Callable[[], Any]
    rows: Callable[[np.random.Generator, int], dict[str, Any]]
    of: Callable[[Any, dict[str, Any]], Any]
    order: Callable[[Any], Any] = as_it_is


# ---------------------------------------------------------------------------------------- rows


def values(rng, n):
    """Two quantities of very different sizes and offsets."""
    return {"x": rng.normal(size=(n, 2)) * [1.0, 1e3] + [100.0, 0.0]}


def weighted(rng, n):
    return values(rng, n) | {"w": rng.integers(0, 4, size=n) / 2}


def grouped(rng, n):
    return weighted(rng, n) | {"code": rng.integers(5, size=n)}


def clustered(rng, n):
    keys = {"group": rng.integers(2, size=n), "cluster": rng.integers(6, size=n)}
    return weighted(rng, n) | {name: key.astype(np.uint64) for name, key in keys.items()}


def losses(rng, n):
    x = np.exp(rng.normal(size=n) * 9)
    x[rng.random(n) < 0.1] = 0.0
    x[rng.random(n) < 0.1] = np.inf
    return {"x": x, "w": rng.integers(0, 4, size=n) / 2}


def rated(rng, n):
    """Many ties, so that the order among equals is tested."""
    x = rng.integers(4, size=n).astype(float)
    row = np.arange(n)
    return {"x": x, "row": row, "details": np.stack([x, row], axis=1), "id": row.astype(str)}


def predicted(rng, n):
    logits = rng.normal(size=(n, 3)) * 4
    logits[rng.random((n, 3)) < 0.1] = -np.inf
    logits[:, 0] = np.where(np.isneginf(logits).all(axis=1), 0.0, logits[:, 0])
    return {
        "q": logits,
        "labels": rng.integers(3, size=n),
        "counts": rng.integers(1, 5, size=(n, 3)),
        "probs": rng.dirichlet([1.0, 1.0, 1.0], size=n).reshape(n, 3),
        "row": np.arange(n),
        "site": rng.integers(4, size=n).astype(str),
        "person": rng.integers(5, size=n),
        "w": rng.integers(1, 4, size=n) / 2,
    }


def row_sums(view, name, *, clusters=False, weights=False, by=False):
    def of(empty, rows):
        scan = views_scan(
            view(rows[name]),
            Logits(rows["q"]),
            ids=rows["row"],
            by={"site": rows["site"]} if by else None,
            cluster=rows["person"] if clusters else None,
            weights=rows["w"] if weights else None,
        )
        start = int(rows["row"][0]) if len(rows["row"]) else 0
        return reduce(
            lambda total, chunk: total.merge(empty.of_only(replace(chunk, start=start))),
            scan.chunks(),
            empty,
        )

    return Case(
        empty=lambda: RowSums.empty(by=("site",) if by else (), worst=4),
        rows=predicted,
        of=of,
        order=plain,
    )


def plain(x):
    """Summaries as nested dicts; GroupMoments by the names of their groups."""
    if isinstance(x, GroupMoments):
        columns = [getattr(x, f.name) for f in fields(x) if f.name != "names"]
        return {name: tuple(c[i] for c in columns) for i, name in enumerate(x.names)}
    if is_dataclass(x):
        return {f.name: plain(getattr(x, f.name)) for f in fields(x)}
    return {name: plain(v) for name, v in x.items()} if isinstance(x, Mapping) else x


def keyed(rng, n):
    return clustered(rng, n) | {"row": np.arange(n), "key": hash_ids(rng.integers(10**6, size=n))}


def stratified(sample, rows):
    strata = rows["row"] % 4 // 3  # one row of four is rare
    return sample.of_only(rows["key"], rows["row"], rows, strata, np.bincount(strata, minlength=2))


def calibrated(rng, n):
    return {"q": rng.random(n), "hit": rng.integers(2, size=n).astype(float)}


def voted(rng, n):
    q = rng.dirichlet(np.ones(3), n)
    votes = np.array([rng.multinomial(3, row) for row in q]).reshape(n, 3)
    return {"q": q, "votes": votes, "id": np.arange(n)}


def coarse(rng, n):
    """Few different rows of Q, so that many come again."""
    q = rng.integers(1, 5, (n, 1)) / 8
    return {"q": np.hstack([q, 1 - q, 0 * q]), "labels": rng.integers(3, size=n)}


def seen(summary, rows):
    scan = views_scan(Probs(rows["q"]), Probs(rows["q"]))
    return reduce(
        lambda total, chunk: total.merge(summary.of_only(chunk, measure_rows(chunk.p, chunk.q))),
        scan.chunks(),
        summary,
    )


@cache
def trained_on_votes():
    rows = voted(np.random.default_rng(1), 300)
    (chunk,) = views_scan(Counts(rows["votes"]), Probs(rows["q"])).chunks()
    return Trained.of(sample_of(300, chunk), "votes", seed=0)


def part_sums(summary, rows):
    scan = views_scan(Counts(rows["votes"]), Probs(rows["q"]), ids=rows["id"])
    chunks = list(scan.chunks())
    return summary.of_only(chunks[0], trained_on_votes()) if chunks else summary


CASES = {
    "Scatter": Case(lambda: Scatter.empty(2), values, lambda s, r: s.of_only(r["x"])),
    "Scatter weighted": Case(
        lambda: Scatter.empty(2), weighted, lambda s, r: s.of_only(r["x"], r["w"])
    ),
    "Moments": Case(lambda: Moments.empty(2), values, lambda s, r: s.of_only(r["x"])),
    "Moments weighted": Case(
        lambda: Moments.empty(2), weighted, lambda s, r: s.of_only(r["x"], r["w"])
    ),
    "GroupMoments": Case(
        lambda: GroupMoments.empty(2),
        grouped,
        lambda s, r: s.of_only(r["code"], tuple("abcde"), r["x"]),
        order=plain,
    ),
    "GroupMoments weighted": Case(
        lambda: GroupMoments.empty(2),
        grouped,
        lambda s, r: s.of_only(r["code"], tuple("abcde"), r["x"], r["w"]),
        order=plain,
    ),
    "ClusterTotals": Case(
        lambda: ClusterTotals.empty(2),
        clustered,
        lambda s, r: s.of_only(r["group"], r["cluster"], r["x"], r["w"]),
    ),
    "LogHistogram": Case(LogHistogram.empty, losses, lambda s, r: s.of_only(r["x"], r["w"])),
    "LogHistogram coarse": Case(
        lambda: LogHistogram.empty(0.3), losses, lambda s, r: s.of_only(r["x"])
    ),
    "WorstRows": Case(
        lambda: WorstRows.empty(5, 2),
        rated,
        lambda s, r: s.of_only(r["x"], r["row"], r["details"], list(r["id"])),
    ),
    "WorstRows none": Case(
        lambda: WorstRows.empty(0, 2),
        rated,
        lambda s, r: s.of_only(r["x"], r["row"], r["details"], list(r["id"])),
    ),
    "Sample": Case(lambda: Sample.empty(7), keyed, lambda s, r: s.of_only(r["key"], r["row"], r)),
    "Sample with strata": Case(lambda: Sample.empty(7, 3), keyed, stratified),
    "PoissonBootstrap": Case(
        lambda: PoissonBootstrap.empty(2, replicates=9),
        keyed,
        lambda s, r: s.of_only(r["key"], r["x"], r["w"]),
    ),
    "Reliability": Case(Reliability.empty, calibrated, lambda s, r: s.of_only(r["q"], r["hit"])),
    "Means in clusters": Case(
        lambda: Means.empty(("a", "b"), replicates=5),
        keyed,
        lambda s, r: s.of_only(r["x"], r["w"], clusters=r["cluster"], keys=r["key"]),
    ),
    "PartSums of votes": Case(lambda: PartSums.empty(votes=True), voted, part_sums, plain),
    "Repeats": Case(
        lambda: Repeats.empty(5),
        coarse,
        lambda s, r: s.of_only([r["q"][:, 0]], [r["labels"]]),
    ),
    "Seen": Case(Seen.empty, coarse, seen),
    "RowSums of labels": row_sums(Labels, "labels"),
    "RowSums of counts in groups": row_sums(Counts, "counts", by=True),
    "RowSums of probs in clusters": row_sums(Probs, "probs", clusters=True, by=True),
    "RowSums of weighted probs": row_sums(Probs, "probs", clusters=True, weights=True, by=True),
}

# ---------------------------------------------------------------------------------- comparison


def same(a, b, *, rounding=True):
    """Equal, field by field; numbers to 1e-9 of the largest beside them if rounding is allowed."""
    if is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name), rounding=rounding) for f in fields(a)
        )
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k], rounding=rounding) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(
            same(x, y, rounding=rounding) for x, y in zip(a, b, strict=True)
        )
    if isinstance(a, float | np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        if not rounding or a.dtype.kind != "f":
            return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        finite = np.abs(a[np.isfinite(a)])
        slack = 1e-9 * finite.max(initial=0.0) + 1e-12
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=slack, equal_nan=True)
    return a == b


def agree(case, a, b):
    return same(case.order(a), case.order(b))


def part(rows, start, stop):
    return {name: column[start:stop] for name, column in rows.items()}


def pieces(case, rows, cuts):
    empty = case.empty()
    edges = [0, *sorted(cuts), len(next(iter(rows.values())))]
    return [case.of(empty, part(rows, a, b)) for a, b in pairwise(edges)]


def merged(summaries):
    return reduce(lambda a, b: a.merge(b), summaries)


def in_three(case, n=30):
    return pieces(case, case.rows(np.random.default_rng(5), n), [n // 3, 2 * n // 3])


every_summary = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
seeds = st.integers(0, 2**32 - 1)


@every_summary
@given(seeds, st.integers(0, 30))
@settings(max_examples=15)
def test_empty_is_the_identity_on_the_left(case, seed, n):
    summary = case.of(case.empty(), case.rows(np.random.default_rng(seed), n))
    assert agree(case, case.empty().merge(summary), summary)


@every_summary
@given(seeds, st.integers(0, 30))
@settings(max_examples=15)
def test_empty_is_the_identity_on_the_right(case, seed, n):
    summary = case.of(case.empty(), case.rows(np.random.default_rng(seed), n))
    assert agree(case, summary.merge(case.empty()), summary)


@every_summary
@given(seeds, st.lists(st.integers(0, 30), min_size=2, max_size=2))
@settings(max_examples=15)
def test_merge_is_associative(case, seed, cuts):
    a, b, c = pieces(case, case.rows(np.random.default_rng(seed), 30), cuts)
    assert agree(case, a.merge(b).merge(c), a.merge(b.merge(c)))


@every_summary
@given(seeds, st.lists(st.integers(0, 30), max_size=9))
@settings(max_examples=15)
def test_chunks_of_any_size_give_what_one_pass_gives(case, seed, cuts):
    rows = case.rows(np.random.default_rng(seed), 30)
    # a cut that occurs twice is an empty chunk
    whole = case.of(case.empty(), rows)
    assert agree(case, merged([case.empty(), *pieces(case, rows, cuts)]), whole)


@every_summary
def test_chunks_of_one_row_give_what_one_pass_gives(case):
    rows = case.rows(np.random.default_rng(6), 25)
    whole = case.of(case.empty(), rows)
    assert agree(case, merged(pieces(case, rows, range(1, 25))), whole)


@pytest.mark.parametrize("name", [name for name in CASES if name != "WorstRows none"])
def test_different_rows_have_different_summaries(name):
    one, other, _ = in_three(CASES[name])
    assert not agree(CASES[name], one, other)


@every_summary
def test_merge_leaves_both_operands_alone(case):
    a, b, _ = in_three(case)
    before = copy.deepcopy((a, b))
    a.merge(b)
    assert same((a, b), before, rounding=False)


@every_summary
def test_of_leaves_rows_and_the_empty_summary_alone(case):
    empty, rows = case.empty(), case.rows(np.random.default_rng(7), 20)
    before = copy.deepcopy((empty, rows))
    case.of(empty, rows)
    assert same((empty, rows), before, rounding=False)


@every_summary
def test_summary_is_the_same_after_pickling(case):
    summary = merged(in_three(case))
    assert same(pickle.loads(pickle.dumps(summary)), summary, rounding=False)  # noqa: S301


@every_summary
def test_merging_after_pickling_is_merging(case):
    a, b, _ = in_three(case)
    sent = pickle.loads(pickle.dumps(b))  # noqa: S301
    assert same(a.merge(sent), a.merge(b), rounding=False)


@every_summary
def test_summary_is_the_same_after_a_checkpoint(case, tmp_path):
    summary = merged(in_three(case))
    arrays = {}
    document = {"total": packed(summary, arrays)}
    write_sealed(tmp_path / "pass", arrays, document)
    stored, told = read_sealed(tmp_path / "pass", "pass")
    again = rebuilt(told["total"], stored, case.empty())
    assert same(again, summary, rounding=False)
    assert same(again.merge(summary), summary.merge(summary), rounding=False)
    assert types(again) == types(summary)


def types(x):
    """Of all that a Summary is made of; arrays with their type and how they lie."""
    if is_dataclass(x):
        return {f.name: types(getattr(x, f.name)) for f in fields(x)}
    if isinstance(x, np.ndarray):
        return str(x.dtype), x.shape, x.flags.f_contiguous, x.flags.c_contiguous
    if isinstance(x, Mapping):
        return {name: types(v) for name, v in x.items()}
    return [types(v) for v in x] if isinstance(x, tuple) else type(x).__name__
