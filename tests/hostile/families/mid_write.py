"""Faults in mid-write: disks that are full, kills, and files that change while they are read."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tests.hostile import stock
from tests.hostile.case import Build, Case, Given, Judge, Outcome, Run
from tests.hostile.judge import judged
from tests.hostile.nursery import command, watched
from tests.hostile.tables import FORMATS, Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAMILY = "faults"
Found = tuple[str, Build, Run, Judge]

# Each output of each command: what is asked for beside the command's own.
WRITES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "an audit's JSON": ("audit", ("--json", "made"), "made"),
    "an audit's page": ("audit", ("--html", "made"), "made"),
    "an audit's items": ("audit", ("--items", "made"), "made"),
    "an audit's map": ("audit", ("--recalibrator", "made"), "made"),
    "an audit's checkpoint": ("audit", ("--checkpoint", "made"), "made"),
    "a comparison's JSON": ("compare", ("--json", "made"), "made"),
    "a comparison's page": ("compare", ("--html", "made"), "made"),
    "a comparison's checkpoint": ("compare", ("--checkpoint", "made"), "made"),
    "a model": ("fit", (), "model"),
    "a model's checkpoint": ("fit", ("--checkpoint", "made"), "made"),
    "predictions": ("predict", (), "preds.parquet"),
    "recalibrated predictions": ("recalibrate", (), "recal.parquet"),
    "an explorer": ("explore", (), "page.html"),
    "a demo": ("demo", (), "demo"),
}
# Bytes after which a file cannot grow: at once, within a header, in the middle of most files.
SIZES = (0, 100, 2000, 12_000)
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}
# Shares of the time that a run takes after its first sign of writing.
DELAYS = (0.0, 0.02)


def _full(name: str, more: tuple[str, ...], made: str, size: int) -> Build:
    """Files that cannot grow beyond a size, as on a disk that is full."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = [*stock.ready(name, here), *more]
        outputs = [made, stock.OUTPUTS.get(name, "made")]
        return Given(arguments, outputs=outputs, limits={"RLIMIT_FSIZE": size}, seconds=60)

    return build


def whole_or_refused(given: Given, outcome: Outcome) -> str:
    """As ever; and a run that says that all is well has written something."""
    empty = [x for x in given.outputs if outcome.code == 0 and x not in outcome.after]
    if "--checkpoint" in given.arguments:
        # what was summed before is kept, and each file of it is whole
        kept = {x: y for x, y in outcome.after.items() if x.split("/")[0] != "made" or _partial(x)}
        outcome = replace(outcome, after=outcome.before | kept)
    return judged(given, outcome) or (f"{empty} was not written" if empty else "")


def _old(name: str, more: tuple[str, ...], made: str) -> Build:
    """With an older output in its place, where one may be: it stays as it was."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = [*stock.ready(name, here), *more]
        place = here / made
        if made in ("model", "demo") or "--checkpoint" in more:
            outputs = [made, stock.OUTPUTS.get(name, made)]
        else:
            place.write_text("older")
            outputs = [made, stock.OUTPUTS.get(name, made)]
        return Given(arguments, outputs=outputs, seconds=60)

    return build


def _killed(sent: signal.Signals, delay: float) -> Run:
    """Send a signal as soon as anything new stands in the folder, or a little after."""

    def run(given: Given, here: Path) -> Outcome:
        there = set(here.iterdir())

        def kill(pid: int) -> None:
            deadline = time.monotonic() + 30
            while set(here.iterdir()) == there and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(delay)
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                return

        return watched(given, here, kill)

    return run


def _ended_whole(sent: signal.Signals) -> Judge:
    """Ended by the signal, or before it: nothing half-written, and older files as they were."""

    def judge(given: Given, outcome: Outcome) -> str:
        if outcome.code == 0:
            return judged(given, outcome)
        if outcome.code not in (-sent, 128 + sent):
            return f"exit code {outcome.code} after {sent.name}: {outcome.err[-300:]!r}"
        kept = [name for name in outcome.changed if "kept" in name or name.startswith("made/")]
        left = [name for name in outcome.changed if _partial(name)]
        old = outcome.before.get("made", ""), outcome.after.get("made", "")
        if sent != signal.SIGKILL and left:
            return f"left behind: {left}"
        if old[0].startswith("1006") and not old[1]:
            return f"the older file is gone: {old} {kept}"
        if "Traceback" in outcome.err:
            return f"a traceback: {outcome.err[-300:]}"
        return ""

    return judge


def _partial(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


# --- files that change while they are read --------------------------------------------------------

CHANGED_ROWS = 30_000
MEANWHILE = 0.1


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(path.read_bytes()[-200:])


def _removed(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    other.replace(path)


def _overwritten(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(size // 2)
        stream.write(bytes(min(4096, size // 4)))


CHANGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "emptied": _emptied,
    "longer": _grown,
    "gone": _removed,
    "another": _replaced,
    "written over": _overwritten,
}


def _large(form: Format) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        q = rng.dirichlet(np.full(3, 2.0), CHANGED_ROWS)
        q = (q * 4096).round() / 4096
        q[:, 2] = 1 - q[:, 0] - q[:, 1]
        y = rng.integers(0, 3, CHANGED_ROWS)
        q[(q <= 0).any(axis=1)] = [0.25, 0.25, 0.5]
        form.write(here, y, q)
        right = form.truth(here)
        arguments = [x for x in form.arguments() if x not in ("--no-decompose")]
        return Given([*arguments, "--progress", "json"], truth=right, seconds=60)

    return build


def _changing(change: Callable[[Path], None], spoilt: str) -> Run:
    def run(given: Given, here: Path) -> Outcome:
        def meanwhile(pid: int) -> None:
            time.sleep(MEANWHILE)
            change(here / spoilt)

        return watched(given, here, meanwhile)

    return run


def _as_it_was(given: Given, outcome: Outcome) -> str:
    """The file is what the case changes: only what else is wrong counts."""
    ours = ("t.", "label.npy", "probs.npy", "other")
    before = {k: v for k, v in outcome.before.items() if not k.startswith(ours)}
    after = {k: v for k, v in outcome.after.items() if not k.startswith(ours)}
    for name, value in (("before", before), ("after", after)):
        object.__setattr__(outcome, name, value)
    return judged(given, outcome)


def cases() -> Iterator[Case]:
    """All of them."""
    for name, build, run, judge in _found():
        yield Case(f"{FAMILY}: {name}", FAMILY, build, run, judge)


def _found() -> Iterator[Found]:
    for called, (name, more, made) in WRITES.items():
        for size in SIZES:
            build = _full(name, more, made, size)
            yield f"{called} beyond {size} bytes", build, command, whole_or_refused
        for number, sent in SIGNALS.items():
            for delay in DELAYS:
                told = f"{called}, {number} after {delay:g} s"
                yield told, _old(name, more, made), _killed(sent, delay), _ended_whole(sent)
    kill = signal.SIGKILL
    for called, (name, more, made) in WRITES.items():
        yield f"{called}, SIGKILL", _old(name, more, made), _killed(kill, 0.0), _ended_whole(kill)
    for called, form in FORMATS.items():
        for how, change in CHANGES.items():
            run = _changing(change, form.spoilt)
            yield f"{called} that is {how} meanwhile", _large(form), run, _as_it_was
