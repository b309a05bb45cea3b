"""Folders that are one table, and say themselves which of their files are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pandq.errors import InputError
from pandq.read.places import Place
from pandq.read.remote import Remote
from pandq.read.stores import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

F = TypeVar("F", bound=Place)

# What `save_to_disk` of Hugging Face's datasets writes beside the files of a table, or of several.
_STATE, _SPLITS = "state.json", "dataset_dict.json"
_DELTA, _ICEBERG = "_delta_log", ".metadata.json"


def tables_in(folder: str, files: Sequence[F]) -> Sequence[F]:
    """Those of a folder's files that are its table.

    Args:
        folder: its path or address.
        files: all that are in it, at any depth.

    Returns:
        The files that a dataset saved to disk names in their order; of other folders, all.

    Raises:
        InputError: it holds several tables, or is one whose files alone do not say its rows.
    """
    inside = {_within(folder, file): file for file in files}
    if any(name.startswith(f"{_DELTA}/") for name in inside):
        raise _not_alone(folder, "Delta", "deltalake.DeltaTable(PATH).to_pyarrow_table()")
    if any(name.startswith("metadata/") and name.endswith(_ICEBERG) for name in inside):
        raise _not_alone(folder, "Iceberg", "pyiceberg's TABLE.scan().to_arrow_batch_reader()")
    if _SPLITS in inside:
        place = shown(folder).rstrip("/")
        splits = [f"{place}/{x}" for x in _document(inside[_SPLITS]).get("splits", [])]
        raise InputError(
            what="holds several tables, the splits of a dataset",
            where=shown(folder),
            remedy=f"Name one: {', '.join(splits)}.",
        )
    if _STATE not in inside or "dataset_info.json" not in inside:
        return files
    about = _document(inside[_STATE])
    named = [str(x["filename"]) for x in about.get("_data_files") or []]
    missing = [name for name in named if name not in inside]
    if missing:
        what = f"misses {missing[0]}, which its {_STATE} names"
        raise InputError(what, where=shown(folder), remedy="Save the dataset again.")
    if about.get("_indices_files") or about.get("_indices_data_files"):
        remedy = "Save it again: dataset.flatten_indices().save_to_disk(PATH)."
        raise InputError(
            what="is a selection of rows of its files", where=shown(folder), remedy=remedy
        )
    return [inside[name] for name in named]


def _within(folder: str, file: Place) -> str:
    """A file's path from its folder on."""
    if isinstance(file, Remote):
        return file.url.removeprefix(folder.rstrip("/")).lstrip("/")
    return file.relative_to(folder).as_posix()


def _document(file: Place) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            found = json.loads(stream.read())
    except ValueError as error:
        raise InputError(what="is no json", where=str(file), got=str(error)) from None
    return found if isinstance(found, dict) else {}


def _not_alone(folder: str, kind: str, call: str) -> InputError:
    return InputError(
        what=f"is a {kind} table: its log says which of its files are rows, and pandq has no reader"
        " of it",
        where=shown(folder),
        remedy=f"Read it in Python: pandq.scan({call}).",
    )
