"""Models whose rows are not the same, on the same documents, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pandq.results.estimate import Estimate
from pandq.results.record import Record


@dataclass(frozen=True, slots=True)
class DocumentModel(Record):
    """One model on the documents that all have: its `n` rows (tokens) there, and bits per byte."""

    q: str
    n: int
    bits_per_byte: Estimate
    infinite_rows: int


@dataclass(frozen=True, slots=True)
class DocumentDifference(Record):
    """Q's bits per byte less another's, paired by document; negative where Q is better.

    `largest` are the documents that make most of it, with the bits per byte of both in each.
    """

    q: str
    against: str
    bits_per_byte: Estimate = field(metadata={"name": "bits_per_byte difference"})
    verdict: str
    largest: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ByDocument(Record):
    """What tells models apart whose tokenizers differ: their losses on the same documents.

    `documents` and `n_bytes` are of those that every model has; `left_out` names the others, and
    the models that lack them.
    """

    documents: int
    n_bytes: float
    models: tuple[DocumentModel, ...]
    differences: tuple[DocumentDifference, ...]
    left_out: list[dict[str, Any]]
