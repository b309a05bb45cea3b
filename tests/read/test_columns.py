"""Columns of any type are read as what they are asked for, or refused in one line."""

import datetime as dt
import decimal
import struct

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError, audit, scan, scan_features
from pandq.errors import RowError
from pandq.read import columns as cols
from pandq.read.parse import parsed
from pandq.report.terminal.inspection import inspection

NO_UTF8 = [None, pa.py_buffer(struct.pack("<iii", 0, 1, 2)), pa.py_buffer(b"\xff\xfe")]
ODD = {
    "truth": pa.array([True, False]),
    "bytes": pa.array([b"a", b"\xff"]),
    "bytes of one length": pa.array([b"ab", b"cd"], pa.binary(2)),
    "view of bytes": pa.array([b"x", b"y"], pa.binary_view()),
    "time": pa.array([dt.datetime(2020, 1, 1)] * 2),  # noqa: DTZ001
    "time far away": pa.array([2**62] * 2, pa.timestamp("s")),
    "day far away": pa.array([10**9] * 2, pa.date32()),
    "duration": pa.array([dt.timedelta(1)] * 2),
    "months": pa.array([pa.MonthDayNano([1, 2, 3])] * 2),
    "decimal": pa.array([decimal.Decimal("1.00")] * 2),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "dictionary of numbers": pa.array([0, 1]).dictionary_encode(),
    "run ends": pc.run_end_encode(pa.array(["a", "a"])),
    "view of text": pa.array(["a", "b"], pa.string_view()),
    "nothing": pa.array([None, None]),
    "gap": pa.array([1, None]),
    "struct": pa.array([{"a": 1}] * 2),
    "map": pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16] * 2, pa.binary(16))),
    "truth in bytes": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
    "view of lists": pa.array([[1, 2]] * 2, pa.list_view(pa.int64())),
    "lists of text": pa.array([["a"], ["b"]]),
    "lists of structs": pa.array([[{"a": 1}]] * 2),
    "lists of nothing": pa.array([[], []], pa.list_(pa.float64(), 0)),
    "lists with a gap": pa.array([[0.5, None]] * 2),
    "text that is no UTF-8": pa.Array.from_buffers(pa.string(), 2, NO_UTF8),
    "beyond 2^63": pa.array([2**63 + 5] * 2, pa.uint64()),
    "union": pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2])] * 2),
}
ROLES = {
    **{f"p {kind}": {"p": f"{kind}:odd"} for kind in ("labels", "counts", "probs", "logits")},
    **{f"q {kind}": {"q": f"{kind}:odd"} for kind in ("counts", "probs", "logprobs", "logits")},
    **{option: {option: "odd"} for option in ("by", "id", "cluster", "weights", "labels")},
    "best_q": {"best_q": "probs:odd"},
    "topk": {"p": "topk:odd,q"},
}


def told(chunks):
    """How many rows the chunks have, or that one line says why there are none."""
    try:
        return [sum(map(len, chunks()))]
    except InputError as error:
        return ["one line" if "\n" not in str(error) else str(error)]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("odd", ODD)
def test_a_column_of_any_type_is_used_or_refused_in_one_line(odd, role):
    table = pa.table({"odd": ODD[odd], "label": [0, 1], "q": [[0.5, 0.5]] * 2})
    options = {"p": "labels:label", "q": "probs:q", "classes": ["a", "b"]} | ROLES[role]
    assert told(lambda: scan(table, **options).chunks()) in ([2], ["one line"])


@pytest.mark.parametrize(
    "options", [{"x": "odd", "p": "labels:label"}, {"x": "q", "p": "labels:odd"}], ids=str
)
@pytest.mark.parametrize("odd", ODD)
def test_a_column_of_any_type_is_shown_and_is_no_feature_that_crashes(odd, options):
    table = pa.table({"odd": ODD[odd], "label": [0, 1], "q": [[0.5, 0.5]] * 2})
    assert list(inspection(pandq.inspect(table), 80))
    assert told(lambda: scan_features(table, **options).chunks()) in ([2], ["one line"])


