"""Standard output and standard error: they take any text, and no fault of theirs is a traceback."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any, TextIO

import click

from pandq.errors import InputError, PandqWarning
from pandq.plain import visible


class Ended(KeyboardInterrupt):
    """Somebody asked this process to end: what Ctrl-C does, for a signal of another number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def prepare() -> None:
    """Streams that take every character, and silence of all but pandq's own warnings.

    Raises:
        InputError: standard output is closed.
    """
    closed = sys.stdout is None
    sys.stdout, sys.stderr = _open(sys.stdout), _open(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", category=PandqWarning)
    warnings.showwarning = _warned
    logging.getLogger().addHandler(logging.NullHandler())
    for number in filter(None, (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))):
        # one that is ignored was meant to be, as by nohup
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _ended)
    sys.unraisablehook = _unraisable
    if closed:
        raise InputError(what="cannot be written: it is closed", where="standard output")


def _open(stream: TextIO | None) -> TextIO:
    """A stream, or nowhere in its place; no file is ever opened under a stream's number."""
    if stream is not None:
        return stream
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    return os.fdopen(number, "w")


def say(*lines: str) -> None:
    """Lines on standard output."""
    for line in lines:
        click.echo(visible(line))


def tell(*lines: str) -> None:
    """Lines on standard error."""
    for line in lines:
        put(visible(line) + "\n")


def put(text: str) -> None:
    """Text on standard error as it is; where it cannot be heard the work goes on."""
    try:
        click.echo(text, err=True, nl=False)
    except OSError:
        _nowhere(sys.stderr)


def flushed() -> None:
    """Nothing is left to say when the interpreter ends, or it would end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _nowhere(stream)


def _nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(" ".join(str(message).split()))


# Seconds until the end is asked for again.
AGAIN = 0.01


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Ask again to end where a file or a generator that was being given up swallowed the asking."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = getattr(lost.exc_value, "number", signal.SIGINT)
    if number != signal.SIGINT:
        signal.signal(number, _ended)
    # from a thread: what is raised here would be swallowed as well
    again = threading.Timer(AGAIN, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _ended(number: int, _: Any) -> None:
    # whoever asks twice is not to cut short what is being tidied up
    signal.signal(number, signal.SIG_IGN)
    raise Ended(number)
