"""What an audit or a comparison leaves on disk: pages, items, recalibrated predictions."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.scores import TIED
from pandq.documents import read_document
from pandq.ensembles import Ensemble, split
from pandq.errors import InputError
from pandq.estimate.membersums import SPLIT
from pandq.estimate.recalibrator import MAP, Recalibrator
from pandq.read.columns import as_arrow
from pandq.read.images import images_of
from pandq.read.scan import open_source, prediction_spec, predictions
from pandq.rows import NAMES, measure_rows
from pandq.store import check_outputs, whole_file, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from pandq.audits import Audit
    from pandq.comparisons import Comparison
    from pandq.estimate.decomposition import Trained
    from pandq.read.chunks import MemoryScan
    from pandq.read.scan import Scan


RECALIBRATED = "recalibrated"


def write_page(text: str, path: str | Path) -> None:
    """A page as a file."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_audit_page(audit: Audit, rows: Scan, path: str | Path) -> None:
    """An audit's page, with pictures of its worst rows where the table has some."""
    from pandq.report.html import audit_page, little_images
    from pandq.report.provenance import how

    images = little_images(images_of(rows, [row["row"] for row in audit.worst]))
    files = getattr(rows.source, "files", [])
    write_page(audit_page(audit, how=how(files), images=images), path)


def write_comparison_page(comparison: Comparison, files: Sequence[str], path: str | Path) -> None:
    """A comparison's page."""
    from pandq.read.paths import expanded
    from pandq.report.comparison_html import comparison_page
    from pandq.report.provenance import how

    write_page(comparison_page(comparison, how=how(expanded(list(files)))), path)


def write_items(rows: Scan | MemoryScan, path: str | Path, trained: Trained | None = None) -> None:
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


def read_recalibrator(path: str | Path) -> Recalibrator:
    """A map that `audit --recalibrator` wrote.

    Raises:
        InputError: it is not there, or is no such map.
    """
    remedy = "It is written by `pandq audit ... --recalibrator FILE`."
    return Recalibrator.from_dict(read_document(path, MAP, remedy))


def write_recalibrated(
    files: list[str], q: str | None, recalibrator: Recalibrator, path: str | Path
) -> int:
    """The rows of a table with one more column: recalibrated probabilities.

    Args:
        files: the table, as for `pandq.scan`.
        q: "KIND:COLUMN" of the predictions, or None to recognise them by name.
        recalibrator: the map.
        path: the parquet file.

    Returns:
        How many rows were written.

    Raises:
        InputError: the table, the column or the output cannot be used, or the map is for
            other classes.
    """
    import pyarrow as pa

    check_outputs(files, str(path))
    source = open_source(files).typed()
    spec = prediction_spec(source, q)
    names = [name for name in source.schema if name != RECALIBRATED]

    def tables() -> Iterator[pa.Table]:
        for view, batch in predictions(source, spec, names):
            recalibrator.require_for(view.n_classes, spec.classes, source.name)
            law = np.exp(recalibrator.of(view).array)
            columns = {name: batch[name] for name in names} | {RECALIBRATED: law}
            yield pa.table({name: as_arrow(x) for name, x in columns.items()})

    with whole_file(path) as part:
        written = write_tables(tables(), part)
        if not written:
            raise InputError(what="there are no rows", where=source.name)
    return written
