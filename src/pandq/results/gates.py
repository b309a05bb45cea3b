"""Gates: limits that a pipeline sets a result, and what is said of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from pandq.core.checks import is_number
from pandq.errors import GateError, InputError
from pandq.results.estimate import Estimate
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence

GateOn = Literal["interval", "point"]
Side = Literal["most", "least"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit on an estimate: does it hold, also where the estimate is uncertain?

    Args:
        name: what to call the limit: the option that set it.
        limit: the most that the estimate may be, in its own unit; the least, where `side` says so.
        estimate: of an audit, a comparison or a fit.
        on: compare the limit with the "interval"'s end on that side, or with the "point".
        side: "most" or "least".

    Raises:
        InputError: the limit is no number, or another argument is not what it should be.

    >>> from pandq import Estimate
    >>> kl = Estimate(0.11, 0.08, 0.14, name="kl")
    >>> Gate("at most", 0.2, kl).passed, Gate("at most", 0.12, kl).passed
    (True, False)
    >>> print(Gate("at most", 0.12, kl, on="point"))
    at most 0.12 holds: kl 0.110000 nat [0.080000, 0.140000], 0.010000 below it
    """

    name: str
    limit: float
    estimate: Estimate
    on: GateOn = "interval"
    side: Side = field(default="most", kw_only=True)

    def __post_init__(self) -> None:
        if not is_number(self.limit) or math.isnan(self.limit):
            raise InputError(what=f"{self.name} is a number", got=repr(self.limit))
        given: object = self.estimate
        if not isinstance(given, Estimate):
            remedy = "Take it from a result: audit.kl, comparison.differences[0].cross_entropy ..."
            what = f"{self.name} limits an Estimate"
            raise InputError(what, got=repr(given), remedy=remedy)
        if not isinstance(self.on, str) or self.on not in get_args(GateOn):
            raise InputError(what="a gate is on the interval or on the point", got=repr(self.on))
        if not isinstance(self.side, str) or self.side not in get_args(Side):
            raise InputError(what="side is most or least", got=repr(self.side))

    @property
    def held(self) -> float | None:
        """What is compared with the limit: the interval's end on its side, or the point."""
        end = self.estimate.high if self.side == "most" else self.estimate.low
        return end if self.on == "interval" else self.estimate.value

    @property
    def margin(self) -> float:
        """How far what is held lies within the limit; negative where it lies beyond."""
        if self.held is None:
            return -math.inf
        return self.limit - self.held if self.side == "most" else self.held - self.limit

    @property
    def passed(self) -> bool:
        """Is it within the limit? What is not known is not."""
        if self.held is None or math.isnan(self.held):
            return False
        return self.held <= self.limit if self.side == "most" else self.held >= self.limit

    def __str__(self) -> str:
        e = self.estimate
        between = "" if self.name.endswith("=") else " "
        named, unit = f"{self.name}{between}{self.limit:g}", f" {e.unit}" if e.unit else ""
        value = f"{number(e.value, 6)}{unit}" if e.identified else "not identified,"
        found = f"{e.name} {value} [{number(e.low, 6)}, {number(e.high, 6)}]"
        within, beyond = ("below", "above") if self.side == "most" else ("above", "below")
        end = "upper" if self.side == "most" else "lower"
        what = f"whose {end} end" if self.on == "interval" else "which"
        if self.held is None:
            return f"{named} is breached: {found}, which has no value to compare with it"
        if not self.passed:
            return f"{named} is breached: {found}, {what} is {beyond} it"
        return f"{named} holds: {found}, {number(self.margin, 6)} {within} it"


def require(gates: Gate | Sequence[Gate]) -> None:
    """Refuse a result that breaches a limit, so that a pipeline stops there.

    Args:
        gates: one limit, or several.

    Raises:
        GateError: the first breach, with how many more there are.
        InputError: something else was given.

    >>> import pandq
    >>> found = pandq.audit(pandq.Labels([0] * 99), pandq.Probs([[0.9, 0.1]] * 99))
    >>> require([Gate("at most", 0.2, found.kl), Gate("at most", 0.2, found.cross_entropy)])
    >>> require(Gate("at most", 0.1, found.kl))
    Traceback (most recent call last):
    pandq.errors.GateError: at most 0.1 is breached: kl 0.105361 nat ...
    """
    several = [gates] if isinstance(gates, Gate) else gates
    if not isinstance(several, list | tuple) or not all(isinstance(x, Gate) for x in several):
        raise InputError(what="limits are a list of Gates", got=repr(gates))
    breached = [gate for gate in several if not gate.passed]
    if breached:
        more = f" (and {len(breached) - 1} more breached)" if len(breached) > 1 else ""
        msg = f"{breached[0]}{more}"
        raise GateError(msg)
