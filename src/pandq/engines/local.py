"""One process: chunks in memory are summed over all cores, others while the next one is read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from pandq.core.threads import n_threads, over_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Mergeable(Protocol):
    """All that an engine knows of a Summary."""

    def merge(self, other: Self, /) -> Self:
        """Both together."""


# Summaries of chunks in memory that wait to be merged, for each core.
AT_ONCE = 16

C = TypeVar("C")
S = TypeVar("S", bound=Mergeable)


def summarise(chunks: Iterable[C], of: Callable[[C], S], empty: S) -> S:
    """`of` of every chunk, merged in chunk order.

    Args:
        chunks: pieces of the data, in order; a sequence is in memory already.
        of: a chunk's Summary.
        empty: the Summary of nothing.

    Returns:
        The Summary of all chunks.

    Raises:
        Whatever reading or summing raises.
    """
    total = empty
    for summary in (
        _in_memory(chunks, of) if isinstance(chunks, Sequence) else map(of, read_ahead(chunks))
    ):
        total = total.merge(summary)
    return total


def _in_memory(chunks: Sequence[C], of: Callable[[C], S]) -> Iterator[S]:
    """Each chunk's Summary, in order; not more of them at once than keep the cores busy."""
    step = AT_ONCE * n_threads()
    for start in range(0, len(chunks), step):
        yield from over_cores(of, chunks[start : start + step])


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
