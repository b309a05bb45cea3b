"""What files a name, a glob or a folder stands for, and what their names say of their formats."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from pandq.errors import InputError, near_names

if TYPE_CHECKING:
    from collections.abc import Sequence

PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
JSON = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
ARRAYS = (".npy", ".npz", ".safetensors", ".kld")


def expanded(paths: Sequence[str | Path]) -> list[Path]:
    """Files for names, globs and folders; a name that matches nothing is an error.

    Raises:
        InputError: nothing is there, or it is empty, or of an unknown format.
    """
    files: list[Path] = []
    for path in paths:
        found = matches(str(path))
        if not found:
            raise _no_such_file(Path(path))
        files += found
    for file in files:
        if not has_suffix(file, PARQUET + ARROW + TEXT + JSON + ARRAYS):
            raise InputError(
                what="unknown file format",
                where=str(file),
                remedy="Known: parquet, feather, csv, tsv, jsonl (text also .gz), npy, npz,"
                " safetensors, kld.",
            )
        if file.stat().st_size == 0:
            raise InputError(what="the file is empty (0 bytes)", where=str(file))
    return files


def has_suffix(file: Path, suffixes: Sequence[str]) -> bool:
    """Is this file, by the end of its name, of one of these formats?"""
    return file.name.lower().endswith(tuple(suffixes))


def matches(path: str) -> list[Path]:
    """The files that a name, a glob or a folder stands for; none is no error."""
    place = Path(path)
    if place.is_dir():
        suffixes = PARQUET + ARROW + TEXT + JSON
        return sorted(f for f in place.rglob("*") if f.is_file() and has_suffix(f, suffixes))
    if place.exists():
        return [place]
    return sorted(Path(name) for name in glob.glob(path, recursive=True))  # noqa: PTH207


def _no_such_file(path: Path) -> InputError:
    if any(mark in str(path) for mark in "*?["):
        return InputError(what="no file matches", where=str(path))
    if path.is_dir():
        return InputError(what="no table in this folder", where=str(path))
    folder = path.parent
    beside = sorted(f.name for f in folder.iterdir()) if folder.is_dir() else []
    return InputError(what="no such file", where=str(path), remedy=near_names(path.name, beside))
