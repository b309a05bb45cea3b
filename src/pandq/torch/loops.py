"""What a loop over tensors has in hand: the tokens that count, and the rows of other processes."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from torch import Tensor, distributed

from pandq.core.hashing import mix
from pandq.errors import InputError
from pandq.torch.views import Labels, Logits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Tokens(NamedTuple):
    """The n tokens that count: their labels, what was predicted, and the sequence of each.

    `n_bytes` is each token's share of its sequence's, where these were given.
    """

    p: Labels
    q: Logits
    cluster: NDArray[Any] | None
    n_bytes: NDArray[np.float64] | None = None


def tokens(
    logits: Tensor,
    labels: Tensor,
    *,
    ignore_index: int = -100,
    shift: bool = True,
    attention_mask: Tensor | None = None,
    sequences: ArrayLike | None = None,
    n_bytes: ArrayLike | None = None,
) -> Tokens:
    """The tokens of a batch of sequences that count, for an Auditor.

    Args:
        logits: (B, T, K), of any float type, on any device; rows that count are copied once, and
            none where all do.
        labels: (B, T) whole numbers.
        ignore_index: of labels that do not count, as of padding.
        shift: whether the logits at a place predict the label at the next one, as those of a causal
            language model do.
        attention_mask: (B, T), 0 where there is no token. With a shift the first token behind
            padding on the left is then not counted: nothing but padding has predicted it. Without a
            mask it is, because labels do not tell padding from a prompt.
        sequences: (B,) names of the sequences, different in all batches. When left out, a hash of a
            sequence's labels that count: sequences of equal labels are then one cluster, which
            is right for copies of a text, and for short sequences of few labels is not.
        n_bytes: (B,) how many bytes the tokens of each sequence are that count, for bits per byte.

    Returns:
        Views, clusters and bytes, for `auditor.update(p, q, cluster=cluster, n_bytes=n_bytes)`.

    Raises:
        InputError: shapes do not fit.

    >>> import torch
    >>> found = tokens(torch.zeros(1, 3, 2), torch.tensor([[1, 0, -100]]))
    >>> found.p.tensor, found.q.tensor
    (tensor([0]), tensor([[0., 0.]]))
    """
    if logits.ndim != 3:
        raise InputError(what="logits of tokens are (B, T, K)", got=f"shape {tuple(logits.shape)}")
    for name, given in (("labels need", labels), ("attention_mask needs", attention_mask)):
        if given is not None and given.shape != logits.shape[:2]:
            what = f"{name} one value per token, {tuple(logits.shape[:2])}"
            raise InputError(what=what, got=f"shape {tuple(given.shape)}")
    logits, labels = logits.detach(), labels.to(logits.device)
    counts = labels != ignore_index
    if attention_mask is not None:
        there = attention_mask.to(logits.device).bool()
        counts = counts & there
        if shift:
            counts[:, 1:] &= there[:, :-1]
    which = counts.cpu().numpy()
    told = _hashed(labels.cpu().numpy(), which) if sequences is None else np.asarray(sequences)
    if shift:
        logits, labels, counts, which = logits[:, :-1], labels[:, 1:], counts[:, 1:], which[:, 1:]
    sizes = None if n_bytes is None else np.asarray(n_bytes, np.float64)
    for name, values in (("sequences need one name", told), ("n_bytes need one number", sizes)):
        if values is not None and values.shape != which.shape[:1]:
            what = f"{name} per sequence ({len(which)})"
            raise InputError(what=what, got=f"shape {values.shape}")
    n = which.sum(axis=1)
    if sizes is not None:
        # of sequences as clusters only a sequence's sum matters
        sizes = np.repeat(sizes / np.maximum(n, 1), n)
    q = logits.reshape(-1, logits.shape[-1]) if which.all() else logits[counts]
    return Tokens(Labels(labels[counts]), Logits(q), np.repeat(told, n), sizes)


def _hashed(labels: NDArray[Any], counts: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """64 bits for each sequence of labels, whatever stands before, between and behind them."""
    place = np.cumsum(counts, axis=1).astype(np.uint64)
    each = mix(labels.astype(np.int64).view(np.uint64) ^ mix(place))
    return mix(np.where(counts, each, np.uint64(0)).sum(axis=1, dtype=np.uint64))


class Merged(Protocol):
    """An Auditor or a Comparer, as far as processes exchange it."""

    def merge(self, other: Self) -> Self:
        """Both together."""

    def to_bytes(self) -> bytes:
        """All that it holds."""

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """The same again."""


M = TypeVar("M", bound=Merged)


def gather(auditor: M, group: Any = None) -> M:
    """A new auditor of the rows of all processes, in the order of their ranks; the same in each.

    Args:
        auditor: an Auditor or a Comparer of this process's rows; it does not change. With
            `unique=True` rows that a sampler repeated to make shards equal are counted once.
        group: of processes, as `torch.distributed` has it; all of them when left out.

    Returns:
        One of all rows; where nothing is distributed, one of these.

    Raises:
        InputError: the processes' auditors have other options, or rows that are not alike.

    Every process of the group must call it.
    """
    kind = type(auditor)
    if not (distributed.is_available() and distributed.is_initialized()):
        return kind.from_bytes(auditor.to_bytes())
    each: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(each, auditor.to_bytes(), group=group)
    return reduce(_merged, map(kind.from_bytes, each))


def _merged(one: M, other: M) -> M:
    return one.merge(other)
