"""Class names that a table's schema carries: what the numbers of a column of labels stand for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.checks import whole_numbers
from pandq.core.classes import distinct
from pandq.errors import RowError, near_names
from pandq.views import Labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.parts import Source
    from pandq.read.recognise import Spec

# The key under which datasets of the Hugging Face hub describe their columns.
_KEY, _KIND = b"huggingface", "ClassLabel"


def names_in(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """The class names of each column that a schema's metadata tells of.

    >>> about = {"info": {"features": {"y": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    >>> names_in({b"huggingface": json.dumps(about).encode()})
    {'y': ('cat', 'dog')}
    """
    try:
        features = json.loads((metadata or {})[_KEY])["info"]["features"]
        told = {
            name: tuple(map(str, about["names"]))
            for name, about in features.items()
            if isinstance(about, dict) and about.get("_type") == _KIND and about.get("names")
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {name: names for name, names in told.items() if len(set(names)) == len(names)}


def named(spec: Spec, source: Source) -> Spec:
    """A column of class numbers with the names that the table has for them."""
    if spec.kind != Labels.kind:
        return spec
    return replace(spec, names=source.class_names.get(spec.column, ()))


def renamed(spec: Spec, names: Sequence[str] | None) -> Spec:
    """The same, without its names where all classes are called otherwise: then numbers count."""
    if names is not None and spec.names:
        known = distinct(names)
        if all(known.place(name) < 0 for name in spec.names):
            return replace(spec, names=())
    return spec


def by_name(spec: Spec, labels: NDArray[Any], classes: Sequence[str]) -> Labels:
    """Class numbers as the classes of these names.

    Raises:
        InputError: a number has no name, or its name is no class.
    """
    codes = whole_numbers("Labels", labels)
    outside = (codes < 0) | (codes >= len(spec.names))
    if outside.any():
        row = int(outside.argmax())
        told = f"is none of the column's {len(spec.names)} classes"
        raise RowError(view="Labels", row=row, problem=told, got=str(codes[row]))
    known = distinct(classes)
    places = np.array([known.place(name) for name in spec.names], dtype=np.intp)
    found = places[codes]
    if (found < 0).any():
        row = int((found < 0).argmax())
        name = spec.names[int(codes[row])]
        told, near = f"is no class name, got {name!r}", near_names(name, classes)
        raise RowError(view="Labels", row=row, problem=told, remedy=near)
    return Labels(found, len(known.names))
