"""Limits on the command line, the same for every command that has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.options import with_options
from pandq.cli.streams import say, tell
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pandq.results.estimate import Estimate
    from pandq.results.gates import Gate, GateOn


def gate_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that set limits."""
    options = [
        click.option(
            "--max-kl",
            type=float,
            callback=a_number,
            metavar="X",
            help="Exit with 1 if KL's interval reaches beyond X.",
        ),
        click.option(
            "--max-cross-entropy",
            type=float,
            callback=a_number,
            metavar="X",
            help="Exit with 1 if the cross entropy's interval reaches beyond X.",
        ),
        click.option(
            "--gate-on",
            type=click.Choice(["interval", "point"]),
            default="interval",
            show_default=True,
            help="Hold limits against the interval's upper end, or against the point.",
        ),
    ]
    return with_options(command, options)


def a_number(_: click.Context, option: click.Parameter, given: float | None) -> float | None:
    """A limit must be a number, or nothing could be below it."""
    if given is not None and math.isnan(given):
        raise InputError(what=f"{option.opts[0]} is not a number", got="nan")
    return given


def limits(
    asked: Mapping[str, tuple[float | None, Sequence[Estimate]]], gate_on: GateOn
) -> list[Gate]:
    """A gate for each estimate that an option limits."""
    from pandq.results.gates import Gate

    return [
        Gate(option, limit, estimate, gate_on)
        for option, (limit, estimates) in asked.items()
        if limit is not None
        for estimate in estimates
    ]


def finish(result: Any, gates: Sequence[Gate], *, quiet: bool) -> None:
    """Leave a summary where a pipeline wants one, say what holds, and refuse what is breached.

    Raises:
        GateError: a limit is breached.
    """
    from pandq.report.markdown import append_summary
    from pandq.results.gates import require

    try:
        append_summary(result, gates)
    except InputError as error:
        # what the limits say must be heard all the same
        tell(f"pandq: {error}")
    require(gates)
    for gate in gates:
        (tell if quiet else say)(str(gate))
