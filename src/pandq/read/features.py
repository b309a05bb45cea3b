"""Which columns are features, and what there is to fit: a FeatureScan from what the user named."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.checks import whole_numbers
from pandq.core.classes import PADDING, padding
from pandq.errors import InputError, near_names
from pandq.read import columns as cols
from pandq.read.beside import joined_by
from pandq.read.classed import is_classed
from pandq.read.feature_scan import FeatureScan
from pandq.read.ignored import counting
from pandq.read.laid import laid_open, read_whole
from pandq.read.named import named, renamed
from pandq.read.opened import open_source
from pandq.read.parts import located
from pandq.read.paths import matches
from pandq.read.pictures import CLASS, PictureFolder, encoded_in, holds_pictures, picture
from pandq.read.recognise import Spec, recognised, resolved
from pandq.read.roles import VoteDuplicates, of_votes, require_columns
from pandq.read.settled import needs_whole_types, settled
from pandq.views import PARTIAL_KINDS, VOTES_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.ignored import Ignored
    from pandq.read.parts import Source

    Schema = Mapping[str, pa.DataType]

# Names under which tables hold features.
_X_NAMES = {"x", "feature", "features", "embedding", "embeddings", "hidden", "pixels"}
# Pictures that are all small keep their size; larger ones become this.
SIDE = 64


def scan_features(
    data: Any,
    *,
    x: str | None = None,
    p: str | None = None,
    classes: Sequence[str] | int | None = None,
    id: str | None = None,  # noqa: A002
    weights: str | None = None,
    where: str | None = None,
    size: tuple[int, int] | None = None,
    normalise: bool = False,
    skip_unreadable: bool = False,
    with_p: bool = True,
    layout: str | None = None,
    select: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    skip: str | Sequence[str] = (),
    duplicates: VoteDuplicates = "refuse",
    first: int | None = None,
    ignore_label: Ignored = (),
) -> FeatureScan:
    """Rows of features and P from files, a folder of pictures by class, or a table in memory.

    Args:
        data: as for `pandq.scan`; or a folder with one folder of pictures per class.
        x: a column of numeric lists or of pictures ({bytes, path}, or bytes); several numeric
            columns as "a,b,c" or "f_*"; recognised by the usual names when left out.
        p: "KIND:COLUMN" of what is true, as for `pandq.scan`.
        classes: class names in order, for labels that are names (in alphabetical order when left
            out); or how many there are.
        id: a column that joins two files of different columns, such as features and votes.
        weights: a column of row weights.
        where: a SQL condition on the rows.
        size: (height, width) of pictures; theirs if all of the first ones are small and alike.
        normalise: divide the rows of P by their sums.
        skip_unreadable: leave pictures out that cannot be decoded.
        with_p: whether P is wanted.
        layout: the form that the files have, as for `pandq.scan`; so are the rest.
        select: the columns of a SELECT from the files instead.
        item: the column of what was answered.
        annotator: the column of who answered.
        label: the column of the answer.
        skip: answers among votes that are none.
        duplicates: which answer counts where an annotator gave an item two.
        first: count only so many votes of each row, the first ones in their order: a fair sample
            where the number of votes depends on what they say.
        ignore_label: labels of rows that do not count, such as -100.

    Returns:
        A FeatureScan, as `SoftmaxRegression.fit` takes it.

    Raises:
        InputError: a file or a column is missing, or one is ambiguous.

    >>> table = pa.table({"x": [[1.0, 2.0], [3.0, 4.0]], "label": ["dog", "cat"]})
    >>> rows = scan_features(table, p="labels:label")
    >>> rows.columns, rows.classes
    (('x',), ('cat', 'dog'))
    """
    notes: list[str] = []
    query = {"layout": layout, "select": select}
    answers = {"item": item, "annotator": annotator, "label": label}
    laid = laid_open(data, where=where, **query, **answers) or joined_by(data, id, where=where)
    source = open_rows(data, where=where) if laid is None else laid.source
    p = p if laid is None else laid.chosen(p, "", "", notes)[0]
    schema = source.schema
    try:
        columns = feature_columns(x, schema, notes)
        spec = None
        if with_p:
            spec = resolved(p, schema, option="--p") if p else _recognised_p(source, notes)
            spec = named(spec, source)
            _check_p(spec, columns)
        require_columns(schema, weights=[weights] if weights else [])
    except InputError as error:
        raise error.at(source.name) from None
    if spec is not None:
        source = source.as_text(spec.columns if spec.kind == "labels" else ())
        if laid is None and needs_whole_types(source, [spec]):
            source = read_whole(data, where).source
        source = counting(source, [spec], ignore_label, notes)
        spec, classes = _by_name(source, of_votes(spec, skip, duplicates, first), classes, notes)
    names, n_classes = _classes(source, spec, classes)
    spec = spec and renamed(spec, names)
    size = _sized(source, columns[0], size)
    found = (source, columns, spec, size, names, n_classes)
    return FeatureScan(*found, weights, skip_unreadable, normalise, notes=tuple(notes))


def _sized(source: Source, column: str, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size of pictures, as given or as they are; none of other features."""
    if holds_pictures(source.schema[column]):
        return size or _size(source, column)
    if size is not None:
        what = f"column {column!r} holds no pictures to be resized"
        raise InputError(what, where=source.name)
    return None


