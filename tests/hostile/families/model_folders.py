"""Model folders, recalibration maps and baselines that were damaged or tampered with.

Whatever a document says now, what comes out is a probability in every row, or a refusal.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile import stock
from tests.hostile.case import Answer, Build, Case, Given, Outcome, Run
from tests.hostile.families.spoilt_bytes import SPOILS, Spoil
from tests.hostile.judge import judged
from tests.hostile.nursery import command

FAMILY = "models"
Tamper = Callable[[Path, np.random.Generator], None]

# Text that takes a value's place in a JSON document: some of it no JSON at all.
VALUES = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "minus one": "-1",
    "a half": "0.5",
    "NaN": "NaN",
    "infinity": "Infinity",
    "1e400": "1e400",
    "10^400": "1" + "0" * 400,
    "2^63": str(2**63),
    "text": '"text"',
    "NaN as text": '"nan"',
    "infinity as text": '"inf"',
    "nothing": '""',
    "a NUL": '"\\u0000"',
    "half a letter": '"\\ud800"',
    "an empty list": "[]",
    "an empty object": "{}",
    "a list of NaN": "[NaN, NaN, NaN]",
    "a list of lists": "[[1, 2], [3]]",
    "deep lists": "[" * 100_000 + "]" * 100_000,
    "lists a little deep": "[" * 200 + "]" * 200,
    "a path": '"../../x"',
    "a million": "1000000",
    "a bomb": json.dumps([0.5] * 200_000),
}
GONE = "gone"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a document something stands; of long lists the first and the last."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list) and value:
        for i in {0, len(value) - 1}:
            yield from places(value[i], (*path, i))


MARK = "@@here@@"


def untouched(here: Path, rng: np.random.Generator) -> None:
    """Nothing is changed: what every other case is held against."""


def tampered(stored: Any, path: tuple[Any, ...], text: str | None) -> str:
    """A document as text, with other text at a place, or nothing."""
    document = copy.deepcopy(stored)
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    if text is None:
        del inner[path[-1]]
        return json.dumps(document)
    inner[path[-1]] = MARK
    return json.dumps(document).replace(f'"{MARK}"', text)


def in_json(file: str, text: str | None, skip: tuple[str, ...] = ()) -> Tamper:
    """One value of a JSON file, wherever the case's seed says."""

    def spoil(here: Path, rng: np.random.Generator) -> None:
        stored = json.loads((here / file).read_text("utf-8"))
        found = [path for path in places(stored) if path[0] not in skip]
        path = found[int(rng.integers(len(found)))]
        (here / file).write_text(tampered(stored, path, text), "utf-8")

    return spoil


def in_bytes(file: str, spoil: Spoil) -> Tamper:
    """Bytes of a file."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        stored = (here / file).read_bytes()
        (here / file).write_bytes(spoil(stored, rng))

    return spoilt


def in_text(file: str, change: Callable[[str], str]) -> Tamper:
    """A file as text."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        text = (here / file).read_text("utf-8")
        (here / file).write_text(change(text), "utf-8")

    return spoilt


TEXTS: dict[str, Callable[[str], str]] = {
    "with a mark before": lambda text: "\ufeff" + text,
    "with words behind": lambda text: text + "and more",
    "twice": lambda text: text * 2,
    "in a list": lambda text: f"[{text}]",
    "as text": json.dumps,
    "that is null": lambda text: "null",
    "that is a number": lambda text: "7",
    "with every name twice": lambda text: text.rstrip().removesuffix("}") + "," + text[1:],
    "with a comment": lambda text: "// mine\n" + text,
    "with a comma too many": lambda text: text.rstrip().removesuffix("}") + ",}",
    "with another schema": lambda text: text.replace("pandq/", "pandas/", 1),
    "with a later schema": lambda text: text.replace("/1", "/2", 1),
}


def in_arrays(change: Callable[[np.ndarray], np.ndarray], name: str | None = None) -> Tamper:
    """One array of a model's weights, or all of them."""

    def spoilt(here: Path, rng: np.random.Generator) -> None:
        from safetensors.numpy import load_file, save_file

        file = here / "model" / "weights.safetensors"
        arrays = load_file(file)
        chosen = sorted(arrays)[int(rng.integers(len(arrays)))] if name is None else name
        arrays[chosen] = np.ascontiguousarray(change(arrays[chosen]))
        save_file(arrays, file)

    return spoilt


ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "NaN": lambda x: np.full_like(x, np.nan),
    "infinite": lambda x: np.full_like(x, np.inf),
    "minus infinite": lambda x: np.full_like(x, -np.inf),
    "huge": lambda x: np.full_like(x, 1e308),
    "zero": np.zeros_like,
    "one NaN": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x),
    "float16": lambda x: x.astype("f2"),
    "whole numbers": lambda x: x.astype("i8"),
    "yes and no": lambda x: x.astype("?"),
    "one row less": lambda x: x[:-1],
    "one row more": lambda x: np.concatenate([x, x[:1]]),
    "flat": np.ravel,
    "with an axis more": lambda x: x[None],
    "empty": lambda x: x[:0],
    "a single number": lambda x: np.array(1.0),
    "turned": lambda x: x.T,
    "negative": lambda x: -np.abs(x) - 1,
}


