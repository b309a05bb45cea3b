"""Uncertainty: an ensemble's entropy, split into what its members agree on and what not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandq.results.estimate import Estimate
from pandq.results.record import Record

SPLIT = ("total", "aleatoric", "epistemic")


@dataclass(frozen=True, slots=True)
class Uncertainty(Record):
    """total = aleatoric + epistemic, on average, by class and group; and what holds of the claim.

    `averaged` are the losses of a member and of the members' means; `correlation` and `gap` compare
    the aleatoric part with people's own entropy, where P has any; `curve` has the measured
    distance from P by bins of the claimed epistemic part; `distance` says what is measured: "kl",
    or "squared" from pairs of votes.
    """

    members: int
    total: Estimate
    aleatoric: Estimate
    epistemic: Estimate
    averaged: dict[str, Estimate]
    p_entropy: Estimate | None
    gap: Estimate | None
    correlation: float | None
    distance: str | None
    curve: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    most_epistemic: list[dict[str, Any]]
    most_aleatoric: list[dict[str, Any]]
