"""Arrays to kernels: blocks of rows over all cores, the same bits however they are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.columns import Columns
from pandq.core.kernels.builds import build
from pandq.core.numerics import storage_name
from pandq.core.threads import n_threads, over_cores
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

    Rows = NDArray[np.float64]
    Described = tuple[int, int, int, int]

# As the enumerations in laws.h, labels.h, pairs.h and matrix.h.
KINDS = {"counts": 0, "probs": 1, "logprobs": 2, "logits": 3}
LABEL_NAMES = ("cross_entropy", "accuracy", "brier", "confidence", "q_entropy", "q_class")
NAMES = (
    "cross_entropy",
    "entropy",
    "kl",
    "kl_reverse",
    "accuracy",
    "brier",
    "confidence",
    "expected_accuracy",
    "q_entropy",
    "p_class",
    "q_class",
    "p_confidence",
    "q_mass",
)
# As the enumeration in divergences.h.
DIVERGENCES = (
    "js",
    "jeffreys",
    "total_variation",
    "hellinger",
    "chi2",
    "renyi",
    "renyi_largest",
    "alpha",
)
STORAGE = {
    "float32": 0,
    "float64": 1,
    "float16": 2,
    "bfloat16": 3,
    "int8": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "uint8": 8,
    "bool": 8,
    "uint16": 9,
    "uint32": 10,
    "uint64": 11,
}
# A task has at least this many numbers, far more than starting one costs,
TASK_NUMBERS = 1 << 17
# or, where numbers are only looked at, as quickly as they are read, this many;
LOOK_NUMBERS = 1 << 20
# and there are about so many for each thread, few enough to share out evenly.
TASKS = 8
# Rows of so few classes go through tiles of so many rows; a task is a whole number of them.
TILE_ROWS = 64
# As MOST_COLUMNS of groups.h.
MOST_COLUMNS = 16
# So many rows stay in a core's cache while NumPy multiplies them.
BLOCK_ROWS = 1 << 12
# The rows of a result do not start at one address modulo a power of two.
PAD = 8


def measured(
    p_kind: str,
    p: NDArray[Any],
    q_kind: str,
    q: NDArray[Any],
    *,
    whole: bool = True,
    only: str | None = None,
) -> dict[str, Rows] | None:
    """Every measure of each row, by its name.

    Args:
        p_kind: the kind of P: labels, counts, probs, logprobs or logits.
        p: (n,) class numbers, or (n, K) of any number type; also bits of BFLOAT16.
        q_kind: the kind of Q, not labels.
        q: (n, K), likewise.
        whole: without it brier and q_entropy of two laws are left out, which is quicker.
        only: the one measure that is wanted; of labels nothing else is then given memory.

    Returns:
        (n,) float64 each, in nats where it has a unit: for labels LABEL_NAMES, else NAMES. None
        where no kernel was compiled, or none is for these arrays. Where several classes share the
        largest probability, p_class or q_class is TIED; of two laws accuracy,
        expected_accuracy and q_mass are
        then of the first of them, and the caller's to put right (for labels accuracy is right).

    Raises:
        MemoryError: rows of so many classes do not fit into memory.
        InputError: a label that was checked has been changed since, and is no class.

    Rows must have been found sound (`first_doubt`). Logits stored in float32 or less are summed
    in single precision within blocks of 2048 classes; anything else in double precision.

    >>> found = measured("labels", np.array([0]), "probs", np.array([[0.75, 0.25]]))
    >>> found is None or float(found["brier"][0])
    0.125
    """
    chosen, x = build(), described(q_kind, q)
    if chosen is None or x is None or 0 in q.shape:
        return None
    n, k = q.shape
    if p_kind == "labels":
        y = np.require(p, np.int64, ["C", "A"])
        names = LABEL_NAMES if only is None else (only,)
        wanted = sum(1 << LABEL_NAMES.index(name) for name in names)

        def labels(build: ModuleType, rows: slice, out: int, stride: int) -> None:
            kind, here = KINDS[q_kind], _moved(x, rows.start)
            at, count = y.ctypes.data + 8 * rows.start, rows.stop - rows.start
            done = build.labels(at, kind, here, count, k, wanted, out, stride)
            require_labels(done == count, k)

        return columns_of(names, chosen, labels, n, k)
    other = described(p_kind, p)
    if other is None:
        return None

    def laws(build: ModuleType, rows: slice, out: int, stride: int) -> None:
        mine, theirs = _moved(other, rows.start), _moved(x, rows.start)
        count = rows.stop - rows.start
        build.laws(KINDS[p_kind], mine, KINDS[q_kind], theirs, count, k, whole, out, stride)

    found = columns_of(NAMES, chosen, laws, n, k)
    return {name: found[name] for name in NAMES if whole or name not in ("brier", "q_entropy")}


def divergence(
    name: str, parameter: float, p_kind: str, p: NDArray[Any], q_kind: str, q: NDArray[Any]
) -> Rows | None:
    """One of DIVERGENCES of each row.

    Args:
        name: which.
        parameter: P's weight for js; alpha, neither 1 nor infinite, for renyi and alpha.
        p_kind: the kind of P: counts, probs, logprobs or logits.
        p: (n, K) of any number type; also bits of BFLOAT16.
        q_kind: the kind of Q, likewise.
        q: (n, K), likewise.

    Returns:
        (n,) float64; None where no kernel was compiled, or none is for these arrays.

    Raises:
        MemoryError: rows of so many classes do not fit into memory.

    Rows must have been found sound (`first_doubt`).

    >>> p, q = np.array([[1.0, 0.0]]), np.array([[0.75, 0.25]])
    >>> found = divergence("total_variation", 0.0, "probs", p, "probs", q)
    >>> found is None or float(found[0])
    0.25
    """
    chosen, x, other = build(), described(q_kind, q), described(p_kind, p)
    if chosen is None or x is None or other is None or 0 in q.shape:
        return None
    n, k = q.shape
    which, out = DIVERGENCES.index(name), np.empty(n)

    def measure(rows: slice) -> None:
        mine, theirs = _moved(other, rows.start), _moved(x, rows.start)
        count, to = rows.stop - rows.start, out.ctypes.data + 8 * rows.start
        chosen.divergence(
            which, parameter, KINDS[p_kind], mine, KINDS[q_kind], theirs, count, k, to
        )

    mapped(measure, n, k)
    return out


def first_doubt(kind: str, x: NDArray[Any], tolerance: float) -> int | None:
    """The first row that may not be what it is said to be; n if all are, None if nobody looked.

    >>> first_doubt("probs", np.array([[0.5, 0.5], [0.5, 0.6]]), 1e-6) in (1, None)
    True
    """
    chosen, lies = build(), described(kind, x)
    if chosen is None or lies is None or 0 in x.shape:
        return None
    n, k = len(x), x.shape[1]

    def look(rows: slice) -> int:
        count = rows.stop - rows.start
        here = _moved(lies, rows.start)
        found: int = chosen.first_doubt(KINDS[kind], here, count, k, tolerance)
        return n if found == count else rows.start + found

    first: int = min(mapped(look, n, k, LOOK_NUMBERS))
    return first


def group_sums(
    group: NDArray[np.int64],
    size: int,
    x: Rows | Columns,
    w: Rows | None = None,
    centre: Rows | None = None,
) -> Rows:
    """The sum of w x in each group, or of w (x - centre)^2.

    Args:
        group: (n,) places from 0 to size - 1.
        size: how many groups there are.
        x: (n, d).
        w: (n,) weights, ones when left out.
        centre: (size, d) each group's own.

    Returns:
        (size, d), added up in the order of the rows: the same bits from a kernel and from NumPy.

    Raises:
        IndexError: a row's group is none of them.
        MemoryError: there is too little.

    >>> group_sums(np.array([0, 1, 0]), 2, np.array([[1.0], [2.0], [3.0]]))
    array([[4.],
           [2.]])
    """
    chosen, x = build(), Columns.of(x)
    n, d = x.shape
    if d > MOST_COLUMNS:
        halves = slice(d // 2), slice(d // 2, d)
        some = (Columns(x.T[half]) for half in halves)
        middles = (None if centre is None else centre[:, half] for half in halves)
        return np.hstack(
            [group_sums(group, size, y, w, c) for y, c in zip(some, middles, strict=True)]
        )
    out = np.zeros((size, d))
    if chosen is None:
        for j, column in enumerate(x.T):
            value = column if centre is None else np.square(column - centre[group, j])
            out[:, j] = np.bincount(group, value if w is None else value * w, size)
        return out
    group = np.require(group, np.int64, ["C", "A"])
    places = x.places()
    weight = None if w is None else np.require(w, np.float64, ["C", "A"])
    middle = None if centre is None else np.require(centre, np.float64, ["C", "A"])
    weight_at, middle_at = (0 if a is None else a.ctypes.data for a in (weight, middle))
    added = chosen.group_sums(
        group.ctypes.data, size, places.ctypes.data, weight_at, middle_at, n, d, out.ctypes.data
    )
    if added < n:
        msg = f"row {added} is of none of {size} groups"
        raise IndexError(msg)
    return out


def central_sums(x: Rows | Columns, centre: Rows, w: Rows | None = None) -> tuple[Rows, Rows]:
    """Squares and products of columns about their centres, and cubes of each, summed over the rows.

    Args:
        x: (n, d).
        centre: (d,).
        w: (n,) weights, ones when left out.

    Returns:
        (d, d) and (d,), which may overflow. A kernel's bits are those of any build; NumPy's, which
        sums with weights, depend on the BLAS.

    >>> squares, cubes = central_sums(np.array([[1.0], [2.0], [6.0]]), np.array([3.0]))
    >>> squares.tolist(), cubes.tolist()
    ([[14.0]], [18.0])
    """
    chosen, (n, d) = build(), x.shape
    m2, m3 = np.zeros((d, d)), np.zeros(d)
    if chosen is not None and w is None and d <= MOST_COLUMNS:
        columns, middle = Columns.of(x), np.require(centre, np.float64, ["C", "A"])
        places = columns.places()
        given = places.ctypes.data, middle.ctypes.data
        chosen.central_sums(*given, n, d, m2.ctypes.data, m3.ctypes.data)
        return m2, m3
    x = np.asarray(x)
    for start in range(0, n, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        apart = x[rows] - centre
        weighted = apart if w is None else apart * w[rows, None]
        m2 += weighted.T @ apart
        with np.errstate(over="ignore", invalid="ignore"):
            m3 += np.einsum("ij,ij,ij->j", weighted, apart, apart)
    return m2, m3


def law_sums(kind: str, x: NDArray[Any], w: Rows | None = None) -> Rows | None:
    """Probabilities summed over the rows, each with its weight.

    Args:
        kind: counts, probs, logprobs or logits.
        x: (n, K) of any number type; also bits of BFLOAT16.
        w: (n,) weights, ones when left out.

    Returns:
        (K,), added up in the order of the rows; None where there is no kernel for it.

    Raises:
        MemoryError: there is too little.

    >>> found = law_sums("probs", np.array([[0.75, 0.25], [0.25, 0.75]]))
    >>> found is None or found.tolist()
    [1.0, 1.0]
    """
    chosen, lies = build(), described(kind, x)
    if chosen is None or lies is None or 0 in x.shape:
        return None
    (n, k), out = x.shape, np.zeros(x.shape[1])
    weight = None if w is None else np.require(w, np.float64, ["C", "A"])
    weight_at = 0 if weight is None else weight.ctypes.data
    chosen.law_sums(KINDS[kind], lies, weight_at, n, k, out.ctypes.data)
    return out


def require_labels(fine: bool, k: int) -> None:  # noqa: FBT001
    """Refuse labels that are no longer what they were when they were checked.

    Raises:
        InputError: they are not fine.
    """
    if not fine:
        raise InputError(
            what=f"a label that was one of {k} classes when it was looked at is none now",
            remedy="Do not change labels while they are measured: Labels(y.copy()).",
        )


def columns_of(
    names: tuple[str, ...],
    chosen: ModuleType,
    kernel: Callable[[ModuleType, slice, int, int], None],
    n: int,
    k: int,
    *,
    scattered: bool = False,
) -> dict[str, Rows]:
    """(n,) float64 by name, from a kernel that is called for blocks of rows, over all cores.

    Args:
        names: of what it writes.
        chosen: the build.
        kernel: called with the build, the block, where its first row's numbers belong (of all
            rows the first one's, if they are `scattered`), and how far apart names are.
        n: how many rows there are.
        k: how many classes.
        scattered: whether a block's rows are others than those of its places.
    """
    out = np.empty((len(names), n + PAD))[:, :n]

    def measure(rows: slice) -> None:
        start = 0 if scattered else rows.start
        kernel(chosen, rows, out.ctypes.data + 8 * start, n + PAD)

    mapped(measure, n, k)
    return dict(zip(names, out, strict=True))


def mapped(task: Callable[[slice], Any], n: int, k: int, least: int = TASK_NUMBERS) -> list[Any]:
    """A task for every block of n rows of k classes, over all cores, this thread's among them."""
    threads = n_threads()
    step = max(1, least // k, n // (TASKS * threads))
    step += -step % TILE_ROWS if step > 1 and k <= TILE_ROWS else 0
    blocks = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    return over_cores(task, blocks)


def described(kind: str, x: NDArray[Any]) -> Described | None:
    """An array as the kernels take it: address, storage, strides in bytes."""
    name = storage_name(x.dtype)
    if name not in STORAGE or kind not in KINDS or not x.dtype.isnative or x.ndim != 2:
        return None
    return x.ctypes.data, STORAGE[name], x.strides[0], x.strides[1]


def _moved(x: Described, rows: int) -> Described:
    return x[0] + rows * x[2], *x[1:]
