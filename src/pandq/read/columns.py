"""One column of a table as NumPy, without a copy where the layout allows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pandq.core.hashing import hash_ids
from pandq.core.numerics import BFLOAT16, widen
from pandq.errors import InputError, RowError
from pandq.read.parse import parsed, truths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Column = Any  # a pyarrow Array, which has no types to offer, or a NumPy array

MISSING = "(missing)"
# A table of more groups than this is not for people.
MOST_GROUPS = 10_000


def is_list(kind: pa.DataType) -> bool:
    """Does a column of this type hold one list per row?"""
    kinds = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(is_kind(kind) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Does a column of this type hold strings, perhaps dictionary-encoded?"""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in kinds)


def is_numeric(kind: pa.DataType) -> bool:
    """Does a column of this type hold a number or a truth value per row?"""
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    return any(is_kind(kind) for is_kind in kinds)


def plain(name: str, column: Any) -> Any:
    """The same values in a type that has one form: no views, no run ends, no extension, no bytes.

    Raises:
        InputError: they are bytes that are no text.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        values = [None if value is None else str(value) for value in column.to_pylist()]
        column = pa.array(values, pa.string())
    elif pa.types.is_dictionary(kind):
        column = plain(name, plain(name, column.dictionary).take(column.indices))
    elif pa.types.is_run_end_encoded(kind):
        column = plain(name, pc.run_end_decode(column))
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        column = column.cast(pa.large_list(kind.value_type))
    elif pa.types.is_null(kind) or pa.types.is_string_view(kind) or _is_binary(kind):
        column = _text(name, column)
    return column


def _is_binary(kind: pa.DataType) -> bool:
    kinds = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(is_kind(kind) for is_kind in kinds)


def _text(name: str, column: Any) -> Any:
    """A column as strings."""
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        remedy = "Give a column of numbers or of text."
        raise InputError(
            what=f"column {name!r} holds {column.type}, which is no text", remedy=remedy
        ) from None


def numbers(name: str, column: Column) -> NDArray[Any]:
    """A column of lists as (n, K), of lists of lists as (n, S, K), or of scalars as (n,).

    Args:
        name: the column's name, for errors.
        column: an Arrow array or a NumPy array; text is read as numbers.

    Returns:
        (n, K), (n, S, K) or (n,) in the column's own number type, float64 for text.

    Raises:
        InputError: the lists differ in length, a value is missing, or it holds no numbers.

    >>> numbers("p", pa.array([[0.5, 0.5], [1.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "iufb" or column.dtype == BFLOAT16:
            return column
        raise _no_numbers(name, str(column.dtype))
    column = plain(name, column)
    if column.null_count:
        raise missing(name, column, "has no value (null)")
    if is_text(column.type):
        column = parsed(name, column)
    if not is_list(column.type):
        return _flat(name, column)
    inner = plain(name, column.flatten())
    if is_list(inner.type):
        _require_members(name, column, inner)
    values = numbers(name, inner) if is_list(inner.type) else _flat(name, inner)
    if pa.types.is_fixed_size_list(column.type):
        return values.reshape(len(column), column.type.list_size, *values.shape[1:])
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        row = int((lengths != lengths[0]).argmax())
        raise RowError(
            view=f"column {name!r}",
            row=row,
            problem=f"has a list of {lengths[row]} where the first row has {lengths[0]}",
            remedy="Every row's list must be of one length.",
        )
    return values.reshape(len(column), int(lengths[0]) if len(lengths) else 1, *values.shape[1:])


def _require_members(name: str, column: Any, inner: Any) -> None:
    """Refuse members of different lengths, or missing ones, by the row that they are in."""
    lengths = pc.list_value_length(inner)
    if len(inner) and (inner.null_count or pc.count_distinct(lengths).as_py() > 1):
        odd = _numpy(pc.fill_null(pc.not_equal(lengths, pc.first(lengths)), fill_value=True))
        row = int(pc.list_parent_indices(column)[int(odd.argmax())].as_py())
        raise RowError(
            view=f"column {name!r}",
            row=row,
            problem="has a member that is missing or of another length",
            remedy="Every member of every row needs one number per class.",
        )


def missing(name: str, column: Any, problem: str) -> RowError:
    """The refusal of a missing value, with the condition that leaves such rows out."""
    row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
    kept = keeping(f"{as_sql(name)} IS NOT NULL")
    remedy = f"To leave such rows out: {kept}."
    return RowError(view=f"column {name!r}", row=row, problem=problem, remedy=remedy)


def scalars(name: str, column: Column) -> NDArray[Any]:
    """A column of one value per row as NumPy: numbers as they are, anything else as strings."""
    if isinstance(column, np.ndarray):
        return column
    column = plain(name, column)
    if pa.types.is_decimal(column.type) and not column.null_count:
        column = column.cast(pa.float64())
    if is_numeric(column.type) and not column.null_count:
        return _numpy(column)
    return _strings(name, _text(name, column).fill_null(MISSING))


def _strings(name: str, text: Any) -> NDArray[np.str_]:
    """Text as NumPy, which takes a NUL at its end for none."""
    nul = pc.ends_with(text, "\0")
    if pc.any(nul).as_py():
        row = int(np.argmax(_numpy(nul)))
        remedy = "Write it without."
        raise RowError(
            view=f"column {name!r}", row=row, problem="ends in a NUL character", remedy=remedy
        )
    return _numpy(text).astype(np.str_)


def hashed(name: str, column: Column) -> NDArray[np.uint64]:
    """64 bits for each value of a column of ids, whatever else is in the chunk.

    A whole number has the bits of its text: they are the same in csv and in parquet.
    """
    if isinstance(column, np.ndarray):
        return hash_ids(column)
    column = plain(name, column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        # as text, the chunk's other numbers would hash differently than in a chunk without nulls
        keys = hash_ids(_numpy(column.fill_null(0)))
        return np.where(_numpy(column.is_null()), hash_ids(np.array([MISSING])), keys)
    text = _text(name, column).fill_null(MISSING)
    keys = hash_ids(_strings(name, text))
    whole = pc.match_substring_regex(text, _WHOLE)
    keys[_numpy(whole)] = hash_ids(_numpy(text.filter(whole).cast(pa.int64())))
    return keys


_WHOLE = "^(0|-?[1-9][0-9]{0,17})$"


def labels(name: str, column: Column, *, numeric: bool = False) -> NDArray[Any]:
    """A column of class numbers or class names; a missing one is an error.

    Args:
        name: the column's name, for errors.
        column: an Arrow array or a NumPy array.
        numeric: whether text says numbers or truth values.

    Raises:
        InputError: it holds no single label per row, one is missing, or is not the number that it
            is said to be.
    """
    if isinstance(column, np.ndarray):
        return column
    column = plain(name, column)
    if pa.types.is_nested(column.type):
        raise InputError(
            what=f"column {name!r} holds {_told(column.type)} per row, not one label",
            remedy=_instead_of_one_label(column.type),
        )
    if column.null_count:
        raise missing(name, column, "has no label (null)")
    if numeric and is_text(column.type):
        said = truths(column)
        column = _numbers_exactly(parsed(name, column), column) if said is None else said
    return scalars(name, column)


def _numbers_exactly(numbers: Any, text: Any) -> Any:
    """Numbers that text says, as integers where it says whole ones."""
    try:
        return pc.utf8_trim_whitespace(text).cast(pa.int64())
    except pa.ArrowInvalid:
        return numbers


def _instead_of_one_label(kind: pa.DataType) -> str:
    """What a nested column may be, by the type of what is in it."""
    inside = kind.value_type if is_list(kind) else None
    if inside is not None and is_text(inside):
        return (
            "Answers of several people are votes:COLUMN; several labels that all hold"
            " (multi-label) are audited class by class."
        )
    if inside is not None and pa.types.is_floating(inside):
        return "Soft labels are probs:COLUMN; quantiles, or numbers to predict, have no classes."
    return (
        "Answers of several people are votes:COLUMN, how many chose each class is counts:COLUMN;"
        " several labels that all hold (multi-label) are audited class by class."
    )


def _told(kind: pa.DataType) -> str:
    if is_list(kind):
        return "a list"
    return "a struct" if pa.types.is_struct(kind) else str(kind)


def encoded(name: str, column: Column) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Each row's place in the list of distinct values, and their names.

    >>> encoded("site", pa.array(["b", None, "b"]))
    (array([0, 1, 0]), ('b', '(missing)'))
    """
    if isinstance(column, np.ndarray):
        values, codes = np.unique(one_zero(column), return_inverse=True)
        return codes.astype(np.intp), tuple(str(value) for value in values)
    if not pa.types.is_dictionary(column.type) or not is_text(column.type):
        column = plain(name, column).dictionary_encode()
    codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
    names = _names(name, column.dictionary)
    if "-0.0" in names and pa.types.is_floating(column.dictionary.type):
        codes, names = _one_zero_of(codes, names)
    if column.null_count and MISSING in names:
        codes = np.where(codes == len(names), names.index(MISSING), codes)
    elif column.null_count:
        names = (*names, MISSING)
    return codes.astype(np.intp), names


def _names(name: str, values: Any) -> tuple[str, ...]:
    if pa.types.is_time64(values.type):  # of which Python knows no nanoseconds
        return tuple(_text(name, values).to_pylist())
    try:
        return tuple(map(str, values.to_pylist()))
    except (OverflowError, ValueError):  # dates beyond what Python knows
        return tuple(_text(name, values).to_pylist())


def one_zero(values: NDArray[Any]) -> NDArray[Any]:
    """The same values, with 0.0 for -0.0: they are one number, and must be one name.

    >>> one_zero(np.array([-0.0]))
    array([0.])
    """
    return values + values.dtype.type(0) if values.dtype.kind == "f" else values


def _one_zero_of(
    codes: NDArray[Any], names: tuple[str, ...]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    minus = names.index("-0.0")
    if "0.0" in names:
        return np.where(codes == minus, names.index("0.0"), codes), names
    return codes, (*names[:minus], "0.0", *names[minus + 1 :])


def grouped(name: str, column: Column) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The groups that a column makes; one that tells nearly every row apart makes none."""
    codes, names = encoded(name, column)
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
    values = values.astype(np.str_) if values.dtype.kind == "S" else values
    found = pa.array(np.ascontiguousarray(values).ravel())
    for size in values.shape[:0:-1]:
        found = pa.FixedSizeListArray.from_arrays(found, size)
    return found


def stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Wide columns side by side, (n, K)."""
    return np.stack(columns, axis=1)


def as_sql(name: str) -> str:
    """A column's name as a condition has it, quoted where it must be.

    >>> as_sql("label"), as_sql("true label")
    ('label', '"true label"')
    """
    return name if name.isidentifier() and name.isascii() else '"' + name.replace('"', '""') + '"'


def keeping(condition: str) -> str:
    """How to keep only the rows that satisfy a condition, on the command line."""
    return f"--where {shlex.quote(condition)}"


def _numpy(values: pa.Array) -> NDArray[Any]:
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def _flat(name: str, values: pa.Array) -> NDArray[Any]:
    """A flat Arrow array of numbers; a missing one becomes NaN for the view to name."""
    values = plain(name, values)
    if not is_numeric(values.type):
        raise _no_numbers(name, str(values.type))
    return _numpy(values.cast(pa.float64()) if pa.types.is_decimal(values.type) else values)


def _no_numbers(name: str, kind: str) -> InputError:
    return InputError(
        what=f"column {name!r} holds no numbers",
        got=kind,
        remedy="One class name per row is --p labels:COLUMN with --classes; several of them are"
        " votes:COLUMN.",
    )
