"""What a fit tells a person, and the folder that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError, near_names
from pandq.fit.folder import CURVE_FIGURE, FOLDER, Model, write_model
from pandq.fit.networks.classifier import NetworkClassifier
from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
from pandq.plain import UNSEEN
from pandq.read.columns import as_arrow
from pandq.read.feature_scan import decoded_rows, not_decoded
from pandq.read.features import feature_columns, open_rows
from pandq.read.pictures import holds_pictures
from pandq.report.curves import SETS, curve
from pandq.report.words import number
from pandq.store import whole_file, whole_folder, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pandq.estimate.recalibrator import Recalibrator
    from pandq.read.columns import Column
    from pandq.read.parts import Source

MEMBERS = "members"
FLOOR_NOTES = {
    "labels": "(one label per row has no entropy: a floor of 0 here does not say that 0 can be"
    " reached; an audit says what can)",
    "counts": "(the floor is the entropy of each row's votes: of few votes it is too low; an audit"
    " bounds it)",
}
# The pictures of a batch, decoded, are to take little memory.
PREDICTED_ROWS = 1 << 10


def save_model(model: Model, path: str | Path, *, replace: bool = False) -> None:
    """A model as a folder, with its curve drawn; written whole or not at all.

    Args:
        model: fitted.
        path: the folder to be.
        replace: whether a model that is there may be replaced.

    Raises:
        InputError: the folder is there already, or cannot be written.
    """
    if not isinstance(model, Model):
        raise InputError(what="a model is what pandq.fit_model makes", got=type(model).__name__)
    with whole_folder(path, FOLDER, replace=replace) as part:
        write_model(model, part)
        figure = curve(model.curve)
        figure.savefig(part / CURVE_FIGURE, metadata={"Date": None})


def progress_line(row: dict[str, Any], of: int | None = None) -> str:
    """One epoch or step in a line: the loss, its floor and the gap.

    >>> progress_line({"epoch": 2, "train_cross_entropy": 0.5, "train_floor": 0.2, "train_kl": 0.3})
    'epoch 2: cross entropy 0.5000 = floor 0.2000 + gap 0.3000'
    """
    step = "epoch" if "epoch" in row else "step"
    text = f"{step} {row[step]}" + (f"/{of}" if of else "")
    elbo = f" ELBO {number(row['elbo'], 3)}," if "elbo" in row else ""
    text += f":{elbo}" + " cross entropy {} = floor {} + gap {}".format(
        *(number(row[f"train_{what}"]) for what in ("cross_entropy", "floor", "kl"))
    )
    if "valid_kl" in row:
        after = row.get("valid_kl_recalibrated", row["valid_kl"])
        text += f"; set aside {number(row['valid_cross_entropy'])}, gap {number(after)}"
        text += " recalibrated" if "valid_kl_recalibrated" in row else ""
    if "gradient" in row:
        text += f"; gradient {row['gradient']:.1e}"
    return text + (f" ({row['seconds']:.1f} s)" if "seconds" in row else "")


def fitted_lines(model: Model) -> Iterator[str]:
    """What was fitted and how far it came, line by line."""
    kept = next((row for row in model.curve if row.get("best")), model.curve[-1])
    yield from _ended(model, kept)
    if not any(f"{name}_kl" in kept for name in SETS):
        return
    yield ""
    yield f"{'mean over rows, nat':<24}{'cross entropy':>14} = {'floor H(P)':>10} + {'KL(P||Q)':>8}"
    for name, (what, _) in SETS.items():
        if f"{name}_kl" in kept:
            yield _parts(what, *(kept[f"{name}_{x}"] for x in ("cross_entropy", "floor", "kl")))
    if "valid_kl_recalibrated" in kept:
        after, floor = kept["valid_kl_recalibrated"], kept["valid_floor"]
        yield _parts("  after recalibration", after + floor, floor, after)
    if "valid_accuracy" in kept:
        yield f"P at Q's top class, rows set aside: {number(kept['valid_accuracy'])}"
    p_kind = str(model.told.get("options", {}).get("p", "")).partition(":")[0]
    if p_kind in FLOOR_NOTES:
        yield FLOOR_NOTES[p_kind]
    if getattr(model.estimator, "augment", "none") != "none":
        yield (
            "(the loss of the rows learnt from is that met during the epoch, on changed pictures)"
        )


def _ended(model: Model, kept: dict[str, Any]) -> Iterator[str]:
    """What the model is, and how its fit ended."""
    names = "" if model.classes is None else f" ({', '.join(model.classes[:10])}"
    names += "" if model.classes is None else (", ...)" if len(model.classes) > 10 else ")")
    yield f"{model.kind}: {model.n_classes} classes{names}"
    if isinstance(model.estimator, BayesianSoftmaxRegression):
        q = model.estimator
        yield (
            f"{len(model.curve)} steps; {q.elbo_} (interval of the draws), KL(q||prior)"
            f" {q.kl_prior_:.2f} nat, {q.covariance} covariance, prior scale {q.prior_scale_:.3g}"
        )
    elif isinstance(model.estimator, NetworkClassifier):
        yield f"kept: epoch {kept['epoch']} of {len(model.curve)}"
    else:
        yield f"{len(model.curve) - 1} Newton steps, gradient {kept['gradient']:.1e}"


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
    from pandq.report.files import RECALIBRATED

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


def _parts(what: str, loss: float, floor: float, kl: float) -> str:
    return f"{what:<24}{number(loss):>14} = {number(floor):>10} + {number(kl):>8}"


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
