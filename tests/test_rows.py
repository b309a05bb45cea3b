"""Every measure of a row, whoever computes it: a kernel, a short cut for labels, or a formula."""

from dataclasses import fields, make_dataclass

import numpy as np
import pytest

from pandq import Counts, Labels, Logits, Probs, rows
from pandq.core import kernels
from pandq.core.kernels import run
from pandq.quantities import keys

DRAW = np.random.default_rng(3)
Q = DRAW.dirichlet(np.ones(4), 300)
Q[:5] = 0.25
P = {
    "labels": Labels(DRAW.integers(0, 4, 300), 4),
    "votes": Counts(DRAW.multinomial(5, np.full(4, 0.25), 300)),
    "probabilities": Probs(DRAW.dirichlet(np.ones(4), 300)),
    "logits": Logits(DRAW.normal(size=(300, 4))),
}


@pytest.fixture(params=[*sorted(kernels.builds_here()), None], ids=str)
def build(request, monkeypatch):
    found = None if request.param is None else kernels.builds_here()[request.param]
    monkeypatch.setattr(run, "build", lambda: found)


def test_every_quantity_of_a_row_is_measured():
    assert set(keys("average", "row")) <= set(rows.NAMES)


def test_every_measure_has_a_formula():
    assert tuple(rows.FORMULAS) == (*rows.NAMES, *rows.ORDERED)
    assert tuple(rows.FORMULAS) == tuple(x.name for x in fields(rows.RowMeasures))


@pytest.mark.parametrize("p", P)
def test_a_measure_is_its_formula(p, build):
    found = rows.measure_rows(P[p], Probs(Q), ordered=True)
    for name, formula in rows.FORMULAS.items():
        want = formula(P[p].law(), Probs(Q).law())
        assert getattr(found, name) == pytest.approx(want, rel=1e-12, abs=1e-14), name


@pytest.mark.parametrize("p", P)
def test_a_measure_that_no_kernel_knows_needs_a_field_and_a_formula(p, build, monkeypatch):
    more = make_dataclass("More", ["apart"], bases=(rows.RowMeasures,), frozen=True, kw_only=True)
    monkeypatch.setattr(rows, "RowMeasures", more)
    monkeypatch.setattr(rows, "NAMES", tuple(x.name for x in fields(more)))
    monkeypatch.setitem(rows.FORMULAS, "apart", lambda a, b: np.abs(a.prob - b.prob).sum(axis=1))
    found = rows.measure_rows(P[p], Probs(Q))
    assert found.apart == pytest.approx(np.abs(P[p].law().prob - Q).sum(axis=1), rel=1e-13)


@pytest.mark.parametrize("p", P)
def test_no_distribution_is_formed_where_a_kernel_knows_all(p, monkeypatch):
    if kernels.build_name() == "numpy":
        pytest.skip("no kernel was compiled")
    untied = P[p][np.flatnonzero(rows.measure_rows(P[p], Probs(Q)).p_class >= 0)]
    q = Probs(DRAW.dirichlet(np.ones(4), len(untied)))
    known = [name for name in rows.NAMES if name in kernels.measured("probs", Q, "probs", Q)]
    monkeypatch.setattr(rows, "NAMES", known)
    monkeypatch.setattr(rows, "RowMeasures", make_dataclass("Known", known))
    for view in (type(untied), Probs):
        monkeypatch.setattr(view, "law", None)
    assert np.isfinite(rows.measure_rows(untied, q).kl).all()
