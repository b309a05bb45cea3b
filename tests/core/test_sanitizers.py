"""The kernels under address and undefined-behaviour sanitizers, where the compiler has them."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import pandq

HERE = Path(__file__).parent
SOURCE = Path(pandq.__file__).parent / "core" / "kernels" / "module.c"
COMPILER = shutil.which("gcc")
FLAGS = [
    "-shared",
    "-fPIC",
    # a quarter of the compiler's time of -O1 -g; nothing is optimised away before it is looked at
    "-O0",
    "-g1",
    "-std=c11",
    "-fno-wrapv",
    "-ffp-contract=off",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-DMODULE=_asan",
]


def library(name):
    """Where the compiler has a sanitizer's library, or None."""
    if COMPILER is None or not sys.platform.startswith("linux"):
        return None
    asked = [COMPILER, f"-print-file-name={name}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return found if Path(found).is_absolute() else None


LIBRARIES = [library(name) for name in ("libasan.so", "libubsan.so")]


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    if None in LIBRARIES or not SOURCE.exists():
        pytest.skip("this compiler has no sanitizers")
    folder = tmp_path_factory.mktemp("sanitized")
    include = sysconfig.get_paths()["include"]
    target = ["-o", folder / "_asan.so"]
    subprocess.run([COMPILER, *FLAGS, f"-I{include}", SOURCE, *target, "-lm"], check=True)
    return folder


@pytest.mark.parametrize("seed", [0, 1])
def test_thousands_of_calls_on_any_arrays_break_no_rule_of_c(sanitized, seed):
    found = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "sanitized.py", sanitized, str(seed), "1000"],
        env=os.environ
        | {
            "LD_PRELOAD": " ".join(LIBRARIES),
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PANDQ_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "done\n"), found.stderr[-3000:]
