"""Files that are written whole or not at all, and JSON as every parser takes it."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.plain import json_safe
from pandq.read.places import name_of
from pandq.read.remote import send
from pandq.read.stores import is_remote, shown
from pandq.store.refusals import check_writable, followed, is_special

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What a machine says where there is no room, or no more than a limit.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# A library in another language says it in words.
IN_WORDS = re.compile(r"\(os error (\d+)\)")
# What was written within all_or_none: its path, the file beside it, the place that it is to take.
# None stands for one that is sent to its address.
Waiting = list[tuple[str | Path, Path, Path | None]]
_WAITING: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


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
            what="cannot be written", where=shown(str(path)), got=os.strerror(number)
        ) from None


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, and vanishes after an error.

    Devices and pipes are written to at the end, links are followed, modes and owners kept; what is
    for another machine is sent there at the end.
    """
    check_writable(path)
    target = None if is_remote(path) else followed(path)
    if target is None or is_special(target):
        part = beside(target or Path(name_of(path)), Path(tempfile.gettempdir()))
    else:
        part = beside(target, target.parent)
    try:
        with refused(path):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with refused(path, only=NO_ROOM):
            yield part
        if (waiting := _WAITING.get()) is not None:
            waiting.append((path, part, target))
            return
        with refused(path):
            _placed(path, part, target)
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
        # devices, pipes and other machines first: they may still refuse
        for path, part, target in sorted(waiting, key=_replaced):
            with refused(path):
                _placed(path, part, target)
    finally:
        _WAITING.reset(token)
        for _, part, _ in waiting:
            part.unlink(missing_ok=True)


def beside(target: Path, folder: Path) -> Path:
    """A name that nothing has yet: known before it is made, a signal leaves nothing behind."""
    return folder / f".{target.name[:60]}.{secrets.token_hex(6)}"


def _replaced(one: tuple[str | Path, Path, Path | None]) -> bool:
    """Does it take the place of a file of this machine, by its name?"""
    return one[2] is not None and not is_special(one[2])


def _placed(path: str | Path, part: Path, target: Path | None) -> None:
    if target is not None:
        _put(part, target)
        return
    send(part, str(path))
    part.unlink()


def _put(part: Path, target: Path) -> None:
    """What was written takes the place of what is there, or fills what must stay the same file."""
    if not target.exists():
        part.chmod(0o666 & ~umask())
    else:
        old, new = target.stat(), part.stat()
        ours = (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid)
        if not target.is_file() or old.st_nlink > 1 or not ours:
            _fill(part, target)
            part.unlink()
            return
        part.chmod(stat.S_IMODE(old.st_mode))
    to_disk(part)
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


def to_disk(part: Path) -> None:
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


def umask() -> int:
    """What new files of this process are kept from being."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
