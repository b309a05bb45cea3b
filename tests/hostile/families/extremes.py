"""Whole Qs that are extreme, for given labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.hostile.tables import K

Made = Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]]


def _hot(y: np.ndarray) -> np.ndarray:
    return np.eye(K)[y % K]


def _signs(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return rng.choice([-1, 1], (len(y), K)).astype("f4")


def _forbidding(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return np.where(_hot(y + 1) > 0, -np.inf, rng.normal(size=(len(y), K)))


EXTREMES: dict[str, Made] = {
    "one-hot and right": lambda rng, y: ("probs", _hot(y)),
    "one-hot, wrong in one row": lambda rng, y: ("probs", _hot(y + (np.arange(len(y)) == 5))),
    "one-hot and wrong": lambda rng, y: ("probs", _hot(y + 1)),
    "the same in every row": lambda rng, y: ("probs", np.tile([0.2, 0.3, 0.5], (len(y), 1))),
    "uniform": lambda rng, y: ("logits", np.zeros((len(y), K))),
    "logits of a million": lambda rng, y: ("logits", rng.normal(0, 1e6, (len(y), K))),
    "logits of 1e300": lambda rng, y: ("logits", rng.normal(0, 1e300, (len(y), K))),
    "logits at float32's ends": lambda rng, y: ("logits", np.float32(3e38) * _signs(rng, y)),
    "logits that forbid": lambda rng, y: ("logits", _forbidding(rng, y)),
    "log-probabilities of -745": lambda rng, y: ("logprobs", np.where(_hot(y) > 0, 0.0, -745.0)),
    "subnormal probabilities": lambda rng, y: ("probs", np.where(_hot(y) > 0, 1.0, 5e-324)),
    "one score": lambda rng, y: ("probs", np.where(y == 1, 0.9, 0.2)[:, None]),
    "nearly sure": lambda rng, y: ("probs", np.where(_hot(y) > 0, 1 - 2e-12, 1e-12)),
    "inverted": lambda rng, y: ("logits", -6.0 * _hot(y) + rng.normal(0, 0.1, (len(y), K))),
}
