"""Nats inside, bits only at the edge."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pandq.errors import InputError

Unit = Literal["nat", "bit"]


def per_nat(unit: Unit) -> float:
    """How many of `unit` make one nat.

    >>> per_nat("bit")
    1.4426950408889634
    """
    if unit not in get_args(Unit):
        raise InputError(what="unknown unit", got=repr(unit), remedy="Use 'nat' or 'bit'.")
    return 1.0 if unit == "nat" else 1.0 / math.log(2.0)


def significant(x: float) -> str:
    """Three significant digits, and all those before the point.

    >>> significant(0.32771), significant(1.5e-7), significant(1234.5), significant(0.0)
    ('0.328', '1.50e-07', '1234', '0')
    """
    if x == 0.0 or not -1e6 < x < 1e6:
        return f"{x + 0.0:.3g}"
    return f"{x:.0f}" if abs(x) >= 999.5 else f"{x:#.3g}".rstrip(".")
