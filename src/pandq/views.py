"""What an array means: a representation is a type, never a guess from values."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pandq.core.checks import (
    first_bad,
    is_number,
    one_label_per_row,
    one_number_per_row,
    rows_of_classes,
    whole_numbers,
)
from pandq.core.classes import class_codes, distinct
from pandq.core.kernels import first_doubt
from pandq.core.laws import Law
from pandq.core.numerics import BFLOAT16, blocks, row_sums, storage_name, widen
from pandq.errors import InputError, RowError, ViewTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Index = slice | NDArray[np.intp] | NDArray[np.bool_]

# How far a row's sum may lie from one: a few rounding errors of what it was stored in.
TOLERANCES = {"float64": 1e-6, "float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2}


NO_VOTES = "Leave such rows out (on the command line: --where SQL)."


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """n rows of one representation of a law over `n_classes` classes, whose names may be known."""

    array: NDArray[Any]
    n_classes: int | None
    classes: tuple[str, ...] | None = None

    kind: ClassVar[str] = "view"

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Index) -> Self:
        return self.trusted(self.array[rows], self.n_classes, self.classes)

    @classmethod
    def trusted(
        cls, array: NDArray[Any], n_classes: int | None, classes: tuple[str, ...] | None = None
    ) -> Self:
        """A view of rows that are known to be sound: nothing is checked again."""
        view = object.__new__(cls)
        object.__setattr__(view, "array", array)
        object.__setattr__(view, "n_classes", n_classes)
        object.__setattr__(view, "classes", classes)
        return view

    def law(self) -> Law:
        """The rows as probabilities and their logarithms, float64."""
        raise NotImplementedError


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
        bad = self.array < 0
        limit = "below 0"
        if self.n_classes is not None and not bad.any():
            bad = self.array >= self.n_classes
            limit = f"out of range for {self.n_classes} classes (0 to {self.n_classes - 1})"
        if bad.any():
            row = int(bad.argmax())
            raise RowError(
                view="Labels",
                row=row,
                problem=f"is {limit}",
                got=str(self.array[row]),
                remedy="Classes count from 0; labels that count otherwise need names, such as"
                " classes=[1, 2, 3] (on the command line: --classes 1,2,3).",
            )

    def of_classes(self, n_classes: int) -> Labels:
        """The same labels among `n_classes` classes."""
        return self if self.n_classes is not None else Labels(self.array, n_classes)

    def law(self) -> Law:
        """One-hot rows."""
        if self.n_classes is None:
            raise InputError(
                what="Labels alone do not say how many classes there are",
                remedy="Use Labels(y, n_classes=...).",
            )
        one_hot = np.zeros((len(self.array), self.n_classes))
        one_hot[np.arange(len(self.array)), self.array] = 1.0
        return Law.from_probs(one_hot)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class _Matrix(View):
    """A view with one number per row and class; checks its rows block by block."""

    def __init__(self, x: ArrayLike, *, tolerance: float | None = None) -> None:
        array = rows_of_classes(type(self).__name__, x)
        if tolerance is not None and not (is_number(tolerance) and tolerance >= 0):
            raise InputError(what="tolerance is a number, and not negative", got=repr(tolerance))
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "n_classes", array.shape[1])
        object.__setattr__(self, "classes", None)
        limit = TOLERANCES.get(storage_name(array.dtype), 1e-6) if tolerance is None else tolerance
        doubtful = first_doubt(self.kind, array, limit)
        if doubtful == len(array):
            return
        # what a kernel doubts, or has not seen, is looked at row by row, and put into words
        for rows in blocks(*array.shape):
            try:
                self.check(array[rows], limit)
            except RowError as error:
                raise error.moved(rows.start) from None

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Raise RowError for the first row that is no law."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Counts(_Matrix):
    """Votes: how many people chose each class.

    Args:
        n: (n, K) integers, not negative, each row with at least one vote.

    Raises:
        InputError: counts that are negative, not whole, or all zero in a row.

    >>> Counts([[3, 1]]).law().prob
    array([[0.75, 0.25]])
    """

    kind: ClassVar[str] = "counts"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Whole numbers of which at least one is positive."""
        del tolerance
        if block.dtype.kind == "f":
            first_bad("Counts", np.isnan(block), "holds NaN")
            whole = np.isfinite(block) & (block == np.floor(block))
            remedy = "Weights or soft labels are Probs(x) after dividing by their sum."
            first_bad("Counts", ~whole, "is not whole numbers of votes", remedy, block)
        first_bad("Counts", block < 0, "has a negative count", "", block)
        first_bad("Counts", block > 2**53, "has more votes than floats can count", "", block)
        remedy = NO_VOTES
        first_bad("Counts", (block == 0).all(axis=1)[:, None], "has no votes: all zero", remedy)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(n,) how many votes each row has."""
        return row_sums(self.array.astype(np.float64))

    def law(self) -> Law:
        """The votes' shares."""
        return Law.from_probs(self.array / self.votes[:, None])


