"""What every test shares: the hypothesis profile and the data that only some machines have."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# two workers on two cores: before NumPy and torch start threads that would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("pandq", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("pandq")

ROOT = Path(__file__).resolve().parents[1]


def real_data(name):
    """A file or folder of real data, in the folder named by PANDQ_DATA or beside the project."""
    folders = [Path(os.environ["PANDQ_DATA"])] if "PANDQ_DATA" in os.environ else []
    folders.append(ROOT.parent / "shared" / "data")
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    return pytest.skip(f"needs {name}: name its folder in PANDQ_DATA")


@pytest.fixture(scope="session")
def cifar10h():
    """CIFAR-10H as parquet."""
    return real_data("cifar10h/cifar10h.parquet")


@pytest.fixture(scope="session")
def catdog():
    """The folder of CIFAR-10's cats and dogs with votes."""
    return real_data("catdog")
