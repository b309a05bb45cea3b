"""Rows in the order of their folds, and sums over the rows of some folds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pandq.core.cumulative import Edges
from pandq.core.kernels.maps import SoftmaxMap, sums_size
from pandq.core.threads import over_cores
from pandq.errors import InputError
from pandq.estimate.calibration.families import FAMILIES, numpy_sums
from pandq.recalibrator import pure_map, with_zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.estimate.calibration.families import Family
    from pandq.recalibrator import Kind

    Array = NDArray[np.float64]

BLOCKS = 8
"""Blocks of rows a pass is cut into, at least: what cores share out, whatever their number."""

LEAST_NUMBERS = 1 << 15
"""A block has at least so many numbers, far more than starting a task costs."""

MOST_SUMS = 1 << 23
"""The sums of all blocks of a pass are at most so many, or each fold is one block."""


class Training(NamedTuple):
    """The rows that a map is fitted to: some folds of them.

    Args:
        folds: their places, rising.
        n: how many rows they have.
        factor: by which their weights have mean 1.
        floor: the least finite log q there.
        freq: (K,) smoothed class frequencies.
    """

    folds: tuple[int, ...]
    n: int
    factor: float
    floor: float
    freq: Array


class Pass(NamedTuple):
    """Sums that are wanted: of a map, over a training's rows, in an order of the kernel's."""

    training: Training
    family: Family
    theta: Array
    order: int


@dataclass(frozen=True, eq=False)
class FoldRows:
    """Rows ready for fitting, fold after fold.

    Args:
        x: (n, K) float64 log q in nats, -inf where q = 0; C-contiguous.
        p: (n, K) float64 class weights that sum to one per row; C-contiguous.
        w: (n,) float64 row weights.
        bounds: (F + 1,) fold f has the rows from bounds[f] to bounds[f + 1], at least one.
    """

    x: Array
    p: Array
    w: Array
    bounds: NDArray[np.intp]

    @staticmethod
    def of(x: Array, p: Array, w: Array, folds: NDArray[np.integer] | None = None) -> FoldRows:
        """Rows in the order of their folds; one fold when there are none."""
        x = with_zeros(x)
        bounds = np.array([0, len(x)])
        if folds is not None:
            order = np.argsort(folds, kind="stable")
            bounds = np.append(np.unique(folds[order], return_index=True)[1], len(x))
            if (order[1:] < order[:-1]).any():
                x, p, w = x[order], p[order], w[order]
        x, p, w = (np.ascontiguousarray(a) for a in (x, p, w))
        return FoldRows(x, p, w, bounds)

    @property
    def k(self) -> int:
        """How many classes there are."""
        return int(self.x.shape[1])

    @property
    def n_folds(self) -> int:
        """How many folds have rows."""
        return len(self.bounds) - 1

    def fold(self, place: int) -> slice:
        """The rows of a fold."""
        return slice(int(self.bounds[place]), int(self.bounds[place + 1]))

    def without(self, left_out: int | None) -> Training:
        """All folds but one, or all.

        Raises:
            InputError: the rows of those folds have no weight.
        """
        folds = tuple(place for place in range(self.n_folds) if place != left_out)
        n = sum(self.fold(place).stop - self.fold(place).start for place in folds)
        total = sum(float(self.w[self.fold(place)].sum()) for place in folds)
        if total == 0:
            what = "all weight lies in one fold, and no map can be fitted without it"
            raise InputError(what, remedy="Leave the decomposition out (--no-decompose).")
        factor = n / total
        shares = factor * self._fold_shares[list(folds)].sum(axis=0)
        freq = (shares + 1 / self.k) / (factor * total + 1)
        return Training(folds, n, factor, float(self._fold_floors[list(folds)].min()), freq)

    def parts(self, training: Training, a: Array) -> Array:
        """What a training's rows have of an array of all rows."""
        pieces = [a[self.fold(place)] for place in training.folds]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    @cached_property
    def zero(self) -> NDArray[np.bool_] | None:
        """(n, K) where q is exactly 0; None when it never is."""
        zero = np.isneginf(self.x)
        return zero if zero.any() else None

    @cached_property
    def entries(self) -> Entries:
        """Where P is not 0."""
        place = np.flatnonzero(self.p)
        row, column = np.divmod(place, self.k)
        start = np.searchsorted(row, np.arange(len(self.p) + 1))
        share = self.p.ravel()[place]
        return Entries(start, place, column, share, share * self.w[row])

    def entries_of(self, place: int) -> slice:
        """The entries of a fold's rows."""
        start = self.entries.start
        return slice(int(start[self.bounds[place]]), int(start[self.bounds[place + 1]]))

    def of_entries(self, training: Training, a: NDArray[Any]) -> NDArray[Any]:
        """What a training's rows have of an array of all entries."""
        pieces = [a[self.entries_of(place)] for place in training.folds]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def losses(self, place: int, log_c: Array) -> Array:
        """Each row's cross entropy in a fold, nats, from log c where P is not 0."""
        here, rows = self.entries_of(place), self.fold(place)
        start = self.entries.start[rows] - here.start
        return 0.0 - _row_sums(self.entries.share[here] * log_c, start)

    @cached_property
    def mass(self) -> Array:
        """(n,) weights times what P gives to classes with q > 0: no softmax map moves the rest."""
        return _row_sums(self.movable, self.entries.start[:-1])

    @cached_property
    def movable(self) -> Array:
        """The entries' weights, 0 where q is."""
        entries = self.entries
        if self.zero is None:
            return entries.weight
        return np.where(entries.of(self.zero), 0.0, entries.weight)

    @cached_property
    def _fold_shares(self) -> Array:
        """(F, K) sums of weights times P."""
        entries, found = self.entries, np.empty((self.n_folds, self.k))
        for place in range(self.n_folds):
            here = self.entries_of(place)
            found[place] = np.bincount(entries.column[here], entries.weight[here], self.k)
        return found

    @cached_property
    def _fold_floors(self) -> Array:
        least = self.x if self.zero is None else np.where(self.zero, np.inf, self.x)
        found: Array = np.minimum.reduceat(least.min(axis=1), self.bounds[:-1])
        return found

    def moments(self, family: Family, training: Training) -> Array:
        """(d,) sum of w p times the derivative of a class's score, which is linear in theta."""
        parts = [self._moments(fold, matrix=family.matrix) for fold in training.folds]
        masses, scaled, beside, zeros = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
        if family.matrix:
            return np.hstack([beside + training.floor * zeros, masses[:, None]]).ravel()
        return family.of_sums(scaled, masses)

    def _moments(self, place: int, *, matrix: bool) -> tuple[Array, ...]:
        """A fold's sums of w p by class, of w p x, and of w p beside every x and every log 0."""
        if (place, matrix) not in self._known:
            here, rows, k = self.entries_of(place), self.fold(place), self.k
            column, weight = self.entries.column[here], self.movable[here]
            masses, scaled = (
                np.bincount(column, a, k).astype(np.float64)
                for a in (weight, weight * np.where(weight > 0, self.log_q[here], 0.0))
            )
            beside = zeros = np.zeros((k, k) if matrix else 0)
            if matrix:
                target = np.zeros((rows.stop - rows.start, k))
                target.ravel()[self.entries.place[here] - rows.start * k] = weight
                finite = self.x[rows]
                if self.zero is not None:
                    zeros = target.T @ self.zero[rows].astype(np.float64)
                    finite = np.where(self.zero[rows], 0.0, finite)
                beside = target.T @ finite
            self._known[place, matrix] = masses, scaled, beside, zeros
        return self._known[place, matrix]

    @cached_property
    def _known(self) -> dict[tuple[int, bool], tuple[Array, ...]]:
        return {}

    @cached_property
    def edges(self) -> Edges:
        """The entries' places between the log-odds of classes in their order."""
        return Edges(*(self.entries.of(x) for x in Edges.of(self.x)))

    @cached_property
    def log_q(self) -> Array:
        """The entries' log q."""
        return self.entries.of(self.x)

    def sums(self, passes: Sequence[Pass]) -> list[Array]:
        """(F, `sums_size`) sums of each pass, fold by fold; zeros for folds that it leaves out.

        Blocks of rows go over the cores and are added up in their order.
        """
        blocks = [(i, *block) for i, one in enumerate(passes) for block in self._blocks(one)]
        sizes = [sums_size(self.k, one.order, matrix=one.family.matrix) for one in passes]
        maps = [self._map(one.family, one.theta, one.training) for one in passes]

        def block(task: tuple[int, int, slice]) -> Array:
            place, _, rows = task
            order, out = passes[place].order, np.zeros(sizes[place])
            if not maps[place].sums(rows, mass, order, out):
                numpy_sums(maps[place], rows, mass, order, out)
            return out

        mass = self.mass
        tasks = over_cores(block, blocks)
        found = [np.zeros((self.n_folds, size)) for size in sizes]
        for (place, fold, _), sums in zip(blocks, tasks, strict=True):
            found[place][fold] += sums
        return found

    def _blocks(self, one: Pass) -> list[tuple[int, slice]]:
        size = sums_size(self.k, one.order, matrix=one.family.matrix)
        n = len(self.x)
        step = max(LEAST_NUMBERS // self.k, n // BLOCKS, n * size // MOST_SUMS, 1)
        step += -step % 64
        return [
            (fold, slice(start, min(start + step, self.fold(fold).stop)))
            for fold in one.training.folds
            for start in range(self.fold(fold).start, self.fold(fold).stop, step)
        ]

    def at_entries(self, kind: Kind, theta: Array, training: Training) -> Array:
        """A softmax map's probabilities where P is not 0: as long as the entries."""
        family, entries = FAMILIES[kind], self.entries
        out = np.empty(len(entries.column))
        if self._map(family, theta, training).at(entries.start, entries.column, out):
            return out
        m = pure_map(kind, family.named(theta, self.k), self.x, training.floor)
        return entries.of(m)

    def _map(self, family: Family, theta: Array, training: Training) -> SoftmaxMap:
        return SoftmaxMap(self.x, *family.scale_and_bias(theta, self.k), training.floor)


class Entries(NamedTuple):
    """Where P is not 0, row after row.

    Args:
        start: (n + 1,) row i has those from start[i] to start[i + 1].
        place: where they are in an (n, K) array that lies in one piece.
        column: their classes.
        share: P there.
        weight: P times the row's weight.
    """

    start: NDArray[np.int64]
    place: NDArray[np.int64]
    column: NDArray[np.int64]
    share: Array
    weight: Array

    def spread(self, a: NDArray[Any]) -> NDArray[Any]:
        """What an (n,) array has in their rows."""
        return np.repeat(a, np.diff(self.start))

    def of(self, x: NDArray[Any]) -> NDArray[Any]:
        """What an (n, K) array has there."""
        return x.ravel()[self.place]


def _row_sums(a: Array, start: NDArray[np.int64]) -> Array:
    """Sums of what each row's entries have, from where they start; every row has one."""
    return a if len(a) == len(start) else np.add.reduceat(a, start)
