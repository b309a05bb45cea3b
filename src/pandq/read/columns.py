"""One column of a table as NumPy, without a copy where the layout allows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.hashing import hash_ids
from pandq.core.numerics import BFLOAT16, widen
from pandq.errors import InputError, RowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Column = Any  # a pyarrow Array, which has no types to offer, or a NumPy array

MISSING = "(missing)"
# A table of more groups than this is not for people.
MOST_GROUPS = 10_000


def is_list(kind: pa.DataType) -> bool:
    """Does a column of this type hold one list per row?"""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Does a column of this type hold strings, perhaps dictionary-encoded?"""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in kinds)


def numbers(name: str, column: Column) -> NDArray[Any]:
    """A column of lists as (n, K), of lists of lists as (n, S, K), or of scalars as (n,).

    Args:
        name: the column's name, for errors.
        column: an Arrow array or a NumPy array.

    Returns:
        (n, K), (n, S, K) or (n,) in the column's own number type.

    Raises:
        InputError: the lists differ in length, a value is missing, or it holds no numbers.

    >>> numbers("p", pa.array([[0.5, 0.5], [1.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    if isinstance(column, np.ndarray):
        return column
    if is_text(column.type):
        column = _parsed_lists(name, column)
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise RowError(
            view=f"column {name!r}", row=row, problem="has no value (null)", remedy=_LEAVE_OUT
        )
    if not is_list(column.type):
        return _plain(name, column)
    inner = column.flatten()
    values = numbers(name, inner) if is_list(inner.type) else _plain(name, inner)
    if pa.types.is_fixed_size_list(column.type):
        return values.reshape(len(column), column.type.list_size, *values.shape[1:])
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        row = int((lengths != lengths[0]).argmax())
        raise RowError(
            view=f"column {name!r}",
            row=row,
            problem=f"has a list of {lengths[row]} where the first row has {lengths[0]}",
            remedy="Every row needs one number per class.",
        )
    return values.reshape(len(column), int(lengths[0]) if len(lengths) else 1, *values.shape[1:])


def scalars(column: Column) -> NDArray[Any]:
    """A column of one value per row as NumPy: numbers as they are, anything else as strings."""
    if isinstance(column, np.ndarray):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        if not column.null_count:
            return _numpy(column)
    elif pa.types.is_boolean(column.type) and not column.null_count:
        return _numpy(column).astype(np.int64)
    text = column.cast(pa.string()).fill_null(MISSING)
    return _numpy(text).astype(np.str_)


def hashed(column: Column) -> NDArray[np.uint64]:
    """64 bits for each value of a column of ids, whatever else is in the chunk."""
    if isinstance(column, np.ndarray):
        return hash_ids(column)
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not (numeric and column.null_count):
        return hash_ids(scalars(column))
    # as text, the chunk's other numbers would hash differently than in a chunk without nulls
    keys = hash_ids(_numpy(column.fill_null(0)))
    return np.where(_numpy(column.is_null()), hash_ids(np.array([MISSING])), keys)


def labels(name: str, column: Column) -> NDArray[Any]:
    """A column of class numbers or class names; a missing one is an error."""
    if not isinstance(column, np.ndarray) and is_list(column.type):
        raise InputError(
            what=f"column {name!r} holds a list per row, not one label",
            remedy="Votes are counts:COLUMN, how many chose each class.",
        )
    if not isinstance(column, np.ndarray) and column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise RowError(
            view=f"column {name!r}", row=row, problem="has no label (null)", remedy=_LEAVE_OUT
        )
    return scalars(column)


def encoded(column: Column) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Each row's place in the list of distinct values, and their names.

    >>> encoded(pa.array(["b", None, "b"]))
    (array([0, 1, 0]), ('b', '(missing)'))
    """
    if isinstance(column, np.ndarray):
        values, codes = np.unique(column, return_inverse=True)
        return codes.astype(np.intp), tuple(str(value) for value in values)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
    names = tuple(str(value) for value in column.dictionary.to_pylist())
    if column.null_count and MISSING in names:
        codes = np.where(codes == len(names), names.index(MISSING), codes)
    elif column.null_count:
        names = (*names, MISSING)
    return codes.astype(np.intp), names


def grouped(name: str, column: Column) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The groups that a column makes; one that tells nearly every row apart makes none."""
    codes, names = encoded(column)
    if len(names) > MOST_GROUPS:
        raise InputError(
            what=f"column {name!r} has too many values to group by",
            got=f"more than {MOST_GROUPS:,}",
            remedy="Group by something coarser; rows that belong together are --cluster.",
        )
    return codes, names


def as_arrow(values: Column) -> Any:
    """An array of rows as a column: numbers, lists of them, or lists of lists; Arrow as it is.

    >>> as_arrow(np.array([[1.0, 2.0]])).to_pylist()
    [[1.0, 2.0]]
    """
    if not isinstance(values, np.ndarray):
        return values
    values = widen(values) if values.dtype == BFLOAT16 else values
    found = pa.array(np.ascontiguousarray(values).ravel())
    for size in values.shape[:0:-1]:
        found = pa.FixedSizeListArray.from_arrays(found, size)
    return found


def stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Wide columns side by side, (n, K)."""
    return np.stack(columns, axis=1)


_LEAVE_OUT = "Leave such rows out (on the command line: --where SQL)."


def _numpy(values: pa.Array) -> NDArray[Any]:
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def _plain(name: str, values: pa.Array) -> NDArray[Any]:
    """A flat Arrow array of numbers; a missing one becomes NaN for the view to name."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise InputError(
            what=f"column {name!r} holds no numbers",
            got=str(kind),
            remedy="Names of classes are --p labels:COLUMN with --classes.",
        )
    return _numpy(values)


def _parsed_lists(name: str, column: pa.Array) -> pa.Array:
    """Lists written as text, as csv must: '[0.1, 0.9]'."""
    parsed: list[Any] = []
    for row, text in enumerate(column.to_pylist()):
        try:
            parsed.append(json.loads(text))
        except (TypeError, ValueError):
            parsed.append(None)
        if not isinstance(parsed[-1], list):
            raise RowError(
                view=f"column {name!r}",
                row=row,
                problem="is no list of numbers",
                got=repr(text),
                remedy="In csv write '[0.1, 0.9]', or give wide columns: probs:prob_*.",
            )
    try:
        return pa.array(parsed, pa.list_(pa.float64()))
    except pa.ArrowException as error:
        raise InputError(
            what=f"column {name!r} holds no lists of numbers", got=str(error)
        ) from None
