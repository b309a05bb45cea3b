"""Answers as people hold them, ragged and with gaps: their class, who gave them, and once each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pandq.core.checks import is_number
from pandq.core.classes import class_codes, distinct, value_of
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.views.base import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Duplicates = Literal["refuse", "first", "last"]
VIEW = "Votes"
_NAMED = 3  # of the names that a note quotes
# How people and platforms write that nobody answered.
GAPS = frozenset(["n/a", "na", "nan", "null", "-", "--", "?", "missing", "skip", "skipped"])


def listed(values: Iterable[Any]) -> list[Any]:
    """A column of any library as a list of Python's own values."""
    for way in ("to_pylist", "tolist", "to_list"):
        if callable(listed := getattr(values, way, None)):
            found = listed()
            return found if isinstance(found, list) else [found]
    return list(values)


def ragged_rows(what: str, given: Iterable[object]) -> list[list[Any]]:
    """A list for each row; one that is None, or NaN, is empty.

    Raises:
        ViewTypeError: it is a view, or is no sequence.
        InputError: a row is no sequence.
    """
    if isinstance(given, str | bytes | View | Mapping) or not isinstance(given, Iterable):
        remedy = "Counts go where Votes do." if isinstance(given, View) else ""
        raise ViewTypeError(
            what=f"{what} of Votes are a sequence for each row",
            got=type(given).__name__,
            remedy=remedy,
        )
    rows: list[list[Any]] = []
    for row, several in enumerate(listed(given)):
        if several is None or (isinstance(several, float) and math.isnan(several)):
            rows.append([])
            continue
        if isinstance(several, str | bytes | Mapping) or not isinstance(several, Iterable):
            raise RowError(
                view=VIEW,
                row=row,
                problem="is not a sequence of labels",
                got=repr(several),
                remedy="One answer an entry is Votes.from_columns(items, labels, annotators);"
                " one label a row is Labels(y).",
            )
        rows.append(listed(several))
    return rows


def aligned(annotators: Iterable[object], lengths: NDArray[np.int64]) -> list[Any]:
    """Who gave each label, one after the other.

    Raises:
        InputError: their lengths are not the labels'.
    """
    given = listed(annotators)
    if given and all(
        isinstance(x, str) or not isinstance(x, Sized) for x in given if x is not None
    ):
        other = lengths != len(given)
        if other.any():
            row = int(other.argmax())
            got = f"{lengths[row]} labels for {len(given)} annotators"
            problem = "has another length than the list of annotators"
            raise RowError(VIEW, row, problem, got=got)
        return given * len(lengths)
    rows = ragged_rows("annotators", given)
    if len(rows) != len(lengths):
        got = f"{len(rows)} and {len(lengths)}"
        raise InputError(what="annotators and labels have different numbers of rows", got=got)
    for row, (several, length) in enumerate(zip(rows, lengths, strict=True)):
        if len(several) != length:
            got = f"{length} labels and {len(several)} annotators"
            problem = "has labels without annotators, or the reverse"
            raise RowError(VIEW, row, problem, got=got)
    return [who for several in rows for who in several]


def is_gap(x: object) -> bool:
    """Is this a gap?"""
    return x is None or (isinstance(x, float) and math.isnan(x)) or type(x).__name__ == "NAType"


def name_of(x: object) -> str | None:
    """A label or a person as text: a whole number has no point in it."""
    if is_gap(x):
        return None
    if isinstance(x, float | np.floating) and math.isfinite(x) and x == int(x):
        return str(int(x))
    return x.decode() if isinstance(x, bytes) else str(x)


def coded(
    labels: list[Any], rows: NDArray[np.int64], classes: Sequence[object] | None
) -> tuple[tuple[str, ...], NDArray[np.int32], list[str]]:
    """Class names, each label's place among them, and what is to be told of them.

    Raises:
        InputError: a label is none of them, or two of those found are the same number.
    """
    if classes is None:
        names = [str(name_of(label)) for label in labels]
        found = _ordered(set(names))
        place = {name: k for k, name in enumerate(found)}
        codes = np.array([place[name] for name in names], dtype=np.int32)
        answers = np.bincount(codes, minlength=len(found)).tolist()
        return found, codes, told_of_labels(dict(zip(found, answers, strict=True)))
    named = distinct(classes)
    array = np.array(labels) if labels else np.zeros(0, dtype=np.intp)
    texts = [isinstance(label, str) for label in labels]
    if any(texts) and not all(texts):
        array = np.array([name_of(label) for label in labels], dtype=np.str_)
    try:
        places_of = class_codes(array, named)
    except RowError as error:
        raise RowError(
            VIEW,
            int(rows[error.row]),
            f"has a label that {error.problem}",
            got=error.got,
            remedy=error.remedy,
        ) from None
    outside = (places_of < 0) | (places_of >= len(named.names))
    if outside.any():
        at = int(outside.argmax())
        problem = f"has a class out of range for {len(named.names)} classes, counted from 0"
        raise RowError(VIEW, int(rows[at]), problem, got=str(places_of[at]))
    return named.names, places_of.astype(np.int32), []


