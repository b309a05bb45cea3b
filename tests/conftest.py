"""What every test shares: the hypothesis profile and the data that only some machines have."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("pandq", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("pandq")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def cifar10h():
    """CIFAR-10H as parquet, from the folder named by PANDQ_DATA or beside the project."""
    folders = [Path(os.environ["PANDQ_DATA"])] if "PANDQ_DATA" in os.environ else []
    folders.append(ROOT.parent / "shared" / "data")
    for folder in folders:
        path = folder / "cifar10h" / "cifar10h.parquet"
        if path.exists():
            return path
    return pytest.skip("needs cifar10h/cifar10h.parquet: name its folder in PANDQ_DATA")