def _instead_of_probs(row: NDArray[np.float64]) -> str:
    """What numbers that do not sum to one may be."""
    total = row.sum()
    if abs(total - 100) <= 1:
        return "If these are percentages, divide them by 100; to rescale, Probs.normalised(x)."
    if (row == np.floor(row)).all() and total > 1:
        return "If these are votes, use Counts(n); to rescale, Probs.normalised(x)."
    if (digits := _rounded_to(row)) is not None:
        return f"If these were rounded to {digits} digits, rescale them: Probs.normalised(x)."
    return "If these are logits, use Logits(x); to rescale, Probs.normalised(x)."


def _rounded_to(row: NDArray[np.float64]) -> int | None:
    """To how many digits numbers were rounded, if that is why they do not sum to one."""
    for digits in range(1, 9) if np.isfinite(row).all() else ():
        unit = 10.0**-digits
        if (np.abs(row - np.round(row, digits)) <= 1e-6 * unit).all():
            return digits if abs(row.sum() - 1) <= len(row) * unit / 2 else None
    return None


def _sum_told(total: float) -> str:
    """A sum, as its distance from one where it is near.

    >>> _sum_told(1.2), _sum_told(0.999999)
    ('1.2', '1 - 1e-06')
    """
    off = total - 1.0
    return f"{total:.6g}" if abs(off) >= 1e-4 else f"1 {'-' if off < 0 else '+'} {abs(off):.2g}"


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Probs(_Matrix):
    """Probabilities that sum to one in each row, within `tolerance`.

    Args:
        x: (n, K) float16/32/64, or bits of BFLOAT16; one row may be given as (K,).
        tolerance: how far a row's sum may lie from one; by default a few rounding errors of
            the storage type (float64 1e-6, float32 1e-5, float16 1e-3, bfloat16 1e-2).

    Raises:
        InputError: NaN, a negative probability, or a row that does not sum to one.

    >>> Probs([[0.9, 0.3]])
    Traceback (most recent call last):
    pandq.errors.RowError: Probs row 0 sums to 1.2 (tolerance 1e-06). If these are logits, ...
    """

    kind: ClassVar[str] = "probs"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Not negative, and summing to one."""
        x = widen(block)
        first_bad("Probs", np.isnan(x), "holds NaN")
        remedy = "If these are logits, use Logits(x)."
        first_bad("Probs", x < 0, "has a negative probability", remedy, x)
        total = x.sum(axis=1)
        off = ~(np.abs(total - 1.0) <= tolerance)
        if off.any():
            row = int(off.argmax())
            raise RowError(
                view="Probs",
                row=row,
                problem=f"sums to {_sum_told(float(total[row]))} (tolerance {tolerance:g})",
                remedy=_instead_of_probs(x[row]),
            )

    @classmethod
    def normalised(cls, x: ArrayLike) -> Probs:
        """Rows that are not negative, divided by their sums because you asked for it.

        >>> Probs.normalised([[3.0, 1.0]]).array
        array([[0.75, 0.25]])
        """
        raw = widen(rows_of_classes("Probs", x))
        first_bad("Probs", ~np.isfinite(raw), "holds NaN or infinity")
        first_bad("Probs", raw < 0, "has a negative probability", "", raw)
        # in units of each row's largest, so that no sum overflows
        largest = raw.max(axis=1, keepdims=True)
        first_bad("Probs", largest == 0, "sums to 0 and cannot be rescaled")
        shares = raw / largest
        return cls(shares / shares.sum(axis=1, keepdims=True))

    @classmethod
    def binary(cls, x: ArrayLike) -> Probs:
        """Two classes from the probability of class 1 alone.

        >>> Probs.binary([0.25]).array
        array([[0.75, 0.25]])
        """
        one = widen(one_number_per_row("Probs.binary", x))
        first_bad("Probs.binary", np.isnan(one)[:, None], "holds NaN")
        outside = (one < 0) | (one > 1)
        if outside.any():
            row = int(outside.argmax())
            raise RowError(
                view="Probs.binary",
                row=row,
                problem="is not between 0 and 1",
                got=f"{one[row]:g}",
                remedy="Log-odds are Logits.binary(x); divide percentages by 100.",
            )
        return cls(np.stack([1.0 - one, one], axis=1))

    def law(self) -> Law:
        """As given."""
        return Law.from_probs(widen(self.array))


@dataclass(frozen=True, slots=True, eq=False, init=False)
class LogProbs(_Matrix):
    """Natural logarithms of probabilities; -inf is a class of probability zero.

    Args:
        x: (n, K) float16/32/64, or bits of BFLOAT16.
        tolerance: as for Probs, of the sum of exp(x).

    Raises:
        InputError: NaN, +inf, or a row whose probabilities do not sum to one.

    >>> LogProbs(np.log([[0.5, 0.5]])).law().prob
    array([[0.5, 0.5]])
    """

    kind: ClassVar[str] = "logprobs"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Exponentials that sum to one."""
        x = widen(block)
        first_bad("LogProbs", np.isnan(x), "holds NaN")
        with np.errstate(over="ignore"):
            total = np.exp(x).sum(axis=1)
        off = ~(np.abs(total - 1.0) <= tolerance)
        if off.any():
            row = int(off.argmax())
            raise RowError(
                view="LogProbs",
                row=row,
                problem=f"has probabilities that sum to {_sum_told(float(total[row]))}"
                f" (tolerance {tolerance:g})",
                remedy="If these are not normalised, use Logits(x).",
            )

    def law(self) -> Law:
        """As given."""
        return Law.from_log_probs(widen(self.array))


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Logits(_Matrix):
    """Unnormalised log-probabilities; -inf is a forbidden class.

    Args:
        x: (n, K) float16/32/64, integers, or bits of BFLOAT16.

    Raises:
        InputError: NaN, +inf, or a row in which every class is forbidden.

    >>> Logits([[0.0, 0.0]]).law().prob
    array([[0.5, 0.5]])
    """

    kind: ClassVar[str] = "logits"

    @staticmethod
    def check(block: NDArray[Any], tolerance: float) -> None:
        """Something finite, and nothing that softmax has no answer for."""
        del tolerance
        top = widen(block).max(axis=1) if block.dtype == BFLOAT16 else widen(block.max(axis=1))
        if np.isfinite(top).all():
            return
        first_bad("Logits", np.isnan(top)[:, None], "holds NaN")
        first_bad("Logits", np.isposinf(top)[:, None], "holds +inf, which has no softmax")
        first_bad("Logits", np.isneginf(top)[:, None], "forbids every class: all -inf")

    @classmethod
    def binary(cls, x: ArrayLike) -> Logits:
        """Two classes from the log-odds of class 1 alone.

        >>> Logits.binary([0.0]).law().prob
        array([[0.5, 0.5]])
        """
        one = widen(one_number_per_row("Logits.binary", x))
        return cls(np.stack([np.zeros_like(one), one], axis=1))

    def law(self) -> Law:
        """Softmax."""
        return Law.from_logits(widen(self.array))


