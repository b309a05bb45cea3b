"""Files must not change while they are read: two passes would be over different rows."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from pandq.errors import InputError
from pandq.read.places import state
from pandq.read.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.read.places import Place


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it was when it was opened: its size, the time of its last change, its inode.

    Of a remote file `changed` is its ETag, or else the time that its store tells.
    """

    file: Place
    size: int
    changed: int | str | None
    inode: tuple[object, ...] | None

    @classmethod
    def of(cls, file: Place) -> Self:
        """What a file looks like now; a remote one, as it was when it was found."""
        return cls(file, *state(file))

    def elsewhere(self) -> Self:
        """The same for another machine, where the file may have another inode."""
        return replace(self, file=self.file.absolute(), inode=None)

    def require(self) -> None:
        """Refuse the file if it is no longer as it was.

        Raises:
            InputError: it has changed, or has gone.
        """
        try:
            now = self.of(self.file.now() if isinstance(self.file, Remote) else self.file)
        except OSError as error:
            raise self._changed(got=str(error.strerror).lower()) from None
        if now.size != self.size:
            raise self._changed(got=f"{now.size:,} bytes where there were {self.size:,}")
        if self.inode is not None and now.inode != self.inode:
            raise self._changed(got="another file of this name")
        if now.changed != self.changed:
            raise self._changed(got="bytes that were written since")

    def _changed(self, got: str) -> InputError:
        return InputError(
            what="changed while it was read",
            where=str(self.file),
            got=got,
            remedy="Run the command again once nothing writes to it.",
        )


@contextmanager
def unchanged(versions: Sequence[Version]) -> Iterator[None]:
    """Within it files are read that are as they were, before and after; if not, that is said."""
    for version in versions:
        # asking another machine takes time: whatever has changed there is seen afterwards
        if not isinstance(version.file, Remote):
            version.require()
    try:
        yield
    except Exception:
        # whatever is wrong with a file that has changed, that is why
        for version in versions:
            version.require()
        raise
    for version in versions:
        version.require()
