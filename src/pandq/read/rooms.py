"""Rooms: folders for what is made of files, which go when nobody reads from them any more."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def room(prefix: str) -> Iterator[tuple[Path, Callable[[object], object]]]:
    """A folder in the system's temporary one, and a function that says what it is to go with.

    Args:
        prefix: what its name begins with.

    Returns:
        The folder, which is removed at once after an error, and else with what the function was
        told of, or with the process.

    >>> class Reader:
    ...     pass
    >>> reader = Reader()
    >>> with room("pandq-") as (folder, goes_with):
    ...     _ = goes_with(reader)
    >>> before = folder.exists()
    >>> del reader
    >>> before, folder.exists()
    (True, False)
    """
    made = tempfile.TemporaryDirectory(prefix=prefix)
    try:
        yield Path(made.name), lambda owner: weakref.finalize(owner, made.cleanup)
    except BaseException:
        made.cleanup()
        raise
