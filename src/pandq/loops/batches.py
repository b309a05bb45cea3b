"""Batches: chunks that came one after the other as one, as columns of arrays, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.numerics import BFLOAT16
from pandq.errors import InputError
from pandq.read.chunks import Chunk, MemoryScan
from pandq.views import VIEWS, Ensemble, Linear
from pandq.views.taken import BOUNDED_KINDS
from pandq.views.votes import Votes
from pandq.views.votes import joined as joined_votes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.views import View

GROUP = "by "
# What was said of each row, and who said it: as many columns as a row has votes, or more.
SAID, WHO = "said", "who"
# Views that belong to the rows besides P and the models.
BESIDE = ("best_q", "control")
KINDS: dict[str, Any] = {**VIEWS, Ensemble.kind: Ensemble}
# What all batches bring, or none.
FLAGS = ("ids", "clusters", "weights", "labels", "best_q", "n_bytes", "control", "annotators")


@dataclass(frozen=True, slots=True)
class Like:
    """What all batches have in common: of another one nothing can be averaged.

    `kinds` are those of the views by their columns' names, p, q, `rival_column`s and BESIDE.
    """

    n_classes: int
    kinds: tuple[tuple[str, str], ...]
    classes: tuple[str, ...] | None
    ids: bool
    clusters: bool
    weights: bool
    labels: bool
    best_q: bool
    n_bytes: bool
    control: bool
    annotators: bool

    @classmethod
    def of(cls, rows: MemoryScan) -> Like:
        """What rows are like."""
        views = {"p": rows.p, "q": rows.q}
        views |= {rival_column(place): view for place, view in enumerate(rows.rivals)}
        beside = ((name, getattr(rows, name)) for name in BESIDE)
        views |= {name: view for name, view in beside if view is not None}
        return cls(
            rows.q.n_classes or 1,
            tuple((name, kind_of(view)) for name, view in views.items()),
            rows.classes,
            rows.ids is not None,
            rows.cluster is not None,
            rows.weights is not None,
            rows.labels is not None,
            rows.best_q is not None,
            rows.n_bytes is not None,
            rows.control is not None,
            rows.votes is not None,
        )

    def refuse_other(self, other: Like, what: str) -> None:
        """Refuse what is not like this.

        Args:
            other: of what came.
            what: what came, for errors: "this batch".

        Raises:
            InputError: something differs; it is named.
        """
        if self.n_classes != other.n_classes:
            raise InputError(
                what=f"{what} has another number of classes",
                got=f"{other.n_classes}, not {self.n_classes}",
            )
        if self.n_models != other.n_models:
            got = f"{other.n_models}, not {self.n_models}"
            raise InputError(what=f"{what} has another number of models", got=got)
        mine = dict(self.kinds)
        for name, given in other.kinds:
            kind = mine.get(name, given)
            if kind != given:
                got = f"{given}, not {kind}"
                called = name if name in BESIDE else name.upper()
                raise InputError(what=f"{what} has another kind of {called}", got=got)
        if self.classes != other.classes:
            got = f"{_few(other.classes)}, not {_few(self.classes)}"
            raise InputError(what=f"{what} has other class names", got=got)
        for name in FLAGS:
            if getattr(self, name) != getattr(other, name):
                had = "and those before had none" if getattr(other, name) else "and all need them"
                has = "has" if getattr(other, name) else "lacks"
                raise InputError(
                    what=f"{what} {has} {name}, {had}",
                    remedy=f"Give {name} with every batch, or with none.",
                )

    @property
    def n_models(self) -> int:
        """How many Q are held against P."""
        return len(self.kinds) - 1 - self.best_q - self.control

    @property
    def partly(self) -> bool:
        """Is P or a Q known in part? Such rows are summed as they come, and none is kept."""
        return not set(BOUNDED_KINDS).isdisjoint(dict(self.kinds).values())


def _few(classes: Sequence[str] | None) -> str:
    if classes is None:
        return "none"
    return ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")


def kind_of(view: Any) -> str:
    """A view's kind, and where it matters what its numbers are stored as."""
    if view.kind in BOUNDED_KINDS:
        return str(view.kind)
    bits = not isinstance(view, Linear) and view[:1].array.dtype == BFLOAT16
    return f"{view.kind} in bfloat16" if bits else str(view.kind)


def afar(*views: Any) -> bool:
    """Are any of these not here: on another device, or formed of states that a loop changes?"""
    return any(hasattr(view, "here") for view in views)


