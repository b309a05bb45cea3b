"""What many cases start from, made once for all of them: tables, models, maps, checkpoints."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile.case import Given
from tests.hostile.nursery import command

if TYPE_CHECKING:
    from collections.abc import Callable

SHELF = "PANDQ_HOSTILE_STOCK"
ROWS = 80
BAYES_ROWS = 40


def shelved(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a stock; the first case that needs it makes it."""
    shelf = Path(os.environ[SHELF])
    kept = shelf / name
    if not kept.is_dir():
        part = Path(tempfile.mkdtemp(dir=shelf))
        make(part)
        with contextlib.suppress(OSError):
            part.rename(kept)
    return kept


def stocked(name: str, make: Callable[[Path], None], here: Path) -> None:
    """Copy the files of a stock into `here`."""
    shutil.copytree(shelved(name, make), here, dirs_exist_ok=True, symlinks=True)


def run(here: Path, *arguments: str) -> None:
    """A command that must succeed."""
    outcome = command(Given(arguments), here)
    if outcome.code:
        raise RuntimeError(outcome.err)


def table(here: Path) -> None:
    """t.parquet: labels, votes, two models' predictions, features, groups, clusters, weights."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, 2))
    logits = np.column_stack([x[:, 0], x[:, 1], -x.sum(axis=1)])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = [int(rng.choice(3, p=row)) for row in probs]
    lists = {
        "votes": rng.multinomial(3, probs),
        "probs": probs,
        "other": rng.dirichlet(np.ones(3), ROWS),
        "x": x,
        "logits": logits,
    }
    columns: dict[str, Any] = {"label": label, **{k: v.tolist() for k, v in lists.items()}}
    columns |= {f"prob_{c}": probs[:, k] for k, c in enumerate("abc")}
    columns |= {"name": ["abc"[y] for y in label], "site": ["n", "s"] * (ROWS // 2)}
    columns |= {"unit": [i // 4 for i in range(ROWS)], "id": [f"r{i}" for i in range(ROWS)]}
    columns |= {"w": np.ones(ROWS)}
    pq.write_table(pa.table(columns), here / "t.parquet")


def audited(here: Path) -> None:
    """The table, its audit as old.json, and its recalibration map as map.json."""
    table(here)
    pq = ("--p", "labels:label", "--q", "probs:probs")
    run(here, "audit", "t.parquet", *pq, "--json", "old.json", "--recalibrator", "map.json")


def fitted(kind: str) -> Callable[[Path], None]:
    """The table, and a model of it in the folder `model`."""

    def make(here: Path) -> None:
        table(here)
        named = ("--x", "x", "--p", "labels:label", "--model", kind, "--out", "model")
        run(here, "fit", "t.parquet", *named)

    return make


def kept(*arguments: str) -> Callable[[Path], None]:
    """The table, and what a command leaves in the checkpoint folder `kept`."""

    def make(here: Path) -> None:
        table(here)
        run(here, *arguments, "--checkpoint", "kept")
        shutil.rmtree(here / "model", ignore_errors=True)

    return make


# Each command with all that it needs, for the table.
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("audit", "t.parquet", "--p", "labels:label", "--q", "probs:probs"),
    "compare": (
        *("compare", "t.parquet", "--p", "labels:label"),
        *("--q", "probs:probs", "--q", "probs:other"),
    ),
    "fit": ("fit", "t.parquet", "--x", "x", "--p", "labels:label", "--out", "model"),
    "predict": ("predict", "model", "t.parquet", "--name", "found", "--out", "preds.parquet"),
    "recalibrate": (
        *("recalibrate", "t.parquet", "--q", "probs:probs"),
        *("--with", "map.json", "--out", "recal.parquet"),
    ),
    "votes": ("votes", "t.parquet", "--p", "counts:votes"),
    "inspect": ("inspect", "t.parquet"),
    "layouts": ("layouts",),
    "explore": ("explore", "--from", "old.json", "--out", "page.html"),
    "demo": ("demo", "--out", "demo"),
}
STOCKS: dict[str, tuple[tuple[str, Callable[[Path], None]], ...]] = {
    "predict": (("model", fitted("softmax")),),
    "recalibrate": (("audited", audited),),
    "explore": (("audited", audited),),
    "demo": (),
    "layouts": (),
}
OUTPUTS: dict[str, str] = {
    "fit": "model",
    "predict": "preds.parquet",
    "recalibrate": "recal.parquet",
    "explore": "page.html",
    "demo": "demo",
}


def ready(name: str, here: Path) -> tuple[str, ...]:
    """A command's arguments, with all that it needs in `here`, and nothing that it makes."""
    for stock, make in STOCKS.get(name, (("table", table),)):
        stocked(stock, make, here)
    return COMMANDS[name]
