"""Values: numbers that are none, types that hold them oddly, shapes that do not fit.

What is right is computed from the values as they were made, before any file was written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile import truth
from tests.hostile.case import Answer, Build, Case, Given
from tests.hostile.families.extremes import EXTREMES, Made
from tests.hostile.families.odd_columns import ODD_COLUMNS
from tests.hostile.families.other_commands import other_commands
from tests.hostile.judge import judged
from tests.hostile.nursery import command
from tests.hostile.tables import K, labels_and_probs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FAMILY = "values"
AVERAGES = "--no-decompose"

NUMBERS = {
    "NaN": np.nan,
    "infinity": np.inf,
    "minus infinity": -np.inf,
    "minus zero": -0.0,
    "zero": 0.0,
    "the largest": np.finfo(float).max,
    "the most negative": np.finfo(float).min,
    "the smallest": 5e-324,
    "nearly nothing": 1e-300,
    "a little below zero": -1e-3,
    "a little above one": 1.0000004,
    "two": 2.0,
    "more than a float32 holds": 1e39,
    "beyond whole numbers": 2.0**53 + 2,
}


def asked(file: str, p: str, q: str, *more: str, **options: str) -> list[str]:
    """An audit's arguments, without the second pass."""
    given = [AVERAGES, "--json", "out.json", *more]
    given += [x for name, value in options.items() for x in (f"--{name.replace('_', '-')}", value)]
    return ["audit", file, "--p", p, "--q", q, *given]


def right(
    losses: Callable[[], Mapping[str, float | None]], answer: Answer = "must"
) -> dict[str, Any]:
    """`answer` and `truth` of a Given; where the truth cannot be computed there is none."""
    try:
        return {"truth": losses(), "answer": answer}
    except (ValueError, IndexError):
        return {"answer": "never"}


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Columns, as lists or Arrow arrays, in the format of the name."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather

    if path.suffix == ".jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return
    if path.suffix == ".csv":
        lines = [
            list(columns),
            *([_cell(x) for x in row] for row in zip(*columns.values(), strict=True)),
        ]
        path.write_text("".join(",".join(line) + "\n" for line in lines), "utf-8")
        return
    arrays = [
        x if isinstance(x, pa.Array | pa.ChunkedArray) else pa.array(x) for x in columns.values()
    ]
    table = pa.Table.from_arrays(arrays, names=list(columns))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        feather.write_feather(table, path, "uncompressed")


def _cell(value: Any) -> str:
    return '"' + json.dumps(value) + '"' if isinstance(value, list) else str(value)


def in_format(kind: str, x: np.ndarray) -> np.ndarray:
    """Probabilities as another kind holds them."""
    return x if kind == "probs" else np.log(x)


