"""One process: chunks are read ahead by one thread and summed by others, on every core."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import threadpool_limits

from pandq.core.threads import alone, n_threads, over_cores
from pandq.errors import InputError, PandqError
from pandq.read.database import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from pandq.engines.contract import C, Rows, S
    from pandq.read.parts import Part

T = TypeVar("T")

# Summaries of chunks in memory that wait to be merged, for each core.
AT_ONCE = 16


@dataclass(slots=True)
class Local:
    """This process.

    Args:
        workers: threads that sum; one per core when left out.
        cache: whether chunks stay in memory from one pass to the next.

    Raises:
        InputError: there is to be no worker.
    """

    workers: int | None = None
    cache: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(what="an engine needs a worker", got=f"{self.workers}")

    @property
    def needs_row_offsets(self) -> bool:
        """Parts are read in order, and so counted on the way."""
        return False

    def counts(self, rows: Rows[Any], parts: Sequence[Part]) -> list[int]:
        """How many rows each part has."""
        return over_cores(rows.count, parts)

    def over(
        self,
        rows: Rows[C],
        parts: Sequence[Part],
        of: Callable[[C], S],
        tick: Callable[[int], None],
        kept: dict[int, Any] | None,
    ) -> Generator[tuple[Part, S | None]]:
        """Each part's Summary, in order; None where a part has no rows."""
        pieces = rows.pieces(parts)
        if self.cache and kept is not None:
            pieces = _kept(rows, parts, kept)
        waiting = deque(parts)
        merged: S | None = None
        # one pool of threads: BLAS's own would fight it
        with threadpool_limits(limits=1, user_api="blas"):
            for part, chunk, summary in self._summed(pieces, of):
                while waiting[0].index != part.index:
                    yield waiting.popleft(), merged
                    merged = None
                merged = summary if merged is None else merged.merge(summary)
                tick(len(chunk))
        while waiting:
            yield waiting.popleft(), merged
            merged = None

    def _summed(
        self, pieces: Iterator[tuple[Part, C]], of: Callable[[C], S]
    ) -> Iterator[tuple[Part, Any, S]]:
        """Each chunk with its part and its Summary, in order."""
        workers = self.workers or n_threads()

        def summed(chunk: C) -> S:
            with alone():
                return of(chunk)

        pending: deque[tuple[Part, C, Future[S]]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="pandq-sum") as pool:
            try:
                try:
                    for part, chunk in read_ahead(pieces):
                        pending.append((part, chunk, pool.submit(summed, chunk)))
                        if len(pending) > workers:
                            yield _ended(pending)
                except PandqError:
                    # what is wrong in the rows before is said first
                    while pending:
                        yield _ended(pending)
                    raise
                while pending:
                    yield _ended(pending)
            finally:
                for _, _, future in pending:
                    future.cancel()


def _ended(pending: deque[tuple[Part, C, Future[S]]]) -> tuple[Part, C, S]:
    """The first of those that are being summed, once it is."""
    part, chunk, future = pending.popleft()
    return part, chunk, future.result()


def summarise(chunks: Sequence[C], of: Callable[[C], S], empty: S) -> S:
    """`of` of every chunk of what is in memory already, over all cores, merged in chunk order.

    Args:
        chunks: pieces of the data, in order.
        of: a chunk's Summary.
        empty: the Summary of nothing.

    Returns:
        The Summary of all chunks.

    Raises:
        Whatever summing raises.
    """
    # not more Summaries at once than keep the cores busy
    step = AT_ONCE * n_threads()
    found = (over_cores(of, chunks[start : start + step]) for start in range(0, len(chunks), step))
    return reduce(lambda total, some: reduce(_merged, some, total), found, empty)


def _merged(one: S, other: S) -> S:
    return one.merge(other)


def _kept(rows: Rows[C], parts: Sequence[Part], kept: dict[int, Any]) -> Iterator[tuple[Part, C]]:
    """The chunks of parts, from memory from the second time on."""
    known: dict[int, list[C]] = kept.setdefault(id(rows), {})
    if all(part.index in known for part in parts):
        yield from ((part, chunk) for part in parts for chunk in known[part.index])
        return
    found: dict[int, list[C]] = {part.index: [] for part in parts}
    for part, chunk in rows.pieces(parts):
        found[part.index].append(chunk)
        yield part, chunk
    known.update(found)


def read_ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items, made by a thread that stays at most `depth` ahead.

    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: tuple[T | None, BaseException | None, bool]) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put((item, None, False))
                if stopped.is_set():
                    return
            put((None, None, True))
        except BaseException as error:  # noqa: BLE001
            put((None, error, True))

    reader = threading.Thread(target=read, name="pandq-read", daemon=True)
    reader.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        while reader.is_alive():
            # what it waits for may take longer than anybody wants to wait
            interrupt(reader.ident)
            reader.join(0.1)
