"""The laws that every Summary keeps, whatever it sums: `tests/sums/cases.py` has one of each.

merge is associative, the empty Summary is its identity on both sides, chunks of any sizes give
what one pass gives, what an operand holds is no part of what it makes of rows, no operand is
changed, and a Summary survives pickling and a checkpoint. Fields are compared by name and
recursively: numbers to rounding, all else exactly.
"""

import ast
import copy
import importlib
import pickle
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pandq
from pandq.engines.packing import packed, rebuilt
from pandq.sealed import read_sealed, write_sealed
from pandq.sums.summary import KINDS, Summary, alike, merged_by, summary, together
from tests.sums.cases import CASES, merged

HOUSE = Path(pandq.__file__).parent


def classes_that_merge():
    """Every class in the source with a merge of its own or of Summary, by module and name."""
    for file in sorted(HOUSE.rglob("*.py")):
        module = ".".join(("pandq", *file.relative_to(HOUSE).with_suffix("").parts))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            # an Auditor (Fed, Merged) merges what it holds, and that is a Summary
            if isinstance(node, ast.ClassDef) and node.name not in ("Summary", "Fed", "Merged"):
                inherits = any(ast.unparse(base) == "Summary" for base in node.bases)
                if inherits or any(getattr(x, "name", "") == "merge" for x in node.body):
                    yield module, node.name


def test_every_class_that_merges_is_a_summary_and_is_under_these_laws():
    known = {type(case.empty()) for case in CASES.values()}
    found = list(classes_that_merge())
    assert len(found) > 30
    merging = {getattr(importlib.import_module(module), name) for module, name in found}
    assert merging - set(KINDS) == set()
    assert {kind for kind in KINDS if kind.__module__.startswith("pandq.")} - known == set()


@summary
class Kept(Summary):
    """A field of each kind."""

    names: tuple[str, ...] = merged_by(alike)
    n: int
    largest: float = merged_by(max)
    inner: Mapping[str, np.ndarray]
    none: None


def kept(names=("a",), n=1, largest=1.0, inner=(1.0, 2.0)):
    return Kept(names, n, largest, {"x": np.array(inner)}, None)


def test_each_field_is_merged_by_its_kind_or_by_its_rule():
    found = kept().merge(kept(n=2, largest=0.5))
    assert (found.names, found.n, found.largest, found.none) == (("a",), 3, 1.0, None)
    assert found.inner["x"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("other", [kept(names=("b",)), kept(inner=(1.0,))])
def test_sums_of_different_things_are_not_merged(other):
    with pytest.raises(ValueError, match=r"not alike|different things"):
        kept().merge(other)


@pytest.mark.parametrize("x", [True, "text"])
def test_what_is_no_sum_needs_a_rule(x):
    with pytest.raises(TypeError, match="is a rule missing"):
        together(x, x)


def test_a_field_of_a_summary_is_never_set_again():
    with pytest.raises(AttributeError):
        kept().n = 2


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


def in_three(case, n=30):
    return pieces(case, case.rows(np.random.default_rng(5), n), [n // 3, 2 * n // 3])


# These are asked for nothing of any row.
KEEP_NOTHING = ("WorstRows none", "MemberSums of no ensemble")
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


@pytest.mark.parametrize("name", [name for name in CASES if name not in KEEP_NOTHING])
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
def test_what_a_summary_holds_is_no_part_of_what_it_makes_of_rows(case):
    full, rows = merged(in_three(case)), case.rows(np.random.default_rng(7), 20)
    assert same(case.of(full, rows), case.of(case.empty(), rows), rounding=False)


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
