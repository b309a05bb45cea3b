"""Which class a label is: by its name, by its value, or by its position."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.checks import first_bad, whole_numbers
from pandq.errors import InputError, near_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
TRUTH = {"true": True, "false": False}


def value_of(text: str) -> bool | float | None:
    """What a class name is worth as a number or a truth value, if it is one.

    >>> value_of("2.0"), value_of("-1"), value_of("True"), value_of("cat")
    (2, -1, True, None)
    """
    if text.lower() in TRUTH:
        return TRUTH[text.lower()]
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else _key(float(text))


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Class names and what they are worth; made by `distinct`."""

    names: tuple[str, ...]
    numbers: bool  # all are numbers, or all truth values
    truths: bool
    plain: bool  # none is either, so that a number can only be a position
    places: dict[str, int]
    by_value: dict[Any, int]

    def place(self, label: str | float) -> int:
        """A label's place, or -1 if it is none of these."""
        if isinstance(label, str):
            value = None if label in self.places else value_of(label)
            if value is None or (self.truths and not isinstance(value, bool)):
                return self.places.get(label, -1)
            label = value
        return self.by_value.get(_key(label), -1)

    def are_positions(self, labels: NDArray[Any]) -> bool:
        """Can these numbers be read as positions, because nothing else is possible or different?"""
        if self.plain or len(labels) == 0:
            return True
        same = list(self.by_value) == list(range(len(self.names)))
        return same and bool(((labels >= 0) & (labels < len(self.names))).all())


def distinct(classes: Sequence[object]) -> ClassNames:
    """Class names, all different.

    Raises:
        InputError: two are the same, or are the same number.

    >>> distinct([1, 2]).names
    ('1', '2')
    """
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise InputError(what="classes are a list of names", got=repr(classes))
    return _distinct(tuple(map(str, classes)))


@lru_cache(maxsize=32)
def _distinct(names: tuple[str, ...]) -> ClassNames:
    values = [value_of(name) for name in names]
    kinds = {None if value is None else isinstance(value, bool) for value in values}
    numbers, truths = len(kinds) == 1 and None not in kinds, kinds == {True}
    keys: list[Any] = list(names)
    if numbers:
        keys = [_key(value) for value in values if value is not None]
    if len(set(keys)) < len(keys):
        alike = Counter(keys).most_common(1)[0][0]
        got = [name for name, key in zip(names, keys, strict=True) if key == alike]
        raise InputError(
            what="two classes have the same name",
            got=" and ".join(map(repr, got[:2])),
            remedy="Each class needs a name of its own.",
        )
    places = {name: k for k, name in enumerate(names)}
    by_value = {key: k for k, key in enumerate(keys)} if numbers else {}
    return ClassNames(names, numbers, truths, kinds <= {None}, places, by_value)


def class_codes(labels: NDArray[Any], classes: ClassNames) -> NDArray[np.intp]:
    """Each label's place among the classes.

    Text is a name. Numbers and truth values are names where all classes are such, and positions
    where none is.

    Args:
        labels: (n,) text, numbers or truth values.
        classes: in the order of Q's columns.

    Returns:
        (n,) positions; those that labels are as given may be out of range.

    Raises:
        InputError: a label is no class name, or may be read either way.

    >>> class_codes(np.array([1, 2, 1]), distinct(["2", "1"]))
    array([1, 0, 1])
    >>> class_codes(np.array([1, 0]), distinct(["cat", "dog"]))
    array([1, 0])
    """
    if labels.dtype.kind in "iufb":
        if classes.are_positions(labels):
            return whole_numbers("Labels", labels)
        if not classes.numbers or (classes.truths and labels.dtype.kind != "b"):
            raise _either(classes)
    unique, inverse = np.unique(labels, return_inverse=True)
    places = np.array([classes.place(label) for label in unique.tolist()], dtype=np.intp)
    codes: NDArray[np.intp] = places[inverse.reshape(-1)]
    unknown = codes < 0
    if unknown.any():
        name = labels[int(unknown.argmax())].item()
        remedy = near_names(str(name), classes.names)
        remedy += "" if isinstance(name, str) else " Numbers that are class names match by value."
        marks = not isinstance(name, str) and name < 0
        remedy = not_counting(name) if marks else remedy
        remedy += "" if marks or "Did you mean" in remedy else f" {not_counting(name)}"
        first_bad("Labels", unknown[:, None], f"is no class name, got {name!r}", remedy)
    return codes


def names_beside(
    own: tuple[str, ...] | None, given: Sequence[object] | None
) -> tuple[str, ...] | None:
    """The class names that were given, or those that P has of its own.

    Raises:
        InputError: P has some of them for other columns.

    >>> names_beside(("a", "b"), None), names_beside(None, ["x", "y"])
    (('a', 'b'), ('x', 'y'))
    """
    if given is None:
        return own
    names = distinct(given).names
    if own is not None and names != own and set(names) & set(own):
        raise InputError(
            what="the class names are not those of P, or are in another order",
            got=f"{', '.join(names)}; P's are {', '.join(own)}",
            remedy="Give P the classes in the order of Q's columns: Votes(labels, classes=[...]).",
        )
    return names


# What marks the rows that do not count, in sets for language models and their libraries.
PADDING = -100


def padding(what: str, option: str, *, where: str = "", got: str = "") -> InputError:
    """The error for labels that mark what does not count, of which nobody said that they do.

    >>> print(padding("column 'y' holds labels", "--ignore-label"))
    column 'y' holds labels of -100, which mark what does not count. To leave these out: ...
    """
    return InputError(
        what=f"{what} of {PADDING}, which mark what does not count",
        where=where,
        got=got,
        remedy=f"To leave these out: {option} {PADDING}; where it is a class, name all of them:"
        " --classes.",
    )


def not_counting(label: object) -> str:
    """How to leave out the rows of a label that is no class."""
    return (
        f"To leave out rows of this label: x[y != {label!r}] (on the command line:"
        f" --ignore-label {shlex.quote(str(label))})."
    )


def _key(x: float) -> float:
    """One key for one value: 1.0 and True are 1."""
    return int(x) if np.isfinite(x) and x == int(x) else x


def _either(classes: ClassNames) -> InputError:
    few = ", ".join(classes.names[:5]) + (", ..." if len(classes.names) > 5 else "")
    return InputError(
        what="labels that are numbers may be positions of these classes, or their names",
        got=few,
        remedy="For names, give the labels as text; for positions, give the classes names that are"
        " neither numbers nor true and false.",
    )
