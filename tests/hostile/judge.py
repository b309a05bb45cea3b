"""The judge: what is wrong with how a run ended, in a sentence, or nothing."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from tests.hostile.case import FINE, GATE, REFUSED, Given, Judge, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE = 1500
# What a user must not see: Python's own words, and what a terminal would obey.
PYTHON = re.compile(
    r"Traceback|\w+Warning\b|site-packages|\.py\b[:\"]| at 0x[0-9a-f]{6,}|Fatal Python"
)
PROGRESS = re.compile(r"^(\{.*\}|(step|epoch|start|iteration)\b.*|.*\bgap\b.*)$")


def judged(given: Given, outcome: Outcome) -> str:
    """The first thing that is wrong with an outcome; empty where nothing is."""
    checks = (_ending, _resources, _words, _files, _answer)
    return next((wrong for check in checks for wrong in check(given, outcome)), "")


def also(judge: Judge) -> Judge:
    """All that is asked of every case, and something of this one."""
    return lambda given, outcome: judged(given, outcome) or judge(given, outcome)


def _ending(given: Given, outcome: Outcome) -> Iterator[str]:
    if outcome.code < 0:
        yield f"was killed by signal {-outcome.code}: {outcome.err[-200:]}"
    allowed = {FINE, REFUSED} | ({GATE} if given.gates else set())
    if outcome.code not in allowed:
        yield f"exit code {outcome.code}: {outcome.err[-300:]}"


def _resources(given: Given, outcome: Outcome) -> Iterator[str]:
    if outcome.seconds > given.seconds:
        yield f"took {outcome.seconds:.0f} s"
    if outcome.megabytes > given.megabytes:
        yield f"took {outcome.megabytes} MB"


def _words(given: Given, outcome: Outcome) -> Iterator[str]:
    said = outcome.out + outcome.err
    if found := PYTHON.search(said):
        yield f"Python's own words: {said[max(0, found.start() - 80) : found.end() + 120]!r}"
    if controls := sorted({repr(c) for c in said if unsafe(c)}):
        yield f"control characters reach the terminal: {', '.join(controls)}"
    if outcome.code == REFUSED and given.streams[1] == "pipe":
        lines = [line for line in outcome.err.splitlines() if not PROGRESS.match(line)]
        if len(lines) != 1 or not lines[0].startswith("pandq: "):
            yield f"{len(lines)} lines of error instead of one: {outcome.err[-400:]!r}"
        elif len(lines[0]) > LONGEST_LINE:
            yield f"a line of {len(lines[0])} characters: {lines[0][:200]!r}"


def unsafe(character: str) -> bool:
    """Whether a terminal, or the order of what is read, would obey this character."""
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in BIDI


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _files(given: Given, outcome: Outcome) -> Iterator[str]:
    # whoever cannot be told that all is well has all the same what was written before
    unheard = given.streams[0] != "pipe"
    allowed = set(given.outputs) if outcome.code != REFUSED or unheard else set()
    if surprising := {name for name in outcome.changed if not _within(name, allowed)}:
        yield f"files were made, changed or removed: {sorted(surprising)}"


def _within(name: str, allowed: set[str]) -> bool:
    return any(name == path or name.startswith(f"{path}/") for path in allowed)


def _answer(given: Given, outcome: Outcome) -> Iterator[str]:
    if outcome.code == REFUSED:
        if given.answer == "must":
            yield f"a right input was refused: {outcome.err[:300]!r}"
        return
    if given.answer == "never":
        yield f"an input of no meaning was answered: {outcome.out[:200]!r}"
    for place, right in given.truth.items():
        found = _at(outcome.document, place)
        if not _close(found, right, given.tolerance):
            yield f"{place} is {found}, and {right} is right"


def _at(document: Any, place: str) -> Any:
    for name in place.split("."):
        if document is None:
            return None
        document = document[int(name)] if isinstance(document, list) else document.get(name)
    return document


def _close(found: Any, right: Any, tolerance: float) -> bool:
    if isinstance(right, float) and math.isinf(right):
        right = None
    if isinstance(found, int | float) and isinstance(right, int | float):
        return math.isclose(found, right, rel_tol=tolerance, abs_tol=tolerance)
    return bool(found == right)
