"""What a comparison says where only the top of P or of Q is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.quantities import QUANTITIES, keys
from pandq.report.sections.section import Cell, Section, Table, figure_of, interval
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.results.comparison import Bounds, Comparison, TopLabels

BOUNDED = (
    "A TopK knows a distribution in part. The lower bound is certified: merging the unseen classes"
    " can only bring two distributions closer. The upper one spreads P's unseen probability as"
    " badly as it can be: no class above the least probable one given, which must then be the most"
    " probable ones (a token that was drawn and appended is none: give ranks as a third column, or"
    " --incomplete). It is infinite where nothing is known of Q there (--q-floor). The lower"
    " bound is KL itself if P spreads what is unseen as Q does, which is an assumption."
)
ROUNDED = (
    "Probabilities that were rounded for display may have been any that round to them: the bounds"
    " hold for each of these distributions, and the interval allows for the sampling of rows too."
    " A 0 that is shown may have been one: where P is more than 0 there the upper bound is"
    " infinite. Of labels KL(P||Q) is the cross entropy."
)
OF_LABELS = (
    "A label that a TopK names has an exact probability. Any other has at most what the cap and the"
    " unseen probability leave it, and often no lower bound but 0: its loss is then unbounded"
    " (--q-floor). Points in the last column hold if what is unseen is spread evenly over the other"
    " classes and the most probable class given is the top one: an assumption, not a bound."
)
SHOWN = ("cross_entropy", "perplexity", "reference_perplexity", "probability_change", "same_top1")


def bounds_sentence(found: Bounds, unit: str) -> str:
    """Between what the divergence lies, and the perplexity of labels, where there are some."""
    low, high = number(found.lower_bound.value), number(found.upper_bound.value)
    told = f"KL(P||{found.q}) lies between {low} and {high} {unit}."
    if found.labels is None:
        return told
    ends = [x["perplexity"].value for x in (found.labels.lower, found.labels.upper)]
    if ends[0] == ends[1]:
        return f"{told} The perplexity of the labels is {short(ends[0])}: {found.q} names them all."
    return (
        f"{told} The perplexity of the labels lies between {short(ends[0])} and {short(ends[1])}."
    )


def bounded_sections(comparison: Comparison) -> Iterator[Section]:
    """The bounds of each divergence, then what is known of the labels."""
    tables = [_bounds(comparison), *_apart(comparison)]
    note = ROUNDED if comparison.source.get("rounded") else BOUNDED
    yield Section("Bounds", table=tables, note=[note], first=True)
    for found in comparison.bounds:
        if found.labels is not None:
            yield _of_labels(found.q, found.labels, comparison)


def _of_labels(q: str, found: TopLabels, comparison: Comparison) -> Section:
    """What a TopK says of labels."""
    lines = []
    for name in SHOWN:
        ends = (figure_of(x[name].value, 6) for x in (found.lower, found.upper))
        shown = Cell(interval(found.within[name], 6), kind="number")
        point = figure_of(found.assumed[name].value, 6)
        unit = f", {comparison.unit}" if QUANTITIES[name].unit else ""
        lines.append((Cell(f"{QUANTITIES[name].heading}{unit}"), *ends, shown, point))
    level = f"{comparison.level:.0%} interval"
    columns = ("of the labels", "at least", "at most", level, "if spread evenly (assumed)")
    outside = (
        f"Of {found.n:,} labels {q} does not name {found.outside:,}, and P not"
        f" {found.reference_outside:,}."
    )
    return Section(
        f"Labels under {q}",
        note=[outside, OF_LABELS],
        table=[Table(f"labels under {q}", columns, lines)],
    )


def _bounds(comparison: Comparison) -> Table:
    lines = []
    for bounds in comparison.bounds:
        lost = f" ({bounds.infinite_rows:,} infinite)" if bounds.infinite_rows else ""
        ends = (figure_of(getattr(bounds, name).value, 6) for name in keys("bound"))
        shown = Cell(interval(bounds.kl, 6), kind="number")
        lines.append((Cell(bounds.q), *ends, shown, Cell(f"{bounds.n:,}{lost}")))
    columns = (
        "model",
        f"at least, {comparison.unit}",
        "at most",
        f"{comparison.level:.0%} interval",
        "rows",
    )
    return Table("certified bounds of KL(P||Q)", columns, lines)


def _apart(comparison: Comparison) -> Iterator[Table]:
    """What bounds say of the models' differences."""
    lines = []
    for x in comparison.difference_bounds:
        ends = (figure_of(end.value, 6) for end in (x.lower_bound, x.upper_bound))
        shown = Cell(interval(x.cross_entropy, 6), kind="number")
        lines.append((Cell(f"{x.q} less {x.against}"), *ends, shown))
    columns = (
        "models",
        f"at least, {comparison.unit}",
        "at most",
        f"{comparison.level:.0%} interval",
    )
    if lines:
        yield Table("certified bounds of differences of losses", columns, lines)
