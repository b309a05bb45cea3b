"""Cats and dogs: what does a small network lose, and what is it made of?

    python benchmarks/catdog.py DATA [--epochs 35] [--write docs/about/catdog.md]

Runs the command line: `pandq fit` of the built-in cnn on one label per photograph and on three
people's votes, `pandq predict` of the test photographs, `pandq audit` against the fifty votes that
each of them has. DATA holds train.parquet and test.parquet. It writes docs/about/catdog.md.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import machine

VOTED = "counts[1] + counts[2] > 0"
FITS = {"labels": "labels:label", "votes": "counts:counts"}
TEXT = """# Cats and dogs

10,000 photographs of cats and dogs, 32 x 32 pixels, with three people's votes each (CIFAR-10N, Wei
et al. 2022), and 2,000 test photographs with about 51 votes each (CIFAR-10H, Peterson et al. 2019).
The built-in cnn was fitted twice: to CIFAR-10's one label per photograph, and to the votes. Both
were then compared with the test votes, of the {n} photographs that have any. Written by
`benchmarks/catdog.py` ({epochs} epochs, seed 0; {machine}).

```sh
pandq fit train.parquet --x image --p counts:counts --where '{voted}' --model cnn \\
    --classes cat,dog --out votes/
pandq predict votes/ test.parquet --where '{voted}' --out votes.parquet
pandq audit votes.parquet --p counts:counts --q probs:probs --classes cat,dog
```

| nat, mean over test photographs | fitted to labels | fitted to votes |
|---|---|---|
{rows}

What the audits say:

{recall}

Photograph by photograph, where the floor cancels, the loss of the one fitted to votes less that of
the one fitted to labels is {difference} nat: {verdict}.
"""


def pandq(*arguments: object) -> str:
    command = [sys.executable, "-m", "pandq", *map(str, arguments)]
    print("$", " ".join(["pandq", *map(str, arguments)]), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def fitted(data: Path, work: Path, name: str, epochs: int) -> dict[str, Any]:
    """One fit, its predictions and its audits: of the votes, and of CIFAR-10's own labels."""
    model, preds = work / name, work / f"{name}.parquet"
    start = time.perf_counter()
    fit = ["fit", data / "train.parquet", "--x", "image", "--p", FITS[name], "--where", VOTED]
    print(pandq(*fit, "--model", "cnn", "--epochs", epochs, "--classes", "cat,dog", "--out", model))
    minutes = (time.perf_counter() - start) / 60
    pandq("predict", model, data / "test.parquet", "--where", VOTED, "--out", preds)
    audits = {}
    for p in FITS.values():
        out = work / f"{name}-{p.partition(':')[0]}.json"
        audit = ["audit", preds, "--p", p, "--q", "probs:probs", "--classes", "cat,dog"]
        text = pandq(*audit, "--json", out)
        audits[p] = json.loads(out.read_text(encoding="utf-8"))
        audits[f"{p} says"] = re.split(r"\n[\d,]+ rows, ", text, maxsplit=1)[0].replace("\n", "")
    return {"minutes": minutes, "preds": preds, **audits}


def cell(estimate: dict[str, Any], digits: int = 3) -> str:
    low, high = estimate["low"], estimate["high"]
    return f"{estimate['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def page(found: dict[str, dict[str, Any]], difference: dict[str, Any], epochs: int) -> str:
    votes = {name: one["counts:counts"] for name, one in found.items()}
    parts = {name: audit["decomposition"] for name, audit in votes.items()}
    n = votes["votes"]["n"]
    headlines = {f"fitted to {name}": one["counts:counts says"] for name, one in found.items()}

    def line(what: str, cells: dict[str, str]) -> str:
        return f"| {what} | {cells['labels']} | {cells['votes']} |"

    def of_parts(key: str) -> dict[str, str]:
        return {name: cell(part[key]) for name, part in parts.items()}

    rows = [
        line("cross entropy H(P,Q)", of_parts("cross_entropy")),
        line("= floor: people disagreeing", of_parts("floor")),
        line("+ calibration loss, at least", of_parts("calibration_loss")),
        line("+ grouping loss: the model", of_parts("grouping_loss")),
        line(
            "accuracy against CIFAR-10's label",
            {name: cell(one["labels:label"]["accuracy"]) for name, one in found.items()},
        ),
        line(
            "share of the votes at Q's top class",
            {name: cell(audit["expected_accuracy"]) for name, audit in votes.items()},
        ),
        line("minutes to fit", {name: f"{one['minutes']:.1f}" for name, one in found.items()}),
    ]
    return TEXT.format(
        n=f"{n:,}",
        epochs=epochs,
        machine=machine(),
        voted=VOTED,
        rows="\n".join(rows),
        difference=cell(difference["cross_entropy"]),
        verdict=difference["verdict"],
        recall="\n".join(f"> {name}: {told}" for name, told in headlines.items()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=35)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        found = {name: fitted(options.data, work, name, options.epochs) for name in FITS}
        out = work / "difference.json"
        pandq(
            "compare", found["labels"]["preds"], found["votes"]["preds"], "--id", "image_id",
            "--p", "counts:counts", "--q", "probs:probs", "--json", out,
        )  # fmt: skip
        difference = json.loads(out.read_text(encoding="utf-8"))["differences"][0]
        text = page(found, difference, options.epochs)
    print(text)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
