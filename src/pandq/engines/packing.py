"""A Summary as JSON and arrays, and back: what lies on a disk runs nobody's code.

What is no plain value is an object of one key, which says what it is: `{"array": "3"}`,
`{"Means": {...}}`. On the way back the fields' annotations say what may stand where, and the
Summary of nothing how large it may be: an axis that is empty there may have any length, but those
axes of one dataclass that are not empty the same. A Summary with a new field needs nothing here.
"""

from __future__ import annotations

import builtins
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

if typing.TYPE_CHECKING:
    from pandq.documents import Value

Arrays = dict[str, NDArray[Any]]

PLAIN = (str, int, bool, type(None))
# What NumPy's scalars may stand for.
SCALARS: dict[Any, Any] = {bool: np.bool_, int: np.integer, float: np.floating}
# What stands in the empty Summary says of which of these a value is.
FAMILIES = (np.ndarray, tuple, Mapping, str, bool)


def packed(it: Any, arrays: Arrays) -> Any:
    """A Summary as JSON values; its arrays are put into `arrays` under names of their own.

    Raises:
        TypeError: something in it has no place in a file.

    >>> arrays = {}
    >>> packed((1, np.zeros(2), np.inf), arrays)
    [1, {'array': '0'}, {'float': 'inf'}]
    >>> arrays
    {'0': array([0., 0.])}
    """
    kind = type(it)
    if is_dataclass(it):
        return {kind.__name__: {f.name: packed(getattr(it, f.name), arrays) for f in fields(it)}}
    if kind in PLAIN or (kind is float and np.isfinite(it)):
        return it
    if kind is tuple:
        return [packed(item, arrays) for item in it]
    if isinstance(it, Mapping):
        return {"mapping": {name: packed(item, arrays) for name, item in it.items()}}
    if kind is float:
        return {"float": repr(it)}  # JSON knows no infinity
    if isinstance(it, np.ndarray | np.generic):
        name = str(len(arrays))
        # sums over an array depend on how it lies
        lies_across = it.ndim > 1 and not it.flags.c_contiguous and it.flags.f_contiguous
        arrays[name] = np.ascontiguousarray(it.T if lies_across else it).reshape(
            it.shape[::-1] if lies_across else it.shape
        )
        tag = "scalar" if isinstance(it, np.generic) else "across" if lies_across else "array"
        return {tag: name}
    message = f"a {kind.__name__} has no place in a checkpoint"
    raise TypeError(message)


def rebuilt(told: Value, arrays: Arrays, empty: Any) -> Any:
    """The Summary that was packed.

    Args:
        told: what `packed` made of it.
        arrays: its arrays by name.
        empty: the Summary of nothing of the same kind.

    Raises:
        InputError: it is no such Summary.
    """
    return _Reader(arrays).read(told, type(empty), empty)


