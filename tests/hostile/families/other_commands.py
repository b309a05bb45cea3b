"""Values for the other commands: features that are none, models that are compared, top-k lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile import truth
from tests.hostile.case import Answer, Build, Given, Outcome, Run
from tests.hostile.families.extremes import EXTREMES, Made
from tests.hostile.nursery import command
from tests.hostile.tables import K, labels_and_probs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Found = tuple[str, Build, Run]
N = 60


def _one_cell(value: float) -> Callable[[np.random.Generator], Any]:
    def made(rng: np.random.Generator) -> Any:
        x = rng.normal(size=(N, 3))
        x[7, 1] = value
        return x.tolist()

    return made


# What may stand in a column of features, and whether a model of it can be right.
FEATURES: dict[str, tuple[Answer, Callable[[np.random.Generator], Any]]] = {
    "plain": ("must", lambda rng: rng.normal(size=(N, 3)).tolist()),
    "NaN": ("never", _one_cell(np.nan)),
    "infinite": ("never", _one_cell(np.inf)),
    "1e300 once": ("may", _one_cell(1e300)),
    "1e300 everywhere": ("may", lambda rng: (rng.normal(size=(N, 3)) * 1e300).tolist()),
    "1e-300 everywhere": ("may", lambda rng: (rng.normal(size=(N, 3)) * 1e-300).tolist()),
    "far from zero": ("may", lambda rng: (rng.normal(size=(N, 3)) + 1e12).tolist()),
    "the same in every row": ("must", lambda rng: np.ones((N, 3)).tolist()),
    "the same in every column": (
        "must",
        lambda rng: np.repeat(rng.normal(size=(N, 1)), 3, axis=1).tolist(),
    ),
    "more than rows": ("must", lambda rng: rng.normal(size=(N, 70)).tolist()),
    "none": ("never", lambda rng: [[]] * N),
    "ragged": ("never", lambda rng: [[1.0] * (1 + i % 2) for i in range(N)]),
    "null": ("never", lambda rng: [None] * N),
    "text": ("never", lambda rng: [["a", "b"]] * N),
    "yes and no": ("may", lambda rng: rng.integers(0, 2, (N, 3)).astype(bool).tolist()),
    "whole numbers": ("must", lambda rng: rng.integers(0, 9, (N, 3)).tolist()),
    "one number": ("must", lambda rng: rng.normal(size=N).tolist()),
    "structs": ("never", lambda rng: [{"a": 1.0}] * N),
    "lists of lists": ("may", lambda rng: [[[1.0, 2.0]]] * N),
}


def _fit(answer: Answer, made: Callable[[np.random.Generator], Any], kind: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"label": rng.integers(0, 3, N), "x": made(rng)})
        pq.write_table(table, here / "t.parquet")
        named = ("--x", "x", "--p", "labels:label", "--model", kind, "--out", "model")
        right = {"finite": True}
        return Given(["fit", "t.parquet", *named], truth=right, answer=answer, outputs=["model"])

    return build


def fitted(given: Given, here: Path) -> Outcome:
    """A fit, and whether every number of its model is one."""
    from safetensors.numpy import load_file

    outcome = command(given, here)
    if outcome.code:
        return outcome
    arrays = load_file(here / "model" / "weights.safetensors").values()
    return replace(outcome, document={"finite": all(bool(np.isfinite(x).all()) for x in arrays)})


def _compare(one: Made, other: Made) -> Build:
    """What B incurs more than A, where that is a number."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        import pyarrow as pa
        from pyarrow import feather

        y = rng.integers(0, K, N)
        (kind_a, a), (kind_b, b) = one(rng, y), other(rng, y)
        table = pa.table({"label": y, "a": list(a), "b": list(b)})
        feather.write_feather(table, here / "t.feather", "uncompressed")
        named = ("--p", "labels:label", "--q", f"{kind_a}:a", "--q", f"{kind_b}:b")
        arguments = ["compare", "t.feather", *named, "--no-decompose", "--json", "out.json"]
        try:
            mean_a, mean_b = (
                truth.losses(truth.one_hot(y, K), truth.log_law(kind, x))["cross_entropy.value"]
                for kind, x in ((kind_a, a), (kind_b, b))
            )
        except (ValueError, IndexError):
            return Given(arguments, answer="never")
        both = np.isfinite([mean_a, mean_b]).all()
        apart = {"differences.0.cross_entropy.value": mean_b - mean_a} if both else {}
        return Given(arguments, truth=apart)

    return build


TOPS: dict[str, tuple[Answer, Callable[[Any, Any], tuple[Any, Any]]]] = {
    "whole": ("must", lambda ids, logs: (ids, logs)),
    "ragged": ("may", lambda ids, logs: (ids, [x[: 1 + i % 2] for i, x in enumerate(logs)])),
    "shorter ids": ("never", lambda ids, logs: ([x[:1] for x in ids], logs)),
    "ids as floats": ("may", lambda ids, logs: ([[float(i) for i in x] for x in ids], logs)),
    "ids as text": ("never", lambda ids, logs: ([[str(i) for i in x] for x in ids], logs)),
    "ids beyond": ("never", lambda ids, logs: ([[i + 9 for i in x] for x in ids], logs)),
    "an id twice": ("never", lambda ids, logs: ([[x[0], x[0]] for x in ids], logs)),
    "above zero": ("never", lambda ids, logs: (ids, [[1.0, 0.5] for _ in logs])),
    "NaN": ("never", lambda ids, logs: (ids, [[float("nan")] * 2 for _ in logs])),
    "null": ("never", lambda ids, logs: (ids, [None for _ in logs])),
    "fillers": ("may", lambda ids, logs: (ids, [[x[0], -9999.0] for x in logs])),
}


def _top(answer: Answer, change: Callable[[Any, Any], tuple[Any, Any]]) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        import pyarrow as pa
        import pyarrow.parquet as pq

        _, q = labels_and_probs(rng)
        ids = np.argsort(-q, axis=1)[:, :2]
        logs = np.log(np.take_along_axis(q, ids, axis=1))
        ids, logs = change(ids.tolist(), logs.tolist())
        pq.write_table(pa.table({"i": ids, "l": logs, "q": q.tolist()}), here / "t.parquet")
        named = ("--p", "topk:i,l", "--q", "probs:q", "--json", "out.json")
        return Given(["compare", "t.parquet", *named], answer=answer)

    return build


def other_commands() -> Iterator[Found]:
    """Each kind of features, of pairs, and of lists."""
    for called, (answer, made) in FEATURES.items():
        for kind in ("softmax", "bayes"):
            yield f"features that are {called}, for {kind}", _fit(answer, made, kind), fitted
    names = list(EXTREMES)
    for one, other in zip(names, [*names[1:], names[0]], strict=True):
        yield f"{one} against {other}", _compare(EXTREMES[one], EXTREMES[other]), command
    for called, (answer, change) in TOPS.items():
        yield f"top-k that is {called}", _top(answer, change), command
