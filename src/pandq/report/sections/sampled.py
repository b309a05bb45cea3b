"""What a comparison says of models by what was drawn from one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.report.sections.section import Cell, Row, Section, Table, figure_of, interval
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.results.comparison import Comparison
    from pandq.results.sampled import SampledDivergence

NAMED = {"1": "Maximum", "0.5": "Median", "0": "Minimum"}
BIASES = (
    "k1 is unbiased, varies most, and a single token of it may be negative.",
    "k2 is biased: half the mean square of ln r, which is near KL where the two are close.",
    (
        "k3 is unbiased if Q allows nothing that P forbids, and never negative; where a few draws"
        " with a large r make it, too few were drawn and it is too small."
    ),
    "The mean of r is 1 where P allows all that Q does: far below, draws of P miss what Q does.",
)


INDEPENDENT = (
    "Draws are taken as independent, which tokens of a sequence are not: --cluster COLUMN says"
    " which belong together."
)


def sampled_sentence(found: SampledDivergence, unit: str) -> str:
    """How far Q is from P, in a sentence."""
    k1 = found.k1
    if found.infinite_rows:
        return (
            f"KL(P||{found.q}) is infinite: {found.q} forbids what was drawn in"
            f" {found.infinite_rows:,} rows."
        )
    if found.of_others:
        return (
            f"The draws are not P's: k1, {short(k1.value)} {unit} a token, {interval(k1)} at"
            f" {k1.level:.0%}, and the mean of r, {short(found.mean_ratio.value)},"
            f" {interval(found.mean_ratio)}, are not those of a divergence. Are P and Q the wrong"
            " way round? P is what drew."
        )
    return (
        f"KL(P||{found.q}) is {short(k1.value)} {unit} a token by k1, {interval(k1)} at"
        f" {k1.level:.0%}, and {short(found.k3.value)} by k3, {interval(found.k3)}."
    )


def sampled_sections(found: SampledDivergence, comparison: Comparison) -> Iterator[Section]:
    """By token, by sequence, the ratio, and where the two differ most."""
    unit, level = comparison.unit, comparison.level
    whole = {
        key: Row(key, estimate, f"{key} of whole sequences", "KL of a sequence", digits=6)
        for key, estimate in found.by_sequence.items()
    }
    apart = [] if found.n_sequences else [INDEPENDENT]
    worth = found.effective_sample_size
    shown = f"{worth['rows']:,.1f} of {found.n:,} rows"
    if "sequences" in worth:
        shown += f", {worth['sequences']:,.1f} of {found.n_sequences:,} sequences"
    yield Section(
        f"{found.q} from P, by draws of P",
        rows=[
            *(Row(key, getattr(found, key), digits=6) for key in ("k1", "k2", "k3")),
            *(row for key, row in whole.items() if key == "k1"),
        ],
        unit=unit,
        level=level,
        note=apart,
        first=True,
    )
    yield Section(
        f"{found.q} from P: more of its draws",
        rows=[
            *(row for key, row in whole.items() if key != "k1"),
            Row("mean_ratio", found.mean_ratio, digits=6),
            Row("entropy", found.entropy, "-ln p of the draws", "mean: the entropy of P"),
            Row("cross_entropy", found.cross_entropy, "-ln q of the draws", "mean: the loss of Q"),
            Row("reference_perplexity", found.reference_perplexity, "perplexity of P"),
            Row("perplexity", found.perplexity, "perplexity of Q", "of the draws under Q"),
        ],
        unit=unit,
        level=level,
        note=[*BIASES, f"Effective sample size for means under Q: {shown}."],
        table=[_quantiles(found), _largest(found, unit)],
    )


def _quantiles(found: SampledDivergence) -> Table:
    lines = [
        (Cell(NAMED.get(share, f"{float(share):.1%}")), figure_of(x, 6))
        for share, x in found.ratio_quantiles.items()
    ]
    caption = "within 0.5 %; the ends are exact"
    return Table("quantiles of r over rows", ("quantile", "r = q/p"), lines, caption)


def _largest(found: SampledDivergence, unit: str) -> Table:
    lines = [
        (
            Cell(str(line["id"])),
            Cell(str(line["row"]), line["row"], "number"),
            *(
                figure_of(float("-inf") if line[key] is None else line[key])
                for key in ("log_ratio", "log_p", "log_q")
            ),
        )
        for line in found.largest
    ]
    columns = ("id", "row", f"ln r, {unit}", "ln p", "ln q")
    return Table("rows where ln p and ln q differ most", columns, lines, name=f"draws-{found.q}")
