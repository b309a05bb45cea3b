"""Bytes of every format: cut, flipped, moved, doubled, and passed off as another format.

What is right of a spoilt file is what a second reader finds in the same bytes: a number, or that
there is none to be had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tests.hostile.case import Build, Case, Given
from tests.hostile.judge import judged
from tests.hostile.nursery import apart, command
from tests.hostile.tables import FORMATS, Format, labels_and_probs

if TYPE_CHECKING:
    from pathlib import Path

FAMILY = "bytes"
Spoil = Callable[[bytes, np.random.Generator], bytes]


def _span(stored: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(0, len(stored)))
    return start, min(len(stored), start + int(rng.integers(1, 40)))


def _over(fill: Callable[[int, np.random.Generator], bytes]) -> Spoil:
    """Overwrite a span."""

    def spoil(stored: bytes, rng: np.random.Generator) -> bytes:
        start, stop = _span(stored, rng)
        return stored[:start] + fill(stop - start, rng) + stored[stop:]

    return spoil


def _flip(low: float, high: float, times: int = 1) -> Spoil:
    """Flip bits between two places, as shares of the length."""

    def spoil(stored: bytes, rng: np.random.Generator) -> bytes:
        spoilt = bytearray(stored)
        last = len(stored) - 1
        for at in rng.integers(int(low * last), int(high * last) + 1, times):
            spoilt[at] ^= 1 << int(rng.integers(8))
        return bytes(spoilt)

    return spoil


def _insert(stored: bytes, rng: np.random.Generator) -> bytes:
    start, _ = _span(stored, rng)
    return stored[:start] + rng.bytes(7) + stored[start:]


def _remove(stored: bytes, rng: np.random.Generator) -> bytes:
    start, stop = _span(stored, rng)
    return stored[:start] + stored[stop:]


def _swap(stored: bytes, rng: np.random.Generator) -> bytes:
    half = len(stored) // 2
    return stored[half:] + stored[:half]


SPOILS: dict[str, Spoil] = {
    "nothing": lambda stored, _: stored,
    "empty": lambda stored, _: b"",
    "first byte only": lambda stored, _: stored[:1],
    "first eight only": lambda stored, _: stored[:8],
    "cut in half": lambda stored, _: stored[: len(stored) // 2],
    "cut somewhere": lambda stored, rng: stored[: int(rng.integers(1, len(stored)))],
    "last byte gone": lambda stored, _: stored[:-1],
    "last eight gone": lambda stored, _: stored[:-8],
    "bit in the head": _flip(0.0, 0.06),
    "bit in the first third": _flip(0.0, 0.33),
    "bit in the middle": _flip(0.33, 0.66),
    "bit in the tail": _flip(0.9, 1.0),
    "twenty bits": _flip(0.0, 1.0, 20),
    "span of zeros": _over(lambda n, _: bytes(n)),
    "span of ones": _over(lambda n, _: b"\xff" * n),
    "span of noise": _over(lambda n, rng: rng.bytes(n)),
    "noise put in": _insert,
    "span taken out": _remove,
    "halves swapped": _swap,
    "twice": lambda stored, _: stored * 2,
    "noise before": lambda stored, rng: rng.bytes(16) + stored,
    "noise after": lambda stored, rng: stored + rng.bytes(16),
    "zeros after": lambda stored, _: stored + bytes(64),
    "only zeros": lambda stored, _: bytes(len(stored)),
    "only noise": lambda stored, rng: rng.bytes(len(stored)),
}


def _spoilt(form: Format, spoil: Spoil) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        form.write(here, *labels_and_probs(rng))
        file = here / form.spoilt
        stored = file.read_bytes()
        file.write_bytes(spoil(stored, rng))
        if file.read_bytes() == stored:
            return Given(form.arguments(), truth=form.truth(here), answer="must")
        return _read_twice(form, here)

    return build


def _disguised(form: Format, other: Format) -> Build:
    """The bytes of one format under the name of another."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        label, q = labels_and_probs(rng)
        other.write(here, label, q)
        stored = (here / other.spoilt).read_bytes()
        for file in other.files:
            (here / file).unlink()
        form.write(here, label, q)
        (here / form.spoilt).write_bytes(stored)
        return _read_twice(form, here)

    return build


def _read_twice(form: Format, here: Path) -> Given:
    """With what a second reader finds in the same bytes; if nothing, pandq must agree."""
    right = apart(lambda: form.truth(here))
    if right is None:
        return Given(form.arguments(), answer="never")
    return Given(form.arguments(), truth=right, answer="may")


# Every third format stands in for the others.
DISGUISES = 3


def cases() -> Iterator[Case]:
    """Each format with each spoil, and each under the name of another."""
    for name, form in FORMATS.items():
        for how, spoil in SPOILS.items():
            called = f"{FAMILY}: {name}, {how}"
            yield Case(called, FAMILY, _spoilt(form, spoil), command, judged)
        for other in list(FORMATS.values())[::DISGUISES]:
            if other.spoilt != form.spoilt:
                called = f"{FAMILY}: {name} that is {other.name}"
                yield Case(called, FAMILY, _disguised(form, other), command, judged)
