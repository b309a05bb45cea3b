"""Guessing: what a loss is beside, where nothing is known of a row."""

from __future__ import annotations

from dataclasses import dataclass

from pandq.results.estimate import Estimate
from pandq.results.record import Record


@dataclass(frozen=True, slots=True)
class Guessing(Record):
    """The losses of two guesses that look at no row, and the share of the first that Q takes away.

    `of_frequencies` is the cross entropy of P's mean over the rows themselves, H(mean P): the least
    that one distribution for all rows can have on them. `of_uniform` is ln K. `taken` is
    1 - H(P,Q) / H(mean P): 0 for a Q that is as good as the frequencies, negative for a worse one.
    """

    of_frequencies: Estimate
    of_uniform: Estimate
    taken: Estimate