@dataclass(slots=True)
class _Reader:
    """What is read of one dataclass; `grown` are the lengths of what is empty in the empty one."""

    arrays: Arrays
    grown: set[int] = field(default_factory=set)

    def read(self, told: Value, kind: Any, empty: Any) -> Any:
        """A value of an annotated kind, with what stands in its place in the empty Summary."""
        family = (type(empty),) if is_dataclass(empty) else FAMILIES
        alike = tuple(x for x in family if isinstance(empty, x))
        found = self._read(told, kind, empty if alike else None)
        if alike and not isinstance(found, alike):
            told.refuse("is of another kind", got=type(found).__name__)
        return found

    def _read(self, told: Value, kind: Any, empty: Any) -> Any:
        if isinstance(told.it, list):
            return self._tuple(told, kind, empty)
        if not isinstance(told.it, dict):
            return _plain(told, kind)
        if len(told.it) != 1:
            told.refuse("must have one key")
        ((tag, content),) = told.entries().items()
        if tag in ("array", "across", "scalar"):
            return self._array(content, tag, kind, empty)
        if tag == "mapping":
            return self._mapping(content, kind, empty)
        if tag == "float" and float in options(kind):
            return float(content.one_of("inf", "-inf", "nan"))
        return self._summary(content, tag, kind, empty)

    def _summary(self, told: Value, name: str, kind: Any, empty: Any) -> Any:
        known = {x.__name__: x for x in options(kind) if isinstance(x, type) and is_dataclass(x)}
        made: Any = type(empty) if is_dataclass(empty) else known.get(name)
        if made is None or made.__name__ != name:
            told.refuse("is of another kind", got=name)
        kinds = kinds_of(made)
        told.only(*kinds)
        inside = _Reader(self.arrays)
        found = {
            name: inside.read(told[name], what, getattr(empty, name, None))
            for name, what in kinds.items()
        }
        if is_dataclass(empty) and len(inside.grown - {0}) > 1:
            told.refuse("has parts of different lengths", got=str(sorted(inside.grown)))
        return made(**found)

    def _tuple(self, told: Value, kind: Any, empty: Any) -> tuple[Any, ...]:
        items = told.items()
        inner = next((get_args(x) for x in options(kind) if get_origin(x) is tuple), None)
        if inner is None and Any not in options(kind):
            told.refuse("must be no list")
        inner = inner or (Any, ...)
        kinds = [inner[0]] * len(items) if inner[-1] is ... else list(inner)
        known = isinstance(empty, tuple) and len(empty) > 0
        likes: list[Any] = list(empty) if known else [None] * len(items)
        if not len(items) == len(kinds) == len(likes):
            told.refuse("must have another length")
        if isinstance(empty, tuple) and not known:
            self.grown.add(len(items))
        found = tuple(
            _Reader(self.arrays).read(*given) for given in zip(items, kinds, likes, strict=True)
        )
        if known and all(isinstance(x, str) for x in empty) and found != empty:
            told.refuse("must be the names of what is summed")
        return found

    def _mapping(self, told: Value, kind: Any, empty: Any) -> dict[str, Any]:
        entries = told.entries()
        inner = next((get_args(x)[1] for x in options(kind) if _maps(x)), None)
        if inner is None:
            told.refuse("must be no mapping")
        known = isinstance(empty, Mapping) and len(empty) > 0
        if known and set(empty) != set(entries):
            told.refuse("must have the names of what is told apart")
        likes = empty if known else dict.fromkeys(entries)
        found = {name: self.read(item, inner, likes[name]) for name, item in entries.items()}
        if isinstance(empty, Mapping) and not known:
            self.grown |= {len(x) for x in found.values() if isinstance(x, np.ndarray) and x.ndim}
        return found

    def _array(self, told: Value, tag: str, kind: Any, empty: Any) -> Any:
        found = self.arrays.get(told.text())
        if found is None:
            told.refuse("must name an array")
        if tag == "scalar":
            number = found[()]
            if not any(isinstance(number, SCALARS.get(x, ())) for x in options(kind)):
                told.refuse("is of another kind")
            return number
        # memory of its own, where numbers lie as they lay
        found = np.array(found.T if tag == "across" else found, order="K")
        if isinstance(empty, np.ndarray):
            fits = found.dtype == empty.dtype and found.ndim == empty.ndim
            pairs = list(zip(found.shape, empty.shape, strict=fits))
            if not fits or any(size != like for size, like in pairs if like):
                got = f"{found.dtype} {found.shape}, not {empty.dtype} {empty.shape}"
                told.refuse("has another type or shape", got=got)
            self.grown |= {size for size, like in pairs if not like}
        elif empty is not None:
            told.refuse("must be no array")
        return found


def _plain(told: Value, kind: Any) -> Any:
    """A text, a number, a truth value or nothing, where the kind allows it."""
    it = told.it
    allowed = options(kind)
    texts = [x for x in allowed if get_origin(x) is Literal]
    if any(it in get_args(x) for x in texts) or Any in allowed or type(it) in allowed:
        fine = type(it) is not int or int not in allowed or 0 <= it < 1 << 63
    else:
        fine = type(it) is int and float in allowed
    if not fine:
        told.refuse("is of another kind")
    return it


@lru_cache(maxsize=256)
def kinds_of(made: type) -> dict[str, Any]:
    """A dataclass's fields and what they may be.

    Names that are only there for type checkers are unknown here, and stand for anything plain.
    """
    found = typing.get_type_hints(made, localns=_Names(sys.modules[made.__module__]))
    return {f.name: found[f.name] for f in fields(made)}


def options(kind: Any) -> tuple[Any, ...]:
    """What a union is of; else the kind itself.

    >>> options(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        return tuple(x for inner in get_args(kind) for x in options(inner))
    return (Any,) if kind is _Unknown else (kind,)


def _maps(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


class _Unknown:
    """Stands for a name that is known to type checkers alone."""

    def __class_getitem__(cls, _: Any) -> Any:
        return cls


class _Names(dict[str, Any]):
    """The names of a module, and what stands for those that it lacks when it runs."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__({"Mapping": Mapping, **vars(builtins), **vars(module)})

    def __missing__(self, name: str) -> Any:
        return _Unknown
