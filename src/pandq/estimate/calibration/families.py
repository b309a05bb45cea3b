"""Families of softmax maps: which parameters multiply what, and the derivatives that follow.

A map scores class k by ``scale_k log q_k + bias_k``, or with a matrix by ``sum_j scale_kj log q_j +
bias_k``; its scores are linear in its parameters, so the cross entropy against soft targets is
convex.  All its derivatives are made of the same sums over rows (`core/kernels/maps.h`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from pandq.core.kernels import maps as kernel
from pandq.core.kernels.maps import BIASES, DIAGONAL, FIRST, FULL, SCALE
from pandq.estimate.calibration.newton import FLAT, BlockCurvature, DenseCurvature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pandq.core.kernels.maps import SoftmaxMap
    from pandq.estimate.calibration.newton import Curvature
    from pandq.recalibrator import Kind

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """Which parameters a map has.

    Args:
        scale: "common", one factor of log q; "own", one for each class; "matrix", (K, K).
        bias: whether each class has a summand of its own.
        tilt: whether biases also have a part that rises evenly with the class, which has a ridge of
            its own: of classes in their order that is the likeliest one.
    """

    scale: Literal["common", "own", "matrix"]
    bias: bool
    tilt: bool = False

    @property
    def matrix(self) -> bool:
        """Whether every class is scored from all."""
        return self.scale == "matrix"

    def theta(self, a: float, k: int) -> Array:
        """The parameters that make it a temperature map of scale a."""
        if self.matrix:
            return np.hstack([a * np.eye(k), np.zeros((k, 1))]).ravel()
        scales = np.full(1 if self.scale == "common" else k, a)
        return np.concatenate([scales, np.zeros(self.tilt + (k if self.bias else 0))])

    def ridge(self, on_scale: float, on_bias: float, on_tilt: float, k: int) -> Array:
        """Strengths of the ridge on each parameter; none on a common scale."""
        if self.matrix:
            scales = np.where(np.eye(k) == 1, on_scale, (k - 1) * on_scale)
            return np.hstack([scales, np.full((k, 1), on_bias)]).ravel()
        scales = np.zeros(1) if self.scale == "common" else np.full(k, on_scale)
        biases = np.full(k if self.bias else 0, on_bias)
        return np.concatenate([scales, np.full(int(self.tilt), on_tilt), biases])

    def scale_and_bias(self, theta: Array, k: int) -> tuple[Array, Array]:
        """(K,) or (K, K) factors of log q and (K,) summands."""
        if self.matrix:
            table = theta.reshape(k, k + 1)
            return np.ascontiguousarray(table[:, :k]), np.ascontiguousarray(table[:, k])
        scale = np.full(k, theta[0]) if self.scale == "common" else theta[:k]
        bias = theta[-k:] if self.bias else np.zeros(k)
        return scale, bias + theta[-k - 1] * steps(k) if self.tilt else bias

    def of_sums(self, scaled: Array, masses: Array) -> Array:
        """What sums of each class times its score's slopes, log q and 1, are of each parameter."""
        scales = scaled.sum(keepdims=True) if self.scale == "common" else scaled
        if not self.bias:
            return scales
        tilt = [masses @ steps(len(masses))] if self.tilt else []
        return np.concatenate([scales, tilt, masses])

    def named(self, theta: Array, k: int) -> dict[str, Array]:
        """The parameters as a Recalibrator has them."""
        scale, bias = self.scale_and_bias(theta, k)
        name = {"common": "a", "own": "v", "matrix": "W"}[self.scale]
        found = {name: np.array(theta[0]) if self.scale == "common" else scale}
        return found | {"b": bias} if self.bias else found

    def order(self, k: int) -> int:
        """Which sums its curvature is made of."""
        if not self.bias:
            return SCALE
        if self.matrix or k <= kernel.SHORT_CLASSES:
            return FULL
        return BIASES if self.scale == "common" else DIAGONAL


def steps(k: int) -> Array:
    """(K,) numbers that rise evenly from class to class, of mean 0 and length 1.

    >>> steps(3).round(6).tolist()
    [-0.707107, 0.0, 0.707107]
    """
    rising = np.arange(k) - (k - 1) / 2
    return rising / np.linalg.norm(rising)


FAMILIES: Mapping[Kind, Family] = {
    "temperature": Family("common", bias=False),
    "bias": Family("common", bias=True),
    "ordered": Family("common", bias=True, tilt=True),
    "vector": Family("own", bias=True),
    "matrix": Family("matrix", bias=True),
}


class RowSums(NamedTuple):
    """Sums over rows, m the map's probabilities of a row, s its weight, x its log q.

    Args:
        log_z: of s log Z.
        mean: of s sum_k m_k x_k.
        square: of s sum_k m_k x_k^2.
        mean_squared: of s (sum_k m_k x_k)^2.
        norm: of s^2 sum_k m_k^2.
        classes: (6, K) of s times m, m x, m^2, m x^2, m^2 x, m^2 x^2; zero for a matrix.
        products: as `products_of` says, padded.
    """

    log_z: float
    mean: float
    square: float
    mean_squared: float
    norm: float
    classes: Array
    products: list[Array]

    @staticmethod
    def of(raw: Array, k: int, order: int, *, matrix: bool) -> RowSums:
        """The sums that a kernel wrote one after the other."""
        at = kernel.NUMBERS + kernel.PER_CLASS * k
        classes = raw[kernel.NUMBERS : at].reshape(kernel.PER_CLASS, k)
        products = []
        for shape in kernel.products_of(k, order, matrix=matrix):
            size = shape[0] * shape[1]
            products.append(raw[at : at + size].reshape(shape))
            at += size
        log_z, mean, square, mean_squared, norm = (float(x) for x in raw[: kernel.NUMBERS])
        return RowSums(log_z, mean, square, mean_squared, norm, classes, products)