def _by_name(
    source: Source, spec: Spec, classes: Sequence[str] | int | None, notes: list[str]
) -> tuple[Spec, Sequence[str] | int | None]:
    """P and its classes where they are found by name: of votes, of structs and of maps."""
    classed = len(spec.columns) == 1 and is_classed(source.schema[spec.column])
    if spec.kind != VOTES_KIND and not classed:
        return spec, classes
    found = settled(source, spec, (), classes)
    notes += found.notes
    return found.p, found.classes


def open_rows(data: Any, *, where: str | None = None) -> Source:
    """The Source for tables, or for a folder of pictures."""
    if isinstance(data, list | tuple) and len(data) == 1:
        data = data[0]
    if isinstance(data, str | Path) and Path(data).is_dir() and not matches(str(data)):
        if where is not None:
            raise InputError(what="--where needs a table, not a folder", where=str(data))
        return PictureFolder(Path(data))
    return open_source(data, where=where)


def feature_columns(
    x: str | None, schema: Mapping[str, pa.DataType], notes: list[str]
) -> tuple[str, ...]:
    """The columns that hold the features."""
    if x is None:
        found = [name for name, kind in schema.items() if may_be_x(name, kind)]
        if len(found) == 1:
            notes.append(f"--x {found[0]} was chosen by its name")
            return (found[0],)
        if found:
            listed = ", ".join(found)
            remedy = f"Say which: --x {found[0]}."
            raise InputError(what="more than one column may be features", got=listed, remedy=remedy)
        raise InputError(
            what="no column is known as features or pictures",
            got=f"columns {', '.join(schema)}"[:300],
            remedy="Say which: --x COLUMN, or several: --x a,b,c or --x 'f_*'.",
        )
    if x in schema:
        columns: tuple[str, ...] = (x,)
    else:
        columns = tuple(name for part in x.split(",") for name in _named(part.strip(), schema))
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise InputError(what=f"--x: column {twice!r} is named twice")
    for name in columns:
        if holds_pictures(schema[name]) and len(columns) > 1:
            raise InputError(what=f"--x: {name!r} holds pictures and must stand alone")
        if pa.types.is_struct(schema[name]) and not holds_pictures(schema[name]):
            raise InputError(what=f"--x: column {name!r} holds no numbers", got=str(schema[name]))
    return columns


