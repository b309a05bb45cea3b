"""Agreement: what votes say by themselves, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pandq.results.estimate import Estimate
from pandq.results.record import Document, Record
from pandq.units import Unit


@dataclass(frozen=True, slots=True)
class VoteNumbers(Record):
    """Whether how many votes an item has depends on the votes: it must not, for a floor.

    Of items with `votes` votes a share `unanimous` is, and votes whose number was settled without a
    look at them would have at least the share `least`; `p_value` is of that, over all numbers.
    """

    depends: bool
    p_value: float
    votes: int
    items: int
    unanimous: float
    least: float


@dataclass(frozen=True, slots=True)
class Components(Record):
    """Shares of all disagreement, which sum to one: between items, between annotators, neither."""

    between_items: Estimate
    between_annotators: Estimate
    within_both: Estimate


@dataclass(frozen=True, slots=True, repr=False)
class Agreement(Document):
    """What `pandq.votes` found; `to_dict()` is its JSON form, `print` its text.

    `n` are the items with votes; agreement and what follows from it are of the `pairable` ones,
    which have two at least, and None where there are none. `floor` is None where nothing is
    certified, and a note says why. Lines of `annotators` are there where these are known, and
    `order` has the classes in their order where they were said to have one.
    """

    SCHEMA: ClassVar[str] = "pandq/votes/1"
    KIND: ClassVar[str] = "account of votes"
    COMMAND: ClassVar[str] = "votes"

    n: int
    n_classes: int
    unit: Unit
    level: float
    source: dict[str, Any]
    options: dict[str, Any]
    notes: tuple[str, ...]
    n_votes: int
    n_annotators: int | None
    without_votes: int
    pairable: int
    unanimous: int
    votes_per_item: dict[str, int]
    votes_per_annotator: dict[str, float] | None
    vote_numbers: VoteNumbers | None
    observed_agreement: Estimate | None
    alpha: Estimate | None
    plug_in_entropy: Estimate
    floor: Estimate | None
    components: Components | None
    classes: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    divided: list[dict[str, Any]]
    annotators: list[dict[str, Any]]
    ordinal_alpha: Estimate | None = None
    order: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        found = [x for x in (self.observed_agreement, self.alpha, self.floor) if x is not None]
        return f"<pandq.Agreement of {self.n:,} items: {'; '.join(map(str, found))}>"
