"""Quantities: every number that pandq shows, once, in the field's own terms.

From here come JSON keys, the labels of text, pages and Markdown, what has a unit, the range that an
interval is clipped to, and the columns of `--items`. A new number is one more row, and what
computes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

# Measured of each row and averaged; the same of classes in their order; measured of each row alone;
# parts of the loss; an ensemble's; one model against another; of a TopK; a copy against its
# reference; the labels' perplexity under both; of a text whose bytes are known; of votes without
# any model; of draws; of a guess beside a loss.
Of = Literal[
    "average",
    "ordered",
    "row",
    "part",
    "ensemble",
    "difference",
    "bound",
    "reference",
    "tokens",
    "text",
    "votes",
    "drawn",
    "guess",
]
DIFFERENCE = " difference"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number: what it is called everywhere, and what it can be.

    Args:
        key: its name in Python, in JSON and as a column.
        label: its name in a report.
        symbol: how a formula writes it; "" where none does.
        unit: "nat" where it is measured in nats (or bits), "" where it has no unit.
        low: the least that it can be.
        high: the most.
        better: "less" or "more" where a model is better for it; "" where it is no merit.
        source: textbook or paper.
        of: what it tells of.
        meaning: what it is, in one phrase, for tables and the glossary.
        share: whether it is a share of rows, or a probability that can be one.

    >>> quantity("kl").heading
    'divergence KL(P||Q)'
    """

    key: str
    label: str
    symbol: str
    unit: Literal["nat", ""]
    low: float
    high: float
    better: Literal["less", "more", ""]
    source: str
    of: Of
    meaning: str
    share: bool = False

    @property
    def heading(self) -> str:
        """Label and symbol."""
        return f"{self.label} {self.symbol}".rstrip()


COVER = "Cover and Thomas 2006, Elements of Information Theory, chapter 2"
BROECKER = "Bröcker 2009, Reliability, sufficiency, and the decomposition of proper scores"
KULL = "Kull and Flach 2015, Novel decompositions of proper scoring rules"
KRIPPENDORFF = "Krippendorff 2011, Computing Krippendorff's alpha-reliability"
SEARLE = "Searle, Casella and McCulloch 1992, Variance components, section 4.7"
DEPEWEG = "Depeweg et al. 2018, Decomposition of uncertainty, equation 1"
SCHULMAN = "Schulman 2020, Approximating KL Divergence"
LLAMA = "llama.cpp, tools/perplexity"
INF = math.inf

