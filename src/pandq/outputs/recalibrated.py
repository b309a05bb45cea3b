"""A table with recalibrated predictions beside its own columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.documents import read_document
from pandq.errors import InputError
from pandq.read.columns import as_arrow
from pandq.read.opened import open_source
from pandq.read.paths import PARQUET, has_suffix
from pandq.read.predictions import prediction_spec, predictions
from pandq.recalibrator import MAP, Recalibrator
from pandq.store import check_outputs, whole_file, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa


RECALIBRATED = "recalibrated"


def read_recalibrator(path: str | Path) -> Recalibrator:
    """A map that `audit --recalibrator` wrote.

    Raises:
        InputError: it is not there, or is no such map.
    """
    remedy = "It is written by `pandq audit ... --recalibrator FILE`."
    return Recalibrator.from_dict(read_document(path, MAP, remedy))


def recalibrate(
    files: str | Path | Sequence[str | Path],
    recalibrator: Recalibrator | str | Path,
    out: str | Path,
    *,
    q: str | None = None,
    normalise: str | Sequence[str] = (),
    percent: str | Sequence[str] = (),
    tolerance: float | None = None,
) -> int:
    """Apply a recalibration map to predictions in files of any size, as `pandq recalibrate` does.

    Args:
        files: a path or several that are one table, as for `pandq.scan`.
        recalibrator: of `pandq.fit_calibration`, of an audit, or the file that
            `pandq audit --recalibrator FILE` wrote.
        out: the parquet file to write: every column of the table, and `recalibrated`, a list of
            probabilities in each row.
        q: "KIND:COLUMN" of the predictions; recognised by the usual names when left out.
        normalise: "q" divides each row by its sum; otherwise a wrong sum is an error.
        percent: "q" where the numbers are percentages.
        tolerance: how far from 1 a row may sum.

    Returns:
        How many rows were written.

    Raises:
        InputError: the table, the column, the map or the output cannot be used, or the map is for
            other classes.

    Predictions in memory need no file: `recalibrator.of(q)`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from pandq import Labels, Probs, fit_calibration
    >>> c = fit_calibration(Labels([0, 1]), Probs([[0.9, 0.1]] * 2), kind="temperature")
    >>> room = tempfile.TemporaryDirectory()
    >>> table = Path(room.name) / "x.csv"
    >>> _ = table.write_text("score\\n0.1\\n0.2\\n")
    >>> recalibrate(table, c, table.with_name("y.parquet"), q="probs:score")
    2
    >>> room.cleanup()
    """
    paths = [files] if isinstance(files, str | Path) else files
    if not isinstance(paths, list | tuple) or not all(isinstance(x, str | Path) for x in paths):
        remedy = "Predictions in memory: recalibrator.of(q)."
        raise InputError(what="files are paths", got=type(files).__name__, remedy=remedy)
    if not isinstance(out, str | Path):
        raise InputError(what="the output is a file", got=type(out).__name__)
    if not has_suffix(Path(out), PARQUET):
        raise InputError(what="the output is parquet", where=str(out), remedy="Call it x.parquet.")
    if isinstance(recalibrator, str | Path):
        recalibrator = read_recalibrator(recalibrator)
    given: object = recalibrator
    if not isinstance(given, Recalibrator):
        what = "a recalibration map is a Recalibrator, or the file that one is in"
        raise InputError(what, got=type(given).__name__)
    sums = {"normalise": normalise, "percent": percent, "tolerance": tolerance}
    return write_recalibrated([str(path) for path in paths], q, recalibrator, out, **sums)


def write_recalibrated(
    files: list[str],
    q: str | None,
    recalibrator: Recalibrator,
    path: str | Path,
    **sums: Any,
) -> int:
    """The rows of a table with one more column: recalibrated probabilities.

    Args:
        files: the table, as for `pandq.scan`.
        q: "KIND:COLUMN" of the predictions, or None to recognise them by name.
        recalibrator: the map.
        path: the parquet file.
        sums: normalise, percent and tolerance, as for `recalibrate`.

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
        for view, batch in predictions(source, spec, names, **sums):
            recalibrator.require_for(view.n_classes, spec.classes, source.name)
            law = np.exp(recalibrator.of(view).array)
            columns = {name: batch[name] for name in names} | {RECALIBRATED: law}
            yield pa.table({name: as_arrow(x) for name, x in columns.items()})

    with whole_file(path) as part:
        written = write_tables(tables(), part)
        if not written:
            raise InputError(what="there are no rows", where=source.name)
    return written
