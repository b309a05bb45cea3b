"""What an audit means, in plain words derived from its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.quantities import QUANTITIES
from pandq.report.bar import stacked
from pandq.report.few import few_carry, few_units, none_wrong
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.results.audit import Audit
    from pandq.results.decomposition import Decomposition
    from pandq.results.estimate import Estimate

# A part below this share of the cross entropy is not worth anybody's day.
SMALL = 0.05
# What is below this is what is left of equal numbers.
ROUNDING = 1e-12
# Of the class frequencies a map needs a little; more than this changes what it is.
MIXED = 0.02


def class_word(name: str | None) -> str:
    """A row's most probable class, where it has one."""
    return "tied" if name is None else name


def said(key: str) -> str:
    """A quantity's name within a sentence."""
    return QUANTITIES[key].label


def rows(n: int) -> str:
    """So many rows.

    >>> rows(1), rows(1200)
    ('1 row', '1,200 rows')
    """
    return f"{n:,} row{'' if n == 1 else 's'}"


def in_words(audit: Audit) -> str:
    """The bar of the parts, for those who do not see it."""
    parts, unit = audit.decomposition, audit.unit
    if parts is None:
        e = audit.cross_entropy
        return f"Cross entropy {number(e.value)} [{number(e.low)}, {number(e.high)}] {unit}."
    found = ", ".join(f"{name} {number(size)}" for name, size in stacked(parts))
    if audit.infinite_rows:
        after = number(parts.refinement_loss.value)
        return f"An infinite loss; of the {after} {unit} after recalibration: {found}."
    return f"Of {number(parts.cross_entropy.value)} {unit} per row: {found}."


def row_words(row: Mapping[str, Any]) -> str:
    """A row in words, for a picture of it."""
    p, q = (class_word(row[of]) for of in ("p_class", "q_class"))
    return f"P says {p}, Q says {q}"


def said_first(audit: Audit) -> list[str]:
    """What must be known before the headline."""
    return [x.sentence for x in audit.findings if x.first]


def said_after(audit: Audit) -> list[str]:
    """Notes and findings that belong below it."""
    found = [*audit.notes, *(x.sentence for x in audit.findings if not x.first)]
    right = audit.expected_accuracy
    few = few_units(right) + none_wrong(right, sure=audit.cross_entropy.value == 0.0)
    return [*found, *few, *few_carry(audit.cross_entropy, "loss")]


def headline(audit: Audit) -> str:
    """The answer in one sentence; a part has a number only where its interval shows one."""
    parts, unit = audit.decomposition, audit.unit
    if parts is None:
        return _plain(audit)
    if parts.cross_entropy.value == 0.0:
        return "No loss: Q gives everything that is true probability 1."
    start, left, free = _loss(parts, unit)
    if parts.label_type == "labels":
        return (
            f"{start}{left}, one label per row cannot say how much is noise in the labels and how"
            " much is the model."
        )
    untold = _untold(parts, start, left, unit)
    if untold is not None:
        return untold
    who = "people disagreeing" if parts.label_type == "votes" else "P's own entropy, the floor"
    told = [f"{share(parts.floor)} is {who}", *free, _model(parts.grouping_loss)]
    return f"{start}{', '.join(told)}."


def _untold(parts: Decomposition, start: str, left: str, unit: str) -> str | None:
    """The answer where votes are not what a certificate assumes; None where nothing shows that."""
    loss = f"{short(parts.cross_entropy.value)} {unit} of loss"
    if not parts.independent:
        return (
            f"{start}{left} nothing can be told apart: a row's votes are no independent draws from"
            " one P (they agree less often than such draws can)."
        )
    if not parts.votes_settled:
        return (
            f"{loss} on these votes, of which nothing can be told apart: how many votes a row has"
            " depends on what they say."
        )
    if parts.leak:
        return (
            f"{loss}, less than these votes allow: Q has seen them, and its error on new data"
            " cannot be read from this; or else a row's votes are no independent draws."
        )
    return None


def _loss(parts: Decomposition, unit: str) -> tuple[str, str, list[str]]:
    """How a sentence begins: the loss, what is left to explain, and what recalibrating removes."""
    after = short(parts.refinement_loss.value)
    if parts.infinite_rows:
        start = (
            f"The loss is infinite: Q rules out what happened in {rows(parts.infinite_rows)}; after"
            f" recalibration {after} {unit}: "
        )
        return start, f"of the {after}", []
    total = f"{short(parts.cross_entropy.value)} {unit} of loss: "
    if not wins(parts):
        free = "recalibrating removes nothing that can be shown"
        alone = f"{total}{free}; "
        return (alone, "of the loss", []) if _undivided(parts) else (total, "", [free])
    free = f"{share(parts.calibration_loss)} goes away by recalibrating"
    if _undivided(parts):
        return f"{total}{free}; ", f"of the other {after}", []
    return total, "", [free]


def _undivided(parts: Decomposition) -> bool:
    """Is the loss after recalibration not told apart into floor and grouping loss?"""
    return parts.label_type == "labels" or not (parts.independent and parts.votes_settled)


