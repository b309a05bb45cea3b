"""Thousands of calls of a kernel that was compiled with sanitizers: run by test_sanitizers.py."""

import os
import sys
from unittest import mock

import numpy as np
import pytest

from pandq.core import hashing
from pandq.core.kernels import dirichlet, maps, parts, run
from pandq.core.numerics import BFLOAT16

if __name__ != "__main__":
    pytest.skip("runs in a process of its own", allow_module_level=True)
sys.path.insert(0, sys.argv[1])
import _asan

STORED = [*map(np.dtype, ("f4", "f8", "f2", "i1", "i4", "i8", "u2", "u8")), BFLOAT16]
SIZES = [1, 2, 3, 63, 64, 65, 130, 2047, 2048, 2049, 4100]
ENDS = [0.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-45, -1.0, 65504.0]
rng = np.random.default_rng(int(sys.argv[2]))


def numbers(n, k, dtype):
    """Any numbers, in any layout, at the very end of their memory."""
    room = (n + 1, k * 2) if rng.random() < 0.3 else (n, k)
    x = rng.normal(size=room) * 10.0 ** rng.integers(-3, 3)
    odd = rng.random(room) < rng.choice([0.0, 0.1])
    x[odd] = rng.choice(ENDS, odd.sum())
    if dtype == BFLOAT16:
        found = (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16)
    else:
        with np.errstate(all="ignore"):
            found = x.astype(dtype)
    if room != (n, k):
        found = found[1:, ::2] if rng.random() < 0.5 else found[:-1, k:][::-1, ::-1]
    elif rng.random() < 0.2:
        found = np.asfortranarray(found)
    elif rng.random() < 0.2:
        memory = np.empty(found.nbytes + 1, np.uint8)
        moved = memory[1:].view(found.dtype).reshape(n, k)
        moved[...] = found
        found = moved
    return found


def any_map(n, k):
    """A softmax map of any numbers, in any order of sums, and at any of its classes."""
    matrix = k <= 65 and rng.random() < 0.5
    order = maps.FIRST if matrix and k > 30 else int(rng.integers(maps.FULL + 1))
    scale = rng.normal(size=(k, k) if matrix else k)
    x, mass = numbers(n, k, np.dtype("f8")), rng.random(n)
    one = maps.SoftmaxMap(x, scale, numbers(1, k, np.dtype("f8"))[0], -9.0)
    first = int(rng.integers(n))
    assert one.sums(slice(first, n), mass, order, np.zeros(maps.sums_size(k, order, matrix=matrix)))
    there = rng.random((n, k)) < 0.1
    start = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    column = np.nonzero(there)[1]
    inside = np.empty(len(column))
    assert one.at(start, column, inside)
    maps.mixture_sums(inside.copy(), inside, column, rng.random(k), 0.1, [slice(0, len(column))])


def any_row_map(k):
    """A map of any numbers that ends in a mixture."""
    freq, eps, limit = rng.random(k), rng.choice([0.0, 0.1]), rng.choice([-640.0, -np.inf])
    kind = int(rng.integers(3 if k == 2 else 2))
    if kind == parts.SOFTMAX:
        scale = rng.normal(size=(k, k) if k <= 64 and rng.random() < 0.5 else k)
        bias = numbers(1, k, np.dtype("f8"))[0]
        return parts.RowMap(kind, freq, eps, limit, scale, bias, -9.0)
    m = int(rng.integers(1, 9))
    knots, levels = np.sort(numbers(1, m, np.dtype("f8"))[0]), np.sort(rng.random(m))
    return parts.RowMap(kind, freq, eps, limit, knots=knots, levels=levels)


