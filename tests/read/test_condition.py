"""A condition is one expression of a row's own values, and keeps the same rows each time."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import pandq
from pandq import InputError
from pandq.read.condition import Condition
from pandq.read.database import database
from pandq.read.join import joined

N = 300
COLUMNS = ["a", "b", "day", "list", "probs"]
TEXTS = {
    "a second statement": "1=1; COPY (SELECT 1) TO '{out}'",
    "a second statement in brackets": "1=1); COPY (SELECT 1) TO '{out}'; SELECT (1=1",
    "a database attached": "1=1); ATTACH '{out}'; SELECT (1=1",
    "the tables exported": "1=1); EXPORT DATABASE '{out}'; SELECT (1=1",
    "a file read": "a = (SELECT 1 FROM read_text('{secret}'))",
    "a file read in an IN": "b IN (SELECT content FROM read_text('{secret}'))",
    "a file read in an EXISTS": "EXISTS (FROM read_csv('{secret}'))",
    "a cast that tells": "a = (SELECT content::int FROM read_text('{secret}'))",
    "a union": "1=1) UNION SELECT (1",
    "another table": "1=1) FROM read_text('{secret}') WHERE (1=1",
    "two columns": "a), (b",
    "two expressions": "a > 1, a < 5",
    "nothing": " ",
    "a comment": "-- a",
    "a parameter": "a = $1",
    "a window": "row_number() OVER () < 3",
    "a sum over rows": "sum(a) > 1",
    "text that is none": "a \ud800",
    "brackets without end": "(" * 5000 + "a" + ")" * 5000,
}
UNSTEADY = [
    "random() < 0.5",
    "a < 100 * RANDOM()",
    "uuid() > 'a'",
    "day < now()",
    "day < today()",
    "day < current_date",
    "day < CURRENT_TIMESTAMP",
    "ago(INTERVAL 1 DAY) > day",
    "pg_postmaster_start_time() > day",
    "age(day) > INTERVAL 1 DAY",
    "list_transform(list, lambda x: x + random())[1] > 0",
    "current_setting('threads') = '2'",
    "nextval('s') > 1",
]


def table(n=N):
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "a": np.arange(n),
            "b": pa.array([f"b{i % 7}" for i in range(n)]),
            "label": rng.integers(0, 3, n),
            "probs": pa.array(list(rng.dirichlet(np.ones(3), n)), pa.list_(pa.float64(), 3)),
        }
    )


def written(kind, folder, rows=None):
    rows = table() if rows is None else rows
    if kind == "memory":
        return rows
    path = folder / f"t.{kind}"
    if kind == "csv":
        wide = rows.drop_columns("probs")
        for k in range(3):
            wide = wide.append_column(f"p_{k}", pa.array([x[k].as_py() for x in rows["probs"]]))
        wide.to_pandas().to_csv(path, index=False)
    elif kind == "jsonl":
        rows.to_pandas().to_json(path, orient="records", lines=True)
    elif kind == "feather":
        feather.write_feather(rows, path)
    else:
        pq.write_table(rows, path, row_group_size=70)
    return path


def kept(kind, folder, where):
    q = "probs:p_*" if kind == "csv" else "probs:probs"
    rows = pandq.scan(written(kind, folder), p="labels:label", q=q, id="a", where=where)
    found = [np.asarray(chunk.ids).astype(int) for chunk in rows.chunks()]
    return np.concatenate([np.zeros(0, int), *found])


KINDS = ["parquet", "feather", "csv", "jsonl", "memory"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_keeps_the_same_rows_in_every_format(kind, tmp_path):
    got = kept(kind, tmp_path, "a % 3 = 1 AND b <> 'b2' -- every third")
    rows = np.arange(N)
    assert (got == rows[(rows % 3 == 1) & (rows % 7 != 2)]).all()


@pytest.mark.parametrize("kind", ["parquet", "csv", "memory"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_expression_of_a_row_is_refused(kind, text, tmp_path):
    secret, out = tmp_path / "secret.txt", tmp_path / "out"
    secret.write_text("top secret")
    where = text.format(secret=secret, out=out)
    with pytest.raises(InputError, match=r"where is (no condition|empty)") as caught:
        kept(kind, tmp_path, where)
    assert "top secret" not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("where", UNSTEADY)
def test_what_two_passes_could_answer_differently_is_refused(where):
    with pytest.raises(InputError, match="the same rows each time"):
        Condition.of(where, COLUMNS)


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("A > 1 AND lower(b) = 'x'", ("a", "b")),
        ("month(day) = 2 AND day + INTERVAL 1 DAY > '2024-01-01'", ("day",)),
        ("list_sum(list_filter(list, lambda x: x > 0)) > 1", ("list",)),
        ("nullif(a, 1) IS NOT NULL AND b IN ('x', 'y')", ("a", "b")),
        ("hash(a) % 10 = 0", ("a",)),
        ("COLUMNS(*) IS NOT NULL", tuple(COLUMNS)),
        ("1 = 1", ()),
    ],
)
def test_a_condition_knows_the_columns_that_it_looks_at(where, columns):
    assert Condition.of(where, COLUMNS).columns == columns


def test_a_column_that_is_called_like_a_clock_is_a_column():
    assert Condition.of("current_date > 1", ["current_date"]).columns == ("current_date",)


def test_a_condition_on_half_precision_keeps_the_column_as_it_is(tmp_path):
    half = pa.array([[0.25, 0.75], [0.5, 0.5]], pa.list_(pa.float16()))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"label": [0, 1], "probs": half}), path)
    rows = pandq.scan(path, p="labels:label", q="probs:probs", where="probs[1] > 0.3")
    (chunk,) = rows.chunks()
    assert chunk.q.array.dtype == np.float16
    assert chunk.q.array.tolist() == [[0.5, 0.5]]


def test_a_condition_on_a_join_is_held_to_the_same(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("top secret")
    files = [str(written("parquet", tmp_path)), str(written("feather", tmp_path))]
    assert joined(files[:1], files[1:], "a", where="a < 10 AND \"other.b\" <> 'b0'").matched == N
    for where in (f"a = (SELECT 1 FROM read_text('{secret}'))", "random() < 0.5"):
        with pytest.raises(InputError, match="--where"):
            joined(files[:1], files[1:], "a", where=where)


def test_a_database_sees_the_files_it_is_given_and_nothing_else(tmp_path):
    seen, other = tmp_path / "seen.csv", tmp_path / "other.csv"
    seen.write_text("x\n1\n")
    other.write_text("x\n2\n")
    with database([seen]) as connection:
        assert connection.execute(f"FROM read_csv('{seen}')").fetchall() == [(1,)]
        for sql in (
            f"FROM read_csv('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/out.db'",
            "SET enable_external_access = true",
            "SET threads = 1",
            "FROM other",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


def test_columns_that_differ_by_capitals_alone_cannot_be_told_apart_in_a_condition(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"Site": [1, 2], "site": [2, 1], "label": [0, 1]}), path)
    with pytest.raises(InputError, match="'Site' and 'site' differ by capitals alone"):
        Condition.of("site = 1", ["Site", "site", "label"])
    assert Condition.of("label = 1", ["Site", "site", "label"]).columns == ("label",)
    with pytest.raises(InputError, match="'Site' and 'site' differ by capitals alone"):
        joined([path], [path], "label")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_condition_that_fails_in_a_row_is_blamed_and_not_the_file(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    table = pa.table({"site": ["a", "b"], "label": [0, 1], "p": [0.5, 0.5]})
    (pq.write_table if suffix == ".parquet" else csv.write_csv)(table, path)
    with pytest.raises(InputError, match="--where is no condition on these columns") as caught:
        list(pandq.scan(path, p="labels:label", q="probs:p", where="site::int > 0").chunks())
    assert "truncated" not in str(caught.value)
    assert "LINE" not in str(caught.value)


def test_a_condition_sees_a_list_in_csv_as_parquet_has_it(tmp_path):
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(2), 80)
    table = pa.table({"label": rng.integers(0, 2, 80), "q": list(q)})
    pq.write_table(table, tmp_path / "t.parquet")
    lines = [
        f'{y},"[{a!r}, {b!r}]"'
        for y, (a, b) in zip(table["label"].to_pylist(), q.tolist(), strict=True)
    ]
    (tmp_path / "t.csv").write_text("label,q\n" + "\n".join(lines) + "\n")
    for where in ("q[1] > q[2]", "len(q) = 2", "list_max(q) < 0.9"):
        found = [
            pandq.audit(
                pandq.scan(tmp_path / f"t.{kind}", p="labels:label", q="probs:q", where=where)
            ).to_dict()
            for kind in ("csv", "parquet")
        ]
        assert found[0]["n"] == found[1]["n"] > 0
        assert found[0]["cross_entropy"] == found[1]["cross_entropy"]
