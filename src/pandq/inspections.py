"""Inspections: what the columns of a table may be, by their names, types and first rows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.laid import layouts_of
from pandq.read.recognise import candidates
from pandq.read.scan import open_source
from pandq.results.inspection import Column, Inspection
from pandq.views import VOTES_KIND, Counts, Logits, LogProbs, Probs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.layout import Layout

# The rows that are looked at.
PEEK = 100


def inspect(data: Any) -> Inspection:
    """What the columns of a table may be, and what to run next, as `pandq inspect` says it.

    Names decide as they do for `pandq.scan`; beside them stands what the first 100 rows could be.
    That is a hint for people: nothing is ever guessed from values where a result hangs on it.

    Args:
        data: a path or several that are one table, or a table in memory, as for `pandq.scan`.

    Returns:
        An Inspection, with a Column for each column; `print` shows it, `to_dict()` is its JSON.

    Raises:
        InputError: the table cannot be opened.

    >>> import pyarrow as pa
    >>> found = inspect(pa.table({"label": [0, 1], "scores": [[0.9, 0.1], [0.2, 0.8]]}))
    >>> found.p, found.q
    (('labels:label',), ('probs:scores',))
    >>> found.columns[1].first
    '[0.9, 0.1]'
    """
    source = open_source(data)
    _, batch = next(iter(source.batches(list(source.schema), PEEK)), (0, {}))
    columns = tuple(
        Column(name, str(kind), _first(batch.get(name)), _guess(batch.get(name), kind))
        for name, kind in source.schema.items()
    )
    p, q = (_known(role, source.schema, columns) for role in "pq")
    found = layouts_of(source)
    if found and not p:
        step = _next_of_layout(data, found[0], q)
    else:
        step = _next(data, (p or ("KIND:COLUMN",))[0], (q or ("KIND:COLUMN",))[0])
    layouts = tuple(layout.name for layout in found)
    return Inspection(source.name, source.n_rows, columns, p, q, step, layouts)


def _next_of_layout(data: Any, layout: Layout, q: Sequence[str]) -> str:
    """A command, or a call, with a layout, which says itself what P is."""
    predicted = "" if layout.q is not None else (q or ("KIND:COLUMN",))[0]
    alone = predicted and not q and str(layout.p).startswith((VOTES_KIND, Counts.kind))
    if isinstance(data, str | Path):
        data = [data]
    if isinstance(data, list | tuple):
        if alone:
            return f"pandq votes {shlex.join(map(str, data))} --layout {layout.name}"
        asked = f" --q {shlex.quote(predicted)}" if predicted else ""
        return f"pandq audit {shlex.join(map(str, data))} --layout {layout.name}{asked}"
    asked = f", q={predicted!r}" if predicted else ""
    return f"pandq.audit(pandq.scan(table, layout={layout.name!r}{asked}))"


def _known(role: str, schema: Mapping[str, Any], columns: Sequence[Column]) -> tuple[str, ...]:
    """What may be P or Q: by the names, then by what the first rows could be."""
    known = [str(spec) for spec in candidates(schema, role)]
    for column in columns:
        true = column.may_be in ("labels", "counts")
        wanted = column.may_be == "counts" if role == "p" else column.may_be and not true
        if wanted and (spec := f"{column.may_be}:{column.name}") not in known:
            known.append(spec)
    return tuple(known)


def _next(data: Any, p: str, q: str) -> str:
    """A command for files, a call for a table in memory."""
    if isinstance(data, str | Path):
        data = [data]
    if isinstance(data, list | tuple):
        files = shlex.join(map(str, data))
        return f"pandq audit {files} --p {shlex.quote(p)} --q {shlex.quote(q)}"
    return f"pandq.audit(pandq.scan(table, p={p!r}, q={q!r}))"


def _first(column: Any) -> str:
    if column is None or not len(column):
        return ""
    try:
        first = column[0]
        text = str(first.as_py() if hasattr(first, "as_py") else np.asarray(first).tolist())
    except (OverflowError, UnicodeDecodeError):  # a date, or bytes, beyond what Python knows
        text = str(column[:1].cast("binary" if cols.is_text(column.type) else "string")[0])
    return text if len(text) <= 48 else f"{text[:45]}..."


def _guess(column: Any, kind: Any) -> str:
    """The kinds whose rules the first rows obey: a hint for people, never used by an audit."""
    if column is None or not len(column):
        return ""
    if not (cols.is_list(kind) or hasattr(kind, "list_size")):
        integer = str(kind).startswith(("int", "uint", "bool"))
        return "labels" if integer and _few(column) else ""
    try:
        x = cols.numbers("", column)
    except InputError:
        return ""
    x = x.reshape(-1, x.shape[2]) if x.ndim == 3 else x
    if x.ndim != 2 or x.shape[1] < 2:
        return ""
    views = (Counts, Probs, LogProbs) if x.dtype.kind in "iu" else (Probs, LogProbs, Logits)
    for view in views:
        try:
            view(x)
        except InputError:
            continue
        return view.kind
    return ""


def _few(column: Any) -> bool:
    known = column if isinstance(column, np.ndarray) else column.drop_null()
    try:
        values = cols.labels("", known, numeric=True)
    except InputError:
        return False
    few = len(values) > 0 and values.min() >= 0
    return bool(few and len(np.unique(values)) <= max(2, len(values) // 2))
