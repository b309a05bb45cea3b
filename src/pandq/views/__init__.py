"""What an array means: a representation is a type, never a guess from values."""

from pandq.views.base import View
from pandq.views.counts import NO_VOTES, Counts
from pandq.views.ensemble import Ensemble, geometric, split
from pandq.views.labels import Labels
from pandq.views.linear import LINEAR_KIND, Head, Linear, head_of
from pandq.views.logits import Logits
from pandq.views.logprobs import LogProbs
from pandq.views.matrix import TOLERANCES
from pandq.views.multilabel import MultiLabel
from pandq.views.pieces import formed, in_pieces, rows_at_once
from pandq.views.probs import Probs
from pandq.views.rounded import ROUNDED_KIND, Rounded
from pandq.views.sampled import Sampled, require_sampled
from pandq.views.taken import (
    BOUNDED_KINDS,
    MATRICES,
    PARTIAL_KINDS,
    SAMPLED_KIND,
    TOP_KIND,
    VIEWS,
    by_itself,
    matched,
    paired,
    partly_known,
    require_view,
)
from pandq.views.topbounds import kl_bounds, label_bounds
from pandq.views.topk import TopK
from pandq.views.votes import VOTES_KIND, Votes

__all__ = [
    "BOUNDED_KINDS",
    "LINEAR_KIND",
    "MATRICES",
    "NO_VOTES",
    "PARTIAL_KINDS",
    "ROUNDED_KIND",
    "SAMPLED_KIND",
    "TOLERANCES",
    "TOP_KIND",
    "VIEWS",
    "VOTES_KIND",
    "Counts",
    "Ensemble",
    "Head",
    "Labels",
    "Linear",
    "LogProbs",
    "Logits",
    "MultiLabel",
    "Probs",
    "Rounded",
    "Sampled",
    "TopK",
    "View",
    "Votes",
    "by_itself",
    "formed",
    "geometric",
    "head_of",
    "in_pieces",
    "kl_bounds",
    "label_bounds",
    "matched",
    "paired",
    "partly_known",
    "require_sampled",
    "require_view",
    "rows_at_once",
    "split",
]
