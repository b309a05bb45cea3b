"""What pandq thinks the columns of a table are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.recognise import candidates
from pandq.views import Counts, Logits, LogProbs, Probs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.read.parts import Source

PEEK = 100


def inspection(source: Source, files: Sequence[str]) -> Iterator[Table | str]:
    """A table of the columns, and the command to run next.

    Args:
        source: the opened files.
        files: as the user named them.

    Yields:
        Parts of a page.
    """
    _, batch = next(iter(source.batches(list(source.schema), PEEK)), (0, {}))
    rows = "" if source.n_rows is None else f"{source.n_rows:,} rows, "
    yield f"{source.name}: {rows}{len(source.schema)} columns"
    yield ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "type", "first value", "may be"):
        table.add_column(heading, overflow="fold")
    guesses = {}
    for name, kind in source.schema.items():
        guesses[name] = _guess(batch.get(name), kind)
        table.add_row(name, str(kind), _first(batch.get(name)), guesses[name])
    yield table
    known = {role: [str(spec) for spec in candidates(source.schema, role)] for role in "pq"}
    for name, kinds in guesses.items():
        for kind in filter(None, kinds.split(" or ")):
            spec = f"{kind}:{name}"
            role = "p" if kind in ("labels", "counts") else "q"
            if spec not in known[role] and (role == "q" or kind == "counts"):
                known[role].append(spec)
    yield ""
    for role, what in (("p", "what is true"), ("q", "what is predicted")):
        listed = ", ".join(known[role]) or "no column; say which one it is"
        yield f"{role.upper()}, {what}, may be: {listed}"
    p, q = (known[role][0] if known[role] else "KIND:COLUMN" for role in "pq")
    yield ""
    yield f"Next: pandq audit {shlex.join(files)} --p {shlex.quote(p)} --q {shlex.quote(q)}"


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
