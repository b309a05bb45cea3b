"""Formulas over views: by a kernel that measures the same, or block by block of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core import kernels
from pandq.core.numerics import blocks
from pandq.views import Labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.views import View

    Rows = NDArray[np.float64]


def of_two(name: str, formula: Callable[[Law, Law], NDArray[np.number]], p: View, q: View) -> Rows:
    """What a kernel measures by that name, or else the formula."""
    found = kernels.measured(p.kind, p.array, q.kind, q.array, whole=name == "brier")
    return by_blocks(formula, p, q) if found is None else found[name]


def of_one(name: str, formula: Callable[[Law], NDArray[np.number]], q: View) -> Rows:
    """The same for a measure of Q alone: the labels do not matter."""
    found = kernels.measured("labels", np.zeros(len(q), np.int64), q.kind, q.array)
    return by_blocks(formula, q) if found is None else found[name]


def by_blocks(formula: Callable[..., NDArray[np.number]], *views: View) -> Rows:
    """A formula over distributions, applied to blocks of rows."""
    for view in views:
        if isinstance(view, Labels):
            view.check_range()
    out = np.empty(len(views[0]))
    for rows in blocks(len(views[0]), views[0].n_classes or 1):
        out[rows] = formula(*(view[rows].law() for view in views))
    return out
