"""The check of an installation."""

import subprocess
import sys
from dataclasses import replace

from pandq import selftest


def test_a_self_test_says_what_measures_rows_and_that_all_is_well():
    done = subprocess.run(
        [sys.executable, "-m", "pandq.selftest"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "rows are measured by: " in done.stdout
    assert done.stdout.count("well  ") == 3


WITHOUT = """
import importlib.abc, runpy, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
runpy.run_module("pandq.selftest", run_name="__main__")
"""


def test_a_self_test_is_well_where_no_extra_is_installed():
    absent = {"torch", "torchmetrics", "lightning", "transformers", "dask", "distributed", "fsspec"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.replace("EXTRAS", repr(absent))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("well  ") == 3


def test_a_measure_that_is_wrong_is_found_out(monkeypatch):
    right = selftest.kl_divergence
    monkeypatch.setattr(selftest, "kl_divergence", lambda p, q: right(p, q) * 1.001)
    assert selftest.measures()[1] is False


def test_a_floor_that_misses_the_truth_is_found_out(monkeypatch):
    run = selftest.run_demo
    monkeypatch.setattr(selftest, "run_demo", lambda folder: replace(run(folder), true_floor=9.0))
    assert selftest.floor()[1] is False
