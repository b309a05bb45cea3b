"""What the columns of a table may be."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError
from pandq.results.inspection import Inspection

DRAW = np.random.default_rng(1)
TABLE = pa.table(
    {
        "label": np.arange(40) % 3,
        "raters": list(DRAW.multinomial(4, np.ones(3) / 3, 40)),
        "guess": list(DRAW.dirichlet(np.ones(3), 40)),
        "logs": list(np.log(DRAW.dirichlet(np.ones(3), 40))),
        "logits": list(DRAW.normal(size=(40, 3))),
        "site": ["north"] * 40,
        "age": np.linspace(20, 80, 40),
    }
)


def test_every_column_is_told_with_its_type_first_value_and_what_it_may_be():
    found = pandq.inspect(TABLE)
    assert [x.name for x in found.columns] == TABLE.column_names
    assert {x.name: x.may_be for x in found.columns} == {
        "label": "labels",
        "raters": "counts",
        "guess": "probs",
        "logs": "logprobs",
        "logits": "logits",
        "site": "",
        "age": "",
    }
    assert (found.columns[0].type, found.columns[0].first) == ("int64", "0")
    assert found.rows == 40


def test_candidates_are_those_of_the_names_and_then_those_of_the_rows():
    found = pandq.inspect(TABLE)
    assert found.p == ("labels:label", "counts:raters")
    assert found.q == ("logits:logits", "probs:guess", "logprobs:logs")


def test_the_first_candidates_are_what_to_run_next(tmp_path):
    path = tmp_path / "it's x.parquet"
    pq.write_table(TABLE, path)
    for data in (path, str(path), [path]):
        step = pandq.inspect(data).next_step
        assert step.startswith("pandq audit ")
        assert step.endswith("--p labels:label --q logits:logits")
    call = pandq.inspect(TABLE).next_step
    assert call == "pandq.audit(pandq.scan(table, p='labels:label', q='logits:logits'))"
    scanned = pandq.scan(TABLE, p="labels:label", q="logits:logits")
    assert pandq.audit(scanned).n == 40


def test_it_prints_what_the_command_prints(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(TABLE, path)
    text = str(pandq.inspect(path))
    assert "x.parquet: 40 rows, 7 columns" in text
    assert "  raters: list<element: int64>, first [" in text
    assert "P, what is true, may be: labels:label, counts:raters" in text
    assert "Next: pandq audit" in text


def test_it_is_a_document():
    found = pandq.inspect(TABLE)
    told = json.loads(json.dumps(found.to_dict()))
    assert set(told) == {"name", "rows", "columns", "p", "q", "next_step", "layouts"}
    assert Inspection.of(pandq.documents.Value.of(told, "inspection"), 0.95) == found


def test_a_table_without_candidates_says_so():
    found = pandq.inspect(pa.table({"age": [1.5, 2.5]}))
    assert (found.p, found.q) == ((), ())
    assert "no column; say which one it is" in str(found)
    assert "KIND:COLUMN" in found.next_step


def test_no_rows_are_a_table_too():
    found = pandq.inspect(TABLE[:0])
    assert found.rows == 0
    assert {x.first for x in found.columns} == {""}


@pytest.mark.parametrize("data", ["no.parquet", 7, None, np.ones(3), []])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(InputError):
        pandq.inspect(data)
