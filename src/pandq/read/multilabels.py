"""Columns under --multilabel, where each class is a question of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError, RowError
from pandq.read import columns as cols
from pandq.read.answered import given
from pandq.read.recognise import class_names
from pandq.read.settled import Settled, named_by_class, row_width
from pandq.read.viewed import array_of
from pandq.read.voted import class_names_for, polled
from pandq.views import ROUNDED_KIND, MultiLabel
from pandq.views.multilabel import held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.recognise import Spec
    from pandq.read.scan import Scan

KINDS = {"p": ("labels", "probs", "logits"), "q": ("probs", "logits")}
HOW = (
    "Under --multilabel P is labels:COLUMN (lists of the classes that hold) or probs:COLUMN (0"
    " or 1, or a probability, for each class), and Q is probs:COLUMN or logits:COLUMN"
    " (of the sigmoid)."
)


def refuse_beside(rows: Scan) -> None:
    """Refuse what has nothing to say of classes that are questions of their own.

    Raises:
        InputError: there is something.
    """
    idle = {
        "--rounded": ROUNDED_KIND in (rows.p.kind, rows.q.kind),
        "--normalise": rows.normalise,
        "--tolerance": rows.tolerance,
        "--judge": rows.judge,
        "--per": rows.per,
        "--labels": rows.labels,
        "--control": rows.control,
        "a second --q": rows.rivals,
    }
    for option, asked in idle.items():
        if asked:
            what = f"{option} has nothing to say of classes that are each a yes or no"
            raise InputError(what, got="--multilabel", remedy="Leave one of them out.")


def settled_each(
    source: Source,
    p: Spec,
    qs: Sequence[Spec],
    classes: Sequence[str] | int | None,
    named_by: str | None = None,
) -> Settled:
    """P and every Q with the classes, which always have names: their numbers where no column does.

    Args:
        source: the table.
        p: what is true.
        qs: what is predicted.
        classes: names in the order of Q's columns, or how many there are.
        named_by: the column that rows are named by in errors.

    Raises:
        InputError: a kind says nothing of single classes, or names contradict each other.
    """
    for role, spec in (("p", p), *(("q", q) for q in qs)):
        if spec.kind not in KINDS[role]:
            what = f"{spec.kind} says nothing of each class by itself"
            raise InputError(what, where=source.name, got=f"--{role} {spec}", remedy=HOW)
    asked = None if not classes or isinstance(classes, int) else tuple(classes)
    p, *others = (named_by_class(source, spec, asked) for spec in (p, *qs))
    carried = [spec.classes for spec in (*others, p) if spec.classes]
    names = class_names(classes, carried, source.name)
    width = classes if isinstance(classes, int) else row_width(source, others[0], None)
    if p.kind == "labels":
        held_in = polled(source, p, named_by)
        try:
            names = class_names_for(held_in, names, width, what="P's labels")
        except InputError as error:
            raise error.at(source.name) from None
    if names is None:
        names = tuple(map(str, range(width or 0)))
    return Settled(p, tuple(others), names)


def each_of(
    role: str,
    spec: Spec,
    batch: Mapping[str, Column],
    classes: Sequence[str],
    *,
    percent: bool = False,
) -> MultiLabel:
    """The view of a role, over one batch of columns.

    Raises:
        InputError: a row cannot be used; it is numbered within the batch.
    """
    if spec.kind == "labels":
        return MultiLabel(_lists(spec, batch, classes), "labels")
    array = array_of(spec, batch)
    if array.ndim != 2 or array.shape[1] != len(classes):
        got = f"{array.shape[1]} numbers" if array.ndim == 2 else "one number"
        if array.ndim > 2:
            got = "lists of lists"
        what = f"column {spec.column!r} has not one number for each of {len(classes):,} classes"
        raise InputError(what, got=f"{got} per row", remedy=_instead(role, array.ndim))
    try:
        make = MultiLabel.probs if spec.kind == "probs" else MultiLabel.logits
        return make(array / 100 if percent else array)
    except RowError as error:
        where = f"column {spec.column!r}"
        if "logits(x)" in error.remedy:
            error.remedy = (
                f"Log-odds are --{role} logits:{spec.column}; percentages are --percent {role}."
            )
        raise error.at(where) from None


def _instead(role: str, axes: int) -> str:
    if axes == 1:
        return "One yes or no for each row is two classes: leave --multilabel out."
    return f"Name the classes (--classes A,B,...), or the columns of {role.upper()}."


def _lists(spec: Spec, batch: Mapping[str, Column], classes: Sequence[str]) -> Any:
    """(n, K) which classes each row's list names; a missing list does not say that none holds."""
    column = batch[spec.column]
    if not isinstance(column, np.ndarray) and column.null_count:
        raise cols.missing(spec.column, column, "has no list (null), which is not an empty one")
    answers = given(spec, batch).without(spec.skip)
    where = f"column {spec.column!r}"
    return held(where, answers.n, answers.rows, answers.labels.to_pylist(), classes)
