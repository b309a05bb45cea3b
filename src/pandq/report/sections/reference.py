"""What a comparison says of a copy and its reference, under the names of llama.cpp's tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.quantities import QUANTITIES, keys
from pandq.report.sections.section import Cell, Row, Section, Table, figure_of, interval
from pandq.report.words import class_word
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pandq.results.comparison import Comparison
    from pandq.results.reference import FromReference

# llama.cpp's words for the ends and the middle.
TOP = ("top_change", "top_change_rms")
CHANGES = ("probability_change", "probability_change_rms")
NAMED = {"1": "Maximum", "0.5": "Median", "0": "Minimum"}


EXCESS = (
    "The excess is the mean of KL(P||Q) - KL(P||control), paired row by row: what Q differs from P"
    " beyond what a second run of the reference does. It is no divergence, and may be below 0."
)
CONTROLLED = (
    "The control is the reference run a second time: what it differs from P by is the noise of the"
    " method, which every Q's divergence has in it."
)


def reference_sentence(found: FromReference, unit: str) -> str:
    """How far a copy is from its reference, in a sentence."""
    size = f"{short(found.kl.value)} {unit}, {interval(found.kl)} at {found.kl.level:.0%}"
    same = f"the same top class in {found.same_top1.value:.2%} of rows"
    excess = ""
    if found.kl_excess is not None:
        beyond = found.kl_excess
        excess = f"; {short(beyond.value)} of it {interval(beyond)} is its excess over the control"
    return f"The divergence of {found.q} from its reference P is {size}{excess}; {same}."


SHARE = "A quantile is the smallest value that this share of the rows does not pass."


def reference_sections(
    found: FromReference, comparison: Comparison, place: int
) -> Iterator[Section]:
    """Means over rows, then quantiles, and the labels' perplexities where there are labels."""
    before = [CONTROLLED] if found is comparison.control else []
    unit = comparison.unit
    rows = [
        Row("kl", found.kl, "Mean KLD: KL(P||Q)", "mean over rows", digits=6),
        Row("kl_reverse", found.kl_reverse, "Mean KL(Q||P)", digits=6),
        Row("same_top1", found.same_top1, "Same top p", percent=True),
        *(Row(name, getattr(found, name), percent=True) for name in TOP),
    ]
    changes = {"change of P's top p, %": _percent(found.top_change_quantiles)}
    note = []
    if found.kl_excess is not None:
        rows.insert(1, Row("kl_excess", found.kl_excess, QUANTITIES["kl_excess"].label, digits=6))
        note.append(EXCESS)
    if found.tokens is not None:
        rows += [
            Row(name, getattr(found.tokens, name), digits=6, percent=name in CHANGES)
            for name in keys("tokens")
        ]
        changes["Δp of the label, %"] = _percent(found.tokens.probability_change_quantiles)
        together = found.tokens.correlation
        shown = "-" if together is None else f"{together:.2%}"
        over = comparison.source.get("intervals_over", "rows")
        note.append(f"Cor(ln(PPL(Q)), ln(PPL(base))), of means over {over}: {shown}")
    spread = {f"KLD, {unit}": found.kl_quantiles, f"KL(Q||P), {unit}": found.kl_reverse_quantiles}
    within = f"within {found.quantile_accuracy:.1%}, of changes within 0.005 %; the ends are exact"
    yield Section(
        f"{found.q} from its reference P",
        rows=rows,
        unit=unit,
        level=comparison.level,
        note=[
            *before,
            *note,
            SHARE,
            f"Quantiles of KL are {within}.",
            *_sparse(found),
        ],
        table=[
            _quantiles(spread, found.kl_quantile_limits),
            _quantiles(changes, {}),
            *_worst(found, unit, place),
        ],
    )
    if found.codes is not None:
        yield _codes(found, found.codes, unit)


LEFT_OPEN = {
    "p_entropy": "H(P), {unit}",
    "cross_entropy": "H(P,Q), {unit}",
    "kl": "KL(P||Q), {unit}",
    "log_perplexity": "ln PPL(Q)",
    "log_reference_perplexity": "ln PPL(base)",
}


