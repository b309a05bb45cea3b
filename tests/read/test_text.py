"""Text has no type until it is asked for: a csv gives what the same table gives in parquet."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pandq import InputError, scan, scan_features
from pandq.read import database
from pandq.read.opened import open_source

MANY = 30_000


def write(path, columns):
    """The same columns as csv, as lines of json, or as parquet."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(columns)]
        lines += [
            ",".join(f'"{x}"' if isinstance(x, list) else str(x) for x in r.values()) for r in rows
        ]
        path.write_text("\n".join(lines) + "\n")
    return path


def column(path, name, **options):
    """What a scan makes of one of its columns."""
    chunks = list(scan(path, p="labels:label", q="probs:q", **options).chunks())
    if name == "groups":
        return sorted(n for n in {n for c in chunks for n in c.groups[options["by"]][1]})
    return np.concatenate([getattr(chunk, name) for chunk in chunks])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_numbers_that_are_whole_at_first_keep_what_comes_later(tmp_path, suffix):
    n = MANY
    columns = {
        "label": [0, 1] * (n // 2) + [1, 0],
        "a": [1] * n + [0.4, 2.6],
        "b": [0] * n + [0.25, 1],
        "w": [2] * n + [0.5, 1.5],
    }
    path = write(tmp_path / f"x{suffix}", columns)
    rows = scan(path, p="labels:label", q="logits:a,b", classes=2, weights="w")
    last = list(rows.chunks())[-1]
    assert last.q.array[-2:].tolist() == [[0.4, 0.25], [2.6, 1.0]]
    assert last.weights[-3:].tolist() == [2.0, 0.5, 1.5]
    assert last.p.array[-2:].tolist() == [1, 0]


WRITTEN = ["1.0", "1", "1e3", "1000", "true", "t", "12:00", "12:00:00", "007", "7", " 7", "NaN"]


@pytest.mark.parametrize("first", WRITTEN)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_groups_and_ids_are_text_exactly_as_written(tmp_path, suffix, first):
    names = [first] * 50 + WRITTEN
    columns = {"label": [0] * len(names), "q": [0.5] * len(names), "site": names}
    path = write(tmp_path / f"x{suffix}", columns)
    assert column(path, "groups", by="site") == sorted(WRITTEN)
    assert len(set(column(path, "keys", id="site").tolist())) == len(WRITTEN)
    assert len(set(column(path, "clusters", cluster="site").tolist())) == len(WRITTEN)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("q", "0,5", r"column 'q' row 30000 is no number, got '0,5'"),
        ("w", "heavy", r"column 'w' row 30000 is no number, got 'heavy'"),
        ("label", "1.5", r"row 30000 is not a class number, got 1\.5"),
        ("label", "dog", r"column 'label' row 30000 is no number, got 'dog'"),
        ("label", "", r"column 'label' row 30000 has no label \(null\)"),
        ("q", "", r"column 'q' row 30000 has no value \(null\)"),
    ],
)
def test_what_does_not_parse_is_named_by_file_row_and_text(tmp_path, name, value, text):
    path = tmp_path / "x.csv"
    last = {"label": "1", "q": "0.5", "w": "1"} | {name: f'"{value}"' if value else ""}
    path.write_text("label,q,w\n" + "1,0.5,1\n" * MANY + ",".join(last.values()) + "\n")
    with pytest.raises(InputError, match=rf"x\.csv.*{text}"):
        list(scan(path, p="labels:label", q="probs:q", weights="w").chunks())


CELLS = {
    "id": st.integers(-(10**17), 10**17),
    "site": st.sampled_from(["north", "south", "7", "1.0", "true"]),
    "w": st.one_of(st.integers(0, 9), st.floats(1e-9, 9)),
    "a": st.one_of(st.integers(-9, 9), st.floats(-9, 9)),
    "b": st.floats(-9, 9),
}


