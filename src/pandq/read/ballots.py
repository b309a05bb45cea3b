"""Votes in files: one row an answer, a column of lists, a column an annotator, or counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.classes import value_of
from pandq.errors import InputError, near_names
from pandq.read import columns as cols
from pandq.read.recognise import class_names, resolved
from pandq.read.scan import open_source
from pandq.read.viewed import view_of
from pandq.views import VOTES_KIND, Counts, Votes
from pandq.views.answers import is_gap, listed, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandq.read.parts import Source
    from pandq.views.answers import Duplicates

BATCH = 1 << 16
HOW = (
    "Say how: --item, --annotator and --label for one row an answer; --p votes:COLUMN for lists of"
    " labels, --p 'votes:rater_*' for a column an annotator; --p counts:COLUMN for how many chose"
    " each class."
)


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes that were read, and what the items are called.

    Args:
        votes: of n items.
        ids: (n,) as an Arrow array; None where they have no names.
        name: of the table.
        files: that it is in.
    """

    votes: Votes | Counts
    ids: Any
    name: str
    files: tuple[Path, ...]


def ballots(
    data: Any,
    *,
    p: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    id: str | None = None,  # noqa: A002 - as the option is called
    classes: Sequence[str] | int | None = None,
    where: str | None = None,
    skip: Sequence[str] = (),
    duplicates: Duplicates = "refuse",
) -> Ballots:
    """Votes in a table.

    Args:
        data: paths, or a table, as for `scan`.
        p: "votes:COLUMN" (lists of labels), "votes:rater_*" (a column an annotator) or
            "counts:COLUMN"; left out where there is one row an answer.
        item: the column of the item, where there is one row an answer.
        annotator: the column of who answered: one value an answer, or lists beside `p`.
        label: the column of the label, where there is one row an answer.
        id: the column of the items' names, where there is one row an item.
        classes: names in the order of Q's columns, or how many there are.
        where: a SQL condition on rows.
        skip: labels that are no answer; they are counted.
        duplicates: as of Votes.

    Raises:
        InputError: columns are not there, or do not fit together, or hold no votes.
    """
    source = open_source(data, where=where)
    long = {"--item": item, "--label": label}
    if p is None and all(long.values()):
        read: Any = _long(source, str(item), annotator, str(label))
    elif p is None or any(long.values()):
        given = ", ".join(name for name, value in {"--p": p, **long}.items() if value)
        raise InputError(
            what="it is not said where the votes are",
            where=source.name,
            got=given or f"columns {', '.join(list(source.schema)[:20])}",
            remedy=HOW,
        )
    elif p.partition(":")[0] == VOTES_KIND:
        read = _ragged(source, p.partition(":")[2], annotator, id)
    else:
        if annotator is not None or skip:
            raise InputError("--annotator and --skip are for labels, and P is counts")  # noqa: EM101
        return _counted(source, p, id, classes)
    labels, skipped = _without(read.labels, skip)
    names = class_names(classes, [], source.name)
    try:
        votes = read.votes(labels, names, duplicates)
    except InputError as error:
        raise error.at(source.name) from None
    if skip:
        told = f"{skipped:,} answers left out as no answer: {', '.join(map(repr, skip))}"
        votes = _noted(votes, told)
    return Ballots(votes, read.ids(votes), source.name, tuple(getattr(source, "files", ())))


def _noted(votes: Votes, told: str) -> Votes:
    """The same votes with one more thing to say of them."""
    return Votes.trusted(
        votes.offsets,
        votes.codes,
        votes.annotators,
        classes=votes.classes,
        annotator_names=votes.annotator_names,
        items=votes.items,
        notes=(*votes.notes, told),
    )


@dataclass(frozen=True, slots=True)
class _Long:
    """One row an answer."""

    items: list[Any]
    labels: list[Any]
    who: list[Any] | None
    kind: Any

    def votes(self, labels: list[Any], names: Any, duplicates: Duplicates) -> Votes:
        return Votes.from_columns(
            self.items, labels, self.who, classes=names, duplicates=duplicates
        )

    def ids(self, votes: Votes) -> Any:
        return _named(np.asarray(votes.items).tolist(), self.kind)


@dataclass(frozen=True, slots=True)
class _Ragged:
    """One row an item."""

    labels: list[Any]
    who: list[Any] | None
    named: Any

    def votes(self, labels: list[Any], names: Any, duplicates: Duplicates) -> Votes:
        return Votes(labels, self.who, classes=names, duplicates=duplicates)

    def ids(self, votes: Votes) -> Any:
        del votes
        return self.named


