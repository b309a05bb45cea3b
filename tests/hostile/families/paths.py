"""Names of files that are more than names, and outputs that are more than files."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from typing import TYPE_CHECKING

import numpy as np

from tests.hostile import stock
from tests.hostile.case import Build, Given, Judge, Outcome
from tests.hostile.judge import also, judged
from tests.hostile.tables import FORMATS, labels_and_probs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Found = tuple[str, Build, Judge]


def _csv(here: Path, name: str, rng: np.random.Generator) -> dict[str, float | None]:
    """A table under any name; what is right of it."""
    (here / name).parent.mkdir(parents=True, exist_ok=True)
    form = FORMATS["csv"]
    form.write(here, *labels_and_probs(rng))
    right = form.truth(here)
    (here / "t.csv").rename(here / name)
    return right


def _asked(*files: str) -> list[str]:
    named = ["--p", "labels:label", "--q", "probs:prob_*", "--no-decompose", "--json", "out.json"]
    return ["audit", *files, *named]


NAMES = {
    "brackets": ("a[1].csv", "a1.csv"),
    "a star": ("a*.csv", "ab.csv"),
    "a question mark": ("a?.csv", "ab.csv"),
    "a tilde": ("~x.csv", "x.csv"),
    "a tilde alone": ("~.csv", "x.csv"),
    "a dash first": ("./-x.csv", "x.csv"),
    "a blank": ("a b.csv", "a.csv"),
    "a quote": ("it's.csv", "its.csv"),
    "two quotes": ('"a".csv', "a.csv"),
    "a line end": ("a\nb.csv", "a.csv"),
    "a steered terminal": ("\x1b[31ma.csv", "a.csv"),
    "markup": ("[red]a[/].csv", "a.csv"),
    "a percent sign": ("%41.csv", "A.csv"),
    "a backslash": ("a\\b.csv", "b.csv"),
    "a dollar": ("$HOME.csv", "a.csv"),
    "a scheme": ("file:a.csv", "a.csv"),
    "braces": ("{a,b}.csv", "a.csv"),
    "a hidden name": (".a.csv", "a.csv"),
    "a semicolon": ("a;b.csv", "a.csv"),
    "letters of other scripts": ("пример.csv", "a.csv"),
    "a folder that says label": ("label=2/x.csv", "a.csv"),
    "a folder that says prob_0": ("prob_0=1/x.csv", "a.csv"),
    "upper case": ("T.CSV", "a.csv"),
    "two hundred letters": ("x" * 200 + ".csv", "a.csv"),
}


def _named(name: str, other: str) -> Build:
    """That file is read, and not its neighbour."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        _csv(here, other, rng)
        return Given(_asked(name), truth=_csv(here, name, rng), answer="must")

    return build


