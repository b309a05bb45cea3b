"""What a layout sees of its file, as SQL: names that it knows, what an item carries, the truth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.errors import InputError
from pandq.read.columns import is_list
from pandq.read.database import quoted
from pandq.read.query import FILE, TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.read.layout import Layout
    from pandq.read.relations import Relation

# The number of a row in its table, for layouts that need an order.
ROW = "pandq_row"
# Columns that a layout of answers makes; another of such a name is called file.NAME.
_MADE = ("votes", "annotators")
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")


def is_number(kind: str) -> bool:
    """Is this SQL type one of single numbers?"""
    return bool(_NUMBERS.fullmatch(kind))


def holds_whole(kind: pa.DataType) -> bool:
    """Are the numbers in a list, map or struct of this type whole ones?"""
    if pa.types.is_struct(kind):
        return all(pa.types.is_integer(inner.type) for inner in kind)
    if pa.types.is_map(kind):
        return bool(pa.types.is_integer(kind.item_type))
    return is_list(kind) and bool(pa.types.is_integer(kind.value_type))


def renamed(layout: Layout, table: Relation, found: Mapping[str, list[str]]) -> str:
    """The table under the names that the layout's query has for its columns."""
    needs = layout.needs_of(table.side)
    asked = re.sub(r"--.*", "", layout.query.text)
    single = {x.name for x in needs if not x.several and re.search(rf"\b{x.name}\b", asked)}
    new = {names[0]: need for need, names in found.items() if need in single and names}
    reserved = single | set(_MADE if layout.carries else ())
    parts = []
    for name, kind in table.schema.items():
        called = new.get(name, name)
        if called not in new.values() and called.lower() in reserved:
            called = f"file.{name}"
        if name == layout.unfolds and kind.startswith("STRUCT("):
            parts += [
                f"{quoted(name)}.{quoted(x)} AS {quoted(f'{name}.{x}')}" for x in fields(kind)
            ]
        else:
            parts.append(f"{quoted(name)} AS {quoted(called)}")
    parts += [f"NULL::VARCHAR AS {quoted(name)}" for name in sorted(single) if not found[name]]
    if ROW in asked:
        parts.append(f"row_number() OVER () AS {ROW}")
    return f"SELECT {', '.join(parts)} FROM ({table.sql})"


def fields(kind: str) -> list[str]:
    """The names of a struct's fields, from its type in SQL.

    >>> fields('STRUCT("text" VARCHAR, probs DOUBLE[], "a b" STRUCT(c BIGINT))')
    ['text', 'probs', 'a b']
    """
    inside, found, depth, start = kind[len("STRUCT(") : -1], [], 0, 0
    quoting = False
    for k, letter in enumerate(inside + ","):
        quoting ^= letter == '"'
        depth += 0 if quoting else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoting:
            found.append(inside[start:k].strip())
            start = k + 1
    names = [re.match(r'"((?:[^"]|"")*)"|(\S+)', part) for part in found]
    return [(x[1] or x[2]).replace('""', '"') for x in names if x]


def carried(connection: Any, layout: Layout, varying: list[str]) -> tuple[str, int]:
    """The rows with those other columns of which each item has one value, and how many there are.

    `varying` is told of the columns that were left out.

    Raises:
        InputError: a row has no item.
    """
    item, needs = quoted(str(layout.carries)), {need.name for need in layout.needs}
    names = [x[0] for x in connection.execute(f"DESCRIBE {FILE}_read").fetchall()]
    sql = f"SELECT count(*) FILTER ({item} IS NULL), count(*) FROM {FILE}_read"
    without, n = connection.execute(sql).fetchone()
    if without:
        what = f"{without:,} of {n:,} rows have no {layout.carries}"
        raise InputError(what, remedy=f"Say which column names it: --{layout.carries} COLUMN.")
    others = [name for name in names if name not in needs and name != ROW]
    if not others:
        return f"SELECT * FROM {FILE}_read", n
    same = ", ".join(
        f"min({quoted(x)}::VARCHAR) IS NOT DISTINCT FROM max({quoted(x)}::VARCHAR) AS c{k}"
        for k, x in enumerate(others)
    )
    all_same = ", ".join(f"coalesce(bool_and(c{k}), true)" for k in range(len(others)))
    sql = f"SELECT {all_same} FROM (SELECT {same} FROM {FILE}_read GROUP BY {item})"
    kept = connection.execute(sql).fetchone()
    varying += [name for name, one in zip(others, kept, strict=True) if not one]
    gone = f" EXCLUDE ({', '.join(map(quoted, varying))})" if varying else ""
    return f"SELECT *{gone} FROM {FILE}_read", n


def with_truth(connection: Any, keys: Mapping[str, str], notes: list[str]) -> str:
    """The rows with the truth of the second table, joined by an id; `notes` are told of the rest.

    Args:
        connection: in which both are views.
        keys: what the column of ids is called in each.
        notes: how many rows were joined and left out.

    Raises:
        InputError: an id is a duplicate, or none is in both.
    """
    counts = []
    for side, key in keys.items():
        name = quoted(key)
        sql = f"SELECT count(*), count(*) - count(DISTINCT {name}) FROM {side}_read"
        n, repeated = connection.execute(sql).fetchone()
        if repeated:
            one = connection.execute(
                f"SELECT {name} FROM {side}_read GROUP BY 1 HAVING count(*) > 1 LIMIT 1"
            ).fetchone()[0]
            which = "first" if side == FILE else "second"
            what = f"{repeated:,} rows of the {which} file repeat an id, such as {one!r}"
            raise InputError(what, remedy="Each id stands once in each file.")
        counts.append(n)
    theirs = [x[0] for x in connection.execute(f"DESCRIBE {TRUTH}_read").fetchall()]
    mine = {x[0] for x in connection.execute(f"DESCRIBE {FILE}_read").fetchall()}
    wanted = ", ".join(
        f"t.{quoted(x)}" + (f" AS {quoted(f'truth.{x}')}" if x in mine else "")
        for x in theirs
        if x != keys[TRUTH]
    )
    both = (
        f"SELECT f.* EXCLUDE ({ROW}), {wanted} FROM"
        f" (SELECT *, row_number() OVER () AS {ROW} FROM {FILE}_read) f JOIN {TRUTH}_read t"
        f" ON f.{quoted(keys[FILE])}::VARCHAR = t.{quoted(keys[TRUTH])}::VARCHAR"
        f" ORDER BY f.{ROW}"
    )
    matched = connection.execute(f"SELECT count(*) FROM ({both})").fetchone()[0]
    if not matched:
        raise InputError(
            what="no id of one file is in the other", got=f"{counts[0]:,} and {counts[1]:,} ids"
        )
    notes.append(f"joined by id: {matched:,} rows in both files")
    if max(counts) > matched:
        notes.append(
            f"left out: {counts[0] - matched:,} rows whose id is only in the first file,"
            f" {counts[1] - matched:,} whose id is only in the second"
        )
    return both
