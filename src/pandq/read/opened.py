"""What is named or given, opened: files of any kind, or a table in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.read.arrays import ArrayColumns
from pandq.read.beside import joined_by
from pandq.read.laid import Laid
from pandq.read.paths import ARRAYS, expanded, has_suffix
from pandq.read.sources import Filtered, ParquetFiles, narrowed, open_tables
from pandq.read.tables import in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.parts import Source


def as_it_is(
    data: Any,
    id: str | None,  # noqa: A002
    where: str | None,
    as_text: Sequence[str | None],
) -> Laid:
    """The rows of one table, or of two files that an id joins."""
    if isinstance(data, ParquetFiles):
        return Laid(data)
    both = joined_by(data, id, where=where, as_text=[*filter(None, as_text)])
    return both or Laid(open_source(data, where=where))


def open_source(data: Any, *, where: str | None = None) -> Source:
    """The Source for paths or a table in memory.

    Raises:
        InputError: it is neither, or cannot be opened.
    """
    if (table := in_memory(data)) is not None:
        return table if where is None else Filtered(table, where)
    if isinstance(data, str | Path):
        data = [data]
    if not (
        isinstance(data, list | tuple) and data and all(isinstance(x, str | Path) for x in data)
    ):
        raise InputError(
            what="scan needs paths, or a table (polars, pandas, pyarrow, duckdb)",
            got=type(data).__name__,
            remedy="Arrays go to pandq.audit(p, q) as views.",
        )
    files = expanded(data)
    if has_suffix(files[0], ARRAYS):
        arrays = ArrayColumns(files)
        counted = arrays if arrays.condition is None else Filtered(arrays, arrays.condition)
        return counted if where is None else narrowed(counted, where)
    return open_tables(files, where=where)
