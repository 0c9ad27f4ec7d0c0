"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True, scope="session")
def _flush_denormals():
    torch.set_flush_denormal(True)


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of real scans; tests that need it are skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of real scans, ../shared")
    return SHARED


@pytest.fixture
def generators():
    """Make a list of generators from seeds."""
    return lambda *seeds: [torch.Generator().manual_seed(s) for s in seeds]
