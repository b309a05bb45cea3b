"""The command line: reads options, calls the library, and says what went wrong in one line."""

from __future__ import annotations

import errno
import os
import sys
import traceback

import click

import pandq
from pandq.cli.auditing import audit_command
from pandq.cli.comparing import compare_command
from pandq.cli.fitting import fit_command
from pandq.cli.groups import Grouped
from pandq.cli.predicting import predict_command
from pandq.cli.streams import Ended, flushed, prepare, tell
from pandq.cli.tools import (
    demo_command,
    explore_command,
    inspect_command,
    layouts_command,
    recalibrate_command,
)
from pandq.cli.voting import votes_command
from pandq.core.memory import reuse_freed_memory
from pandq.errors import GateError, PandqError
from pandq.plain import shortened

FINE, GATE_FAILED, BAD_INPUT, FAULT = 0, 1, 2, 3
# As a shell counts the ends that signals make: Ctrl-C, and a pipe that nobody reads any more.
SIGNALLED = 128
INTERRUPTED, PIPE_CLOSED = SIGNALLED + 2, SIGNALLED + 13
# What a stream says that cannot be written; it does not say its name.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)


def _noted(context: click.Context, _: click.Parameter, given: bool) -> None:  # noqa: FBT001
    if given:
        context.ensure_object(dict)["debug"] = True


DEBUG = Grouped(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_noted,
    help="Show the traceback of a fault of pandq's own.",
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(pandq.__version__, prog_name="pandq")
@click.pass_context
def cli(context: click.Context) -> None:
    """Mind your P and Q: how far predictions are from the truth, and what can be done about it.

    P is what is true (labels, votes, soft labels, a reference model), Q what a model predicts.

    \b
        H(P, Q)       =   H(P)    +   KL(P || Q)
        cross entropy     floor       what a better Q removes
    """
    if context.invoked_subcommand is None:
        from pandq.cli.welcome import welcome

        welcome()


for command in (
    audit_command,
    compare_command,
    votes_command,
    fit_command,
    predict_command,
    recalibrate_command,
    inspect_command,
    layouts_command,
    explore_command,
    demo_command,
):
    command.params.append(DEBUG)
    cli.add_command(command)
cli.params.append(DEBUG)


def main() -> None:
    """Run the command line; what goes wrong is one line, and the exit code says whose fault it is.

    0 fine, 1 a limit was breached and nothing else, 2 bad input, a machine's refusal or a lost
    engine, 3 a fault of pandq's own, 128 and a signal's number where one ended it.
    """
    asked = {"debug": False}
    try:
        code = _run(asked)
    except BaseException as error:  # noqa: BLE001
        code, said = _verdict(error)
        if code == FAULT and asked["debug"]:
            tell(*"".join(traceback.format_exception(error)).splitlines())
        tell(*said)
    flushed()
    sys.exit(code)


def _run(asked: dict[str, bool]) -> int:
    """A command, without click's own way of ending one: there a closed pipe is a breached gate."""
    prepare()
    reuse_freed_memory()
    if "_PANDQ_COMPLETE" in os.environ:
        cli(prog_name="pandq")  # a shell asks what could be typed next
    try:
        with cli.make_context("pandq", sys.argv[1:], obj=asked) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    sys.stdout.flush()
    return FINE


def _verdict(error: BaseException) -> tuple[int, list[str]]:
    """The exit code of what ended a command, and what there is to say of it."""
    code, said = FAULT, ""
    match error:
        case GateError():
            code, said = GATE_FAILED, str(error)
        case PandqError():
            code, said = BAD_INPUT, str(error)
        case click.ClickException():
            code, said = BAD_INPUT, _misused(error)
        case SystemExit():
            code = int(error.code or FINE)
        case Ended():
            code = SIGNALLED + error.number
        case KeyboardInterrupt() | click.Abort():
            code = INTERRUPTED
        case BrokenPipeError():
            code = PIPE_CLOSED
        case OSError() | MemoryError():
            code, said = BAD_INPUT, _refused(error)
        case _:
            said = f"a fault of pandq's own: {type(error).__name__}: {error} (--debug shows where)"
    return code, [f"pandq: {shortened(' '.join(said.split()))}"] if said else []


def _misused(error: click.ClickException) -> str:
    """What click has to say of an option or a command, and where to read on."""
    said = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        said += f"{'' if said.endswith('?') else '.'} Try `{error.ctx.command_path} --help`."
    return said


def _refused(error: OSError | MemoryError) -> str:
    """What the machine did not grant."""
    if isinstance(error, MemoryError):
        return str(error) or "there is not enough memory"
    if error.filename is None and error.errno in UNWRITABLE:
        return f"standard output: cannot be written, got {error.strerror}"
    place = "" if error.filename is None else f"{error.filename}: "
    return f"{place}{error.strerror or error}"
