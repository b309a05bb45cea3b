"""One process: the next chunk is read while this one is summed."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Mergeable(Protocol):
    """All that an engine knows of a Summary."""

    def merge(self, other: Self, /) -> Self:
        """Both together."""


C = TypeVar("C")
S = TypeVar("S", bound=Mergeable)


def summarise(chunks: Iterable[C], of: Callable[[C], S], empty: S) -> S:
    """`of` of every chunk, merged in chunk order.

    Args:
        chunks: pieces of the data, in order.
        of: a chunk's Summary.
        empty: the Summary of nothing.

    Returns:
        The Summary of all chunks.

    Raises:
        Whatever reading or summing raises.
    """
    total = empty
    for chunk in read_ahead(chunks):
        total = total.merge(of(chunk))
    return total


def read_ahead(chunks: Iterable[C], depth: int = 2) -> Iterator[C]:  # noqa: C901
    """The same chunks, read by a thread that stays at most `depth` ahead.

    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    ready: queue.Queue[tuple[C | None, BaseException | None, bool]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: tuple[C | None, BaseException | None, bool]) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for chunk in chunks:
                put((chunk, None, False))
                if stopped.is_set():
                    return
            put((None, None, True))
        except BaseException as error:  # noqa: BLE001
            put((None, error, True))

    reader = threading.Thread(target=read, name="pandq-read", daemon=True)
    reader.start()
    try:
        while True:
            chunk, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield chunk  # type: ignore[misc]
    finally:
        stopped.set()
        reader.join()
