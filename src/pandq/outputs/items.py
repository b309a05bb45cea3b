"""Items: what is known of each row, as a table of its own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.scores import TIED
from pandq.errors import InputError
from pandq.estimate.passes import name_of, rows_of
from pandq.quantities import keys
from pandq.results.uncertainty import SPLIT
from pandq.rows import measure_rows
from pandq.store import whole_file
from pandq.views import Ensemble, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.read.scan import Scan
    from pandq.results.audit import Audit, RowParts

CLASSES = ("p_class", "q_class")


def items(
    p: object,
    q: object = None,
    *,
    audit: Audit | None = None,
    classes: Sequence[str] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
) -> pa.Table:
    """What is known of each row: the table that `pandq audit --items FILE` writes.

    For files of any size the command writes it in constant memory.

    Args:
        p: a view of what is true, or a Scan of files (then `q` and the columns are its own).
        q: a view of what is predicted.
        audit: of the same rows, ids and clusters; what its decomposition trained adds each row's
            cross entropy after a recalibration that never saw it, `refinement_loss`, and for votes
            the model-based entropy, `model_floor`.
        classes: class names in the order of Q's columns.
        cluster: (n,) values that say which rows belong together, as in the audit.
        ids: (n,) names of the rows; their numbers from 0 when left out.

    Returns:
        A pyarrow.Table of n rows: `row` (int64, from 0), `id` (text), a float64 column for each
        quantity that is measured of a row, in nats where it has a unit, and `p_class` and
        `q_class` (int32), the most probable classes, null where several are. An ensemble adds its
        `total`, `aleatoric` and `epistemic` entropy.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used, or the audit has trained nothing.

    >>> import pandq
    >>> table = items(pandq.Labels([0, 1]), pandq.Probs([[0.5, 0.5], [0.0, 1.0]]))
    >>> table["cross_entropy"].to_pylist(), table["q_class"].to_pylist()
    ([0.6931471805599453, 0.0], [None, 1])
    """
    import pyarrow as pa

    trained = getattr(audit, "trained", None)
    if audit is not None and trained is None:
        raise InputError(
            what="the audit has trained nothing that tells of single rows",
            remedy="Make it in this process, of rows enough, and not with decompose=False.",
        )
    rows = rows_of(p, q, classes=classes, cluster=cluster, ids=ids)
    found = list(item_tables(rows, trained))
    n = sum(len(table) for table in found)
    if not n:
        raise InputError(what="there are no rows", where=name_of(rows))
    if audit is not None and audit.n != n:
        raise InputError(what="the audit is of other rows", got=f"{audit.n:,} of them, not {n:,}")
    return pa.concat_tables(found)


def write_items(rows: Scan | MemoryScan, path: str | Path, trained: RowParts | None = None) -> None:
    """The table of `items`, for rows of any number, as parquet.

    Args:
        rows: what to measure.
        path: the parquet file.
        trained: what a decomposition taught.

    Raises:
        InputError: a row cannot be used, or the file cannot be written.
    """
    import pyarrow.parquet as pq

    tables = item_tables(rows, trained)
    first = next(tables, None)
    schema = schema_of((), trained) if first is None else first.schema
    with whole_file(path) as part, pq.ParquetWriter(part, schema) as writer:
        for table in chain([] if first is None else [first], tables):
            writer.write_table(table)


def item_tables(rows: Scan | MemoryScan, trained: RowParts | None) -> Iterator[pa.Table]:
    """The measures of each row, chunk by chunk."""
    import pyarrow as pa

    for chunk in rows.chunks():
        members = SPLIT if isinstance(chunk.q, Ensemble) else ()
        yield pa.table(_columns(chunk, members, trained), schema=schema_of(members, trained))


def schema_of(members: Sequence[str], trained: RowParts | None) -> pa.Schema:
    """The table's columns: those of any rows, of an ensemble, and of a decomposition."""
    import pyarrow as pa

    after = () if trained is None else trained.row_names
    return pa.schema(
        [
            ("row", pa.int64()),
            ("id", pa.string()),
            *((name, pa.float64()) for name in keys("average", "row")),
            *((name, pa.int32()) for name in CLASSES),
            *((name, pa.float64()) for name in (*members, *after)),
        ]
    )


def _columns(
    chunk: Chunk, members: Sequence[str], trained: RowParts | None
) -> dict[str, NDArray[Any] | pa.Array]:
    import pyarrow as pa

    measured = measure_rows(chunk.p, chunk.q)
    ids = chunk.ids if isinstance(chunk.ids, pa.Array) else pa.array(np.asarray(chunk.ids))
    columns = {
        "row": np.arange(chunk.start, chunk.start + len(chunk)),
        "id": ids.cast(pa.string()),
        **{name: getattr(measured, name) for name in keys("average", "row")},
        **{name: _tops(getattr(measured, name)) for name in CLASSES},
    }
    if members:
        columns |= dict(zip(members, split(chunk.q.array), strict=True))
    return columns if trained is None else columns | trained.rows(chunk)


def _tops(tops: NDArray[Any]) -> pa.Array:
    """Most probable classes, null where several share the top."""
    import pyarrow as pa

    return pa.array(tops.astype(np.int32), mask=tops == TIED)
