"""Views that are a matrix: a row of numbers over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pandq.core.checks import (
    is_number,
    rows_of_classes,
)
from pandq.core.kernels import first_doubt
from pandq.core.numerics import blocks, storage_name
from pandq.errors import InputError, RowError
from pandq.views.base import View

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


# How far a row's sum may lie from one: a few rounding errors of what it was stored in.
TOLERANCES = {"float64": 1e-6, "float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2}
# What adding up a row's numbers may add to that: 3 x 0.333333 is 1 less 1e-6, and a little.
SUMMING = 1e-12


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Matrix(View):
    """A view with one number per row and class; checks its rows block by block."""

    def __init__(self, x: ArrayLike, *, tolerance: float | None = None) -> None:
        array = rows_of_classes(type(self).__name__, x)
        if tolerance is not None and not (is_number(tolerance) and tolerance >= 0):
            raise InputError(what="tolerance is a number, and not negative", got=repr(tolerance))
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "n_classes", array.shape[1])
        object.__setattr__(self, "classes", None)
        limit = TOLERANCES.get(storage_name(array.dtype), 1e-6) if tolerance is None else tolerance
        limit += SUMMING
        doubtful = first_doubt(self.kind, array, limit)
        if doubtful == len(array):
            return
        # what a kernel doubts, or has not seen, is looked at row by row, and put into words
        for rows in blocks(*array.shape):
            try:
                self.check(array[rows], limit)
            except RowError as error:
                raise error.moved(rows.start) from None

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Raise RowError for the first row that is not a valid probability vector."""
        raise NotImplementedError
