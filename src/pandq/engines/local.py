"""One process: chunks are read ahead by some threads and summed by others, on every core."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import threadpool_limits

from pandq.core.threads import alone, n_threads, over_cores
from pandq.engines.ahead import read_ahead
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

    from pandq.engines.contract import C, Rows, S
    from pandq.read.parts import Part

T = TypeVar("T")

# Parts are read side by side by at most so many threads: each holds what it decodes.
MOST_READERS = 4
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
        waiting, ended = deque(parts), set()
        merged: dict[int, S] = {}
        # one pool of threads: BLAS's own would fight it
        with threadpool_limits(limits=1, user_api="blas"):
            for part, chunk, summary in self._summed(self._streams(rows, parts, kept), of):
                if chunk is None or summary is None:
                    ended.add(part.index)
                else:
                    before = merged.get(part.index)
                    merged[part.index] = summary if before is None else before.merge(summary)
                    tick(len(chunk))  # type: ignore[arg-type]
                while waiting and waiting[0].index in ended:
                    first = waiting.popleft()
                    yield first, merged.pop(first.index, None)

    def _streams(
        self, rows: Rows[C], parts: Sequence[Part], kept: dict[int, Any] | None
    ) -> list[Iterator[tuple[Part, C | None]]]:
        """What is read side by side: each part by itself, or all of them in their order."""
        if self.cache and kept is not None:
            return [_with_ends(_kept(rows, parts, kept), parts)]
        if rows.apart and all(part.start is not None for part in parts):
            return [_with_ends(rows.pieces([part]), [part]) for part in parts]
        return [_with_ends(rows.pieces(parts), parts)]

    def _summed(
        self, streams: Sequence[Iterator[tuple[Part, C | None]]], of: Callable[[C], S]
    ) -> Iterator[tuple[Part, C | None, S | None]]:
        """Each chunk with its part and its Summary, those of a part in order, and the part's end.

        What is wrong is said once the rows before it are found to be fine.
        """
        workers = self.workers or n_threads()
        first = _First((len(streams), 0))
        unread = set(range(len(streams)))
        pending: deque[tuple[Place, Part, C | None, Future[S] | None]] = deque()

        def summed(chunk: C) -> S:
            with alone():
                return of(chunk)

        with (
            ThreadPoolExecutor(workers, thread_name_prefix="pandq-sum") as pool,
            closing(read_ahead(streams, min(workers, MOST_READERS))) as reading,
        ):
            try:
                for count, (stream, item, error) in enumerate(reading):
                    if item is None:
                        unread.discard(stream)
                        first.note((stream, count), error)
                    elif (stream, count) < first.place:
                        part, chunk = item
                        future = None if chunk is None else pool.submit(summed, chunk)
                        pending.append(((stream, count), part, chunk, future))
                    some_left = any(other < first.place[0] for other in unread)
                    while len(pending) > (workers if some_left else 0):
                        yield from _ended(pending, first)
                    if not some_left:
                        break
            finally:
                for *_, future in pending:
                    if future is not None:
                        future.cancel()
        if first.error is not None:
            raise first.error


# Which of the streams, and how much was read before.
Place = tuple[int, int]


@dataclass(slots=True)
class _First:
    """The first thing that is wrong, in the order of the rows."""

    place: Place
    error: BaseException | None = None

    def note(self, place: Place, error: BaseException | None) -> None:
        """One thing more."""
        if error is not None and place < self.place:
            self.place, self.error = place, error


def _ended(
    pending: deque[tuple[Place, Part, C | None, Future[S] | None]], first: _First
) -> Iterator[tuple[Part, C | None, S | None]]:
    """The oldest of those that are being summed, once it is, unless it comes after a fault."""
    place, part, chunk, future = pending.popleft()
    if place > first.place:
        return
    try:
        summary = None if future is None else future.result()
    except Exception as error:  # noqa: BLE001
        first.note(place, error)
    else:
        yield part, chunk, summary


def _with_ends(
    pieces: Iterator[tuple[Part, C]], parts: Sequence[Part]
) -> Iterator[tuple[Part, C | None]]:
    """The chunks of consecutive parts, and None where a part ends."""
    left = deque(parts)
    for part, chunk in pieces:
        while left[0].index != part.index:
            yield left.popleft(), None
        yield part, chunk
    for part in left:
        yield part, None


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