def test_text_of_parquet_that_is_no_utf8_is_named_by_its_file(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"label": [0, 1], "q": [0.5, 0.5], "site": ODD["text that is no UTF-8"]}), path
    )
    with pytest.raises(InputError, match=r"x\.parquet: holds text that is not UTF-8, got"):
        list(scan(path, p="labels:label", q="probs:q", by="site").chunks())


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["b", "a"])])
def test_categories_of_polars_are_names(kind):
    frame = pl.DataFrame({"label": pl.Series(["a", "b"], dtype=kind), "q": [[0.5, 0.5]] * 2})
    rows = scan(frame, p="labels:label", q="probs:q", classes=["a", "b"], by="label", id="label")
    (chunk,) = rows.chunks()
    assert chunk.p.array.tolist() == [0, 1]
    assert set(chunk.groups["label"][1]) == {"a", "b"}


@pytest.mark.parametrize("option", ["labels:label,site", "labels:*"])
def test_labels_of_several_columns_are_sent_to_be_counted(option):
    table = pa.table({"label": ["a"], "site": ["b"], "q": [[0.5, 0.5]]})
    with pytest.raises(InputError, match="labels are one column, one class per row"):
        scan(table, p=option, q="probs:q")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (["[0.1, 0.9]", "[ 1e-3 ,-inf]"], [[0.1, 0.9], [1e-3, -np.inf]]),
        (["[[1, 0], [0.5, 0.5]]"], [[[1.0, 0.0], [0.5, 0.5]]]),
        (["[]"], [[]]),
        ([" 1", "+2", ".5", "1e3"], [1.0, 2.0, 0.5, 1000.0]),
        (["true", "False"], [1.0, 0.0]),
    ],
)
def test_text_is_parsed_as_it_says(text, found):
    assert parsed("q", pa.array(text)).to_pylist() == found


@pytest.mark.parametrize(
    "text",
    ["[0.1, 0.9", "[0.1,]", "[1, [2]]", '["a"]', "[" * 9999, "1_0", "0x1", "[1]"],
)
def test_text_that_is_neither_number_nor_list_is_named_by_its_row(text):
    first = "[0.5]" if text.startswith("[") and text != "[1]" else "0.5"
    with pytest.raises(InputError, match="column 'q' row 1 is no"):
        parsed("q", pa.array([first, text]))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([["cat", "dog"]] * 60, "several people are votes:COLUMN"),
        ([[0.1, 2.5, 7.3]] * 60, "quantiles"),
        ([[0, 1, 1]] * 60, "multi-label"),
    ],
)
def test_what_is_no_one_label_is_told_what_it_may_be(labels, said):
    table = pa.table({"label": labels, "q": [[0.2, 0.3, 0.5]] * 60})
    with pytest.raises(InputError, match=said):
        audit(scan(table, p="labels:label", q="probs:q"))


@pytest.mark.parametrize("bad", [None, [0.5]])
def test_member_that_does_not_fit_is_named_by_its_row(bad):
    members = [[[0.5, 0.5], [0.4, 0.6]] for _ in range(9)]
    members[5][1] = bad
    with pytest.raises(RowError, match="row 5 has a member that is missing or of another length"):
        cols.numbers("q", pa.array(members))


def test_text_that_differs_by_a_nul_at_its_end_is_never_one_label_or_id():
    column = pa.array(["a", "a\0"])
    for read in (cols.hashed, cols.labels):
        with pytest.raises(RowError, match="row 1 ends in a NUL character"):
            read("id", column)


def test_times_a_nanosecond_apart_are_two_groups():
    codes, names = cols.encoded("t", pa.array([1, 2, 1], pa.time64("ns")))
    assert codes.tolist() == [0, 1, 0]
    assert len(set(names)) == 2
