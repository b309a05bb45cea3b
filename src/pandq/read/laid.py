"""Tables that a layout or `--select` makes: duckdb reads the files as they are, and runs a query.

What it makes is written to a temporary file, and is from there on a table like any.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.read.classed import is_classed
from pandq.read.database import database, literal, quoted
from pandq.read.join import MadeFile, as_parquet
from pandq.read.laying import ROW, carried, holds_whole, is_number, renamed, with_truth
from pandq.read.layout import ASKED, NAMING, Layout, fitting, layout_of
from pandq.read.paths import ARRAYS, JSON, expanded, has_suffix
from pandq.read.query import FILE, TRUTH, Query
from pandq.read.recognise import ANNOTATORS
from pandq.read.relations import Relation, described, of_parquet, sql_type
from pandq.read.rooms import room
from pandq.read.sources import Filtered, open_tables
from pandq.read.split import in_order, split
from pandq.read.tables import in_memory
from pandq.read.text import sql_errors
from pandq.read.unchanged import Version, unchanged
from pandq.views import Probs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.parts import Source
    from pandq.read.places import Place


# What `--select` is called among the layouts.
SELECTED = "select"


@dataclass(frozen=True, slots=True)
class Laid:
    """A table that a query made, what its columns are, and what must be said of it.

    `p`, `q` and `annotators` are as `--p` and `--q` would say, `id` a column's name; None where
    the query does not say. `varying` are columns left out because an item has several values;
    `called` is what the file calls the items.
    """

    source: Source
    p: str | None = None
    q: str | None = None
    id: str | None = None
    notes: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    called: str | None = None

    def chosen(
        self,
        p: str | None,
        q: str | None,
        id: str | None,  # noqa: A002
        notes: list[str],
    ) -> tuple[str | None, str | None, str | None]:
        """P, Q and the id as given, or else as the layout says; `notes` are told of the latter."""
        notes += self.notes
        for option, given, own in (("p", p, self.p), ("q", q, self.q), ("id", id, self.id)):
            if given is None and own is not None:
                notes.append(f"--{option} {own} was chosen by the layout")
        return p or self.p, q or self.q, id or self.id

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors about columns, with the table's name and what it has left out."""
        try:
            yield
        except InputError as error:
            raise self.told(error).at(self.source.name) from None

    def told(self, error: InputError) -> InputError:
        """An error about a column, with those that are not there because of their values."""
        if self.varying:
            listed = ", ".join(self.varying[:8]) + (", ..." if len(self.varying) > 8 else "")
            error.remedy += f" Left out, as an item has several values of it: {listed}."
        error.remedy += getattr(self.source, "hint", "")
        return error


def lay(
    data: Any,
    *,
    layout: str | None = None,
    select: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    before: str | None = None,
) -> Laid:
    """The table that a layout makes of files, or of a table in memory.

    Args:
        data: paths, or a table; two files where the layout joins the truth of a second.
        layout: the name of a layout, or the path of one's own.
        select: the columns of a SELECT instead.
        item: the column that the layout is to take for its items.
        annotator: that of who answered.
        label: that of the answers.
        before: a SQL condition on the rows of the files, which the layout sees no others of.

    Raises:
        InputError: the layout does not fit, or the query cannot be run.
    """
    given = {"item": item, "annotator": annotator, "label": label}
    named = {name: value for name, value in given.items() if value is not None}
    if layout is not None and select is not None:
        raise InputError(what="--layout and --select are two ways to say one thing")
    if layout is None and named:
        what = f"--{next(iter(named))} names a column for a layout"
        raise InputError(what, remedy="Give --layout long, or another (`pandq layouts`).")
    if layout is None:
        chosen = Layout(SELECTED, "", Query.selecting(str(select)))
    else:
        chosen = layout_of(layout)
    with room("pandq-layout-") as (folder, goes_with):
        found = _laid(data, chosen, named, folder, before)
        goes_with(found.source)
    return found


def laid_open(data: Any, *, where: str | None, **options: str | None) -> Laid | None:
    """The same under a condition on what the query made; None where no query is asked for.

    Raises:
        InputError: as of `lay`, or of the condition.
    """
    if all(value is None for value in options.values()):
        return None
    found = lay(data, **options)
    return found if where is None else replace(found, source=Filtered(found.source, where))


def read_whole(data: Any, where: str | None) -> Laid:
    """A table as it is, in types that hold all of its rows.

    Raises:
        InputError: as of `lay`, or of the condition.
    """
    found = lay(data, select="*")
    return found if where is None else replace(found, source=Filtered(found.source, where))


def _laid(
    data: Any, layout: Layout, named: Mapping[str, str], room: Path, before: str | None
) -> Laid:
    if (held := in_memory(data)) is not None:
        files: list[Place] = [as_parquet(held, room / "table.parquet")]
        name = held.name
    else:
        files = expanded([data] if isinstance(data, str | Path) else data)
        name = ""
    with unchanged([Version.of(file) for file in files]):
        first, second = _sides(layout, files)
        table = Relation.of(first, room, FILE, name)
        table = table if before is None else table.under(before)
        truth = Relation.of(second, room, TRUTH) if second else None
        maker = _Maker(layout, named, room, [x for x in (table, truth) if x is not None])
        try:
            return maker.made()
        except InputError as error:
            raise error if error.where.startswith(table.name) else error.at(table.name) from None


