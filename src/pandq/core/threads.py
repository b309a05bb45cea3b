"""Tasks over all cores, the calling thread among them; and what a fork must not cut in two."""

from __future__ import annotations

import importlib
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

THREADS = "PANDQ_THREADS"

A = TypeVar("A")
B = TypeVar("B")


def over_cores(task: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """A task for every item, over all cores; what it gives, in the order of the items.

    Args:
        task: does its work where the interpreter's lock is not held, or nothing is won.
        items: what it is given.

    Returns:
        One result per item.

    Raises:
        InputError: PANDQ_THREADS is no number.

    >>> over_cores(abs, [-1, 2])
    [1, 2]
    """
    threads = n_threads()
    found: list[Any] = [None] * len(items)
    waiting = deque(range(len(items)))

    def work() -> None:
        while True:
            try:
                place = waiting.popleft()
            except IndexError:
                return
            found[place] = task(items[place])

    helpers = min(threads, len(items)) - 1
    pool = _pool(threads) if helpers > 0 else None
    started = [pool.submit(work) for _ in range(helpers)] if pool else []
    work()
    for helper in started:
        # one that has not come to start by now has nothing left to do
        if not helper.cancel():
            helper.result()
    return found


@contextmanager
def alone() -> Iterator[None]:
    """Within it the calling thread does all itself: the other cores are at other chunks."""
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


_here = threading.local()


def n_threads() -> int:
    """How many threads there are: what PANDQ_THREADS says, or one per core."""
    if getattr(_here, "alone", False):
        return 1
    asked = os.environ.get(THREADS, "")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise InputError(what=f"{THREADS} is a number of threads", got=repr(asked))
    return int(asked) if asked else _cores()


def _cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="pandq")


def imported(name: str) -> ModuleType:
    """A module that is imported when it is first needed, by whatever thread that is.

    A process that is forked while another thread imports a module would wait for that module for
    ever: the thread that has its lock is not there. So a fork waits until such imports are done.
    """
    with _importing:
        return importlib.import_module(name)


_importing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )
    # the threads of its parent are not there either
    os.register_at_fork(after_in_child=_pool.cache_clear)
