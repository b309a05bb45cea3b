"""Which build of the kernels this processor runs, chosen once, when they are first needed."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING

from pandq.core.threads import imported
from pandq.errors import PandqWarning

if TYPE_CHECKING:
    from types import ModuleType

# The best first: a build's name, and the least level of x86-64 that it needs.
BUILDS = (("v4", 4), ("v3", 3), ("v2", 2), ("plain", 0))

ENVIRONMENT = "PANDQ_KERNELS"

# As INTERFACE of module.c: a build of other sources, left from before an update, is not called.
INTERFACE = 11


@cache
def builds_here() -> dict[str, ModuleType]:
    """The builds that were compiled and that this processor can run, the best first."""
    found = {}
    for name, _ in BUILDS:
        try:
            build = imported(f"pandq.core.kernels._{name}")
        except ImportError:
            continue
        if getattr(build, "interface", None) == INTERFACE:
            found[name] = build
    level = next((int(build.level()) for build in found.values()), 0)
    needed = dict(BUILDS)
    return {name: build for name, build in found.items() if needed[name] <= level}


@cache
def build_name() -> str:
    """What measures rows: the best build, or "numpy" where there is none.

    PANDQ_KERNELS names another: v4, v3, v2, plain, or numpy.

    >>> build_name() in ("v4", "v3", "v2", "plain", "numpy")
    True
    """
    here, wanted = builds_here(), os.environ.get(ENVIRONMENT, "")
    if wanted == "numpy" or wanted in here:
        return wanted
    if here and not wanted:
        return next(iter(here))
    known = f"compiled here: {', '.join(here)}" if here else "none was compiled from these sources"
    asked = f"{ENVIRONMENT}={wanted}" if wanted else "no kernels"
    message = f"pandq: {asked}; {known}. NumPy measures the rows, correctly but more slowly."
    warnings.warn(message, PandqWarning, stacklevel=2)
    return "numpy"


def build() -> ModuleType | None:
    """The build in use, or None where NumPy answers."""
    return builds_here().get(build_name())
