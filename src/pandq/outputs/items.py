"""What is known of each row, as a table of its own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.scores import TIED
from pandq.results.uncertainty import SPLIT
from pandq.rows import NAMES, measure_rows
from pandq.store import whole_file
from pandq.views import Ensemble, split

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from pandq.read.chunks import MemoryScan
    from pandq.read.scan import Scan
    from pandq.results.audit import RowParts


def write_items(rows: Scan | MemoryScan, path: str | Path, trained: RowParts | None = None) -> None:
    """One row of measures for each row of P and Q, in nats, as parquet.

    Args:
        rows: what to measure.
        path: the parquet file.
        trained: what a decomposition taught; it adds each row's cross entropy after a
            recalibration that never saw it, and for votes the model-based entropy. An ensemble
            adds its total, aleatoric and epistemic entropy.

    Raises:
        InputError: a row cannot be used, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks = iter(rows.chunks())
    first = next(chunks, None)
    members = SPLIT if first is not None and isinstance(first.q, Ensemble) else ()
    classes = ("p_class", "q_class")
    kinds = [(name, pa.int32() if name in classes else pa.float64()) for name in NAMES]
    named = (*members, *(() if trained is None else trained.row_names))
    more = [(name, pa.float64()) for name in named]
    schema = pa.schema([("row", pa.int64()), ("id", pa.string()), *kinds, *more])
    with whole_file(path) as part, pq.ParquetWriter(part, schema) as writer:
        for chunk in chain([] if first is None else [first], chunks):
            measured = measure_rows(chunk.p, chunk.q)
            ids = chunk.ids if isinstance(chunk.ids, pa.Array) else pa.array(np.asarray(chunk.ids))
            columns = {
                "row": np.arange(chunk.start, chunk.start + len(chunk)),
                "id": ids.cast(pa.string()),
                **{
                    name: _classes(getattr(measured, name))
                    if name in classes
                    else getattr(measured, name)
                    for name in NAMES
                },
            }
            if members:
                columns |= dict(zip(members, split(chunk.q.array), strict=True))
            if trained is not None:
                columns |= trained.rows(chunk)
            writer.write_table(pa.table(columns, schema=schema))


def _classes(tops: NDArray[Any]) -> pa.Array:
    """Most probable classes, null where several share the top."""
    import pyarrow as pa

    return pa.array(tops.astype(np.int32), mask=tops == TIED)
