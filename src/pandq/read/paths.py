"""What files a name, a glob or a folder stands for, and what their names say of their formats."""

from __future__ import annotations

import filecmp
import glob
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pandq.errors import InputError, near_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
JSON = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
ARRAYS = (".npy", ".npz", ".safetensors", ".kld")


def expanded(paths: Sequence[str | Path]) -> list[Path]:
    """Files for names, globs and folders; a name that matches nothing is an error.

    Raises:
        InputError: nothing is there, it is empty, of an unknown format, or a table that is there
            twice; or its name is none that can be read.
    """
    files: list[Path] = []
    for path in paths:
        if not str(path).strip():
            raise InputError(what="a file needs a name", got=repr(str(path)))
        found = matches(str(path))
        if not found:
            raise _no_such_file(Path(path))
        files += found
    for file in files:
        require_text(file, "Rename it.")
        if not has_suffix(file, PARQUET + ARROW + TEXT + JSON + ARRAYS):
            raise InputError(
                what="unknown file format",
                where=str(file),
                remedy="Known: parquet, feather, csv, tsv, jsonl (text also .gz), npy, npz,"
                " safetensors, kld.",
            )
        if file.stat().st_size == 0:
            raise InputError(what="the file is empty (0 bytes)", where=str(file))
    _refuse_twice([file for file in files if not has_suffix(file, ARRAYS)])
    return files


def has_suffix(file: Path, suffixes: Sequence[str]) -> bool:
    """Is this file, by the end of its name, of one of these formats?"""
    return file.name.lower().endswith(tuple(suffixes))


def matches(path: str) -> list[Path]:
    """The files that a name, a glob or a folder stands for; none is no error.

    Raises:
        InputError: the system takes no such name.
    """
    place = Path(path)
    try:
        if place.is_dir():
            suffixes = PARQUET + ARROW + TEXT + JSON
            return sorted(f for f in place.rglob("*") if f.is_file() and has_suffix(f, suffixes))
        if place.exists():
            return [place]
        return sorted(Path(name) for name in glob.glob(path, recursive=True))  # noqa: PTH207
    except OSError as error:
        raise InputError(
            what="cannot be looked for", where=_shortened(path), got=str(error.strerror)
        ) from None


def require_text(file: Path, remedy: str) -> None:
    """Refuse a name that is no text, which neither readers nor writers of tables take."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file).decode(errors="backslashreplace")
        what = "the file's name is not UTF-8"
        raise InputError(what, where=shown, remedy=remedy) from None


def _refuse_twice(files: Sequence[Path]) -> None:
    """Refuse a file that two names or patterns stand for: its rows would count twice."""
    seen: dict[tuple[int, int], Path] = {}
    for file in files:
        state = file.stat()
        first = seen.setdefault((state.st_dev, state.st_ino), file)
        if first is not file:
            called = "" if first == file else f", as {first} too"
            raise InputError(
                what=f"the file is named twice{called}",
                where=str(file),
                remedy="Name each file once.",
            )


def copies(files: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Each file that holds the same bytes as an earlier one, after that one."""
    alike: dict[tuple[int, bytes], list[Path]] = {}
    sizes = Counter(file.stat().st_size for file in files)
    for file in files:
        size = file.stat().st_size
        if sizes[size] > 1:
            with file.open("rb") as stream:
                start = stream.read(_START)
            others = alike.setdefault((size, start), [])
            same = (other for other in others if filecmp.cmp(other, file, shallow=False))
            first = next(same, None)
            if first is None:
                others.append(file)
            else:
                yield first, file


# Files that differ mostly do so here.
_START = 1 << 12
_LONGEST_SHOWN = 100


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}..."


def _no_such_file(path: Path) -> InputError:
    if any(mark in str(path) for mark in "*?["):
        return InputError(what="no file matches", where=str(path))
    if path.is_dir():
        return InputError(what="no table in this folder", where=str(path))
    folder = path.parent
    readable = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    there = sorted(f.name for f in folder.iterdir()) if readable else []
    beside = [name for name in there if not name.startswith(".")]
    # the same table in another format is nearer than any other name
    same = [name for name in beside if name.partition(".")[0] == path.name.partition(".")[0]]
    remedy = f"Did you mean {same[0]!r}?" if same else near_names(path.name, beside)
    return InputError(what="no such file", where=str(path), remedy=remedy)
