"""The two networks that need no code of the user's, and what is done to pictures on the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Augment = Callable[[Tensor, torch.Generator], Tensor]

HIDDEN = 128
WIDTH = 32
# Normalised in groups within a row, not over a batch: a row's output must not depend on the others,
# and a batch that is split between processes must give what the whole one gives.
GROUPS = 8


class Standardise(nn.Module):
    """Features less their mean, over their standard deviation; pictures (n, h, w, c) by channel.

    Pictures leave as (n, c, h, w), as convolutions take them.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    @classmethod
    def of(cls, x: NDArray[Any]) -> Standardise:
        """The scaling of the training rows; what is constant is left at its scale."""
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes, dtype=np.float64)
        spread = x.std(axis=axes, dtype=np.float64)
        return cls(mean, np.where(spread > 0, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised, float32."""
        x = (x.to(torch.float32) - self.mean) / self.scale
        return x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x


class Mlp(nn.Module):
    """Two hidden layers on a row's features."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(n_features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN)
        )
        self.head = nn.Linear(HIDDEN, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, K)."""
        found: Tensor = self.head(torch.relu(self.body(x)))
        return found


class Cnn(nn.Module):
    """Three stages of two convolutions, halved in size between them, and a mean over places."""

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for width in (WIDTH, 2 * WIDTH, 4 * WIDTH):
            for before in (channels, width):
                stages += [
                    nn.Conv2d(before, width, 3, padding=1, bias=False),
                    nn.GroupNorm(GROUPS, width),
                    nn.ReLU(),
                ]
            stages.append(nn.MaxPool2d(2, ceil_mode=True))
            channels = width
        self.body = nn.Sequential(*stages[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, K)."""
        found: Tensor = self.head(self.body(x))
        return found


def built_in(name: str, shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A network by its name, for rows of this shape, before it has seen any.

    Args:
        name: "mlp" or "cnn".
        shape: of one row; (h, w, c) for pictures.
        n_classes: K.

    Raises:
        InputError: an unknown name, or a cnn for rows that are no pictures.

    >>> built_in("cnn", (8, 8, 1), 3)(torch.zeros(2, 8, 8, 1, dtype=torch.uint8)).shape
    torch.Size([2, 3])
    """
    first = Standardise(np.zeros(shape[-1]), np.ones(shape[-1]))
    if name == "mlp":
        return nn.Sequential(first, Mlp(int(np.prod(shape)), n_classes))
    if name == "cnn":
        if len(shape) != 3:
            raise InputError(
                what="a cnn needs pictures, (n, height, width, channels)",
                got=f"rows of shape {shape}",
                remedy="For features in columns use mlp.",
            )
        return nn.Sequential(first, Cnn(shape[-1], n_classes))
    raise InputError(what="unknown network", got=repr(name), remedy="mlp, cnn, or a module.")


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (n, h, w, c), half of them mirrored."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(2), x)


def crop(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (n, h, w, c), moved by up to an eighth of their size; edges are repeated."""
    n, height, width, _ = x.shape

    def moved(size: int) -> Tensor:
        most = max(1, size // 8)
        by = torch.randint(-most, most + 1, (n, 1), generator=generator)
        return (torch.arange(size) + by).clamp(0, size - 1)

    rows, columns = moved(height), moved(width)
    return x[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


AUGMENTS: dict[str, tuple[Augment, ...]] = {
    "none": (),
    "flip": (flip,),
    "crop": (crop,),
    "flip-crop": (flip, crop),
}
