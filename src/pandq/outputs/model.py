"""A fitted model as a folder, with its curve drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.errors import InputError
from pandq.fit.folder import CURVE_FIGURE, FOLDER, Model, write_model
from pandq.report.curves import curve
from pandq.store import whole_folder

if TYPE_CHECKING:
    from pathlib import Path


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
