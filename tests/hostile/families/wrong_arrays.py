"""What stands where an array should, in each of the views."""

from __future__ import annotations

import array
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import pandq
from tests.hostile import truth
from tests.hostile.case import Answer

Call = Callable[[], Any]
Found = tuple[str, Call, dict[str, Any]]

PROBS = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]])
N, K = PROBS.shape


class Lies:
    """Says that it is an array, and hands over text."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array(["a", "b"])


class Subclass(np.ndarray):
    """An array that counts its rows wrongly."""

    def __len__(self) -> int:
        return 10**6


def _unaligned(x: np.ndarray) -> np.ndarray:
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    found = buffer[1:].view()[: x.nbytes].view(x.dtype) if x.nbytes else x
    found = found.reshape(x.shape)
    found[...] = x
    return found


def _masked(x: Any) -> Any:
    return np.ma.masked_array(x, mask=np.arange(np.size(x)).reshape(np.shape(x)) == 1)


def _pandas(x: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(x)


def _polars(x: Any) -> Any:
    import polars as pl

    return pl.DataFrame(x)


def _arrow(x: Any) -> Any:
    import pyarrow as pa

    return pa.array(np.asarray(x).tolist())


def _sparse(x: Any) -> Any:
    from scipy import sparse

    return sparse.csr_matrix(x)


# What may be made of right probabilities, and whether it still says the same.
WRAPPED: dict[str, tuple[Answer, Callable[[Any], Any]]] = {
    "lists": ("must", lambda x: x.tolist()),
    "tuples": ("must", lambda x: tuple(map(tuple, x.tolist())) if x.ndim > 1 else tuple(x)),
    "columns first": ("must", np.asfortranarray),
    "every other number of a wider array": ("must", lambda x: np.repeat(x, 2, axis=-1)[..., ::2]),
    "backwards and back": ("must", lambda x: x[::-1][::-1]),
    "negative strides": ("must", lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1]),
    "unaligned": ("must", _unaligned),
    "read-only": ("must", lambda x: np.broadcast_to(x, x.shape)),
    "big-endian": ("must", lambda x: x.astype(x.dtype.newbyteorder(">"))),
    "a matrix": ("may", np.asmatrix),
    "long doubles": ("may", lambda x: x.astype(np.longdouble)),
    "objects": ("may", lambda x: x.astype(object)),
    "numbers as text": ("may", lambda x: x.astype(str)),
    "complex": ("never", lambda x: x + 0j),
    "complex that are not real": ("never", lambda x: x + 1j),
    "masked": ("never", _masked),
    "masked nowhere": ("may", np.ma.masked_array),
    "a data frame": ("may", _pandas),
    "a frame of polars": ("may", _polars),
    "an Arrow array": ("may", _arrow),
    "sparse": ("may", _sparse),
    "a subclass that miscounts": ("may", lambda x: x.view(Subclass)),
    "a view of memory": ("may", lambda x: memoryview(np.ascontiguousarray(x))),
    "with an axis more": ("never", lambda x: x[None, None]),
    "with a missing one": ("never", lambda x: [*x.tolist()[:-1], None]),
    "a generator": ("never", lambda x: (row for row in x)),
    "a function": ("never", lambda x: lambda: x),
    "a dict": ("never", lambda x: dict(enumerate(x.tolist()))),
    "ragged": ("never", lambda x: [*x.tolist()[:-1], [0.1] * 7]),
    "of dates": ("never", lambda x: np.full(x.shape, np.datetime64("2024-01-01"))),
    "structured": ("never", lambda x: np.zeros(len(x), [("a", "f8"), ("b", "f8")])),
    "texts of bytes": ("never", lambda x: np.full(x.shape, b"ab")),
}
THINGS: dict[str, Any] = {
    "None": None,
    "text": "probs",
    "bytes": b"\x00\x01",
    "a number": 3.5,
    "NaN": float("nan"),
    "nothing": [],
    "nothing in nothing": [[]],
    "a class": int,
    "Ellipsis": ...,
    "a set": {0.5},
    "what lies": Lies(),
    "an array of no axes": np.array(0.5),
    "no rows": np.zeros((0, 3)),
    "no columns": np.zeros((3, 0)),
    "five axes": np.zeros((1, 1, 1, 1, 1)),
    "a module": os,
    "an array of bytes": array.array("b", [1, 2]),
    "a view": pandq.Probs(PROBS),
    "2^80": 2**80,
}
VIEWS: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "Probs": (pandq.Probs, PROBS),
    "LogProbs": (pandq.LogProbs, np.log(PROBS)),
    "Logits": (pandq.Logits, np.log(PROBS) + 1.0),
    "Counts": (pandq.Counts, np.array([[1, 2, 0], [3, 0, 1], [0, 0, 2], [1, 1, 1]])),
    "Labels": (lambda x: pandq.Labels(x, 3), np.array([0, 2, 1, 1])),
    "Probs.binary": (pandq.Probs.binary, PROBS[:, 0]),
    "Logits.binary": (pandq.Logits.binary, np.log(PROBS[:, 0])),
    "Probs.normalised": (pandq.Probs.normalised, 3 * PROBS),
}


def _shares(name: str, x: np.ndarray) -> np.ndarray:
    """The distributions that a view of this name means, by NumPy alone."""
    kinds = {"Probs": "probs", "LogProbs": "logprobs", "Logits": "logits", "Counts": "counts"}
    if name == "Labels":
        return np.eye(3)[x]
    if name.endswith("binary"):
        one = x if name.startswith("Probs") else 1 / (1 + np.exp(-x))
        return np.stack([1 - one, one], axis=1)
    if name == "Probs.normalised":
        return x / x.sum(axis=1, keepdims=True)
    return np.exp(truth.log_law(kinds[name], x))


def _measured(view: Any) -> dict[str, Any]:
    """Entropies of a view's rows, and its number of rows."""
    return {"entropy": pandq.entropy(view).tolist(), "rows": len(view)}


def _wrapped(name: str, answer: Answer, wrap: Callable[[Any], Any]) -> tuple[Call, dict[str, Any]]:
    make, x = VIEWS[name]
    p = _shares(name, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = -np.where(p > 0, p * np.log(p), 0).sum(axis=1)
    places = {f"entropy.{i}": float(h) for i, h in enumerate(right)}
    if answer == "must" and x.dtype.kind in "iu" and "text" in wrap.__name__:
        answer = "may"
    return lambda: _measured(make(wrap(x))), {"truth": places, "answer": answer}


def wrong_arrays() -> Iterator[Found]:
    """Each view of each thing."""
    for name, (make, _) in VIEWS.items():
        for called, (answer, wrap) in WRAPPED.items():
            yield f"{name} of {called}", *_wrapped(name, answer, wrap)
        for called, thing in THINGS.items():
            # a single number or a single row has a meaning for some of them
            some = called in (
                "a number",
                "an array of no axes",
                "no rows",
                "nothing",
                "an array of bytes",
            )
            expected: Answer = "may" if some else "never"
            yield (
                f"{name} of {called}",
                lambda m=make, t=thing: _measured(m(t)),
                {"answer": expected},
            )
