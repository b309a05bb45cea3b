"""Structs and maps of class to number: one number a class, by the classes' names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pandq.core.classes import distinct
from pandq.errors import InputError, RowError, near_names
from pandq.read import columns as cols
from pandq.read.answered import as_numpy, parsed_text
from pandq.read.parts import located
from pandq.read.voted import BATCH, Polled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.recognise import Spec

# Of these kinds a class that is not named has 0; of the others it has no value.
_ZERO = ("counts", "probs")
# Of these a key that is no class may be left out: what is left says what it did.
LOGITS = "logits"


def is_classed(kind: pa.DataType) -> bool:
    """Does a column of this type hold a struct or a map of class to number?"""
    return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def classes_in(source: Source, spec: Spec) -> Polled:
    """The classes that a column's structs or maps name, with how many rows have each.

    Raises:
        InputError: a row names none.
    """
    rows = Counter[str]()
    n = empty = 0
    first = None

    def keyed(start: int, batch: Mapping[str, Column]) -> tuple[int, int, Any, NDArray[Any]]:
        column = batch[spec.column]
        parents, keys, _ = _entries(spec.column, column)
        return start, len(column), keys, parents

    for _, (start, size, keys, parents) in located(source, [spec.column], BATCH, keyed):
        for entry in pc.value_counts(keys).to_pylist():
            rows[entry["values"]] += entry["counts"]
        none = np.bincount(parents, minlength=size) == 0
        if none.any() and first is None:
            first = start + int(none.argmax())
        empty += int(none.sum())
        n += size
    if empty:
        raise InputError(
            what=f"column {spec.column!r} names no class in {empty:,} of {n:,} rows, the first is"
            f" row {first}",
            where=source.name,
            remedy="To leave out rows without a class: "
            f"{cols.keeping(_has_any(spec.column, source.schema[spec.column]))}.",
        )
    return Polled(n, rows)


def _has_any(name: str, kind: pa.DataType) -> str:
    """The SQL condition that a row's struct or map names a class."""
    column = cols.as_sql(name)
    if pa.types.is_map(kind):
        return f"cardinality({column}) > 0"
    if pa.types.is_struct(kind):
        fields = (f"{column}.{cols.as_sql(kind.field(k).name)}" for k in range(kind.num_fields))
        return f"coalesce({', '.join(fields)}) IS NOT NULL"
    return f"{column} IS NOT NULL"


def by_class(spec: Spec, column: Any) -> NDArray[Any]:
    """(n, K) one number for each of the spec's fields, in their order.

    Raises:
        InputError: a class is missing where nothing says what it would have, or is unknown.
    """
    names = distinct(spec.fields)
    parents, keys, values = _entries(spec.column, column)
    coded = keys.dictionary_encode()
    places = np.array([names.place(x) for x in coded.dictionary.to_pylist()], dtype=np.int64)
    codes = places[as_numpy(coded.indices)] if len(places) else np.zeros(0, dtype=np.int64)
    numbers = _numbers(spec.column, values)
    known = codes >= 0
    if not known.all() and spec.kind != LOGITS:
        at = int((~known).argmax())
        name = keys[at].as_py()
        raise RowError(
            view=f"column {spec.column!r}",
            row=int(parents[at]),
            problem="names an unknown class",
            got=repr(name),
            remedy=near_names(name, names.names),
        )
    found = np.full((len(column), len(names.names)), np.nan)
    found[parents[known], codes[known]] = numbers[known]
    if spec.numbers in _ZERO:
        return np.nan_to_num(found) if not np.isnan(numbers).any() else found
    _require_all(spec, found, names.names)
    return found


def _require_all(spec: Spec, found: NDArray[Any], names: Sequence[str]) -> None:
    missing = np.isnan(found)
    if not missing.any():
        return
    row, k = (int(x[0]) for x in np.nonzero(missing))
    rows = int(missing.any(axis=1).sum())
    has = f"list_has_all(map_keys({cols.as_sql(spec.column)}), {list(names)})"
    shown = cols.keeping(has) if len(has) < 200 else "--where SQL"
    raise RowError(
        view=f"column {spec.column!r}",
        row=row,
        problem=f"has no value for class {names[k]!r}",
        got=f"{rows:,} such rows among the {len(found):,} around it",
        remedy=f"--classes A,B says which classes are meant; to leave out such rows: {shown}.",
    )


def _entries(name: str, column: Any) -> tuple[NDArray[Any], Any, Any]:
    """The row, the class and the number of each entry; nulls left out."""
    if cols.is_text(column.type):
        column = parsed_text(name, column)
    kind = column.type
    n = len(column)
    if pa.types.is_struct(kind):
        names = [kind.field(k).name for k in range(kind.num_fields)]
        arrays = [x.cast(pa.float64()) for x in column.flatten()]
        order = np.arange(n * len(names)).reshape(len(names), n).T.ravel()
        values = pa.concat_arrays(arrays).take(pa.array(order))
        keys = pa.array(names, pa.string()).take(pa.array(np.tile(np.arange(len(names)), n)))
        parents = np.repeat(np.arange(n), len(names))
    elif pa.types.is_map(kind):
        listed = pa.ListArray.from_arrays(column.offsets, column.items)
        lengths = as_numpy(pc.list_value_length(listed))
        lengths = np.where(as_numpy(column.is_valid()), lengths, 0)
        parents = np.repeat(np.arange(n), lengths)
        keys, values = column.keys.cast(pa.string()), column.items
    else:
        raise InputError(what=f"column {name!r} holds no map of class to number", got=str(kind))
    there = values.is_valid()
    return parents[as_numpy(there)], keys.filter(there), values.filter(there)


def _numbers(name: str, values: Any) -> NDArray[Any]:
    try:
        return as_numpy(values.cast(pa.float64()))
    except pa.ArrowException:
        raise InputError(
            what=f"column {name!r} maps classes to no numbers", got=str(values.type)
        ) from None
