"""What an array means: a representation is a type, never a guess from values."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pandq.core.checks import is_number
from pandq.core.numerics import BFLOAT16, widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from pandq.core.laws import Law

    Index = int | slice | Sequence[int] | Sequence[bool] | NDArray[np.integer] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """n rows of one representation of a distribution over `n_classes` classes, perhaps named.

    A view is a sequence of its rows: `view[3]`, `view[-1]` and what a loop over it yields are views
    of one row each, sound by themselves, and `view[1:3]`, `view[[0, 2]]` or `view[chosen]` views of
    several. A loop in Python is slow; every function of pandq takes all rows at once.

    >>> from pandq import Probs
    >>> view = Probs([[0.5, 0.5], [0.25, 0.75]])
    >>> view.shape, view[-1].array, [len(row) for row in view]
    ((2, 2), array([[0.25, 0.75]]), [1, 1])
    >>> np.asarray(view[:1])
    array([[0.5, 0.5]])
    """

    array: NDArray[Any]
    n_classes: int | None
    classes: tuple[str, ...] | None = None

    kind: ClassVar[str] = "view"

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array: (n,) of Labels, (n, S, K) of an Ensemble, else (n, K)."""
        return self.array.shape

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 - NumPy's own
        """The array that the view holds, for NumPy: `np.asarray(view)` copies nothing."""
        if self.array.dtype != BFLOAT16 or dtype is None or np.dtype(dtype) == BFLOAT16:
            return np.array(self.array, dtype, copy=copy)
        if copy is False:
            raise ValueError("bfloat16 cannot be given another type without a copy")  # noqa: EM101
        return widen(self.array).astype(dtype, copy=False)

    def __getitem__(self, rows: Index) -> Self:
        return self.trusted(self.array[places(rows, len(self))], self.n_classes, self.classes)

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    @classmethod
    def trusted(
        cls, array: NDArray[Any], n_classes: int | None, classes: tuple[str, ...] | None = None
    ) -> Self:
        """A view of rows that are known to be sound: nothing is checked again."""
        view = object.__new__(cls)
        object.__setattr__(view, "array", array)
        object.__setattr__(view, "n_classes", n_classes)
        object.__setattr__(view, "classes", classes)
        return view

    def law(self) -> Law:
        """The rows as probabilities and their logarithms, float64."""
        raise NotImplementedError


def places(rows: Index, n: int) -> Any:
    """What takes rows of an array, and never a cell of one.

    Args:
        rows: the number of one row, from the end where it is negative; a slice; or the numbers of
            several, or a truth value for each.
        n: how many rows there are.

    Returns:
        A slice, or an array of one axis.

    Raises:
        IndexError: there is no such row.
        TypeError: it is nothing of the kind.

    >>> places(-1, 3)
    slice(2, 3, None)
    """
    if isinstance(rows, slice):
        return rows
    if is_number(rows, Integral):
        row = int(rows)  # type: ignore[arg-type]  # it is a number
        if not -n <= row < n:
            raise IndexError(f"there is no row {row} of {n}")  # noqa: EM102
        return slice(row % n, row % n + 1)
    some = np.asarray(rows) if isinstance(rows, list | np.ndarray) else None
    if some is None or some.ndim != 1 or (some.dtype.kind not in "iub" and len(some)):
        got = f"an array of {some.ndim} axes of {some.dtype}" if some is not None else repr(rows)
        wanted = "a number, a slice, or a list of numbers or of a truth value for each"
        raise TypeError(f"rows are taken by {wanted}; got {got}")  # noqa: EM102
    return some if len(some) or some.dtype.kind == "b" else some.astype(np.intp)
