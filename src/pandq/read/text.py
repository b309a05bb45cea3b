"""csv, tsv and json as a Source, read by duckdb: nothing in them has a type until it is asked for.

A column's first rows say what it seems to hold, which is its type in the schema; what is read is
text exactly as written, or in json the numbers as float64, whatever the first rows looked like.
"""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TextIO

from pandq.errors import InputError, near_names
from pandq.read.condition import Condition
from pandq.read.database import database, literal, place, quoted, require_apart
from pandq.read.files import TableFiles, readable, require, types
from pandq.read.paths import JSON, TEXT, has_suffix
from pandq.read.places import local, once
from pandq.read.sound import LONGEST_LINE, lines, opened, require_sound
from pandq.read.unchanged import unchanged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from pandq.read.parts import Part
    from pandq.read.places import Place

# The folders that a file lies in say nothing of its columns.
_NO_PARTITIONS = "hive_partitioning = false"
_WHOLE = re.compile(r"\b(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DECIMAL\(\d+, ?\d+\))")
# What a column of text holds if all of it is written so, the narrowest first; as it is written is
# as it is kept, so that "007" is no number.
_WRITTEN = {
    "BIGINT": "regexp_full_match({0}, '-?(0|[1-9][0-9]{{0,17}})')",
    "DOUBLE": "regexp_full_match(lower({0}), '"
    "[-+]?((0|[1-9][0-9]*)?([.][0-9]*)?(e[-+]?[0-9]+)?|nan|inf(inity)?)"
    "') AND TRY_CAST({0} AS DOUBLE) IS NOT NULL",
    "BOOLEAN": "lower({0}) IN ('true', 'false')",
    "DATE": "regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
    " AND TRY_CAST({0} AS DATE) IS NOT NULL",
    "TIMESTAMP": "TRY_CAST({0} AS TIMESTAMP) IS NOT NULL",
    # a condition may ask for an element; where rows are kept as they are written this stays text
    "DOUBLE[]": "starts_with(ltrim({0}), '[') AND TRY_CAST({0} AS DOUBLE[]) IS NOT NULL",
}