def predicted(file: str, column: str) -> Run:
    """The command, and whether what it wrote are probabilities."""

    def run(given: Given, here: Path) -> Outcome:
        import pyarrow.parquet as pq

        outcome = command(given, here)
        if outcome.code or not (here / file).is_file():
            return outcome
        q = np.array(pq.read_table(here / file)[column].to_pylist(), float)
        sound = q.shape == (stock.ROWS, 3) and (q >= 0).all()
        sound = sound and bool((np.abs(q.sum(axis=1) - 1) < 1e-6).all())
        return replace(outcome, document={"probabilities": sound})

    return run


def _predict(kind: str, tamper: Tamper) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.stocked(f"model-{kind}", stock.fitted(kind), here)
        tamper(here, rng)
        right = {"probabilities": True}
        answer: Answer = "must" if tamper is untouched else "may"
        made = ["preds.parquet"]
        return Given(stock.COMMANDS["predict"], truth=right, answer=answer, outputs=made)

    return build


def _recalibrate(tamper: Tamper) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = stock.ready("recalibrate", here)
        tamper(here, rng)
        right = {"probabilities": True}
        answer: Answer = "must" if tamper is untouched else "may"
        return Given(arguments, truth=right, answer=answer, outputs=["recal.parquet"])

    return build


def _baseline(tamper: Tamper) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.stocked("audited", stock.audited, here)
        tamper(here, rng)
        named = ("--no-decompose", "--baseline", "old.json", "--json", "out.json")
        one = ("compare", "t.parquet", "--p", "labels:label", "--q", "probs:other")
        answer: Answer = "must" if tamper is untouched else "may"
        return Given([*one, *named], answer=answer)

    return build


def _explore(tamper: Tamper) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        arguments = stock.ready("explore", here)
        tamper(here, rng)
        answer: Answer = "must" if tamper is untouched else "may"
        return Given(arguments, answer=answer, outputs=["page.html"])

    return build


def cases() -> Iterator[Case]:
    """Each document, and each way to spoil it."""
    for name, build, run in _found():
        yield Case(f"{FAMILY}: {name}", FAMILY, build, run, judged)


def _found() -> Iterator[tuple[str, Build, Run]]:
    read = predicted("preds.parquet", "found")
    for kind in ("softmax", "bayes"):
        for called, tamper in _of_json("model/model.json"):
            yield f"{kind} model.json {called}", _predict(kind, tamper), read
        for called, change in ARRAYS.items():
            yield f"{kind} weights {called}", _predict(kind, in_arrays(change)), read
        for file in ("weights.safetensors", "curve.parquet"):
            for called, spoil in SPOILS.items():
                tamper = in_bytes(f"model/{file}", spoil)
                yield f"{kind} {file}, {called}", _predict(kind, tamper), read
        for file in ("model.json", "weights.safetensors", "curve.parquet"):
            for called, tamper in _other_things(f"model/{file}"):
                yield f"{kind} {file} is {called}", _predict(kind, tamper), read
    again = predicted("recal.parquet", "recalibrated")
    for called, tamper in _of_json("map.json"):
        yield f"a map {called}", _recalibrate(tamper), again
    for called, tamper in _of_json("old.json"):
        yield f"a baseline {called}", _baseline(tamper), command
        yield f"an explored audit {called}", _explore(tamper), command


def _of_json(file: str) -> Iterator[tuple[str, Tamper]]:
    yield "untouched", untouched
    for called, text in {**VALUES, GONE: None}.items():
        yield f"with {called}", in_json(file, text)
    for called, change in TEXTS.items():
        yield called, in_text(file, change)
    for called in ("empty", "cut in half", "only noise", "span of noise", "only zeros"):
        yield f"of {called}", in_bytes(file, SPOILS[called])


def _other_things(file: str) -> Iterator[tuple[str, Tamper]]:
    def gone(here: Path, rng: np.random.Generator) -> None:
        (here / file).unlink()

    def folder(here: Path, rng: np.random.Generator) -> None:
        gone(here, rng)
        (here / file).mkdir()

    def link(here: Path, rng: np.random.Generator) -> None:
        gone(here, rng)
        (here / file).symlink_to(Path(file).name)

    yield "gone", gone
    yield "a folder", folder
    yield "a link to itself", link
