"""Pictures of a few rows, from a column of {bytes, path} beside the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.read.pictures import complaint, encoded_in, holds_pictures
from pandq.read.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Collection

    from pandq.read.chunks import MemoryScan

ROWS = 1 << 10


def image_column(rows: Scan | MemoryScan) -> str | None:
    """The first column that holds encoded pictures, in the form that is common in parquet."""
    if not isinstance(rows, Scan):
        return None
    for name, kind in rows.source.schema.items():
        if holds_pictures(kind):
            return name
    return None


def images_of(rows: Scan | MemoryScan, wanted: Collection[int]) -> dict[int, bytes]:
    """The encoded pictures of some rows, by row number; empty where there is no such column.

    Args:
        rows: what was audited.
        wanted: row numbers.

    Returns:
        Those that there are.
    """
    column = image_column(rows)
    if column is None or not isinstance(rows, Scan) or not wanted:
        return {}
    found: dict[int, bytes] = {}
    for start, batch in rows.source.batches([column], ROWS):
        values = batch[column]
        for row in wanted:
            if start <= row < start + len(values):
                (encoded,) = encoded_in(values[row - start : row - start + 1])
                if encoded and not complaint(encoded):
                    found[row] = encoded
        if start + len(values) > max(wanted):
            break
    return found
