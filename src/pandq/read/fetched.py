"""What has been fetched of a remote file, on a disk of this machine: nothing is fetched twice."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pandq.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes of one request where all of a file is wanted.
BLOCK = 1 << 23
# A copy leaves this part of the disk free; what has no room is fetched again when it is wanted.
LEAST_FREE = 0.1


class Far(Protocol):
    """Where the bytes of a file come from."""

    def fetch(self, start: int, end: int) -> bytes:
        """All bytes of a range."""

    def fetch_whole(self, into: Path) -> None:
        """The file from its beginning to its end, where its server serves no ranges."""


class Copy:
    """The ranges of a file that were wanted so far, where they lie in it; holes elsewhere.

    Args:
        far: where they come from.
        name: of the file, whose ending says its format.
        size: of the file in bytes; None where only its whole says so.
        ranges: whether parts of it can be fetched.
    """

    def __init__(self, far: Far, name: str, size: int | None, *, ranges: bool) -> None:
        self.far, self.told = far, size
        # what was made of it is kept as long as it is
        self.made: dict[Any, Any] = {}
        self._ranges = ranges and size is not None
        self._lock = threading.Lock()
        self._have: list[tuple[int, int]] = []
        self._full = False
        room = tempfile.mkdtemp(prefix="pandq-remote-")
        weakref.finalize(self, shutil.rmtree, room, ignore_errors=True)
        self.path = Path(room) / name
        self.path.touch()

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        if self.told is None:
            self.whole()
        return self.told or 0

    def read(self, start: int, n: int) -> bytes:
        """At most n bytes from `start` on; fewer only at the file's end."""
        end = min(start + n, self.size)
        if start >= end:
            return b""
        if not self._ranges:
            self.whole()
        with self._lock:
            missing = holes(self._have, start, end)
        found = {first: self.far.fetch(first, last) for first, last in missing}
        with self._lock, self.path.open("r+b") as stream:
            for first, some in found.items():
                if not self._full:
                    self._keep(stream, first, some)
            if not self._full:
                stream.seek(start)
                return stream.read(end - start)
            # the disk is full: what it has, and between it what was fetched just now
            parts, at = [], start
            for first, last in [*missing, (end, end)]:
                stream.seek(at)
                parts += [stream.read(first - at), found.get(first, b"")]
                at = last
        return b"".join(parts)

    def whole(self) -> Path:
        """The whole file, on this machine.

        Raises:
            InputError: it cannot be fetched, or there is no room for it.
        """
        if not self._ranges:
            with self._lock:
                if not self._have:
                    self.far.fetch_whole(self.path)
                    self.told = self.path.stat().st_size
                    self._have = [(0, self.told)]
            return self.path
        for start in range(0, self.size, BLOCK):
            if not self._full:
                self.read(start, BLOCK)
        if self._full:
            raise InputError(
                what="there is no room for a copy of the file",
                where=str(self.path.parent.parent),
                remedy="Set TMPDIR to a folder of a larger disk.",
            )
        return self.path

    def _keep(self, stream: io.BufferedRandom, first: int, some: bytes) -> None:
        disk = shutil.disk_usage(self.path.parent)
        if disk.free - len(some) < LEAST_FREE * disk.total:
            self._full = True
            return
        stream.seek(first)
        stream.write(some)
        self._have = joined(self._have, first, first + len(some))


def holes(have: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """What is missing of a range, where these ranges are there, in order.

    >>> holes([(0, 10), (20, 30)], 5, 40)
    [(10, 20), (30, 40)]
    """
    found = []
    for first, last in have:
        if last <= start or first >= end:
            continue
        if first > start:
            found.append((start, first))
        start = last
    return [*found, (start, end)] if start < end else found


def joined(have: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Ranges in order, with one more.

    >>> joined([(0, 10), (20, 30)], 10, 15)
    [(0, 15), (20, 30)]
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted([*have, (start, end)]):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


class Stream(io.RawIOBase):
    """A file's bytes as a stream, of which each read fetches what it asks for and no more."""

    def __init__(self, copy: Copy) -> None:
        super().__init__()
        self._copy, self._at = copy, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._copy.size if base is None else base)
        return self._at

    def readinto(self, into: WriteableBuffer) -> int:
        """Fill a buffer, as far as the file goes."""
        wanted = memoryview(into).cast("B")
        some = self._copy.read(self._at, len(wanted))
        wanted[: len(some)] = some
        self._at += len(some)
        return len(some)
