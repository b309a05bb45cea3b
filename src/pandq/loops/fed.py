"""Fed: what an Auditor and a Comparer are alike in, whatever they sum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from pandq.core.classes import distinct
from pandq.errors import InputError
from pandq.estimate.sampling import sample_of
from pandq.loops.batches import Like
from pandq.loops.distinct import Distinct
from pandq.loops.kept import KeptRows, rows_kept
from pandq.loops.state import State
from pandq.loops.stored import like_of, read_bytes, state_bytes, state_of
from pandq.read.texts import texts
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.loops.kept import Held
    from pandq.read.chunks import Chunk, MemoryScan

S = TypeVar("S", bound=Summary)
R = TypeVar("R")


class Fed(ABC, Generic[S, R]):
    """Sums over rows that come batch by batch, and the report that is made of them."""

    KIND: ClassVar[str]
    SCHEMA: ClassVar[str]

    def __init__(self, by: Sequence[str], classes: Sequence[str] | None, *, unique: bool) -> None:
        self._by = texts("by", by)
        self._classes = None if classes is None else distinct(classes).names
        if not isinstance(unique, bool):
            raise InputError(what="unique is true or false", got=repr(unique))
        self._unique = unique
        self.reset()

    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """What was asked for, as JSON values; `from_bytes` makes another with them."""

    @abstractmethod
    def _blank(self, like: Like | None) -> S:
        """The sums of no rows, of those that batches are like."""

    @abstractmethod
    def _wanted(self, like: Like) -> int:
        """How many rows a report would train on."""

    @abstractmethod
    def _of(self, blank: S, chunk: Chunk) -> S:
        """The sums of one chunk, asked of sums of its kind."""

    @abstractmethod
    def _found(self, state: State[S], rows: Held) -> R:
        """The report, from the sums and the rows that were kept."""

    @property
    def n(self) -> int:
        """How many rows have come; those that came again not counted."""
        return self._state.n

    def result(self) -> R:
        """What all rows say that have come so far; more may come after it.

        Raises:
            InputError: none has come, or two have one id.
        """
        state = self._state.summed(self._of)
        if state.like is None or not state.n:
            what = "no rows have come, or none that counts"
            raise InputError(what, remedy="Call update(p, q) with rows first.")
        kept = state.all_kept
        rows = kept.scan(state.like, classes=self._names(state.like), notes=self._notes(state))
        return self._found(state, rows)

    def merge(self, other: Self) -> Self:
        """A new one of both, as if the other's rows had come after this one's; neither changes.

        Args:
            other: with the same options.

        Raises:
            InputError: it was asked for something else, or its rows are not like these.
        """
        if type(other) is not type(self):
            raise InputError(what=f"this is no {type(self).__name__}", got=type(other).__name__)
        mine, theirs = self._options(), other._options()
        for name, value in mine.items():
            if theirs[name] != value:
                got = f"{theirs[name]!r}, not {value!r}"
                raise InputError(what=f"the other was made with another {name}", got=got)
        return self._with(self._state.merged(other._state, self._of))

    def reset(self) -> None:
        """Forget all rows, as at the beginning."""
        ids = Distinct() if self._unique else None
        self._state: State[S] = State(self._blank(None), (KeptRows.empty(0),), ids=ids)

    def to_bytes(self) -> bytes:
        """All that has come, to go on with elsewhere: numbers and names, and nobody's code."""
        return state_bytes(self._state, self.SCHEMA, self._options())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """The one that made these bytes, with its options.

        Raises:
            InputError: they are damaged, of something else, or of another version of pandq.
        """
        arrays, told = read_bytes(stored, cls.KIND, cls.SCHEMA)
        options = told["options"]
        options.only(*signature(cls).parameters)
        try:
            made = cls(**options.it)
        except TypeError as error:
            options.refuse("are not what one is made with", got=str(error))
        like = like_of(told, arrays)
        return made._with(state_of(told, arrays, like, made._blank(like), unique=made._unique))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_bytes, (self.to_bytes(),)

    def __copy__(self) -> Self:
        return self._with(self._state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        del memo
        return self._with(self._state)

    def __repr__(self) -> str:
        return f"<pandq.{type(self).__name__} of {self.n:,} rows>"

    def _take(self, rows: MemoryScan) -> None:
        """One more batch; where it cannot be used all stays as it was.

        Raises:
            InputError: it is not like those before, or not what was asked for.
        """
        if set(rows.by) != set(self._by):
            got = f"{_listed(rows.by)}, not {_listed(self._by)}"
            raise InputError(what="this batch has other columns of groups", got=got)
        if self._unique and rows.ids is None:
            what = "unique=True knows rows by their ids, and this batch has none"
            raise InputError(what=what, remedy="update(p, q, ids=ids)")
        like, state = Like.of(rows), self._state
        if like.classes is not None and len(like.classes) != like.n_classes:
            got = f"{len(like.classes)} names, {like.n_classes} classes"
            raise InputError(what="the class names do not fit Q", got=got)
        chunk = rows.whole(state.n)
        if state.like is None:
            kept = KeptRows.empty(0 if like.partly else rows_kept(self._wanted(like), chunk))
            state = replace(state, sums=self._blank(like), kept=(kept,))
        self._state = state.fed(chunk, like, self._of)

    def _names(self, like: Like) -> tuple[str, ...] | None:
        return like.classes if self._classes is None else self._classes

    def _notes(self, state: State[S]) -> tuple[str, ...]:
        """What to know of the rows before anything else."""
        kept = state.all_kept
        if state.like is not None and state.like.ids and not self._unique:
            _refuse_duplicates(kept)
        notes = []
        if state.again:
            notes.append(f"{state.again:,} rows came again, by their ids, and were counted once")
        if 0 < len(kept) < state.n:
            notes.append(
                f"what recalibration does, and what is made of it, is of {len(kept):,} of"
                f" {state.n:,} rows, chosen by the hash of their ids"
            )
        return tuple(notes)

    def _with(self, state: State[S]) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._state = state
        return made


def sampled(rows: Held, size: int) -> Sample:
    """The rows that were kept as a sample to train on.

    Args:
        rows: all of them.
        size: how many there may be.
    """
    of = partial(sample_of, size, of_rows=rows.n_rows)
    found = Sample.empty(size)
    for chunk in rows.chunks():
        found = found.merge(of(chunk))
    return found


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _refuse_duplicates(kept: KeptRows) -> None:
    """Refuse rows of which two have one id: such a row was counted twice.

    Raises:
        InputError: there are some among those that were kept.
    """
    extra = len(kept) - len(np.unique(kept.rows.keys))
    if extra:
        raise InputError(
            what=f"{extra:,} rows have an id that came before",
            remedy="unique=True counts each id once; what several rows have in common is cluster.",
        )
