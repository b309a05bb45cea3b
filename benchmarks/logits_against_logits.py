"""How fast are logits against logits of 128,256 classes, and how right is a small divergence?

    pip install torch==2.13.0
    python benchmarks/logits_against_logits.py

Every competitor gives KL(P||Q), KL(Q||P), H(P), H(P,Q) and top-1 agreement for each row, but for
the one that is said to give KL(P||Q) alone. Accuracy is against long double.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from turns import in_turns, machine, table

from pandq.core.kernels import build_name, measured
from pandq.core.numerics import BFLOAT16

CLASSES = 128_256


def eager(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    log_p, log_q = torch.log_softmax(x, dim=1), torch.log_softmax(y, dim=1)
    p, q = log_p.exp(), log_q.exp()
    apart = log_p - log_q
    return (
        (p * apart).sum(dim=1),
        -(q * apart).sum(dim=1),
        -(p * log_p).sum(dim=1),
        -(p * log_q).sum(dim=1),
        x.argmax(dim=1) == y.argmax(dim=1),
    )


def kl_alone(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    log_p, log_q = torch.log_softmax(x, dim=1), torch.log_softmax(y, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def in_long_double(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KL(P||Q) as a sum of terms that cannot be negative."""
    log_p, log_q = (
        a - np.log(np.exp(a).sum(axis=1, keepdims=True))
        for a in (b.astype(np.longdouble) for b in (x, y))
    )
    t = log_q - log_p
    series = t * t * (0.5 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t / 720))))
    terms = np.exp(log_p) * np.where(abs(t) < 1e-2, series, np.expm1(t) - t)
    return terms.sum(axis=1).astype(float)


def accuracy(rng: np.random.Generator) -> None:
    print(f"\n### Relative error of KL(P||Q), {CLASSES:,} classes in float32 (largest of 8 rows)\n")
    print("| KL | pandq | torch float32 |\n|---|---|---|")
    x = rng.standard_normal((8, CLASSES), dtype=np.float32) * 2
    for size in (1e-7, 1e-6, 1e-5, 1e-4, 1e-2, 1.0):
        noise = np.sqrt(2 * size) * rng.standard_normal(x.shape)
        y = (x + noise).astype(np.float32)
        want = in_long_double(x, y)
        ours = measured("logits", x, "logits", y, whole=False)["kl"]
        theirs = kl_alone(torch.from_numpy(x), torch.from_numpy(y)).numpy()
        errors = (f"{np.max(np.abs(found - want) / want):.1e}" for found in (ours, theirs))
        print(f"| {want.mean():.1e} | {' | '.join(errors)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    pool = ThreadPoolExecutor(torch.get_num_threads())
    print(f"{machine()}; build {build_name()}; torch {torch.__version__}")
    x = rng.standard_normal((500, CLASSES), dtype=np.float32) * 2
    compiled, compiled_kl = (
        torch.compile(eager, dynamic=False),
        torch.compile(kl_alone, dynamic=False),
    )
    for noise in (0.05, 0.5):
        y = x + noise * rng.standard_normal(x.shape, dtype=np.float32)
        tx, ty = torch.from_numpy(x), torch.from_numpy(y)
        parts = [a.reshape(-1) for a in (x, y)]
        halves = [b for a in parts for b in np.array_split(a, torch.get_num_threads())]
        hx, hy = x.astype(np.float16), y.astype(np.float16)
        bits = ((a.view(np.uint32) >> np.uint32(16)).astype(np.uint16) for a in (x, y))
        bx, by = (a.view(BFLOAT16) for a in bits)
        jobs = {
            "pandq": lambda y=y: measured("logits", x, "logits", y, whole=False),
            "pandq, with H(Q) and Brier": lambda y=y: measured("logits", x, "logits", y),
            "pandq float16": lambda a=hx, b=hy: measured("logits", a, "logits", b, whole=False),
            "pandq bfloat16": lambda a=bx, b=by: measured("logits", a, "logits", b, whole=False),
            "streaming": lambda halves=halves: list(pool.map(np.sum, halves)),
            "torch eager": lambda x=tx, y=ty: eager(x, y),
            "torch chunked": lambda x=tx, y=ty: [
                eager(*pair) for pair in zip(x[:, None], y[:, None], strict=True)
            ],
            "torch.compile": lambda x=tx, y=ty: compiled(x, y),
            "torch.compile, KL(P||Q) alone": lambda x=tx, y=ty: compiled_kl(x, y),
        }
        kl = measured("logits", x, "logits", y, whole=False)["kl"].mean()
        title = f"500 x {CLASSES:,} float32 logits against logits, mean KL {kl:.2g} nat"
        table(title, in_turns(jobs, rounds), "pandq")
    accuracy(rng)


if __name__ == "__main__":
    main()
