"""A query of somebody else's sees the rows that it is given and nothing else of the machine."""

import duckdb
import pytest

from pandq import InputError, scan
from pandq.read.database import database
from pandq.read.laid import lay
from pandq.read.query import Query

# Each tries to read {secret}, to write {out}, or to leave something behind.
ATTEMPTS = {
    "read_csv": "(SELECT content FROM read_text('{secret}')) AS label",
    "a file for a table": "(SELECT count(*) FROM '{secret}') AS label",
    "another table in a join": "a FROM file JOIN read_csv('{secret}') USING (a) --",
    "a glob": "(SELECT count(*) FROM glob('{secret}*')) AS label",
    "copy": "a FROM file; COPY file TO '{out}'; SELECT a",
    "copy in brackets": "(COPY file TO '{out}')",
    "attach": "a FROM file; ATTACH '{out}'; SELECT a",
    "install": "a FROM file; INSTALL httpfs; SELECT a",
    "load": "a FROM file; LOAD httpfs; SELECT a",
    "set": "a FROM file; SET enable_external_access = true; SELECT a",
    "pragma": "a FROM file; PRAGMA database_list; SELECT a",
    "export": "a FROM file; EXPORT DATABASE '{out}'; SELECT a",
    "create": "a FROM file; CREATE TABLE file AS SELECT 1; SELECT a",
    "two selects": "a FROM file; SELECT a",
    "the environment": "getenv('HOME') AS label",
    "the settings": "current_setting('temp_directory') AS label",
    "the settings as a table": "(SELECT value FROM duckdb_settings() LIMIT 1) AS label",
    "the catalogue": "(SELECT count(*) FROM information_schema.tables) AS label",
    "a query in a text": "(SELECT a FROM query('SELECT content FROM read_text(''{secret}'')'))",
    "a table by its name": "(SELECT count(*) FROM query_table('{secret}')) AS label",
    "show": "(SELECT count(*) FROM (SHOW TABLES)) AS label",
    "describe": "(SELECT count(*) FROM (DESCRIBE file)) AS label",
    "the clock": "now() AS label",
    "the clock without brackets": "current_date AS label",
    "chance": "random() AS label",
    "a parameter": "$1 AS label",
    "a sequence": "nextval('x') AS label",
    "brackets without end": "(" * 5000 + "a" + ")" * 5000,
    "nothing": " ",
    "text that is none": "a \ud800",
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "x.csv").write_text("a,label\n1,0\n2,1\n")
    (tmp_path / "secret.csv").write_text("a,content\n1,hidden\n")
    return tmp_path


def attempt(name, files):
    text = ATTEMPTS[name]
    return text.replace("{secret}", str(files / "secret.csv")).replace(
        "{out}", str(files / "out.csv")
    )


def without_traces(files):
    return sorted(file.name for file in files.iterdir()) == ["secret.csv", "x.csv"]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_select_that_reaches_for_more_is_refused(name, files):
    with pytest.raises(InputError) as refused:
        lay(files / "x.csv", select=attempt(name, files))
    assert "hidden" not in str(refused.value)
    assert without_traces(files)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_layout_that_reaches_for_more_is_refused(name, files, tmp_path_factory):
    own = tmp_path_factory.mktemp("own") / "mine.sql"
    text = f"-- Mine.\nSELECT {attempt(name, files)}\nFROM file\n"
    own.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError) as refused:
        lay(files / "x.csv", layout=str(own))
    assert "hidden" not in str(refused.value)
    assert without_traces(files)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_condition_that_reaches_for_more_is_refused(name, files):
    text = attempt(name, files).removesuffix(" AS label")
    with pytest.raises(InputError) as refused:
        list(scan(files / "x.csv", p="labels:label", q="probs:a", where=text).chunks())
    assert "hidden" not in str(refused.value)
    assert without_traces(files)


def test_no_function_that_gives_a_table_is_let_through_but_those_that_read_nothing():
    sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table'"
    known = {name for (name,) in duckdb.connect().execute(sql).fetchall()}
    passed = set()
    for name in known:
        try:
            Query.of(f'SELECT * FROM "{name}"(1)', option="--select")
        except InputError:
            continue
        passed.add(name)
    assert passed <= {"unnest", "range", "generate_series", "json_each"}


def test_what_runs_a_query_sees_no_other_file_even_if_one_were_let_through(files, tmp_path):
    with database([files / "x.csv"]) as connection, pytest.raises(duckdb.Error):
        connection.execute(f"SELECT * FROM read_text('{files / 'secret.csv'}')")


def test_a_query_with_tables_and_comments_of_its_own_is_run(files):
    own = files / "mine.sql"
    own.write_text(
        "-- Mine.\nWITH twice AS (SELECT a * 2 AS a, label FROM file)\n"
        "SELECT a, label FROM twice ORDER BY a DESC -- the end"
    )
    ((_, batch),) = lay(files / "x.csv", layout=str(own)).source.batches(["a"], 10)
    assert batch["a"].to_pylist() == [4, 2]