def _model(grouping: Estimate) -> str:
    """What is the model's, as far as it can be shown."""
    if (grouping.low or 0.0) > 0:
        return f"{share(grouping)} is the model"
    most = f" (at most {short(grouping.high)})" if (grouping.high or 0.0) > ROUNDING else ""
    return f"nothing that can be shown is the model{most}"


def share(part: Estimate) -> str:
    """A part in a sentence: its point where the interval is no wider than that, else the range.

    >>> from pandq import Estimate
    >>> share(Estimate(0.5, 0.4, 0.6)), share(Estimate(0.47, 0.014, 0.928))
    ('0.500', '0.0140 to 0.928')
    """
    low, high = part.low or 0.0, part.high or 0.0
    shown = part.value is not None and (high - low <= part.value or high == low)
    return short(part.value) if shown else _range(part)


def wins(parts: Decomposition) -> bool:
    """Can it be shown that recalibrating removes anything?"""
    return parts.calibration_loss.low is not None and parts.calibration_loss.low > 0


def trained_on(parts: Decomposition) -> str:
    """Over which rows the maps' own losses are, where these are not all of them."""
    trained = parts.recalibration.rows
    if trained == parts.n:
        return ""
    return f" on the {trained:,} rows trained on, not on all {parts.n:,}"


def map_name(parts: Decomposition) -> str:
    """The recalibration map in words; what it mixes in matters when it is all that it does.

    A map is mixed with a little of the class frequencies, or a label on a class with q = 0 would
    cost an infinite loss.
    """
    kind, eps = parts.recalibration.kind, parts.recalibration.mixing_weight
    if kind == "identity" and parts.infinite_rows:
        return (
            f"identity map with {short(eps)} of the class frequencies mixed into rows with a zero"
        )
    if eps > MIXED:
        return f"{kind} map with {eps:.0%} of the class frequencies mixed in"
    return f"{kind} map"


def map_words(parts: Decomposition) -> str:
    """Which map removes the calibration loss, where one does."""
    gone = parts.calibration_loss.value != 0
    return f"{parts.recalibration.kind} map, at least" if gone else "no map removes any"


def definition(parts: Decomposition) -> str:
    """What the floor is, and how well it is known."""
    if parts.label_type == "full":
        return (
            "The floor is H(P): no model can pass it. P is taken as exact; if its rows are N votes"
            " divided by N, give the counts instead (counts:COLUMN), or the floor is too low."
        )
    text = "The floor is irreducible for a randomly chosen annotator, slips included."
    if parts.label_type == "labels":
        return f"{text} One label per row does not identify it: only the bounds are known."
    if not parts.independent:
        return (
            "A certified floor needs a row's votes to be independent draws from one P, and these"
            " are not: they agree less often than such draws can, as where the same people answer"
            " every row, each in their own way. Only the loss after recalibration bounds it."
        )
    if not parts.votes_settled:
        return (
            "A certified floor needs a number of votes that was settled before they were given, and"
            " here it depends on what they say, as where a third opinion is asked for only where"
            " two differ. Shares of such votes are no estimate of P, and lean to the majority."
        )
    if parts.leak:
        return (
            f"{text} The votes only bound it: its interval ignores Q, and is certified without a"
            " model of P, if a row's votes are independent draws from P; no point is given."
        )
    return f"{text} The votes only bound it: {parts.floor.method}."


def two_floors(parts: Decomposition, unit: str) -> list[str]:
    """That the floor with and the floor without a look at Q are apart, where they are."""
    floor, blind = parts.floor, parts.blind_floor
    if blind is None or floor.low is None or floor.high is None:
        return []
    middle, low, high = (floor.low + floor.high) / 2, blind.low or 0.0, blind.high or 0.0
    if low <= middle <= high:
        return []
    told = f"A floor that does not look at Q is {_range(blind)} {unit}: the two are apart, as where"
    return [f"{told} Q has seen some of the votes. --floor blind takes that one."]


def next_steps(audit: Audit) -> list[str]:
    """What to do next, each step with what it will bring."""
    parts, unit = audit.decomposition, audit.unit
    first = list(dict.fromkeys(x.remedy for x in audit.findings if x.remedy))
    if first or parts is None:
        return first
    steps = []
    total = parts.cross_entropy.value or 0.0
    if parts.leak:
        steps.append(
            "Distrust Q: it does better on these votes than anything can that has not seen them, if"
            " a row's votes are independent draws. Audit it on labels that it was not trained on."
        )
        return steps
    gain, grouping = parts.calibration_loss, parts.grouping_loss
    if wins(parts) and (parts.infinite_rows or (gain.value or 0.0) > SMALL / 5 * total):
        less = "" if parts.infinite_rows else f"{_range(gain)} less; "
        steps.append(
            f"Recalibrate, at no cost in data or training: the {map_name(parts)} takes the loss"
            f" from {number(total)} to {number(parts.refinement_loss.value)} {unit} ({less}if Q has"
            " not seen these labels; --recalibrator FILE saves it)."
        )
    if parts.label_type == "labels":
        steps.append(
            "Get a second label on some rows: with two or more labels per row the noise in them"
            " can be told from the model's error (give the votes as --p counts:COLUMN)."
        )
        return steps
    if not parts.independent:
        steps.append(
            "Find out who gave the votes: where the same people answer every row, votes of people"
            " drawn anew for each row would show how much of the loss is disagreement."
        )
        return steps
    total = min(total, parts.refinement_loss.value or 0.0) if parts.infinite_rows else total
    return steps + _about_the_model(parts, unit, total, grouping.low or 0.0, grouping.high or 0.0)


