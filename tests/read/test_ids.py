"""A duplicate id is refused, wherever its rows are; 0.0 and -0.0 are one."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError, Labels, Probs
from pandq.read import ids as ids_module
from pandq.read.ids import refuse_duplicates

N = 120
RNG = np.random.default_rng(0)
Y, Q = RNG.integers(0, 2, N), RNG.dirichlet(np.ones(2), N)


def table(ids, rows=slice(None)):
    return pa.table({"key": ids, "label": Y[rows], "probs": list(Q[rows])})


def scanned(data):
    return pandq.scan(data, p="labels:label", q=["probs:probs", "probs:probs"], id="key")


TWICE = {
    "numbers": ([*range(N - 2), 5, 70], "id (5|70) is a duplicate .2 rows too many"),
    "text": ([f"x{i}" for i in range(N - 1)] + ["x9"], "id 'x9' .*got rows 9, 119"),
    "zeros": ([0.0, -0.0, *np.arange(1.0, N - 1)], r"id -?0\.0 .*1 rows too many.*rows 0, 1"),
}


@pytest.mark.parametrize(("ids", "text"), TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("measured", [pandq.audit, pandq.compare])
def test_an_id_that_stands_twice_is_refused(measured, ids, text):
    with pytest.raises(InputError, match=text):
        measured(scanned(table(ids)))
    views = [Labels(Y), Probs(Q)] + ([Probs(Q)] if measured is pandq.compare else [])
    with pytest.raises(InputError, match=text):
        measured(*views, ids=np.array(ids))


def test_an_id_that_two_files_hold_is_refused(tmp_path):
    for name, ids, rows in (("a", range(60), slice(60)), ("b", range(59, 119), slice(60, 120))):
        pq.write_table(table(list(ids), rows), tmp_path / f"{name}.parquet", row_group_size=25)
    with pytest.raises(InputError, match=r"id 59 is a duplicate .*rows 59, 60"):
        pandq.audit(scanned(tmp_path))


def test_ids_that_stand_once_and_rows_without_one_are_audited():
    assert pandq.audit(scanned(table([f"x{i}" for i in range(N)]))).n == N
    assert pandq.audit(scanned(table([None, None, *range(N - 2)]))).n == N


def test_duplicates_are_counted_in_any_number_of_shares(monkeypatch):
    ids = RNG.integers(0, 90, N)
    extra = N - len(np.unique(ids))
    for at_once in (7, 50, 1000):
        monkeypatch.setattr(ids_module, "AT_ONCE", at_once)
        with pytest.raises(InputError, match=f"{extra} rows too many"):
            refuse_duplicates(scanned(table(ids.tolist())))


@pytest.mark.parametrize("kind", ["arrow", "dictionary", "numpy"])
def test_groups_and_clusters_of_both_zeros_are_one(kind):
    values = np.where(np.arange(N) % 3 == 0, -0.0, np.where(np.arange(N) % 3 == 1, 0.0, 1.5))
    if kind == "numpy":
        result = pandq.audit(Labels(Y), Probs(Q), by={"g": values}, cluster=values)
    else:
        column = pa.array(values)
        column = column.dictionary_encode() if kind == "dictionary" else column
        rows = pa.table({"g": column, "label": Y, "probs": list(Q)})
        result = pandq.audit(
            pandq.scan(rows, p="labels:label", q="probs:probs", by="g", cluster="g")
        )
    assert sorted((row["name"], row["n"]) for row in result.groups["g"]) == [
        ("0.0", 80),
        ("1.5", 40),
    ]
    assert any(
        "too few clusters to say what the loss is made of: 2" in note for note in result.notes
    )
