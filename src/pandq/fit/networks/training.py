"""Epochs: a network's weights moved by AdamW down KL(P||Q), watched on rows that it does not see.

What an epoch does depends on the seed and its number alone, so that a run that was killed goes on
as if nothing had happened. Under torchrun each process takes every n-th row of each batch, and the
gradients are summed, which is the gradient of the whole batch.
"""

from __future__ import annotations

import atexit
import gc
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.laws import Law
from pandq.core.measures import cross_entropy
from pandq.errors import InputError
from pandq.estimate.calibration.fitting import fit_cautious_temperature
from pandq.views import Probs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from pandq.fit.networks.modules import Augment
    from pandq.fit.networks.snapshots import Checkpoint
    from pandq.fit.targets import Data
    from pandq.recalibrator import Recalibrator

    Floats = NDArray[np.float64]
    Row = dict[str, Any]

# Rows of a forward pass in which nothing is learnt.
PREDICTED_ROWS = 512
WARM_UP = 0.05  # share of all steps in which the learning rate rises
CLIP = 1.0  # longest gradient, against the first steps' leaps


@dataclass(frozen=True, slots=True)
class Options:
    """How a network is trained."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int | None
    seed: int


def leads() -> bool:
    """Is this the process that speaks and writes for its team?"""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together; one on its own where there is no torchrun."""

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls, device: torch.device) -> Team:
        """The team that torchrun announces, with its means of communication set up."""
        import torch.distributed as dist

        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            # one group for all fits of a process, taken down before its threads are
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size())

    def rest(self) -> None:
        """Let go of what reduced gradients: it has threads, which must not outlive the group."""
        if self.size > 1:
            gc.collect()

    def agreed(self, value: float, device: torch.device) -> float:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        told = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(told, 0)
        return float(told)

    def total(self, value: float, device: torch.device) -> float:
        """The sum of all processes' values."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        summed = torch.tensor([value], dtype=torch.float64, device=device)
        dist.all_reduce(summed)
        return float(summed)


def _leave() -> None:
    """Take down the group of processes, if nobody else has."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def train(
    module: torch.nn.Module,
    data: Data,
    valid: Data | None,
    options: Options,
    *,
    device: torch.device,
    augment: Sequence[Augment],
    checkpoint: Checkpoint | None,
    callback: Callable[[Row], None] | None,
) -> tuple[list[Row], Recalibrator | None]:
    """Train a module in place; it ends with the weights of its best epoch.

    Args:
        module: returns logits, (n, K); on `device`.
        data: the rows to learn from.
        valid: rows to watch; the best epoch is that of the least KL on them after recalibration,
            because what recalibration removes need not be trained away (Berta, Holzmueller, Jordan
            and Bach 2025). Without them it is the last.
        options: epochs, batches, rates.
        device: where to compute.
        augment: what is done to a batch of features, in turn.
        checkpoint: kept after every epoch, and gone on from.
        callback: called with each epoch's row of the curve.

    Returns:
        The curve, one row per epoch, and the recalibration map fitted on `valid`.

    Raises:
        InputError: the loss is not finite, or the checkpoint is of something else.
    """
    import torch

    team = Team.joined(device)
    state, floor = _Best(), data.floor
    optimiser = torch.optim.AdamW(
        _decayed(module, options.weight_decay), lr=options.lr, betas=(0.9, 0.99)
    )
    if checkpoint is not None:
        state.curve = checkpoint.load(module, optimiser, state)
    learner: Any = module
    if team.size > 1:
        learner = torch.nn.parallel.DistributedDataParallel(module)
    for epoch in range(len(state.curve), options.epochs):
        if state.stale(options.patience):
            break
        start = time.perf_counter()
        kl, rate = _epoch(learner, optimiser, data, options, epoch, device, augment, team)
        row: Row = {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "train_cross_entropy": floor + kl,
            "train_floor": floor,
            "train_kl": kl,
        }
        if valid is not None:
            row |= _validated(module, valid, device)[0]
        row["seconds"] = time.perf_counter() - start
        score = row.get("valid_kl_recalibrated", -float(epoch))
        state.see(module, row, team.agreed(score, device))
        if team.rank == 0:
            if checkpoint is not None:
                checkpoint.save(module, optimiser, state)
            if callback is not None:
                callback(row)
    del learner
    team.rest()
    state.restore(module)
    for row in state.curve:
        row["best"] = row["epoch"] == state.epoch
    recalibrator = None if valid is None else _validated(module, valid, device)[1]
    return state.curve, recalibrator


class _Best:
    """The curve so far, and the weights of its best epoch."""

    def __init__(self) -> None:
        self.curve: list[Row] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.score = math.inf
        self.epoch = 0

    def see(self, module: torch.nn.Module, row: Row, score: float) -> None:
        self.curve.append(row)
        if score < self.score:
            self.score, self.epoch = score, row["epoch"]
            self.weights = {name: x.detach().clone() for name, x in module.state_dict().items()}

    def stale(self, patience: int | None) -> bool:
        """Has nothing become better for too long?"""
        return patience is not None and len(self.curve) - self.epoch >= patience > 0

    def restore(self, module: torch.nn.Module) -> None:
        if self.weights:
            module.load_state_dict(self.weights)


