"""Intervals cover as often as they say: simulation with known truth (minutes to an hour)."""

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "coverage.py"
SPEC = importlib.util.spec_from_file_location("coverage_simulation", FILE)
simulation = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(simulation)

pytestmark = pytest.mark.slow


def hits(work, case, n, sets):
    truth = simulation.truths(case)
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(work, [(case, n, seed) for seed in range(sets)], chunksize=5))
    true = {name: truth[name.split(",")[0]] for name in results[0]}
    return {
        name: np.mean([r[name][0] <= x <= r[name][1] for r in results]) for name, x in true.items()
    }


@pytest.mark.parametrize("n", simulation.SIZES)
@pytest.mark.parametrize("case", simulation.CASES)
def test_intervals_of_identified_quantities_cover_as_they_say(case, n, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "coverage_simulation", simulation)
    for name, share in hits(simulation.averages, case, n, 1000).items():
        assert 0.93 <= share <= 0.97, name


@pytest.mark.parametrize("case", simulation.CASES)
def test_clustered_and_bootstrap_intervals_cover_as_they_say(case, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "coverage_simulation", simulation)
    shares = hits(simulation.clusters, case, 10_000, 1000)
    shares |= {f"bootstrap: {k}": x for k, x in hits(simulation.bootstrap, case, 500, 1000).items()}
    ignored = shares.pop("cross entropy, clusters ignored")
    assert ignored <= shares["cross entropy"]
    for name, share in shares.items():
        assert 0.93 <= share <= 0.97, name


@pytest.mark.parametrize("n", simulation.SIZES)
@pytest.mark.parametrize("case", simulation.CASES)
def test_certified_intervals_cover_at_least_as_they_say(case, n, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "coverage_simulation", simulation)
    for name, share in hits(simulation.floor, case, n, 400).items():
        assert share >= 0.95, name
