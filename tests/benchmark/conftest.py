"""A small data folder, a pipeline that was never trained, and a benchmark of them."""

import pytest
import torch
from PIL import Image

from diffad.benchmark.config import load_benchmark
from tests.helpers.cohorts import write_model

SIZE = 32
TEXT = """
name: tiny
data: {slices: SLICES, size: 32, lesions: {implanted: [dark, bright]}}
methods:
  - {label: plain, pipeline: MODEL}
  - {label: squared, pipeline: MODEL, parts: {score: {name: l2}}}
seeds: [0, 1]
protocols: [diffad]
folds: 2
resamples: 20
precision: fp32
output: OUT
"""


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    """Twenty slices to learn from, four to test on."""
    root = tmp_path_factory.mktemp("slices")
    brain = torch.zeros(SIZE, SIZE)
    brain[3:29, 4:28] = 1
    noise = torch.rand(24, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    files = {
        f"{'train' if i < 20 else 'val'}/sub-{i:02}.png": (0.4 + 0.2 * noise[i]) * brain for i in range(24)
    }
    for name, x in {**files, "brain_mask.png": brain}.items():
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray((x * 255).byte().numpy()).save(root / name)
    return root


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A pipeline folder."""
    return write_model(tmp_path_factory.mktemp("model") / "pipeline")


@pytest.fixture
def file(tmp_path, slices, model):
    """The benchmark file; its results go to ``out`` beside it."""
    text = TEXT.replace("SLICES", str(slices)).replace("MODEL", str(model))
    path = tmp_path / "tiny.yaml"
    path.write_text(text.replace("OUT", str(tmp_path / "out")))
    return path


@pytest.fixture
def tiny(file):
    """Build the benchmark with changes."""
    return lambda *changes: load_benchmark(file, changes)
