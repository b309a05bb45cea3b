"""A table with recalibrated predictions beside its own columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.documents import read_document
from pandq.errors import InputError
from pandq.read.columns import as_arrow
from pandq.read.scan import open_source, prediction_spec, predictions
from pandq.recalibrator import MAP, Recalibrator
from pandq.store import check_outputs, whole_file, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa


RECALIBRATED = "recalibrated"


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
