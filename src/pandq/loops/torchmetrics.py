"""In Lightning and wherever torchmetrics stand: an Auditor or a Comparer as a Metric."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError, MissingLibraryError
from pandq.loops.auditor import Auditor
from pandq.loops.comparer import Comparer
from pandq.torch import gather

try:
    from torchmetrics import Metric
except ModuleNotFoundError as error:
    if error.name != "torchmetrics":
        raise
    raise MissingLibraryError.of(
        library="torchmetrics", what="pandq.loops.AuditMetric", install="torchmetrics"
    ) from None

if TYPE_CHECKING:
    from pandq.report.shown import Audit, Comparison


class AuditMetric(Metric):
    """An Auditor or a Comparer as a torchmetrics Metric, for a LightningModule to hold.

    Args:
        auditor: with the options that are wanted; an Auditor when left out. A Comparer goes too.
        prefix: before each name, such as "val_".
        options: of `torchmetrics.Metric`: `process_group`, `sync_on_compute` and others.

    `compute()` is called by all processes of `torch.distributed` and gives each the numbers of all
    rows, in the order of the ranks (see `pandq.torch.gather`); `found` is then the whole Audit, and
    stays after a `reset()`. It has no state that `state_dict()` keeps, like most metrics: what an
    epoch has fed is in the metric's pickle and in `auditor.to_bytes()`.

    Raises:
        InputError: it is no Auditor, or the prefix no text.

    >>> import torch
    >>> from pandq.torch import Labels, Logits
    >>> metric = AuditMetric(Auditor(decompose=False), prefix="val_")
    >>> metric.update(Labels(torch.tensor([0, 1])), Logits(torch.zeros(2, 2)))
    >>> round(metric.compute()["val_cross_entropy"], 6), metric.found.n
    (0.693147, 2)
    """

    is_differentiable = False
    full_state_update = False

    def __init__(
        self, auditor: Auditor | Comparer | None = None, *, prefix: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        given: object = auditor
        if not (given is None or isinstance(given, Auditor | Comparer)):
            remedy = "AuditMetric(pandq.Auditor(level=0.9))"
            raise InputError(
                what="an AuditMetric feeds an Auditor or a Comparer", got=repr(given), remedy=remedy
            )
        if not isinstance(prefix, str):
            raise InputError(what="prefix is text", got=repr(prefix))
        self.auditor: Auditor | Comparer = Auditor() if auditor is None else auditor
        self.prefix = prefix
        self.found: Audit | Comparison | None = None

    def update(self, *views: object, **more: Any) -> None:
        """One more batch of rows; where it cannot be used all stays as it was.

        Args:
            views: P and Q (of a Comparer several Q) as `update` of the auditor takes them.
            more: what belongs to the rows: by, cluster, ids, weights, and of a Comparer labels.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: the rows cannot be used, or are not like those before.
        """
        self.auditor.update(*views, **more)

    def compute(self) -> dict[str, float]:
        """What the rows of all processes say, by name, as `Audit.values()` has it.

        Raises:
            InputError: no rows have come to any process.
        """
        auditor = self.auditor
        if self.sync_on_compute and self.distributed_available_fn():
            auditor = gather(auditor, self.process_group)
        self.found = auditor.result()
        return self._named(self.found)

    def forward(self, *views: object, **more: Any) -> dict[str, float]:
        """One more batch, and what it says alone, in this process.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: as for `update`.
        """
        alone = copy(self.auditor)
        alone.reset()
        alone.update(*views, **more)
        self.update(*views, **more)
        return self._named(alone.result()) if alone.n else {}

    def reset(self) -> None:
        """Forget all rows, as for a new epoch; `found` stays."""
        super().reset()
        self.auditor.reset()

    def _named(self, found: Audit | Comparison) -> dict[str, float]:
        return {f"{self.prefix}{name}": value for name, value in found.values().items()}
