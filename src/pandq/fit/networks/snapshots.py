"""A run's state after an epoch, in one safetensors file: a run that was killed goes on from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.engines.packing import packed, rebuilt
from pandq.errors import InputError
from pandq.sealed import read_sealed, write_sealed
from pandq.store import whole_file

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from pandq.documents import Value
    from pandq.fit.targets import Data

FILE = "checkpoint.safetensors"
SCHEMA = "pandq/network-checkpoint/2"
ADAM = ("step", "exp_avg", "exp_avg_sq")
# Of large arrays a fingerprint reads this many rows.
ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run's state is kept, and what run it is of."""

    folder: Path
    fingerprint: str

    @classmethod
    def of(cls, folder: str | Path, options: object, module: torch.nn.Module, *data: Data) -> Self:
        """The snapshots of a run with these options, this module and this data.

        Raises:
            InputError: the folder cannot be made.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                what="cannot be made", where=str(folder), got=str(error.strerror)
            ) from None
        told = hashlib.sha256(repr(options).encode())
        for name, x in module.state_dict().items():
            told.update(f"{name} {tuple(x.shape)}".encode())
            told.update(np.ascontiguousarray(x.detach().cpu().double().numpy()).tobytes())
        for rows in data:
            for array in (rows.x, rows.targets.p, rows.w):
                if array is not None:
                    _add(told, array)
        return cls(place, told.hexdigest())

    def save(self, module: torch.nn.Module, optimiser: torch.optim.Optimizer, best: Any) -> None:
        """The state after an epoch, written whole or not at all."""
        tensors = {f"module.{name}": x for name, x in module.state_dict().items()}
        tensors |= {f"best.{name}": x for name, x in best.weights.items()}
        for i, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": x for name, x in state.items()}
        curve = tuple(
            {name: float(x) if isinstance(x, float) else x for name, x in row.items()}
            for row in best.curve
        )
        kept = packed(_Curve(curve, float(best.score), best.epoch), {})
        document = {"schema": SCHEMA, "fingerprint": self.fingerprint, "kept": kept}
        apart = {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}
        with whole_file(self.folder / FILE) as part:
            write_sealed(part, apart, document)

    def load(
        self, module: torch.nn.Module, optimiser: torch.optim.Optimizer, best: Any
    ) -> list[dict[str, Any]]:
        """Put the state that was kept into module, optimiser and `best`.

        Returns:
            The curve so far; empty where nothing was kept yet.

        Raises:
            InputError: it is of another run, or is no checkpoint.
        """
        file = self.folder / FILE
        if not file.exists():
            return []
        remedy = "Remove it to start anew, or name another folder."
        tensors, told = read_sealed(file, "checkpoint", framework="torch", remedy=remedy)
        told.schema(SCHEMA)
        if told["fingerprint"].text() != self.fingerprint:
            raise InputError(
                what="the checkpoint is of a run with other data or options (epochs among them)",
                where=str(file),
                remedy=remedy,
            )
        kept = rebuilt(told["kept"], {}, _Curve((), 0.0, 0))
        if [row.get("epoch") for row in kept.curve] != list(range(1, len(kept.curve) + 1)):
            told["kept"].refuse("must have a row for each epoch", got="others")
        if not 0 <= kept.epoch <= len(kept.curve):
            told["kept"].refuse("must have its best epoch among them", got=str(kept.epoch))
        _refuse_others(tensors, _known(module, optimiser), told)

        def under(name: str) -> dict[str, torch.Tensor]:
            start = f"{name}."
            return {key[len(start) :]: x for key, x in tensors.items() if key.startswith(start)}

        module.load_state_dict(under("module"))
        best.weights, best.score, best.epoch = under("best"), kept.score, kept.epoch
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, x in under("optimiser").items():
            i, _, name = key.partition(".")
            state.setdefault(int(i), {})[name] = x
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        return list(kept.curve)


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is kept of a run beside its tensors."""

    curve: tuple[dict[str, bool | int | float], ...]
    score: float
    epoch: int


def _known(module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Tensors of the types and shapes that a run's state has, by name."""
    import torch

    state = module.state_dict()
    known = {f"{of}.{name}": x for of in ("module", "best") for name, x in state.items()}
    parameters = [x for group in optimiser.param_groups for x in group["params"]]
    for i, x in enumerate(parameters):
        like = zip(ADAM, (torch.zeros(()), x, x), strict=True)
        known |= {f"optimiser.{i}.{name}": tensor for name, tensor in like}
    return known


def _refuse_others(
    tensors: dict[str, torch.Tensor], known: dict[str, torch.Tensor], told: Value
) -> None:
    """Refuse tensors that are not of this run's state.

    Raises:
        InputError: one is unknown, missing, of another type or shape, or not finite.
    """
    for name, x in tensors.items():
        like = known.get(name)
        if like is None or x.shape != like.shape or x.dtype != like.dtype:
            told.refuse("", got=f"{name} of type {x.dtype} and shape {tuple(x.shape)}")
        # a mask of a module's own may be infinite from the start
        sound = x.isfinite() | ~like.detach().cpu().isfinite()
        if not sound.all() or (name.endswith((".step", ".exp_avg_sq")) and (x < 0).any()):
            told.refuse("", got=f"{name} with numbers that it cannot have")
    # a parameter without a gradient has no state, and before the first good epoch nothing is best
    parts = [{key for key in tensors if key.startswith(of)} for of in ("module.", "best.")]
    wanted = {key for key in known if key.startswith("module.")}
    best = {f"best.{key.removeprefix('module.')}" for key in wanted}
    if parts[0] != wanted or parts[1] not in (set(), best):
        told.refuse("", got="some of its tensors alone")
    for key in tensors:
        kin = key.rpartition(".")[0]
        if key.startswith("optimiser.") and {f"{kin}.{x}" for x in ADAM} - set(tensors):
            told.refuse("", got=f"some of {kin} alone")


def _add(told: Any, array: NDArray[Any]) -> None:
    """An array's shape, type and rows; of many rows some."""
    told.update(f"{array.shape} {array.dtype}".encode())
    step = max(1, len(array) // ROWS)
    told.update(np.ascontiguousarray(array[::step]).tobytes())
