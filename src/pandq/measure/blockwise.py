"""Formulas over views: by a kernel that measures the same, or block by block of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core import kernels
from pandq.core.numerics import blocks
from pandq.units import per_nat
from pandq.views import Labels, in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.units import Unit
    from pandq.views import View

    Rows = NDArray[np.float64]


def of_two(name: str, formula: Callable[[Law, Law], NDArray[np.number]], p: View, q: View) -> Rows:
    """What a kernel measures by that name, or else the formula."""

    def of(p: View, q: View) -> Rows:
        found = kernels.measured(p.kind, p.array, q.kind, q.array, whole=name == "brier", only=name)
        return by_blocks(formula, p, q) if found is None else found[name]

    measured: Rows = in_pieces(of, p, q)
    return measured


def of_one(name: str, formula: Callable[[Law], NDArray[np.number]], q: View) -> Rows:
    """The same for a measure of Q alone: the labels do not matter."""

    def of(q: View) -> Rows:
        found = kernels.measured("labels", np.zeros(len(q), np.int64), q.kind, q.array, only=name)
        return by_blocks(formula, q) if found is None else found[name]

    measured: Rows = in_pieces(of, q)
    return measured


def in_unit(nats: Rows, unit: Unit) -> Rows:
    """The same in another unit; as they are, without a copy, where they are asked for in nats."""
    factor = per_nat(unit)
    return nats if factor == 1.0 else nats * factor


def by_blocks(formula: Callable[..., NDArray[np.number]], *views: View) -> Rows:
    """A formula over distributions, applied to blocks of rows."""
    for view in views:
        if isinstance(view, Labels):
            view.check_range()

    def of(*views: View) -> Rows:
        out = np.empty(len(views[0]))
        for rows in blocks(len(views[0]), views[0].n_classes or 1):
            out[rows] = formula(*(view[rows].law() for view in views))
        return out

    found: Rows = in_pieces(of, *views)
    return found
