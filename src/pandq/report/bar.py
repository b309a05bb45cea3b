"""What a loss is made of, as pieces of one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandq.results.decomposition import Decomposition

# Of the loss after recalibration.
UNDECIDED = "floor or grouping loss"
AT_LEAST = ", at least"


def stacked(parts: Decomposition) -> list[tuple[str, float]]:
    """The finite parts that make up the loss, floor first.

    Where one of the first two has no point, what is surely of either, and what is not told apart.
    """
    floor, grouping, after = parts.floor, parts.grouping_loss, parts.refinement_loss.value or 0.0
    sizes = [("floor", floor.value), ("grouping loss", grouping.value)]
    if floor.value is None or grouping.value is None:
        known = floor.low is not None and grouping.low is not None
        least, more = (floor.low or 0.0, grouping.low or 0.0) if known else (0.0, 0.0)
        least = min(least, after)
        more = min(more, after - least)
        sizes = [(f"floor{AT_LEAST}", least), (UNDECIDED, after - least - more)]
        sizes = [x for x in (*sizes, (f"grouping loss{AT_LEAST}", more)) if x[1] or x in sizes[1:]]
    if not parts.infinite_rows:
        sizes.append(("calibration loss", parts.calibration_loss.value))
    return [(name, size or 0.0) for name, size in sizes]
