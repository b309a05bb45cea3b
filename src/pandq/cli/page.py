"""Where a command prints: the page on standard output, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pandq.cli.streams import put, tell
from pandq.plain import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pandq.engines import Done, Progress


def page() -> Any:
    """Standard output: as wide as the terminal or COLUMNS says, else as reports are made for."""
    from pandq.report.shown import WIDTH
    from pandq.report.terminal.console import Page

    told = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Page(width=None if told else WIDTH)


def hand_over(result: Any, json_file: str | None, *, full: bool) -> None:
    """The report on the page, or JSON alone where "-" asks for it there."""
    from pandq.report.sections.result import sections_of
    from pandq.report.terminal.sections import show
    from pandq.store import json_text

    if json_file == "-":
        every = (sys.stdout.encoding or "").lower().startswith("utf")
        sys.stdout.write(json_text(result.to_dict(), ascii_only=not every) + "\n")
    else:
        show(sections_of(result), page(), full=full)


@contextmanager
def fit_progress(
    epochs: int | None, *, how: str = "auto"
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A line on standard error for each epoch or step of a fit: loss, floor and gap.

    On a terminal they replace each other, elsewhere (a log) they follow each other.
    """
    from pandq.report.terminal.fit import progress_line

    lively, width = sys.stderr.isatty(), 0

    def told(row: dict[str, Any]) -> None:
        nonlocal width
        if how != "auto":
            if how == "json":
                tell(json.dumps(row))
            return
        text = progress_line(row, epochs)
        if not lively:
            tell(text)
            return
        put("\r" + visible(text).ljust(width))
        width = len(text)

    try:
        yield told
    finally:
        if width:
            put("\r" + " " * width + "\r")


@contextmanager
def progress_shown(how: str) -> Iterator[Progress | None]:
    """How far a pass is: a bar on a terminal, lines of JSON where asked for, or nothing."""
    if how == "json":
        yield json_lines()
        return
    if how == "none" or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from pandq.report.terminal.console import Page

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Page(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def update(done: Done) -> None:
            if done.what not in tasks:
                tasks[done.what] = bar.add_task(done.what, total=done.rows, told="")
            rate = done.rows_per_second
            of = "" if done.rows is None else f" of {done.rows:,}"
            told = [f"{done.rows_done:,}{of} rows", f"chunk {done.chunks_done}/{done.chunks}"]
            told += [f"{rate:,.0f} rows/s"] if rate else []
            # between two passes nothing is counted
            told = told if done.chunks else []
            bar.update(tasks[done.what], completed=done.rows_done, told=", ".join(told))

        yield update


# Seconds between two lines of progress, for a log to stay short.
EVERY = 0.5


def json_lines() -> Progress:
    """Progress as lines of JSON on standard error: the first and last of each pass, and some."""
    said: dict[str, float] = {}

    def update(done: Done) -> None:
        now = time.monotonic()
        last = done.chunks_done == done.chunks
        if last or now - said.get(done.what, -EVERY) >= EVERY:
            said[done.what] = now
            tell(json.dumps(done.to_dict()))

    return update