def _ordered(names: set[str]) -> tuple[str, ...]:
    """Class names in their order: by value where all are numbers, else as text."""
    values = {name: value_of(name) for name in names}
    if all(value is not None and not isinstance(value, bool) for value in values.values()):
        found = sorted(names, key=lambda name: (values[name], name))
    else:
        found = sorted(names)
    return distinct(found).names


def told_of_labels(answers: Mapping[str, int]) -> list[str]:
    """What is to be said of labels that are classes as they stand, and may not be meant as such.

    Args:
        answers: how many there are of each label.

    >>> told_of_labels({"Cat": 1, "cat ": 2, "dog": 5})
    ["labels that differ by capitals or blanks alone are classes apart: 'Cat' (1), 'cat ' (2)"]
    """
    alike: dict[str, list[str]] = {}
    for name in answers:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
    several = [some for some in alike.values() if len(some) > 1]
    apart = [", ".join(f"{x!r} ({answers[x]:,})" for x in some) for some in several]
    more = [f"{len(apart) - _NAMED:,} more"] if len(apart) > _NAMED else []
    told = "labels that differ by capitals or blanks alone are classes apart: "
    said = [told + "; ".join([*apart[:_NAMED], *more])] if apart else []
    return said + [
        f"{name!r} is a class, of {answers[name]:,} answers: if it stands for no answer, leave it"
        f' out (on the command line: --skip "{name}")'
        for spelt in alike
        if spelt in GAPS
        for name in alike[spelt]
    ]


def people(who: list[Any], rows: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Annotators' names, sorted as classes are, and each answer's place among them.

    Raises:
        RowError: of an answer it is not known.
    """
    names = [name_of(x) for x in who]
    if None in names:
        raise RowError(
            VIEW,
            int(rows[names.index(None)]),
            "has a label whose annotator is missing",
            got=f"{names.count(None):,} of {len(names):,} answers without one",
            remedy="Leave these answers out, or give no annotators.",
        )
    known = sorted({str(name) for name in names}, key=by_value)
    place = {name: k for k, name in enumerate(known)}
    return tuple(known), np.array([place[str(name)] for name in names], dtype=np.int32)


def by_value(name: str) -> tuple[bool, float, str]:
    """Numbers first, by value; then text."""
    value = value_of(name)
    text = value is None or isinstance(value, bool)
    return text, 0.0 if text or value is None else float(value), name


def check_first(first: object) -> None:
    """Refuse what is no number of votes.

    Raises:
        InputError: it is none.
    """
    if not is_number(first, Integral) or not first >= 1:  # type: ignore[operator]
        raise InputError(what="first is a whole number of votes, from 1", got=repr(first))


def among_first(rows: NDArray[Any], n: int, first: int) -> NDArray[np.bool_]:
    """Which answers are among the first of their row.

    Args:
        rows: (m,) the row of each answer, ascending.
        n: how many rows there are.
        first: how many of a row count.

    >>> among_first(np.array([0, 0, 0, 2]), 3, 2).tolist()
    [True, True, False, True]
    """
    starts = np.searchsorted(rows, np.arange(n))
    kept: NDArray[np.bool_] = np.arange(len(rows)) - starts[rows] < first
    return kept


def told_of_first(first: int, later: int, short: int) -> str:
    """What is to be said of votes of which only the first of each row count.

    >>> told_of_first(2, 40, 0)
    'only the first 2 votes of each row count: 40 later ones were left out'
    """
    said = f"only the first {first} votes of each row count: {later:,} later ones were left out"
    return f"{said}, and {short:,} rows have fewer than {first}" if short else said


def once_each(
    rows: NDArray[np.int64],
    by: NDArray[np.int32],
    people: tuple[str, ...],
    duplicates: Duplicates,
    items: NDArray[Any] | None,
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which answers stay: one of each annotator to each row.

    Raises:
        InputError: there are several, and it was not said which counts.
    """
    if duplicates not in ("refuse", "first", "last"):
        raise InputError(what='duplicates is "refuse", "first" or "last"', got=repr(duplicates))
    order = np.lexsort((by, rows))  # stable: of two, the earlier answer first
    same = (np.diff(rows[order]) == 0) & (np.diff(by[order]) == 0)
    n = int(same.sum())
    stays = np.ones(len(rows), dtype=bool)
    if n == 0:
        return stays, []
    if duplicates == "refuse":
        at = order[1:][same].min()
        item = f"row {rows[at]}" if items is None else f"item {str(items[rows[at]])!r}"
        raise InputError(
            what="an annotator answered an item twice",
            got=f"{people[by[at]]!r} on {item}; {n:,} such answers in all",
            remedy='duplicates="first" or "last" says which answer counts (on the command line:'
            " --duplicates first).",
        )
    stays[order[1:][same] if duplicates == "first" else order[:-1][same]] = False
    s = "s were" if n > 1 else " was"
    return stays, [
        f"{n:,} answer{s} left out: of an annotator's several to one item the {duplicates} counts"
    ]
