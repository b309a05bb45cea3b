"""What files a name, a glob or a folder stands for, and what their names say of their formats."""

from __future__ import annotations

import filecmp
import glob
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pandq.errors import InputError, near_names
from pandq.read.datasets import tables_in
from pandq.read.places import Place, state
from pandq.read.remote import Remote, found
from pandq.read.stores import is_remote, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
JSON = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
KLD = ".kld"
ARRAYS = (".npy", ".npz", ".safetensors", KLD, ".pt")
PICKLES = (".pkl", ".pickle", ".joblib")


def expanded(paths: Sequence[str | Path]) -> list[Place]:
    """Files for names, addresses, globs and folders; a name that matches nothing is an error.

    Raises:
        InputError: nothing is there, it is empty, of an unknown format, or a table that is there
            twice; or its name is none that can be read.
    """
    files: list[Place] = []
    for path in paths:
        if not str(path).strip():
            raise InputError(what="a file needs a name", got=repr(str(path)))
        there = matches(str(path))
        if not there:
            raise _no_such_file(str(path))
        files += there
    for file in files:
        require_text(file, "Rename it.")
        if has_suffix(file, PICKLES):
            raise InputError(
                what="a pickle runs the code that is in it when it is read, so it is not",
                where=str(file),
                remedy="Where it was made, write arrays, np.savez(PATH, label=y, probs=p), or a"
                " table, frame.to_parquet(PATH).",
            )
        if not has_suffix(file, PARQUET + ARROW + TEXT + JSON + ARRAYS):
            raise InputError(
                what="unknown file format",
                where=str(file),
                remedy="Known: parquet, feather, csv, tsv, jsonl (text also .gz), npy, npz,"
                " safetensors, kld, pt.",
            )
        if state(file).size == 0:
            raise InputError(what="the file is empty (0 bytes)", where=str(file))
    _refuse_twice([file for file in files if not has_suffix(file, ARRAYS)])
    return files


def has_suffix(file: Place, suffixes: Sequence[str]) -> bool:
    """Is this file, by the end of its name, of one of these formats?"""
    return file.name.lower().endswith(tuple(suffixes))


def matches(path: str) -> Sequence[Place]:
    """The files that a name, an address, a glob or a folder stands for; none is no error.

    Raises:
        InputError: the system takes no such name, a store refuses, or a folder is a table that
            must not be read file by file.
        MissingLibraryError: the library that reads an address is not installed.
    """
    suffixes = PARQUET + ARROW + TEXT + JSON
    if is_remote(path):
        there = found(path)
        alone = len(there) == 1 and there[0].url == path
        return there if alone else [f for f in tables_in(path, there) if has_suffix(f, suffixes)]
    place = Path(path)
    try:
        if place.is_dir():
            inside = sorted(f for f in place.rglob("*") if f.is_file())
            return [f for f in tables_in(path, inside) if has_suffix(f, suffixes)]
        if place.exists():
            return [place]
        return sorted(Path(name) for name in glob.glob(path, recursive=True))  # noqa: PTH207
    except OSError as error:
        raise InputError(
            what="cannot be looked for", where=_shortened(path), got=str(error.strerror)
        ) from None


def require_text(file: Place, remedy: str) -> None:
    """Refuse a name that is no text, which neither readers nor writers of tables take."""
    if isinstance(file, Remote):
        return
    try:
        str(file).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file).decode(errors="backslashreplace")
        what = "the file's name is not UTF-8"
        raise InputError(what, where=shown, remedy=remedy) from None


def _refuse_twice(files: Sequence[Place]) -> None:
    """Refuse a file that two names or patterns stand for: its rows would count twice."""
    seen: dict[tuple[object, ...], Place] = {}
    for file in files:
        first = seen.setdefault(state(file).identity, file)
        if first is not file:
            called = "" if first == file else f", as {first} too"
            raise InputError(
                what=f"the file is named twice{called}",
                where=str(file),
                remedy="Name each file once.",
            )


def copies(files: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Each file that holds the same bytes as an earlier one, after that one."""
    alike: dict[tuple[int, bytes], list[Place]] = {}
    sizes = Counter(state(file).size for file in files)
    for file in files:
        size = state(file).size
        if sizes[size] > 1:
            with file.open("rb", buffering=0) as stream:
                start = stream.read(_START)
            others = alike.setdefault((size, start), [])
            same = (other for other in others if _same_bytes(other, file))
            first = next(same, None)
            if first is None:
                others.append(file)
            else:
                yield first, file


def _same_bytes(one: Place, other: Place) -> bool:
    if isinstance(one, Path) and isinstance(other, Path):
        return filecmp.cmp(one, other, shallow=False)
    with one.open("rb", buffering=0) as a, other.open("rb", buffering=0) as b:
        while block := a.read(_BLOCK):
            if block != b.read(_BLOCK):
                return False
    return True


_BLOCK = 1 << 20
# Files that differ mostly do so here.
_START = 1 << 12
_LONGEST_SHOWN = 100


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}..."


def _no_such_file(given: str) -> InputError:
    if is_remote(given):
        pattern = any(mark in shown(given) for mark in "*?[")
        what = "no file matches" if pattern else "no such file, and no table under this address"
        return InputError(what, where=shown(given))
    path = Path(given)
    if any(mark in given for mark in "*?["):
        return InputError(what="no file matches", where=given)
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
