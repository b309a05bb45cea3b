"""Text as numbers, or as lists of them: what csv holds, and json where it says so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pandq.core.classes import TRUTH
from pandq.errors import RowError

_FLAT = r"^\[[^\[\]]*\]$"


def parsed(name: str, column: Any) -> Any:
    """Text as an Arrow array of float64, or of lists of them as json writes lists.

    Args:
        name: the column's name, for errors.
        column: strings, none of them missing.

    Raises:
        RowError: one is neither; the row is named.

    >>> parsed("p", pa.array(["0.5", " 1e3 "])).to_pylist()
    [0.5, 1000.0]
    >>> parsed("p", pa.array(["[0.5, 0.5]"])).to_pylist()
    [[0.5, 0.5]]
    """
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    if len(text) and text[0].as_py().startswith("["):
        return _lists(name, text)
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        return _truths(name, text)


def truths(text: Any) -> Any | None:
    """Text that says true or false as truth values, or None if any says something else."""
    known = pc.index_in(pc.utf8_lower(text), value_set=pa.array(list(TRUTH)))
    if known.null_count:
        return None
    return pc.equal(known, list(TRUTH.values()).index(True))


def _truths(name: str, text: Any) -> Any:
    found = truths(text)
    if found is not None:
        return found.cast(pa.float64())
    row, value = next((i, x) for i, x in enumerate(text.to_pylist()) if not _is_number(x))
    remedy = "Lists are written [0.1, 0.9]; one column per class is named KIND:prob_*."
    raise RowError(
        view=f"column {name!r}", row=row, problem="is no number", got=repr(value), remedy=remedy
    )


def _is_number(text: str) -> bool:
    try:
        pa.array([text]).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _lists(name: str, text: Any) -> Any:
    if pc.all(pc.match_substring_regex(text, _FLAT)).as_py():
        items = pc.split_pattern(pc.utf8_slice_codeunits(text, 1, -1), ",")
        try:
            numbers = pc.utf8_trim_whitespace(items.flatten()).cast(pa.float64())
        except pa.ArrowInvalid:
            pass  # row by row: which one, and why
        else:
            return pa.ListArray.from_arrays(items.offsets, numbers)
    rows = [_list(name, row, value) for row, value in enumerate(text.to_pylist())]
    deep = bool(rows and rows[0] and isinstance(rows[0][0], list))
    kind = pa.list_(pa.list_(pa.float64()) if deep else pa.float64())
    return pa.array(rows, kind)


def _list(name: str, row: int, text: str) -> list[Any]:
    """One list, or list of lists, of numbers."""
    try:
        found = json.loads(text)
        if isinstance(found, list) and np.asarray(found, dtype=np.float64).ndim <= 2:
            return found
    except (ValueError, TypeError, RecursionError, OverflowError):
        pass
    raise RowError(
        view=f"column {name!r}",
        row=row,
        problem="is no list of numbers",
        got=repr(text if len(text) < 100 else f"{text[:97]}..."),
        remedy="In csv write '[0.1, 0.9]', or give wide columns: probs:prob_*.",
    )
