"""A run's state after an epoch, in one safetensors file: a run that was killed goes on from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.errors import InputError
from pandq.store import whole_file

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from pandq.fit.targets import Data

FILE = "checkpoint.safetensors"
SCHEMA = "pandq/checkpoint/1"
# Of large arrays a fingerprint reads this many rows.
ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run's state is kept, and what run it is of."""

    folder: Path
    fingerprint: str

    @classmethod
    def of(cls, folder: str | Path, options: object, module: torch.nn.Module, *data: Data) -> Self:
        """For a run with these options, this module as it starts, and this data.

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
        from safetensors.torch import save_file

        tensors = {f"module.{name}": x for name, x in module.state_dict().items()}
        tensors |= {f"best.{name}": x for name, x in best.weights.items()}
        for i, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": x for name, x in state.items()}
        told = {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "curve": best.curve,
            "score": best.score,
            "epoch": best.epoch,
        }
        apart = {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}
        with whole_file(self.folder / FILE) as part:
            save_file(apart, part, metadata={"pandq": json.dumps(told)})

    def load(
        self, module: torch.nn.Module, optimiser: torch.optim.Optimizer, best: Any
    ) -> list[dict[str, Any]]:
        """Put the state that was kept into module, optimiser and `best`.

        Returns:
            The curve so far; empty where nothing was kept yet.

        Raises:
            InputError: it is of another run, or is no checkpoint.
        """
        from safetensors import SafetensorError, safe_open

        file = self.folder / FILE
        if not file.exists():
            return []
        try:
            with safe_open(file, "pt") as kept:
                told = json.loads((kept.metadata() or {})["pandq"])
                tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, OSError):
            remedy = "Remove it to start anew."
            raise InputError(what="is no checkpoint", where=str(file), remedy=remedy) from None
        if told.get("fingerprint") != self.fingerprint:
            raise InputError(
                what="the checkpoint is of a run with other data or options (epochs among them)",
                where=str(file),
                remedy="Remove it to start anew, or name another folder.",
            )

        def under(name: str) -> dict[str, torch.Tensor]:
            start = f"{name}."
            return {key[len(start) :]: x for key, x in tensors.items() if key.startswith(start)}

        module.load_state_dict(under("module"))
        best.weights, best.score, best.epoch = under("best"), told["score"], told["epoch"]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, x in under("optimiser").items():
            i, _, name = key.partition(".")
            state.setdefault(int(i), {})[name] = x
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        curve: list[dict[str, Any]] = told["curve"]
        return curve


def _add(told: Any, array: NDArray[Any]) -> None:
    """An array's shape, type and rows; of many rows some."""
    told.update(f"{array.shape} {array.dtype}".encode())
    step = max(1, len(array) // ROWS)
    told.update(np.ascontiguousarray(array[::step]).tobytes())
