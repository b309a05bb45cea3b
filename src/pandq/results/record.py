"""Record: a result as a frozen dataclass that is a JSON document, and one again.

A field is a key of the same name. What only Python can hold has the metadata HIDDEN.
"""

from __future__ import annotations

import types
from dataclasses import fields
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, Union, get_args, get_origin
from typing import get_type_hints as hints_of

from pandq.documents import Value
from pandq.results.estimate import Estimate, finite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

HIDDEN = {"json": False}
# An estimate's level is its document's.
LEAST_LEVEL = 1e-9


class Record:
    """A result whose fields are a JSON document's keys."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {f.name: as_json(getattr(self, f.name)) for f in keys_of(type(self))}

    @classmethod
    def of(cls, told: Value, level: float) -> Self:
        """The result that a part of a document tells.

        Raises:
            InputError: it is no such part.
        """
        kinds = _kinds(cls)  # type: ignore[arg-type]
        return cls(
            **{
                f.name: _read(told[f.name], f.metadata.get("name", f.name), kinds[f.name], level)
                for f in keys_of(cls)
            }
        )


class Document(Record):
    """A result that is a document of its own, with a schema."""

    __slots__ = ()

    SCHEMA: ClassVar[str]
    KIND: ClassVar[str]
    COMMAND: ClassVar[str]
    # how many classes there are at least; None where there is no number of them
    LEAST_CLASSES: ClassVar[int | None] = 1

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values; the package has its schema in `pandq/results/schemas`."""
        about = {"schema": self.SCHEMA, "pandq_version": metadata.version("pandq")}
        return about | Record.to_dict(self)

    def within(self, most: int) -> dict[str, Any]:
        """The document for a page that has no room for more than so many of what it shows most."""
        del most
        return self.to_dict()

    def to_frame(self) -> Any:
        """A tidy table: one row for each quantity of all rows and of each class and group.

        Returns:
            A pandas DataFrame where pandas is installed, else a pyarrow Table, with the columns
            model, against, quantity, by, group, n, value, low, high, standard_error and unit.
        """
        from pandq.results.tidy import frame_of, lines_of

        return frame_of(lines_of(self))

    def values(self) -> dict[str, float]:
        """The numbers over all rows as floats by name, with their ends: what a logger takes.

        Returns:
            Such as {"kl": 0.1, "kl.low": 0.09, "kl.high": 0.11}; of a comparison with the model's
            name before. What has no point value has its ends alone.
        """
        from pandq.results.tidy import lines_of, values_of

        return values_of(lines_of(self))

    @classmethod
    def written_by(cls) -> str:
        """Where such a document comes from, for errors."""
        return f"It is written by `pandq {cls.COMMAND} ... --json FILE`."

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | Value) -> Self:
        """The result that a JSON document tells; what only Python could hold is None.

        Args:
            document: what `to_dict` made, perhaps read from a file.

        Raises:
            InputError: it is no such document; it names the place.
        """
        told = Value.of(document, cls.KIND, cls.written_by())
        told.schema(cls.SCHEMA)
        if cls.LEAST_CLASSES is not None:
            told["n_classes"].whole(cls.LEAST_CLASSES)
        return cls.of(told, told["level"].number(LEAST_LEVEL, 1 - LEAST_LEVEL))


def keys_of(record: Any) -> tuple[Field[Any], ...]:
    """The fields that are in the document."""
    return tuple(f for f in fields(record) if f.metadata.get("json", True))


def as_json(value: Any) -> Any:
    """A field as JSON values; null for what is not finite."""
    if isinstance(value, Estimate | Record):
        return value.to_dict()
    if isinstance(value, dict):
        return {name: as_json(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(x) for x in value]
    return finite(value) if isinstance(value, float) else value


@cache
def _kinds(record: Any) -> dict[str, Any]:
    return hints_of(record)


def _read(told: Value, name: str, kind: Any, level: float) -> Any:
    """A value of an annotated kind."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        some = [x for x in of if x is not type(None)]
        empty = told.it is None and len(some) < len(of)
        return None if empty else _read(told, name, _fitting(told, some), level)
    if kind is Estimate:
        return Estimate.of(told, name, level)
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.of(told, level)
    if origin is dict and of[1] is not Any:
        return {key: _read(x, key, of[1], level) for key, x in told.entries().items()}
    if origin in (list, tuple):
        return origin(_read(x, name, of[0], level) for x in told.items())
    return _plain(told, kind)


def _plain(told: Value, kind: Any) -> Any:
    """A value of JSON's own kinds."""
    if get_origin(kind) is dict:
        return {key: x.it for key, x in told.entries().items()}
    if get_origin(kind) is Literal:
        return told.one_of(*get_args(kind))
    if kind is float:
        return float("inf") if told.it is None else told.number()
    return told.truth() if kind is bool else told.whole() if kind is int else told.text()


def _fitting(told: Value, kinds: list[Any]) -> Any:
    """The first kind of record of which the document has every key."""
    if len(kinds) == 1:
        return kinds[0]
    keys = set(told.entries())
    return next((k for k in kinds if {f.name for f in keys_of(k)} <= keys), kinds[-1])
