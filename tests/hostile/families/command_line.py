"""The command line: every option with words it was not made for, names of files, outputs that are
more than files, conditions in SQL, and streams that are closed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import numpy as np

from tests.hostile import stock
from tests.hostile.case import Build, Case, Given, Judge, Outcome
from tests.hostile.families.conditions import conditions
from tests.hostile.families.paths import paths
from tests.hostile.judge import judged
from tests.hostile.nursery import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAMILY = "command line"
Found = tuple[str, Build, Judge]

WORDS = {
    "nothing": "",
    "a blank": " ",
    "a dash": "-",
    "two dashes": "--",
    "zero": "0",
    "minus one": "-1",
    "beyond a float": "1e400",
    "NaN": "nan",
    "infinity": "inf",
    "four hundred digits": "9" * 400,
    "other digits": "\u0663",
    "a steered terminal": "\x1b[2J\x1b[31mred",
    "two lines": "a\nb",
    "a bell": "a\x07b",
    "five thousand letters": "x" * 5000,
    "bytes that are not UTF-8": "\udcff\udcfe",
    "a dot": ".",
    "a star": "*",
    "a bracket": "[",
    "a quote": "';--",
    "a format": "%s{0}{x!r}",
    "a home": "~nobody",
    "markup": "[/red]:cat:",
    "a column": "label",
    "a kind and a column": "probs:probs",
    "a kind and nothing": "probs:",
    "nothing and a column": ":probs",
    "a file that is there": "t.parquet",
    "a file in no folder": "no/such/folder/x.json",
    "right to left": "\u202egnp.x",
    "commas": ",,,",
    "a thousand commas": "a," * 1000,
    "an option": "--help",
}
DRAWN = 3
# Options whose values are files or folders to be made.
MAKES = ("--json", "--html", "--items", "--recalibrator", "--out", "--checkpoint")


def _options() -> Iterator[tuple[str, str]]:
    """Every command with each of its options that takes a value."""
    from pandq.cli.app import cli

    for name, found in sorted(cli.commands.items()):
        for option in found.params:
            if isinstance(option, click.Option) and not option.is_flag and not option.hidden:
                yield name, option.opts[0]


def _word(name: str, option: str, word: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = list(stock.ready(name, here))
        while option in arguments:
            at = arguments.index(option)
            del arguments[at : at + 2]
        arguments += [option, word]
        if name in ("audit", "compare") and option != "--json":
            arguments += ["--json", "out.json"]
        made = [stock.OUTPUTS.get(name, ""), "out.json"]
        if option in MAKES:
            made.append(os.fsencode(word).decode("utf-8", "backslashreplace"))
        return Given(arguments, outputs=[x for x in made if x], gates=True, seconds=60)

    return build


CLASSES = {
    "a billion": "1000000000",
    "2^63": str(2**63),
    "400 digits": "9" * 400,
    "none": "0",
    "one": "1",
    "minus three": "-3",
    "two of three": "a,b",
    "four of three": "a,b,c,d",
    "the same twice": "a,b,b",
    "nameless": "a,,c",
    "blanks": " , , ",
    "in another order": "c,b,a",
    "steering": "\x1b[31ma,b,c",
}


def _classes(text: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.ready("audit", here)
        named = ["audit", "t.parquet", "--p", "labels:name", "--q", "probs:prob_*"]
        return Given([*named, "--classes", text, "--json", "out.json"], answer="never")

    return build


def _stream(name: str, *streams: str, **more: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = [*stock.ready(name, here)]
        made = [stock.OUTPUTS.get(name, "out.json")]
        return Given(
            arguments, outputs=made, streams=streams or ("pipe", "pipe"), seconds=60, **more
        )

    return build


STREAMS = {
    "output closed": ("closed", "pipe"),
    "output full": ("/dev/full", "pipe"),
    "error closed": ("pipe", "closed"),
    "error full": ("pipe", "/dev/full"),
    "both closed": ("closed", "closed"),
    "both full": ("/dev/full", "/dev/full"),
}


def _quiet_or_refused(given: Given, outcome: Outcome) -> str:
    """A reader that has gone is no error: 0, or a shell's 141."""
    wrong = judged(given, outcome)
    return "" if outcome.code in (0, 141, -13) and wrong.startswith("exit code") else wrong


def cases() -> Iterator[Case]:
    """All of them."""
    for name, build, judge in _found():
        yield Case(f"{FAMILY}: {name}", FAMILY, build, command, judge)


def _found() -> Iterator[Found]:
    words = list(WORDS.items())
    for i, (name, option) in enumerate(_options()):
        for j in range(DRAWN):
            called, word = words[(i * DRAWN + j) % len(words)]
            yield f"{name} {option} of {called}", _word(name, option, word), judged
    yield from paths()
    yield from conditions()
    for called, text in CLASSES.items():
        yield f"--classes {called}", _classes(text), judged
    for name in stock.COMMANDS:
        for called, streams in STREAMS.items():
            yield f"{name} with {called}", _stream(name, *streams), judged
        yield f"{name} with a broken pipe", _stream(name, "broken pipe", "pipe"), _quiet_or_refused
        yield f"{name} in ASCII", _stream(name, encoding="ascii"), judged
