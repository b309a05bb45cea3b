"""Outputs that are refused before any work is done, and what a path leads to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pandq.errors import InputError
from pandq.read.paths import matches, require_text
from pandq.read.remote import Remote, require_writable
from pandq.read.stores import is_remote, shown

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written before any work is done.

    Raises:
        InputError: no such folder, a folder itself, or no permission.
    """
    if is_remote(path):
        require_writable(str(path))
        return
    target = followed(path)
    if target.is_dir():
        raise InputError(what="cannot be written: it is a folder", where=str(path))
    there = target.exists()
    if not there and not target.parent.is_dir():
        what = f"cannot be written: there is no folder {target.parent}"
        raise InputError(what, where=str(path))
    needed = [target] if there else []
    if not there or target.is_file():
        needed.append(target.parent)
    if not all(os.access(place, os.W_OK) for place in needed):
        raise InputError(what="cannot be written: permission denied", where=str(path))


def check_outputs(
    inputs: Sequence[str | Path],
    *outputs: str | None,
    appended: str | None = None,
    folders: Sequence[str | None] = (),
) -> None:
    """Refuse outputs that cannot be written, that are an input, or that are each other.

    Args:
        inputs: what a command reads, as the user named it: files, globs and folders.
        outputs: the files that it is to write; None and "-" are none.
        appended: a file that it is to add to, if it can.
        folders: those that it is to make or to keep a state in; None is none.

    Raises:
        InputError: there is such an output.
    """
    named = [path for path in outputs if path is not None and path != "-"]
    for path in named:
        check_writable(path)
    kept = [str(followed(folder)) for folder in folders if folder is not None]
    named += [appended] if appended else []
    found = [file for given in inputs for file in matches(str(given))]
    read = [file.url if isinstance(file, Remote) else file for file in found]
    for path in named:
        if any(_same(path, given) for given in read):
            raise InputError(what="the output is an input", where=path)
    files: list[str | Path] = [*named, *read]
    here = [file for file in files if not is_remote(file)]
    for file in here:
        if _is_stream(file):
            what = "standard output or standard error goes to this file"
            raise InputError(what, where=str(file), remedy="JSON alone goes there with --json -.")
    for i, path in enumerate(named):
        if any(_same(path, other) for other in named[:i]) and not is_special(Path(path)):
            raise InputError(what="two outputs have one name", where=path)
    _refuse_within(kept, here)


def _refuse_within(folders: Sequence[str], files: Sequence[str | Path]) -> None:
    """Refuse folders of this command's own that hold one of its files, or each other."""
    for i, folder in enumerate(folders):
        for other in (*files, *folders[:i], *folders[i + 1 :]):
            if _real(other).is_relative_to(_real(folder)):
                what = "the folder is not this command's alone"
                remedy = "Name another folder."
                raise InputError(what, where=folder, got=f"{other} in it", remedy=remedy)


def _same(one: str | Path, other: str | Path) -> bool:
    """Is it one file, by whatever names?"""
    if is_remote(one) or is_remote(other):
        return one == other
    a, b = Path(one), Path(other)
    return _real(a) == _real(b) or (a.exists() and b.exists() and a.samefile(b))


def _real(path: str | Path) -> Path:
    """Where a path leads, over all links; those that go in circles lead nowhere else."""
    return Path(os.path.realpath(path))


def is_special(path: Path) -> bool:
    """Is it a device, a pipe or a socket, which is written to and never replaced?"""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_stream(path: str | Path) -> bool:
    """Is it the file that standard output or standard error goes to?"""
    place = Path(path)
    if not place.is_file():
        return False
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), place.stat()):
                return True
    return False


def followed(path: str | Path) -> Path:
    """The file that a path leads to, over all links; a device or a pipe has no better name."""
    if is_remote(path):
        what, remedy = "is not on this machine", "Name a folder of this machine."
        raise InputError(what, where=shown(str(path)), remedy=remedy)
    place = Path(path)
    require_text(place.absolute(), "Name another.")
    if is_special(place):
        return place
    try:
        return place.resolve()
    except (OSError, RuntimeError):
        raise InputError(
            what="cannot be written: its links go in circles", where=str(path)
        ) from None