def any_parts(p_kind, p, q_kind, q):
    """Rows under any maps; labels may be no class."""
    n, k = q.shape
    maps_ = [any_row_map(k) for _ in range(3)]
    folds = rng.integers(0, 3, n)
    assert maps_[0].of(numbers(n, k, np.dtype("f8"))) is not None
    if rng.random() < 0.5:
        assert parts.row_parts(p_kind, p, q_kind, q, folds, maps_) is not None
        return
    labels = rng.integers(0, k, n)
    if rng.random() < 0.2:
        labels[rng.integers(n)] = rng.choice([-1, k, 2**62, -(2**63)])
    try:
        parts.row_parts("labels", labels, q_kind, q, folds, maps_)
    except ValueError:
        assert not ((labels >= 0) & (labels < k)).all()


def any_votes(n, k):
    """Dirichlet mixtures of any parameters, of votes of which some rows have none."""
    counts = rng.integers(0, rng.choice([2, 5, 60]), (n, k)) * (rng.random((n, k)) < 0.4)
    log_q, features = numbers(n, k, np.dtype("f8")), numbers(n, 2, np.dtype("f8"))
    theta = numbers(3, 7 + k if rng.random() < 0.5 else 7, np.dtype("f8"))
    told = dirichlet.VotesInTiles(counts, log_q, features)
    assert told.sums(theta, np.zeros(1 + 3 * (7 + k)))


def one_call():
    """Any kernel on any arrays; labels may be anything, also no class."""
    n, k = int(rng.integers(1, 140)), int(rng.choice(SIZES))
    n = min(n, 6) if k > 200 else n
    kinds = ("counts", "probs", "logprobs", "logits")
    kind, other = rng.choice(kinds, 2)
    x, y = (numbers(n, k, STORED[rng.integers(len(STORED))]) for _ in range(2))
    what = rng.integers(8)
    if what == 0:
        run.first_doubt(kind, x, 1e-6)
        run.law_sums(kind, x, rng.choice([None, 1.0]) and rng.random(n))
    elif what == 1:
        run.measured(other, y, kind, x, whole=bool(rng.integers(2)))
    elif what == 2:
        labels = rng.integers(0, k, n)
        if rng.random() < 0.2:
            labels[rng.integers(n)] = rng.choice([-1, k, 2**62, -(2**63)])
        try:
            run.measured("labels", labels, kind, x, only=rng.choice([None, *run.LABEL_NAMES]))
        except ValueError:
            assert not ((labels >= 0) & (labels < k)).all()
    elif what == 3:
        name, parameter = (
            rng.choice(run.DIVERGENCES),
            float(rng.choice([0.01, 0.3, 0.5, 2.0, 50.0])),
        )
        run.divergence(name, parameter, other, y, kind, x)
    elif what == 4:
        any_map(min(n, 70), k)
    elif what == 5:
        any_parts(other, y, kind, x)
    elif what == 6:
        any_votes(n, min(k, 65))
    else:
        d, groups = int(rng.integers(1, 17)), int(rng.integers(1, 9))
        group = rng.integers(0, groups, n)
        centre = rng.normal(size=(groups, d)) if rng.random() < 0.5 else None
        if wrong := rng.random() < 0.2:
            group[rng.integers(n)] = rng.choice([-1, groups, 2**62])
        run.central_sums(numbers(n, d, np.dtype("f8")), rng.normal(size=d))
        hashing.mix(rng.integers(0, 2**64, n, dtype=np.uint64), int(rng.integers(2**63)))
        try:
            run.group_sums(group, groups, rng.normal(size=(n, d)), None, centre)
            assert not wrong
        except IndexError:
            assert wrong


with (
    mock.patch.object(hashing, "build", return_value=_asan),
    mock.patch.object(run, "build", return_value=_asan),
    mock.patch.object(dirichlet, "build", return_value=_asan),
    mock.patch.object(maps, "build", return_value=_asan),
    mock.patch.object(parts, "build", return_value=_asan),
):
    for _ in range(int(sys.argv[3])):
        one_call()
sys.stdout.write("done\n")
sys.stdout.flush()
os._exit(0)  # what Python itself leaves at its end is no matter here