@settings(max_examples=20)
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=8))
def test_any_csv_gives_what_the_same_table_gives_in_parquet(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("same")
    columns = {name: [row[name] for row in rows] for name in CELLS} | {"label": [0] * len(rows)}
    table = columns | {name: [float(x) for x in columns[name]] for name in "wab"}
    options = {"p": "labels:label", "q": "logits:a,b", "classes": 2, "weights": "w", "id": "id"}
    options |= {"by": "site", "cluster": "site"}
    mine, theirs = (
        next(scan(path, **options).chunks())
        for path in (write(folder / "x.csv", columns), write(folder / "x.parquet", table))
    )
    assert mine.q.array.tolist() == theirs.q.array.tolist()
    assert mine.weights.tolist() == theirs.weights.tolist()
    assert mine.keys.tolist() == theirs.keys.tolist()
    assert mine.clusters.tolist() == theirs.clusters.tolist()
    assert mine.groups["site"][1] == theirs.groups["site"][1]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_condition_sees_the_type_that_all_rows_have(tmp_path, suffix):
    columns = {
        "label": [1] * MANY + [1, 1],
        "q": [0.5] * (MANY + 2),
        "year": [3] * MANY + [0.4, 0.6],
    }
    path = write(tmp_path / f"x{suffix}", columns)
    assert sum(map(len, scan(path, by="year", where="year < 0.5", q="probs:q").chunks())) == 1
    assert sum(map(len, scan(path, where="year < 0.5", q="probs:q").chunks())) == 1
    assert scan(path, where="year < 0.5", q="probs:q").source.parts()[0].n_rows is None


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_is_written_again_has_the_types_of_all_its_rows(tmp_path, suffix):
    columns = {
        "whole": [1] * MANY + [2],
        "late": [1] * MANY + [0.4],
        "zip": ["007"] * MANY + ["7"],
        "when": ["2024-01-31"] * (MANY + 1),
        "yes": ["true"] * MANY + ["t"],
        "both": ["12:00"] * MANY + ["12:00:00"],
    }
    rows = open_source(write(tmp_path / f"x{suffix}", columns)).typed()
    *_, (_, last) = rows.batches(list(columns), 1 << 14)
    found = {name: last[name][-1].as_py() for name in columns}
    assert {name: str(x) for name, x in found.items()} == {
        name: str(values[-1]) for name, values in columns.items()
    }
    assert [type(found[name]) for name in ("whole", "late", "zip")] == [int, float, str]


def test_features_are_numbers_whatever_the_first_rows_look_like(tmp_path):
    columns = {"label": [0, 1] * (MANY // 2), "f": [1] * (MANY - 1) + [0.4]}
    rows = scan_features(write(tmp_path / "x.csv", columns), x="f", p="labels:label")
    *_, last = rows.chunks()
    assert last.x[-1].tolist() == [0.4]


# ---------------------------------------------------------------- files that are not what they say


def test_gzip_whose_checksum_is_wrong_is_refused(tmp_path):
    path = tmp_path / "x.csv.gz"
    spoiled = bytearray(gzip.compress(b"label,q\n1,0.5\n"))
    spoiled[-6] ^= 255
    path.write_bytes(spoiled)
    with pytest.raises(InputError, match=r"x\.csv\.gz: cannot be read as gz, got CRC check failed"):
        list(scan(path, q="probs:q").chunks())


@pytest.mark.parametrize(
    "text",
    ["# made by hand\nlabel,q\n1,0.5\n", "label,q\n1,0.5\n# later\n1,0.5\n"],
)
def test_csv_with_lines_of_comment_or_of_other_lengths_is_refused(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"line \d has \d fields where the header has|no column"):
        list(scan(path, p="labels:label", q="probs:q").chunks())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        '{"label": 1, "q": 0.5,}',
        '{"label": 1, "q": 0.5, "x": [1,2, ]}',
        '{"label": 1, /* c */ "q": 0.5}',
    ],
)
def test_json_with_trailing_commas_or_comments_is_refused(tmp_path, line, packed):
    path = tmp_path / ("x.jsonl.gz" if packed else "x.jsonl")
    text = (f'{{"label": 1, "q": 0.5, "u": "http://a/*b*/,]"}}\n{line}\n').encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(InputError, match="is no json, got"):
        list(scan(path, p="labels:label", q="probs:q").chunks())


def test_strings_of_json_may_hold_what_looks_like_a_comment(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"label": 1, "q": 0.5, "u": "http://a/*b*/,] \\" , }"}\n' * 3)
    assert sum(map(len, scan(path, p="labels:label", q="probs:q").chunks())) == 3


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_fields_of_csv_may_be_long(tmp_path, size):
    path = tmp_path / "x.csv"
    path.write_text(f'label,q,text\n1,0.5,"{"x" * size}"\n')
    assert sum(map(len, scan(path, p="labels:label", q="probs:q").chunks())) == 1
    path.write_text(f'label,q,text\n1,0.5,"{"x" * size}"\n1,0.5\n')
    with pytest.raises(InputError, match="line 3 has 2 fields where the header has 3"):
        list(scan(path, p="labels:label", q="probs:q").chunks())


def test_two_columns_of_one_name_are_refused_in_every_format(tmp_path):
    (tmp_path / "x.csv").write_text("label,q,q\n1,0.5,0.1\n")
    (tmp_path / "x.jsonl").write_text('{"label": 1, "q": 0.5, "q": 0.1}\n')
    twice = pa.table([[1], [0.5], [0.1]], names=["label", "q", "q"])
    pq.write_table(twice, tmp_path / "x.parquet")
    for data in (*sorted(tmp_path.iterdir()), twice):
        with pytest.raises(InputError, match=r"two columns are called 'q'|duplicate key"):
            list(scan(data, p="labels:label", q="probs:q").chunks())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv.gz", "label" + "a" * 5000),
        ("t.csv.gz", "label,x\n1,2,3\n" + "1" * 5000),
        ("t.jsonl.gz", '{"label": 1}\n{"label": ' + "1" * 5000),
    ],
)
def test_a_line_that_would_take_all_memory_is_refused(name, text, tmp_path, monkeypatch):
    from pandq.read import sound

    monkeypatch.setattr(sound, "LONGEST_LINE", 1000)
    with gzip.open(tmp_path / name, "wt") as stream:
        stream.write(text)
    with pytest.raises(InputError, match=r"too long to be read|line 2 has 3 fields"):
        list(scan(tmp_path / name, p="labels:label", q="probs:x").chunks())


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (b"\nlabel,a,b\n0,0.5,0.5\n", "begins with an empty line"),
        ("label,a,b\n0,0.5,0.5\n".encode("utf-16"), "is not UTF-8 text"),
        (b"label,a,b\xe9\n0,0.5,0.5\n", "is not UTF-8 text"),
        (b"Label,label,a,b\n1,0,0.5,0.5\n", "'Label' and 'label' differ by capitals alone"),
    ],
)
def test_header_that_names_no_columns_is_refused_in_words(tmp_path, stored, text):
    path = tmp_path / "x.csv"
    path.write_bytes(stored)
    with pytest.raises(InputError, match=text):
        scan(path, p="labels:label", q="probs:a,b")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv_is_read_in_little_memory(tmp_path, monkeypatch, suffix):
    path, text = tmp_path / f"x{suffix}", b"label,a,b\n0,0.5,0.5\n1,0.25,0.75\n"
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    little = (*database._SETTINGS, "memory_limit = '300MB'")
    monkeypatch.setattr(database, "_SETTINGS", little)
    (chunk,) = scan(path, p="labels:label", q="probs:a,b").chunks()
    assert chunk.q.array.tolist() == [[0.5, 0.5], [0.25, 0.75]]
