"""Every number has one entry, and what an audit finds lies where its entry says it can."""

import ast
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pandq
from pandq.quantities import _ALL, DIFFERENCE, QUANTITIES, keys, quantity
from pandq.results.agreement import Agreement, Components
from pandq.results.audit import Audit
from pandq.results.comparison import Bounds, Difference, Model
from pandq.results.decomposition import Decomposition
from pandq.results.guessing import Guessing
from pandq.results.multilabel import MultiLabelAudit
from pandq.results.perplexity import Perplexity
from pandq.results.reference import FromReference, Tokens
from pandq.results.sampled import SampledDivergence
from pandq.results.uncertainty import Uncertainty
from pandq.rows import RowMeasures
from tests.results.walk import estimates


def test_no_two_quantities_have_one_key_or_one_heading():
    assert len(QUANTITIES) == len(_ALL)
    headings = [x.heading for x in _ALL]
    assert len(set(headings)) == len(headings)
    assert all(x.key.isidentifier() and x.key == x.key.lower() for x in _ALL)


def test_an_entry_is_complete_and_its_range_is_one():
    for x in _ALL:
        assert x.label
        assert x.meaning
        assert x.low < x.high
        assert x.unit in ("nat", "")
        assert x.better in ("less", "more", "")


def test_what_is_no_merit_of_a_model_alone_is_no_better_of_two():
    """P's own numbers cannot be better under one model than under another."""
    for key in ("entropy", "floor", "p_entropy", "model_floor", "reference_perplexity"):
        assert QUANTITIES[key].better == ""


def test_every_measure_of_a_row_that_is_no_class_is_a_quantity():
    measured = {x.name for x in fields(RowMeasures)} - {"p_class", "q_class"}
    assert measured == set(keys("average", "ordered", "row"))


RECORDS = [
    *(Audit, Decomposition, Uncertainty, Model, Difference, Bounds, FromReference, Tokens),
    *(Agreement, Components, Guessing, MultiLabelAudit, Perplexity),
    SampledDivergence,
]


@pytest.mark.parametrize("record", RECORDS)
def test_every_estimate_of_a_record_is_a_quantity(record):
    named = [x.name for x in fields(record) if str(x.type) in ("Estimate", "Estimate | None")]
    assert named
    assert set(named) - {"finite_part"} <= set(QUANTITIES)


def test_every_quantity_is_in_a_result_or_beside_a_row():
    known = {x.name for record in RECORDS for x in fields(record)}
    known |= {"averaged_probabilities", "averaged_logits", "member"}  # of an ensemble's losses
    known |= {"tie"}  # of a difference's wins
    assert set(QUANTITIES) - known == {"q_entropy"}


@pytest.mark.parametrize("key", QUANTITIES)
def test_a_difference_of_two_can_be_as_large_as_both_lie_apart(key):
    one, apart = QUANTITIES[key], quantity(key + DIFFERENCE)
    size = one.high - one.low
    assert (apart.low, apart.high) == (-size, size)
    assert (apart.unit, apart.better) == (one.unit, one.better)
    assert quantity("no such thing") is None
    assert quantity("no such thing" + DIFFERENCE) is None


def test_no_report_writes_the_heading_of_a_quantity_once_more():
    """A label of the list is written in the list alone, or it will be two."""
    folder = Path(pandq.__file__).parent / "report"
    labels = {x.label for x in _ALL if len(x.label) > 20}
    written = [
        (file.name, node.value)
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in labels
    ]
    assert written == []


def rows_of(kind, n, k, draw):
    """P of a kind and a Q, which may rule classes out."""
    truth = draw.dirichlet(np.full(k, draw.choice([0.1, 1.0, 20.0])), n)
    q = draw.dirichlet(np.full(k, draw.choice([0.05, 1.0])), n)
    if draw.random() < 0.3:
        q = np.where(q < 0.05, 0.0, q)
        q /= q.sum(axis=1, keepdims=True)
    p = {
        "labels": lambda: pandq.Labels([draw.choice(k, p=row) for row in truth], k),
        "votes": lambda: pandq.Counts([draw.multinomial(draw.integers(1, 5), x) for x in truth]),
        "soft": lambda: pandq.Probs(truth),
    }[kind]()
    members = [pandq.Probs(q), pandq.Probs(0.5 * q + 0.5 * truth)]
    return p, pandq.Ensemble(members) if draw.random() < 0.3 else pandq.Probs(q)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["labels", "votes", "soft"]),
    st.integers(2, 5),
    st.sampled_from([1, 2, 9, 60, 60, 60]),
    st.sampled_from(["nat", "bit"]),
)
def test_what_an_audit_finds_lies_where_it_can(seed, kind, k, n, unit):
    p, q = rows_of(kind, n, k, np.random.default_rng(seed))
    for place, e in estimates(pandq.audit(p, q, unit=unit)):
        known = quantity(place[-1])
        assert known is not None, place
        if {"brier", "rps"} & {*place[:-1]} or "finite_part" in place:
            continue  # parts of another score, and of chosen rows
        assert e.unit == (unit if known.unit else ""), place
        slack = 1e-9
        for end in (e.value, e.low, e.high):
            if end is not None and not math.isnan(end):
                assert known.low - slack <= end <= known.high + slack, (place, e)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([3, 60]))
def test_what_a_comparison_finds_lies_where_it_can(seed, k, n):
    draw = np.random.default_rng(seed)
    p, a = rows_of(draw.choice(["labels", "soft"]), n, k, draw)
    _, b = rows_of("soft", n, k, draw)
    found = pandq.compare(p, a, b)
    for place, e in estimates(found):
        name = "cross_entropy difference" if place[-1] == "finite_part" else place[-1]
        if place[0] == "differences" and place[2] != "wins" and place[-1] != "same_top1":
            name = name.removesuffix(DIFFERENCE) + DIFFERENCE
        known = quantity(name)
        assert known is not None, place
        for end in (e.value, e.low, e.high):
            if end is not None and not math.isnan(end):
                assert known.low - 1e-9 <= end <= known.high + 1e-9, (place, e)
