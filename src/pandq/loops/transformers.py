"""In the Trainer of transformers: an audit that is fed batch by batch, and keeps no logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.loops.auditor import Auditor
from pandq.torch import Labels, Logits, Tokens, tokens

if TYPE_CHECKING:
    from pandq.report.shown import Audit


class TrainerAudit:
    """What transformers' Trainer takes as `compute_metrics`, also with `batch_eval_metrics=True`.

    Args:
        auditor: with the options that are wanted; its rows are forgotten after each evaluation.
        shift: of sequences, whether the logits at a place predict the label at the next one: true
            for causal language models, false for token classification and masked or translated
            tokens. Intervals are then over sequences.
        ignore_index: of labels that do not count.

    With `include_for_metrics=["inputs"]` beside `batch_eval_metrics=True` the inputs'
    `attention_mask` is used too: of texts that are padded on the left it leaves out the first
    token, which nothing but padding has predicted. The Trainer's own loss counts it.

    `found` is the whole Audit of the last evaluation that came to its end. An evaluation whose
    batch cannot be used is forgotten; where the model itself fails in one, call `reset()`.

    Source: `Trainer.evaluation_loop` of transformers; the shift is that of its causal models.

    >>> import torch
    >>> from types import SimpleNamespace
    >>> metrics = TrainerAudit(Auditor(decompose=False))
    >>> batch = SimpleNamespace(predictions=torch.zeros(3, 2), label_ids=torch.tensor([0, 1, 1]))
    >>> metrics(batch, compute_result=False)
    {}
    >>> round(metrics(batch, compute_result=True)["cross_entropy"], 6), metrics.found.n
    (0.693147, 6)
    """

    def __init__(
        self,
        auditor: Auditor | None = None,
        *,
        shift: bool | None = None,
        ignore_index: int = -100,
    ) -> None:
        given: object = auditor
        if not (given is None or isinstance(given, Auditor)):
            remedy = "TrainerAudit(pandq.Auditor(level=0.9))"
            raise InputError(what="a TrainerAudit feeds an Auditor", got=repr(given), remedy=remedy)
        self._auditor = Auditor() if auditor is None else auditor
        self._shift = shift
        self._ignore_index = ignore_index
        self.found: Audit | None = None
        self._sequences = 0

    def __call__(self, prediction: Any, compute_result: bool = True) -> dict[str, float]:  # noqa: FBT001, FBT002 - transformers' own
        """One more batch; after the last, what all of them say.

        Args:
            prediction: `predictions` (n, K) and `label_ids` (n,), or (B, T, K) and (B, T); of a
                tuple of predictions the first are the logits, as in transformers' outputs.
                `inputs`, where it is the batch's mapping, may have an `attention_mask`.
            compute_result: whether it was the last batch.

        Returns:
            The numbers over all rows by name, as `Audit.values()` has them; none before the last.

        Raises:
            InputError: the batch cannot be used, or no row counted in all of them.
        """
        done = True
        try:
            found = self._rows(prediction)
            self._auditor.update(found.p, found.q, cluster=found.cluster)
            done = compute_result
            if not done:
                return {}
            self.found = self._auditor.result()
        finally:
            if done:
                self.reset()
        return self.found.values()

    def reset(self) -> None:
        """Forget the rows of an evaluation that did not come to its end."""
        self._auditor.reset()
        self._sequences = 0

    def _rows(self, prediction: Any) -> Tokens:
        """The rows of a batch that count, and the sequence of each."""
        import torch

        logits, labels = prediction.predictions, prediction.label_ids
        logits = torch.as_tensor(logits[0] if isinstance(logits, tuple | list) else logits)
        if isinstance(labels, tuple | list) or labels is None:
            got = "none" if labels is None else f"{len(labels)} arrays"
            raise InputError(what="an audit needs one array of labels", got=got)
        labels = torch.as_tensor(labels)
        if labels.is_floating_point():
            what = "labels are whole numbers, one for each row or token"
            raise InputError(what, got=f"{labels.dtype}, shape {tuple(labels.shape)}")
        if logits.ndim == 3:
            inputs = getattr(prediction, "inputs", None)
            mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
            return self._tokens(logits, labels, mask)
        if self._shift is not None:
            what = "shift is about sequences, whose logits are (B, T, K)"
            raise InputError(what, got=f"shape {tuple(logits.shape)}", remedy="Leave it out.")
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            what = "logits are (n, K) with labels (n,), or (B, T, K) with labels (B, T)"
            got = f"shapes {tuple(logits.shape)} and {tuple(labels.shape)}"
            raise InputError(what, got=got)
        counts = labels.to(logits.device) != self._ignore_index
        return Tokens(Labels(labels[counts.to(labels.device)]), Logits(logits[counts]), None)

    def _tokens(self, logits: Any, labels: Any, mask: Any) -> Tokens:
        if self._shift is None:
            raise InputError(
                what="these are logits of sequences, (B, T, K), and shift is not said",
                remedy="shift=True for a causal language model, whose logits predict the next"
                " token; shift=False where they predict the label at their own place.",
            )
        # texts are told apart by what they say; of few labels many sequences have the same
        names = None
        if not self._shift:
            names = np.arange(self._sequences, self._sequences + len(logits))
        which = {"ignore_index": self._ignore_index, "attention_mask": mask}
        found = tokens(logits, labels, shift=self._shift, sequences=names, **which)
        self._sequences += len(logits)
        return found
