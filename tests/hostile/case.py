"""What a case is: files from a seed, what is run on them, and what would be right."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

SEED = 15
# What may come of an input: a right one must be answered, one of no meaning must be refused, and
# of one that can be read in more than one way both will do, but an answer must be right.
Answer = Literal["must", "may", "never"]
# How a run may end: 1 is a gate that was breached, and allowed only where there is one.
FINE, GATE, REFUSED = 0, 1, 2


@dataclass(frozen=True)
class Given:
    """What a case was built to: what to run, and what is right.

    Args:
        arguments: of the command line; for a call the name of what is called.
        truth: numbers by their place in the JSON, such as "kl.value"; None is an infinite one.
        answer: whether there is a right answer at all.
        outputs: names in the folder that the run may make or change.
        call: instead of the command line, what is called in a process of its own.
        environment: variables of the run.
        gates: whether exit code 1 is right as well.
        limits: of resources, by their names in `resource`, for the run alone.
        seconds, megabytes: what the run may take, of the processor and of memory.
        streams: what standard output and error are: "pipe", "broken pipe", "closed" or a file.
        encoding: of the streams.
    """

    arguments: Sequence[str] = ()
    truth: Mapping[str, float | None] = field(default_factory=dict)
    answer: Answer = "may"
    outputs: Sequence[str] = ("out.json",)
    call: Callable[[], Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    gates: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    seconds: int = 15
    megabytes: int = 900
    tolerance: float = 1e-6
    streams: tuple[str, str] = ("pipe", "pipe")
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: int
    before: Mapping[str, str]
    after: Mapping[str, str]
    document: Any = None

    @property
    def changed(self) -> set[str]:
        """Names in the folder that are new, gone, or other than before."""
        names = self.before.keys() | self.after.keys()
        return {name for name in names if self.before.get(name) != self.after.get(name)}


Build = Callable[[Path, np.random.Generator], Given]
Run = Callable[[Given, Path], Outcome]
Judge = Callable[[Given, Outcome], str]


@dataclass(frozen=True)
class Case:
    """One hostile input. `judge` says what was wrong, or nothing."""

    name: str
    family: str
    build: Build
    run: Run
    judge: Judge

    @property
    def rng(self) -> np.random.Generator:
        """Its own: a case is the same whatever others there are."""
        return np.random.default_rng([SEED, zlib.crc32(self.name.encode())])
