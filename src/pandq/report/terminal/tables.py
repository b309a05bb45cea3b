"""Tables in a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table

from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.results.estimate import Estimate


def interval(estimate: Estimate | Mapping[str, Any], digits: int = 4) -> str:
    """The two ends of an interval."""
    low = estimate["low"] if not hasattr(estimate, "low") else estimate.low
    high = estimate["high"] if not hasattr(estimate, "high") else estimate.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"[{number(low, digits)}, {number(high, digits)}]"


def table_of(first: str, *others: str, words: str = "") -> Table:
    """Names, numbers, and at the end perhaps words."""
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=48)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    if words:
        table.add_column(words, justify="left")
    return table
