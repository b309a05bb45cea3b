"""Votes in files: lists of labels, a column an annotator, or counts, as they are or by a layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.errors import InputError, near_names
from pandq.read import columns as cols
from pandq.read.classed import is_classed
from pandq.read.laid import lay
from pandq.read.named import named
from pandq.read.opened import open_source
from pandq.read.parts import located
from pandq.read.paths import expanded
from pandq.read.recognise import ANNOTATORS, class_names, resolved
from pandq.read.roles import of_votes
from pandq.read.settled import needs_whole_types, settled
from pandq.read.viewed import view_of
from pandq.read.voted import BATCH, class_names_for, left_out, polled, require_people, votes_view
from pandq.views import VOTES_KIND, Counts, Votes
from pandq.views.answers import name_of
from pandq.views.votes import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.places import Place
    from pandq.read.recognise import Spec
    from pandq.views.answers import Duplicates

LONG = "long"
HOW = (
    "Say how: --item, --annotator and --label for one row an answer; --p votes:COLUMN for lists of"
    " labels, --p 'votes:rater_*' for a column an annotator; --p counts:COLUMN for how many chose"
    " each class; --layout NAME for what `pandq layouts` lists, and `pandq inspect` recognises."
)


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes that were read, and what the items are called.

    Args:
        votes: of n items.
        ids: (n,) as an Arrow array; None where they have no names.
        name: of the table.
        files: that it is in.
        id: what the table calls the column of ids.
    """

    votes: Votes | Counts
    ids: Any
    name: str
    files: tuple[Place, ...]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A table of one row an item, where its votes and names are, and what is to be said of it."""

    source: Source
    p: Spec
    id: str | None
    notes: tuple[str, ...] = ()
    called: str | None = None


def ballots(
    data: Any,
    *,
    p: str | None = None,
    layout: str | None = None,
    select: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    id: str | None = None,  # noqa: A002 - as the option is called
    classes: Sequence[str] | int | None = None,
    where: str | None = None,
    skip: Sequence[str] = (),
    duplicates: Duplicates = "refuse",
    first: int | None = None,
) -> Ballots:
    """Votes in a table.

    Args:
        data: paths, or a table, as for `scan`.
        p: "votes:COLUMN" (lists of labels), "votes:rater_*" (a column an annotator) or
            "counts:COLUMN"; left out where there is one row an answer, or a layout.
        layout: the form that the files have, as for `scan`; "long" where `item` and `label` are
            given alone.
        select: the columns of a SELECT from the files instead.
        item: the column of the item, where there is one row an answer.
        annotator: the column of who answered: one value an answer, or lists beside `p`.
        label: the column of the label, where there is one row an answer.
        id: the column of the items' names, where there is one row an item.
        classes: names in the order of Q's columns, or how many there are.
        where: a SQL condition on the rows of the files, before a layout.
        skip: labels that are no answer; they are counted.
        duplicates: as of Votes.
        first: how many votes of each item count, the first ones; all when left out.

    Raises:
        InputError: columns are not there, or do not fit together, or hold no votes.
    """
    if p is None and layout is None and select is None and item and label:
        layout = LONG
    query = {"layout": layout, "select": select}
    if any(query.values()):
        answers = {"item": item, "annotator": annotator, "label": label}
        found = _laid(data, p, id, where, {**query, **answers})
    else:
        found = _as_it_is(data, p, id, where, annotator, {"--item": item, "--label": label})
    source, spec = found.source, found.p
    files = tuple(expanded(_paths(data))) if _is_paths(data) else ()
    spec = of_votes(spec, skip, duplicates, first)
    if spec.kind == VOTES_KIND:
        votes: Votes | Counts = _voted(found, spec, classes)
    else:
        if annotator is not None or skip:
            raise InputError("--annotator and --skip are for labels, and P is counts")  # noqa: EM101
        votes = _counted(source, spec, found.id, classes)
    ids = None if found.id is None else _ids(source, found.id)
    return Ballots(votes, ids, source.name, files, found.called or found.id)


def _laid(
    data: Any,
    p: str | None,
    id: str | None,  # noqa: A002
    where: str | None,
    asked: Mapping[str, str | None],
) -> _Opened:
    """What a layout makes of the files."""
    laid = lay(data, before=where, **asked)
    p = p or laid.p
    if p is None:
        raise _not_said(laid.source, asked)
    try:
        spec = _of_people(laid.source, p)
    except InputError as error:
        raise laid.told(error) from None
    return _Opened(laid.source, spec, id or laid.id, laid.notes, None if id else laid.called)


def _as_it_is(
    data: Any,
    p: str | None,
    id: str | None,  # noqa: A002
    where: str | None,
    annotator: str | None,
    long: Mapping[str, str | None],
) -> _Opened:
    """A table that has one row an item."""
    source = open_source(data, where=where)
    if p is None or any(long.values()):
        raise _not_said(source, {"--p": p, **long})
    spec = _of_people(source, p)
    if spec.kind == VOTES_KIND and annotator is not None:
        if spec.wide:
            what = "a column an annotator says who answered, and --annotator does too"
            raise InputError(what, where=source.name, got=annotator)
        _require_column(source, annotator)
        spec = _of_people(source, f"{p},{ANNOTATORS}:{annotator}")
    if id is not None:
        _require_column(source, id)
    if needs_whole_types(source, [spec]):
        source = lay(data, select="*", before=where).source
    return _Opened(source.typed(), spec, id)


def _require_column(source: Source, name: str) -> None:
    if name not in source.schema:
        remedy = near_names(name, source.schema)
        raise InputError(what=f"no column {name!r}", where=source.name, remedy=remedy)


def _of_people(source: Source, p: str) -> Spec:
    """P, which is labels of several people or counts of them."""
    try:
        spec = resolved(p, source.schema, option="--p")
    except InputError as error:
        raise error.at(source.name) from None
    if spec.kind not in (VOTES_KIND, Counts.kind):
        what = "votes are counts or lists of labels"
        raise InputError(what=what, where=source.name, got=p, remedy=HOW)
    return named(spec, source)


def _not_said(source: Source, asked: Mapping[str, str | None]) -> InputError:
    given = ", ".join(name for name, value in asked.items() if value)
    return InputError(
        what="it is not said where the votes are",
        where=source.name,
        got=given or f"columns {', '.join(list(source.schema)[:20])}",
        remedy=HOW,
    )


def _voted(found: _Opened, spec: Spec, classes: Sequence[str] | int | None) -> Votes:
    """Labels of several people, in two passes: which there are, and who said which."""
    source = found.source
    held = polled(source, spec, found.id)
    _require_several(source, spec, held.most)
    require_people(held, spec, source.name)
    asked = class_names(classes, [], source.name)
    try:
        names = class_names_for(held, asked, None, whose="--classes does")
    except InputError as error:
        raise error.at(source.name) from None

    def read(_: int, batch: Mapping[str, Column]) -> Votes:
        return votes_view(spec, batch, names)

    columns = list(dict.fromkeys(spec.columns))
    parts = [votes for _, votes in located(source, columns, BATCH, read)]
    return joined(parts, names, notes=(*found.notes, *left_out(held, spec)))


def _require_several(source: Source, spec: Spec, most: int) -> None:
    """Refuse a column of one label a row: it is no list of several people's."""
    kind = source.schema[spec.column] if not spec.wide else None
    if kind is None or most > 1 or cols.is_list(kind) or is_classed(kind):
        return
    raise InputError(
        what=f"column {spec.column!r} holds no lists of labels",
        where=source.name,
        got=str(kind),
        remedy=HOW,
    )


