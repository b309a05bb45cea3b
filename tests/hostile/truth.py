"""What is right: NumPy alone, from the numbers that were written."""

from __future__ import annotations

from typing import Any

import numpy as np


def log_law(kind: str, x: Any) -> np.ndarray:
    """Logarithms of the rows' distributions.

    Raises:
        ValueError: a row is none.
    """
    x = np.asarray(x, float)
    with np.errstate(divide="ignore", over="ignore"):
        if kind == "logits":
            top = x.max(axis=1, keepdims=True)
            if not np.isfinite(top).all():
                raise ValueError("no softmax")
            x = x - top
            return x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        if kind == "counts":
            whole = np.isfinite(x).all() and (x >= 0).all() and (x == np.floor(x)).all()
            if not whole or not (x.sum(axis=1) > 0).all():
                raise ValueError("no votes")
            return np.log(x) - np.log(x.sum(axis=1, keepdims=True))
        law = np.exp(x) if kind == "logprobs" else x
        if not (np.abs(law.sum(axis=1) - 1) <= 1.01e-6).all() or not (law >= 0).all():
            raise ValueError("no distribution")
        return x if kind == "logprobs" else np.log(x)


def one_hot(labels: Any, k: int) -> np.ndarray:
    """Labels as distributions.

    Raises:
        ValueError: one is no class.
    """
    y = np.asarray(labels, float)
    if y.ndim != 1 or not np.isin(y, np.arange(k)).all():
        raise ValueError("no class")
    return np.log(np.eye(k), where=np.eye(k) > 0, out=np.full((k, k), -np.inf))[y.astype(int)]


def losses(log_p: np.ndarray, log_q: np.ndarray, w: Any = None) -> dict[str, float | None]:
    """Averages of H(P,Q), H(P) and their number of rows, by their places in an audit's JSON.

    Raises:
        ValueError: there are no rows, or weights that are none.
    """
    p = np.exp(log_p)
    if len(p) == 0 or p.shape != log_q.shape:
        raise ValueError("no rows, or other classes")
    w = np.ones(len(p)) if w is None else np.asarray(w, float)
    if not (np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0):
        raise ValueError("no weights")
    with np.errstate(invalid="ignore"):
        cross = -np.where(p > 0, p * log_q, 0).sum(axis=1)
        plain = -np.where(p > 0, p * log_p, 0).sum(axis=1)
    used = w > 0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = [float(np.average(x[used], weights=w[used])) for x in (cross, plain)]
    return {"cross_entropy.value": mean[0], "entropy.value": mean[1], "n": len(p)}
