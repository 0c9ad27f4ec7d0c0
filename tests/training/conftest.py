"""A run that takes a second."""

import pytest
import torch

from diffad.config import load

SMALL = [
    "data.count=8",
    "space.size=16",
    "model.channels=[8]",
    "train.steps=8",
    "train.checkpoint_every=2",
    "train.validate_every=4",
    "sampler.steps=1",
]


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of floats depend on how many threads share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small(tmp_path):
    """Make a small config that writes to its own folder, with overrides."""
    return lambda *more: load("smoke", [*SMALL, f"output={tmp_path / 'runs'}", *more])