def _long(source: Source, item: str, annotator: str | None, label: str) -> _Long:
    names = [item, label, *filter(None, [annotator])]
    found = _columns(source, names)
    who = None if annotator is None else found[annotator]
    return _Long(found[item], found[label], who, source.schema[item])


def _ragged(source: Source, column: str, annotator: str | None, id: str | None) -> _Ragged:  # noqa: A002
    spec = resolved(f"counts:{column}", source.schema, option="--p")
    beside = [name for name in (annotator, id) if name is not None]
    found = _columns(source, [*spec.columns, *beside])
    named = None if id is None else _named(found[id], source.schema[id])
    if not spec.wide:
        if not cols.is_list(source.schema[spec.column]):
            raise InputError(
                what=f"column {spec.column!r} holds no lists of labels",
                where=source.name,
                got=str(source.schema[spec.column]),
                remedy=HOW,
            )
        return _Ragged(found[spec.column], None if annotator is None else found[annotator], named)
    if annotator is not None:
        what = "a column an annotator says who answered, and --annotator does too"
        raise InputError(what, where=source.name, got=annotator)
    rows = [list(row) for row in zip(*(found[name] for name in spec.columns), strict=True)]
    return _Ragged(rows, list(spec.columns), named)


def _counted(
    source: Source,
    p: str,
    id: str | None,  # noqa: A002
    classes: Sequence[str] | int | None,
) -> Ballots:
    spec = resolved(p, source.schema, option="--p")
    if spec.kind != Counts.kind:
        raise InputError(
            what="votes are counts or lists of labels", where=source.name, got=p, remedy=HOW
        )
    parts, named = [], list[Any]()
    wanted = [*spec.columns, *filter(None, [id])]
    done = 0
    for _, batch in source.batches(wanted, BATCH):
        try:
            parts.append(np.asarray(view_of("p", spec, batch)))
        except InputError as error:
            if hasattr(error, "moved"):
                error.moved(done)
            raise error.at(source.name) from None
        done += len(parts[-1])
        if id is not None:
            named += map(_number, listed(batch[id]))
    if not parts:
        raise InputError(what="there are no rows", where=source.name)
    names = class_names(classes, [spec.classes] if spec.classes else [], source.name)
    table = np.concatenate(parts)
    if names is not None and len(names) != table.shape[1]:
        got = f"{len(names)} names for {table.shape[1]} classes"
        raise InputError(what="each class needs one name", where=source.name, got=got)
    ids = None if id is None else _named(named, source.schema[id])
    counts = Counts.trusted(table, table.shape[1], names)
    return Ballots(counts, ids, source.name, tuple(getattr(source, "files", ())))


def _columns(source: Source, names: Sequence[str]) -> Mapping[str, list[Any]]:
    """Whole columns as Python's own values.

    Raises:
        InputError: one is not there.
    """
    for name in names:
        if name not in source.schema:
            remedy = near_names(name, source.schema)
            raise InputError(what=f"no column {name!r}", where=source.name, remedy=remedy)
    found: dict[str, list[Any]] = {name: [] for name in names}
    # csv is read as text, also where it says numbers
    numeric = {name for name in names if cols.is_numeric(source.schema[name])}
    for _, batch in source.batches(list(dict.fromkeys(names)), BATCH):
        for name, column in found.items():
            values = listed(batch[name])
            column.extend(map(_number, values) if name in numeric else values)
    return found


def _number(value: Any) -> Any:
    """What a value of a column of numbers is, of which text may be read."""
    known = value_of(value.strip()) if isinstance(value, str) else None
    return value if known is None else known


def _named(values: list[Any], kind: Any) -> Any:
    """What items are called, as an Arrow array: whole numbers where they are such."""
    names = pa.array([name_of(x) for x in values], pa.string())
    return names.cast(pa.int64()) if pa.types.is_integer(kind) else names


def _without(labels: list[Any], skip: Sequence[str]) -> tuple[list[Any], int]:
    """Labels without those that are no answer, and how many these were."""
    if not skip:
        return labels, 0
    none, skipped = set(skip), 0

    def kept(label: Any) -> Any:
        nonlocal skipped
        if is_gap(label) or name_of(label) not in none:
            return label
        skipped += 1
        return None

    found = [
        [kept(x) for x in label] if isinstance(label, list | np.ndarray) else kept(label)
        for label in labels
    ]
    return found, skipped
