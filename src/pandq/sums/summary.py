"""Summary: what every sum over rows is, and how two of them become one.

A Summary is a frozen dataclass that does not grow with the rows (or only with what the user asked
to tell apart). Merging is associative, the empty one is its identity, neither operand is changed,
and a Summary survives pickling and a checkpoint: `tests/sums/test_laws.py` holds every class that
is marked by `@summary` to this.

There are two ways to one of some rows, and neither adds to what is there:

- `blank.of_only(rows)`, where names, sizes or seeds are taken from a blank one that
  `Kind.empty(...)` made. It is of these rows *only*: whatever `blank` holds besides is no part of
  it, so that only `merge` adds.
- `Kind.of(rows, ...)`, of the class, where there is nothing to take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Protocol, Self, TypeVar, dataclass_transform

import numpy as np

T = TypeVar("T")
Rule = Callable[[Any, Any], Any]


class Summary(Protocol):
    """Whatever can be merged with its like: all that an engine knows of it."""

    __slots__ = ()

    def merge(self, other: Self, /) -> Self:
        """Both together: each field by its own rule, see `together` and `merged_by`."""
        made: Any = type(self)
        return made(  # type: ignore[no-any-return]
            **{name: rule(getattr(self, name), getattr(other, name)) for name, rule in _rules(made)}
        )


@cache
def _rules(kind: Any) -> tuple[tuple[str, Rule], ...]:
    """A class's fields, each with the rule that it is merged by."""
    return tuple((f.name, f.metadata.get("rule", together)) for f in fields(kind))


def together(a: Any, b: Any) -> Any:
    """How a field is merged whose annotation says no more: numbers and arrays are added.

    Summaries are merged, a mapping of them key by key, a tuple of them pair by pair.

    Raises:
        ValueError: arrays or tuples have different lengths.
        TypeError: they are none of this, and need a rule of their own.

    >>> together({"hits": 2, "rows": (3, 4)}, {"hits": 1, "rows": (5, 6)})
    {'hits': 3, 'rows': (8, 10)}
    """
    if hasattr(a, "merge"):
        return a.merge(b)
    if isinstance(a, Mapping):
        return {name: together(mine, b[name]) for name, mine in a.items()}
    if isinstance(a, tuple):
        return tuple(together(x, y) for x, y in zip(a, b, strict=True))
    if a is None and b is None:
        return None
    if isinstance(a, bool | str) or np.shape(a) != np.shape(b):
        message = f"{a!r} and {b!r} are not added: is a rule missing, or are these not alike?"
        raise TypeError(message) if isinstance(a, bool | str) else ValueError(message)
    return a + b


def alike(a: T, b: T) -> T:
    """The rule for what is no sum but says what is summed: a name, a size, a seed.

    Raises:
        ValueError: the two differ.

    >>> alike(("kl",), ("kl",))
    ('kl',)
    """
    if a != b:
        message = f"sums of different things cannot be merged: {a!r} and {b!r}"
        raise ValueError(message)
    return a


def merged_by(rule: Rule, **options: Any) -> Any:
    """A field with a rule of its own, such as `max` for the largest of all.

    Args:
        rule: of the field in two Summaries, what it is in both together.
        options: a `default`, as `dataclasses.field` takes it.
    """
    return field(metadata={"rule": rule}, **options)


KINDS: list[type[Summary]] = []


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field, merged_by))
def summary(kind: type[T]) -> type[T]:
    """Make a class of fields a frozen dataclass with slots, and list it among the KINDS.

    `merge` comes from the fields (see `Summary`) unless the class writes its own, which it does
    where merging is more than that.

    >>> @summary
    ... class Longest(Summary):
    ...     rows: int
    ...     length: int = merged_by(max)
    >>> Longest(2, 5).merge(Longest(1, 7))
    Longest(rows=3, length=7)
    >>> Longest is KINDS.pop()
    True
    """
    made: Any = dataclass(frozen=True, slots=True, eq=False)(kind)
    KINDS.append(made)
    found: type[T] = made
    return found