def _about_the_model(
    parts: Decomposition, unit: str, total: float, low: float, high: float
) -> list[str]:
    within = f"within {short(high)} {unit} of what these labels allow"
    if high <= ROUNDING * total:
        return ["Stop: this model is at what these labels allow."]
    if high <= SMALL * total:
        then = " once recalibrated" if wins(parts) else ""
        return [f"Stop{then}: this model is {within}."]
    steps = []
    if low > 0:
        steps.append(
            f"Get a better model, or more data to train it: {short(low)} to {short(high)} {unit}"
            " of the loss is the model's, and no rescaling of its outputs removes it."
        )
    if parts.label_type == "votes" and (high - low > SMALL * total):
        steps += _labels_to_buy(parts, unit)
    if not steps:
        steps.append(f"More rows would tell whether anything is left: the model is {within}.")
    return steps


def _labels_to_buy(parts: Decomposition, unit: str) -> list[str]:
    """The cheapest purchase that halves what is not known of the floor."""
    floor_width = (parts.floor.high or 0.0) - (parts.floor.low or 0.0)
    enough = [p for p in parts.plan if p["expected_width"] <= floor_width / 2]
    doubt = f"The votes leave the floor undecided by {short(floor_width)} {unit}."
    if "annotators" in parts.floor.method:
        # a plan of more votes knows nothing of what varies between people
        return [f"{doubt} Its interval allows for who voted: get votes of more people."]
    if not enough:
        return []
    best = min(enough, key=lambda p: p["labels"])
    than = f"; there are {parts.n:,} here" if best["rows"] > parts.n else ""
    step = (
        f"{doubt} Buy labels to halve it: about {best['votes']} votes on each of {best['rows']:,}"
        f" rows ({best['labels']:,} labels, expected width {short(best['expected_width'])}"
        f" {unit}{than})."
    )
    return [step]


def _range(estimate: Estimate) -> str:
    return f"{short(estimate.low)} to {short(estimate.high)}"


def divergence_of(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """KL(P||Q) of a group; of rows that their votes chose, what the votes' shares have."""
    found: Mapping[str, Any] = line["kl"]
    return found if _told_of(found) else line.get("kl_plug_in", found)


def _told_of(kl: Mapping[str, Any]) -> bool:
    return any(kl[end] is not None for end in ("value", "low", "high"))


def group_columns(groups: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What entropy and divergence are called in a table of groups.

    Of votes the entropy is that of their shares, and so is the divergence of rows that their votes
    chose: the three columns of a line then add up, and else they need not.
    """
    line = next(iter(groups), {})
    if "kl_plug_in" not in line:
        return "entropy", "KL(P||Q)"
    return "of shares", "KL(P||Q)" if _told_of(line["kl"]) else "KL of shares"


def of_rows(audit: Audit) -> str:
    """What the divergence of a single row is called: of votes it is that of their shares."""
    return "KL(P||Q)" if audit.kl_plug_in is None else "KL of the votes' shares from Q"


def entropy_of(audit: Audit) -> str:
    """What P's entropy is called: of votes it is that of their shares, below the floor."""
    return "" if audit.kl_plug_in is None else "entropy of the votes' shares (plug-in)"


def told_kl(line: Mapping[str, Any]) -> str:
    """The divergence of a group in a table, infinite where a row's is."""
    return "inf" if line["infinite_rows"] else number(divergence_of(line)["value"])


def told(line: Mapping[str, Any], name: str) -> str:
    """A mean of a group in a table, infinite where a row is."""
    value = line[name]["value"]
    return "inf" if value is None and line["infinite_rows"] else number(value)


def _plain(audit: Audit) -> str:
    if audit.infinite_rows:
        return (
            "The cross entropy is infinite: Q gives no probability to what is true in"
            f" {rows(audit.infinite_rows)}."
        )
    ce, h, kl = (x.value for x in (audit.cross_entropy, audit.entropy, audit.kl))
    if audit.p_kind == "labels":
        return f"Q incurs a loss of {number(ce)} {audit.unit} per row on these labels."
    if kl is None:
        high = audit.kl.high
        most = (
            "" if high is None or high >= (ce or 0.0) else f", at most {number(high)} is KL(P||Q)"
        )
        return f"{number(ce)} {audit.unit} of cross entropy{most}; its floor was not measured."
    return (
        f"Of {number(ce)} {audit.unit} of cross entropy, {number(h)} is P's own entropy"
        f" and {number(kl)} is KL(P||Q)."
    )