def _worst(found: FromReference, unit: str, place: int) -> list[Table]:
    """The rows of largest KL, where they are in the text, and what either model says there."""
    if not found.worst:
        return []
    places = [name for name in ("chunk", "position") if name in found.worst[0]]
    labelled = any(line["label"] is not None for line in found.worst)
    lines = [
        (
            Cell(str(line["id"])),
            *(Cell(str(line[name]), line[name], "number") for name in ("row", *places)),
            figure_of(float("inf") if line["kl"] is None else line["kl"]),
            *(Cell(class_word(line[name])) for name in ("p_class", "q_class")),
            *([Cell(class_word(line["label"]))] if labelled else []),
        )
        for line in found.worst
    ]
    named = {"chunk": "window"}
    columns = ("id", "row", *(named.get(x, x) for x in places), f"KL, {unit}", "P's top class",
               f"{found.q}'s", *(["label"] if labelled else []))  # fmt: skip
    title = f"rows where {found.q} is furthest from P"
    return [Table(title, columns, lines, name=f"furthest-{place}")]


def _codes(found: FromReference, codes: Mapping[str, Any], unit: str) -> Section:
    """What codes of 16 bits leave open in each figure."""
    rows = [
        (
            Cell(LEFT_OPEN[name].format(unit=unit)),
            figure_of(effect["expected"], 6),
            figure_of(effect["below"], 6),
            Cell("no bound", kind="number")
            if effect["above"] is None
            else figure_of(effect["above"], 6),
        )
        for name, effect in codes["effects"].items()
    ]
    at_floor = (
        f"Codes reach exp(-16) of a row's top. At that floor lie {codes['classes_at_floor']:,.1f}"
        f" classes a row of Q, which share a probability of {short(codes['mass_at_floor'])}, and"
        f" {codes['reference_classes_at_floor']:,.1f} of P, with"
        f" {short(codes['reference_mass_at_floor'])}. P gives the classes at Q's floor"
        f" {short(codes['p_at_q_floor'])}: each nat that they lie lower adds as many to H(P,Q) and"
        " KL, which the codes do not bound."
    )
    notes = [at_floor]
    if codes["labels"]:
        notes.append(
            f"Of {codes['labels']:,} labels {codes['labels_at_floor']:,} lie at the floor under Q,"
            f" {codes['reference_labels_at_floor']:,} under P."
        )
    columns = ("figure", "expected", "at most lower", "at most higher")
    title = f"what the codes of {found.q} and of P leave open"
    caption = "how far the truth may lie from what is shown; expected: rounding at random, the"
    caption += " floor's part as shown"
    return Section(
        title[:1].upper() + title[1:], note=notes, table=[Table(title, columns, rows, caption)]
    )


def _percent(quantiles: Mapping[str, float]) -> dict[str, float]:
    return {share: 100 * x for share, x in quantiles.items()}


FEW = 20


def _sparse(found: FromReference) -> list[str]:
    """Which quantiles rest on few rows."""
    limits = found.kl_quantile_limits
    few = [share for share, told in limits.items() if told["rows_beyond"] < FEW]
    if not few:
        return []
    listed = ", ".join(f"{float(share):.1%}" for share in few)
    return [f"Fewer than {FEW} rows lie beyond the quantiles {listed}: these may move much."]


def _limits(told: Mapping[str, Any] | None) -> Cell:
    """The interval of a quantile; its upper end may be open."""
    if told is None:
        return Cell("")
    high = "no limit" if told["high"] is None else number(told["high"], 6)
    return Cell(f"[{number(told['low'], 6)}, {high}]", kind="number")


def _quantiles(
    columns: Mapping[str, Mapping[str, float]], limits: Mapping[str, Mapping[str, Any]]
) -> Table:
    shares = next(iter(columns.values()))
    rows = [
        (
            Cell(NAMED.get(share, f"{float(share):.1%}")),
            *(figure_of(column[share], 6) for column in columns.values()),
            *([_limits(limits.get(share))] if limits else []),
        )
        for share in shares
    ]
    interval_of = [f"interval of {next(iter(columns)).split(',')[0]}"] if limits else []
    return Table("quantiles over rows", ("quantile", *columns, *interval_of), rows)
