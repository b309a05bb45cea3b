"""How fast are the divergences other than KL, at 1,000 classes?

    pip install torch==2.13.0 scipy
    python benchmarks/divergences.py

Every competitor gives one number for each row. Logits are float32; probabilities are their softmax
in float32, which torch takes as they are and SciPy's functions too. SciPy has no function for some,
which are then written with its softmax and NumPy. Arrays are in memory, and have been checked (as
views are when they are made) before the clock runs.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from scipy import special
from scipy.spatial.distance import jensenshannon
from turns import in_turns, machine, milli, ratio

import pandq
from pandq import Logits, Probs
from pandq.core.kernels import build_name

PEERS = ("torch eager", "SciPy")
OURS = {
    "JS": pandq.js_divergence,
    "JS, weights 0.3 and 0.7": partial(pandq.js_divergence, weights=(0.3, 0.7)),
    "Jeffreys": pandq.jeffreys_divergence,
    "Renyi 0.5": partial(pandq.renyi_divergence, alpha=0.5),
    "Renyi 2": partial(pandq.renyi_divergence, alpha=2),
    "Renyi 0.3": partial(pandq.renyi_divergence, alpha=0.3),
    "alpha 0.3": partial(pandq.alpha_divergence, alpha=0.3),
    "Hellinger": pandq.hellinger_distance,
    "total variation": pandq.total_variation_distance,
    "chi-squared": pandq.chi2_divergence,
}


def torch_js(p, q, log_p, log_q, w=0.5):
    log_m = (w * p + (1 - w) * q).log()
    return (w * p * (log_p() - log_m) + (1 - w) * q * (log_q() - log_m)).sum(1)


def torch_renyi(_p, _q, log_p, log_q, a=0.5):
    return torch.logsumexp(a * log_p() + (1 - a) * log_q(), 1) / (a - 1)


def torch_alpha(_p, _q, log_p, log_q, a=0.3):
    return ((a * log_p() + (1 - a) * log_q()).exp().sum(1) - 1) / (a * (a - 1))


TORCH = {
    "JS": torch_js,
    "JS, weights 0.3 and 0.7": partial(torch_js, w=0.3),
    "Jeffreys": lambda p, q, log_p, log_q: ((p - q) * (log_p() - log_q())).sum(1),
    "Renyi 0.5": torch_renyi,
    "Renyi 2": partial(torch_renyi, a=2),
    "Renyi 0.3": partial(torch_renyi, a=0.3),
    "alpha 0.3": torch_alpha,
    "Hellinger": lambda p, q, *_: (p.sqrt() - q.sqrt()).square().sum(1).div(2).sqrt(),
    "total variation": lambda p, q, *_: (p - q).abs().sum(1) / 2,
    "chi-squared": lambda p, q, *_: ((p - q).square() / q).sum(1),
}
NEEDS_LOGS_ONLY = ("Renyi 0.5", "Renyi 2", "Renyi 0.3", "alpha 0.3")


def eager(name, kind, x, y):
    formula = TORCH[name]
    if kind == "probabilities":
        return formula(x, y, x.log, y.log)
    if "JS" in name or name == "Jeffreys" or name in NEEDS_LOGS_ONLY:
        log_p, log_q = torch.log_softmax(x, 1), torch.log_softmax(y, 1)
        laws = (None, None) if name in NEEDS_LOGS_ONLY else (log_p.exp(), log_q.exp())
        return formula(*laws, lambda: log_p, lambda: log_q)
    return formula(torch.softmax(x, 1), torch.softmax(y, 1), None, None)


def scipy_js(p, q, w=0.5):
    m = w * p + (1 - w) * q
    return w * special.rel_entr(p, m).sum(1) + (1 - w) * special.rel_entr(q, m).sum(1)


SCIPY = {
    "JS": lambda p, q: jensenshannon(p, q, axis=1) ** 2,
    "JS, weights 0.3 and 0.7": partial(scipy_js, w=0.3),
    "Jeffreys": lambda p, q: (special.rel_entr(p, q) + special.rel_entr(q, p)).sum(1),
    "Renyi 0.5": lambda p, q: -2 * np.log(np.sqrt(p * q).sum(1)),
    "Renyi 2": lambda p, q: np.log((p * p / q).sum(1)),
    "Renyi 0.3": lambda p, q: np.log((p**0.3 * q**0.7).sum(1)) / -0.7,
    "alpha 0.3": lambda p, q: ((p**0.3 * q**0.7).sum(1) - 1) / -0.21,
    "Hellinger": lambda p, q: np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(1) / 2),
    "total variation": lambda p, q: np.abs(p - q).sum(1) / 2,
    "chi-squared": lambda p, q: (np.square(p - q) / q).sum(1),
}


def scipy_job(name, kind, x, y):
    if kind == "logits":
        x, y = special.softmax(x, axis=1), special.softmax(y, axis=1)
    return SCIPY[name](x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    print(f"{machine()}; build {build_name()}; torch {torch.__version__}")
    x = rng.standard_normal((10_000, 1000), dtype=np.float32) * 2
    y = x + rng.standard_normal(x.shape, dtype=np.float32) / 2
    columns: dict[str, list[str]] = {name: [] for name in OURS}
    for kind, view in (("logits", Logits), ("probabilities", partial(Probs, tolerance=1e-5))):
        if kind == "probabilities":
            x, y = (torch.softmax(torch.from_numpy(a), 1).numpy() for a in (x, y))
        p, q, tx, ty = view(x), view(y), torch.from_numpy(x), torch.from_numpy(y)
        for name, ours in OURS.items():
            jobs = {
                "pandq": partial(ours, p, q),
                "torch eager": partial(eager, name, kind, tx, ty),
                "SciPy": partial(scipy_job, name, kind, x, y),
            }
            times = in_turns(jobs, rounds)
            columns[name] += [milli(times["pandq"])]
            columns[name] += [f"{ratio(times[peer], times['pandq']):.2f}" for peer in PEERS]
    print("\n| | logits | torch eager | SciPy | probabilities | torch eager | SciPy |")
    print("|---|---|---|---|---|---|---|")
    for name, cells in columns.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