_ALL = (
    Quantity("cross_entropy", "cross entropy", "H(P,Q)", "nat", 0, INF, "less", COVER, "average",
             "the loss: what is minimised"),
    Quantity("entropy", "entropy", "H(P)", "nat", 0, INF, "", COVER, "average",
             "P's own uncertainty"),
    Quantity("kl", "divergence", "KL(P||Q)", "nat", 0, INF, "less", COVER, "average",
             "Q's loss above the floor: grouping loss + calibration loss"),
    Quantity("accuracy", "accuracy", "", "", 0, 1, "more", "", "average",
             "Q's top class is P's (of labels: the label)", share=True),
    Quantity("expected_accuracy", "expected accuracy", "", "", 0, 1, "more", "", "average",
             "P at Q's top class: accuracy for a label drawn from P", share=True),
    Quantity("brier", "Brier score", "", "", 0, 2, "less",
             "Brier 1950, Verification of forecasts expressed in terms of probability", "average",
             "squared distance of P and Q, over all classes"),
    Quantity("rps", "ranked probability score", "", "", 0, INF, "less",
             "Epstein 1969; in this form Murphy 1971, A note on the ranked probability score",
             "ordered", "squared distance of the cumulative P and Q, in steps between classes"),
    Quantity("confidence", "mean confidence", "", "", 0, 1, "",
             "Guo et al. 2017, On calibration of modern neural networks", "average",
             "Q at its top class"),
    Quantity("q_entropy", "entropy of Q", "H(Q)", "nat", 0, INF, "", COVER, "row",
             "Q's own uncertainty"),
    Quantity("kl_plug_in", "divergence of the votes' shares", "", "nat", 0, INF, "less",
             "Miller 1955, Note on the bias of information estimates", "part",
             "plug-in: more than KL(P||Q), as shares of few votes have too little entropy"),
    Quantity("floor", "floor", "H(P)", "nat", 0, INF, "", BROECKER, "part",
             "no model can pass it"),
    Quantity("grouping_loss", "grouping loss", "KL(P||c(Q))", "nat", 0, INF, "less", KULL, "part",
             "the model's, at most"),
    Quantity("calibration_loss", "calibration loss", "KL(c(Q)||Q)", "nat", 0, INF, "less", BROECKER,
             "part", "removed by recalibrating, at least"),
    Quantity("refinement_loss", "refinement loss", "H(P,c(Q))", "nat", 0, INF, "less", KULL, "part",
             "after recalibration"),
    Quantity("model_floor", "floor, model-based", "", "nat", 0, INF, "", "", "part",
             "mixture of Dirichlets"),
    Quantity("blind_floor", "floor, without a look at Q", "", "nat", 0, INF, "", "", "part",
             "holds also if Q has seen the votes"),
    Quantity("total", "total uncertainty", "", "nat", 0, INF, "", DEPEWEG, "ensemble",
             "entropy of the members' mean"),
    Quantity("aleatoric", "aleatoric uncertainty", "", "nat", 0, INF, "", DEPEWEG, "ensemble",
             "mean entropy of a member: what members agree is uncertain"),
    Quantity("epistemic", "epistemic uncertainty", "", "nat", 0, INF, "", DEPEWEG, "ensemble",
             "what members disagree about: more data shrinks it"),
    Quantity("p_entropy", "P's own entropy", "H(P)", "nat", 0, INF, "", COVER, "ensemble",
             "how much people disagree"),
    Quantity("gap", "aleatoric uncertainty less P's entropy", "", "nat", -INF, INF, "", "",
             "ensemble", "0 where what members call noise is noise"),
    Quantity("member", "cross entropy of a member", "", "nat", 0, INF, "less", "", "ensemble",
             "a member taken at random"),
    Quantity("averaged_probabilities", "cross entropy, averaged probabilities", "", "nat", 0, INF,
             "less", "", "ensemble", "the mean of their probabilities (Q here)"),
    Quantity("averaged_logits", "cross entropy, averaged logits", "", "nat", 0, INF, "less",
             "Heskes 1998, Bias/variance decompositions for likelihood-based estimators",
             "ensemble", "the mean of their logits"),
    Quantity("same_top1", "same top class", "", "", 0, 1, "", LLAMA, "difference",
             "the top class of one is the other's", share=True),
    Quantity("against_better", "lower loss: the model compared with", "", "", 0, 1, "", "",
             "difference", "share of rows in which the other has the lower loss", share=True),
    Quantity("q_better", "lower loss: this model", "", "", 0, 1, "", "", "difference",
             "share of rows in which this model has the lower loss", share=True),
    Quantity("tie", "equal loss", "", "", 0, 1, "", "", "difference",
             "share of rows in which both have the same loss", share=True),
    Quantity("lower_bound", "divergence, at least", "", "nat", 0, INF, "less", COVER, "bound",
             "certified: unseen classes merged"),
    Quantity("upper_bound", "divergence, at most", "", "nat", 0, INF, "less", "", "bound",
             "unseen classes at their worst"),
    Quantity("kl_reverse", "reverse divergence", "KL(Q||P)", "nat", 0, INF, "less", COVER,
             "reference", "the same with P and Q exchanged"),
    Quantity("kl_excess", "excess over the control", "KL(P||Q) - KL(P||control)", "nat", -INF, INF,
             "less", COVER, "reference", "beyond what P run again differs from P"),
    Quantity("top_change", "change of P's top probability, mean", "", "", -1, 1, "", LLAMA,
             "reference", "Q less P at P's top class"),
    Quantity("top_change_rms", "change of P's top probability, RMS", "", "", 0, 1, "less", LLAMA,
             "reference", "root of its mean square"),
    Quantity("perplexity", "perplexity", "Mean PPL(Q)", "", 1, INF, "less", LLAMA, "tokens",
             "exp of the cross entropy; of the labels under Q"),
    Quantity("reference_perplexity", "Mean PPL(base)", "", "", 1, INF, "", LLAMA, "tokens",
             "of the labels under P"),
    Quantity("log_perplexity_ratio", "Mean ln(PPL(Q)/PPL(base))", "", "", -INF, INF, "less", LLAMA,
             "tokens", "mean of the tokens' differences"),
    Quantity("perplexity_ratio", "Mean PPL(Q)/PPL(base)", "", "", 0, INF, "less", LLAMA, "tokens",
             "1 where nothing is lost"),
    Quantity("perplexity_difference", "Mean PPL(Q)-PPL(base)", "", "", -INF, INF, "less", LLAMA,
             "tokens", "0 where nothing is lost"),
    Quantity("k1", "KL by k1", "", "nat", -INF, INF, "less", SCHULMAN, "drawn",
             "mean of -ln r, r = q/p at draws of P: unbiased"),
    Quantity("k2", "KL by k2", "", "nat", 0, INF, "less", SCHULMAN, "drawn",
             "mean of (ln r)^2 / 2: biased, little where P and Q are close"),
    Quantity("k3", "KL by k3", "", "nat", 0, INF, "less", SCHULMAN, "drawn",
             "mean of r - 1 - ln r: unbiased, if Q allows nothing that P forbids"),
    Quantity("mean_ratio", "mean of r = q/p", "", "", 0, INF, "", SCHULMAN, "drawn",
             "1 where P allows all that Q does, and draws reach it"),
    Quantity("probability_change", "Mean Δp", "", "", -1, 1, "more", LLAMA, "tokens",
             "change of the label's probability"),
    Quantity("probability_change_rms", "RMS Δp", "", "", 0, 1, "less", LLAMA, "tokens",
             "root of its mean square"),
    Quantity("bits_per_byte", "bits per byte", "", "", 0, INF, "less",
             "Gao et al. 2020, The Pile, section 3.1", "text",
             "cross entropy of a text in bits by its bytes, whatever the tokens"),
    Quantity("of_frequencies", "guessing frequencies", "H(mean P)", "nat", 0,
             INF, "", COVER, "guess", "the mean of P over these rows, for every row"),
    Quantity("of_uniform", "guessing evenly", "ln K", "nat", 0, INF, "", COVER,
             "guess", "1/K for every class"),
    Quantity("taken", "share that Q takes away", "", "", -INF, 1, "more",
             "McFadden 1974, Conditional logit analysis of qualitative choice behavior", "guess",
             "1 - H(P,Q) / H(mean P): below 0 Q is worse than a guess"),
    Quantity("observed_agreement", "observed agreement", "", "", 0, 1, "", KRIPPENDORFF, "votes",
             "another vote for the item is the same"),
    Quantity("alpha", "Krippendorff's alpha", "", "", -1, 1, "", KRIPPENDORFF, "votes",
             "1 if all agree, 0 if as by chance"),
    Quantity("ordinal_alpha", "Krippendorff's alpha, ordinal", "", "", -1, 1, "", KRIPPENDORFF,
             "votes", "the same of classes in their order: far apart counts more"),
    Quantity("plug_in_entropy", "entropy of the votes' shares", "", "nat", 0, INF, "",
             "Miller 1955, Note on the bias of information estimates", "votes",
             "plug-in: below the floor, as shares of few votes have too little entropy"),
    Quantity("between_items", "disagreement between items", "", "", -INF, 1, "", SEARLE, "votes",
             "share of all disagreement that is gone where two votes are for one item"),
    Quantity("between_annotators", "disagreement between annotators", "", "", -INF, 1, "", SEARLE,
             "votes", "share that is gone where they are by one person: habits"),
    Quantity("within_both", "disagreement that is neither", "", "", -1, INF, "", SEARLE, "votes",
             "opinions on single items, and slips"),
)  # fmt: skip

QUANTITIES = {x.key: x for x in _ALL}


def keys(*of: Of) -> tuple[str, ...]:
    """The names of all quantities that tell of something, in the order in which they are shown.

    >>> keys("ensemble")[:3]
    ('total', 'aleatoric', 'epistemic')
    """
    return tuple(x.key for x in _ALL if x.of in of)


def quantity(name: str) -> Quantity | None:
    """The quantity of a name, or the difference of two models in one; None for any other name.

    >>> quantity("accuracy difference").low
    -1
    """
    found = QUANTITIES.get(name.removesuffix(DIFFERENCE))
    if found is None or not name.endswith(DIFFERENCE):
        return found
    size = found.high - found.low
    return replace(found, key=name, label=f"{found.label}{DIFFERENCE}", low=-size, high=size)