def layouts_of(source: Source) -> tuple[Layout, ...]:
    """The layouts that a table may have; the likeliest first.

    Raises:
        InputError: they cannot be read.
    """
    files = getattr(source, "files", [])
    if files and has_suffix(files[0], ARRAYS):
        return ()
    if files and has_suffix(files[0], JSON):
        with tempfile.TemporaryDirectory(prefix="pandq-layout-") as folder:
            return fitting(Relation.of(files[:1], Path(folder), FILE).schema)
    return fitting({name: sql_type(kind) for name, kind in source.schema.items()})


def _sides(layout: Layout, files: Sequence[Place]) -> tuple[list[Place], list[Place]]:
    """The files of the rows, and those of the truth where there are such."""
    if layout.truth is None or len(files) != 2:
        return list(files), []
    one, other = files
    if has_suffix(one, ARRAYS) or has_suffix(other, ARRAYS):
        return [one], [other]
    apart = set(open_tables([one]).schema) != set(open_tables([other]).schema)
    return ([one], [other]) if apart or share_ids(files) else ([one, other], [])


def share_ids(files: Sequence[Place]) -> bool:
    """Are these two files of the same columns about the same rows, and no two parts of a table?"""
    if any(has_suffix(file, ARRAYS) for file in files):
        return False
    one, other = [open_tables([file]) for file in files]
    need = next(need for need in layout_of("kaggle").needs if need.name == "item")
    names = need.found({name: sql_type(kind) for name, kind in one.schema.items()})
    if set(one.schema) != set(other.schema) or not names:
        return False
    ids = [
        {x for _, batch in source.batches(names[:1], 1 << 16) for x in batch[names[0]].to_pylist()}
        for source in (one, other)
    ]
    return not ids[0].isdisjoint(ids[1])


class _Maker:
    """Runs a layout over its tables, in a room of its own."""

    def __init__(
        self, layout: Layout, named: Mapping[str, str], room: Path, tables: Sequence[Relation]
    ) -> None:
        self.layout, self.named, self.room, self.tables = layout, named, room, tables
        self.name = tables[0].name
        self.notes: list[str] = []
        self.varying: list[str] = []
        self.assigned: Mapping[str, list[str]] = {}

    def made(self) -> Laid:
        """The last table of the chain of layouts, and what its columns are."""
        layout = self.layout
        made, assigned = self._run(layout, self.tables, self._given(layout))
        self.assigned = assigned
        while layout.then is not None:
            layout = layout_of(layout.then)
            with database([made]) as connection:
                sql = of_parquet([made])
                table = Relation(FILE, self.name, (made,), sql, described(connection, sql))
            own = {x.name: x.name for x in layout.needs if x.name in table.schema}
            made, assigned = self._run(layout, [table], own)
        source = MadeFile([made], self.name, _names_of(self.tables, layout))
        self._say_columns()
        told = _told(layout, assigned, source.schema, self.tables[0].schema)
        called = next(iter(self.assigned.get("item", [])), None)
        notes, varying = tuple(self.notes), tuple(self.varying)
        return Laid(source, **told, notes=notes, varying=varying, called=called)

    def _say_columns(self) -> None:
        """Which columns the layout took, where neither the user nor the file calls them so."""
        said = {(name, column) for name, column in self.named.items()}
        taken = {
            need: names
            for need, names in self.assigned.items()
            if names and names != [need] and (need, names[0]) not in said
        }
        if taken:
            each = ", ".join(f"{_short(names)} as {need}" for need, names in taken.items())
            self.notes.insert(0, f"--layout {self.layout.name} takes {each}")

    def _given(self, layout: Layout) -> dict[str, str]:
        """The columns that the user named, of those that a layout needs."""
        needed = {need.name for need in layout.needs}
        return {name: value for name, value in self.named.items() if name in needed}

    def _run(
        self, layout: Layout, tables: Sequence[Relation], given: Mapping[str, str]
    ) -> tuple[Path, dict[str, list[str]]]:
        """One layout's table, and which columns it took for what it needs."""
        assigned: dict[str, list[str]] = {}
        views: dict[str, str] = {}
        keys: dict[str, str] = {}
        for table in tables:
            of_truth = table.side == TRUTH
            own = {layout.truth: _same_id(layout, table, assigned)} if of_truth else given
            own = {name: column for name, column in own.items() if name and column}
            found = layout.assigned(table.schema, own, of=table.side)
            if of_truth and set(table.schema) == set(tables[0].schema):
                # of the same columns none is the label: there is one for each class
                found = {name: x if name == layout.truth else [] for name, x in found.items()}
            views[table.side] = renamed(layout, table, found)
            assigned = {name: x for name, x in found.items() if x} | assigned
            keys[table.side] = next(iter(found.get(str(layout.truth), [])), "")
        files = [file for table in tables for file in table.files]
        out = self.room / f"{layout.name}.parquet"
        with database(files, self.room) as connection, self._errors(layout, tables):
            for side, sql in views.items():
                connection.execute(f"CREATE TEMP VIEW {side}_read AS {sql}")
            rows, n = f"SELECT * FROM {FILE}_read", 0
            if TRUTH in views:
                rows = with_truth(connection, keys, self.notes)
            elif layout.carries is not None:
                rows, n = carried(connection, layout, self.varying)
            parts = split(connection, rows, str(layout.carries), n, self.room)
            made = self._written(connection, layout, list(parts))
        in_order(made, out, self.room)
        return out, assigned

    def _written(self, connection: Any, layout: Layout, parts: Sequence[str]) -> list[Path]:
        """What the query makes of each part of the rows; what is counted is taken out and said."""
        names = (self.named.get(name) for name in NAMING)
        asked = ", ".join(
            f"{'NULL' if value is None else literal(value)}::VARCHAR AS {name}"
            for name, value in zip(NAMING, names, strict=True)
        )
        counted = dict.fromkeys(layout.counts, 0)
        gone = {*layout.counts, *((ROW,) if len(parts) == 1 else ())}
        kept = " AND ".join(f"NOT {quoted(name)}" for name in layout.left_out) or "true"
        made = []
        for k, rows in enumerate(parts):
            whole = f"WITH {FILE} AS ({rows}), {ASKED} AS (SELECT {asked})"
            whole += f" SELECT * FROM {layout.query.sql}"
            for name in counted:
                sql = f"SELECT count(*) FILTER ({quoted(name)}) FROM ({whole})"
                counted[name] += connection.execute(sql).fetchone()[0]
            left = [quoted(name) for name in described(connection, whole) if name in gone]
            wanted = f"* EXCLUDE ({', '.join(left)})" if left else "*"
            made.append(self.room / f"{layout.name}-{k}.parquet")
            connection.execute(
                f"COPY (SELECT {wanted} FROM ({whole}) WHERE {kept})"
                f" TO {literal(made[-1])} (FORMAT parquet, COMPRESSION zstd)"
            )
        self.notes += [f"{n:,} {layout.counts[name]}" for name, n in counted.items() if n]
        return made

    @contextmanager
    def _errors(self, layout: Layout, tables: Sequence[Relation]) -> Iterator[None]:
        """What duckdb says of the query, as one line."""
        option = "--select" if layout.name == SELECTED else f"layout {layout.name}"
        known = [name for table in tables for name in table.schema]
        with sql_errors(option, tables[0].files[0], known=known, option=option):
            yield


