"""Estimate: a number with its interval, and how the interval was made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.units import Unit, per_nat, significant

if TYPE_CHECKING:
    from pandq.documents import Value

ENDS = ("value", "low", "high")
OF_ERROR = ("degrees", "effective", "skewness", "likely_skewness")
# What arithmetic may do to the order of a value and its ends.
ROUNDING = 1e-9
# What a format specification of a number ends with; one of a width alone is of text.
NUMERIC = tuple("eEfFgGn%")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with an interval of the given level.

    `value` is None where the data do not identify the quantity; `low` and `high` then bound it.
    `standard_error` is the value's, with its `degrees` of freedom, where it has one; `effective` is
    how many equal and independent rows or clusters would tell as much (Kish 1965). An end of an
    interval by Student's t is value +- t * standard_error, further out on the side to which the
    mean's `skewness` points (Hall 1992) and, where a loss has few units, to which its
    `likely_skewness` does, cut to what is possible. Where Q was right in every row, it is out where
    errors of which none was seen may take it; `method` says so.

    >>> print(Estimate(0.312, 0.298, 0.327, name="floor"))
    floor 0.312 nat [0.298, 0.327]
    >>> f"{Estimate(0.312, 0.298, 0.327):.2f}", float(Estimate(0.312, 0.298, 0.327))
    ('0.31', 0.312)
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
    standard_error: float | None = None
    degrees: float | None = None
    effective: float | None = None
    skewness: float | None = None
    likely_skewness: float | None = None

    def __str__(self) -> str:
        name = f"{self.name} " if self.name else ""
        value = "not identified" if self.value is None else _shown(self.value)
        unit = f" {self.unit}" if self.unit and self.value is not None else ""
        if self.low is None or self.high is None or math.isnan(self.low):
            return f"{name}{value}{unit}"
        return f"{name}{value}{unit} [{_shown(self.low)}, {_shown(self.high)}]"

    def __float__(self) -> float:
        if self.value is None:
            bounds = f"between {_shown(self.low)} and {_shown(self.high)}"
            raise InputError(
                what=f"{self.name or 'this estimate'} has no point value",
                got=bounds,
                remedy="Use .low and .high.",
            )
        return self.value

    def __format__(self, spec: str) -> str:
        """The number itself where the specification is one of numbers, else the text."""
        return format(float(self) if spec[-1:] in NUMERIC else str(self), spec)

    def _repr_html_(self) -> str:
        return f"<span>{self}</span>"

    @property
    def half_width(self) -> float:
        """Half of the interval's width; nan without one."""
        if self.low is None or self.high is None:
            return math.nan
        return (self.high - self.low) / 2

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; null for what is not finite, and then `infinite` says which way."""
        ends = {end: getattr(self, end) for end in ENDS}
        infinite = {end: math.copysign(1, x) for end, x in ends.items() if x and math.isinf(x)}
        return {
            **{end: finite(x) for end, x in ends.items()},
            "unit": self.unit,
            "n": self.n,
            "standard_error": finite(self.standard_error),
            **{name: finite(getattr(self, name)) for name in OF_ERROR},
            "method": self.method,
            "identified": self.identified,
            **({"infinite": infinite} if infinite else {}),
        }

    @classmethod
    def of(cls, told: Value, name: str, level: float) -> Estimate:
        """The estimate that a JSON form tells.

        Raises:
            InputError: it is no such form.
        """
        ends, spread = {}, told.get("standard_error")
        least = dict.fromkeys(OF_ERROR, -math.inf) | {"degrees": -1.0, "effective": 0.0}
        known = {name: told.get(name) for name in OF_ERROR}
        infinite = told.get("infinite")
        for end in ENDS:
            found = told.get(end)
            ends[end] = None if found is None else found.number()
            sign = None if infinite is None else infinite.get(end)
            if sign is not None:
                ends[end] = math.copysign(math.inf, sign.number(-1, 1))
        value, low, high = (ends[end] for end in ENDS)
        slack = ROUNDING * (1 + abs(value)) if value and math.isfinite(value) else ROUNDING
        whole = value is not None and low is not None and high is not None
        if whole and not low - slack <= value <= high + slack:  # type: ignore[operator]
            told.refuse("must lie between its low and its high", got=f"{value:g}")
        return cls(
            **ends,
            level=level,
            unit=told["unit"].one_of("nat", "bit", ""),
            n=told["n"].whole(),
            method=told["method"].text(),
            name=name,
            identified=told["identified"].truth(),
            standard_error=None if spread is None else spread.number(0),
            **{x: None if one is None else one.number(least[x]) for x, one in known.items()},
        )

    def to_unit(self, unit: Unit) -> Estimate:
        """The same in another unit, from nats."""
        factor = per_nat(unit)

        def scaled(x: float | None) -> float | None:
            return None if x is None else x * factor

        found = {x: scaled(getattr(self, x)) for x in (*ENDS, "standard_error")}
        return replace(self, **found, unit=unit)  # type: ignore[arg-type]

    def ranged(
        self, low: float | None, high: float | None, method: str, value: float | None = None
    ) -> Estimate:
        """What is known of the same quantity by bounds alone: no standard error is its own."""
        of = self.level, self.unit, self.n
        return Estimate(value, low, high, *of, method, self.name, identified=False)

    def reaching(self, value: float, why: str) -> Estimate:
        """The same with an interval that holds some value besides, and why, where it did not.

        >>> print(Estimate(1.0, 0.9, 1.1).reaching(1.2, "more may come"))
        1.000 nat [0.900, 1.200]
        """
        if self.low is None or self.high is None or self.low <= value <= self.high:
            return self
        low, high = min(self.low, value), max(self.high, value)
        return replace(self, low=low, high=high, method=f"{self.method}; {why}")


def _shown(x: float | None) -> str:
    """Three digits after the point, or three significant ones where it is small."""
    if x is None:
        return "-"
    return f"{x + 0.0:.3f}" if x == 0 or abs(x) >= 0.1 else significant(x)


def finite(x: float | None) -> float | None:
    """x, or None where JSON has no number for it."""
    return x if x is not None and math.isfinite(x) else None
