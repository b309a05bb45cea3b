"""Labels: one class for each row."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pandq.core.checks import (
    is_number,
    one_label_per_row,
    whole_numbers,
)
from pandq.core.classes import class_codes, distinct, not_counting
from pandq.core.laws import Law
from pandq.errors import InputError, RowError
from pandq.views.base import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Labels(View):
    """One class per row, P as a certainty.

    Args:
        y: (n,) integers from 0 to n_classes - 1; or names, if `classes` is given. Numbers and
            truth values are names where all of `classes` are such, positions where none is.
        n_classes: how many classes there are; left out, it is taken from the other view.
        classes: the class names in the order of Q's columns, when y holds names.

    Raises:
        InputError: a label is out of range, missing or no class name.

    >>> Labels(["dog", "cat"], classes=["cat", "dog"]).array
    array([1, 0])
    """

    kind: ClassVar[str] = "labels"

    def __init__(
        self, y: ArrayLike, n_classes: int | None = None, *, classes: Sequence[object] | None = None
    ) -> None:
        if n_classes is not None and not (is_number(n_classes, Integral) and n_classes > 0):
            raise InputError(what="n_classes is a whole number from 1", got=repr(n_classes))
        labels = one_label_per_row(y)
        names = None if classes is None else distinct(classes)
        if names is None:
            codes = whole_numbers("Labels", labels)
        else:
            codes, n_classes = class_codes(labels, names), len(names.names)
        object.__setattr__(self, "array", codes)
        object.__setattr__(self, "n_classes", n_classes)
        object.__setattr__(self, "classes", None if names is None else names.names)
        self.check_range()

    def check_range(self) -> None:
        """Raise RowError for the first label outside 0 ... n_classes - 1."""
        most = np.inf if self.n_classes is None else self.n_classes
        if not len(self.array) or (self.array.min() >= 0 and self.array.max() < most):
            return
        bad = self.array < 0
        limit = "below 0"
        if self.n_classes is not None and not bad.any():
            bad = self.array >= self.n_classes
            limit = f"out of range for {self.n_classes} classes (0 to {self.n_classes - 1})"
        if bad.any():
            row = int(bad.argmax())
            remedy = (
                "Classes count from 0; labels that count otherwise need names, such as"
                " classes=[1, 2, 3] (on the command line: --classes 1,2,3)."
            )
            if self.array[row] < 0:
                remedy += f" {not_counting(int(self.array[row]))}"
            raise RowError(
                view="Labels",
                row=row,
                problem=f"is {limit}",
                got=str(self.array[row]),
                remedy=remedy,
            )

    def of_classes(self, n_classes: int) -> Labels:
        """The same labels among `n_classes` classes."""
        return self if self.n_classes is not None else Labels(self.array, n_classes)

    def law(self) -> Law:
        """All probability on the label: one-hot rows."""
        if self.n_classes is None:
            raise InputError(
                what="Labels alone do not say how many classes there are",
                remedy="Use Labels(y, n_classes=...).",
            )
        shape = len(self.array), self.n_classes
        one_hot, log_prob = (np.full(shape, x) for x in (0.0, -np.inf))
        rows = np.arange(len(self.array))
        one_hot[rows, self.array], log_prob[rows, self.array] = 1.0, 0.0
        return Law(one_hot, log_prob)
