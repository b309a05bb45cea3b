"""Conditions in SQL: one expression of the row, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.hostile import stock, truth
from tests.hostile.case import Build, Given, Judge, Outcome
from tests.hostile.judge import also, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Found = tuple[str, Build, Judge]

CONDITIONS = {
    "a second statement": "true; COPY (SELECT 1) TO 'stolen.csv'",
    "a second statement behind a bracket": "true); COPY (SELECT 1) TO 'stolen.csv'; --",
    "a database": "true); ATTACH 'stolen.db'; --",
    "an export": "true); EXPORT DATABASE 'stolen'; --",
    "a file read": "(SELECT count(*) FROM read_csv('secret.csv')) > 0",
    "a file told": "(SELECT a FROM read_csv('secret.csv'))::int > 0",
    "a file listed": "(SELECT count(*) FROM glob('*')) > 0",
    "text of a file": "(SELECT content FROM read_text('secret.csv')) = 'x'",
    "chance": "random() < 0.5",
    "a new name each time": "uuid() > '8'",
    "the time": "now() > '2020-01-01'",
    "a variable": "getenv('HOME') != ''",
    "a setting": "current_setting('memory_limit') != ''",
    "an extension": "true); INSTALL httpfs; --",
    "a comment": "true --",
    "an open comment": "true /*",
    "an open quote": "name = 'a",
    "an open bracket": "(true",
    "a closed bracket": "true) OR (true",
    "an aggregate": "count(*) > 1",
    "a window": "row_number() OVER () > 5",
    "a list": "[true]",
    "a number": "1",
    "text": "'yes'",
    "NULL": "NULL",
    "nothing": "",
    "a blank": "  ",
    "a statement": "SELECT 1",
    "an order": "true ORDER BY label",
    "a limit": "true LIMIT 3",
    "a union": "true UNION SELECT * FROM rows",
    "a parameter": "label = ?",
    "ten thousand brackets": "(" * 10_000 + "true" + ")" * 10_000,
    "a cross product": "(SELECT count(*) FROM range(1000000000) a, range(1000000000) b) > 0",
    "an endless recursion": "(WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t)"
    " SELECT max(a) FROM t) > 0",
    "division by zero": "label / 0 > 1",
    "a cast that fails": "name::int > 0",
    "an unknown function": "system('touch stolen')",
    "a column that is not there": "lable = 1",
    "bytes that are not UTF-8": "name = '\udcff'",
    "a NUL": "name = 'a\x00b'",
    "markup": "name = '[/red]'",
    "a lambda": "len(list_filter([1], lambda x: x > 0)) > 0",
    "pragma": "true); PRAGMA database_list; --",
}
SELECTED = {
    "a right one": ("label < 2", lambda t: t["label"] < 2),
    "all": ("true", lambda t: t["label"] >= 0),
    "by text": ("name = 'a'", lambda t: t["label"] == 0),
    "of lists": ("probs[1] > 0.3", lambda t: t["probs"][:, 0] > 0.3),
    "of a bracketed either": ("label = 0 OR label = 1", lambda t: t["label"] < 2),
    "with a function": ("abs(label - 1) = 1", lambda t: t["label"] != 1),
}


def _secret(here: Path) -> None:
    (here / "secret.csv").write_text("a\nPASSWORD-IN-HERE\n")


def _condition(sql: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = [*stock.ready("audit", here), "--where", sql, "--json", "out.json"]
        _secret(here)
        return Given(arguments, answer="may", seconds=10)

    return build


def _no_secret(given: Given, outcome: Outcome) -> str:
    told = outcome.out + outcome.err
    return "the secret was told" if "PASSWORD" in told else ""


def _same_rows(given: Given, outcome: Outcome) -> str:
    """What passes over the rows must agree: chance is no condition."""
    return "" if outcome.code == 2 else "rows chosen by chance were answered"


def _selected(
    sql: str, chosen: Callable[[dict[str, np.ndarray]], np.ndarray], suffix: str
) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        import pyarrow.parquet as pq
        from pyarrow import feather

        stock.ready("audit", here)
        table = pq.read_table(here / "t.parquet")
        label, probs = (np.array(table[name].to_pylist()) for name in ("label", "probs"))
        few = chosen({"label": label, "probs": probs})
        right = truth.losses(truth.one_hot(label[few], 3), np.log(probs[few]))
        if suffix == ".feather":
            feather.write_feather(table, here / "t.feather", "uncompressed")
        arguments = ["audit", f"t{suffix}", *stock.COMMANDS["audit"][2:], "--where", sql]
        return Given([*arguments, "--json", "out.json"], truth=right, answer="must")

    return build


def conditions() -> Iterator[Found]:
    """What is no condition, and what is one."""
    for called, sql in CONDITIONS.items():
        drawn = called in ("chance", "a new name each time")
        yield f"--where with {called}", _condition(sql), also(_same_rows if drawn else _no_secret)
    for called, (sql, chosen) in SELECTED.items():
        for suffix in (".parquet", ".feather"):
            yield f"--where {called} in {suffix[1:]}", _selected(sql, chosen, suffix), judged
