"""A run: the passes over rows of one audit, comparison or fit, one after the other."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.engines.contract import Done
from pandq.engines.local import Local
from pandq.errors import InputError
from pandq.read.parts import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pandq.engines.checkpoints import Checkpoint
    from pandq.engines.contract import C, Engine, Progress, Rows, S
    from pandq.read.parts import Part


@dataclass(slots=True)
class Run:
    """Passes over rows; `engine` is this process's when left out."""

    engine: Engine = field(default_factory=Local)
    progress: Progress | None = None
    checkpoint: Checkpoint | None = None
    passes: int = 0
    _kept: dict[int, Any] = field(default_factory=dict)
    _prepared: dict[int, tuple[Any, Any, Sequence[Part]]] = field(default_factory=dict)

    def tell(self, what: str) -> None:
        """Say what goes on between two passes."""
        if self.progress is not None:
            self.progress(Done(what))

    def summarise(
        self, what: str, rows: Rows[C], of: Callable[[C], S], empty: S, *, once: bool = False
    ) -> S:
        """One pass: `of` of every chunk, merged in order.

        Args:
            what: what to call it where progress is shown.
            rows: to go through.
            of: a chunk's Summary; it crosses to other processes on some engines.
            empty: the Summary of nothing.
            once: whether these rows are gone through but once, and so are not worth a cache.

        Returns:
            The Summary of all rows.

        Raises:
            InputError: a row or a file cannot be used.
            EngineError: the engine was lost.
        """
        self.passes += 1
        total, done = empty, 0
        if self.checkpoint is not None:
            total, done = self.checkpoint.read(self.passes, empty)
        ready, parts = self._ready(rows, placed=done > 0)
        if done > len(parts):
            raise InputError(
                what=f"the checkpoint has summed {done} parts, and there are {len(parts)}",
                remedy="Remove its folder to start anew.",
            )
        if done and done == len(parts):
            return total
        now = _beginning(what, rows, parts, done)
        reached = now.rows_done
        kept_at = time.monotonic()

        def tick(n: int) -> None:
            nonlocal now
            now = replace(now, rows_done=now.rows_done + n)
            if self.progress is not None:
                self.progress(now)

        kept, work = None if once else self._kept, partial(of_formed, of)
        try:
            # closed at once where this ends early: threads stop, tasks are called back
            with closing(self.engine.over(ready, parts[done:], work, tick, kept)) as found:
                for part, summary in found:
                    total = total if summary is None else total.merge(summary)
                    done += 1
                    reached += part.n_rows or 0
                    now = replace(now, chunks_done=done, rows_done=max(now.rows_done, reached))
                    if self.progress is not None:
                        self.progress(now)
                    if self.checkpoint is not None and time.monotonic() - kept_at > EVERY:
                        self.checkpoint.write(self.passes, total, done)
                        kept_at = time.monotonic()
        finally:
            if self.checkpoint is not None:
                self.checkpoint.write(self.passes, total, done)
        return total

    def _ready(self, rows: Rows[C], *, placed: bool) -> tuple[Rows[C], Sequence[Part]]:
        """Rows that are prepared, and their parts, found out once."""
        if id(rows) not in self._prepared:
            # the rows themselves are kept with them, so that no others can have their id
            self._prepared[id(rows)] = rows, rows.prepared(), rows.parts()
        same, ready, parts = self._prepared[id(rows)]
        if (placed or self.engine.needs_row_offsets) and any(part.start is None for part in parts):
            parts = counted(parts, self.engine.counts(ready, parts))
            self._prepared[id(rows)] = same, ready, parts
        return ready, parts


# Seconds between two writes of a checkpoint.
EVERY = 1.0


def _beginning(what: str, rows: Rows[Any], parts: Sequence[Part], done: int) -> Done:
    """Progress at the beginning of a pass, of which an earlier run may have done some parts."""
    before = sum(part.n_rows or 0 for part in parts[:done])
    return Done(what, before, rows.n_rows, done, len(parts), before)


def of_formed(of: Callable[[Any], S], chunk: Any) -> S:
    """A chunk's Summary; what is formed as it is asked for is formed once, where it is summed."""
    return of(chunk.formed() if hasattr(chunk, "formed") else chunk)
