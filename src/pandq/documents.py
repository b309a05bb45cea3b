"""Documents: JSON that somebody may have edited, of which nothing is taken on trust.

What is no JSON of the standard (NaN, 1e400, a key given twice) is refused on reading. What a value
must be is said where it is used, `document["eps"].number(0, 1)`, and an error names its place.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pandq.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A matrix map of 2,000 classes has 100 MB.
MOST_BYTES = 1 << 28
LARGEST = 2**63 - 1
MOST_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a document, with its place in it.

    Args:
        it: the value as it was parsed.
        file: where the document lies, for errors.
        kind: what the document should be, for errors: "recalibration map".
        remedy: what to do if it is not.
        place: of the value in the document; "" for the document itself.

    >>> Value({"eps": 2}, kind="map")["eps"].number(0, 1)
    Traceback (most recent call last):
        ...
    pandq.errors.InputError: is no map: eps must be a number from 0 to 1, got 2
    """

    it: Any
    file: str = ""
    kind: str = "document"
    remedy: str = ""
    place: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any] | Value, kind: str, remedy: str = "") -> Value:
        """A document that is in memory already."""
        return given if isinstance(given, Value) else cls(given, "", kind, remedy)

    def refuse(self, why: str, got: str | None = None) -> NoReturn:
        """Raise an InputError that names the document, the value's place and what is wrong."""
        what = f"is no {self.kind}: {self.place} {why}" if self.place else f"is no {self.kind}"
        shown = _short(self.it) if got is None else got
        raise InputError(what, where=self.file, got=shown, remedy=self.remedy)

    def __getitem__(self, name: str) -> Value:
        """What an object has under a name.

        Raises:
            InputError: it is no object, or lacks the name.
        """
        if name not in self._object():
            within = f"{self.place} lacks" if self.place else "it lacks"
            what = f"is no {self.kind}: {within} {name!r}"
            raise InputError(what, where=self.file, remedy=self.remedy)
        return self._at(self.it[name], name)

    def get(self, name: str) -> Value | None:
        """The same; None where there is nothing, or null."""
        found = self[name] if name in self._object() else None
        return None if found is None or found.it is None else found

    def entries(self) -> dict[str, Value]:
        """All of an object."""
        return {name: self._at(item, name) for name, item in self._object().items()}

    def only(self, *names: str) -> None:
        """Refuse an object with other names than these."""
        others = [name for name in self._object() if name not in names]
        if others:
            self._at(None, others[0]).refuse("has no meaning here", got="")

    def items(self) -> list[Value]:
        """All of a list."""
        if not isinstance(self.it, list | tuple):
            self.refuse("must be a list")
        return [
            replace(self, it=item, place=f"{self.place}[{i}]") for i, item in enumerate(self.it)
        ]

    def schema(self, name: str) -> None:
        """Refuse a document of another schema."""
        found = self._object().get("schema")
        if found != name:
            what = f"is no {self.kind}: its schema must be {name}"
            raise InputError(what, where=self.file, got=_short(found), remedy=self.remedy)

    def text(self) -> str:
        """A text that can be written again."""
        if not isinstance(self.it, str):
            self.refuse("must be a text")
        try:
            self.it.encode()
        except UnicodeEncodeError:
            self.refuse("must be a text of whole characters", got=ascii(self.it)[:60])
        return str(self.it)

    def texts(self) -> tuple[str, ...]:
        """A list of different texts, such as the names of classes."""
        found = tuple(item.text() for item in self.items())
        if len(set(found)) < len(found):
            self.refuse("must be different texts")
        return found

    def one_of(self, *choices: str) -> str:
        """One of some texts."""
        if not isinstance(self.it, str) or self.it not in choices:
            self.refuse(f"must be one of {', '.join(choices)}")
        return self.it

    def truth(self) -> bool:
        """True or false."""
        if not isinstance(self.it, bool):
            self.refuse("must be true or false")
        return self.it

    def whole(self, low: int = 0, high: int = LARGEST) -> int:
        """A whole number within limits."""
        if type(self.it) is not int or not low <= self.it <= high:
            self.refuse(f"must be a whole number{_range(low, None if high == LARGEST else high)}")
        return int(self.it)

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within limits."""
        x = _float(self.it)
        if x is None or not math.isfinite(x) or not low <= x <= high:
            self.refuse(f"must be a number{_range(low, high)}")
        return x

    def array(
        self,
        *shape: int | None,
        low: float = -math.inf,
        high: float = math.inf,
        infinite: bool = False,
    ) -> NDArray[np.float64]:
        """Nested lists of numbers within limits as an array, float64.

        Args:
            shape: how long it must be along each axis; None for any length.
            low: the least that a number may be.
            high: the largest.
            infinite: whether "inf" and "-inf" are numbers here.

        Raises:
            InputError: a list of another length, or no number.
        """
        lists, sizes = [self.it], []
        for size in shape:
            if not all(isinstance(x, list | tuple) for x in lists):
                self.refuse(f"must be numbers of shape {_shape(shape)}", got="something else")
            lengths = {len(x) for x in lists}
            if len(lengths) > 1 or (size is not None and lengths != {size}):
                self.refuse(f"must have the shape {_shape(shape)}", got="another")
            sizes.append(lengths.pop() if lengths else 0)
            lists = list(chain.from_iterable(lists))
        numbers = [_float(x, infinite=infinite) for x in lists]
        if None in numbers:
            self.refuse("must hold nothing but numbers", got=_short(lists[numbers.index(None)]))
        found = np.array(numbers, dtype=np.float64).reshape(sizes)
        wrong = ~((found >= low) & (found <= high) & (np.isfinite(found) | infinite))
        if wrong.any():
            self.refuse(f"must hold numbers{_range(low, high)}", got=f"{found[wrong][0]:g}")
        return found

    def _object(self) -> Mapping[str, Any]:
        if not isinstance(self.it, Mapping):
            self.refuse("must be an object")
        return self.it

    def _at(self, item: Any, name: str) -> Value:
        inside = f"{self.place}.{name}" if self.place else name
        return replace(self, it=item, place=inside if len(inside) <= 80 else inside[:77] + "...")


def read_document(path: str | Path, kind: str, remedy: str = "") -> Value:
    """A JSON object in a file.

    Args:
        path: the file.
        kind: what it should be, for errors: "recalibration map".
        remedy: what to do if it is not.

    Raises:
        InputError: it is not there, or is no JSON object.
    """
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(what="cannot be read", where=str(path), got=str(error.strerror)) from None
    if len(text) > MOST_BYTES:
        got = f"more than {MOST_BYTES >> 20} MB"
        raise InputError(what=f"is too large for a {kind}", where=str(path), got=got, remedy=remedy)
    return parsed(text, Value(None, str(path), kind, remedy))


def parsed(text: bytes | str, origin: Value) -> Value:
    """A JSON object from its text; `origin` says where it is from.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode()
        found = json.loads(
            decoded,
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        origin.refuse("", got="lists within lists without an end")
    except ValueError as error:
        reason = "bytes that are no UTF-8" if isinstance(error, UnicodeError) else str(error)
        what = f"is no JSON, and so no {origin.kind}"
        raise InputError(what, where=origin.file, got=reason, remedy=origin.remedy) from None
    if not isinstance(found, dict):
        what = f"is no JSON object, and so no {origin.kind}"
        raise InputError(what, where=origin.file, remedy=origin.remedy)
    return replace(origin, it=found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        message = f"the key {_short(twice)} twice"
        raise ValueError(message)
    return found


def _no_number(text: str) -> NoReturn:
    message = f"{text}, which is no number of JSON's"
    raise ValueError(message)


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        _no_number(_short(text))
    return found


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        message = "a number of too many digits"
        raise ValueError(message)
    return int(text)


def _float(it: Any, *, infinite: bool = False) -> float | None:
    """A number as a float; None for what is none."""
    if infinite and it in ("inf", "-inf"):
        return float(it)
    if isinstance(it, bool) or not isinstance(it, int | float):
        return None
    try:
        return float(it)
    except OverflowError:
        return None


def _range(low: float, high: float | None) -> str:
    high = math.inf if high is None else high
    if low == -math.inf and high == math.inf:
        return ""
    if high == math.inf:
        return f" of at least {low:g}"
    return f" of at most {high:g}" if low == -math.inf else f" from {low:g} to {high:g}"


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _short(it: Any) -> str:
    """A value for an error, never long."""
    if isinstance(it, list | tuple | Mapping):
        return f"{'an object' if isinstance(it, Mapping) else 'a list'} of {len(it)}"
    if isinstance(it, int) and it.bit_length() > 100:
        return "a number of too many digits"
    try:
        text = json.dumps(it)
    except (TypeError, ValueError):
        text = type(it).__name__
    return text if len(text) <= 60 else text[:57] + "..."