def _counted(
    source: Source,
    spec: Spec,
    id: str | None,  # noqa: A002
    classes: Sequence[str] | int | None,
) -> Counts:
    found = settled(source, spec, (), classes, id)

    def read(_: int, batch: Mapping[str, Column]) -> Any:
        return np.asarray(view_of("p", found.p, batch))

    parts = [table for _, table in located(source, found.p.columns, BATCH, read)]
    if not parts:
        raise InputError(what="there are no rows", where=source.name)
    table, names = np.concatenate(parts), found.classes
    if names is not None and len(names) != table.shape[1]:
        got = f"{len(names)} names for {table.shape[1]} classes"
        raise InputError(what="each class needs one name", where=source.name, got=got)
    return Counts.trusted(table, table.shape[1], names)


def _ids(source: Source, name: str) -> Any:
    """What items are called, as an Arrow array: whole numbers where they are such."""
    columns = [cols.as_arrow(batch[name]) for _, batch in source.batches([name], BATCH)]
    if not columns:
        return pa.array([], pa.string())
    values = cols.plain(name, pa.concat_arrays(columns))
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64())
    if cols.is_text(values.type):
        return values.cast(pa.string())
    return pa.array([name_of(x) for x in values.to_pylist()], pa.string())


def _is_paths(data: Any) -> bool:
    return isinstance(data, str | Path | list | tuple)


def _paths(data: Any) -> list[str | Path]:
    return [data] if isinstance(data, str | Path) else list(data)