def _one_cell(kind: str, value: float, suffix: str) -> Build:
    """A hostile number in one cell of Q."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        label, probs = labels_and_probs(rng)
        x = in_format(kind, probs)
        x[int(rng.integers(len(x))), int(rng.integers(K))] = value
        write_table(here / f"t{suffix}", {"label": label.tolist(), "q": x.tolist()})
        known = right(lambda: truth.losses(truth.one_hot(label, K), truth.log_law(kind, x)))
        if not np.isfinite(value) and suffix in (".jsonl", ".csv") and known["answer"] == "must":
            known["answer"] = "may"  # JSON knows no infinity
        return Given(asked(f"t{suffix}", "labels:label", f"{kind}:q"), **known)

    return build


COUNTS: dict[str, tuple[str, Any]] = {
    "a vote of minus one": ("int64", -1),
    "half a vote": ("float64", 0.5),
    "NaN votes": ("float64", np.nan),
    "infinite votes": ("float64", np.inf),
    "whole votes as floats": ("float64", 3.0),
    "a hundred thousand votes": ("int64", 100_000),
    "a billion votes": ("int64", 10**9),
    "2^31 votes": ("int64", 2**31),
    "2^40 votes": ("int64", 2**40),
    "2^53 votes": ("int64", 2**53),
    "2^62 votes": ("int64", 2**62),
    "2^63 votes": ("uint64", 2**63),
    "1e300 votes": ("float64", 1e300),
    "255 votes in a byte": ("uint8", 255),
    "127 votes in a signed byte": ("int8", 127),
    "votes of float16": ("float16", 7),
    "votes of float32": ("float32", 2**24),
}


def _counts(kind: str, value: Any, parts: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        import pyarrow as pa

        _, q = labels_and_probs(rng, 60)
        n = rng.integers(1, 5, (60, K)).astype(kind)
        n[7, 1] = value
        lists = pa.FixedSizeListArray.from_arrays(pa.array(n.ravel()), K)
        write_table(here / "t.parquet", {"votes": lists, "q": q.tolist()})
        arguments = asked("t.parquet", "counts:votes", "probs:q")
        if parts != "none":
            arguments.remove(AVERAGES)
        known = right(lambda: truth.losses(truth.log_law("counts", n), np.log(q)), "may")
        known.get("truth", {}).pop("entropy.value", None)
        return Given(arguments, **known)

    return build


WEIGHTS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "NaN": lambda rng, n: np.where(np.arange(n) == 3, np.nan, 1.0),
    "infinite": lambda rng, n: np.where(np.arange(n) == 3, np.inf, 1.0),
    "negative": lambda rng, n: np.where(np.arange(n) == 3, -1.0, 1.0),
    "all zero": lambda rng, n: np.zeros(n),
    "all but one zero": lambda rng, n: (np.arange(n) == 3).astype(float),
    "huge": lambda rng, n: rng.uniform(1, 2, n) * 1e307,
    "tiny": lambda rng, n: rng.uniform(1, 2, n) * 1e-320,
    "of very different sizes": lambda rng, n: 10.0 ** rng.uniform(-150, 150, n),
    "whole numbers": lambda rng, n: rng.integers(1, 9, n),
    "yes and no": lambda rng, n: rng.integers(0, 2, n).astype(bool),
    "float32": lambda rng, n: rng.uniform(0.1, 1, n).astype("f4"),
    "missing": lambda rng, n: [None, *[1.0] * (n - 1)],
    "text": lambda rng, n: ["1.0"] * n,
    "words": lambda rng, n: ["heavy"] * n,
    "lists": lambda rng, n: [[1.0]] * n,
}


def _weights(made: Callable[[np.random.Generator, int], Any], floor: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        label, q = labels_and_probs(rng, 60)
        w = made(rng, 60)
        write_table(here / "t.parquet", {"label": label.tolist(), "q": q.tolist(), "w": w})
        array = np.array(w, dtype=None if not isinstance(w, list) else object)
        arguments = asked("t.parquet", "labels:label", "probs:q", weights="w")
        if floor != "none":
            arguments.remove(AVERAGES)
        if array.dtype == object:
            return Given(arguments, answer="may" if w[0] == "1.0" else "never")
        known = right(lambda: truth.losses(truth.one_hot(label, K), np.log(q), array), "may")
        return Given(arguments, **known)

    return build


STORED = {
    "float64": ("probs", "f8"),
    "float32": ("probs", "f4"),
    "float16": ("logits", "f2"),
    "int64": ("logits", "i8"),
    "int8": ("logits", "i1"),
    "uint8": ("logits", "u1"),
    "uint16": ("logits", "u2"),
    "uint32": ("logits", "u4"),
    "big-endian float64": ("logits", ">f8"),
    "big-endian float32": ("logits", ">f4"),
}


def _stored_as(kind: str, dtype: str, suffix: str) -> Build:
    """Q in other number types; what is right is what NumPy reads them as."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        label, probs = labels_and_probs(rng)
        x = (probs if kind == "probs" else rng.integers(0, 9, probs.shape)).astype(dtype)
        if suffix == ".npz":
            np.savez(here / "t.npz", label=label, q=x)
        else:
            write_table(here / f"t{suffix}", {"label": label.tolist(), "q": list(x)})
        wide = np.log(x.astype(float)) if kind == "probs" else truth.log_law(kind, x)
        return Given(
            asked(f"t{suffix}", "labels:label", f"{kind}:q"),
            truth=truth.losses(truth.one_hot(label, K), wide),
            # two bytes without a sign may also be bfloat16's bits: to ask which is right as well
            answer="may" if dtype == "u2" or ">" in dtype else "must",
            tolerance=1e-5,
        )

    return build


