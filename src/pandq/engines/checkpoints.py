"""Checkpoints: of each pass, the Summary of the parts that were merged so far, and how many.

As parts are merged in order, that is all a second run needs to go on and end with the same bits.
What is read back is pandq's own dataclasses, NumPy arrays and plain values, and nothing else: a
file that was tampered with cannot run code.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from dataclasses import dataclass, fields, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.store import read_json, whole_file, write_json

if TYPE_CHECKING:
    from pandq.engines.contract import S

SCHEMA = "pandq/checkpoint/1"
ABOUT = "checkpoint.json"
# All that arrays and plain values are rebuilt by.
PLAIN = {
    ("builtins", "complex"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("decimal", "Decimal"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
# What reading a file that is none of ours may raise.
BROKEN = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder of passes. Made by `opened`."""

    folder: Path

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
            _refuse_other(read_json(file), about, str(folder))
        elif any(place.iterdir()):
            what = f"the folder is not empty, and holds no {ABOUT}"
            raise InputError(what, where=str(folder), remedy="Name another folder.")
        else:
            write_json(about, file)
        return cls(place)

    def read(self, number: int, empty: S) -> tuple[S, int]:
        """What pass `number` had summed of how many parts; nothing, of none, when it is new.

        Raises:
            InputError: the file is broken.
        """
        file = self._file(number)
        if not file.exists():
            return empty, 0
        try:
            with file.open("rb") as stream:
                digest, stored = stream.read(32), stream.read()
            if hashlib.sha256(stored).digest() != digest:
                raise pickle.UnpicklingError("its digest is wrong")  # noqa: EM101
            total, done = _Plain.loads(stored)
        except BROKEN as error:
            raise InputError(
                what="is no pass of a checkpoint",
                where=str(file),
                got=str(error),
                remedy="Remove the folder to start anew.",
            ) from None
        return total, done

    def write(self, number: int, total: Any, done: int) -> None:
        """Keep what a pass has summed so far."""
        stored = pickle.dumps((total, done), protocol=5)
        with whole_file(self._file(number)) as part:
            part.write_bytes(hashlib.sha256(stored).digest() + stored)

    def _file(self, number: int) -> Path:
        return self.folder / f"pass-{number:05d}"


class _Plain(pickle.Unpickler):
    """Finds no class but pandq's dataclasses and what arrays are made of."""

    @classmethod
    def loads(cls, stored: bytes) -> Any:
        import io

        return cls(io.BytesIO(stored)).load()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return super().find_class(module, name)
        if module.startswith("pandq.") and "." not in name:
            # whatever a Summary is made of has been imported by whoever made the empty one
            found = getattr(sys.modules.get(module), name, None)
            if isinstance(found, type) and is_dataclass(found):
                return found
        message = f"{module}.{name} has no place in a checkpoint"
        raise pickle.UnpicklingError(message)


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
    for file in files:
        state = file.stat()
        told.update(f"{file.absolute()} {state.st_size} {state.st_mtime_ns}\n".encode())
    given = {
        field.name: getattr(rows, field.name)
        for field in fields(rows)
        if field.name not in ("source", "notes", "width", "unreadable", "scaling")
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
