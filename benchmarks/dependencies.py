"""What does an installation weigh, and what is each dependency for?

    python -m venv fresh && fresh/bin/pip install .
    fresh/bin/python benchmarks/dependencies.py

Sizes are those of the files that pip has installed, in megabytes; "alone" is what would go if pandq
did not depend on it, with what only it depends on. The time is a process that imports it, less one
that imports nothing. Rooms are the folders and modules of pandq that name it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from turns import in_turns, machine, milli

import pandq

MEGA = 1e6
MANY = 8
OWN = "pandq"
# what is imported, where it is not the distribution's name, and why it is there
WHY = {
    "numpy": ("numpy", "arrays"),
    "scipy": ("scipy", "special functions, distributions, optimisers"),
    "pyarrow": ("pyarrow.parquet", "parquet, feather and any table library's columns, no copy"),
    "duckdb": ("duckdb", "csv, JSON, conditions, layouts and joins that spill to disk"),
    "click": ("click", "the command line"),
    "rich": ("rich.console", "tables and progress in a terminal"),
    "matplotlib": ("matplotlib.figure", "figures, in pages and for one's own"),
    "scikit-learn": ("sklearn.base", "estimators' conventions, the demo's digits"),
    "pillow": ("PIL.Image", "thumbnails in pages, folders of images"),
    "safetensors": ("safetensors", "tensors in files, recalibrators and networks"),
    "threadpoolctl": ("threadpoolctl", "one thread of BLAS where pandq has its own"),
}


def required(name: str) -> set[str]:
    """What a distribution depends on without extras, itself left out."""
    lines = metadata.requires(name) or []
    names = (re.split(r"[^\w.-]", line)[0].lower() for line in lines if "extra ==" not in line)
    return {found for found in names if installed(found)}


@cache
def installed(name: str) -> bool:
    """Is there such a distribution?"""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def needed(names: set[str]) -> set[str]:
    """These and all that they depend on."""
    found: set[str] = set()
    while names:
        found |= names
        names = set().union(*map(required, names)) - found
    return found


def megabytes(names: set[str]) -> float:
    """What pip has installed of these."""
    sizes = 0
    for name in names:
        for file in metadata.files(name) or []:
            path = Path(file.locate())
            sizes += path.stat().st_size if path.is_file() else 0
    return sizes / MEGA


def rooms(module: str) -> str:
    """The rooms of pandq that import a library by name."""
    house, found = Path(pandq.__file__).parent, set()
    for file in house.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [x.name for x in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == module.partition(".")[0] for name in names):
                found.add(file.relative_to(house).parts[0].removesuffix(".py"))
    return ", ".join(sorted(found)) if len(found) <= MANY else f"{len(found)} of them"


def main() -> None:
    direct = required(OWN)
    if unknown := direct - set(WHY):
        sys.exit(f"no reason is given for {', '.join(sorted(unknown))}")
    print(f"{machine()}; all together {megabytes(needed(direct)):.0f} MB\n")
    imports = {"": "pass"} | {name: f"import {WHY[name][0]}" for name in direct}
    run = partial(subprocess.run, check=True)
    jobs = {name: partial(run, [sys.executable, "-c", code]) for name, code in imports.items()}
    times = in_turns(jobs, 5)
    lines = []
    for name in direct:
        own, alone = megabytes({name}), needed(direct) - needed(direct - {name})
        took = milli([a - b for a, b in zip(times[name], times[""], strict=True)])
        module, why = WHY[name]
        cells = (name, f"{own:.0f}", f"{megabytes(alone):.0f}", took, why, rooms(module))
        lines.append((-own, f"| {' | '.join(cells)} |"))
    print("| | MB | alone | import | for | rooms |\n|---|---|---|---|---|---|")
    print("\n".join(line for _, line in sorted(lines)))


if __name__ == "__main__":
    main()
