"""A second file with what is true, or predicted, of the rows of a first: joined by their id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.read.join import joined
from pandq.read.laid import Laid
from pandq.read.paths import ARRAYS, expanded, has_suffix
from pandq.read.sources import open_tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def joined_by(
    data: Any,
    id: str | None,  # noqa: A002
    *,
    where: str | None = None,
    as_text: Sequence[str] = (),
) -> Laid | None:
    """Two files of different columns as one table of the rows that have the same id.

    Args:
        data: what was given; anything but two files of different columns is no such pair.
        id: the column that names the rows in both; in the second "id" will do.
        where: a SQL condition on the joined rows.
        as_text: columns of csv and json that are kept as they are written.

    Returns:
        The table, whose columns of the second file are called other.NAME, and what was left out.

    Raises:
        InputError: an id is a duplicate, or none is in both files.
    """
    if id is None or not isinstance(data, list | tuple) or len(data) != 2:
        return None
    if not all(isinstance(file, str | Path) for file in data):
        return None
    first, second = (expanded([file]) for file in data)
    if has_suffix(first[0], ARRAYS) or has_suffix(second[0], ARRAYS):
        return None
    if set(open_tables(first).schema) == set(open_tables(second).schema):
        return None
    both = joined([data[0]], [data[1]], id, where=where, as_text=as_text)
    return Laid(both.source, notes=both.notes)
