"""Fused kernels: every measure of a row in one pass, compiled from portable C11."""

from pandq.core.kernels.builds import build_name, builds_here
from pandq.core.kernels.run import (
    NAMES,
    central_sums,
    divergence,
    first_doubt,
    group_sums,
    law_sums,
    measured,
)

__all__ = [
    "NAMES",
    "build_name",
    "builds_here",
    "central_sums",
    "divergence",
    "first_doubt",
    "group_sums",
    "law_sums",
    "measured",
]