def _extreme(made: Made, n: int, floor: str) -> Build:
    """A whole Q that is extreme, audited with its parts."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        y = rng.integers(0, K, n)
        kind, x = made(rng, y)
        write_table(here / "t.feather", {"label": y.tolist(), "q": list(x)})
        arguments = asked("t.feather", "labels:label", f"{kind}:q")
        if floor != "none":
            arguments.remove(AVERAGES)
        known = right(lambda: truth.losses(truth.one_hot(y, K), truth.log_law(kind, x)), "may")
        return Given(arguments, **known)

    return build


SHAPES: dict[str, tuple[Answer, Callable[[], Mapping[str, Any]]]] = {
    "no rows": ("never", lambda: {"label": np.zeros(0, int), "q": np.zeros((0, 2)).tolist()}),
    "one row": ("must", lambda: {"label": [1], "q": [[0.25, 0.75]]}),
    "one class": ("may", lambda: {"label": [0, 0], "q": [[1.0], [1.0]]}),
    "no classes": ("never", lambda: {"label": [0, 0], "q": [[], []]}),
    "ragged": ("never", lambda: {"label": [0, 1], "q": [[0.5, 0.5], [0.2, 0.3, 0.5]]}),
    "a null in a list": ("never", lambda: {"label": [0, 1], "q": [[0.5, 0.5], [0.5, None]]}),
    "a null for a list": ("never", lambda: {"label": [0, 1], "q": [[0.5, 0.5], None]}),
    "lists of text": ("never", lambda: {"label": [0, 1], "q": [["a", "b"], ["c", "d"]]}),
    "lists as text": ("may", lambda: {"label": [0, 1], "q": ["[0.5, 0.5]", "[0.25, 0.75]"]}),
    "text": ("never", lambda: {"label": [0, 1], "q": ["half", "all"]}),
    "lists of lists of lists": ("never", lambda: {"label": [0], "q": [[[[0.5, 0.5]]]]}),
    "members of different sizes": (
        "never",
        lambda: {"label": [0, 1], "q": [[[0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]]},
    ),
    "no members": ("never", lambda: {"label": [0, 1], "q": [[], []]}),
    "structs": (
        "may",
        lambda: {"label": [0, 1], "q": [{"a": 0.5, "b": 0.5}, {"a": 0.1, "b": 0.9}]},
    ),
    "yes and no": ("may", lambda: {"label": [0, 1], "q": [[True, False], [False, True]]}),
    "dates": ("never", lambda: {"label": [0, 1], "q": np.array(["2024-01-01"] * 2, "M8[s]")}),
    "all null": ("never", lambda: {"label": [0, 1], "q": [None, None]}),
    "labels all null": ("never", lambda: {"label": [None, None], "q": [[0.5, 0.5]] * 2}),
    "ten thousand classes": (
        "must",
        lambda: {"label": [0, 9999], "q": np.full((2, 10_000), 1e-4).tolist()},
    ),
}


def _shape(answer: Answer, made: Callable[[], Mapping[str, Any]], suffix: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        write_table(here / f"t{suffix}", made())
        return Given(asked(f"t{suffix}", "labels:label", "probs:q"), answer=answer)

    return build


LABELS: dict[str, tuple[Answer, list[str]]] = {
    "as numbers": ("must", ["0", "1", "2"]),
    "as floats": ("may", ["0.0", "1.0", "2.0"]),
    "in exponents": ("may", ["0e0", "1e0", "2e0"]),
    "between two classes": ("never", ["0", "1.5", "2"]),
    "below zero": ("never", ["0", "-1", "2"]),
    "one too many": ("never", ["0", "1", "3"]),
    "of 2^40": ("never", ["0", "1", str(2**40)]),
    "of 2^63": ("never", ["0", "1", str(2**63)]),
    "of 2^70": ("never", ["0", "1", str(2**70)]),
    "with an empty one": ("never", ["0", "", "2"]),
    "with NaN": ("never", ["0", "nan", "2"]),
    "with infinity": ("never", ["0", "inf", "2"]),
    "in other digits": ("never", ["0", "\u0661", "\u0662"]),
    "with a space": ("may", ["0", " 1", "2"]),
    "with a zero before": ("may", ["0", "01", "02"]),
    "with an underscore": ("never", ["0", "1_0", "2"]),
    "as dates": ("never", ["2024-01-01", "2024-01-02", "2024-01-03"]),
    "as yes and no": ("never", ["true", "false", "maybe"]),
    "with a quote": ("never", ["0", '"1', "2"]),
    "that fall in late": ("never", ["0"] * 30_000 + ["1.5"]),
}


def _labels(answer: Answer, texts: list[str], suffix: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        n = max(len(texts), 30)
        label = (texts * 30)[:n]
        q = rng.dirichlet(np.ones(K), len(label)).round(3)
        q[:, 2] = 1 - q[:, 0] - q[:, 1]
        lines = [
            f"{y}{suffix}" + suffix.join(map(repr, row.tolist()))
            for y, row in zip(label, q, strict=True)
        ]
        name = "t.csv" if suffix == "," else "t.tsv"
        head = suffix.join(["label", "prob_0", "prob_1", "prob_2"])
        (here / name).write_text("\n".join([head, *lines]) + "\n", "utf-8")
        known: dict[str, Any] = {"answer": answer}
        if answer != "never":
            codes = [int(float(text)) for text in label]
            known["truth"] = truth.losses(truth.one_hot(codes, K), truth.log_law("probs", q))
        return Given(asked(name, "labels:label", "probs:prob_*"), **known)

    return build


def _beside(role: str, column: Callable[[int], Any], floor: str) -> Build:
    """A column of any type as group, cluster, id or labels: the losses are the same."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        label, q = labels_and_probs(rng, 60)
        table = {"label": label.tolist(), "q": q.tolist(), "odd": column(60)}
        write_table(here / "t.feather", table)
        if role == "labels":
            return Given(asked("t.feather", "labels:odd", "probs:q"), answer="may")
        arguments = asked("t.feather", "labels:label", "probs:q", f"--{role}", "odd")
        if floor != "none":
            arguments.remove(AVERAGES)
        right = truth.losses(truth.one_hot(label, K), np.log(q))
        return Given(arguments, truth=right, answer="may")

    return build


