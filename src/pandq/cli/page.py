"""Where a command prints: the page on standard output, progress on standard error."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pandq.estimate.passes import Progress


def page() -> Any:
    """Standard output; as wide as the reports are made for when it is not a terminal."""
    from rich.console import Console

    class Page(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which here means a failed gate

    width = None if sys.stdout.isatty() else 110
    return Page(width=width, highlight=False, markup=False, legacy_windows=False)


def hand_over(result: Any, json_file: str | None, show: Callable[[Any, Any], None]) -> None:
    """The report on the page and the JSON in its file; JSON alone where "-" asks for it there."""
    from pandq.store import json_text, write_json

    if json_file == "-":
        click.echo(json_text(result.to_dict()))
        return
    if json_file is not None:
        write_json(result.to_dict(), json_file)
    show(result, page())


@contextmanager
def fit_progress(epochs: int | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A line on standard error for each epoch or step of a fit: loss, floor and gap.

    On a terminal they replace each other, elsewhere (a log) they follow each other.
    """
    from pandq.report.fitted import progress_line

    lively, width = sys.stderr.isatty(), 0

    def told(row: dict[str, Any]) -> None:
        nonlocal width
        text = progress_line(row, epochs)
        if not lively:
            click.echo(text, err=True)
            return
        click.echo("\r" + text.ljust(width), err=True, nl=False)
        width = len(text)

    try:
        yield told
    finally:
        if width:
            click.echo("\r" + " " * width + "\r", err=True, nl=False)


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """A progress bar on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield update
