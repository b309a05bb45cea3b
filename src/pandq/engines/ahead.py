"""Streams that are read ahead by threads, a little, while what was read is used."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from pandq.read.database import interrupt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

T = TypeVar("T")


class _Reading(Generic[T]):
    """What the threads share: streams that none has taken, and items that wait."""

    def __init__(self, streams: Sequence[Iterable[T]], depth: int) -> None:
        self.untaken = deque(enumerate(streams))
        self.ready: queue.Queue[tuple[int, T | None, BaseException | None]] = queue.Queue(depth)
        self.stopped = threading.Event()

    def run(self) -> None:
        """One stream after the other, until there is none or nobody waits any more."""
        while not self.stopped.is_set():
            try:
                place, items = self.untaken.popleft()
            except IndexError:
                return
            try:
                for item in items:
                    self.put((place, item, None))
                    if self.stopped.is_set():
                        return
                self.put((place, None, None))
            except BaseException as error:  # noqa: BLE001
                self.put((place, None, error))

    def put(self, item: tuple[int, T | None, BaseException | None]) -> None:
        """Wait until there is room, or until nobody waits any more."""
        while not self.stopped.is_set():
            try:
                self.ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return


def read_ahead(
    streams: Sequence[Iterable[T]], readers: int = 1, depth: int = 2
) -> Generator[tuple[int, T | None, BaseException | None]]:
    """What streams hold, made by threads that stay at most `depth` items ahead.

    Args:
        streams: each is gone through by one thread, the first ones first; no item is None.
        readers: how many threads, at most.
        depth: how many items of all streams together wait.

    Yields:
        A stream's number with its next item; or with None at its end, and the error that ended it.

    >>> [item for _, item, _ in read_ahead([range(3)])]
    [0, 1, 2, None]
    """
    reading, left = _Reading(streams, depth), len(streams)
    threads = [
        threading.Thread(target=reading.run, name="pandq-read", daemon=True)
        for _ in range(min(readers, left))
    ]
    for thread in threads:
        thread.start()
    try:
        while left:
            place, item, error = reading.ready.get()
            left -= item is None
            yield place, item, error
    finally:
        reading.stopped.set()
        for thread in threads:
            while thread.is_alive():
                # what it waits for may take longer than anybody wants to wait
                interrupt(thread.ident)
                thread.join(0.1)
