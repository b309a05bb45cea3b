"""FeatureScan: rows of features and of P, from files, in constant memory, again and again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.core.numerics import widen
from pandq.errors import InputError, RowError
from pandq.read import columns as cols
from pandq.read.chunks import chunk_rows, row_weights
from pandq.read.parts import located
from pandq.read.pictures import PictureFolder, complaint, encoded_in, pixels
from pandq.read.viewed import view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.columns import Column
    from pandq.read.parts import Part, Source
    from pandq.read.recognise import Spec
    from pandq.views import View

# Of pictures that cannot be decoded this many are named.
NAMED = 5


@dataclass(frozen=True, slots=True, eq=False)
class FeatureChunk:
    """Consecutive rows: features (n, d) or pictures (n, h, w, 3), P, weights, and row numbers."""

    start: int
    x: NDArray[Any]
    p: View | None
    w: NDArray[np.float64] | None
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.x)

    def where(self, keep: NDArray[np.bool_]) -> FeatureChunk:
        """Some of the rows."""
        return FeatureChunk(
            self.start,
            self.x[keep],
            None if self.p is None else self.p[keep],
            None if self.w is None else self.w[keep],
            self.rows[keep],
        )


def flattened(x: NDArray[Any]) -> NDArray[Any]:
    """Rows of any shape as (n, d), also where there are none."""
    return x.reshape(len(x), int(np.prod(x.shape[1:])))


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Features less their mean, over their standard deviation: (d,) float64 each."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def of(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Rows of features or pictures, (n, d) float64.

        Raises:
            InputError: they are not d numbers each.
        """
        flat = flattened(x)
        if flat.shape[1] != len(self.mean):
            raise InputError(
                what=f"rows of {len(self.mean)} features are needed", got=f"{flat.shape[1]}"
            )
        scaled: NDArray[np.float64] = (flat - self.mean) / self.scale
        return scaled


