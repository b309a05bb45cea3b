"""Votes: which classes several people gave each row, and, where it is known, who gave which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from pandq.errors import InputError, RowError
from pandq.views.answers import (
    VIEW,
    aligned,
    among_first,
    by_value,
    check_first,
    coded,
    is_gap,
    listed,
    name_of,
    once_each,
    people,
    ragged_rows,
    told_of_first,
)
from pandq.views.base import places
from pandq.views.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from pandq.views.answers import Duplicates
    from pandq.views.base import Index

VOTES_KIND = "votes"


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Votes:
    """Labels by several people, any number a row, and perhaps who gave which.

    Taken as P wherever Counts are; `annotators` are known here besides. In memory it is flat: row i
    has the answers `codes[offsets[i]:offsets[i + 1]]`, in the order in which they were given.

    Args:
        labels: (n,) sequences of class names or numbers, of any length; None and NaN are gaps, and
            so is None in the place of a row. A matrix of one column an annotator will do.
        annotators: who gave each label: sequences of the same lengths; or, where all rows have the
            same length, one name for each place in a row.
        classes: the class names in the order of Q's columns. Left out, they are the labels that
            occur, sorted; labels that are all numbers are sorted by value.
        duplicates: which answer counts where an annotator answered a row twice, "first" or
            "last"; else that is refused.

    Raises:
        InputError: a label is no class name; annotators do not fit the labels, or are unknown in
            part; or one of them answered a row twice.

    >>> votes = Votes([["cat", "dog", "cat"], ["dog", None, "dog"]], ["ann", "bob", "eve"])
    >>> votes.classes, votes.counts.array.tolist(), votes.annotator_names
    (('cat', 'dog'), [[2, 1], [0, 2]], ('ann', 'bob', 'eve'))
    """

    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]
    annotators: NDArray[np.int32] | None
    classes: tuple[str, ...]
    annotator_names: tuple[str, ...] | None
    items: NDArray[Any] | None
    notes: tuple[str, ...]

    kind: ClassVar[str] = VOTES_KIND

    def __init__(
        self,
        labels: Iterable[object],
        annotators: Iterable[object] | None = None,
        *,
        classes: Sequence[object] | None = None,
        duplicates: Duplicates = "refuse",
    ) -> None:
        rows = ragged_rows("labels", labels)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        flat = [label for row in rows for label in row]
        who = None if annotators is None else aligned(annotators, lengths)
        row_of = np.repeat(np.arange(len(rows)), lengths)
        self._fill(len(rows), row_of, flat, who, classes, duplicates, None)

    @classmethod
    def from_columns(
        cls,
        items: Iterable[Any],
        labels: Iterable[object],
        annotators: Iterable[object] | None = None,
        *,
        classes: Sequence[object] | None = None,
        duplicates: Duplicates = "refuse",
    ) -> Self:
        """Votes from long columns: one entry an answer.

        Args:
            items: (m,) which item was labelled. A row is an item, in the order in which they first
                occur; `items` of the result are their names.
            labels: (m,) class names or numbers; None and NaN are no answer.
            annotators: (m,) who answered.
            classes: as of Votes.
            duplicates: as of Votes.

        Raises:
            InputError: columns differ in length, an item has no name, or as of Votes.

        >>> votes = Votes.from_columns(["b", "a", "b"], [2, 10, 10], ["ann", "ann", "bob"])
        >>> votes.items.tolist(), votes.classes, votes.counts.array.tolist()
        (['b', 'a'], ('2', '10'), [[1, 1], [0, 1]])
        """
        named, flat = listed(items), listed(labels)
        who = None if annotators is None else listed(annotators)
        sizes = [len(named), len(flat), *([] if who is None else [len(who)])]
        if len(set(sizes)) > 1:
            raise InputError(
                what="items, labels and annotators are columns of one length",
                got=" and ".join(map(str, sizes)),
            )
        if None in (called_as := [name_of(x) for x in named]):
            raise RowError(VIEW, called_as.index(None), "has no item")
        order = {name: row for row, name in enumerate(dict.fromkeys(called_as))}
        votes = object.__new__(cls)
        row_of = np.array([order[name] for name in called_as], dtype=np.int64)
        ids = np.array(list(order), dtype=np.str_)
        votes._fill(len(order), row_of, flat, who, classes, duplicates, ids)
        return votes

    def _fill(
        self,
        n: int,
        row_of: NDArray[np.int64],
        labels: list[Any],
        who: list[Any] | None,
        classes: Sequence[object] | None,
        duplicates: Duplicates,
        items: NDArray[Any] | None,
    ) -> None:
        """The flat form of (m,) answers to n rows, the gaps left out."""
        given = np.array([not is_gap(label) for label in labels], dtype=bool)
        kept = [label for label, there in zip(labels, given, strict=True) if there]
        rows = row_of[given]
        names, codes, notes = coded(kept, rows, classes)
        known, by = None, None
        if who is not None:
            chosen = [x for x, there in zip(who, given, strict=True) if there]
            known, by = people(chosen, rows)
        order = np.argsort(rows, kind="stable")
        rows, codes = rows[order], codes[order]
        if by is not None and known is not None:
            by = by[order]
            stays, told = once_each(rows, by, known, duplicates, items)
            rows, codes, by, notes = rows[stays], codes[stays], by[stays], [*notes, *told]
        offsets = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=n), out=offsets[1:])
        self._set(offsets, codes, by, names, known, items, tuple(notes))

    def _set(self, *values: Any) -> None:
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def trusted(
        cls,
        offsets: NDArray[np.int64],
        codes: NDArray[np.int32],
        annotators: NDArray[np.int32] | None,
        *,
        classes: tuple[str, ...],
        annotator_names: tuple[str, ...] | None = None,
        items: NDArray[Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Votes in their flat form, known to be sound: nothing is checked again."""
        votes = object.__new__(cls)
        votes._set(offsets, codes, annotators, classes, annotator_names, items, notes)
        return votes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: Index) -> Self:
        chosen = np.arange(len(self))[places(rows, len(self))]
        sizes = self.votes[chosen].astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], sizes)
        return self.trusted(
            offsets,
            self.codes[at],
            None if self.annotators is None else self.annotators[at],
            classes=self.classes,
            annotator_names=self.annotator_names,
            items=None if self.items is None else self.items[chosen],
            notes=self.notes,
        )

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:  # noqa: FBT001 - NumPy's own
        raise TypeError("Votes are no matrix: x.counts is one, x.codes are the answers")  # noqa: EM101

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(n,) how many votes each row has; it may have none."""
        return np.diff(self.offsets).astype(np.float64)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(m,) the row of each answer."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    @property
    def table(self) -> NDArray[np.int64]:
        """(n, K) how many chose each class, int64; a row without votes is all zero."""
        cells = np.bincount(
            self.rows * self.n_classes + self.codes, minlength=len(self) * self.n_classes
        )
        return cells.reshape(len(self), self.n_classes)

    @property
    def counts(self) -> Counts:
        """How many chose each class, as a view.

        Raises:
            RowError: a row has no votes.
        """
        table = self.table
        Counts.check(table, 0.0)
        return Counts.trusted(table, self.n_classes, self.classes)

    def first(self, k: int) -> Self:
        """The first k votes of each row, in the order in which they were given.

        A fair sample where how many votes a row has depends on what they say (a third opinion only
        where two differ), if every row has k or their absence had another cause.

        Args:
            k: how many, at least 1; a row that has fewer keeps all.

        Raises:
            InputError: k is no such number.

        >>> Votes([["a", "b", "a"], ["a", "a"]]).first(2).counts.array.tolist()
        [[1, 1], [2, 0]]
        """
        check_first(k)
        kept = among_first(self.rows, len(self), k)
        sizes = np.minimum(np.diff(self.offsets), k)
        said = told_of_first(k, int((~kept).sum()), int((sizes < k).sum()))
        return self.trusted(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            self.codes[kept],
            None if self.annotators is None else self.annotators[kept],
            classes=self.classes,
            annotator_names=self.annotator_names,
            items=self.items,
            notes=(*self.notes, said),
        )

    def as_arrays(self) -> Counts:
        """What a function that takes any view gets."""
        return self.counts


def joined(parts: Sequence[Votes], classes: tuple[str, ...], *, notes: tuple[str, ...]) -> Votes:
    """The rows of several Votes of the same classes, one after the other.

    Who gave which is known where all of them say so.

    >>> ann, bob = (Votes([["a"]], [[name]], classes=["a"]) for name in ("x", "y"))
    >>> joined([ann, bob], ("a",), notes=()).annotator_names
    ('x', 'y')
    """
    sizes = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([np.zeros(1, np.int64), *(x.astype(np.int64) for x in sizes)])
    codes = np.concatenate([np.zeros(0, np.int32), *(part.codes for part in parts)])
    # slices of one have the same names, which are gone through but once
    called = {id(part.annotator_names): part.annotator_names or () for part in parts}
    people = tuple(sorted({name for names in called.values() for name in names}, key=by_value))
    place = {name: k for k, name in enumerate(people)}
    places = {
        key: np.array([place[name] for name in names], dtype=np.int32)
        for key, names in called.items()
    }
    by = [
        places[id(part.annotator_names)][part.annotators]
        for part in parts
        if part.annotators is not None and part.annotator_names
    ]
    known = bool(people) and sum(map(len, by)) == len(codes)
    return Votes.trusted(
        np.cumsum(offsets),
        codes,
        np.concatenate(by) if known else None,
        classes=classes,
        annotator_names=people if known else None,
        notes=notes,
    )
