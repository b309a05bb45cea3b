"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pandq.cli.groups import INPUT, RESULT, option, with_options
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Q_HELP = {
    True: "Several: the first is the one that the others are compared with.",
    False: "sampled:COLUMN, without --p, is the log-probability of what was drawn.",
}
KINDS = "labels, votes, counts, probs, logprobs or logits"


def _once(_: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> str | None:
    """An option that may be given once: a second one would silently replace the first."""
    if len(given) > 1:
        what = f"{parameter.opts[0]} was given {len(given)} times"
        raise InputError(what, got=", ".join(given), remedy="An audit has one P and one Q.")
    return given[0] if given else None


def _p_given(_: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> str | None:
    """P, given once; `annotators:COLUMN` may come beside votes, as an option of its own."""
    who = [text for text in given if text.startswith("annotators:")]
    votes = [text for text in given if not text.startswith("annotators:")]
    if len(who) == 1 and len(votes) == 1:
        return f"{votes[0]},{who[0]}"
    return _once(_, parameter, given)


def query_options() -> list[Callable[..., Any]]:
    """The options that say which query makes columns of files as they are."""
    return [
        column(
            "--layout",
            "NAME|FILE.sql",
            "The form that FILES have (`pandq layouts` lists them), or a query of your own.",
        ),
        column(
            "--select",
            "SQL",
            'Columns made from those of FILES: "label, list_value(a, b) AS probs".',
        ),
    ]


def layout_options() -> list[Callable[..., Any]]:
    """The options that make columns of files as they are."""
    return [
        *query_options(),
        column("--item", "COLUMN", "For a layout: the column of what was answered."),
        column("--annotator", "COLUMN", "For a layout: the column of who answered."),
        column("--label", "COLUMN", "For a layout: the column of the answer."),
        *answer_options(),
    ]


def answer_options() -> list[Callable[..., Any]]:
    """The options that say which votes count."""
    return [
        column("--skip", "LABEL", 'A vote that is none: "can\'t tell".', multiple=True),
        option(
            INPUT,
            "--duplicates",
            type=click.Choice(["refuse", "first", "last"]),
            default="refuse",
            show_default=True,
            help="Which vote counts where an annotator gave an item two.",
        ),
        option(
            INPUT,
            "--first",
            metavar="K",
            type=click.IntRange(min=1),
            help="Count only the first K votes of each row, in their order: a fair sample where"
            " more were asked for because the first ones differ.",
        ),
    ]


def with_query(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which query makes the columns."""
    return with_options(command, query_options())


def with_answers(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which votes count."""
    return with_options(command, answer_options())


def with_layout(command: Callable[..., None]) -> Callable[..., None]:
    """The options of layouts, of a command that reads one table."""
    return with_options(command, layout_options())


def with_sums(*roles: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options on rows that do not sum to one, of a command that reads these roles alone."""
    return lambda command: with_options(command, sum_options(*roles))


def data_options(*, several: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that say what the rows of P and Q are; `several` Qs, where they are compared."""
    p_help = f"What is true; KIND is {KINDS}, or linear:HIDDEN,WEIGHT for hidden states and the"
    p_help += " file of a head"
    p_help += ", or topk:IDS,LOG_PROBS[,RANKS], or sampled:COLUMN." if several else "."
    q_help = f"What is predicted; probs:prob_* takes one column per class. {Q_HELP[several]}"
    q_once = {"callback": None if several else _once, "help": q_help}
    options = [
        column("--p", "KIND:COLUMN", p_help, multiple=True, callback=_p_given),
        option(INPUT, "--q", metavar="KIND:COLUMN", multiple=True, **q_once),
        column(
            "--classes",
            "A,B,...|K",
            "Class names in the order of Q's columns, needed when labels are names; or how many"
            " classes there are: columns beyond these that carry no probability are cut.",
        ),
        column("--by", "COLUMN", "Also report by this column.", multiple=True),
        *row_options(),
        column("--where", "SQL", "Use only rows where this is true: year >= 2024."),
        ignore_option(),
        *sum_options("p", "q"),
        *layout_options(),
    ]
    return lambda command: with_options(command, options)


def pool_option(asked: str) -> Callable[..., Any]:
    """The option of how many people there are, of whom each row or item asked some."""
    return option(
        RESULT,
        "--annotator-pool",
        metavar="N|seen",
        callback=_pool,
        help=f"How many people there are, of whom each {asked} asked some different ones (seen: all"
        " that are named): bound the floor for a randomly chosen one of these, and not of many like"
        " them.",
    )


def _pool(_: click.Context, __: click.Parameter, given: str | None) -> int | str | None:
    """What is no number is told by who uses it."""
    return int(given) if given is not None and given.isdecimal() else given


def sum_options(*roles: str) -> list[Callable[..., Any]]:
    """The options on rows that do not sum to one."""
    whose = " or ".join(role.upper() for role in roles)
    return [
        option(
            INPUT,
            "--normalise",
            type=click.Choice(roles),
            multiple=True,
            help=f"Divide each row of {whose} by its sum; otherwise a wrong sum is an error.",
        ),
        option(
            INPUT,
            "--percent",
            type=click.Choice(roles),
            multiple=True,
            help=f"The numbers of {whose} are percentages: divide them by 100.",
        ),
        option(
            INPUT,
            "--tolerance",
            type=click.FloatRange(min=0, min_open=True),
            help="How far from 1 a row may sum (default: 1e-6 for float64, 1e-5 for float32).",
        ),
    ]


def ignore_option() -> Callable[..., Any]:
    """The option that says which labels do not count."""
    what = "Leave out, and count, the rows whose label is this: -100, or unknown."
    return column("--ignore-label", "LABEL", what, multiple=True)


def row_options() -> list[Callable[..., Any]]:
    """The options that name what belongs to the rows besides P and Q."""
    return [
        column(
            "--cluster",
            "COLUMN",
            "Rows that share a value here are not independent; intervals allow for it.",
        ),
        column("--id", "COLUMN", "Column that names the rows (default: their number)."),
        column(
            "--judge",
            "KIND:COLUMN",
            "Labels by a model on all rows, where P is missing in those without a human's: the"
            " rows with a P are then a random sample, and averages get narrower intervals.",
        ),
        column(
            "--tokens",
            "FILE.json",
            "Texts to call classes by in reports: a list, a map of ids and texts, or a"
            " tokenizer.json.",
        ),
        column("--weights", "COLUMN", "Column of row weights."),
        column(
            "--per",
            "COLUMN",
            "Column of how many bytes (or characters) of text each row is, for bits per byte.",
        ),
    ]


def column(name: str, metavar: str, help: str, **more: Any) -> Callable[..., Any]:  # noqa: A002
    """An option that names columns."""
    return option(INPUT, name, metavar=metavar, help=help, **more)


def result_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how a result is made and where it goes."""
    options = [
        option(
            RESULT,
            "--unit",
            type=click.Choice(["nat", "bit"]),
            default="nat",
            show_default=True,
            help="Unit of entropies and divergences.",
        ),
        option(
            RESULT,
            "--level",
            type=float,
            default=0.95,
            show_default=True,
            help="Confidence level of the intervals.",
        ),
        option(
            RESULT,
            "--seed",
            type=int,
            default=0,
            show_default=True,
            help="Random seed of folds and bootstrap.",
        ),
        option(
            RESULT,
            "--worst",
            type=click.IntRange(0, 10_000),
            default=10,
            show_default=True,
            help="How many of the worst rows to list.",
        ),
        option(
            RESULT,
            "--full",
            is_flag=True,
            help="Print every table: classes, groups, calibration and rows.",
        ),
        option(
            RESULT,
            "--html",
            "html_file",
            metavar="FILE",
            help="Write the report as one self-contained page.",
        ),
        option(
            RESULT,
            "--json",
            "json_file",
            metavar="FILE",
            help="Write the result as JSON (- for stdout).",
        ),
    ]
    return with_options(command, options)


def decompose_option(help: str) -> Callable[..., Any]:  # noqa: A002
    """Whether a second pass takes the loss apart."""
    return option(RESULT, "--decompose/--no-decompose", default=True, help=help)


def ordered_option(help: str) -> Callable[..., Any]:  # noqa: A002
    """Whether the classes have an order."""
    order = "The classes are grades or stars, in the order of Q's columns or of --classes. "
    return option(RESULT, "--ordered", is_flag=True, help=order + help)


def no_dash(name: str, path: str | None) -> str | None:
    """A file's name; "-" is not one where only JSON goes to standard output."""
    if path in ("-", ""):
        raise InputError(what=f"{name} needs the name of a file", got=repr(path))
    return path


# What `pandq.scan` is told by options of the same names.
LAID = ("layout", "select", "item", "annotator", "label", "skip", "duplicates", "first")
ROWS = ("cluster", "id", "weights", "per", "where", "judge", "ignore_label", "tokens")
SCANNED = ("p", "q", "classes", "by", *ROWS, "normalise", "percent", "tolerance", *LAID)


def taken(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some of a command's options, taken out of the others."""
    return {name: given.pop(name) for name in names if name in given}


def scan_options(given: dict[str, Any], *more: str) -> dict[str, Any]:
    """The options as `pandq.scan` takes them, taken out of a command's."""
    found = taken(given, *SCANNED, *more)
    return {**found, "classes": class_names(found["classes"])}


def class_names(text: str | None) -> list[str] | int | None:
    """--classes: how many there are, or their names.

    >>> class_names("cat, dog"), class_names("10")
    (['cat', 'dog'], 10)
    """
    if not text:
        return None
    return int(text) if text.isdecimal() else [name.strip() for name in text.split(",")]
