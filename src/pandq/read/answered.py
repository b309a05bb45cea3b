"""Answers of several people in columns: lists, maps, texts, or one column an annotator."""

from __future__ import annotations

import json
from ast import literal_eval
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pandq.errors import InputError, RowError
from pandq.read import columns as cols
from pandq.views.answers import among_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.columns import Column
    from pandq.read.recognise import Spec

# What stands where nobody answered, as the sets of natural language inference have it.
GAPS = ("", "-")


@dataclass(frozen=True, slots=True)
class Given:
    """The answers of some rows: row i has those of the `rows` that are i, gaps left out.

    `labels` are text; `who` says who gave each, None where that is not known.
    """

    n: int
    rows: NDArray[np.intp]
    labels: Any
    who: Any | None

    def without(self, skip: Sequence[str]) -> Given:
        """The answers that are none of these."""
        if not skip:
            return self
        return self._only(~_is_in(self.labels, skip))

    def _only(self, kept: NDArray[np.bool_]) -> Given:
        some = pa.array(kept)
        who = None if self.who is None else self.who.filter(some)
        return replace(self, rows=self.rows[kept], labels=self.labels.filter(some), who=who)

    def first(self, most: int | None) -> Given:
        """The first answers of each row, in their order; all where it is not said how many."""
        return self if most is None else self._only(among_first(self.rows, self.n, most))

    def once_each(self, duplicates: str) -> tuple[Given, int, tuple[int, str] | None]:
        """One answer of an annotator to a row; how many are too many, and the first of them."""
        if self.who is None or not len(self.rows):
            return self, 0, None
        people = self.who.dictionary_encode()
        codes = as_numpy(people.indices.fill_null(-1)).astype(np.int64)
        keys = self.rows.astype(np.int64) * (len(people.dictionary) + 1) + codes
        keys = np.where(codes < 0, -1 - np.arange(len(codes)), keys)  # unknown ones are all apart
        order = np.arange(len(keys)) if duplicates != "last" else np.arange(len(keys))[::-1]
        _, first = np.unique(keys[order], return_index=True)
        kept = np.zeros(len(keys), dtype=bool)
        kept[order[first]] = True
        if kept.all():
            return self, 0, None
        one = int((~kept).argmax())
        example = int(self.rows[one]), str(self.who[one].as_py())
        return self._only(kept), int((~kept).sum()), example


def given(spec: Spec, batch: Mapping[str, Column]) -> Given:
    """The answers that KIND:COLUMN `votes` means, over one batch of columns.

    Raises:
        InputError: a column holds no labels, or annotators are not one for each label.
    """
    if spec.wide:
        return _beside(spec, {name: batch[name] for name in spec.columns})
    column = batch[spec.column]
    if isinstance(column, np.ndarray):
        column = cols.as_arrow(column)
    column = cols.plain(spec.column, column)
    if pa.types.is_struct(column.type):
        names = [column.type.field(k).name for k in range(column.type.num_fields)]
        return _beside(spec, dict(zip(names, column.flatten(), strict=True)))
    parents, labels, keys = _listed(spec.column, column)
    if spec.annotators is not None:
        who = cols.plain(spec.annotators, cols.as_arrow(batch[spec.annotators]))
        others, keys, _ = _listed(spec.annotators, who)
        _require_aligned(spec, len(column), parents, others)
    return _of_flat(spec, len(column), parents, labels, keys)


def _beside(spec: Spec, columns: Mapping[str, Any]) -> Given:
    """One column, or one field, an annotator."""
    arrays = [_texts(name, cols.plain(name, cols.as_arrow(x))) for name, x in columns.items()]
    n, m = len(arrays[0]), len(arrays)
    order = pa.array(np.arange(n * m).reshape(m, n).T.ravel())
    labels = pa.concat_arrays(arrays).take(order)
    who = pa.array(list(columns)).take(pa.array(np.tile(np.arange(m), n)))
    return _of_flat(spec, n, np.repeat(np.arange(n), m), labels, who)


def _of_flat(spec: Spec, n: int, parents: NDArray[Any], labels: Any, who: Any | None) -> Given:
    labels = _texts(spec.column, labels)
    who = None if who is None else _texts(spec.annotators or spec.column, who)
    there = ~_is_in(labels, GAPS) & as_numpy(labels.is_valid())
    whole = Given(n, parents.astype(np.intp), labels, who)
    return whole._only(there)  # noqa: SLF001 - its own


