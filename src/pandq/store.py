"""Files and folders that are written whole or not at all, and JSON as every parser takes it."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pandq.documents import read_document
from pandq.errors import InputError
from pandq.plain import json_safe
from pandq.read.paths import matches, require_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


# What a machine says where there is no room, or no more than a limit.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# A library in another language says it in words.
IN_WORDS = re.compile(r"\(os error (\d+)\)")
# What was written within all_or_none: its path, the file beside it, the place that it is to take.
Waiting = list[tuple[str | Path, Path, Path]]
_WAITING: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written before any work is done.

    Raises:
        InputError: no such folder, a folder itself, or no permission.
    """
    target = _followed(path)
    if target.is_dir():
        raise InputError(what="cannot be written: it is a folder", where=str(path))
    there = target.exists()
    if not there and not target.parent.is_dir():
        what = f"cannot be written: there is no folder {target.parent}"
        raise InputError(what, where=str(path))
    needed = [target] if there else []
    if not there or target.is_file():
        needed.append(target.parent)
    if not all(os.access(place, os.W_OK) for place in needed):
        raise InputError(what="cannot be written: permission denied", where=str(path))


def check_outputs(
    inputs: Sequence[str | Path],
    *outputs: str | None,
    appended: str | None = None,
    folders: Sequence[str | None] = (),
) -> None:
    """Refuse outputs that cannot be written, that are an input, or that are each other.

    Args:
        inputs: what a command reads, as the user named it: files, globs and folders.
        outputs: the files that it is to write; None and "-" are none.
        appended: a file that it is to add to, if it can.
        folders: those that it is to make or to keep a state in; None is none.

    Raises:
        InputError: there is such an output.
    """
    named = [path for path in outputs if path is not None and path != "-"]
    for path in named:
        check_writable(path)
    kept = [str(_followed(folder)) for folder in folders if folder is not None]
    named += [appended] if appended else []
    read = [file for given in inputs for file in matches(str(given))]
    for path in named:
        if any(_same(path, given) for given in read):
            raise InputError(what="the output is an input", where=path)
    files: list[str | Path] = [*named, *read]
    for file in files:
        if _is_stream(file):
            what = "standard output or standard error goes to this file"
            raise InputError(what, where=str(file), remedy="JSON alone goes there with --json -.")
    for i, path in enumerate(named):
        if any(_same(path, other) for other in named[:i]) and not _is_special(Path(path)):
            raise InputError(what="two outputs have one name", where=path)
    _refuse_within(kept, files)


def _refuse_within(folders: Sequence[str], files: Sequence[str | Path]) -> None:
    """Refuse folders of this command's own that hold one of its files, or each other."""
    for i, folder in enumerate(folders):
        for other in (*files, *folders[:i], *folders[i + 1 :]):
            if _real(other).is_relative_to(_real(folder)):
                what = "the folder is not this command's alone"
                remedy = "Name another folder."
                raise InputError(what, where=folder, got=f"{other} in it", remedy=remedy)


def _same(one: str | Path, other: str | Path) -> bool:
    """Is it one file, by whatever names?"""
    a, b = Path(one), Path(other)
    return _real(a) == _real(b) or (a.exists() and b.exists() and a.samefile(b))


def _real(path: str | Path) -> Path:
    """Where a path leads, over all links; those that go in circles lead nowhere else."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Is it a device, a pipe or a socket, which is written to and never replaced?"""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_stream(path: str | Path) -> bool:
    """Is it the file that standard output or standard error goes to?"""
    place = Path(path)
    if not place.is_file():
        return False
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), place.stat()):
                return True
    return False


def _followed(path: str | Path) -> Path:
    """The file that a path leads to, over all links; a device or a pipe has no better name."""
    place = Path(path)
    require_text(place.absolute(), "Name another.")
    if _is_special(place):
        return place
    try:
        return place.resolve()
    except (OSError, RuntimeError):
        raise InputError(
            what="cannot be written: its links go in circles", where=str(path)
        ) from None


