"""Checkpoints that were damaged or tampered with: the same result to the last bit, or a refusal.

Whoever can write the folder is not whoever goes on from it: nothing in it may run.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile import stock
from tests.hostile.case import Answer, Build, Case, Given, Outcome
from tests.hostile.families.model_folders import (
    GONE,
    TEXTS,
    VALUES,
    Tamper,
    in_bytes,
    in_json,
    in_text,
    untouched,
)
from tests.hostile.families.spoilt_bytes import SPOILS
from tests.hostile.judge import judged
from tests.hostile.nursery import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAMILY = "checkpoints"
KEPT = "kept"
MORE = {"audit": ("--by", "site", "--cluster", "unit")}


def arguments(name: str, *more: str) -> list[str]:
    """A command on the table where it always is: a checkpoint knows the file that it is of."""
    table = stock.shelved("table", stock.table) / "t.parquet"
    given = [str(table) if x == "t.parquet" else x for x in stock.COMMANDS[name]]
    return [*given, *MORE.get(name, ()), "--checkpoint", KEPT, *more]


class Malice:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch stolen",)


def files_of(here: Path) -> list[Path]:
    """The checkpoint's files, in order."""
    return sorted(path for path in (here / KEPT).rglob("*") if path.is_file())


def one_file(tamper: Callable[[str], Tamper]) -> Tamper:
    """Tamper with one file of the checkpoint, as the case's seed says."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        found = files_of(here)
        file = found[int(rng.integers(len(found)))]
        tamper(str(file.relative_to(here)))(here, rng)

    return spoilt


def _some_json(text: str | None) -> Tamper:
    """A value in a file that is JSON, or in JSON in one that is not."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        readable = [file for file in files_of(here) if file.suffix == ".json"]
        file = readable[int(rng.integers(len(readable)))]
        in_json(str(file.relative_to(here)), text)(here, rng)

    return spoilt


def _swapped(here: Path, rng: np.random.Generator) -> None:
    first, *_, last = files_of(here)
    one, other = first.read_bytes(), last.read_bytes()
    first.write_bytes(other)
    last.write_bytes(one)


def _everywhere(stored: bytes) -> Tamper:
    def spoilt(here: Path, rng: np.random.Generator) -> None:
        for file in files_of(here):
            if not file.name.endswith(".json"):
                file.write_bytes(stored)

    return spoilt


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _gone(here: Path, rng: np.random.Generator) -> None:
    found = files_of(here)
    found[int(rng.integers(len(found)))].unlink()


def _folder(here: Path, rng: np.random.Generator) -> None:
    found = files_of(here)
    file = found[int(rng.integers(len(found)))]
    file.unlink()
    file.mkdir()


def _link(here: Path, rng: np.random.Generator) -> None:
    found = files_of(here)
    file = found[int(rng.integers(len(found)))]
    file.unlink()
    file.symlink_to("/dev/zero")


def _other_run(here: Path, rng: np.random.Generator) -> None:
    """Passes of a run with another seed under this one's description."""
    other = here / "other"
    other.mkdir()
    stock.run(other, *arguments("audit", "--seed", "1"))
    for file in (other / KEPT).iterdir():
        if file.suffix != ".json" and file.is_file():
            shutil.copy(file, here / KEPT / file.name)
    shutil.rmtree(other)


def _array_values(change: Callable[[np.ndarray], np.ndarray]) -> Tamper:
    """Bytes in the middle of numbers: eight of a pass, as a float."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        large = max(files_of(here), key=lambda file: file.stat().st_size)
        stored = bytearray(large.read_bytes())
        at = 8 * int(rng.integers(len(stored) // 16, len(stored) // 8 - 1))
        number = np.frombuffer(bytes(stored[at : at + 8]), "<f8")
        stored[at : at + 8] = change(number).tobytes()
        large.write_bytes(bytes(stored))

    return spoilt


OTHERS: dict[str, Tamper] = {
    "two files in each other's place": _swapped,
    "a file gone": _gone,
    "a folder for a file": _folder,
    "an endless file": _link,
    "passes of another seed": _other_run,
    "a pickle that runs a command": _everywhere(pickle.dumps((Malice(), 1))),
    "an old pickle that runs a command": _everywhere(pickle.dumps((Malice(), 1), protocol=0)),
    "an array of objects": _everywhere(_npy(np.array([Malice()], dtype=object))),
    "an array of something else": _everywhere(_npy(np.arange(3.0))),
    "a number that is NaN": _array_values(lambda x: x * np.nan),
    "a number that is larger": _array_values(lambda x: x * 1e6 + 1),
    "a number that is negative": _array_values(lambda x: -x - 1),
}
TIMES = {"audit": 2, "compare": 1, "fit": 1}


def resumed(given: Given, here: Path) -> Outcome:
    """The command, and whether its result is the one that it has from scratch."""
    outcome = command(given, here)
    if outcome.code:
        return outcome
    same = _result(here) == json.loads((here / "right.json").read_text("utf-8"))
    return replace(outcome, document={"the same": same})


def _result(here: Path) -> Any:
    """What a run found, less where it stands."""
    file = here / "out.json"
    if file.is_file():
        return json.loads(file.read_text("utf-8"))
    return (here / "model" / "weights.safetensors").read_bytes().hex()


def _right(name: str) -> Callable[[Path], None]:
    """A checkpoint of a run that has ended, and its result as right.json."""

    def make(here: Path) -> None:
        more = () if name == "fit" else ("--json", "out.json")
        stock.run(here, *arguments(name, *more))
        (here / "right.json").write_text(json.dumps(_result(here)))
        (here / "out.json").unlink(missing_ok=True)
        shutil.rmtree(here / "model", ignore_errors=True)

    return make


def _resume(name: str, tamper: Tamper) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.stocked(f"kept-{name}", _right(name), here)
        tamper(here, rng)
        more = () if name == "fit" else ("--json", "out.json")
        outputs = ["out.json", "model", KEPT]
        answer: Answer = "must" if tamper is untouched else "may"
        return Given(
            arguments(name, *more), truth={"the same": True}, answer=answer, outputs=outputs
        )

    return build


def cases() -> Iterator[Case]:
    """Each run with each way to spoil what it kept."""
    for run, times in TIMES.items():
        for called, tamper in _tampers(times):
            name = f"{FAMILY}: {run} with {called}"
            yield Case(name, FAMILY, _resume(run, tamper), resumed, judged)


def _tampers(times: int) -> Iterator[tuple[str, Tamper]]:
    yield "nothing changed", untouched
    for called, spoil in SPOILS.items():
        if called != "nothing":
            for i in range(times):
                yield f"{called} {i + 1}", one_file(lambda file, s=spoil: in_bytes(file, s))
    for called, text in {**VALUES, GONE: None}.items():
        for i in range(times):
            yield f"JSON with {called} {i + 1}", _some_json(text)
    for called, change in TEXTS.items():
        yield f"JSON {called}", in_text(f"{KEPT}/checkpoint.json", change)
    yield from OTHERS.items()
