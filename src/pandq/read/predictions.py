"""Q alone, batch by batch, with the columns that stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.read.parts import located
from pandq.read.recognise import recognised, resolved
from pandq.read.roles import sums_as
from pandq.read.viewed import view_of
from pandq.views import PARTIAL_KINDS, partly_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.recognise import Spec
    from pandq.views import View

# Recalibration reads and writes every column: smaller batches keep any table's memory modest.
PREDICTED_ROWS = 1 << 13


def prediction_spec(source: Source, q: str | None) -> Spec:
    """What "KIND:COLUMN" means in a table, or the one column that must be Q by its name."""
    try:
        spec = resolved(q, source.schema, option="--q") if q else recognised(source.schema, "q")
    except InputError as error:
        raise error.at(source.name) from None
    if spec.kind in PARTIAL_KINDS:
        raise partly_known("q", spec.kind)  # noqa: EM101
    return spec


def predictions(
    source: Source, spec: Spec, others: Sequence[str], **sums: Any
) -> Iterator[tuple[View, Mapping[str, Column]]]:
    """Q alone, with the other columns of the same rows.

    Args:
        source: the table.
        spec: what Q is.
        others: columns to bring along.
        sums: normalise, percent and tolerance, as for `pandq.scan`.

    Yields:
        A view of each batch of rows, and the batch.
    """
    how = sums_as(**sums) if sums else {}
    how |= {name: "q" in roles for name, roles in how.items() if name != "tolerance"}

    def viewed(_: int, batch: Mapping[str, Column]) -> tuple[View, Mapping[str, Column]]:
        return view_of("q", spec, batch, **how), batch

    wanted = list(dict.fromkeys([*spec.columns, *others]))
    for _, found in located(source, wanted, PREDICTED_ROWS, viewed):
        yield found