def _epoch(
    learner: Any,
    optimiser: torch.optim.Optimizer,
    data: Data,
    options: Options,
    epoch: int,
    device: torch.device,
    augment: Sequence[Augment],
    team: Team,
) -> tuple[float, float]:
    """One pass over the rows in a new order; the mean KL met on the way, and the rate."""
    import torch

    from pandq.torch.losses import KLDivergence
    from pandq.torch.views import Labels, Logits
    from pandq.torch.views import Probs as Laws

    # the order and the augmentation are drawn apart from the module's own chances (dropout)
    seed = int(np.random.SeedSequence([options.seed, epoch]).generate_state(1)[0])
    # torch.manual_seed keeps a stack for every device that may yet be used, a hundred epochs on too
    (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=generator).numpy()
    steps = math.ceil(len(data) / options.batch_size)
    loss = KLDivergence(reduction="sum", check=False)
    learner.train()
    total = weight = rate = 0.0
    for step in range(steps):
        rows = order[step * options.batch_size : (step + 1) * options.batch_size]
        batch = data[rows]
        x = as_input(batch.x)
        for change in augment:
            x = change(x, generator)
        w = np.ones(len(rows)) if batch.w is None else batch.w
        whole = float(w.sum())
        if whole == 0:
            continue
        rate = _rate(options, epoch * steps + step, options.epochs * steps)
        for group in optimiser.param_groups:
            group["lr"] = rate
        mine = slice(team.rank, None, team.size)
        p = torch.from_numpy(batch.targets.p[mine]).to(device)
        view: Any = Labels(p) if p.ndim == 1 else Laws(p.to(torch.float32))
        weights = torch.from_numpy(w[mine]).to(device, torch.float32)
        found = loss(view, Logits(_logits(learner(x[mine].to(device)), data)), weights=weights)
        optimiser.zero_grad()
        # the processes' gradients are averaged: each is scaled so that the mean is the batch's
        (found * (team.size / whole)).backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), CLIP)
        optimiser.step()
        total += float(found.detach())
        weight += whole
    mean = team.total(total, device) / max(weight, 1e-300)
    if not math.isfinite(mean):
        raise InputError(
            what=f"training diverged: the loss of epoch {epoch + 1} is not finite",
            remedy=f"Take a smaller learning rate than {options.lr:g}, or scale the features.",
        )
    return mean, rate


def _logits(found: Any, data: Data) -> torch.Tensor:
    """What a module returned, if it is logits of the rows and classes."""
    k = data.targets.n_classes
    if getattr(found, "ndim", 0) != 2 or found.shape[1] != k:
        raise InputError(
            what=f"the module must return logits, (n, {k})",
            got=f"shape {tuple(found.shape)}" if hasattr(found, "shape") else type(found).__name__,
        )
    tensor: torch.Tensor = found
    return tensor


def _rate(options: Options, step: int, steps: int) -> float:
    """Cosine decay after a short linear rise (Loshchilov and Hutter 2017, eq. 5)."""
    warm = max(1, round(WARM_UP * steps))
    rise = min(1.0, (step + 1) / warm)
    return options.lr * rise * 0.5 * (1 + math.cos(math.pi * step / steps))


def _decayed(module: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and scales, which are vectors, do not."""
    weights = [x for x in module.parameters() if x.requires_grad and x.ndim > 1]
    vectors = [x for x in module.parameters() if x.requires_grad and x.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def logits_of(module: torch.nn.Module, x: NDArray[Any], device: torch.device) -> Floats:
    """A module's logits for rows of features, (n, K) float64."""
    import torch

    module.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(x), PREDICTED_ROWS):
            batch = as_input(x[start : start + PREDICTED_ROWS]).to(device)
            found.append(module(batch).detach().cpu().to(torch.float64).numpy())
    return np.concatenate(found) if found else np.zeros((0, 0))


def as_input(x: NDArray[Any]) -> torch.Tensor:
    """Features as a module takes them: float32, or whole numbers of their own type."""
    import torch

    if x.dtype.kind == "f":
        x = x.astype(np.float32, copy=False)
    return torch.from_numpy(np.ascontiguousarray(x))


def _validated(
    module: torch.nn.Module, valid: Data, device: torch.device
) -> tuple[Row, Recalibrator]:
    """How far the module is from rows that it did not see, before and after recalibration."""
    z = logits_of(module, valid.x, device)
    if not np.isfinite(z).all():
        raise InputError(
            what="training diverged: logits of rows set aside are not finite",
            remedy="Take a smaller learning rate, or scale the features.",
        )
    q = Law.from_logits(z)
    p = valid.targets.p
    hard = np.eye(valid.targets.n_classes)[p] if p.ndim == 1 else p
    laws = Probs(hard).law()

    def mean(law: Law) -> float:
        return float(np.average(cross_entropy(laws, law), weights=valid.w))

    plain, floor = mean(q), valid.floor
    recalibrator = fit_cautious_temperature(p, q.log_prob, valid.w)
    after = mean(Law.from_log_probs(recalibrator.apply(q.log_prob)))
    top = q.prob.argmax(axis=1)
    row = {
        "valid_cross_entropy": plain,
        "valid_floor": floor,
        "valid_kl": plain - floor,
        "valid_kl_recalibrated": after - floor,
        "valid_expected_accuracy": float(
            np.average(hard[np.arange(len(top)), top], weights=valid.w)
        ),
    }
    return row, recalibrator