def _names_of(tables: Sequence[Relation], layout: Layout) -> dict[str, tuple[str, ...]]:
    """What class numbers stand for, of columns that a query leaves as they are."""
    asks = layout.query.text.rpartition("SELECT")[2].split()[:1] == ["*"]
    return {k: x for table in tables for k, x in table.class_names.items() if asks}


def _short(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} columns {names[0]} ... {names[-1]}"


def _same_id(layout: Layout, table: Relation, assigned: Mapping[str, list[str]]) -> str | None:
    """The truth's column of ids: what the first table calls its own, or what ids are called."""
    mine = assigned.get(str(layout.truth), [])
    if mine and mine[0] in table.schema:
        return mine[0]
    need = next(need for need in layout.needs if need.name == layout.truth)
    return next(iter(need.found(table.schema)), None)


def _told(
    layout: Layout,
    assigned: Mapping[str, list[str]],
    schema: Mapping[str, Any],
    read: Mapping[str, str],
) -> dict[str, str | None]:
    """What the columns are, as `--p`, `--q` and `--id` say it; nothing of columns that are not."""
    taken = {name for names in assigned.values() for name in names}
    numbers = [name for name, kind in read.items() if name not in taken and is_number(kind)]
    lists = {**assigned, "numbers": numbers}
    # a truth of the same columns has one number for each class too
    truths = [f"{TRUTH}.{name}" for name in numbers]

    def meant(text: str | None) -> str | None:
        if text is None:
            return None
        spec, otherwise, other = text.partition(" if whole, else ")
        kind, colon, column = spec.rpartition(":")
        for name, names in lists.items():
            column = column.replace(f"{{{name}}}", ",".join(names))
        if not column or any(name not in schema for name in column.split(",")):
            return None
        if otherwise and not holds_whole(schema[column]):
            kind = other
        return f"{kind}{colon}{column}"

    p, who = meant(layout.p), meant(layout.annotators)
    if layout.truth and truths and all(name in schema for name in truths):
        p = f"{Probs.kind}:{','.join(truths)}"
    # a map says itself who answered
    if p and who and assigned.get("annotator") and not is_classed(schema[p.partition(":")[2]]):
        p += f",{ANNOTATORS}:{who}"
    return {"p": p, "q": meant(layout.q), "id": meant(layout.id)}