def _named(part: str, schema: Schema) -> list[str]:
    """The columns that a name or a pattern of --x means; a pattern means columns of numbers."""
    if part in schema:
        return [part]
    numeric = [name for name, kind in schema.items() if cols.is_numeric(kind)]
    found = fnmatch.filter(numeric, part) if any(mark in part for mark in "*?[") else []
    if not found:
        raise InputError(what=f"--x: no column {part!r}", remedy=near_names(part, schema))
    return found


def may_be_x(name: str, kind: pa.DataType) -> bool:
    """Is a column called as features are, or does it hold pictures?"""
    if holds_pictures(kind):
        return True
    listed = cols.is_list(kind) and not cols.is_list(kind.value_type)
    return listed and name.lower() in _X_NAMES


def _recognised_p(source: Source, notes: list[str]) -> Spec:
    if isinstance(source, PictureFolder):
        if not source.classes:
            raise InputError(
                what="the pictures lie in no folders that name their classes",
                remedy="Put them into DIR/cat/..., DIR/dog/...",
            )
        return Spec("labels", CLASS, (CLASS,))
    spec = recognised(source.schema, "p")
    notes.append(f"--p {spec} was chosen by its name")
    return spec


def _check_p(spec: Spec, columns: Sequence[str]) -> None:
    """Refuse a P that no Q can be fitted to."""
    if spec.kind in PARTIAL_KINDS:
        what = "P knows a distribution only in part, and nothing can be fitted to it"
        raise InputError(what, got=f"--p {spec}")
    both = [name for name in spec.columns if name in columns]
    if both:
        raise InputError(what=f"column {both[0]!r} is both a feature and what is to be fitted")


def _classes(
    source: Source, spec: Spec | None, classes: Sequence[str] | int | None
) -> tuple[tuple[str, ...] | None, int]:
    """The class names, if there are any, and how many classes there are."""
    if isinstance(classes, int):
        return None, classes
    names: Sequence[str] | None = classes
    if spec is not None and names is None:
        names = spec.names or spec.classes
    if names is not None:
        return tuple(names), len(names)
    if spec is None:
        return None, 0
    return _seen_labels(source, spec) if spec.kind == "labels" else (None, _width(source, spec))


def _width(source: Source, spec: Spec) -> int:
    """How many numbers the first row has."""
    for _, batch in source.batches(spec.columns, 1):
        return int(np.size(cols.numbers(spec.column, batch[spec.column])))
    return 0


def _seen_labels(source: Source, spec: Spec) -> tuple[tuple[str, ...] | None, int]:
    """Class names in alphabetical order; for numbers that count from 0 none, and how many."""

    def distinct(_: int, batch: Mapping[str, Column]) -> set[Any]:
        labels = cols.labels(spec.column, batch[spec.column], numeric=spec.numeric)
        text = labels.dtype.kind in "US"
        return set((labels if text else whole_numbers("Labels", labels)).tolist())

    found = located(source, list(spec.columns), 1 << 16, distinct)
    seen: set[Any] = set().union(*(some for _, some in found))
    if PADDING in seen:
        what = f"column {spec.column!r} holds labels"
        raise padding(what, "--ignore-label", where=source.name)
    if seen == set(range(len(seen))):
        return None, len(seen)
    if len({type(value) for value in seen}) > 1:
        what = f"column {spec.column!r} holds class names beside class numbers"
        raise InputError(what, where=source.name)
    names = tuple(map(str, sorted(seen)))
    return names, len(names)


def _size(source: Source, column: str) -> tuple[int, int]:
    """The size of the first pictures if they are small and alike, else a square."""
    sizes: set[tuple[int, int]] = set()
    for _, batch in source.batches([column], 64):
        for encoded in encoded_in(batch[column]):
            found = picture(encoded)
            if found is not None:
                sizes.add((found.size[1], found.size[0]))
        if sizes:
            break
    if len(sizes) == 1 and max(next(iter(sizes))) <= SIDE:
        return next(iter(sizes))
    return SIDE, SIDE
