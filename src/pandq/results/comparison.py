"""Comparison: what a comparison found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pandq.results.bydocument import ByDocument
from pandq.results.estimate import Estimate
from pandq.results.judged import Judged
from pandq.results.record import Document, Record
from pandq.results.reference import FromReference
from pandq.results.sampled import SampledDivergence
from pandq.units import Unit

DIFFERENCE = {"name": "difference"}


@dataclass(frozen=True, slots=True)
class Model(Record):
    """One Q; its intervals are for its own limits: a difference is what tells models apart."""

    q: str
    cross_entropy: Estimate
    kl: Estimate
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    infinite_rows: int
    bits_per_byte: Estimate | None = None
    rps: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Difference(Record):
    """Q's losses less those of the model that it is compared with; negative where Q is better.

    `kl` is the same as `cross_entropy`, because the floor cancels. Shares of rows are weighted.
    `classes` and `groups` carry Holm's adjusted p-values over all of them.
    """

    q: str
    against: str
    paired: bool
    cross_entropy: Estimate = field(metadata=DIFFERENCE)
    kl: Estimate
    finite_part: Estimate | None = field(metadata=DIFFERENCE)
    p_value: float | None
    verdict: str
    grouping_loss: Estimate | None = field(metadata={"name": "grouping_loss difference"})
    calibration_loss: Estimate | None = field(metadata={"name": "calibration_loss difference"})
    accuracy: Estimate = field(metadata={"name": "accuracy difference"})
    expected_accuracy: Estimate = field(metadata={"name": "expected_accuracy difference"})
    brier: Estimate = field(metadata={"name": "brier difference"})
    confidence: Estimate = field(metadata={"name": "confidence difference"})
    same_top1: Estimate
    wins: dict[str, Estimate]
    infinite_rows: dict[str, int]
    groups_looked_at: int
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    against_better: list[dict[str, Any]] = field(default_factory=list)
    q_better: list[dict[str, Any]] = field(default_factory=list)
    bits_per_byte: Estimate | None = field(
        default=None, metadata={"name": "bits_per_byte difference"}
    )
    rps: Estimate | None = field(default=None, metadata={"name": "rps difference"})


@dataclass(frozen=True, slots=True)
class Unpaired(Record):
    """Q's loss less that of a model that is known by its audit alone."""

    q: str
    against: str
    paired: bool
    cross_entropy: Estimate = field(metadata=DIFFERENCE)
    verdict: str


@dataclass(frozen=True, slots=True)
class TopLabels(Record):
    """What a TopK says of `n` labels: exact where it names all of them, else between bounds.

    `lower` and `upper` are bounds, `within` the interval that also allows for sampling, each by
    quantity: cross_entropy and perplexity of Q, reference_perplexity, probability_change and
    same_top1. `assumed` has the points that hold if what is unseen is spread evenly over the
    classes that are. `outside` labels are not named by Q, `reference_outside` not by P.
    """

    n: int
    outside: int
    reference_outside: int
    lower: dict[str, Estimate]
    upper: dict[str, Estimate]
    within: dict[str, Estimate]
    assumed: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Bounds(Record):
    """Bounds of the mean KL(P||Q): it has no point value, because classes are unseen.

    `lower_bound` and `upper_bound` are means; `kl` is the interval that also allows for sampling,
    one-sided at each end.
    """

    q: str
    n: int
    lower_bound: Estimate
    upper_bound: Estimate
    kl: Estimate
    infinite_rows: int
    labels: TopLabels | None = None


@dataclass(frozen=True, slots=True)
class DifferenceBounds(Record):
    """Bounds of the mean of Q's losses less another's, where these were rounded.

    They hold for KL(P||Q) as well as for the cross entropy: the floor cancels. `cross_entropy` is
    the interval that also allows for sampling.
    """

    q: str
    against: str
    n: int
    lower_bound: Estimate
    upper_bound: Estimate
    cross_entropy: Estimate = field(metadata=DIFFERENCE)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Document):
    """What a comparison found; `to_dict()` is its JSON form, `print` its text.

    `models` are the Qs in the order given, the first the one that the others are compared with;
    `from_reference` is there where P is a distribution in full (a reference model, soft labels),
    `bounds` where only the top of a distribution is known or it was rounded (then also
    `difference_bounds`), and `sampled` where only
    log-probabilities of what was drawn are: there are no classes then, and `n_classes` is 0.
    `control` is how far the reference, run a second time, is from itself. `by_document` is there
    where each model has rows of its own: what is compared then are documents, and `n` is of these.
    `order` has the classes in their order, where they were said to have one.
    """

    SCHEMA: ClassVar[str] = "pandq/comparison/2"
    KIND: ClassVar[str] = "comparison"
    COMMAND: ClassVar[str] = "compare"
    LEAST_CLASSES: ClassVar[int | None] = 0

    n: int
    n_classes: int
    unit: Unit
    level: float
    p_kind: str
    models: tuple[Model, ...]
    differences: tuple[Difference | Unpaired, ...]
    from_reference: tuple[FromReference, ...]
    bounds: tuple[Bounds, ...] = ()
    difference_bounds: tuple[DifferenceBounds, ...] = ()
    sampled: tuple[SampledDivergence, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judged: Judged | None = None
    control: FromReference | None = None
    by_document: ByDocument | None = None
    order: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        if self.by_document is not None:
            found = [x.bits_per_byte for x in self.by_document.differences]
            return f"<pandq.Comparison of {self.n:,} documents: {'; '.join(map(str, found))}>"
        found = [x.cross_entropy for x in self.differences]
        found += [x.kl for x in self.from_reference] + [x.kl for x in self.bounds]
        found += [x.k1 for x in self.sampled]
        return f"<pandq.Comparison of {self.n:,} rows: {'; '.join(map(str, found))}>"
