"""Class names that a table's schema carries: what the numbers of a column of labels stand for."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.checks import whole_numbers
from pandq.core.classes import distinct
from pandq.errors import RowError, near_names
from pandq.views import Counts, Labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.parts import Source
    from pandq.read.recognise import Spec

# The key under which datasets of the Hugging Face hub describe their columns, and pandq its own.
_KEY, _KIND = b"huggingface", "ClassLabel"
_OWN, _CLASSES = b"pandq", "classes"


def names_in(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """The class names of each column that a schema's metadata tells of.

    Of labels they are what numbers stand for, of counts what the numbers of a row are of.

    >>> about = {"info": {"features": {"y": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    >>> names_in({b"huggingface": json.dumps(about).encode()})
    {'y': ('cat', 'dog')}
    """
    told: dict[str, tuple[str, ...]] = {}
    for read in (_of_the_hub, _of_pandq):
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            told |= read(metadata or {})
    return {name: names for name, names in told.items() if len(set(names)) == len(names)}


def _of_the_hub(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    features = json.loads(metadata[_KEY])["info"]["features"]
    return {
        name: tuple(map(str, about["names"]))
        for name, about in features.items()
        if isinstance(about, dict) and about.get("_type") == _KIND and about.get("names")
    }


def _of_pandq(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    told = json.loads(metadata[_OWN])[_CLASSES]
    return {name: tuple(map(str, names)) for name, names in told.items() if names}


def told_names(names: Mapping[str, Sequence[str]]) -> dict[bytes, bytes]:
    """A schema's metadata that tell the class names of columns.

    >>> names_in(told_names({"counts": ["cat", "dog"]}))
    {'counts': ('cat', 'dog')}
    """
    return {_OWN: json.dumps({_CLASSES: {k: list(x) for k, x in names.items()}}).encode()}


def named(spec: Spec, source: Source) -> Spec:
    """A column of class numbers, or of counts, with the names that the table has for them."""
    if spec.kind not in (Labels.kind, Counts.kind):
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


def counts_by_name(spec: Spec, counts: NDArray[Any], classes: Sequence[str]) -> NDArray[Any]:
    """Counts of named classes as those of others, in their order; 0 of one that has none.

    Args:
        spec: with the column's own names.
        counts: (n, K) in the order of those.
        classes: the names of the result.

    Returns:
        (n, len(classes)) of the same type.

    Raises:
        RowError: there are votes for what is no class.
    """
    known = distinct(classes)
    places = np.array([known.place(name) for name in spec.names], dtype=np.intp)
    lost = counts[:, places < 0].any(axis=1)
    if lost.any():
        row = int(lost.argmax())
        name = spec.names[int(np.flatnonzero((places < 0) & (counts[row] != 0))[0])]
        told, near = f"has votes for {name!r}, which is no class", near_names(name, classes)
        raise RowError(view=f"column {spec.column!r}", row=row, problem=told, remedy=near)
    found = np.zeros((len(counts), len(known.names)), counts.dtype)
    found[:, places[places >= 0]] = counts[:, places >= 0]
    return found
