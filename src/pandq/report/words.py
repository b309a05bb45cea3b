"""What an audit means, in plain words derived from its intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandq.audits import Audit
    from pandq.estimate.parts import Decomposition

# A part below this share of the cross entropy is not worth anybody's day.
SMALL = 0.05


def number(x: float | None, digits: int = 4) -> str:
    """A number for a table: fixed digits, or a few significant ones where it is small.

    >>> number(0.17321), number(1.5e-7), number(None), number(float("inf"))
    ('0.1732', '1.5e-07', '-', 'inf')
    """
    if x is None or math.isnan(x):
        return "-"
    if x == 0 or abs(x) >= 0.5 * 10**-digits:
        return f"{x:.{digits}f}"
    return f"{x:.2g}"


def short(x: float | None) -> str:
    """A number for a sentence.

    >>> short(0.3277), short(0.00412), short(None)
    ('0.33', '0.0041', '-')
    """
    if x is None or math.isnan(x):
        return "-"
    return f"{x:.2f}" if abs(x) >= 0.1 else f"{x:.2g}"


def headline(audit: Audit) -> str:
    """The answer in one sentence."""
    parts, unit = audit.decomposition, audit.unit
    if parts is None:
        return _plain(audit)
    if parts.cross_entropy.value == 0.0 and not audit.infinite_rows:
        return "No loss: Q gives everything that is true probability 1."
    total = f"{short(parts.cross_entropy.value)} {unit} of loss"
    if audit.infinite_rows:
        total += f" (in the {parts.n:,} rows where it is finite)"
    free = "recalibrating wins nothing that can be shown"
    if wins(parts):
        free = f"{short(parts.miscalibration.value)} goes away by recalibrating"
    if parts.evidence == "labels":
        left = f"of the other {short(parts.recalibrated.value)}" if wins(parts) else "of the loss"
        return (
            f"{total}: {free}; {left}, one label per row cannot say how much is noise in the"
            " labels and how much is the model."
        )
    if parts.leak:
        return (
            f"{total}, less than these labels allow: Q has seen them, and its error on new data"
            " cannot be read from this."
        )
    who = "people disagreeing" if parts.evidence == "votes" else "P's own entropy, the floor"
    model = f"{short(parts.rest.value)} is the model"
    if (parts.rest.value or 0.0) <= 0:
        model = "nothing that can be shown is the model"
    return f"{total}: {short(parts.floor.value)} is {who}, {free}, {model}."


def wins(parts: Decomposition) -> bool:
    """Can it be shown that recalibrating wins anything?"""
    return parts.miscalibration.low is not None and parts.miscalibration.low > 0


def map_name(parts: Decomposition) -> str:
    """The recalibration map in words; what it mixes in matters when it is all that it does.

    A map is mixed with a little of the class frequencies, or a label on a class with q = 0 would
    cost an infinite loss.
    """
    if parts.kind == "identity" and parts.recalibrator.eps > 0:
        return f"identity map with {parts.recalibrator.eps:.2g} of the class frequencies mixed in"
    return f"{parts.kind} map"


def definition(parts: Decomposition) -> str:
    """What the floor is, and how well it is known."""
    if parts.evidence == "full":
        return (
            "The floor is H(P): no model can pass it. P is taken as exact; if its rows are N votes"
            " divided by N, give the counts instead (counts:COLUMN), or the floor is too low."
        )
    text = "The floor is irreducible for a randomly chosen annotator, slips included."
    if parts.evidence == "labels":
        return f"{text} One label per row does not identify it: only the bounds are known."
    return (
        f"{text} The votes only bound it: its interval is certified without assumptions about P,"
        " and the point is the middle of its bounds, without their sampling errors."
    )


def next_steps(audit: Audit) -> list[str]:
    """What to do next, each step with what it will bring."""
    parts, unit = audit.decomposition, audit.unit
    if parts is None:
        return []
    steps = []
    total = parts.cross_entropy.value or 0.0
    if parts.leak:
        steps.append(
            "Distrust Q: it does better on these labels than anything can that has not seen them."
            " Audit it on labels that it was not trained on."
        )
        return steps
    gain, rest = parts.miscalibration, parts.rest
    worth = wins(parts) and (gain.value or 0.0) > SMALL / 5 * total
    if worth:
        steps.append(
            f"Recalibrate, today and for free: the {map_name(parts)} takes the loss from"
            f" {number(total)} to {number(parts.recalibrated.value)} {unit} ({_range(gain)} less;"
            " --recalibrator FILE saves it)."
        )
    if parts.evidence == "labels":
        steps.append(
            "Get a second label on some rows: with two or more labels per row the noise in them"
            " can be told from the model's error (give the votes as --p counts:COLUMN)."
        )
        return steps
    return steps + _about_the_rest(parts, unit, total, rest.low or 0.0, rest.high or 0.0)


def _about_the_rest(
    parts: Decomposition, unit: str, total: float, low: float, high: float
) -> list[str]:
    within = f"within {short(high)} {unit} of what these labels allow"
    if high <= SMALL * total:
        then = " once recalibrated" if (parts.miscalibration.low or 0) > 0 else ""
        return [f"Stop{then}: this model is {within}."]
    steps = []
    if low > 0:
        steps.append(
            f"Get a better model, or more data to train it: {short(low)} to {short(high)} {unit}"
            " of the loss is the model's, and no rescaling of its outputs removes it."
        )
    if parts.evidence == "votes" and (high - low > SMALL * total):
        steps += _labels_to_buy(parts, unit)
    if not steps:
        steps.append(f"More rows would tell whether anything is left: the model is {within}.")
    return steps


def _labels_to_buy(parts: Decomposition, unit: str) -> list[str]:
    """The cheapest purchase that halves what is not known of the floor."""
    floor_width = (parts.floor.high or 0.0) - (parts.floor.low or 0.0)
    enough = [p for p in parts.plan if p["expected_width"] <= floor_width / 2]
    doubt = f"The votes leave the floor undecided by {short(floor_width)} {unit}."
    if not enough:
        return []
    best = min(enough, key=lambda p: p["labels"])
    step = (
        f"{doubt} Buy labels to halve it: about {best['votes']} votes on each of {best['rows']:,}"
        f" rows ({best['labels']:,} labels, expected width {short(best['expected_width'])} {unit})."
    )
    return [step]


def _range(estimate: object) -> str:
    low, high = getattr(estimate, "low", None), getattr(estimate, "high", None)
    return f"{short(low)} to {short(high)}"


def _plain(audit: Audit) -> str:
    if audit.infinite_rows:
        return "The cross entropy is infinite: Q rules out what P allows in some rows."
    ce, h, kl = (x.value for x in (audit.cross_entropy, audit.entropy, audit.kl))
    if audit.p_kind == "labels":
        return f"Q pays {number(ce)} {audit.unit} per row for these labels."
    return (
        f"Of {number(ce)} {audit.unit} of cross entropy, {number(h)} is P's own entropy"
        f" and {number(kl)} is KL(P||Q)."
    )
