"""Results as tidy tables: one row for each quantity of each model, class and group."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pandq.quantities import quantity
from pandq.results.estimate import ENDS, Estimate, finite
from pandq.results.record import Document, Record, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Line = dict[str, Any]
COLUMNS = ("model", "against", "quantity", "by", "group", "n", *ENDS, "standard_error", "unit")
# What tables of classes are by, in a result and in its decomposition.
CLASSES = {"Audit": "class of P", "Difference": "class of P", "Agreement": "class"}
OF_Q = "class of Q"


def lines_of(result: Document) -> list[Line]:
    """Every estimate of a result: COLUMNS, None where a column does not apply.

    Args:
        result: an audit or a comparison.

    Returns:
        What is of all rows before what is of some, no quantity of the same rows twice.
    """
    unit = getattr(result, "unit", "nat")
    lines: dict[tuple[Any, ...], Line] = {}
    for line in _of_record(result, {}, unit):
        whole = dict.fromkeys(COLUMNS) | line
        lines.setdefault(tuple(whole[name] for name in COLUMNS[:5]), whole)
    return sorted(lines.values(), key=lambda line: line["by"] is not None)


def frame_of(lines: list[Line]) -> Any:
    """Lines as a pandas DataFrame where pandas is installed, else as a pyarrow Table."""
    if find_spec("pandas") is not None:
        import pandas as pd

        return pd.DataFrame(lines, columns=list(COLUMNS))
    import pyarrow as pa

    return pa.Table.from_pylist(lines)


def values_of(lines: list[Line]) -> dict[str, float]:
    """The numbers over all rows by name, with the ends of their intervals."""
    found: dict[str, float] = {}
    for line in lines:
        if line["by"] is None:
            of = (
                line["model"]
                if line["against"] is None
                else f"{line['model']} less {line['against']}"
            )
            name = ".".join(filter(None, [of, line["quantity"]]))
            ends = {name: line["value"], f"{name}.low": line["low"], f"{name}.high": line["high"]}
            found |= {key: float(x) for key, x in ends.items() if finite(x) is not None}
    return found


def _of_record(record: Record, of: Line, unit: str) -> Iterator[Line]:
    """The lines of a record, and of those that it has in its fields."""
    named = {"model": getattr(record, "q", None), "against": getattr(record, "against", None)}
    of = of | {name: x for name, x in named.items() if x is not None}
    for field in keys_of(type(record)):
        value = getattr(record, field.name)
        if field.name == "classes":
            by = CLASSES.get(type(record).__name__, OF_Q)
            yield from _of_table(by, value, of, unit)
        elif field.name == "annotators":
            yield from _of_table("annotator", value, of, unit)
        elif field.name == "groups":
            for column, table in value.items():
                yield from _of_table(column, table, of, unit)
        else:
            yield from _of_value(field.name, value, of, unit)


def _of_value(name: str, value: object, of: Line, unit: str) -> Iterator[Line]:
    """The lines of a field: an estimate, some by name, a record or several."""
    if isinstance(value, Estimate):
        yield of | _line(name, value)
    elif isinstance(value, Record):
        yield from _of_record(value, of, unit)
    elif isinstance(value, tuple):
        for item in value:
            yield from _of_value(name, item, of, unit)
    elif isinstance(value, dict):
        for key, x in value.items():
            if isinstance(x, Estimate):
                yield of | _line(f"{name}.{key}", x)
            elif isinstance(x, Record):
                # of each class by itself: what is of all rows
                lines = (line for line in _of_record(x, of, unit) if line.get("by") is None)
                yield from (line | {"by": "class", "group": key} for line in lines)


def _line(name: str, estimate: Estimate) -> Line:
    ends = {end: getattr(estimate, end) for end in ENDS}
    error = {"standard_error": estimate.standard_error, "unit": estimate.unit}
    return {"quantity": name, "n": estimate.n, **ends, **error}


def _of_table(by: str, table: list[Line], of: Line, unit: str) -> Iterator[Line]:
    """The lines of a table of groups: those entries that have a value and an interval."""
    for row in table:
        some = of | {"by": by, "group": row["name"], "n": row["n"]}
        if "p_holm" in row and "value" in row:
            yield some | {"quantity": "cross_entropy", "unit": unit} | _ends(row)
        for name, entry in row.items():
            if isinstance(entry, dict):
                known = quantity(name)
                own = unit if known is None or known.unit else ""
                yield some | {"quantity": name, "unit": own} | _ends(entry)


def _ends(entry: Mapping[str, Any]) -> Line:
    return {end: entry[end] for end in ENDS}
