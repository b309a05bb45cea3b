"""Gates: limits that a pipeline holds a result against, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pandq.errors import GateError
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.results.estimate import Estimate

GateOn = Literal["interval", "point"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit: the option that set it, and the estimate that it is for."""

    option: str
    limit: float
    estimate: Estimate
    on: GateOn = "interval"

    @property
    def held(self) -> float | None:
        """What is held against the limit: the interval's upper end, or the point."""
        return self.estimate.high if self.on == "interval" else self.estimate.value

    @property
    def passed(self) -> bool:
        """Is it within the limit? What is not known is not."""
        return self.held is not None and self.held <= self.limit

    def __str__(self) -> str:
        e = self.estimate
        named, unit = f"{self.option} {self.limit:g}", f" {e.unit}" if e.unit else ""
        value = f"{number(e.value, 6)}{unit}" if e.identified else "not identified,"
        found = f"{e.name} {value} [{number(e.low, 6)}, {number(e.high, 6)}]"
        what = "whose upper end" if self.on == "interval" else "which"
        if self.held is None:
            return f"{named} is breached: {found}, which has no value to hold against it"
        if not self.passed:
            return f"{named} is breached: {found}, {what} is above it"
        return f"{named} holds: {found}, {number(self.limit - self.held, 6)} below it"


def require(gates: Sequence[Gate]) -> None:
    """Refuse a result that breaches a limit.

    Raises:
        GateError: the first breach, with how many more there are.
    """
    breached = [gate for gate in gates if not gate.passed]
    if breached:
        more = f" (and {len(breached) - 1} more breached)" if len(breached) > 1 else ""
        msg = f"{breached[0]}{more}"
        raise GateError(msg)
