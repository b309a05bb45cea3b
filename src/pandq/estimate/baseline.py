"""A model against what an earlier audit said of another: unpaired, and no more than that."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scipy import special

from pandq.errors import InputError
from pandq.estimate.verdicts import verdict
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.estimate.differences import Model
    from pandq.estimate.intervals import Estimate

UNPAIRED = "unpaired: the rows may be others, and their difficulty does not cancel"


@dataclass(frozen=True, slots=True)
class Unpaired:
    """What Q pays more than a model that is known by its audit alone."""

    q: str
    against: str
    cross_entropy: Estimate
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "q": self.q,
            "against": self.against,
            "paired": False,
            "cross_entropy": self.cross_entropy.to_dict(),
            "verdict": self.verdict,
        }


def against_baseline(
    old: Mapping[str, Any], new: Model, *, n_classes: int, p_kind: str, unit: Unit
) -> Unpaired:
    """What a model pays more than an earlier audit said of another, unpaired.

    Args:
        old: an audit's JSON document.
        new: the model now.
        n_classes: of the rows now.
        p_kind: of P now.
        unit: of the result.

    Returns:
        The difference, with an interval from both standard errors: wider than a paired one, because
        the rows may be others and their difficulty does not cancel.

    Raises:
        InputError: the document is no audit, or of another number of classes.
    """
    remedy = "It is written by `pandq audit ... --json FILE`."
    if old.get("schema") != "pandq/audit/1":
        raise InputError(what="the baseline is no audit", remedy=remedy)
    try:
        then, level, old_unit = old["cross_entropy"], float(old["level"]), old["unit"]
        ends = [then[name] for name in ("value", "low", "high")]
        classes, n = int(old["n_classes"]), int(old["n"])
    except (KeyError, TypeError, ValueError):
        raise InputError(what="the baseline is no whole audit", remedy=remedy) from None
    if any(x is None for x in ends):
        raise InputError(what="the baseline's cross entropy is not finite", got=str(then["method"]))
    if old.get("p") != p_kind:
        got = f"P was {old.get('p')}, and is {p_kind} now"
        raise InputError(what="the baseline's losses are of another kind", got=got)
    if classes != n_classes:
        got = f"{classes}, and {n_classes} now"
        raise InputError(what="the baseline has another number of classes", got=got)
    factor = per_nat(unit) / per_nat(old_unit)
    value, low, high = (factor * float(x) for x in ends)
    now = new.cross_entropy
    if now.value is None or now.high is None or now.low is None or not math.isfinite(now.high):
        raise InputError(
            what="the cross entropy is not finite and cannot be held against the baseline",
            got=now.method,
        )
    # an interval's half-width is a quantile times the standard error: both at the level of now
    quantiles = (
        special.stdtrit(max(rows - 1, 1), (1 + at) / 2)
        for rows, at in ((now.n, now.level), (n, level))
    )
    scale = float(next(quantiles) / next(quantiles))
    half = math.hypot((high - low) / 2 * scale, (now.high - now.low) / 2)
    apart = now.value - value
    loss = replace(
        now, value=apart, low=apart - half, high=apart + half, name="difference", method=UNPAIRED
    )
    called = str(old.get("source", {}).get("q") or "the baseline")
    against = f"{called} of the baseline" if called == new.q else called
    return Unpaired(new.q, against, loss, verdict(loss.low, loss.high))
