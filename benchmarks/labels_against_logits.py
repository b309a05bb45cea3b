"""How fast are labels against logits, and how near to the speed of memory?

    pip install torch==2.13.0 scikit-learn scipy torchmetrics jax
    python benchmarks/labels_against_logits.py

Every competitor gives the same five numbers for each row: cross entropy, H(q), largest probability,
right or wrong, Brier score; but for those whose name says that it gives the cross entropy alone
(log_loss, logsumexp, torchmetrics: the mean). Streaming is the sum of the same bytes, on all cores.
Arrays are in memory, and have been checked (as views are when they are made) before the clock runs.
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.metrics import log_loss
from turns import in_turns, machine, table

from pandq import Labels, Logits, Probs, cross_entropy
from pandq.core.kernels import build_name
from pandq.read.chunks import CHUNK_ROWS
from pandq.rows import measure_rows

CACHE_NUMBERS = 1 << 16


def eager(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    log_q = torch.log_softmax(x, dim=1)
    q = log_q.exp()
    at_label = q.gather(1, y[:, None])[:, 0]
    top = q.max(dim=1)
    return (
        -log_q.gather(1, y[:, None])[:, 0],
        -(q * log_q).sum(dim=1),
        top.values,
        top.indices == y,
        (q * q).sum(dim=1) - 2 * at_label + 1,
    )


def chunked(job, x: torch.Tensor, y: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    step = max(1, CACHE_NUMBERS // x.shape[1])
    return [job(x[i : i + step], y[i : i + step]) for i in range(0, len(x), step)]


def jax_jobs(x: np.ndarray, y: np.ndarray) -> dict[str, object]:
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return {}

    @jax.jit
    def measures(x, y):
        log_q = jax.nn.log_softmax(x)
        q = jnp.exp(log_q)
        at_label = jnp.take_along_axis(q, y[:, None], 1)[:, 0]
        loss = -jnp.take_along_axis(log_q, y[:, None], 1)[:, 0]
        entropy = -(q * log_q).sum(1)
        return loss, entropy, q.max(1), q.argmax(1) == y, (q * q).sum(1) - 2 * at_label + 1

    a, b = jnp.asarray(x), jnp.asarray(y)
    return {"jax.jit": lambda: jax.block_until_ready(measures(a, b))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore", message="The y_pro")
    rng = np.random.default_rng(0)
    pool = ThreadPoolExecutor(torch.get_num_threads())
    print(f"{machine()}; build {build_name()}; torch {torch.__version__}")
    compiled = torch.compile(eager, dynamic=False)
    for n, k in ((1000, 128_256), (100_000, 1000), (1_000_000, 10)):
        x = rng.standard_normal((n, k), dtype=np.float32) * 2
        y = rng.integers(0, k, n)
        tx, ty = torch.from_numpy(x), torch.from_numpy(y)
        p, q = Labels(y, k), Logits(x)
        halves = np.array_split(x.reshape(-1), torch.get_num_threads())
        jobs = {
            "pandq": lambda p=p, q=q: measure_rows(p, q),
            "pandq cross_entropy, that one alone": lambda p=p, q=q: cross_entropy(p, q),
            "streaming": lambda halves=halves: list(pool.map(np.sum, halves)),
            "making the view (checks each row)": lambda x=x: Logits(x),
            "torch eager": lambda x=tx, y=ty: eager(x, y),
            "torch chunked": lambda x=tx, y=ty: chunked(eager, x, y),
            "torch.compile": lambda x=tx, y=ty: compiled(x, y),
            "scipy logsumexp, cross entropy alone": lambda x=x, y=y: (
                logsumexp(x, axis=1) - x[np.arange(len(y)), y]
            ),
            **jax_jobs(x, y),
        }
        if n > CHUNK_ROWS:
            starts = range(0, n, CHUNK_ROWS)
            jobs["pandq, a chunk at a time, as an audit does"] = lambda p=p, q=q, starts=starts: [
                measure_rows(p[i : i + CHUNK_ROWS], q[i : i + CHUNK_ROWS]).kl[0] for i in starts
            ]
        if k <= 1000:
            soft = torch.softmax(tx, 1).double().numpy()
            soft /= soft.sum(axis=1, keepdims=True)
            classes = np.arange(k)
            jobs["scikit-learn log_loss, the mean alone"] = lambda y=y, s=soft, c=classes: log_loss(
                y, s, labels=c
            )
            s32 = Probs.normalised(soft)
            jobs["pandq from float64 probabilities"] = lambda p=p, s=s32: measure_rows(p, s)
        try:
            from torchmetrics.functional.text import perplexity
        except ImportError:
            pass
        else:
            jobs["torchmetrics perplexity, the mean alone"] = lambda x=tx, y=ty: perplexity(
                x[None], y[None]
            )
        table(f"labels against {n:,} x {k:,} float32 logits", in_turns(jobs, rounds), "pandq")


if __name__ == "__main__":
    main()
