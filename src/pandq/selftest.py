"""A check of an installation, in less than a minute: `python -m pandq.selftest`."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.special import log_softmax, rel_entr

import pandq
from pandq.core.kernels import build_name
from pandq.demo import run_demo
from pandq.measure.entropies import kl_divergence
from pandq.views import Logits

# Imported without it, but of no use: the library is loaded when a network is made.
NETWORKS = "pandq.fit.networks"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
TOLERANCE = 1e-5


def installed(library: str) -> bool:
    """Can it be imported?"""
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True


def modules() -> Iterator[ModuleType]:
    """Every module of pandq's but those that need a library which is not installed."""
    for found in pkgutil.walk_packages(pandq.__path__, "pandq."):
        if found.name.endswith("__main__"):
            continue
        if found.name.startswith(NETWORKS) and not installed("torch"):
            continue
        try:
            module = importlib.import_module(found.name)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "pandq":
                raise
        else:
            yield module


def examples() -> tuple[str, bool]:
    """Do the examples of the docstrings give what they say?"""
    failed = tried = 0
    for module in modules():
        found = doctest.testmod(module, optionflags=FLAGS)
        failed, tried = failed + found.failed, tried + found.attempted
    return f"{tried} examples of the docstrings, {failed} fail", failed == 0 < tried


def measures() -> tuple[str, bool]:
    """Do the kernels agree with SciPy, in each storage and for few and many classes?"""
    rng, worst = np.random.default_rng(0), 0.0
    for n_classes in (2, 10, 1000):
        x, y = rng.normal(size=(2, 500, n_classes)) * 3
        for storage in (np.float64, np.float32, np.float16):
            x, y = x.astype(storage), y.astype(storage)
            log_p, log_q = (log_softmax(z.astype(np.float64), axis=1) for z in (x, y))
            right = rel_entr(np.exp(log_p), np.exp(log_q)).sum(axis=1)
            found = kl_divergence(Logits(x), Logits(y))
            worst = max(worst, float(np.abs(found / right - 1).max()))
    return f"KL(P||Q) against SciPy: off by {worst:.1g} at most", worst < TOLERANCE


def floor() -> tuple[str, bool]:
    """Does the certified floor of the demo's votes hold the truth?"""
    with tempfile.TemporaryDirectory() as folder:
        found = run_demo(Path(folder) / "demo")
    parts = found.votes.decomposition
    if parts is None:
        return "the demo's audit has no parts", False
    e = parts.floor
    holds = e.low is not None and e.high is not None and e.low <= found.true_floor <= e.high
    return f"certified {e}, the truth is {found.true_floor:.3f}", holds


def main() -> int:
    """Check it all, and say so; 0 where all is well."""
    write = sys.stdout.write
    write(
        f"pandq {pandq.__version__}, Python {platform.python_version()}, NumPy {np.__version__}\n"
    )
    write(f"rows are measured by: {build_name()}\n")
    well = True
    for check in (measures, floor, examples):
        said, good = check()
        write(f"{'well ' if good else 'WRONG'}  {said}\n")
        well &= good
    return 0 if well else 3


if __name__ == "__main__":
    sys.exit(main())
