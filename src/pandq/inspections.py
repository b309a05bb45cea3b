"""Inspections: what the columns of a table may be, by their names, types and first rows."""

from __future__ import annotations

import shlex
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.proposals import known, proposed, shapes
from pandq.read import columns as cols
from pandq.read.beside import joined_by
from pandq.read.guesses import may_be, may_be_ids
from pandq.read.laid import share_ids
from pandq.read.opened import open_source
from pandq.read.paths import expanded
from pandq.read.peeks import peeked
from pandq.results.inspection import Column, Inspection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.read.parts import Source
    from pandq.read.peeks import Peek

# What votes are kept in, that are to be joined with predictions.
VOTES_FILE = "votes.parquet"


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
    with _opened(data) as (source, peek, files):
        columns = tuple(
            Column(
                name, str(kind), _first(peek.batch.get(name)), may_be(peek.batch.get(name), kind)
            )
            for name, kind in peek.source.schema.items()
        )
        found = shapes(peek)
        steps = proposed(peek, found)
    plain = next((shape for shape in found if shape.layout is None), None)
    p, q = (plain.p, plain.q) if plain else ((), ())
    layouts = tuple(dict.fromkeys(x.layout.name for x in found if x.layout is not None))
    others = [file for file in _files(data) or () if file not in (files or ())]
    if others:
        steps = [step.kept_in(VOTES_FILE) for step in steps if step.command == "votes"]
    said = [step.of_table if files is None else step.of_files(files) for step in steps]
    # the other file is to be joined with what comes of this one
    said += [f"pandq inspect {shlex.quote(file)} {VOTES_FILE}" for file in others]
    notes = tuple(dict.fromkeys(step.note for step in steps if step.note))
    return Inspection(
        *(source.name, source.n_rows, columns, tuple(p), tuple(q)), tuple(said), layouts, notes
    )


@contextmanager
def _opened(data: Any) -> Iterator[tuple[Source, Peek, list[str] | None]]:
    """A table, its first rows and its files; of two files of different columns both, as one table.

    Of two that nothing joins it is the first alone if that is a table of answers, which are to be
    brought together before.
    """
    files = _files(data)
    if files is not None and (pair := _pair(files)) is not None:
        first, second = pair
        with peeked(files[0], first) as peek:
            laid = replace(peek, data=files, beside=True)
            if known(laid, shapes(laid)):
                yield first, laid, files
                return
        if (both := _joined(files, first, second)) is not None:
            source, name = both
            with peeked(files, source) as peek:
                yield source, replace(peek, options={"id": name}), files
            return
        for file, one in zip(files, pair, strict=True):
            with peeked(file, one) as peek:
                if any(step.command == "votes" for step in known(peek, shapes(peek))):
                    yield one, peek, [file]
                    return
    source = open_source(data)
    with peeked(data, source) as peek:
        yield source, peek, files


def _pair(files: Sequence[str]) -> tuple[Source, Source] | None:
    """Two files of different columns; None where they are one table."""
    if len(files) == 2:
        with suppress(InputError):
            first, second = (open_source(file) for file in files)
            apart = set(first.schema) != set(second.schema) or share_ids(expanded(files))
            return (first, second) if apart else None
    return None


def _joined(files: Sequence[str], first: Source, second: Source) -> tuple[Source, str] | None:
    """Two files as one table, and the column that names the rows of both."""
    both = [name for name in first.schema if name in second.schema]
    if not both and "id" in second.schema:
        texts = [name for name, kind in first.schema.items() if cols.is_text(kind)]
        both = list(dict.fromkeys([*may_be_ids(first.schema), *texts]))
    for name in both:
        with suppress(InputError):
            found = joined_by(list(files), name)
            if found is not None:
                return found.source, name
    return None


def _files(data: Any) -> list[str] | None:
    if isinstance(data, str | Path):
        return [str(data)]
    return [*map(str, data)] if isinstance(data, list | tuple) else None


def _first(column: Any) -> str:
    if column is None or not len(column):
        return ""
    try:
        first = column[0]
        text = str(first.as_py() if hasattr(first, "as_py") else np.asarray(first).tolist())
    except (OverflowError, UnicodeDecodeError):  # a date, or bytes, beyond what Python knows
        text = str(column[:1].cast("binary" if cols.is_text(column.type) else "string")[0])
    return text if len(text) <= 48 else f"{text[:45]}..."
