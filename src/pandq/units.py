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