# Not a law: it says of most classes only what they have together (pandq.topk).
TOP_KIND = "topk"
MATRICES: dict[str, type[_Matrix]] = {view.kind: view for view in (Counts, Probs, LogProbs, Logits)}
VIEWS: dict[str, type[View]] = {Labels.kind: Labels, **MATRICES}


def require_view(name: str, value: object) -> View:
    """`value` if it is a view, else a TypeError that names the views.

    >>> require_view("p", [1.0, 0.0])
    Traceback (most recent call last):
    pandq.errors.ViewTypeError: p must say what its numbers mean, got list. Wrap it: ...
    """
    if isinstance(value, View) and type(value) is not View:
        return value
    if getattr(value, "kind", None) == TOP_KIND:
        raise partly_known(name)
    if hasattr(value, "__arrow_c_stream__"):
        raise ViewTypeError(
            what="a table does not say which column is what",
            got=type(value).__name__,
            remedy='Name them: pandq.audit(pandq.scan(table, p="KIND:COLUMN", q="KIND:COLUMN")).',
        )
    raise ViewTypeError(
        what=f"{name} must say what its numbers mean",
        got=type(value).__name__,
        remedy="Wrap it: Labels(y, n_classes=), Counts(n), Probs(x), LogProbs(x) or Logits(x).",
    )


def partly_known(name: str) -> ViewTypeError:
    """The refusal of a TopK where a law is needed."""
    return ViewTypeError(
        what=f"{name} is a TopK, which knows a law only in part",
        remedy="pandq.kl_bounds(p, q) and pandq.compare say what that allows to say.",
    )


def paired(p: object, q: object) -> tuple[View, View]:
    """P and Q as views of the same rows and classes.

    Args:
        p: a view; Labels without n_classes take Q's.
        q: a view; likewise.

    Returns:
        Both, ready for row-wise formulas.

    Raises:
        ViewTypeError: one of them is a bare array.
        InputError: their numbers of rows or classes differ.
    """
    p, q = require_view("p", p), require_view("q", q)
    if len(p) != len(q):
        raise InputError(
            what="P and Q have different numbers of rows", got=f"{len(p)} and {len(q)}"
        )
    if isinstance(p, Labels) and q.n_classes is not None:
        p = p.of_classes(q.n_classes)
    if isinstance(q, Labels) and p.n_classes is not None:
        q = q.of_classes(p.n_classes)
    if p.n_classes is None and q.n_classes is None:
        raise InputError(
            what="labels against labels do not say how many classes there are",
            remedy="Use Labels(y, n_classes=...) (on the command line: --classes a,b,...).",
        )
    if p.n_classes != q.n_classes:
        raise InputError(
            what="P and Q have different numbers of classes",
            got=f"{p.n_classes} and {q.n_classes}",
            remedy="A single score per row means two classes; else give one number per class.",
        )
    return p, q