@dataclass(frozen=True, slots=True, eq=False)
class FeatureScan:
    """Features, and P unless only a prediction is wanted. Made by `scan_features`.

    `size` is None for features in columns, (height, width) for pictures; `unreadable` names the
    pictures that the last pass could not decode.
    """

    source: Source
    columns: tuple[str, ...]
    p: Spec | None
    size: tuple[int, int] | None
    classes: tuple[str, ...] | None = None
    n_classes: int = 0
    weights: str | None = None
    skip_unreadable: bool = False
    normalise: bool = False
    held_out: tuple[float, int] | None = None
    scaling: Scaling | None = None
    notes: tuple[str, ...] = ()
    width: int | None = None
    unreadable: list[str] = field(default_factory=list)

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, held out or not, if that is known without reading them."""
        return self.source.n_rows

    def parts(self) -> Sequence[Part]:
        """What can be read apart: row groups, files, ranges of an array."""
        return self.source.parts()

    @property
    def apart(self) -> bool:
        """No: what could not be decoded is told at the end of all parts."""
        return False

    def count(self, part: Part) -> int:
        """How many rows a part has, held out or not."""
        return self.source.count(part)

    def prepared(self) -> FeatureScan:
        """The same rows for workers, who need not look how wide the first one is."""
        return self if self.size is not None else replace(self, width=self._width())

    def chunks(self) -> Iterator[FeatureChunk]:
        """The rows in order, in constant memory.

        Raises:
            InputError: a row cannot be used; or, at the end, pictures that cannot be decoded and
                are not to be skipped.
        """
        for _, chunk in self.pieces(self.parts()):
            yield chunk

    def pieces(self, parts: Sequence[Part]) -> Iterator[tuple[Part, FeatureChunk]]:
        """The chunks of consecutive parts, each with its part.

        Raises:
            InputError: as `chunks`.
        """
        self.unreadable.clear()
        width = 0 if self.size is not None else self.width or self._width() or 0

        def make(start: int, batch: Mapping[str, Column]) -> FeatureChunk:
            chunk = self._chunk(start, batch)
            found = int(np.prod(chunk.x.shape[1:]))
            if self.size is None and found != width:
                problem = f"has {found} features where the first row has {width}"
                raise RowError(view=f"column {self.columns[0]!r}", row=0, problem=problem)
            return self._part(chunk)

        numbers = width if self.size is None else 3 * self.size[0] * self.size[1]
        yield from located(self.source, self._wanted(), chunk_rows(numbers), make, parts)
        if self.unreadable and not self.skip_unreadable:
            raise not_decoded(self.unreadable, self.source.name)

    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of a row's features, or of a picture; None where there are no rows."""
        if self.size is not None:
            return (*self.size, 3)
        width = self._width()
        return None if width is None else (width,)

    def parted(self, share: float, seed: int) -> tuple[FeatureScan, FeatureScan]:
        """The rows to learn from, and about this share of the rows, chosen by their numbers."""
        return replace(self, held_out=(-share, seed)), replace(self, held_out=(share, seed))

    def _part(self, chunk: FeatureChunk) -> FeatureChunk:
        """The rows of this scan's part, scaled."""
        if self.held_out is not None:
            share, seed = self.held_out
            out = hash_ids(chunk.rows, seed=seed) < np.uint64(abs(share) * 2.0**63) * np.uint64(2)
            chunk = chunk.where(out if share > 0 else ~out)
        return chunk if self.scaling is None else replace(chunk, x=self.scaling.of(chunk.x))

    def _wanted(self) -> list[str]:
        wanted = [*self.columns, *(self.p.columns if self.p else ())]
        return list(dict.fromkeys([*wanted, *([self.weights] if self.weights else [])]))

    def _width(self) -> int | None:
        """How many features the first row has, if there is one."""

        def size(_: int, batch: Mapping[str, Column]) -> int:
            return sum(np.size(cols.numbers(name, batch[name])) for name in self.columns)

        return next((n for _, n in located(self.source, self.columns, 1, size)), None)

    def _chunk(self, start: int, batch: Mapping[str, Column]) -> FeatureChunk:
        p = None
        if self.p is not None:
            p = view_of("p", self.p, batch, classes=self.classes, normalise=self.normalise)
            if p.kind == "labels" and p.n_classes is None:
                p = p.of_classes(self.n_classes)  # type: ignore[attr-defined]
        w = None if self.weights is None else row_weights(self.weights, batch[self.weights])
        found = decoded(self.source, self.columns, self.size, start, batch)
        self.unreadable.extend(found.unreadable)
        rows = np.arange(start, start + len(found.keep))
        return FeatureChunk(start, found.x, p, w, rows).where(found.keep)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The features of a batch of rows, which rows have some, and the names of the others."""

    x: NDArray[Any]
    keep: NDArray[np.bool_]
    unreadable: list[str]
    batch: Mapping[str, Column]


def decoded(
    source: Source,
    columns: tuple[str, ...],
    size: tuple[int, int] | None,
    start: int,
    batch: Mapping[str, Column],
) -> Decoded:
    """The features of one batch: numbers, or pictures where `size` is given."""
    if size is None:
        x = numbers_of(columns, batch)
        return Decoded(x, np.ones(len(x), dtype=bool), [], batch)
    column = batch[columns[0]]
    stored = encoded_in(column)
    found = [pixels(encoded, size) for encoded in stored]
    keep = np.array([picture is not None for picture in found], dtype=bool)
    pictures = np.zeros((len(found), *size, 3), dtype=np.uint8)
    for row, picture in enumerate(found):
        if picture is not None:
            pictures[row] = picture
    lost = [
        f"{picture_name(source, column, start, row)} ({complaint(stored[row]) or 'broken'})"
        for row in np.flatnonzero(~keep).tolist()
    ]
    return Decoded(pictures, keep, lost, batch)


def decoded_rows(
    source: Source, columns: tuple[str, ...], size: tuple[int, int] | None, rows: int
) -> Iterator[Decoded]:
    """The features of every row, with all columns of the table beside them.

    Raises:
        InputError: a row cannot be used; pictures that cannot be decoded are named, not refused.
    """

    def make(start: int, batch: Mapping[str, Column]) -> Decoded:
        return decoded(source, columns, size, start, batch)

    for _, found in located(source, list(source.schema), rows, make):
        yield found


def not_decoded(names: Sequence[str], where: str) -> InputError:
    """The refusal of pictures that cannot be decoded: how many, and the first ones by name."""
    n, few = len(names), ", ".join(names[:NAMED])
    more = f" and {n - NAMED} more" if n > NAMED else ""
    return InputError(
        what=f"{n} {'picture' if n == 1 else 'pictures'} cannot be decoded: {few}{more}",
        where=where,
        remedy="--skip-unreadable leaves them out.",
    )


def picture_name(source: Source, column: Column, start: int, row: int) -> str:
    """What to call a picture: the file that it is, or its path in the table, or its row."""
    if isinstance(source, PictureFolder):
        return source.file_of(start + row)
    value = column[row].as_py()
    path = value.get("path") if isinstance(value, dict) else None
    return f"row {start + row}" + (f" ({path})" if path else "")


def numbers_of(columns: Sequence[str], batch: Mapping[str, Column]) -> NDArray[np.float64]:
    """Numeric columns side by side, (n, d) float64; a list column is d columns.

    Raises:
        RowError: a number is missing, NaN or infinite.
    """
    parts = [cols.numbers(name, batch[name]) for name in columns]
    if not sum(flattened(part).shape[1] for part in parts):
        raise InputError(what=f"column {columns[0]!r} holds no features: its lists are empty")
    wide = [widen(flattened(part)) for part in parts]
    for name, flat in zip(columns, wide, strict=True):
        bad = ~np.isfinite(flat).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            got = flat[row][~np.isfinite(flat[row])][0]
            raise RowError(
                view=f"column {name!r}",
                row=row,
                problem="holds a feature that is missing or not finite",
                got=str(got),
                remedy="Fill it in, or leave such rows out (--where SQL).",
            )
    return wide[0] if len(wide) == 1 else np.concatenate(wide, axis=1)
