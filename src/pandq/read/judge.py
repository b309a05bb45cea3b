"""Rows with a human label beside those that a judge alone has labelled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from pandq.errors import InputError
from pandq.read.arrays import ArrayColumns
from pandq.read.database import quoted
from pandq.read.recognise import resolved
from pandq.read.sources import Filtered
from pandq.read.text import TextFiles
from pandq.views import SAMPLED_KIND, TOP_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.parts import Source
    from pandq.read.scan import Scan


def judged_by(rows: Scan, judge: str) -> Scan:
    """The rows that have a P, beside the others, with a judge's labels on all of them.

    Args:
        rows: all of them.
        judge: "KIND:COLUMN" of the judge's labels.

    Raises:
        InputError: there is no such column, or rows cannot be told apart by a missing P.
    """
    schema = rows.source.schema
    spec = resolved(judge, schema, option="--judge")
    for kind in (spec.kind, rows.p.kind, rows.q.kind, *(rival.kind for rival in rows.rivals)):
        if kind in (TOP_KIND, SAMPLED_KIND):
            what = "with a judge all distributions are known in full"
            raise InputError(what, got=f"a {kind}")
    source = rows.source.as_text([*spec.columns] if spec.kind == "labels" else [])
    there = known(rows.p.columns, schema)
    others = replace(rows, p=spec, labels=None, source=narrowed(source, f"NOT ({there})"))
    mine = narrowed(source, there)
    return replace(rows, judge=spec, source=mine, unlabelled=others)


def known(columns: Sequence[str], schema: Mapping[str, pa.DataType]) -> str:
    """The SQL condition that a row has a value in each of some columns.

    >>> known(["label"], {"label": pa.int64()})
    '"label" IS NOT NULL'
    """
    said = [f"{quoted(name)} IS NOT NULL" for name in columns]
    # what pandas and NumPy write for a missing number
    said += [f"NOT isnan({quoted(x)})" for x in columns if pa.types.is_floating(schema[x])]
    return " AND ".join(said)


def narrowed(source: Source, where: str) -> Source:
    """The rows of a table that satisfy one more condition.

    Raises:
        InputError: it is no table.
    """
    if isinstance(source, ArrayColumns):
        raise InputError(
            what="rows without a human label have a missing P, which arrays do not have",
            where=source.name,
            remedy="Write them as a table: parquet, feather, csv or jsonl.",
        )
    before = getattr(source, "where", None)
    both = where if before is None else f"(\n{before}\n) AND {where}"
    if isinstance(source, TextFiles):
        return source.under(both)
    return Filtered(source.source if isinstance(source, Filtered) else source, both)
