"""Estimate: a number with its interval, and how the interval was made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from pandq.units import Unit, per_nat, significant


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with an interval of the given level.

    `value` is None where the data do not identify the quantity; `low` and `high` then bound it.

    >>> print(Estimate(0.312, 0.298, 0.327, name="floor"))
    floor 0.312 nat [0.298, 0.327]
    """

    value: float | None
    low: float | None
    high: float | None
    level: float = 0.95
    unit: str = "nat"
    n: int = 0
    method: str = ""
    name: str = ""
    identified: bool = True

    def __str__(self) -> str:
        name = f"{self.name} " if self.name else ""
        value = "not identified" if self.value is None else _shown(self.value)
        unit = f" {self.unit}" if self.unit and self.value is not None else ""
        if self.low is None or self.high is None or math.isnan(self.low):
            return f"{name}{value}{unit}"
        return f"{name}{value}{unit} [{_shown(self.low)}, {_shown(self.high)}]"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def _repr_html_(self) -> str:
        return f"<span>{self}</span>"

    @property
    def half_width(self) -> float:
        """Half of the interval's width; nan without one."""
        if self.low is None or self.high is None:
            return math.nan
        return (self.high - self.low) / 2

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: value, low, high, method; None for what is not finite."""
        return {
            "value": finite(self.value),
            "low": finite(self.low),
            "high": finite(self.high),
            "method": self.method,
            "identified": self.identified,
        }

    def to_unit(self, unit: Unit) -> Estimate:
        """The same in another unit, from nats."""
        factor = per_nat(unit)

        def scaled(x: float | None) -> float | None:
            return None if x is None else x * factor

        return replace(
            self, value=scaled(self.value), low=scaled(self.low), high=scaled(self.high), unit=unit
        )


def _shown(x: float) -> str:
    """Three digits after the point, or three significant ones where it is small."""
    return f"{x + 0.0:.3f}" if x == 0 or abs(x) >= 0.1 else significant(x)


def finite(x: float | None) -> float | None:
    """x, or None where JSON has no number for it."""
    return x if x is not None and math.isfinite(x) else None
