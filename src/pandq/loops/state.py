"""What a loop has brought so far: sums, the rows that are kept, and those yet to be summed."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from pandq.engines.local import summarise
from pandq.engines.run import of_formed
from pandq.errors import InputError
from pandq.loops.batches import Like, afar, joined
from pandq.loops.kept import KeptRows
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary
from pandq.sums.tallies import Shown, WorstRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pandq.loops.distinct import Distinct
    from pandq.read.chunks import Chunk

    Keys = NDArray[np.uint64]

S = TypeVar("S", bound=Summary)

# Rows wait to be summed until there are so many of them, or so many numbers in Q.
WAITING_ROWS, WAITING_NUMBERS = 1 << 14, 1 << 20
# Of rows that may come again in another process the last so many wait on: they are what a sampler
# adds to make shards equal.
LAST_ROWS, LAST_NUMBERS = 1 << 10, 1 << 20
# Kept rows are gathered once there are more of them than may be, by one for so many.
GATHERED = 4


@dataclass(frozen=True, slots=True, eq=False)
class State(Generic[S]):
    """What has come so far; nothing changes it, so that what fails half-way leaves no trace.

    Args:
        sums: of the rows that were summed.
        kept: pieces of a sample of these, in order.
        waiting: rows that are yet to be summed; they are in nobody else's memory.
        like: what every batch is like; None before the first.
        n: how many rows have come, those that came again not counted.
        again: how many have come again.
        ids: of all rows, where those that come again are to be known.
    """

    sums: S
    kept: tuple[KeptRows, ...]
    waiting: tuple[Chunk, ...] = ()
    like: Like | None = None
    n: int = 0
    again: int = 0
    ids: Distinct | None = None

    def fed(self, chunk: Chunk, like: Like, of: Callable[[S, Chunk], S]) -> Self:
        """With one more batch.

        Args:
            chunk: its rows, numbered from `n`.
            like: what they are like.
            of: the sums of a chunk, asked of sums of its kind.

        Raises:
            InputError: it is not like those before.
        """
        if self.like is not None:
            self.like.refuse_other(like, "this batch")
        ids, again = self.ids, 0
        if ids is not None:
            new = _first_of_each(chunk.keys) & ~ids.holds(chunk.keys)
            again = int(len(new) - new.sum())
            chunk = replace(chunk[np.flatnonzero(new)], start=self.n) if again else chunk
            ids = ids.with_new(chunk.keys)
        fed = replace(self, like=like, n=self.n + len(chunk), again=self.again + again, ids=ids)
        if not len(chunk):
            return fed
        rows = fed.n - (self.waiting[0].start if self.waiting else self.n)
        few = rows < WAITING_ROWS and rows * like.n_classes < WAITING_NUMBERS
        if few and not like.partly and not _away(chunk):
            return replace(fed, waiting=(*self.waiting, _own(chunk)))
        if ids is None or like.partly:
            return replace(fed, waiting=(*self.waiting, chunk)).summed(of, chunk)
        last = min(len(chunk), LAST_ROWS, max(1, LAST_NUMBERS // like.n_classes))
        first = chunk[: len(chunk) - last]
        most = replace(fed, waiting=(*self.waiting, first)).summed(of, first)
        return replace(most, waiting=(_own(chunk[len(chunk) - last :]),))

    def summed(self, of: Callable[[S, Chunk], S], lent: Chunk | None = None) -> Self:
        """The same with nothing waiting; `lent` is what lies in somebody else's memory."""
        runs = [joined(run) for run in _runs(self.waiting)]
        each = [(piece, run is not lent) for run in runs for piece in _pieces(run)]
        pieces = [piece for piece, _ in each]
        if not pieces:
            return self
        kept = self.kept
        blank = KeptRows.empty(kept[0].rows.size)
        with _blas().limit(limits=1, user_api="blas"):
            sums: S = summarise(pieces, partial(of_formed, partial(of, self.sums)), self.sums)
        for piece, own in [] if self.like is not None and self.like.partly else each:
            few = blank.of_only(piece, kept[0].largest, own=own)
            kept = _gathered((*kept, few)) if len(few) or not kept[0].rows.columns else kept
        return replace(self, sums=sums, kept=kept, waiting=())

    def merged(self, other: Self, of: Callable[[S, Chunk], S]) -> Self:
        """Both, as if the other's rows had come after these.

        Raises:
            InputError: their rows are not alike, or some came to both that can be taken from
                neither any more.
        """
        if self.like is None or other.like is None:
            return other if self.like is None else self
        self.like.refuse_other(other.like, "the other")
        one, two, ids, again = self, other, None, 0
        if self.ids is not None and other.ids is not None:
            ids, twice = self.ids.together(other.ids)
            two, left = other._without(twice)
            one, left = self._without(left)
            if len(left):
                raise InputError(
                    what=f"{len(left):,} rows came to both, and were summed in both",
                    remedy="Give each process rows of its own, but for the last few that a sampler"
                    " adds.",
                )
            again = len(twice)
        else:
            one, two = self.summed(of), other.summed(of)
        moved = partial(_moved, by=self.n, named=self.like.ids)
        waiting = tuple(replace(chunk, start=chunk.start + self.n) for chunk in two.waiting)
        return replace(
            one,
            sums=one.sums.merge(moved(two.sums)),
            kept=_gathered((*one.kept, *map(moved, two.kept))),
            waiting=(*one.waiting, *waiting),
            n=self.n + other.n - again,
            again=self.again + other.again + again,
            ids=ids,
        )

    @property
    def all_kept(self) -> KeptRows:
        """The sample as one, in which the rows that wait are not."""
        return _gathered(self.kept, at_once=True)[0]

    def _without(self, keys: Keys) -> tuple[Self, Keys]:
        """Without the waiting rows that have these keys, and the keys of which there was none."""
        waiting, gone = [], [np.zeros(0, np.uint64)]
        for chunk in self.waiting:
            there = np.isin(chunk.keys, keys)
            gone.append(chunk.keys[there])
            waiting.append(chunk[np.flatnonzero(~there)] if there.any() else chunk)
        starts = (old.start for old in self.waiting)
        some = tuple(
            replace(chunk, start=start) for chunk, start in zip(waiting, starts, strict=True)
        )
        left = np.setdiff1d(keys, np.concatenate(gone))
        return replace(self, waiting=tuple(chunk for chunk in some if len(chunk))), left


