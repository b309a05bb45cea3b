"""Limits on the command line, the same for every command that has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.groups import GATES, option, with_options
from pandq.cli.streams import say, tell
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pandq.results.estimate import Estimate
    from pandq.results.gates import Gate, GateOn


def gate_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that set limits."""
    options = [
        option(
            GATES,
            "--max-kl",
            type=float,
            callback=a_number,
            metavar="X",
            help="Exit with 1 if KL's interval reaches beyond X.",
        ),
        option(
            GATES,
            "--max-cross-entropy",
            type=float,
            callback=a_number,
            metavar="X",
            help="Exit with 1 if the cross entropy's interval reaches beyond X.",
        ),
        option(
            GATES,
            "--gate-on",
            type=click.Choice(["interval", "point"]),
            default="interval",
            show_default=True,
            help="Compare limits with the upper end of the interval, or with the point.",
        ),
    ]
    return with_options(command, options)


def a_number(_: click.Context, parameter: click.Parameter, given: float | None) -> float | None:
    """A limit must be a number, or nothing could be below it."""
    if given is not None and math.isnan(given):
        raise InputError(what=f"{parameter.opts[0]} is not a number", got="nan")
    return given


def limits(
    held: Mapping[str, Sequence[Estimate]], *, gate_on: GateOn, **asked: float | None
) -> list[Gate]:
    """A gate for each estimate that an option limits.

    Args:
        held: the estimates that are compared with each option's limit, by the option's name.
        gate_on: what of them is.
        asked: the options' limits.
    """
    from pandq.results.gates import Gate

    return [
        Gate(
            f"--{name.replace('_', '-')}",
            limit,
            estimate,
            gate_on,
            side="least" if name.startswith("min_") else "most",
        )
        for name, limit in asked.items()
        if limit is not None
        for estimate in held[name]
    ]


def finish(result: Any, gates: Sequence[Gate], *, quiet: bool) -> None:
    """Leave a summary where a pipeline wants one, say of every limit whether it holds, and refuse.

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
    several = len(gates) > 1
    for gate in gates:
        # one that is breached alone is the error's one line
        if gate.passed or several:
            (tell if quiet else say)(str(gate))
    require(gates)
