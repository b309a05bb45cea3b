"""MultiLabel: each class its own yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from pandq.core.checks import as_array
from pandq.core.classes import distinct
from pandq.core.numerics import BFLOAT16, widen
from pandq.errors import InputError, RowError, near_names
from pandq.views.base import places
from pandq.views.labels import Labels
from pandq.views.logits import Logits
from pandq.views.probs import Probs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.views.base import Index, View

# What the numbers of one class are: whether it holds, how probable it is, or its log-odds.
Numbers = Literal["labels", "probs", "logits"]
ANSWERS = ("no", "yes")
EACH: dict[Numbers, Callable[[Any], View]] = {
    "labels": lambda x: Labels.trusted(x.astype(np.int64), len(ANSWERS)),
    "probs": Probs.binary,
    "logits": Logits.binary,
}


@dataclass(frozen=True, slots=True, eq=False)
class MultiLabel:
    """n rows of K classes of which any number may hold; each is a distribution of no and yes.

    Made by `labels`, `probs` or `logits`, which say what the numbers are. `pandq.audit` takes a P
    and a Q of this kind class by class.

    >>> p = MultiLabel.labels([["cat"], [], ["cat", "dog"]], ["cat", "dog"])
    >>> p.of_class(0).array, p.of_class(1).array
    (array([1, 0, 1]), array([0, 0, 1]))
    """

    array: NDArray[Any]
    numbers: Numbers
    classes: tuple[str, ...] | None = None

    @classmethod
    def labels(cls, rows: Iterable[Iterable[object]], classes: Sequence[object] | int) -> Self:
        """The classes that hold in each row.

        Args:
            rows: of each row the classes that hold, by name or by number; [] where none does.
            classes: the names in order, or how many classes there are.

        Raises:
            InputError: a row names a class that there is not, or one twice.
        """
        names = classes if not isinstance(classes, int) else range(classes)
        lists = [list(row) for row in rows]
        of = np.repeat(np.arange(len(lists)), [len(row) for row in lists])
        flat = [str(name) for row in lists for name in row]
        table = held("MultiLabel", len(lists), of, flat, tuple(map(str, names)))
        return cls(table, "labels", None if isinstance(classes, int) else distinct(classes).names)

    @classmethod
    def probs(cls, x: ArrayLike) -> Self:
        """The probability of each class, or 0 and 1.

        Args:
            x: (n, K) numbers from 0 to 1, of which a row need not sum to one.

        Raises:
            InputError: one is missing, or is no probability.
        """
        array = _matrix(x)
        _refuse(array, np.isnan, "is missing (NaN)", "")
        _refuse(
            array,
            lambda some: (some < 0) | (some > 1),
            "is not between 0 and 1",
            "Log-odds are MultiLabel.logits(x); divide percentages by 100.",
        )
        return cls(array, "probs")

    @classmethod
    def logits(cls, x: ArrayLike) -> Self:
        """The log-odds of each class, of which its probability is the sigmoid.

        Args:
            x: (n, K) numbers.

        Raises:
            InputError: one is missing, or is +inf.
        """
        array = _matrix(x)
        _refuse(array, np.isnan, "is missing (NaN)", "")
        _refuse(array, np.isposinf, "is +inf", "")
        return cls(array, "logits")

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Index) -> Self:
        return type(self)(self.array[places(rows, len(self))], self.numbers, self.classes)

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self.array.shape[1])

    @property
    def kind(self) -> str:
        """What its numbers are."""
        return self.numbers

    def of_class(self, k: int) -> View:
        """Whether class `k` holds: a view of n rows over no and yes."""
        return EACH[self.numbers](self.array[:, k])


def held(
    view: str, n: int, rows: NDArray[np.intp], labels: Sequence[str], classes: Sequence[str]
) -> NDArray[np.bool_]:
    """Which classes hold in each row.

    Args:
        view: what to call the labels in errors.
        n: how many rows there are.
        rows: (m,) the row of each label.
        labels: m names.
        classes: K names.

    Returns:
        (n, K) truth values.

    Raises:
        RowError: a label is no class, or comes twice in a row.

    >>> held("x", 2, np.array([1]), ["b"], ["a", "b"]).astype(int).tolist()
    [[0, 0], [0, 1]]
    """
    known = distinct(classes)
    place = {name: known.place(name) for name in set(labels)}
    codes = np.array([place[name] for name in labels], np.intp)
    if (codes < 0).any():
        at = int((codes < 0).argmax())
        problem = f"has the label {labels[at]!r}, which is no class"
        remedy = near_names(labels[at], classes)
        raise RowError(view=view, row=int(rows[at]), problem=problem, remedy=remedy)
    times = np.zeros((n, len(classes)), np.int64)
    np.add.at(times, (rows, codes), 1)
    if (times > 1).any():
        row, k = np.argwhere(times > 1)[0]
        problem = f"has the label {classes[k]!r} {times[row, k]} times"
        remedy = "If there is a 0 or 1 for each class, these are probs and not labels."
        raise RowError(view=view, row=int(row), problem=problem, remedy=remedy)
    return times > 0


def _matrix(x: ArrayLike) -> NDArray[Any]:
    array = as_array("MultiLabel", x)
    array = widen(array) if array.dtype == BFLOAT16 else array
    if array.ndim != 2 or array.dtype.kind not in "iufb":
        what = "MultiLabel needs one number for each row and class"
        raise InputError(what, got=f"shape {array.shape} of {array.dtype}")
    return array


def _refuse(
    array: NDArray[Any], bad: Callable[[Any], NDArray[np.bool_]], problem: str, remedy: str
) -> None:
    found = bad(array)
    if found.any():
        row, k = np.argwhere(found)[0]
        told, got = f"class {k} {problem}", f"{array[row, k]:g}"
        raise RowError(view="MultiLabel", row=int(row), problem=told, got=got, remedy=remedy)
