"""A table with a model's predictions beside its own columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError, near_names
from pandq.plain import UNSEEN
from pandq.read.columns import as_arrow
from pandq.read.feature_scan import decoded_rows, not_decoded
from pandq.read.features import feature_columns, open_rows
from pandq.read.pictures import holds_pictures
from pandq.store import whole_file, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pandq.fit.folder import Model
    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.recalibrator import Recalibrator


MEMBERS = "members"


# The pictures of a batch, decoded, are to take little memory.
PREDICTED_ROWS = 1 << 10


def write_predictions(
    model: Model,
    files: Sequence[str],
    path: str | Path,
    *,
    name: str = "probs",
    members: int | None = None,
    x: str | None = None,
    where: str | None = None,
    recalibrator: Recalibrator | None = None,
    skip_unreadable: bool = False,
) -> tuple[int, list[str]]:
    """The rows of a table with the model's probabilities beside them, as parquet.

    Args:
        model: fitted.
        files: a table, or a folder of pictures.
        path: the parquet file.
        name: of the new column.
        members: how many draws of a Bayesian model stand in a further column, `members`.
        x: the features' columns, if they are named otherwise than those it was fitted to.
        where: a SQL condition on the rows.
        recalibrator: a map whose probabilities are to stand in a further column, `recalibrated`.
        skip_unreadable: leave rows out whose picture cannot be decoded.

    Returns:
        How many rows were written, and the pictures that were left out.

    Raises:
        InputError: the table, its columns or the output cannot be used.
    """
    from pandq.outputs.recalibrated import RECALIBRATED

    source = open_rows(list(files), where=where).typed()
    columns = feature_columns(x, source.schema, []) if x else model.columns
    new = [name, *([] if recalibrator is None else [RECALIBRATED]), *([MEMBERS] if members else [])]
    _check_columns(source, columns, new, model)
    if recalibrator is not None:
        recalibrator.require_for(model.n_classes, model.classes, "the model")
    unreadable: list[str] = []

    def tables() -> Iterator[Any]:
        for found in decoded_rows(source, columns, model.size, PREDICTED_ROWS):
            unreadable.extend(found.unreadable)
            if not found.keep.any():
                continue
            x_kept = found.x[found.keep]
            q = model.predict(x_kept)
            laws = {name: np.exp(q.array)}
            if recalibrator is not None:
                laws[RECALIBRATED] = np.exp(recalibrator.of(q).array)
            if members is not None:
                laws[MEMBERS] = np.exp(model.predict_members(x_kept, members).array)
            yield _table(found.batch, found.keep, laws)

    with whole_file(path) as part:
        written = write_tables(tables(), part)
        if unreadable and not skip_unreadable:
            raise not_decoded(unreadable, source.name)
        if not written:
            raise InputError(what="there are no rows", where=source.name)
    return written, unreadable


def _check_columns(
    source: Source, columns: Sequence[str], new: Sequence[str], model: Model
) -> None:
    """Refuse a table that lacks the features, or that has a column of the new one's name."""
    for column in columns:
        if column not in source.schema:
            raise InputError(
                what=f"no column {column!r}, from which the model predicts",
                where=source.name,
                remedy=f"{near_names(column, source.schema)} If it is named otherwise: --x COLUMN.",
            )
    if sorted(columns) == sorted(model.columns) and tuple(columns) != model.columns:
        raise InputError(
            what="the model takes the same columns in another order",
            where=source.name,
            got=", ".join(columns),
            remedy=f"--x {','.join(model.columns)}",
        )
    if not new[0] or UNSEEN.search(new[0]):
        raise InputError(what="--name needs a name that can be seen", got=ascii(new[0]))
    pictures = holds_pictures(source.schema[columns[0]])
    if pictures != (model.size is not None):
        kind = "pictures" if model.size is not None else "features in columns"
        raise InputError(
            what=f"the model predicts from {kind}",
            where=source.name,
            got=f"column {columns[0]!r} of {source.schema[columns[0]]}",
        )
    for name in new:
        if name in source.schema:
            raise InputError(
                what=f"there is a column {name!r} already",
                where=source.name,
                remedy="Name the new one otherwise: --name COLUMN.",
            )


def _table(batch: Mapping[str, Column], keep: Any, laws: dict[str, Any]) -> Any:
    """The rows that have a prediction, with all their columns and lists of probabilities."""
    import pyarrow as pa

    mask = pa.array(keep)
    columns = {name: as_arrow(column).filter(mask) for name, column in batch.items()}
    return pa.table({**columns, **{name: as_arrow(law) for name, law in laws.items()}})