def _late(kind: str, suffix: str) -> Build:
    """Whole numbers for long, then fractions: nothing is rounded."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        n = 25_000
        x = np.zeros((n, 2))
        x[:, 1] = rng.integers(0, 2, n)
        w = np.ones(n)
        if kind == "logits":
            x[-300:, 1] = 0.4
        else:
            w[-300:] = 0.4
        y = rng.integers(0, 2, n)
        numbers = np.column_stack([y, w, x])
        rows = ["label,w,logit_0,logit_1", *(",".join(f"{v:g}" for v in row) for row in numbers)]
        if suffix == ".jsonl":
            rows = [
                f'{{"label": {int(a)}, "w": {b:g}, "logit_0": {c:g}, "logit_1": {d:g}}}'
                for a, b, c, d in numbers
            ]
        (here / f"t{suffix}").write_text("\n".join(rows) + "\n")
        known = truth.losses(truth.one_hot(y, 2), truth.log_law("logits", x), w)
        arguments = asked(f"t{suffix}", "labels:label", "logits:logit_*", weights="w")
        return Given(arguments, truth=known, answer="must")

    return build


def cases() -> Iterator[Case]:
    """Each value in each place."""
    for name, build in _builds():
        yield Case(f"{FAMILY}: {name}", FAMILY, build, command, judged)
    for name, build, run in other_commands():
        yield Case(f"{FAMILY}: {name}", FAMILY, build, run, judged)


def _builds() -> Iterator[tuple[str, Build]]:
    for build in (_of_q, _of_weights, _of_shapes, _of_columns):
        yield from build()


def _of_q() -> Iterator[tuple[str, Build]]:
    for called, value in NUMBERS.items():
        for kind in ("probs", "logprobs", "logits"):
            for suffix in (".parquet", ".feather", ".jsonl", ".csv"):
                yield f"{called} among {kind} in {suffix[1:]}", _one_cell(kind, value, suffix)
    for called, (kind, dtype) in STORED.items():
        for suffix in (".npz",) if ">" in dtype else (".npz", ".parquet", ".feather"):
            yield f"{called} {kind} in {suffix[1:]}", _stored_as(kind, dtype, suffix)
    for called, extreme in EXTREMES.items():
        for n, floor in ((40, "none"), (120, "auto")):
            yield f"Q that is {called}, floor {floor}", _extreme(extreme, n, floor)


def _of_weights() -> Iterator[tuple[str, Build]]:
    for floor in ("none", "auto"):
        for called, (dtype, value) in COUNTS.items():
            yield f"{called}, floor {floor}", _counts(dtype, value, floor)
        for called, made in WEIGHTS.items():
            yield f"weights {called}, floor {floor}", _weights(made, floor)
    for kind in ("logits", "weights"):
        for suffix in (".csv", ".jsonl"):
            yield f"fractions that come late among {kind} in {suffix[1:]}", _late(kind, suffix)


def _of_shapes() -> Iterator[tuple[str, Build]]:
    for called, (answer, shape) in SHAPES.items():
        for suffix in (".parquet", ".feather"):
            yield f"{called} in {suffix[1:]}", _shape(answer, shape, suffix)
    for called, (answer, texts) in LABELS.items():
        for suffix in (",", "\t"):
            yield f"labels {called} between {suffix!r}", _labels(answer, texts, suffix)


def _of_columns() -> Iterator[tuple[str, Build]]:
    for called, column in ODD_COLUMNS.items():
        for role in ("by", "cluster", "id", "labels"):
            yield f"{called} as {role}", _beside(role, column, "auto" if role == "by" else "none")
