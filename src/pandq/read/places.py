"""Places: files of this machine and remote ones, which every reader opens alike."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pandq.read.remote import Remote
from pandq.read.stores import shown

if TYPE_CHECKING:
    from collections.abc import Callable

Place = Path | Remote
T = TypeVar("T")


class State(NamedTuple):
    """What a file was like when it was looked at: its size, when it changed, which file it is."""

    size: int
    changed: int | str | None
    identity: tuple[object, ...]


def state(place: Place) -> State:
    """What a file is like: of this machine now, elsewhere as it was found."""
    if isinstance(place, Remote):
        return State(place.size, place.changed, (place.url,))
    about = place.stat()
    return State(about.st_size, about.st_mtime_ns, (about.st_dev, about.st_ino))


def once(make: Callable[..., T], place: Place, **given: Any) -> T:
    """What is made of a file, made once for as long as the file is the same."""
    if isinstance(place, Remote):
        made, key = place.copy().made, (make, *sorted(given.items()))
        if key not in made:
            made[key] = make(place, **given)
        return made[key]  # type: ignore[no-any-return]
    about = state(place)
    return _once(make, place, about.changed, about.size, **given)  # type: ignore[no-any-return]


@lru_cache(maxsize=768)
def _once(make: Any, place: Path, changed: int, size: int, **given: Any) -> Any:
    del changed, size
    return make(place, **given)


def local(place: Place) -> Path:
    """A file of this machine with all bytes of a place: itself, or a copy while it is in use.

    Raises:
        InputError: it cannot be fetched.
    """
    return place.copy().whole() if isinstance(place, Remote) else place


def handle(place: Place) -> Any:
    """What a library that takes paths and streams is given."""
    return place.open(buffering=0) if isinstance(place, Remote) else place


def name_of(path: str | Path) -> str:
    """The last part of what a user gave as a file."""
    return Path(shown(str(path))).name
