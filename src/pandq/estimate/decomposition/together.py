"""The parts of several losses that are summed in each row, such as those of single classes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pandq.estimate.decomposition.estimates import parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.estimate.averages.lossmeans import LossMeans
    from pandq.estimate.decomposition.trained import Trained
    from pandq.results.estimate import Estimate


def parts_of_all(
    means: LossMeans, trained: Sequence[Trained], *, level: float
) -> dict[str, Estimate]:
    """The parts of the sum of several losses, in nats.

    Args:
        means: of each row's parts, summed over the losses.
        trained: what each loss's parts were made with.
        level: confidence level of the intervals.

    Returns:
        Estimates by name, as of one loss: exact where every P is known in full, else bounds.
    """
    first, full = trained[0], all(one.label_type == "full" for one in trained)
    kinds = sorted({kind for one in trained for kind in one.recalibration.fold_kind.values()})
    maps = replace(first.recalibration, fold_kind=dict(enumerate(kinds)))
    every = replace(first, label_type="full" if full else "labels", recalibration=maps)
    return parts_of(means, every, (2,) * len(trained), doubt=None, level=level)
