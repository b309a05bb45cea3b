"""Which classes P and Q are about, settled once before any row is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.classes import distinct
from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.classed import LOGITS, classes_in, is_classed
from pandq.read.named import renamed
from pandq.read.parts import located
from pandq.read.recognise import class_names
from pandq.read.text import TextFiles
from pandq.read.viewed import view_of
from pandq.read.voted import MAPS, class_names_for, notes_of, polled, require_votes
from pandq.views import PARTIAL_KINDS, ROUNDED_KIND, TOP_KIND, VOTES_KIND, Probs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.recognise import Spec


@dataclass(frozen=True, slots=True)
class Settled:
    """P and every Q with their classes, whether these were given, and what must be said of them."""

    p: Spec
    qs: tuple[Spec, ...]
    classes: tuple[str, ...] | None
    notes: tuple[str, ...] = ()
    named: bool = False


def as_rounded(found: Settled, decimals: int | None, normalise: Sequence[str]) -> Settled:
    """The same with probabilities that were rounded to so many digits.

    Raises:
        InputError: there are none, or they are to be rescaled too.
    """
    if decimals is None:
        return found
    if normalise:
        what = "--rounded and --normalise are two ways to take rounded probabilities"
        raise InputError(what, remedy="Give one: bounds, or the distribution that rescaling gives.")
    specs = [
        replace(x, kind=ROUNDED_KIND, decimals=decimals) if x.kind == Probs.kind else x
        for x in (found.p, *found.qs)
    ]
    if not any(x.kind == ROUNDED_KIND for x in specs):
        got = ", ".join(map(str, specs))
        raise InputError("--rounded is for probabilities", got=got)  # noqa: EM101
    digits = "a digit" if decimals == 1 else f"{decimals} digits"
    said = f"bounds hold for every distribution that rounds to {digits} as shown (--rounded)"
    return replace(found, p=specs[0], qs=tuple(specs[1:]), notes=(*found.notes, said))


def needs_whole_types(source: Source, specs: Sequence[Spec]) -> bool:
    """Must all rows of json be looked at, because an object's fields are classes or people?"""
    kinds = (source.schema[name] for spec in specs for name in spec.columns)
    return isinstance(source, TextFiles) and any(map(is_classed, kinds))


def settled(
    source: Source,
    p: Spec,
    qs: Sequence[Spec],
    classes: Sequence[str] | int | None,
    named_by: str | None = None,
) -> Settled:
    """The classes that were given, or that Q names, or that P names where Q names none.

    Args:
        source: the table.
        p: what is true.
        qs: what is predicted; a class that only P knows is an error.
        classes: names in the order of Q's columns, or how many there are.
        named_by: the column that rows are named by in errors.

    Raises:
        InputError: names contradict each other, or do not say which column is which class.
    """
    asked = None if not classes or isinstance(classes, int) else distinct(classes).names
    told = partial(Settled, named=asked is not None)
    found = tuple(named_by_class(source, spec, asked) for spec in qs)
    # by name, so that P may have fewer, and another order
    own = p.kind == VOTES_KIND or _is_classed(source, p)
    carried = [spec.classes for spec in (*found, *(() if own else (p,))) if spec.classes]
    names = class_names(classes, carried, source.name)
    if not own:
        names = names or _told(source, p, found)
        return told(renamed(p, names), found, names)
    if p.kind == LOGITS and asked is not None:
        # of logits some may be left out: those of the others say what they did
        return told(replace(p, fields=asked), found, names)
    votes = p.kind == VOTES_KIND
    held = polled(source, p, named_by) if votes else classes_in(source, p)
    if votes:
        require_votes(held, p, source.name)
    width = None
    if names is None and found and found[0].kind not in (*PARTIAL_KINDS, "labels"):
        width = width_of(source, found[0])
    try:
        names = class_names_for(held, names, width, what="votes" if votes else MAPS)
    except InputError as error:
        raise error.at(source.name) from None
    if votes:
        return told(p, found, names, tuple(notes_of(held, p, names)))
    return told(replace(p, fields=names), found, names)


def _told(source: Source, p: Spec, qs: Sequence[Spec]) -> tuple[str, ...] | None:
    """The names that P's column has for its numbers, where Q has as many columns without any."""
    if not qs:
        return p.names or None
    wide = qs and qs[0].kind not in (*PARTIAL_KINDS, "labels") and width_of(source, qs[0])
    return p.names if p.names and wide == len(p.names) else None


def _is_classed(source: Source, spec: Spec) -> bool:
    return len(spec.columns) == 1 and is_classed(source.schema[spec.columns[0]])


def named_by_class(source: Source, spec: Spec, asked: tuple[str, ...] | None) -> Spec:
    """The spec of a map or a struct with its classes."""
    if not _is_classed(source, spec):
        return spec
    if asked is not None:
        return replace(spec, fields=asked)
    return spec if spec.fields else replace(spec, fields=classes_in(source, spec).names)


def width_of(source: Source, spec: Spec) -> int | None:
    """How many classes a row of Q has."""

    def size(_: int, batch: Mapping[str, Column]) -> int | None:
        return view_of("q", spec, batch, tolerance=_ANY).n_classes

    try:
        return next((n for _, n in located(source, spec.columns, 1, size)), None)
    except InputError:
        return None  # what is wrong with the row is said where it is measured


def row_width(source: Source, q: Spec, classes: Sequence[str] | None) -> int:
    """How many numbers a row of Q has, which says how many rows a chunk has."""
    if q.head is not None:
        return q.head.n_classes
    if q.wide or q.fields:
        return len(q.fields or q.columns)
    if q.kind == TOP_KIND:
        # what a TopK leaves out is spread over all classes when it is measured
        return max(len(classes or ()), 1 << 10)
    kind = source.schema[q.column]
    if getattr(kind, "list_size", 0) and not cols.is_list(kind.value_type):
        return int(kind.list_size)

    def size(_: int, batch: Mapping[str, Column]) -> int:
        return int(np.size(cols.numbers(q.column, batch[q.column]))) or 1

    return next((n for _, n in located(source, q.columns, 1, size)), 1)


# Any sum will do where only the number of classes is asked for.
_ANY: Any = 1e300
