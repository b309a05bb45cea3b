"""Folders that are written whole or not at all, and replaced only where pandq made them."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pandq.documents import read_document
from pandq.errors import InputError
from pandq.store.files import NO_ROOM, beside, refused, to_disk, umask
from pandq.store.refusals import followed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Own(NamedTuple):
    """A folder that pandq makes: the document that says so, and all files that may be in it."""

    document: str
    schema: str
    files: Sequence[str]

    def made(self, folder: Path) -> bool:
        """Does a folder say that pandq made it?"""
        try:
            said = read_document(folder / self.document, "document").get("schema")
        except InputError:
            return False
        return said is not None and str(said.it).startswith(self.schema)


@contextmanager
def whole_folder(path: str | Path, own: Own, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside `path` that takes its place at the end, and vanishes after an error.

    Args:
        path: the folder to be.
        own: what pandq writes into such a folder.
        replace: whether one that is there already may be replaced.

    Raises:
        InputError: it is there already, or cannot be made.
    """
    check_new_folder(path, own, replace=replace)
    target = followed(path)
    part = beside(target, target.parent)
    aside = part.with_name(f"{part.name}.old")
    try:
        with refused(path):
            part.mkdir(0o700)
        with refused(path, only=NO_ROOM):
            yield part
        with refused(path):
            _modes_kept(part, target)
            if target.exists():
                # aside first: what is there is gone only once the new one stands in its place
                target.rename(aside)
            part.replace(target)
    finally:
        if aside.exists() and not target.exists():
            aside.rename(target)
        for gone in (part, aside):
            shutil.rmtree(gone, ignore_errors=True)


def _modes_kept(part: Path, target: Path) -> None:
    """A new folder and its files are as open as those that they replace, or as others are."""
    for new, usual in [(part, 0o777), *((file, 0o666) for file in part.iterdir())]:
        old = target / new.relative_to(part)
        if new.is_file():
            to_disk(new)
        new.chmod(stat.S_IMODE(old.stat().st_mode) if old.exists() else usual & ~umask())


def check_new_folder(path: str | Path, own: Own, *, replace: bool) -> None:
    """Refuse a folder that cannot be made, or that is there already.

    Args:
        path: the folder to be.
        own: what pandq writes into such a folder.
        replace: whether one that is there may be replaced: one of ours that holds nothing else.

    Raises:
        InputError: there is no parent folder, no permission, or something to lose.
    """
    target = followed(path)
    if target.is_dir() and any(target.iterdir()):
        if not own.made(target):
            what = f"the folder is not empty, and holds no {own.document} of pandq's"
            raise InputError(what, where=str(path), remedy="Name another folder.")
        if not replace:
            raise InputError(
                what="the folder is there already", where=str(path), remedy="--force replaces it."
            )
        others = sorted(x.name for x in target.iterdir() if x.name not in own.files or x.is_dir())
        if others:
            what = "the folder holds what pandq did not write"
            remedy = "Move it elsewhere, or name another folder."
            raise InputError(what, where=str(path), got=", ".join(others[:5]), remedy=remedy)
    elif target.exists() and not target.is_dir():
        raise InputError(what="is a file, not a folder", where=str(path))
    parent = target.parent
    if not parent.is_dir():
        raise InputError(what=f"cannot be made: there is no folder {parent}", where=str(path))
    if not os.access(parent, os.W_OK):
        raise InputError(what="cannot be made: permission denied", where=str(path))
