"""Files that lie elsewhere (s3, gs, az, hf, https): fsspec finds them, and fetches their bytes."""

from __future__ import annotations

import io
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn

from pandq.errors import InputError
from pandq.read.fetched import Copy, Stream
from pandq.read.stores import is_web, reason_of, refusals, said, shown, system

# A range is asked for so often before it is given up, after pauses of so many seconds.
TRIES, PAUSE = 4, 0.25
# What a store says of a file from which a change of its bytes is seen, the best first.
_VERSIONS = (
    *("ETag", "etag", "generation", "blob_id", "md5Hash", "Content-MD5", "Digest"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "modified", "created"),
)
_ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Remote:
    """A remote file as it was when it was found; it is opened as a path is.

    `size` and `changed` are what its server told of it: None where it did not say.
    """

    url: str = field(repr=False)
    told_size: int | None
    changed: str | None
    ranges: bool | None = None

    def __str__(self) -> str:
        return shown(self.url)

    def __fspath__(self) -> NoReturn:
        """Refuse to be taken for a path of this machine."""
        raise TypeError(f"{self} is no path")  # noqa: EM102

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(str(self)).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's ending."""
        return PurePosixPath(self.name).suffix

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.copy().size if self.told_size is None else self.told_size

    def absolute(self) -> Remote:
        """The same: it has this address from anywhere."""
        return self

    def open(self, mode: str = "rb", buffering: int = -1) -> IO[bytes]:
        """Its bytes, fetched as they are read, and each once.

        Args:
            mode: "rb".
            buffering: 0 for reads that fetch exactly what they ask for.
        """
        if mode != "rb":
            raise ValueError("a remote file is read as bytes")  # noqa: EM101
        stream: Any = Stream(self.copy())
        found: IO[bytes] = stream if buffering == 0 else io.BufferedReader(stream, 1 << 16)
        return found

    def copy(self) -> Copy:
        """What was fetched of it so far, which all who read it in this process share."""
        known: Copy | None = self.__dict__.get("_copy")
        if known is None:
            with _lock:
                known = _copies.get(self)
                if known is None:
                    # one that knows of no copy, or the copy would keep itself
                    alone = replace(self)
                    far = _Far(alone)
                    ranges = far.serves_ranges()
                    _copies[alone] = known = Copy(far, self.name, self.told_size, ranges=ranges)
            self.__dict__["_copy"] = known
        return known

    def now(self) -> Remote:
        """The same file as its server tells of it now.

        Raises:
            InputError: it has gone, or cannot be asked for.
        """
        found = _asked(self.url)
        if found is None:
            raise FileNotFoundError(2, "No such file")
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Whoever gets it in another process fetches for itself."""
        return {name: x for name, x in self.__dict__.items() if name != "_copy"}


_lock = threading.Lock()
_copies: weakref.WeakValueDictionary[Remote, Copy] = weakref.WeakValueDictionary()


class _Far:
    """The bytes of a remote file, asked for again where a connection is lost."""

    def __init__(self, file: Remote) -> None:
        self._file = file
        self._fs, self._path = system(file.url)

    def serves_ranges(self) -> bool:
        """Whether parts of the file can be fetched; a web server is asked for one byte."""
        if self._file.ranges is not None or (self._file.told_size or 0) < 2:
            return bool(self._file.ranges)
        exactly = {"block_size": 1, "cache_type": "none", "size": self._file.told_size}

        def served() -> bool:
            with self._fs.open(self._path, "rb", **exactly) as stream:
                stream.seek(1)
                try:
                    return len(stream.read(1)) == 1
                except ValueError:
                    return False

        return bool(self._tried(served, "a range of it"))

    def fetch(self, start: int, end: int) -> bytes:
        """All bytes of a range.

        Raises:
            InputError: they did not come, however often they were asked for.
        """

        def ranged() -> bytes:
            got: bytes
            if getattr(self._fs, "async_impl", False):
                got = self._fs.cat_file(self._path, start=start, end=end)
            else:
                # what fsspec does for the others reads ahead on its own
                exactly = {"cache_type": "none", "size": self._file.told_size}
                with self._fs.open(self._path, "rb", **exactly) as stream:
                    stream.seek(start)
                    got = stream.read(end - start)
            if len(got) != end - start:
                raise EOFError(f"{len(got):,} bytes where {end - start:,} were asked for")  # noqa: EM102
            return got

        some: bytes = self._tried(ranged, f"bytes {start:,} to {end:,}")
        return some

    def fetch_whole(self, into: Path) -> None:
        """The file from its beginning to its end.

        Raises:
            InputError: it did not come, however often it was asked for.
        """

        def whole() -> None:
            self._fs.get_file(self._path, str(into))
            size = self._file.told_size
            if size is not None and into.stat().st_size != size:
                raise EOFError(f"{into.stat().st_size:,} bytes of {size:,}")  # noqa: EM102

        self._tried(whole, "the whole file, of which its server serves no ranges")

    def _tried(self, fetch: Any, what: str) -> Any:
        for k in range(TRIES):
            try:
                with refusals(self._file.url):
                    return fetch()
            except (InputError, FileNotFoundError):
                raise
            except Exception as error:  # noqa: BLE001 - each library has its own
                reason = reason_of(error)
            time.sleep(PAUSE * 2**k if k + 1 < TRIES else 0)
        raise InputError(
            what=f"cannot be fetched: {what} failed {TRIES} times",
            where=str(self._file),
            got=reason,
        )


def found(url: str) -> list[Remote]:
    """The files that an address, a glob or a folder stands for; none is no error.

    Raises:
        InputError: the store refuses, or cannot be reached.
        MissingLibraryError: the library that reads such addresses is not installed.
    """
    one = _asked(url)
    if one is not None:
        return [one]
    fs, path = system(url)
    # in the address of a web page a question mark is none of a pattern
    pattern = any(mark in shown(url) for mark in ("*[" if is_web(url) else "*?["))
    try:
        with said(url):
            folder = not is_web(url) and fs.isdir(path)
            names = fs.find(path) if folder or path.endswith("/") else []
            names = fs.glob(path) if pattern and not names else names
            urls = sorted(fs.unstrip_protocol(name) for name in names)
    except FileNotFoundError:
        return []
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return [file for file in pool.map(_asked, urls) if file is not None]


def _asked(url: str) -> Remote | None:
    """A file as its store tells of it; None where there is none, or a folder."""
    fs, path = system(url)
    if is_web(url) and path.endswith("/"):
        return None
    try:
        with said(url):
            fs.invalidate_cache(path)
            about = fs.info(path)
    except FileNotFoundError:
        return None
    if about.get("type") == "directory":
        return None
    changed = next((f"{x}={about[x]}" for x in _VERSIONS if about.get(x) is not None), None)
    ranges = about.get("partial") if is_web(url) else True
    size = about.get("size")
    return Remote(url, None if size is None else int(size), changed, ranges)


def require_writable(url: str) -> None:
    """Refuse an address that nothing can be written to.

    Raises:
        InputError: it is a web page's, or of no known kind.
        MissingLibraryError: the library that writes there is not installed.
    """
    if is_web(url):
        raise InputError(what="cannot be written: a web server only serves", where=shown(url))
    system(url)


def send(file: Path, url: str) -> None:
    """A file of this machine to an address, where it replaces what is there.

    Raises:
        InputError: it cannot be written.
    """
    fs, path = system(url)
    try:
        with said(url):
            fs.put_file(str(file), path)
    except FileNotFoundError:
        what = "cannot be written: there is no such place"
        raise InputError(what, where=shown(url)) from None
