"""What votes say by themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.report import figures
from pandq.report.sections.ordered import in_order
from pandq.report.sections.section import (
    Cell,
    Chart,
    Row,
    Section,
    Table,
    estimated,
    figure_of,
    interval,
    whole,
)
from pandq.units import number, short
from pandq.views.answers import by_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.results.agreement import Agreement
    from pandq.results.estimate import Estimate

APART = "stands apart"
NAMED = 5  # annotators or classes, in a sentence
ROWS = ("observed_agreement", "alpha", "ordinal_alpha", "floor")
SHARES = ("between_items", "between_annotators", "within_both")
FLOOR = (
    "The floor is the least cross entropy that any model can have on votes of {}, slips included."
    " Its interval is certified without a model of P, if an item's votes are"
    " independent draws and their number was settled without a look at them. An audit's floor looks"
    " at Q too, and is narrower."
)
SCORED = (
    "A vote's loss is its logarithmic score under the distribution of the other votes for its"
    " item (smoothed towards the class frequencies, by one strength for everybody). The excess is"
    " over the others' votes on the same items, so that hard items count against nobody; verdicts"
    " allow for all annotators looked at (Holm), and need ten items that others answered too."
)
ITEMS = "Chosen by how they came out: some of them are divided by chance, the more so of few votes."


def agreement_sections(found: Agreement) -> Iterator[Section]:
    """All that an account of votes says, the answer first."""
    notes = [f"Note: {note.rstrip('.')}." for note in found.notes]
    yield Section(_headline(found), note=[_about(found), *notes], first=True, answer=True, steps=())
    rows = [Row(name, x) for name in ROWS if (x := getattr(found, name)) is not None]
    about: dict[str, Any] = {"unit": found.unit, "level": found.level}
    yield Section(
        "What people agree on",
        rows=rows,
        **about,
        note=[
            *([] if found.floor is None else [FLOOR.format(_whose(found))]),
            *_independence(found),
        ],
        first=True,
    )
    yield Section("What next", steps=_steps(found), first=True)
    if found.annotators:
        yield _annotators(found)
    more = [Row("plug_in_entropy", found.plug_in_entropy)]
    if found.components is not None:
        more += [Row(name, getattr(found.components, name), percent=True) for name in SHARES]
    yield Section("What disagreement there is", rows=more, **about)
    tables = [_sizes(found)]
    tables += [_classes(found)] if found.classes else []
    tables += [_pairs(found)] if found.pairs else []
    yield Section("Where people disagree", table=tables)
    if found.divided:
        yield Section("Items that divide people most", table=[_divided(found)], note=[ITEMS])
    yield Section("How it was computed", definitions=_method(found))


def _headline(found: Agreement) -> str:
    """The answer in one sentence."""
    agreement, alpha, floor = found.observed_agreement, found.alpha, found.floor
    if agreement is None:
        return f"{_many(found.n, 'item')} with one vote each: whether people agree is not known."
    told = f"Two votes for an item agree in {agreement.value:.1%} of cases"
    if alpha is not None:
        told += f" (Krippendorff's alpha {number(alpha.value, 3)} {interval(alpha, 3)})"
    if floor is None:
        return f"{told}; no floor is certified."
    ends = f"{short(floor.low)} to {short(floor.high)} {found.unit}"
    return f"{told}; the floor of any model that predicts these people is {ends}."


def _about(found: Agreement) -> str:
    """How many of everything there are."""
    least, most = (f(map(int, found.votes_per_item)) for f in (min, max))
    votes = f"{least}" if least == most else f"{least} to {most}"
    who = "" if found.n_annotators is None else f"{_many(found.n_annotators, 'annotator')}, "
    without = f" and {found.without_votes:,} without a vote" if found.without_votes else ""
    lone = found.n - found.pairable
    single = f", {lone:,} of them with one alone" if lone else ""
    same = (
        f"; {found.unanimous:,} of {_many(found.pairable, 'item')} with two votes or more are"
        " unanimous"
        if found.pairable
        else ""
    )
    return (
        f"{_many(found.n, 'item')} with votes{single}{without}, {who}{_many(found.n_votes, 'vote')}"
        f" ({votes} an item), {_many(found.n_classes, 'class', 'classes')}{_named(found)}{same};"
        f" intervals at {found.level:.0%}"
    )


def _named(found: Agreement) -> str:
    """The classes, where they are few and some item has two votes or more."""
    names = [line["name"] for line in found.classes]
    if found.order is not None:
        return f" ({in_order(found.order)})"
    few = len(names) == found.n_classes <= NAMED
    return f" ({', '.join(sorted(names, key=by_value))})" if few else ""


def _many(n: int, what: str, plural: str = "") -> str:
    return f"{n:,} {what if n == 1 else plural or f'{what}s'}"


def _whose(found: Agreement) -> str:
    """Whose votes the floor is of."""
    pool = found.options.get("annotator_pool")
    if pool is None:
        return "people drawn like these"
    size = found.n_annotators if pool == "seen" else pool
    return f"a randomly chosen one of {size:,} people"


def _independence(found: Agreement) -> Iterator[str]:
    """What the number of votes says, and for whom the intervals are."""
    numbers, several = found.vote_numbers, len(found.votes_per_item) > 1
    if numbers is not None and numbers.depends:
        yield (
            f"Of {_many(numbers.items, 'item')} with {numbers.votes} votes {numbers.unanimous:.2%}"
            " are unanimous; independent votes of a number settled beforehand would make at least"
            f" {numbers.least:.2%} so (p = {number(numbers.p_value, 3)})."
        )
    elif numbers is not None and several:
        yield (
            "The number of votes shows no dependence on the votes"
            f" (p = {number(numbers.p_value, 3)}); whether it was settled beforehand is for you to"
            " know."
        )
    if found.n_annotators is None:
        yield "Who gave which vote is not known here: votes were taken as exchangeable."
        return
    if found.votes_per_item == {str(found.n_annotators): found.n} and found.n_annotators > 1:
        yield (
            f"The same {found.n_annotators} people answered every item. To predict one of these"
            " very people, chosen at random, the least loss is the entropy of the votes' shares"
            + (
                "."
                if "annotator_pool" in found.options
                else "; the floor is for people drawn anew."
            )
        )
    if found.observed_agreement is not None:
        yield (
            "Intervals are over items, for the people who answered: other people may answer"
            " otherwise."
        )


def _steps(found: Agreement) -> list[str]:
    """What to do next."""
    steps = []
    apart = [x["name"] for x in found.annotators if x["verdict"] == APART]
    if apart:
        named = ", ".join(apart[:NAMED]) + (", ..." if len(apart) > NAMED else "")
        steps.append(
            f"Look at what {named} answered ({_many(len(apart), 'annotator')} of"
            f" {len(found.annotators):,}): their votes are further from the others' than chance"
            " would make them, which is a slip, another reading of the task, or a minority's view."
        )
    if found.pairs and found.pairs[0]["share"] > 0.5 and found.n_classes > 2:
        a, b = found.pairs[0]["classes"]
        steps.append(
            f"Look at the definitions of {a} and {b}: {found.pairs[0]['share']:.0%} of all"
            " disagreement is between these two."
        )
    if found.pairable < found.n / 2:
        steps.append("Get a second vote on more items: only those say how far people agree.")
    steps.append(
        "With a model's predictions, audit them against these votes: how much of the loss is"
        " people disagreeing, and how much is the model."
    )
    return steps


def _annotators(found: Agreement) -> Section:
    told = f"{SCORED} With {found.level:.0%} intervals, not adjusted."
    draw = partial(figures.annotators, found)
    chart = Chart("annotators", "Annotators against the others", told, draw, wide=True)
    rows = [
        (
            Cell(line["name"]),
            whole(line["n"]),
            figure_of(line["agreement"], 3),
            *estimated(line["cross_entropy"], 3),
            *estimated(line["difference"], 3),
            Cell(line["verdict"], kind=_kind(line["verdict"])),
        )
        for line in found.annotators
    ]
    columns = (
        "annotator",
        "votes",
        "agrees",
        f"loss, {found.unit}",
        "interval",
        "excess",
        "interval",
        "verdict",
    )
    cut = "those with a verdict first, the largest difference first"
    table = Table("annotator", columns, rows, cut=cut, name="annotators")
    drawn = [x for x in found.annotators if x["difference"]["low"] is not None]
    return Section(
        "Annotators", chart=[chart] if drawn else [], table=[table], note=[] if drawn else [SCORED]
    )


def _kind(verdict: str) -> Any:
    return {APART: "worse", "closer than others": "better"}.get(verdict, "text")


def _sizes(found: Agreement) -> Table:
    rows = [
        (Cell(m, float(m), "number"), whole(n), figure_of(n / (found.n + found.without_votes), 3))
        for m, n in found.votes_per_item.items()
    ]
    return Table("votes an item", ("votes", "items", "share"), rows, cut="fewest votes first")


def _classes(found: Agreement) -> Table:
    rows = [
        (
            Cell(line["name"]),
            whole(line["n"]),
            figure_of(line["share"], 3),
            *estimated(line["agreement"], 3),
        )
        for line in found.classes
    ]
    columns = ("class", "votes", "share", "another vote is the same", "interval")
    caption = "of items with two votes or more"
    return Table("class", columns, rows, caption, cut="most votes first")


def _pairs(found: Agreement) -> Table:
    rows = [
        (
            Cell(" / ".join(line["classes"])),
            whole(line["items"]),
            figure_of(line["share"], 3),
            figure_of(line["times_chance"], 3),
        )
        for line in found.pairs
    ]
    columns = ("pair of classes", "items with both", "share of disagreement", "times chance")
    return Table("pair of classes", columns, rows, cut="largest share of disagreement first")


def _divided(found: Agreement) -> Table:
    rows = [
        (
            Cell(line["id"]),
            whole(line["votes"]),
            figure_of(line["entropy"]),
            Cell(", ".join(f"{name} {n:,}" for name, n in line["classes"].items())),
        )
        for line in found.divided
    ]
    columns = ("item", "votes", f"entropy of shares, {found.unit}", "votes by class")
    return Table("item", columns, rows, cut="most divided first")


def _method(found: Agreement) -> dict[str, object]:
    named: Sequence[Estimate | None] = [getattr(found, x) for x in (*ROWS, "plug_in_entropy")]
    methods = {x.name: x.method for x in named if x is not None and x.method}
    if found.components is not None:
        methods["shares of disagreement"] = found.components.between_items.method
    if found.votes_per_annotator is not None:
        spread = found.votes_per_annotator
        methods["votes an annotator"] = (
            f"{spread['least']:,.0f} to {spread['most']:,.0f}, median {spread['median']:,g}; the"
            f" busiest tenth gave {spread['share_of_the_busiest_tenth']:.0%} of all"
        )
    return {**methods, **found.options}
