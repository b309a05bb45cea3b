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


def number(x: float | None, digits: int = 4) -> str:
    """A number for a table: fixed digits, or three significant ones where it is small.

    >>> number(0.17321), number(1.5e-7), number(None), number(float("inf"))
    ('0.1732', '1.50e-07', '-', 'inf')
    """
    if x is None or math.isnan(x):
        return "-"
    if x == 0 or abs(x) >= 10 ** (2 - digits):
        return f"{x + 0.0:.{digits}f}"
    return significant(x)


def short(x: float | None) -> str:
    """A number for a sentence.

    >>> short(0.3277), short(0.00412), short(None)
    ('0.328', '0.00412', '-')
    """
    return "-" if x is None or math.isnan(x) else significant(x)