def _no_file(path: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        _csv(here, "there.csv", rng)
        return Given(_asked(path), answer="never")

    return build


NO_FILES = {
    "a name of 300 letters": "x" * 300 + ".csv",
    "a path of 5000 letters": "d/" * 2500 + "x.csv",
    "bytes that are not UTF-8": "\udcff\udcfe.csv",
    "a missing file": "missing.csv",
    "a missing file in brackets": "missing[1].csv",
    "a file as a folder": "there.csv/x.csv",
    "the root of nothing": "//./\u2028.csv",
    "a pattern of bytes": "\udcff*.csv",
    "an open bracket": "[a.csv",
    "a thousand stars": "*" * 1000 + ".csv",
    "an address": "http://127.0.0.1:9/x.csv",
    "a bucket": "s3://bucket/x.csv",
    "no name": "",
    "a blank": " ",
    "this folder's folder": "there.csv/..",
}


def _pipe(here: Path, rng: np.random.Generator) -> Given:
    os.mkfifo(here / "x.csv")
    return Given(_asked("x.csv"), answer="never", seconds=10)


def _socket(here: Path, rng: np.random.Generator) -> Given:
    os.chdir(here)
    socket.socket(socket.AF_UNIX).bind("x.csv")
    return Given(_asked("x.csv"), answer="never")


def _loop(here: Path, rng: np.random.Generator) -> Given:
    (here / "x.csv").symlink_to("x.csv")
    return Given(_asked("x.csv"), answer="never")


def _dangling(here: Path, rng: np.random.Generator) -> Given:
    (here / "x.csv").symlink_to("nowhere.csv")
    return Given(_asked("x.csv"), answer="never")


def _folder_loop(here: Path, rng: np.random.Generator) -> Given:
    right = _csv(here, "d/x.csv", rng)
    (here / "d" / "again").symlink_to(".")
    return Given(_asked("d"), truth=right, answer="must")


def _empty_folder(here: Path, rng: np.random.Generator) -> Given:
    (here / "d.csv").mkdir()
    return Given(_asked("d.csv"), answer="never")


def _twice(*files: str) -> Build:
    """The same rows named twice are counted once, or refused."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        right = _csv(here, "d/x.csv", rng)
        (here / "d" / "link.txt").symlink_to("x.csv")
        (here / "hard.csv").hardlink_to(here / "d" / "x.csv")
        return Given(_asked(*files), truth=right, answer="may")

    return build


def _other_columns(here: Path, rng: np.random.Generator) -> Given:
    _csv(here, "a.csv", rng)
    (here / "b.csv").write_text("label,prob_0,prob_2,prob_1\n0,0.5,0.2,0.3\n")
    (here / "c.csv").write_text("label,prob_0\n0,0.5\n")
    return Given(_asked("a.csv", "c.csv"), answer="never")


def _mixed(here: Path, rng: np.random.Generator) -> Given:
    _csv(here, "a.csv", rng)
    FORMATS["parquet"].write(here, *labels_and_probs(rng))
    return Given(_asked("a.csv", "t.parquet"), answer="never")


def _kept_link(given: Given, outcome: Outcome) -> str:
    told = outcome.after.get("out.json", "")
    return "" if outcome.code or told.startswith("120777") else f"the link became {told}"


def _kept_device(given: Given, outcome: Outcome) -> str:
    told = outcome.after.get("out.json", "")
    return "" if told.startswith("2") else f"the device became {told}"


def _kept_mode(given: Given, outcome: Outcome) -> str:
    told = outcome.after.get("out.json", "")
    return "" if told.startswith("100600") else f"a private file became {told}"


def _to_link(here: Path, rng: np.random.Generator) -> Given:
    right = _csv(here, "x.csv", rng)
    (here / "real.json").write_text("old")
    (here / "out.json").symlink_to("real.json")
    return Given(_asked("x.csv"), truth=right, outputs=["out.json", "real.json"])


def _to_device(here: Path, rng: np.random.Generator) -> Given:
    _csv(here, "x.csv", rng)
    if os.geteuid():
        os.mkfifo(here / "out.json")
        return Given([*_asked("x.csv")[:-2], "--html", "out.json", "--help"], answer="may")
    os.mknod(here / "out.json", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return Given(_asked("x.csv"), outputs=[])


def _to_private(here: Path, rng: np.random.Generator) -> Given:
    right = _csv(here, "x.csv", rng)
    (here / "out.json").touch(0o600)
    return Given(_asked("x.csv"), truth=right)


def _onto_input(link: Callable[[Path, Path], None]) -> Build:
    """An output that is the input by another name."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        _csv(here, "x.csv", rng)
        link(here / "out.json", here / "x.csv")
        return Given(_asked("x.csv"), answer="never", outputs=[])

    return build


def _summary_onto_input(here: Path, rng: np.random.Generator) -> Given:
    _csv(here, "x.csv", rng)
    onto = {"GITHUB_STEP_SUMMARY": str(here / "x.csv")}
    return Given(_asked("x.csv"), outputs=["out.json"], environment=onto)


def _two_in_one(*arguments: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.stocked("table", stock.table, here)
        return Given([*stock.COMMANDS["fit"][:-2], *arguments], answer="never", outputs=[])

    return build


def _forced(*arguments: str, inside: str) -> Build:
    """--force replaces a model, and nothing that is not one."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        stock.stocked("model", stock.fitted("softmax"), here)
        (here / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / "t.parquet", here / inside)
        named = ("--x", "x", "--p", "labels:label", "--force")
        return Given(["fit", *named, *arguments], answer="may", outputs=["model/"])

    return build


def _kept_theirs(given: Given, outcome: Outcome) -> str:
    ours = ("model.json", "weights.safetensors", "curve.parquet", "curve.svg")
    lost = [x for x in outcome.before if x not in outcome.after and not x.endswith(ours)]
    return f"removed {lost}" if lost else ""


def paths() -> Iterator[Found]:
    """Each name, and each kind of output."""
    for called, (name, other) in NAMES.items():
        yield f"a file's name with {called}", _named(name, other), judged
    for called, path in NO_FILES.items():
        yield f"no file: {called}", _no_file(path), judged
    yield from _files()
    yield from _outputs()


def _files() -> Iterator[Found]:
    kinds: dict[str, Build] = {
        "a named pipe as input": _pipe,
        "a socket as input": _socket,
        "a link to itself": _loop,
        "a link to nothing": _dangling,
        "a folder that holds itself": _folder_loop,
        "an empty folder with a file's name": _empty_folder,
        "the same file twice": _twice("d/x.csv", "d/x.csv"),
        "a file and its folder": _twice("d/x.csv", "d"),
        "a file by two globs": _twice("d/*.csv", "d/x*"),
        "a file and its hard link": _twice("d/x.csv", "hard.csv"),
        "files of other columns": _other_columns,
        "files of two formats": _mixed,
    }
    for called, build in kinds.items():
        yield called, build, judged


def _outputs() -> Iterator[Found]:
    yield "an output through a link", _to_link, also(_kept_link)
    yield "an output to a device", _to_device, also(_kept_device)
    yield "an output to a private file", _to_private, also(_kept_mode)
    yield "an output that links to the input", _onto_input(lambda a, b: a.symlink_to(b)), judged
    yield (
        "an output that is the input's other name",
        _onto_input(lambda a, b: a.hardlink_to(b)),
        judged,
    )
    yield "a summary onto the input", _summary_onto_input, judged
    model = ("--out", "model", "--checkpoint", "model")
    yield "a checkpoint that is the model", _two_in_one(*model), judged
    inside = ("--out", "model", "--checkpoint", "model/kept")
    yield "a checkpoint in the model", _two_in_one(*inside), judged
    around = ("--out", "kept/model", "--checkpoint", "kept")
    yield "a model in the checkpoint", _two_in_one(*around), judged
    theirs = also(_kept_theirs)
    own = _forced("model/own.parquet", "--out", "model", inside="model/own.parquet")
    yield "--force on a model with the data in it", own, theirs
    other = _forced("t.parquet", "--out", "model", inside="model/thesis.parquet")
    yield "--force on a model with other people's files", other, theirs
    deep = _forced("t.parquet", "--out", "model", inside="model/deep/er/thesis.parquet")
    yield "--force on a model with other people's folders", deep, theirs
    dot = _forced("t.parquet", "--out", ".", inside="model/own.parquet")
    yield "--force on this folder", dot, theirs
