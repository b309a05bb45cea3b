"""Checkpoints: of each pass, the Summary of the parts that were merged so far, and how many.

As parts are merged in order, that is all a second run needs to go on and end with the same bits.
What is read back is JSON and arrays, from which known dataclasses are made: a file that was
tampered with cannot run code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from pandq.documents import read_document
from pandq.engines.packing import packed, rebuilt
from pandq.errors import InputError, PandqError
from pandq.read.places import state
from pandq.sealed import read_sealed, write_sealed
from pandq.store import json_text, whole_file, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandq.engines.contract import S

P = ParamSpec("P")
T = TypeVar("T")

SCHEMA, PASS = "pandq/checkpoint/2", "pandq/pass/1"
ABOUT, PASSES = "checkpoint.json", "pass-"
REMEDY = "Remove the folder to start anew."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder of passes. Made by `opened`; `of` says what run they are of."""

    folder: Path
    of: str

    @classmethod
    def opened(cls, folder: str | Path, about: dict[str, Any]) -> Checkpoint:
        """The folder's checkpoint, or a new one.

        Args:
            folder: made if it is not there.
            about: what the result depends on: input and options, as JSON values.

        Raises:
            InputError: the folder holds something else, or the checkpoint of another input, of
                other options or of another version.
        """
        place = Path(folder)
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            why = str(error.strerror)
            raise InputError(what="cannot be made", where=str(folder), got=why) from None
        about = {"schema": SCHEMA, **about}
        file = place / ABOUT
        if file.exists():
            _refuse_other(read_document(file, "checkpoint", REMEDY).it, about, str(folder))
        elif any(place.iterdir()):
            what = f"the folder is not empty, and holds no {ABOUT}"
            raise InputError(what, where=str(folder), remedy="Name another folder.")
        else:
            write_json(about, file)
        return cls(place, hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest())

    def read(self, number: int, empty: S) -> tuple[S, int]:
        """What pass `number` had summed of how many parts; nothing, of none, when it is new.

        Raises:
            InputError: the file is broken, of another run, or of something else.
        """
        file = self._file(number)
        if not file.exists():
            return empty, 0
        arrays, told = read_sealed(file, "pass of a checkpoint", remedy=REMEDY)
        told.schema(PASS)
        told["run"].one_of(self.of)
        told["pass"].whole(number, number)
        total, done = rebuilt(told["total"], arrays, empty), told["done"].whole()
        try:
            with np.errstate(all="ignore"):
                empty.merge(total), total.merge(total)
        except Exception as error:  # noqa: BLE001
            told["total"].refuse("does not fit together", got=str(error))
        return total, done

    def write(self, number: int, total: Any, done: int) -> None:
        """Keep what a pass has summed so far."""
        arrays: dict[str, Any] = {}
        of: dict[str, Any] = {"schema": PASS, "run": self.of, "pass": number, "done": done}
        document = {**of, "total": packed(total, arrays)}
        with whole_file(self._file(number)) as part:
            write_sealed(part, arrays, document)

    def _file(self, number: int) -> Path:
        return self.folder / f"{PASSES}{number:05d}"


def resumable(make: Callable[P, T]) -> Callable[P, T]:
    """A function that may go on from a `checkpoint`, whose sums are blamed if they lead nowhere.

    What lies in a folder may be whole, of the right types, and nonsense all the same.
    """

    @wraps(make)
    def made(*args: P.args, **options: P.kwargs) -> T:
        kept = options.get("checkpoint")
        going_on = kept is not None and any(Path(str(kept)).glob(f"{PASSES}*"))
        try:
            found = make(*args, **options)
            if going_on and hasattr(found, "to_dict"):
                json_text(found.to_dict())
            return found  # noqa: TRY300
        except PandqError:
            raise
        except Exception as error:
            if not going_on:
                raise
            what, got = "this checkpoint leads nowhere", f"{type(error).__name__}: {error}"
            raise InputError(what, where=str(kept), got=got, remedy=REMEDY) from error

    return made


def _refuse_other(stored: dict[str, Any], about: dict[str, Any], folder: str) -> None:
    """Refuse a checkpoint that was made from something else, and say what differs."""
    for name in dict.fromkeys([*about, *stored]):
        was, now = stored.get(name), about.get(name)
        if was != now:
            raise InputError(
                what=f"the checkpoint was made with another {name.replace('_', ' ')}",
                where=folder,
                got=f"{_short(now)}; it has {_short(was)}",
                remedy="Name another folder, or remove this one to start anew.",
            )


# What of a Scan says nothing of what is summed.
NO_INPUT = ("source", "notes", "width", "unreadable", "scaling", "unlabelled", "tokens")


def identity(rows: Any) -> dict[str, Any]:
    """What rows are, as JSON values: files with their sizes and times, and what is read of them.

    Raises:
        InputError: they are in memory, or joined, and cannot be told from others.
    """
    source = getattr(rows, "source", None)
    files = getattr(source, "files", None)
    if source is None or not files or getattr(source, "passing", False):
        raise InputError(
            what="a checkpoint needs rows that are in files of their own",
            remedy="Rows in memory, and files that --id joins, are to be written to one first.",
        )
    told = hashlib.sha256()
    for file in (*files, *(head.file for head in getattr(rows, "heads", ()))):
        about = state(file)
        told.update(f"{file.absolute()} {about.size} {about.changed}\n".encode())
    given = {
        field.name: getattr(rows, field.name)
        for field in fields(rows)
        if field.name not in NO_INPUT
    }
    read = {name: None if value is None else str(value) for name, value in given.items()}
    condition = getattr(source, "where", None)
    return {
        "input": f"{len(files)} files {told.hexdigest()[:16]}",
        "versions": f"pandq {metadata.version('pandq')}, numpy {metadata.version('numpy')}",
        **read,
        "where": condition,
    }


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