def _listed(name: str, column: Any) -> tuple[NDArray[Any], Any, Any | None]:
    """The row of each answer, the answers, and, of a map, its keys."""
    if cols.is_text(column.type):
        column = parsed_text(name, column)
    kind = column.type
    if pa.types.is_map(kind):
        lengths = _lengths(column, pa.ListArray.from_arrays(column.offsets, column.items))
        return np.repeat(np.arange(len(column)), lengths), column.items, column.keys
    if not cols.is_list(kind):
        return np.arange(len(column)), column, None
    lengths = _lengths(column, column)
    return np.repeat(np.arange(len(column)), lengths), column.flatten(), None


def _lengths(column: Any, listed: Any) -> NDArray[Any]:
    lengths = as_numpy(pc.list_value_length(listed).fill_null(0))
    return np.where(as_numpy(column.is_valid()), lengths, 0)


def parsed_text(name: str, column: Any) -> Any:
    """Text as lists or maps of text, where it is written so: [..], {..}, or with commas.

    Raises:
        RowError: it begins as a list or a map and is none, or some rows are maps and some not.
    """
    rows: list[Any] = []
    mapped = False
    for row, text in enumerate(column.to_pylist()):
        value = _value(name, row, text)
        mapped = mapped or isinstance(value, dict)
        rows.append(value)
    if mapped:
        kind = pa.map_(pa.string(), pa.string())
        pairs = [
            None if x is None else [(k, _told(v)) for k, v in _pairs(name, i, x)]
            for i, x in enumerate(rows)
        ]
        return pa.array(pairs, kind)
    return pa.array(
        [None if x is None else [_told(v) for v in x] for x in rows], pa.list_(pa.string())
    )


def _pairs(name: str, row: int, value: Any) -> Any:
    if isinstance(value, dict):
        return value.items()
    raise RowError(view=f"column {name!r}", row=row, problem="is no map, as other rows are")


def _value(name: str, row: int, text: str | None) -> Any:
    """What a text of votes is: a list, a map, or labels with commas between them."""
    if text is None:
        return None
    text = text.strip()
    if not text.startswith(("[", "{")):
        return [x.strip() for x in text.split(",")]
    for read in (json.loads, literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list | dict | tuple):
            return value
    shown = repr(text if len(text) < 80 else f"{text[:77]}...")
    raise RowError(
        view=f"column {name!r}", row=row, problem="is no list or map of labels", got=shown
    )


def _told(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, int | float) else str(value)


def _number(value: float) -> str | None:
    if value != value:  # noqa: PLR0124 - NaN
        return None
    return str(int(value)) if value == int(value) else repr(value)


def _texts(name: str, values: Any) -> Any:
    """Labels as text: whole numbers without a point, so that 1 and 1.0 are one class."""
    values = cols.plain(name, values)
    kind = values.type
    if pa.types.is_nested(kind):
        raise InputError(
            what=f"column {name!r} holds {kind} for each answer, not one label",
            remedy="A SELECT can take one of its parts: --select SQL, or a layout.",
        )
    if cols.is_text(kind):
        return values.cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.array(
            [None if x is None else _number(float(x)) for x in values.to_pylist()], pa.string()
        )
    return values.cast(pa.string())


def _is_in(labels: Any, some: Sequence[str]) -> NDArray[np.bool_]:
    return as_numpy(pc.is_in(labels, value_set=pa.array(list(some), pa.string())))


def as_numpy(values: Any) -> NDArray[Any]:
    """An Arrow array as NumPy, copied where it must be."""
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def _require_aligned(spec: Spec, n: int, mine: NDArray[Any], other: NDArray[Any]) -> None:
    labels, people = (np.bincount(x, minlength=n) for x in (mine, other))
    if (labels != people).any():
        row = int((labels != people).argmax())
        raise RowError(
            view=f"column {spec.column!r}",
            row=row,
            problem=f"has {labels[row]} labels of {people[row]} annotators",
            remedy="Annotators are one for each label, in the same order.",
        )
