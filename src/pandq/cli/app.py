"""The command line: reads options, calls the library, and says what went wrong in one line."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import click

import pandq
from pandq.cli.auditing import audit_command
from pandq.cli.comparing import compare_command
from pandq.cli.fitting import fit_command, predict_command
from pandq.cli.tools import (
    demo_command,
    explore_command,
    inspect_command,
    recalibrate_command,
)
from pandq.core.memory import reuse_freed_memory
from pandq.errors import GateError, InputError, PandqError

FINE, GATE_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(pandq.__version__, prog_name="pandq")
def cli() -> None:
    """Mind your P and Q: how far predictions are from the truth, and what can be done about it.

    P is what is true (labels, votes, soft labels, a reference model), Q what a model predicts.

    \b
        H(P, Q)       =   H(P)    +   KL(P || Q)
        cross entropy     floor       what a better Q removes
    """


for command in (
    audit_command,
    compare_command,
    fit_command,
    predict_command,
    recalibrate_command,
    inspect_command,
    explore_command,
    demo_command,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; a mistake of the user's is one line and exit code 2."""
    warnings.showwarning = _warned
    reuse_freed_memory()
    try:
        cli(standalone_mode=False)
        sys.stdout.flush()
    except (InputError, PandqError) as error:
        _stop(str(error), GATE_FAILED if isinstance(error, GateError) else BAD_INPUT)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f" Try `{error.ctx.command_path} --help`."
        _stop(error.format_message().rstrip(".") + "." + hint, BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone: nothing is left to say, and nobody to hear it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FINE)


def _stop(text: str, code: int) -> None:
    click.echo(f"pandq: {' '.join(text.split())}", err=True)
    sys.exit(code)


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(" ".join(str(message).split()), err=True)
