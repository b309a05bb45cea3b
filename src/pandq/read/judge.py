"""Rows with a human label beside those that a judge alone has labelled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from pandq.errors import InputError
from pandq.read.arrays import ArrayColumns
from pandq.read.classed import is_classed
from pandq.read.database import quoted
from pandq.read.named import named, renamed
from pandq.read.recognise import resolved
from pandq.read.roles import require_texts
from pandq.read.sources import Filtered, narrowed
from pandq.views import SAMPLED_KIND, TOP_KIND, VOTES_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.parts import Source
    from pandq.read.recognise import Spec
    from pandq.read.scan import Scan


def with_p(source: Source, p: Spec, judge: str | None) -> Source:
    """The rows of a table that have a P, or all of them where there is no judge.

    Raises:
        InputError: it is no table, or the judge is no text.
    """
    require_texts(judge=judge)
    if judge is None:
        return source
    _require_table(source)
    return narrowed(source, _there(source, p))


def judged_by(rows: Scan, judge: str, source: Source) -> Scan:
    """The rows that have a P, beside the others, with a judge's labels on all of them.

    Args:
        rows: those that have a P.
        judge: "KIND:COLUMN" of the judge's labels.
        source: the table of all rows.

    Raises:
        InputError: there is no such column, or a distribution is known in part.
    """
    spec = named(resolved(judge, source.schema, option="--judge"), source)
    spec = renamed(spec, rows.classes)
    for kind in (spec.kind, rows.p.kind, rows.q.kind, *(rival.kind for rival in rows.rivals)):
        if kind in (TOP_KIND, SAMPLED_KIND):
            what = "with a judge all distributions are known in full"
            raise InputError(what, got=f"a {kind}")
    if len(spec.columns) == 1 and is_classed(source.schema[spec.column]):
        spec = replace(spec, fields=rows.classes or ())
    text = [*spec.columns] if spec.kind == "labels" else []
    # what is said of P's numbers is not said of the judge's
    normalise, percent = (tuple(x for x in of if x != "p") for of in (rows.normalise, rows.percent))
    others = replace(
        rows,
        p=spec,
        labels=None,
        source=narrowed(source, f"NOT ({_there(source, rows.p)})").as_text(text),
        normalise=normalise,
        percent=percent,
    )
    return replace(rows, judge=spec, source=rows.source.as_text(text), unlabelled=others)


def _there(source: Source, p: Spec) -> str:
    return known(p.columns, source.schema, any_of=p.kind == VOTES_KIND)


def known(
    columns: Sequence[str], schema: Mapping[str, pa.DataType], *, any_of: bool = False
) -> str:
    """The SQL condition that a row has a value in each of some columns, or in any of them.

    >>> known(["label"], {"label": pa.int64()})
    '("label" IS NOT NULL)'
    """
    said = []
    for name in columns:
        there = f"{quoted(name)} IS NOT NULL"
        if pa.types.is_floating(schema[name]):
            # what pandas and NumPy write for a missing number
            there += f" AND NOT isnan({quoted(name)})"
        said.append(f"({there})")
    return (" OR " if any_of else " AND ").join(said)


def _require_table(source: Source) -> None:
    inner = source.source if isinstance(source, Filtered) else source
    if isinstance(inner, ArrayColumns):
        raise InputError(
            what="rows without a human label have a missing P, which arrays do not have",
            where=source.name,
            remedy="Write them as a table: parquet, feather, csv or jsonl.",
        )
