"""Judged: averages for human labels on some rows, narrowed by a judge's labels on all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy import special

from pandq.core.checks import is_number
from pandq.errors import InputError
from pandq.results.estimate import Estimate
from pandq.results.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

# Student's t of fewer labels is too wide to plan by.
FEWEST = 10
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class JudgedModel(Record):
    """One Q, or its losses less those of another (`against`); mappings are by quantity.

    `human_alone` is from the rows with a human label, `with_judge` the same quantity with the
    judge's `weight`, which is 0 where it would widen the interval. `correlation` is that of a row's
    loss against the judge's label with its loss against the human one. `planned` has lines of
    quantity, half_width, and how many human labels reach it `with_judge` and `alone`; None where
    all rows labelled would not.
    """

    q: str
    against: str | None
    with_judge: dict[str, Estimate]
    human_alone: dict[str, Estimate]
    weight: dict[str, float]
    correlation: dict[str, float]
    planned: list[dict[str, Any]]

    def labels_for(
        self, half_width: float, quantity: str = "cross_entropy", *, judge: bool = True
    ) -> int | None:
        """How many human labels among these rows an interval of some width takes.

        Args:
            half_width: of the interval, in the result's unit.
            quantity: whose.
            judge: with the judge's labels on the others, or without a judge.

        Returns:
            A number of labels; None where labelling every row would not be enough.

        Raises:
            InputError: it is no width, or there is no such quantity.

        Source: Cochran 1977, Sampling Techniques, equation 12.67, from the interval at hand.
        """
        if not is_number(half_width) or not half_width > 0:
            raise InputError(what="half_width is a number above 0", got=repr(half_width))
        if quantity not in self.human_alone:
            listed = ", ".join(self.human_alone)
            raise InputError(what=f"there is no {quantity!r} here", remedy=f"One of {listed}.")
        human, rows = self.human_alone[quantity], self.with_judge[quantity].n
        found = self.with_judge[quantity] if judge else human
        shared = self.correlation[quantity] ** 2 if judge and self.weight[quantity] else 0.0

        def width(n: int) -> float:
            t = float(special.stdtrit(max(n - 2, 1), (1 + human.level) / 2))
            return t * math.sqrt((1 - shared) / n + shared / rows)

        size = found.half_width / width(human.n)
        return _least(lambda n: size * width(n) <= half_width * (1 + ROUNDING), FEWEST, rows)


@dataclass(frozen=True, slots=True)
class Judged(Record):
    """What human labels on `labelled` rows and a judge's on these and `unlabelled` ones say.

    Right where the labelled rows are a random sample of all. `chosen` is true where the judge's
    losses show that they are not: `p_value` is the least over models and quantities, times their
    number.
    """

    judge: str
    labelled: int
    unlabelled: int
    p_value: float | None
    chosen: bool
    models: tuple[JudgedModel, ...]


def _least(reached: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least whole number from `low` to `high` that reaches what larger ones reach too."""
    if high < low or not reached(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return high