def _first_of_each(keys: Keys) -> NDArray[np.bool_]:
    """(n,) whether a key stands there for the first time."""
    first = np.zeros(len(keys), np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


def _own(chunk: Chunk) -> Chunk:
    """The same rows in memory of their own: a loop writes its next batch over the last."""
    if _away(chunk):
        p, q, control, *rivals = (
            view.here() if afar(view) else view
            for view in (chunk.p, chunk.q, chunk.control, *chunk.rivals)
        )
        chunk = replace(chunk, p=p, q=q, control=control, rivals=tuple(rivals))
    return replace(chunk[np.arange(len(chunk))], start=chunk.start)


def _runs(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """Chunks that follow on one another, of small ones; a large one is not copied to join it."""
    runs: list[list[Chunk]] = []
    for chunk in filter(len, chunks):
        before = runs[-1][-1] if runs else None
        if (
            before is None
            or before.start + len(before) != chunk.start
            or _large(before)
            or _large(chunk)
        ):
            runs.append([chunk])
        else:
            runs[-1].append(chunk)
    return runs


def _large(chunk: Chunk) -> bool:
    n = len(chunk)
    many = n >= WAITING_ROWS or n * (chunk.q.n_classes or 1) >= WAITING_NUMBERS
    return many or _away(chunk)


def _away(chunk: Chunk) -> bool:
    return afar(chunk.p, chunk.q, chunk.control, *chunk.rivals)


def _pieces(chunk: Chunk) -> list[Chunk]:
    """A chunk in pieces as an audit makes them."""
    step = chunk.step
    if len(chunk) <= step:
        return [chunk]
    return [chunk[start : start + step] for start in range(0, len(chunk), step)]


def _gathered(kept: tuple[KeptRows, ...], *, at_once: bool = False) -> tuple[KeptRows, ...]:
    """The pieces of a sample as one, once they are a good deal more than it may have."""
    if not kept[0].rows.columns:
        kept = kept[1:] or kept
    size = kept[0].rows.size
    if len(kept) == 1 or not (at_once or sum(map(len, kept)) > size + size // GATHERED):
        return kept
    return (kept[0].with_all(kept[1:]),)


def _moved(it: Any, *, by: int, named: bool) -> Any:
    """A Summary whose rows come after `by` others; without ids their numbers are what shows."""
    again = partial(_moved, by=by, named=named)
    if isinstance(it, WorstRows):
        ids = it.ids if named else tuple(_renumbered(x, by) for x in it.ids)
        return replace(it, row=it.row + by, ids=ids)
    if isinstance(it, Sample):
        return replace(it, row=it.row + by)
    if is_dataclass(it) and not isinstance(it, type):
        return replace(it, **{f.name: again(getattr(it, f.name)) for f in fields(it)})
    if isinstance(it, tuple):
        return tuple(map(again, it))
    if isinstance(it, dict):
        return {name: again(item) for name, item in it.items()}
    return it


def _renumbered(shown: Any, by: int) -> Any:
    if isinstance(shown, Shown):
        return replace(shown, id=_renumbered(shown.id, by))
    return shown + by if isinstance(shown, int) else shown


@cache
def _blas() -> ThreadpoolController:
    """The libraries whose threads would fight the pool's; looked for but once."""
    return ThreadpoolController()
