"""Text files whose bytes are not what they say: spoiled gzip, and json that is no json."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING, TextIO, cast

from pandq.errors import InputError
from pandq.read.paths import JSON, has_suffix
from pandq.read.places import local, once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.read.places import Place

_BLOCK = 1 << 22
# In one line there may be so many bytes.
LONGEST_LINE = 1 << 27
# Where json may not be json though duckdb reads it; a string may hold as much.
_SUSPECT = re.compile(rb",\s*[\]}]|/[/*]")
_JSON = re.compile(rb'(?:[^",/]++|"(?:[^"\\]++|\\.)*+"|,(?!\s*[\]}]))*+', re.DOTALL)


def opened(file: Place) -> TextIO:
    """A text file to be read line by line, decompressed."""
    how = gzip.open if file.suffix.lower() == ".gz" else open
    return cast(
        "TextIO", how(local(file), "rt", encoding="utf-8-sig", errors="replace", newline="")
    )


def lines(stream: TextIO, file: Place) -> Iterator[str]:
    """The lines of a text, of which none takes all memory.

    Raises:
        InputError: one is too long.
    """
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise _too_long(file)
        yield line


def _too_long(file: Place) -> InputError:
    return InputError(
        what="has a line that is too long to be read",
        where=str(file),
        got=f"more than {LONGEST_LINE:,} characters",
        remedy="Write one row per line.",
    )


def require_sound(file: Place) -> None:
    """Refuse a file that duckdb would read though it is broken; looked at once.

    Raises:
        InputError: gzip's checksum is wrong, or json has comments or trailing commas.
    """
    packed, json = file.suffix.lower() == ".gz", has_suffix(file, JSON)
    if packed or json:
        once(_require_sound, file, packed=packed, json=json)


def _require_sound(file: Place, *, packed: bool, json: bool) -> None:
    if not json:
        with gzip.open(local(file), "rb") as stream:
            while stream.read(_BLOCK):
                pass
        return
    for block in _blocks(file, packed=packed):
        if _SUSPECT.search(block) and (end := _end_of_json(block)) is not None:
            near = bytes(block[end : end + 20]).decode("utf-8", "replace")
            remedy = "Take the trailing comma or the comment out."
            raise InputError(what="is no json", got=repr(near), remedy=remedy)


def _end_of_json(block: bytes) -> int | None:
    """Where json ends and something else begins, if it does."""
    found = _JSON.match(block)
    end = 0 if found is None else found.end()
    return end if end < len(block) else None


def _blocks(file: Place, *, packed: bool) -> Iterator[bytes]:
    """A file's bytes in blocks that begin and end between lines, in no string of json."""
    rest = b""
    try:
        with gzip.open(local(file), "rb") if packed else local(file).open("rb") as stream:
            while more := stream.read(_BLOCK):
                block = rest + more
                cut = block.rfind(b"\n") + 1
                # a comma at the end of a line goes with what follows it
                cut = len(block[:cut].rstrip().rstrip(b","))
                rest = block[cut:]
                if len(rest) > LONGEST_LINE:
                    raise _too_long(file)
                yield block[:cut]
    except zlib.error as error:
        raise InputError(what="cannot be read as gz", got=str(error)) from None
    yield rest