def gradient_of(family: Family, sums: RowSums) -> Array:
    """Sum over rows of s sum_k m_k dz_k / dtheta."""
    k = sums.classes.shape[1]
    if family.matrix:
        return sums.products[0][:k, : k + 1].ravel()
    if not family.bias:
        return np.array([sums.mean])
    masses, scaled = sums.classes[:2]
    return family.of_sums(scaled, masses)


def curvature_of(family: Family, sums: RowSums, factor: float, ridge: Array) -> Curvature:
    """The Hessian of the loss, times a factor, and of a ridge; of many classes its blocks."""
    k = sums.classes.shape[1]
    if family.matrix:
        hessian = _matrix_hessian(sums.products[1], k)
    elif not family.bias:
        variance = sums.square - sums.mean_squared
        # less is what rounding leaves of a difference
        hessian = np.array([[variance if variance > FLAT * sums.square else 0.0]])
    elif sums.products:
        hessian = _scales_and_biases(sums, k)
        if family.scale == "common":
            # one parameter moves all scales
            joined = np.vstack([hessian[:k].sum(axis=0), hessian[k:]])
            hessian = np.hstack([joined[:, :k].sum(axis=1, keepdims=True), joined[:, k:]])
        if family.tilt:
            # and one all biases
            moved = np.vstack([np.eye(1, k + 1), np.append(0.0, steps(k)), np.eye(k + 1)[1:]])
            hessian = moved @ hessian @ moved.T
    else:
        m, mx, mm, mxx, mmx, mmxx = sums.classes
        if family.scale == "common":
            first = sums.square - sums.mean_squared
            diagonal, beside = np.concatenate([[first], m - mm]), None
        else:
            diagonal, beside = np.concatenate([mxx - mmxx, m - mm]), factor * (mx - mmx)
        return BlockCurvature(factor * diagonal, ridge, beside, k)
    return DenseCurvature(factor * hessian + np.diag(ridge))


def _scales_and_biases(sums: RowSums, k: int) -> Array:
    """Hessian in scales and biases: sum of s (diag - t t^T) with t = (m x, m)."""
    m, mx, mxx = (np.diag(x) for x in sums.classes[[0, 1, 3]])
    hessian: Array = np.block([[mxx, mx], [mx, m]]) - sums.products[0][: 2 * k, : 2 * k]
    return hessian


def _matrix_hessian(pairs: Array, k: int) -> Array:
    """sum_i s_i (diag(m_i) - m_i m_i^T) kron f_i f_i^T, from pairs of classes by pairs of f.

    Source: multinomial logistic regression; Kull et al. 2019 (Dirichlet calibration).
    """
    of_classes, of_features = _pair_places(k), _pair_places(k + 1)
    blocks = pairs[of_classes][:, :, of_features]
    return blocks.transpose(0, 2, 1, 3).reshape(k * (k + 1), k * (k + 1))


def _pair_places(n: int) -> NDArray[np.intp]:
    """(n, n) where each pair stands among those of i <= j, row after row."""
    found = np.zeros((n, n), np.intp)
    found[np.triu_indices(n)] = np.arange(n * (n + 1) // 2)
    return np.maximum(found, found.T)


def numpy_sums(one: SoftmaxMap, rows: slice, mass: Array, order: int, out: Array) -> None:
    """What `SoftmaxMap.sums` writes, where there is no kernel."""
    x, mass, matrix = one.x[rows], mass[rows], one.scale.ndim == 2
    k = x.shape[1]
    scale, bias = one.scale[:k], one.bias[:k]
    zero = np.isneginf(x)
    x = np.where(zero, one.floor, x)
    z = x @ scale.T + bias if matrix else x * scale + bias
    z[zero] = -np.inf
    top = z.max(axis=1)
    m = np.exp(z - top[:, None])
    total = m.sum(axis=1)
    m /= total[:, None]
    sums = RowSums.of(out, k, order, matrix=matrix)
    sm = mass[:, None] * m
    out[0] = mass @ (top + np.log(total))
    if matrix:
        f = np.hstack([x, np.ones((len(x), 1))])
        sums.products[0][:k, : k + 1] = sm.T @ f
        if order == FULL:
            i, j = np.triu_indices(k)
            u, v = np.triu_indices(k + 1)
            apart = np.where(i == j, 1 - m[:, i], -m[:, j])
            sums.products[1][: len(i), : len(u)] = (sm[:, i] * apart).T @ (f[:, u] * f[:, v])
        return
    mx = m * x
    if order != FIRST:
        mean = mx.sum(axis=1)
        out[1:4] = mass @ mean, mass @ (mx * x).sum(axis=1), mass @ np.square(mean)
        out[4] = np.square(sm).sum()
    terms = (m, mx, m * m, mx * x, m * mx, mx * mx)
    for row, term in zip(sums.classes, terms[: (0, 2, 3, 6, 6)[order]], strict=False):
        row[:] = mass @ term
    if sums.products:
        t = np.hstack([mx, m])
        sums.products[0][: 2 * k, : 2 * k] = (mass[:, None] * t).T @ t
