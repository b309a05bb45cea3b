"""A model against what an earlier audit said of another: unpaired, and no more than that."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast, get_args

from scipy import special

from pandq.documents import Value
from pandq.errors import InputError
from pandq.estimate.comparison.verdicts import verdict
from pandq.results.comparison import Unpaired
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.results.comparison import Model

# An audit's document, for whoever reads one.
AUDIT, AUDIT_SCHEMA = "audit", "pandq/audit/1"
WRITTEN_BY = "It is written by `pandq audit ... --json FILE`."
LEAST_LEVEL = 1e-9
UNPAIRED = "unpaired: the rows may be others, and their difficulty does not cancel"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an earlier audit said of a model, from its document."""

    value: float
    low: float
    high: float
    level: float
    unit: Unit
    n: int
    n_classes: int
    p: str
    q: str | None

    @classmethod
    def of(cls, document: Mapping[str, Any] | Value) -> Self:
        """From an audit's JSON document.

        Raises:
            InputError: it is no audit, or says what no audit could, or the loss was infinite.
        """
        told = Value.of(document, AUDIT, WRITTEN_BY)
        told.schema(AUDIT_SCHEMA)
        loss, source = told["cross_entropy"], told.get("source")
        q = None if source is None else source.get("q")
        if any(loss.get(name) is None for name in ("value", "low", "high")):
            method = loss.get("method")
            got = "" if method is None else method.text()
            raise InputError(what="the baseline's cross entropy is not finite", got=got)
        value = loss["value"].number(0)
        return cls(
            value,
            loss["low"].number(high=value),
            loss["high"].number(value),
            told["level"].number(LEAST_LEVEL, 1 - LEAST_LEVEL),
            cast("Unit", told["unit"].one_of(*get_args(Unit))),
            told["n"].whole(1),
            told["n_classes"].whole(1),
            told["p"].text(),
            None if q is None else q.text(),
        )


def against_baseline(
    then: Baseline, new: Model, *, n_classes: int, p_kind: str, unit: Unit
) -> Unpaired:
    """What a model pays more than an earlier audit said of another, unpaired.

    Args:
        then: what the audit said.
        new: the model now.
        n_classes: of the rows now.
        p_kind: of P now.
        unit: of the result.

    Returns:
        The difference, with an interval from both standard errors: wider than a paired one, because
        the rows may be others and their difficulty does not cancel.

    Raises:
        InputError: the audit was of another number of classes or kind of P, or a loss is infinite.
    """
    if then.p != p_kind:
        got = f"P was {then.p}, and is {p_kind} now"
        raise InputError(what="the baseline's losses are of another kind", got=got)
    if then.n_classes != n_classes:
        got = f"{then.n_classes}, and {n_classes} now"
        raise InputError(what="the baseline has another number of classes", got=got)
    factor = per_nat(unit) / per_nat(then.unit)
    value, low, high = (factor * x for x in (then.value, then.low, then.high))
    now = new.cross_entropy
    if now.value is None or now.high is None or now.low is None or not math.isfinite(now.high):
        raise InputError(
            what="the cross entropy is not finite and cannot be held against the baseline",
            got=now.method,
        )
    # an interval's half-width is a quantile times the standard error: both at the level of now
    quantiles = (
        special.stdtrit(max(rows - 1, 1), (1 + at) / 2)
        for rows, at in ((now.n, now.level), (then.n, then.level))
    )
    scale = float(next(quantiles) / next(quantiles))
    half = math.hypot((high - low) / 2 * scale, (now.high - now.low) / 2)
    apart = now.value - value
    loss = replace(
        now, value=apart, low=apart - half, high=apart + half, name="difference", method=UNPAIRED
    )
    called = then.q or "the baseline"
    against = f"{called} of the baseline" if called == new.q else called
    return Unpaired(
        new.q, against, paired=False, cross_entropy=loss, verdict=verdict(loss.low, loss.high)
    )
