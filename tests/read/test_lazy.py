"""A lazy frame of polars is collected in batches, and gives what the collected one gives."""

import json

import numpy as np
import pytest

import pandq

pl = pytest.importorskip("polars")

N = 5_000
draw = np.random.default_rng(0)
Q = draw.dirichlet(np.ones(3), N)
FRAME = pl.DataFrame(
    {"label": [int(draw.choice(3, p=row)) for row in Q], "q": Q, "site": np.arange(N) % 2}
)


def document(data, **options):
    scan = pandq.scan(data, p="labels:label", q="probs:q", by="site", **options)
    found = pandq.audit(scan, decompose=False).to_dict()
    del found["source"]
    return json.dumps(found)


def test_a_lazy_frame_gives_what_the_collected_one_gives():
    assert document(FRAME.lazy()) == document(FRAME)
    assert document(FRAME.lazy(), where="site = 1") == document(FRAME, where="site = 1")


def test_a_lazy_frame_is_not_collected_whole(monkeypatch):
    monkeypatch.setattr(pl.LazyFrame, "collect", None)
    assert json.loads(document(FRAME.lazy()))["n"] == N


def test_a_query_that_fails_is_one_line():
    lazy = FRAME.lazy().with_columns(pl.col("nowhere") + 1)
    with pytest.raises(pandq.InputError, match=r"query fails.*nowhere"):
        pandq.scan(lazy, p="labels:label", q="probs:q")
