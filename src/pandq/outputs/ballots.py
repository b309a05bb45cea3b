"""Votes as a table: how many chose each class for every item, what was said, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.read.named import told_names
from pandq.store import whole_file
from pandq.views import Votes

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from pandq.views import Counts

STEP = 1 << 16


def write_votes(votes: Votes | Counts, ids: Any, path: str | Path) -> int:
    """Write the items that have votes, as parquet.

    The columns are `id`; `counts`, a list of how many chose each class; and of Votes `votes` and,
    where they are known, `annotators`: what was said and by whom, in the order in which it was. The
    schema's metadata have the classes' names, which `scan` and whoever else reads votes find there.

    Args:
        votes: of n items.
        ids: (n,) an Arrow array of what they are called; their numbers where it is None.
        path: the parquet file.

    Returns:
        How many items were written.

    Raises:
        InputError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    named = pa.array(np.arange(len(votes))) if ids is None else ids
    written = 0
    with whole_file(path) as part:
        writer: Any = None
        try:
            for start in range(0, max(len(votes), 1), STEP):
                table = _table(votes[start : start + STEP], named[start : start + STEP])
                writer = writer or pq.ParquetWriter(part, table.schema)
                writer.write_table(table)
                written += len(table)
        finally:
            if writer is not None:
                writer.close()
    return written


def _table(votes: Votes | Counts, ids: Any) -> pa.Table:
    import pyarrow as pa

    counts = votes.table if isinstance(votes, Votes) else np.asarray(votes).astype(np.int64)
    k = counts.shape[1]
    columns = {"id": ids, "counts": pa.FixedSizeListArray.from_arrays(pa.array(counts.ravel()), k)}
    if isinstance(votes, Votes):
        columns["votes"] = _lists(votes, votes.codes, votes.classes)
        if votes.annotators is not None:
            columns["annotators"] = _lists(votes, votes.annotators, votes.annotator_names or ())
    table = pa.table(columns)
    if votes.classes is not None:
        table = table.replace_schema_metadata(told_names({"counts": votes.classes}))
    return table.filter(pa.array(counts.sum(axis=1) > 0))


def _lists(votes: Votes, codes: Any, names: tuple[str, ...]) -> Any:
    """Names of each item's answers."""
    import pyarrow as pa

    values = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(names), pa.string()))
    offsets = pa.array(votes.offsets.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values.cast(pa.string()))
