"""Arrays of sequences, (B, T, K): a row for each token that a mask or lengths say counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.read.database import quoted
from pandq.read.stored import StoredArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

# What arrays are called that say which tokens count, (B, T) and (B,).
MASKS = ("mask", "attention_mask", "loss_mask")
LENGTHS = ("lengths",)
# The columns that say where a token stands.
SEQUENCE, POSITION = "sequence", "position"
HOW = (
    "For sequences of tokens put beside them which tokens count: an array mask, (B, T) of 0 and 1,"
    " or lengths, (B,)."
)


class PerToken:
    """(B * T, ...) an array of one entry a sequence, (B, ...), repeated for each of its tokens."""

    def __init__(self, array: Any, n_tokens: int) -> None:
        self.array, self.n_tokens = array, n_tokens
        self.dtype, self.ndim = array.dtype, array.ndim
        self.shape = (array.shape[0] * n_tokens, *array.shape[1:])

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        first, last, _ = rows.indices(self.shape[0])
        begin, end = first // self.n_tokens, -(-last // self.n_tokens)
        each = np.repeat(np.asarray(self.array[begin:end]), self.n_tokens, axis=0)
        return each[first - begin * self.n_tokens : last - begin * self.n_tokens]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Arrays with a row for each token, of which some count.

    `counts` is the condition that a token does, in SQL; `note` says how many do.
    """

    arrays: dict[str, Any]
    counts: str
    note: str


def sequences(arrays: Mapping[str, Any]) -> Sequences | None:
    """The tokens of sequences; None where arrays are of rows.

    Args:
        arrays: by name, of which one may be a mask of a (B, T, K) beside it, or lengths.

    Raises:
        InputError: a mask is not of 0 and 1, lengths are no numbers of tokens, several of them
            disagree, or nothing counts.
    """
    deep = {name: array.shape for name, array in arrays.items() if array.ndim == 3}
    if not deep:
        return None
    first, (b, t, *_) = next(iter(deep.items()))
    masks = _called(arrays, MASKS, (b, t))
    lengths = _called(arrays, LENGTHS, (b,))
    if not masks and not lengths:
        return None
    other = next((name for name, shape in deep.items() if shape[:2] != (b, t)), None)
    if other is not None:
        got = f"{first} {deep[first][:2]} and {other} {deep[other][:2]}"
        raise InputError(what="sequences differ in number or in tokens", got=got)
    which = {name: _mask(name, arrays[name][:]) for name in masks}
    which |= {name: _within(name, arrays[name][:], t) for name in lengths}
    told, counts = next(iter(which.items()))
    for name, others in which.items():
        if not np.array_equal(counts, others):
            what = f"{told} and {name} disagree about which tokens count"
            got = f"{counts.sum():,} and {others.sum():,}"
            raise InputError(what, got=got, remedy="Rename one of them.")
    if not counts.any():
        raise InputError(what=f"by {told} no token counts")
    flat = {name: _by_token(name, array, b, t) for name, array in arrays.items() if array.ndim}
    if told in lengths and POSITION in flat:
        remedy = "Rename it: the places of tokens are called so."
        raise InputError(what=f"an array is called {POSITION!r}", remedy=remedy)
    flat.setdefault(SEQUENCE, np.repeat(np.arange(b), t))
    flat.setdefault(POSITION, np.tile(np.arange(t), b))
    is_one = f"CAST({quoted(told)} AS DOUBLE) = 1"
    within = f"{quoted(POSITION)} < {quoted(told)}"
    note = f"{told} says that {counts.sum():,} of {b * t:,} tokens count, of {b:,} sequences"
    return Sequences(flat, within if told in lengths else is_one, note)


def require_tokens_told(arrays: Mapping[str, Any], p: Iterable[str], labels: Iterable[str]) -> None:
    """Refuse a P of tokens where nothing says which tokens count.

    Args:
        arrays: by name.
        p: those that are a distribution P.
        labels: those that are labels, one for each row.

    Raises:
        InputError: P is (B, T, K), or labels are (B, T).
    """
    for names, ndim in ((p, 3), (labels, 2)):
        for name in names:
            if name in arrays and arrays[name].ndim >= ndim and arrays[name].shape[1] != 1:
                got = _shape(arrays[name])
                for other in arrays:
                    if other.rpartition(".")[2].lower() in (*MASKS, *LENGTHS):
                        got += f", beside {other} of {_shape(arrays[other])}"
                what = f"array {name!r} has more than one row's worth in each row"
                raise InputError(what, got=got, remedy=HOW)


def _shape(array: Any) -> str:
    return " x ".join(map(str, array.shape))


def _called(arrays: Mapping[str, Any], names: Iterable[str], shape: tuple[int, ...]) -> list[str]:
    """The arrays of such a name, or of one in a file, and of this shape."""
    return [
        name
        for name, array in arrays.items()
        if name.rpartition(".")[2].lower() in names and array.shape == shape
    ]


def _mask(name: str, given: NDArray[Any]) -> NDArray[np.bool_]:
    numbers = given.dtype.kind in "biuf"
    bad = ~((given == 0) | (given == 1)) if numbers else np.ones(given.shape, bool)
    if bad.any():
        at = tuple(int(x[0]) for x in np.nonzero(bad))
        what = f"{name} is 1 where a token counts and 0 where not"
        raise InputError(what, got=f"{given[at]} at {at}")
    counts: NDArray[np.bool_] = given == 1
    return counts


def _within(name: str, given: NDArray[Any], n_tokens: int) -> NDArray[np.bool_]:
    numbers = given.dtype.kind in "iuf"
    fine = (given >= 0) & (given <= n_tokens) & (given == np.floor(given)) if numbers else None
    if fine is None or not fine.all():
        got = given.dtype if fine is None else given[~fine][0]
        what = f"{name} are whole numbers of tokens, from 0 to {n_tokens:,}"
        raise InputError(what, got=str(got))
    counts: NDArray[np.bool_] = np.arange(n_tokens) < given[:, None]
    return counts


def _by_token(name: str, array: Any, b: int, t: int) -> Any:
    """An array with a row for each token."""
    if array.shape[0] != b:
        return array  # of another length, which is said of all together
    if array.ndim < 2 or array.shape[1] != t:
        return PerToken(array, t)
    shape = (b * t, *array.shape[2:])
    if not isinstance(array, StoredArray):
        return np.asarray(array).reshape(shape)
    if not array.fortran:
        return array.reshaped(shape)
    if array.ndim == 2:
        return array[:].reshape(shape)
    raise InputError(
        what=f"array {name!r} lies column by column",
        remedy="Save it row by row: np.ascontiguousarray(x).",
    )