def rival_column(place: int) -> str:
    """What the column of a rival of Q is called.

    >>> rival_column(0)
    'q 2'
    """
    return f"q {place + 2}"


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks as one, their rows in the same order.

    Args:
        chunks: at least one; alike.
    """
    first = chunks[0]
    if len(chunks) == 1:
        return first
    return Chunk(
        first.start,
        _one([chunk.p for chunk in chunks]),
        _one([chunk.q for chunk in chunks]),
        np.concatenate([chunk.keys for chunk in chunks]),
        np.concatenate([chunk.ids for chunk in chunks]),
        {name: _groups([chunk.groups[name] for chunk in chunks]) for name in first.groups},
        _all([chunk.clusters for chunk in chunks]),
        _all([chunk.weights for chunk in chunks]),
        _one_beside([chunk.best_q for chunk in chunks]),
        tuple(map(_one, zip(*(chunk.rivals for chunk in chunks), strict=True))),
        None if first.labels is None else _one([chunk.labels for chunk in chunks]),
        _all([chunk.n_bytes for chunk in chunks]),
        control=_one_beside([chunk.control for chunk in chunks]),
        votes=_one_of_votes([chunk.votes for chunk in chunks]),
    )


def _all(arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    some = [array for array in arrays if array is not None]
    return np.concatenate(some) if some else None


def _one_beside(views: Sequence[Any]) -> Any:
    return None if views[0] is None else _one(views)


def _one_of_votes(given: Sequence[Votes | None]) -> Votes | None:
    some = [votes for votes in given if votes is not None]
    return joined_votes(some, some[0].classes, notes=()) if some else None


def _one(views: Iterable[Any]) -> Any:
    """Views of one kind as one."""
    some = list(views)
    first: View = some[0]
    array = np.concatenate([view.array for view in some])
    return type(first).trusted(array, first.n_classes, first.classes)


def _groups(
    given: Sequence[tuple[NDArray[np.intp], tuple[str, ...]]],
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Places in lists of names as places in one list, in which each name stands once."""
    place: dict[str, int] = {}
    codes = [coded(*one, place) for one in given]
    return np.concatenate(codes), tuple(place)


def coded(codes: NDArray[np.intp], names: Sequence[str], place: dict[str, int]) -> NDArray[np.intp]:
    """Codes into `names` as codes into `place`, to which names are added that it lacks; -1 stays.

    >>> place = {"a": 0}
    >>> coded(np.array([0, 1, -1]), ("b", "a"), place), place
    (array([ 1,  0, -1]), {'a': 0, 'b': 1})
    """
    for name in names:
        place.setdefault(name, len(place))
    return np.array([*(place[name] for name in names), -1], codes.dtype)[codes]


def columns_of(chunk: Chunk) -> dict[str, NDArray[Any]]:
    """A chunk's arrays by name, but for its keys, its ids and the names of what is coded."""
    columns = {"p": bits_of(chunk.p), "q": bits_of(chunk.q)}
    columns |= {rival_column(place): bits_of(view) for place, view in enumerate(chunk.rivals)}
    columns |= {f"{GROUP}{name}": codes for name, (codes, _) in chunk.groups.items()}
    if chunk.labels is not None:
        columns["labels"] = chunk.labels.array
    beside = ((name, getattr(chunk, name)) for name in BESIDE)
    columns |= {name: bits_of(view) for name, view in beside if view is not None}
    for name in ("clusters", "weights", "n_bytes"):
        if getattr(chunk, name) is not None:
            columns[name] = getattr(chunk, name)
    if chunk.votes is not None:
        columns |= _padded(chunk.votes)
    return columns


def names_of_codes(chunk: Chunk) -> dict[str, tuple[str, ...]]:
    """What the codes in some of a chunk's columns stand for, by the columns' names."""
    names = {f"{GROUP}{name}": names for name, (_, names) in chunk.groups.items()}
    return names if chunk.votes is None else names | {WHO: chunk.votes.annotator_names or ()}


def _padded(votes: Votes) -> dict[str, NDArray[Any]]:
    """(n, most) codes of what was said and of who said it; -1 where a row has no more votes."""
    size = np.diff(votes.offsets)
    row, most = votes.rows, int(size.max(initial=0))
    place = np.arange(len(row)) - votes.offsets[row]

    def padded(codes: NDArray[np.int32] | None) -> NDArray[np.int32]:
        table = np.full((len(votes), most), -1, np.int32)
        if codes is not None:
            table[row, place] = codes
        return table

    return {SAID: padded(votes.codes), WHO: padded(votes.annotators)}


def _votes_of(columns: Mapping[str, NDArray[Any]], like: Like, names: tuple[str, ...]) -> Votes:
    """The votes of which `_padded` made columns."""
    said, there = columns[SAID], columns[SAID] >= 0
    offsets = np.concatenate([np.zeros(1, np.int64), there.sum(axis=1).cumsum()])
    by = columns[WHO][there]
    classes = like.classes or ()
    return Votes.trusted(offsets, said[there], by, classes=classes, annotator_names=names)


def bits_of(view: Any) -> NDArray[Any]:
    """What a view holds, with the bits of bfloat16 as whole numbers."""
    array: NDArray[Any] = view.array
    return array["bfloat16"] if array.dtype == BFLOAT16 else array


def chunk_of(
    columns: Mapping[str, NDArray[Any]],
    like: Like,
    names: Mapping[str, tuple[str, ...]],
    *,
    start: int,
    keys: NDArray[np.uint64],
    ids: Any,
) -> Chunk:
    """The chunk of which `columns_of` made arrays, and `names_of_codes` names."""

    def view(name: str, kind: str) -> Any:
        kind, _, stored = kind.partition(" in ")
        array = np.ascontiguousarray(columns[name])
        array = array.view(BFLOAT16) if stored else array
        return KINDS[kind].trusted(array, like.n_classes, None)

    views = {name: view(name, kind) for name, kind in like.kinds}
    best_q, control = (views.pop(name, None) for name in BESIDE)
    return Chunk(
        start,
        views.pop("p"),
        views.pop("q"),
        keys,
        ids,
        {
            name.removeprefix(GROUP): (columns[name], called)
            for name, called in names.items()
            if name.startswith(GROUP)
        },
        columns.get("clusters"),
        columns.get("weights"),
        best_q,
        tuple(views.values()),
        view("labels", "labels") if like.labels else None,
        columns.get("n_bytes"),
        control=control,
        votes=_votes_of(columns, like, names[WHO]) if like.annotators else None,
    )
