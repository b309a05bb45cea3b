"""What pandq says when it cannot go on: what, where, got, remedy."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Self

from pandq.plain import visible

if TYPE_CHECKING:
    from collections.abc import Iterable


class PandqError(Exception):
    """Anything that pandq raises on purpose."""


class PandqWarning(RuntimeWarning):
    """Anything that pandq warns of on purpose; the command line shows no other warnings."""


class ToldError(PandqError):
    """An error whose text is built from parts, so that each layer can add what it knows.

    A view knows the row, the reader knows the file, an engine knows the worker.
    """

    def __init__(self, what: str, *, where: str = "", got: str = "", remedy: str = "") -> None:
        self.what, self.where, self.got, self.remedy = what, where, got, remedy
        super().__init__(what)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        got = f", got {self.got}" if self.got else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return visible(f"{where}{self.what}{got}{remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """An error crosses to other processes as its parts."""
        return _rebuilt, (type(self), self.__dict__)

    def at(self, where: str) -> Self:
        """The same error with a place before the place that it already names."""
        self.where = f"{where}, {self.where}" if self.where else where
        return self


def _rebuilt(kind: type[ToldError], parts: dict[str, Any]) -> ToldError:
    error = kind.__new__(kind, parts["what"])
    error.__dict__.update(parts)
    return error


class InputError(ToldError, ValueError):
    """The user's data or options cannot be used.

    >>> print(InputError("no column 'prob'", where="preds.parquet", remedy="Did you mean 'probs'?"))
    preds.parquet: no column 'prob'. Did you mean 'probs'?
    """


class EngineError(ToldError, RuntimeError):
    """What was to do the work was lost: a scheduler, its workers, or a worker's memory."""


class RowError(InputError):
    """One row of a view cannot be used; `row` counts from 0.

    >>> error = RowError("Probs", 2, "sums to 1.5 (tolerance 1e-06)", remedy="Use Logits(x).")
    >>> print(error.moved(100))
    Probs row 102 sums to 1.5 (tolerance 1e-06). Use Logits(x).
    """

    def __init__(
        self, view: str, row: int, problem: str, *, got: str = "", remedy: str = ""
    ) -> None:
        self.view, self.row, self.problem = view, row, problem
        super().__init__(f"{view} row {row} {problem}", got=got, remedy=remedy)

    def moved(self, by: int) -> Self:
        """The same error for a block of rows that starts at row `by` of the whole."""
        self.row += by
        self.what = f"{self.view} row {self.row} {self.problem}"
        return self


class ViewTypeError(InputError, TypeError):
    """Something that is not a view was given where a view is needed."""


class MissingLibraryError(PandqError, ImportError):
    """An optional library is not installed."""

    @classmethod
    def of(cls, *, library: str, what: str, install: str | None = None) -> Self:
        """The one line that says what needs it and how to get it.

        Args:
            library: its name.
            what: what needs it.
            install: what pip is given; an extra of the library's name when left out.

        >>> print(MissingLibraryError.of(library="torch", what="a network"))
        a network needs torch, which is not installed. Install it: pip install 'pandq[torch]'
        """
        given = f"'pandq[{library}]'" if install is None else install
        remedy = f"Install it: pip install {given}"
        return cls(f"{what} needs {library}, which is not installed. {remedy}")


class GateError(PandqError):
    """A limit that the user set was breached; the command line turns it into exit code 1."""


def near_names(name: str, candidates: Iterable[str]) -> str:
    """A remedy that offers the names closest to a mistyped one, or lists what there is.

    >>> near_names("prob", ["probs", "label"])
    "Did you mean 'probs'?"
    """
    known = list(candidates)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"There is: {shown}." if known else "There is none."