class TextFiles(TableFiles):
    """csv, tsv and json, perhaps under a condition.

    `text` names the columns of json that are read as text though they hold numbers; `typed` says
    that columns come in the types that all of their rows have, as they are written elsewhere.
    """

    where: str | None = None
    condition: Condition | None = None
    text: frozenset[str] = frozenset()
    whole: bool = False

    def __init__(self, files: Sequence[Place]) -> None:
        super().__init__(files)
        # a file without rows says nothing of what its columns hold
        for empty, following in pairwise(self.files):
            with readable(empty), _answer(f"FROM {_sniffed(empty)} LIMIT 1", file=empty) as reader:
                if reader.read_all().num_rows:
                    break
            with readable(following):
                self.schema = self.read_schema(following)

    def under(self, where: str) -> Self:
        """The rows that satisfy a condition, which duckdb reads no others of."""
        found = copy(self)
        found.where, found.condition = where, Condition.of(where, self.schema)
        return found

    def as_text(self, columns: Sequence[str]) -> Self:
        """The same rows, with columns exactly as they are written."""
        found = copy(self)
        found.text = self.text | set(columns)
        return found

    def typed(self) -> Self:
        """The same rows, with every column in the type that all of its rows have."""
        found = copy(self)
        found.whole = True
        return found

    def read_schema(self, file: Place) -> Mapping[str, pa.DataType]:
        """What the first rows look like."""
        require_sound(file)
        names = header(file) if has_suffix(file, TEXT) else None
        sql = f"SELECT * FROM {_sniffed(file)} LIMIT 0"
        with _answer(sql, file=file) as reader:
            found = types(reader.schema)
        if names is None:
            return found
        if len(names) != len(found):
            got = f"{len(names)} names where the rows have {len(found)} fields"
            raise InputError(what="has a header that does not fit its rows", got=got)
        return dict(zip(names, found.values(), strict=True))

    def count(self, part: Part) -> int:
        """Count with duckdb, which parses no column that the condition does not need."""
        file = self.files[part.piece[0]]
        sql, same = self._query(file, ()), unchanged([self.versions[part.piece[0]]])
        with readable(file), same, database([file]) as connection, sql_errors(self.where, file):
            return int(connection.execute(sql).fetchone()[0])

    def read_piece(
        self, file: Place, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns of the rows that satisfy the condition."""
        del piece
        require_sound(file)
        sql = self._query(file, columns)
        with _answer(sql, rows, where=self.where, file=file) as reader:
            yield from reader

    def _query(self, file: Place, columns: Sequence[str]) -> str:
        """SQL for these columns, or for the number of rows."""
        looked_at = () if self.condition is None else self.condition.columns
        held = self.held(file, [*columns, *looked_at])
        typed = [name for name in columns if self.whole and name not in self.text]
        seen_as = self.written([*typed, *looked_at])
        kinds = {name: "VARCHAR" if "[" in kind else kind for name, kind in seen_as.items()}
        source = relation(file, held)
        if self.condition is None:
            own = {name: kinds[name] for name in typed if name in kinds}
            wanted = ", ".join(_as(name, name, own) for name in columns) or "count(*) AS n"
            return f"SELECT {wanted} FROM {source}"
        # the condition sees numbers where all rows hold some, beside the text that is read
        stem = "_" * (1 + max(map(len, self.schema)))
        inner = [_as(name, name, seen_as) for name in looked_at]
        outer = []
        for k, name in enumerate(columns):
            inner.append(_as(name, f"{stem}{k}", kinds if name in typed else {}))
            outer.append(f"{quoted(f'{stem}{k}')} AS {quoted(name)}")
        wanted = ", ".join(outer) or "count(*) AS n"
        seen = ", ".join(inner) or "1"
        return f"SELECT {wanted} FROM (SELECT {seen} FROM {source}) WHERE {self.condition.sql}"

    def held(self, file: Place, columns: Sequence[str]) -> dict[str, str]:
        """The type in which duckdb is to read each column of the file."""
        if has_suffix(file, TEXT):
            names = header(file)
            require(columns, dict.fromkeys(names))
            return dict.fromkeys(names, "VARCHAR")
        require(columns, _described(file))
        found = _described(self.files[0], whole=self.whole)
        return {name: self._json_type(name, found[name]) for name in dict.fromkeys(columns)}

    def _json_type(self, name: str, kind: str) -> str:
        """Numbers as float64, unless their text is asked for; dates and the like as text."""
        if "[" in kind or "(" in kind:
            return kind if self.whole else _WHOLE.sub("DOUBLE", kind)
        number = _WHOLE.fullmatch(kind) or kind == "DOUBLE"
        return "DOUBLE" if number and name not in self.text and not self.whole else "VARCHAR"

    def written(self, columns: Sequence[str]) -> dict[str, str]:
        """The types in SQL that columns of text are written in, by all rows of all files."""
        held = self.held(self.files[0], columns)
        asked = [name for name in dict.fromkeys(columns) if held[name] == "VARCHAR"]
        found = dict.fromkeys(asked, "VARCHAR")
        fits = [self._fits(file, asked) for file in self.files if asked]
        for name in asked:
            for place_of_kind, kind in reversed(list(enumerate(_WRITTEN))):
                if all(fit[name][place_of_kind] for fit in fits):
                    found[name] = kind
        return found

    def _fits(self, file: Place, columns: Sequence[str]) -> dict[str, list[bool]]:
        """Which of the types all rows of a file are written in, for each column."""
        lists = []
        for name in map(quoted, columns):
            tests = (f"coalesce(bool_and({x.format(name)}), false)" for x in _WRITTEN.values())
            lists.append(f"[{', '.join(tests)}] AS {name}")
        sql = f"SELECT {', '.join(lists)} FROM {relation(file, self.held(file, columns))}"
        with _answer(sql, file=file) as reader:
            row: dict[str, list[bool]] = reader.read_all().to_pylist()[0]
        return row


def header(file: Place) -> list[str]:
    """The names of a csv's columns.

    Raises:
        InputError: they are no text, or two are the same, or differ by capitals alone.
    """
    with opened(file) as stream:
        _, names = next(_records(stream, file), (1, []))
    written = "".join(names)
    if len(names) < 2 and not written.strip():
        remedy = "Begin with a line of the columns' names."
        raise InputError(what="begins with an empty line", where=str(file), remedy=remedy)
    if "\0" in written or "\ufffd" in written:
        raise InputError(what="is not UTF-8 text", where=str(file), remedy="Save it as UTF-8.")
    names = [name or f"column{k}" for k, name in enumerate(names)]
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise InputError(what=f"two columns are called {twice!r}", where=str(file))
    require_apart(names, str(file))
    return names


def _records(stream: TextIO, file: Place) -> Iterator[tuple[int, list[str]]]:
    """The rows of a csv, each with the number of its last line."""
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(lines(stream, file), delimiter=_delimiter(file))
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise InputError(
            what="cannot be read as csv", where=str(file), got=f"line {reader.line_num}: {error}"
        ) from None


def _delimiter(file: Place) -> str:
    """The separator that the header line uses most."""
    with opened(file) as stream:
        first = stream.readline(1 << 20)
    return max(",\t;|", key=first.count)


def _sniffed(file: Place) -> str:
    """A file in a FROM clause, with types by its first rows."""
    if has_suffix(file, JSON):
        return f"read_json({place(file)}, {_NO_PARTITIONS})"
    return f"read_csv({place(file)}, {_dialect(file)}, skip = 0, comment = '')"


def relation(file: Place, held: Mapping[str, str]) -> str:
    """A file in a FROM clause, with these types and no others."""
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in held.items())
    given = f", columns = {{{columns}}}" if columns else ""
    if has_suffix(file, JSON):
        return f"read_json({place(file)}, {_NO_PARTITIONS}{given})"
    return f"read_csv({place(file)}, {_dialect(file)}, auto_detect = false{given})"


def _dialect(file: Place) -> str:
    # no padding of short rows, no skipping of bad ones or of comments: a ragged row is an error
    return (
        f"header = true, delim = {literal(_delimiter(file))}, quote = '\"', escape = '\"',"
        f" max_line_size = {_LONGEST_ROW}, buffer_size = {_LONGEST_ROW}, {_NO_PARTITIONS}"
    )


# Bytes of a csv's row, and of each of the few buffers that duckdb fills: sixteen rows if not told.
_LONGEST_ROW = 1 << 25


def _described(file: Place, *, whole: bool = False) -> dict[str, str]:
    """The types of json's columns in SQL, by its first rows or by all of them."""
    return once(_described_once, file, whole=whole)


def _described_once(file: Place, *, whole: bool) -> dict[str, str]:
    sample = ", sample_size = -1" if whole else ""
    read = f"read_json({place(file)}, {_NO_PARTITIONS}{sample})"
    with _answer(f"DESCRIBE SELECT * FROM {read}", file=file) as reader:
        found = reader.read_all()
    names, kinds = found.column("column_name"), found.column("column_type")
    return dict(zip(names.to_pylist(), kinds.to_pylist(), strict=True))


def _as(name: str, new: str, kinds: Mapping[str, str]) -> str:
    kind = kinds.get(name, "VARCHAR")
    value = quoted(name) if kind == "VARCHAR" else f"CAST({quoted(name)} AS {kind})"
    return f"{value} AS {quoted(new)}"


@contextmanager
def _answer(
    sql: str, rows: int = 1, *, where: str | None = None, file: Place
) -> Iterator[pa.RecordBatchReader]:
    with database([file]) as connection, sql_errors(where, file):
        yield connection.sql(sql).to_arrow_reader(rows)


@contextmanager
def sql_errors(
    where: str | None,
    file: Place | None = None,
    *,
    known: Iterable[str] = (),
    option: str = "--where",
) -> Iterator[None]:
    """What duckdb says, as one line; `known` are the columns that a condition may name.

    `option` is what the user wrote the SQL after.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if file is not None and has_suffix(file, TEXT) and (ragged := _ragged_line(file)):
            raise InputError(what=ragged) from None
        told = re.split(r"\bLINE \d+:", str(error))[0]  # what follows is SQL that nobody wrote
        if file is not None:
            told = told.replace(str(local(file).absolute()), str(file))
        told = re.sub(r"Original Line: .*\n?", "", told)
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        text = "; ".join(dict.fromkeys(lines[:_SQL_ERROR_LINES]))[:_LONGEST_TOLD]
        unknown = re.search(r'Referenced column "([^"]+)" not found', told)
        if where is not None and unknown and (names := list(known)):
            what, remedy = (
                f"{option}: there is no column {unknown[1]!r}",
                near_names(unknown[1], names),
            )
            raise InputError(what=what, remedy=remedy) from None
        of_file = file is not None and ("CSV Error" in told or str(file) in told)
        of_sql = isinstance(error, duckdb.ProgrammingError | duckdb.DataError)
        if where is not None and of_sql and not of_file:
            of = "condition on" if option == "--where" else "query of"
            raise InputError(what=f"{option} is no {of} these columns", got=text) from None
        if file is None:
            raise InputError(what="duckdb cannot do this", got=text) from None
        kind = file.suffix.lstrip(".")
        remedy = "It may be truncated or of another format."
        raise InputError(what=f"cannot be read as {kind}", got=text, remedy=remedy) from None


_SQL_ERROR_LINES, _LONGEST_TOLD = 3, 400


def _ragged_line(file: Place) -> str:
    """Which line of a csv has another number of fields than its header, if any has."""
    with opened(file) as stream:
        records = _records(stream, file)
        _, first = next(records, (1, []))
        width = len(first)
        for line, fields in records:
            if fields and len(fields) != width:
                return f"line {line} has {len(fields)} fields where the header has {width}"
    return ""
