"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KINDS = "labels, counts, probs, logprobs or logits"


def _once(_: click.Context, option: click.Parameter, given: tuple[str, ...]) -> str | None:
    """An option that may be given once: a second one would silently replace the first."""
    if len(given) > 1:
        what = f"{option.opts[0]} was given {len(given)} times"
        raise InputError(what, got=", ".join(given), remedy="An audit has one P and one Q.")
    return given[0] if given else None


def data_options(*, several: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that say what the rows of P and Q are; `several` Qs, where they are compared."""
    options = [
        click.option(
            "--p",
            metavar="KIND:COLUMN",
            multiple=True,
            callback=_once,
            help=f"What is true; KIND is {KINDS}"
            + (", or topk:IDS,LOG_PROBS." if several else "."),
        ),
        click.option(
            "--q",
            metavar="KIND:COLUMN",
            multiple=True,
            callback=None if several else _once,
            help="What is predicted; probs:prob_* takes one column per class."
            + (" Several: the first is the one to hold the others against." if several else ""),
        ),
        click.option(
            "--classes",
            metavar="A,B,...|K",
            help="Class names in the order of Q's columns, needed when labels are names; or how"
            " many classes there are.",
        ),
        click.option("--by", metavar="COLUMN", multiple=True, help="Also report by this column."),
        click.option(
            "--cluster", metavar="COLUMN", help="Rows that share a value are not independent."
        ),
        click.option("--id", metavar="COLUMN", help="Names the rows (default: their number)."),
        click.option("--weights", metavar="COLUMN", help="Row weights."),
        click.option("--where", metavar="SQL", help='Only rows with this, e.g. "year >= 2024".'),
        click.option(
            "--normalise",
            type=click.Choice(["p", "q"]),
            multiple=True,
            help="Divide each row of P or Q by its sum; otherwise a wrong sum is an error.",
        ),
        click.option(
            "--tolerance",
            type=click.FloatRange(min=0, min_open=True),
            help="How far from 1 a row may sum (default: 1e-6 for float64, 1e-5 for float32).",
        ),
    ]
    return lambda command: with_options(command, options)


def result_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how a result is made and where it goes."""
    options = [
        click.option(
            "--unit",
            type=click.Choice(["nat", "bit"]),
            default="nat",
            show_default=True,
            help="Unit of entropies and divergences.",
        ),
        click.option(
            "--level", type=float, default=0.95, show_default=True, help="Of the intervals."
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Of folds and bootstrap."
        ),
        click.option(
            "--worst",
            type=click.IntRange(0, 10_000),
            default=10,
            show_default=True,
            help="How many of the worst rows to show.",
        ),
        click.option(
            "--html",
            "html_file",
            metavar="FILE",
            help="Write the report as one self-contained page.",
        ),
        click.option(
            "--json", "json_file", metavar="FILE", help="Write the result as JSON (- for stdout)."
        ),
    ]
    return with_options(command, options)


def no_dash(option: str, path: str | None) -> str | None:
    """A file's name; "-" is not one where only JSON goes to standard output."""
    if path in ("-", ""):
        raise InputError(what=f"{option} needs the name of a file", got=repr(path))
    return path


def with_options(
    command: Callable[..., None], options: Sequence[Callable[..., Any]]
) -> Callable[..., None]:
    """A command with options, in the order in which its help is to show them."""
    for option in reversed(options):
        command = option(command)
    return command


def scan_options(data: dict[str, Any]) -> dict[str, Any]:
    """The options as `pandq.scan` takes them."""
    return {**data, "classes": class_names(data["classes"])}


def class_names(text: str | None) -> list[str] | int | None:
    """--classes: how many there are, or their names.

    >>> class_names("cat, dog"), class_names("10")
    (['cat', 'dog'], 10)
    """
    if not text:
        return None
    return int(text) if text.isdecimal() else [name.strip() for name in text.split(",")]
