"""Files and folders that are written whole or not at all, and JSON as every parser takes it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.plain import json_safe
from pandq.read.paths import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written before any work is done.

    Raises:
        InputError: no such folder, a folder itself, or no permission.
    """
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        raise InputError(what="cannot be written: it is a folder", where=str(path))
    if not folder.is_dir():
        raise InputError(what=f"cannot be written: there is no folder {folder}", where=str(path))
    if not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise InputError(what="cannot be written: permission denied", where=str(path))


def check_outputs(inputs: Sequence[str | Path], *outputs: str | None) -> None:
    """Refuse outputs that cannot be written, that are an input, or that are each other.

    Args:
        inputs: what a command reads, as the user named it: files, globs and folders.
        outputs: the files that it is to write; None and "-" are none.

    Raises:
        InputError: there is such an output.
    """
    named = [path for path in outputs if path is not None and path != "-"]
    read = [file for given in inputs for file in matches(str(given))] if named else []
    for path in named:
        check_writable(path)
        if any(_same(path, given) for given in read):
            raise InputError(what="the output is an input", where=path)
    for i, path in enumerate(named):
        if any(_same(path, other) for other in named[:i]):
            raise InputError(what="two outputs have one name", where=path)


def _same(one: str | Path, other: str | Path) -> bool:
    a, b = Path(one), Path(other)
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, and vanishes after an error."""
    target = Path(path)
    check_writable(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise InputError(what="cannot be written", where=str(path), got=str(error)) from None
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside `path` that takes its place at the end, and vanishes after an error.

    Args:
        path: the folder to be.
        replace: whether one that is there already may be replaced.

    Raises:
        InputError: it is there already, or cannot be made.
    """
    target = Path(path)
    check_new_folder(target, replace=replace)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        aside = part.with_name(f"{part.name}.old")
    except OSError as error:
        raise InputError(what="cannot be written", where=str(path), got=str(error)) from None
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        for file in part.iterdir():
            file.chmod(0o666 & ~_umask())
        if target.exists():
            # aside first: what is there is gone only once the new one stands in its place
            target.rename(aside)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def check_new_folder(path: str | Path, *, replace: bool, made_by: str = "model.json") -> None:
    """Refuse a folder that cannot be made, or that is there already.

    Args:
        path: the folder to be.
        replace: whether one that is there may be replaced; only one of ours, or an empty one.
        made_by: the file that says that a folder is one of ours.

    Raises:
        InputError: there is no parent folder, no permission, or something to lose.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()):
        if not (target / made_by).is_file():
            what = f"the folder is not empty, and holds no {made_by}"
            raise InputError(what, where=str(path), remedy="Name another folder.")
        if not replace:
            raise InputError(
                what="the folder is there already", where=str(path), remedy="--force replaces it."
            )
    elif target.exists() and not target.is_dir():
        raise InputError(what="is a file, not a folder", where=str(path))
    parent = target.absolute().parent
    if not parent.is_dir():
        raise InputError(what=f"cannot be made: there is no folder {parent}", where=str(path))
    if not os.access(parent, os.W_OK):
        raise InputError(what="cannot be made: permission denied", where=str(path))


def write_tables(tables: Iterable[Any], path: Path) -> int:
    """Tables of one schema, one after the other, as one parquet file; how many rows there were."""
    import pyarrow.parquet as pq

    writer, written = None, 0
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            written += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return written


def json_text(document: dict[str, Any], *, ascii_only: bool = False) -> str:
    """A result as JSON that every parser and terminal takes: no NaN, no control characters."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=ascii_only)
    return json_safe(text)


def write_json(document: dict[str, Any], path: str | Path) -> None:
    """A result as a JSON file."""
    with whole_file(path) as part:
        part.write_text(json_text(document) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """A result that was written as JSON.

    Raises:
        InputError: it is not there, or is no JSON object.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(what="cannot be read", where=str(path), got=str(error.strerror)) from None
    except ValueError:
        raise InputError(what="is no JSON", where=str(path)) from None
    if not isinstance(stored, dict):
        raise InputError(what="is no JSON object", where=str(path))
    return stored


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