@contextmanager
def refused(path: str | Path, *, only: Sequence[int] = ()) -> Iterator[None]:
    """What the machine does not grant where `path` is written, in one line.

    Args:
        path: what is written.
        only: errors that are of writing; those of reading pass. All are, when left out.

    Raises:
        InputError: it cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        said = IN_WORDS.search(str(error))
        number = int(said.group(1)) if said else getattr(error, "errno", None)
        if number is None or (only and number not in only):
            raise
        raise InputError(
            what="cannot be written", where=str(path), got=os.strerror(number)
        ) from None


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, and vanishes after an error.

    Devices and pipes are written to at the end, links are followed, modes and owners kept.
    """
    check_writable(path)
    target = _followed(path)
    part = _beside(target, Path(tempfile.gettempdir()) if _is_special(target) else target.parent)
    try:
        with refused(path):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with refused(path, only=NO_ROOM):
            yield part
        if (waiting := _WAITING.get()) is not None:
            waiting.append((path, part, target))
            return
        with refused(path):
            _put(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def all_or_none() -> Iterator[None]:
    """Files that are written within this take their places together at its end, or none does.

    Raises:
        InputError: one cannot be written.
    """
    waiting: Waiting = []
    token = _WAITING.set(waiting)
    try:
        yield
        # devices and pipes first: they may still refuse
        for path, part, target in sorted(waiting, key=lambda x: not _is_special(x[2])):
            with refused(path):
                _put(part, target)
    finally:
        _WAITING.reset(token)
        for _, part, _ in waiting:
            part.unlink(missing_ok=True)


def _beside(target: Path, folder: Path) -> Path:
    """A name that nothing has yet: known before it is made, a signal leaves nothing behind."""
    return folder / f".{target.name[:60]}.{secrets.token_hex(6)}"


def _put(part: Path, target: Path) -> None:
    """What was written takes the place of what is there, or fills what must stay the same file."""
    if not target.exists():
        part.chmod(0o666 & ~_umask())
    else:
        old, new = target.stat(), part.stat()
        ours = (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid)
        if not target.is_file() or old.st_nlink > 1 or not ours:
            _fill(part, target)
            part.unlink()
            return
        part.chmod(stat.S_IMODE(old.st_mode))
    _to_disk(part)
    part.replace(target)


def _fill(part: Path, target: Path) -> None:
    """Write into a device, a pipe, or a file that has other names or another owner."""
    size, regular = part.stat().st_size, target.is_file()
    with part.open("rb") as source, os.fdopen(os.open(target, os.O_WRONLY), "wb") as sink:
        if regular and size and hasattr(os, "posix_fallocate"):
            # there must be room for the new before the old is lost
            before = target.stat().st_size
            try:
                os.posix_fallocate(sink.fileno(), 0, size)
            except OSError:
                os.ftruncate(sink.fileno(), before)
                raise
        shutil.copyfileobj(source, sink)
        if regular:
            sink.truncate()


def _to_disk(part: Path) -> None:
    """A disk may say only now that there was no room."""
    with part.open("r+b") as stream:
        os.fsync(stream.fileno())


def append_text(text: str, path: str | Path) -> None:
    """Text at the end of a file, all of it or nothing.

    Raises:
        InputError: it cannot be written.
    """
    left = text.encode()
    with refused(path), Path(path).open("ab", buffering=0) as stream:
        before = os.fstat(stream.fileno())
        try:
            while left:
                left = left[stream.write(left) :]
        except OSError:
            if stat.S_ISREG(before.st_mode):
                os.ftruncate(stream.fileno(), before.st_size)
            raise


class Own(NamedTuple):
    """A folder that pandq makes: the document that says so, and all files that may be in it."""

    document: str
    schema: str
    files: Sequence[str]

    def made(self, folder: Path) -> bool:
        """Does a folder say that pandq made it?"""
        try:
            said = read_document(folder / self.document, "document").get("schema")
        except InputError:
            return False
        return said is not None and str(said.it).startswith(self.schema)


@contextmanager
def whole_folder(path: str | Path, own: Own, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside `path` that takes its place at the end, and vanishes after an error.

    Args:
        path: the folder to be.
        own: what pandq writes into such a folder.
        replace: whether one that is there already may be replaced.

    Raises:
        InputError: it is there already, or cannot be made.
    """
    check_new_folder(path, own, replace=replace)
    target = _followed(path)
    part = _beside(target, target.parent)
    aside = part.with_name(f"{part.name}.old")
    try:
        with refused(path):
            part.mkdir(0o700)
        with refused(path, only=NO_ROOM):
            yield part
        with refused(path):
            _modes_kept(part, target)
            if target.exists():
                # aside first: what is there is gone only once the new one stands in its place
                target.rename(aside)
            part.replace(target)
    finally:
        if aside.exists() and not target.exists():
            aside.rename(target)
        for gone in (part, aside):
            shutil.rmtree(gone, ignore_errors=True)


def _modes_kept(part: Path, target: Path) -> None:
    """A new folder and its files are as open as those that they replace, or as others are."""
    for new, usual in [(part, 0o777), *((file, 0o666) for file in part.iterdir())]:
        old = target / new.relative_to(part)
        if new.is_file():
            _to_disk(new)
        new.chmod(stat.S_IMODE(old.stat().st_mode) if old.exists() else usual & ~_umask())


def check_new_folder(path: str | Path, own: Own, *, replace: bool) -> None:
    """Refuse a folder that cannot be made, or that is there already.

    Args:
        path: the folder to be.
        own: what pandq writes into such a folder.
        replace: whether one that is there may be replaced: one of ours that holds nothing else.

    Raises:
        InputError: there is no parent folder, no permission, or something to lose.
    """
    target = _followed(path)
    if target.is_dir() and any(target.iterdir()):
        if not own.made(target):
            what = f"the folder is not empty, and holds no {own.document} of pandq's"
            raise InputError(what, where=str(path), remedy="Name another folder.")
        if not replace:
            raise InputError(
                what="the folder is there already", where=str(path), remedy="--force replaces it."
            )
        others = sorted(x.name for x in target.iterdir() if x.name not in own.files or x.is_dir())
        if others:
            what = "the folder holds what pandq did not write"
            remedy = "Move it elsewhere, or name another folder."
            raise InputError(what, where=str(path), got=", ".join(others[:5]), remedy=remedy)
    elif target.exists() and not target.is_dir():
        raise InputError(what="is a file, not a folder", where=str(path))
    parent = target.parent
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
