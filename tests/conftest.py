"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
import torch

from diffad.registry import REGISTRIES

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True, scope="session")
def _flush_denormals():
    torch.set_flush_denormal(True)


@pytest.fixture(autouse=True)
def _registries_stay_as_they_were():
    """Fail a test that leaves a part of its own behind, which would meet another test by its name."""
    yield
    strangers = {
        f"{kind} {name!r} of {part.__module__}"
        for kind, registry in REGISTRIES.items()
        for name, part in registry.list_registered()
        if not part.__module__.startswith("diffad.")
    }
    assert not strangers, "left behind; use registry.scope()"


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
