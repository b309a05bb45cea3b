"""Divergences that torch differentiates: views of tensors, and the losses that take them."""

from pandq.errors import MissingLibraryError

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingLibraryError.of(library="torch", what="pandq.torch") from None

from pandq.torch.linear import Linear
from pandq.torch.loops import Tokens, gather, tokens
from pandq.torch.losses import (
    CrossEntropy,
    JSDivergence,
    KLDivergence,
    cross_entropy,
    kl_divergence,
)
from pandq.torch.topk import TopK
from pandq.torch.views import Counts, Labels, Logits, LogProbs, Probs, View

__all__ = [
    "Counts",
    "CrossEntropy",
    "JSDivergence",
    "KLDivergence",
    "Labels",
    "Linear",
    "LogProbs",
    "Logits",
    "Probs",
    "Tokens",
    "TopK",
    "View",
    "cross_entropy",
    "gather",
    "kl_divergence",
    "tokens",
]
