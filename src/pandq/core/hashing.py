"""Identity to well-mixed bits: folds, samples and bootstrap weights depend on a row's id alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels.builds import build
from pandq.core.numerics import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(x: Keys, salt: int = 0) -> Keys:
    """SplitMix64's finaliser: a bijection of 64-bit words that scatters nearby ones.

    Args:
        x: any shape, uint64.
        salt: what each word is xor-ed with before.

    Returns:
        Same shape, uint64.

    Source: Steele, Lea and Flood 2014, figure 15.

    >>> mix(np.zeros(1, dtype=np.uint64))
    array([16294208416658607535], dtype=uint64)
    """
    chosen = build()
    if chosen is not None:
        x = np.require(x, np.uint64, ["C", "A"])
        out = np.empty(x.shape, np.uint64)
        chosen.mix(x.ctypes.data, int(salt), x.size, out.ctypes.data)
        return out
    with np.errstate(over="ignore"):
        z = (x ^ np.uint64(salt)) + _STEP
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
        return z ^ (z >> np.uint64(31))


def hash_ids(ids: NDArray[Any], *, seed: int = 0) -> Keys:
    """64 bits for each id, the same in any chunk and on any machine.

    Args:
        ids: (n,) integers, floats or strings.
        seed: another seed gives unrelated bits.

    Returns:
        (n,) uint64.

    >>> hash_ids(np.array(["a", "b", "a"]))[[0, 2]]
    array([10361829843645232397, 10361829843645232397], dtype=uint64)
    """
    start = mix(np.array([seed], dtype=np.uint64))
    if ids.dtype.kind in "iub":
        return mix(ids.astype(np.int64, copy=False).view(np.uint64), start[0])
    if ids.dtype.kind == "f":
        # + 0.0 gives -0.0 and 0.0, which are equal, the same bits
        return mix((ids.astype(np.float64, copy=False) + 0.0).view(np.uint64), start[0])
    text = ids.astype(np.str_)
    letters = text.view(np.uint32).reshape(len(text), -1) if text.nbytes else None
    state = np.repeat(start, len(text))
    for place in range(0 if letters is None else letters.shape[1]):
        letter = letters[:, place]  # type: ignore[index]
        # padding depends on the longest string of the chunk, so it must leave no trace
        state = np.where(letter == 0, state, mix(state ^ letter.astype(np.uint64)))
    return state


def hash_rows(x: NDArray[Any]) -> Keys:
    """64 bits for what each row holds: the same for rows that are equal, in any chunk.

    Args:
        x: (n, ...) numbers of any type.

    Returns:
        (n,) uint64.

    >>> first, second, third = hash_rows(np.array([[0.5, 0.0], [0.0, 0.5], [0.5, -0.0]]))
    >>> bool(first == third), bool(first == second)
    (True, False)
    """
    flat = np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:]))
    if flat.dtype.kind == "f":
        flat = flat + flat.dtype.type(0)  # -0.0 and 0.0, which are equal, become the same bits
    bits = flat.view(f"u{flat.itemsize}")
    places = mix(np.arange(bits.shape[1], dtype=np.uint64))
    out = np.empty(len(bits), np.uint64)
    for rows in blocks(*bits.shape):
        out[rows] = mix(bits[rows] ^ places).sum(axis=1, dtype=np.uint64)
    return mix(out)


def fold_of(keys: Keys, n_folds: int) -> NDArray[np.intp]:
    """Which of `n_folds` each hashed id belongs to.

    >>> np.bincount(fold_of(hash_ids(np.arange(10_000)), 2))
    array([4937, 5063])
    """
    return (mix(keys) % np.uint64(n_folds)).astype(np.intp)
