"""A condition on rows: one SQL expression, of a row's own values, that is the same each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from pandq.errors import InputError
from pandq.read.columns import as_arrow
from pandq.read.database import database, quoted, require_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Names without parentheses that are the clock's where no column is called so.
CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
# Functions of the clock or of the session that say in no other way that they are.
_SESSION = {"age", "current_setting", "getvariable"}
_FORBIDDEN = {
    "SUBQUERY": "a query of its own",
    "WINDOW": "a window over other rows",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its position",
}
_REMEDY = "Give one expression of columns, such as \"site = 'north' AND score > 0.5\"."


@dataclass(frozen=True, slots=True)
class Condition:
    """What `--where` says, and the columns that it looks at."""

    text: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, text: str, schema: Iterable[str]) -> Self:
        """A condition on columns of these names.

        Raises:
            InputError: it is more than one expression, looks beyond its row, or is not the same
                each time that it is asked.

        >>> Condition.of("a > 1 AND lower(b) = 'x'", ["a", "b", "c"]).columns
        ('a', 'b')
        """
        tree = _parsed(text)
        seen = {name.lower() for name in _named(tree)}
        _require_steady(tree, known={name.lower() for name in schema})
        everything = any(node.get("class") == "STAR" for node in nodes(tree))
        columns = tuple(name for name in schema if everything or name.lower() in seen)
        require_apart(columns, "--where")
        return cls(text, columns)

    @property
    def sql(self) -> str:
        """The condition in SQL; on lines of its own, as it may end in a comment."""
        return f"(\n{self.text}\n)"

    def rows(self, connection: Any, batch: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The numbers of the rows that satisfy it, in order."""
        row = "row" + "_" * max(map(len, self.columns), default=0)
        n = len(next(iter(batch.values())))
        table = {name: _known_to_sql(as_arrow(batch[name])) for name in self.columns}
        connection.register("rows", pa.table({**table, row: np.arange(n)}))
        sql = f"SELECT {quoted(row)} FROM rows WHERE {self.sql}"
        kept: np.ndarray[Any, Any] = connection.sql(sql).fetchnumpy()[row]
        return np.sort(kept)


def _known_to_sql(column: pa.Array) -> pa.Array:
    """A column in a type that duckdb has: it has no half-precision numbers."""
    kind = column.type
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    for is_list, make in (
        (pa.types.is_list, pa.list_),
        (pa.types.is_large_list, pa.large_list),
    ):
        if is_list(kind) and pa.types.is_float16(kind.value_type):
            return column.cast(make(pa.float32()))
    if pa.types.is_fixed_size_list(kind) and pa.types.is_float16(kind.value_type):
        return column.cast(pa.list_(pa.float32(), kind.list_size))
    return column


def statements(sql: str) -> list[Any]:
    """The trees of some SELECTs, as duckdb parses them.

    Raises:
        ValueError: it is no SQL, or SQL that does anything but select.

    >>> len(statements("SELECT 1"))
    1
    """
    import duckdb

    with database() as connection:
        try:
            answer = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()[0]
            tree = json.loads(answer)
        except (duckdb.Error, RecursionError) as error:
            raise ValueError(str(error).splitlines()[0]) from None
    if tree["error"]:
        raise ValueError(str(tree["error_message"]).splitlines()[0])
    found: list[Any] = [statement["node"] for statement in tree["statements"]]
    return found


def _parsed(text: str) -> Any:
    """The expression's tree."""
    try:
        found = statements(f"SELECT (\n{text}\n)")
    except ValueError as error:
        raise _no_condition(str(error)) from None
    node = found[0]
    alone = len(found) == 1 and node["type"] == "SELECT_NODE"
    if not alone or len(node["select_list"]) != 1 or node["from_table"]["type"] != "EMPTY":
        raise _no_condition(got="more than one expression")
    root = node["select_list"][0]
    # what brackets make of nothing, or of several expressions
    if root.get("function_name") == "row":
        raise _no_condition(got="several expressions" if root["arguments"] else "none")
    return root


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
        waiting += (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        )


def _named(tree: Any) -> Iterator[str]:
    """Every name that may be a column's."""
    for node in nodes(tree):
        if node.get("class") == "COLUMN_REF":
            yield from node["column_names"]


def _require_steady(tree: Any, known: set[str]) -> None:
    """Refuse what looks beyond the row, and what two passes could answer differently."""
    for node in nodes(tree):
        if what := _FORBIDDEN.get(node.get("class", "")):
            raise _no_condition(what)
        if node.get("class") == "COLUMN_REF":
            name = node["column_names"][-1].lower()
            if len(node["column_names"]) == 1 and name in CLOCKS - known:
                raise _unsteady(name)
        if node.get("class") == "FUNCTION":
            _require_steady_function(node["function_name"].lower(), known)


def is_unsteady(name: str) -> bool:
    """Does this function answer otherwise when it is asked again, or tell of the session?"""
    return name in _unsteady_functions() | _SESSION


def _require_steady_function(name: str, known: set[str]) -> None:
    if is_unsteady(name):
        raise _unsteady(got=f"{name}()")
    for definition in _macros().get(name, ()):
        _require_steady(_parsed(definition), known)


@cache
def _unsteady_functions() -> frozenset[str]:
    """Those that draw, count or wait, and those that ask the clock and nothing else."""
    return _names_where(
        "stability = 'VOLATILE' OR (stability <> 'CONSISTENT' AND len(parameters) = 0)"
    )


def _names_where(condition: str) -> frozenset[str]:
    sql = f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {condition}"
    with database() as connection:
        return frozenset(name for (name,) in connection.execute(sql).fetchall())


@cache
def _macros() -> dict[str, list[str]]:
    """What functions that are written in SQL stand for."""
    macros = "FROM duckdb_functions() WHERE function_type = 'macro'"
    found: dict[str, list[str]] = {}
    with database() as connection:
        for name, definition in connection.execute(
            f"SELECT function_name, macro_definition {macros}"
        ).fetchall():
            # one that is called like what it stands for is that
            if f".{name}(" not in definition and f"{name}(" not in definition:
                found.setdefault(name, []).append(definition)
    return found


def _no_condition(got: str) -> InputError:
    return InputError(what="--where is no condition on these columns", got=got, remedy=_REMEDY)


def _unsteady(got: str) -> InputError:
    return InputError(
        what="--where must keep the same rows each time that they are read",
        got=f"{got}, which does not",
        remedy="Write out what time it is; to draw rows, use hash(COLUMN) % 10 = 0.",
    )
