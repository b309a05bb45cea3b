"""Linear: logits that are never stored, formed of hidden states and a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from pandq.core.checks import MOST_CLASSES, as_array, is_number, one_number_per_row
from pandq.core.numerics import BFLOAT16, widen
from pandq.errors import InputError, RowError
from pandq.views.base import View, places
from pandq.views.logits import Logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pandq.core.laws import Law
    from pandq.views.base import Index

# How files say it: a column of hidden states, and a head in a file of its own.
LINEAR_KIND = "linear"
# Logits are formed for so many numbers at once: 32 MiB in single precision, and for a chunk of a
# small vocabulary no more rows than any other chunk has.
AT_ONCE_NUMBERS = 1 << 23
AT_ONCE_ROWS = 1 << 16
# A head of 16 bits is widened by so many numbers at once, which a core's cache holds.
TILE_NUMBERS = 1 << 19
# Numbers that are looked at together when a view is made.
CHECKED_NUMBERS = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What makes logits of hidden states: softcap * tanh(scale * (h W' + b) / softcap)."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    scale: float | None = None
    softcap: float | None = None

    @property
    def rows_at_once(self) -> int:
        """Of how many rows logits may be in memory."""
        return max(1, min(AT_ONCE_ROWS, AT_ONCE_NUMBERS // len(self.weight)))

    def logits(self, hidden: NDArray[Any]) -> NDArray[Any]:
        """(n, K) float32, or float64 where the states or the head are."""
        kind = np.float64 if np.float64 in (hidden.dtype, self.weight.dtype) else np.float32
        h, k = in_type(hidden, kind), len(self.weight)
        out = np.empty((len(h), k), kind)
        step = k if self.weight.dtype == kind else max(1, TILE_NUMBERS // self.weight.shape[1])
        # what overflows is found by its row, when the logits are checked
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, k, step):
                tile = in_type(self.weight[start : start + step], kind)
                np.matmul(h, tile.T, out=out[:, start : start + step])
            if self.bias is not None:
                out += in_type(self.bias, kind)
            if self.scale is not None:
                out *= kind(self.scale)
            if self.softcap is not None:
                out /= kind(self.softcap)
                np.tanh(out, out=out)
                out *= kind(self.softcap)
        return out


class Linear(View):
    """Logits of hidden states under a head, formed a block of rows at a time and never stored.

    Whatever takes Logits takes it: a block of rows goes through one matrix product, is measured,
    and is forgotten. With 151,936 classes and 1,024 numbers a state it takes 1/148 of the memory.

    Args:
        hidden: (n, d) states of any float type; an array, a memory map or a tensor.
        weight: (K, d) head, likewise: one row per class, as in torch.nn.Linear.
        bias: (K,) numbers; -inf forbids a class, such as one that only pads a vocabulary.
        scale: a number above 0 that multiplies the logits.
        softcap: a number above 0, c: logits become c tanh(x / c), after `scale`.

    Raises:
        InputError: states and head do not fit together, a number is not finite, the row or
            class is named, or scale or softcap is no number above 0. A product that overflows is
            named by its row when it is formed.

    Products are in double precision where the states or the head are, else in single precision.

    Source: the last layer of a language model; the soft cap of Gemma 2 (Riviere et al. 2024).

    >>> view = Linear([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> view.shape, view.array
    ((1, 3), array([[1., 2., 3.]]))
    """

    __slots__ = ("head", "hidden")

    hidden: NDArray[Any]
    head: Head

    kind: ClassVar[str] = "logits"

    def __init__(
        self,
        hidden: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        scale: float | None = None,
        softcap: float | None = None,
    ) -> None:
        head = head_of(weight, bias, scale, softcap)
        self._set(_states(hidden, head), head)

    def _set(self, hidden: NDArray[Any], head: Head) -> None:
        object.__setattr__(self, "hidden", hidden)
        object.__setattr__(self, "head", head)
        object.__setattr__(self, "n_classes", len(head.weight))
        object.__setattr__(self, "classes", None)

    @classmethod
    def of_head(cls, hidden: ArrayLike, head: Head) -> Self:
        """Other states under a head that was checked.

        Raises:
            InputError: they do not fit, or are not finite.
        """
        made = object.__new__(cls)
        made._set(_states(hidden, head), head)
        return made

    @property
    def array(self) -> NDArray[Any]:
        """(n, K) logits of all rows, formed anew."""
        return self.here().array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and classes."""
        return len(self.hidden), len(self.head.weight)

    @property
    def rows_at_once(self) -> int:
        """Of how many rows logits may be in memory."""
        return self.head.rows_at_once

    def __len__(self) -> int:
        return len(self.hidden)

    def __repr__(self) -> str:
        return f"Linear(rows={len(self):,}, classes={self.n_classes:,})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 - NumPy's own
        if copy is False:
            raise ValueError("logits that are not stored cannot be had without a copy")  # noqa: EM101
        return self.array.astype(self.array.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, rows: Index) -> Self:
        made = object.__new__(type(self))
        made._set(self.hidden[places(rows, len(self))], self.head)
        return made

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    @classmethod
    def trusted(cls, *_: Any) -> NoReturn:
        """A Linear is not made of an array of logits."""
        raise TypeError("a Linear is made of hidden states and a head")  # noqa: EM101

    def here(self) -> Logits:
        """The rows as Logits, in memory.

        Raises:
            InputError: the product of a row overflows.
        """
        try:
            return Logits(self.head.logits(self.hidden))
        except RowError as error:
            remedy = "The states or the head are too large for float32: give one in float64."
            raise RowError(
                view="Linear", row=error.row, problem=error.problem, remedy=remedy
            ) from None

    def law(self) -> Law:
        """The softmax of each row."""
        return self.here().law()


def in_type(x: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Numbers of any float type in one of NumPy's."""
    if x.dtype != BFLOAT16:
        return x.astype(kind, copy=False)
    if kind != np.float32:
        return widen(x)
    return (x["bfloat16"].astype(np.uint32) << np.uint32(16)).view(np.float32)


def head_of(
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> Head:
    """A head whose numbers were looked at.

    Raises:
        InputError: it is no head, or a number is not finite; the class is named.
    """
    w = _floats("weight", weight)
    if w.ndim != 2 or not 1 <= len(w) <= MOST_CLASSES or not w.shape[1]:
        raise InputError(what="a head is (classes, numbers a state)", got=f"shape {w.shape}")
    _require_finite("weight", w)
    for name, x in (("scale", scale), ("softcap", softcap)):
        if x is not None and not (is_number(x) and 0 < x < np.inf):
            raise InputError(what=f"{name} is a number above 0", got=repr(x))
    if bias is None:
        return Head(w, None, scale, softcap)
    b = one_number_per_row("bias", bias)
    if b.shape != (len(w),):
        got = f"{len(b):,} numbers for {len(w):,} classes"
        raise InputError(what="a bias has one number per class", got=got)
    given = widen(b)
    forbidden = np.isneginf(given)
    bad = ~np.isfinite(given) & (~forbidden if softcap is None else True)
    if bad.any():
        place = int(bad.argmax())
        got = f"{given[place]:g} of class {place}"
        raise InputError(what="a bias is finite, or -inf without a softcap", got=got)
    return Head(w, b, scale, softcap)


def _states(hidden: ArrayLike, head: Head) -> NDArray[Any]:
    states = _floats("hidden", hidden)
    states = states[None, :] if states.ndim == 1 else states
    if states.ndim != 2:
        remedy = "Take the tokens that count: hidden[mask]."
        raise InputError(
            what="hidden states are (rows, numbers)", got=f"shape {states.shape}", remedy=remedy
        )
    d = head.weight.shape[1]
    if states.shape[1] != d:
        raise InputError(
            what="hidden states and head do not fit",
            got=f"{states.shape[1]:,} numbers a state, and a head for {d:,}",
            remedy="A head is (classes, numbers a state), as torch.nn.Linear has it.",
        )
    _require_finite("hidden", states)
    return states


def _floats(name: str, x: ArrayLike) -> NDArray[Any]:
    array = as_array("Linear", x)
    if array.dtype not in (BFLOAT16, np.float16, np.float32, np.float64):
        array = array.astype(np.float64) if isinstance(x, list | tuple) else array
    if array.dtype not in (BFLOAT16, np.float16, np.float32, np.float64):
        what = f"{name} is of a float type: float64, float32, float16 or bfloat16"
        raise InputError(what, got=str(array.dtype))
    return array


def _require_finite(name: str, x: NDArray[Any]) -> None:
    step, kind = max(1, CHECKED_NUMBERS // x.shape[1]), x.dtype
    kind = np.dtype(np.float32) if kind == BFLOAT16 else kind
    for start in range(0, len(x), step):
        fine = np.isfinite(
            in_type(x[start : start + step], np.float32 if x.dtype == BFLOAT16 else x.dtype)
        )
        if not fine.all():
            row = start + int((~fine).any(axis=1).argmax())
            raise RowError(
                view=f"Linear: {name}", row=row, problem="holds a number that is not finite"
            )
