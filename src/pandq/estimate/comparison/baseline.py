"""A model against what an earlier audit said of another: unpaired, and no more than that."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from scipy import special

from pandq.errors import InputError
from pandq.estimate.comparison.verdicts import verdict
from pandq.results.comparison import Unpaired
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from pandq.results.audit import Audit
    from pandq.results.comparison import Model
    from pandq.results.estimate import Estimate

METHOD = "unpaired: the rows may be others, and their difficulty does not cancel; Welch's t"


def against_baseline(
    then: Audit, new: Model, *, n_classes: int, p_kind: str, unit: Unit
) -> Unpaired:
    """A model's loss less what an earlier audit said of another, unpaired.

    Args:
        then: the audit.
        new: the model now.
        n_classes: of the rows now.
        p_kind: of P now.
        unit: of the result.

    Returns:
        The difference, with an interval from both standard errors: wider than a paired one, because
        the rows may be others and their difficulty does not cancel.

    Raises:
        InputError: the audit was of another number of classes or kind of P, or a loss is infinite.

    Source: Welch 1947, The generalization of Student's problem.
    """
    if then.p_kind != p_kind:
        got = f"P was {then.p_kind}, and is {p_kind} now"
        raise InputError(what="the baseline's losses are of another kind", got=got)
    if then.n_classes != n_classes:
        got = f"{then.n_classes}, and {n_classes} now"
        raise InputError(what="the baseline has another number of classes", got=got)
    now, factor = new.cross_entropy, per_nat(unit) / per_nat(then.unit)
    value, error = _finite(then.cross_entropy, "the baseline's cross entropy")
    value_now, error_now = _finite(now, "the cross entropy to compare with the baseline")
    errors = (factor * error, error_now)
    degrees = _degrees(errors, (then.cross_entropy, now))
    apart, spread = value_now - factor * value, math.hypot(*errors)
    half = float(special.stdtrit(degrees, (1 + now.level) / 2)) * spread
    loss = replace(
        now,
        value=apart,
        low=apart - half,
        high=apart + half,
        name="difference",
        method=METHOD,
        standard_error=spread,
        degrees=degrees,
        effective=None,
        skewness=None,
        likely_skewness=None,
    )
    called = then.source.get("q") or "the baseline"
    against = f"{called} of the baseline" if called == new.q else str(called)
    said = verdict(loss.low, loss.high)
    return Unpaired(q=new.q, against=against, paired=False, cross_entropy=loss, verdict=said)


def _finite(loss: Estimate, what: str) -> tuple[float, float]:
    """A loss and its standard error, both finite."""
    value, error = loss.value, loss.standard_error
    if value is None or error is None or not 0 <= value < math.inf or not error < math.inf:
        raise InputError(what=f"{what} is not finite, or has no standard error", got=loss.method)
    return value, error


def _degrees(errors: tuple[float, float], losses: tuple[Estimate, Estimate]) -> float:
    """Degrees of freedom of a difference of means; a bootstrap has those of its rows."""
    squares = [error**2 for error in errors]
    each = [max(x.n - 1 if x.degrees is None else x.degrees, 1) for x in losses]
    lost = sum(square**2 / own for square, own in zip(squares, each, strict=True))
    return float(sum(squares) ** 2 / lost) if lost > 0 else float(min(each))
