"""The options that say who goes through the rows, and the engine that they mean."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.groups import ENGINE, option, with_options
from pandq.cli.options import taken
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pandq.engines import Engine
    from pandq.read.places import Place

ADDRESS = "DASK_SCHEDULER_ADDRESS"


def _a_folder(_: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """A folder's name; an empty one, as of a variable that is not set, would be this folder."""
    if given is not None and not given.strip():
        raise InputError(what=f"{parameter.opts[0]} needs the name of a folder", got=repr(given))
    return given


RESUME = "Checkpoint directory; run the same command again to resume."


def engine_options(
    *, checkpoint: str = RESUME
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Who goes through the rows; `checkpoint` is the help of that option."""
    options = [
        option(
            ENGINE,
            "--engine",
            type=click.Choice(["local", "dask"]),
            default="local",
            show_default=True,
            help="Who goes through the rows: this process, or a Dask cluster. The result is the"
            " same, to the last bit.",
        ),
        option(
            ENGINE,
            "--scheduler",
            metavar="ADDRESS",
            help=f"dask: the scheduler, as tcp://HOST:PORT (default: {ADDRESS}; without either a"
            " cluster on this machine is started, and closed at the end).",
        ),
        option(
            ENGINE,
            "--workers",
            type=click.IntRange(min=1),
            help="Threads of this process, or processes of a cluster on this machine (default: one"
            " per core).",
        ),
        option(
            ENGINE,
            "--cache",
            is_flag=True,
            help="Keep what was read in the workers' memory from one pass to the next.",
        ),
        option(ENGINE, "--checkpoint", metavar="DIR", callback=_a_folder, help=checkpoint),
        option(
            ENGINE,
            "--progress",
            "progress_how",
            type=click.Choice(["auto", "json", "none"]),
            default="auto",
            show_default=True,
            help="Progress on standard error: a bar on a terminal, or a line of JSON now and then.",
        ),
    ]
    return lambda command: with_options(command, options)


@contextmanager
def engine_of(
    engine: str, scheduler: str | None, workers: int | None, *, cache: bool
) -> Iterator[Engine]:
    """The engine that the options mean, closed at the end.

    Raises:
        InputError: options that do not go together, or nobody answers.
        MissingLibraryError: dask.distributed is not installed.
    """
    if engine == "local":
        if scheduler is not None:
            raise InputError(what="--scheduler needs --engine dask", got=scheduler)
        from pandq.engines import Local

        yield Local(workers, cache)
        return
    address = scheduler or os.environ.get(ADDRESS)
    if address and workers is not None:
        raise InputError(
            what="--workers is for a cluster that pandq starts",
            got=f"a scheduler at {address}",
            remedy="Its workers are started by themselves: dask worker ADDRESS.",
        )
    from pandq.engines.dask import cluster

    with cluster(address, workers=workers, cache=cache) as found:
        yield found


def engine_given(options: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's options that say who goes through the rows, taken out of them."""
    return taken(options, "engine", "scheduler", "workers", "cache")


def refuse_made(rows: Any, engine: str) -> None:
    """Refuse a cluster for rows that only this machine has.

    Raises:
        InputError: a query made them here, and the workers are elsewhere.
    """
    if getattr(rows.source, "passing", False) and engine != "local":
        raise InputError(
            what="two files that are joined, and a layout's columns, are made on this machine,"
            " where workers cannot see the result",
            got=f"--engine {engine}",
            remedy="Write them into one table first, or use --engine local.",
        )


def read_from(rows: Any, files: Sequence[str]) -> Sequence[Place]:
    """The files that rows come from: those that were given, where a query made others of them."""
    from pandq.read.paths import expanded

    if getattr(rows.source, "passing", False):
        return expanded(list(files))
    found: Sequence[Place] = getattr(rows.source, "files", [])
    return found
