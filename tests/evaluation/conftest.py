"""Slices with a brain in them, in memory and as a data folder."""

import pytest
import torch
from PIL import Image

SIZE = 40


def scans(count=4):
    brain = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.bool)
    brain[..., 4:36, 6:34] = True
    noise = torch.rand(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return (0.5 + 0.1 * noise) * brain, brain


@pytest.fixture
def folder(tmp_path):
    slices, brain = scans(24)
    # a rectangle, so that padding to a square matters
    files = {f"train/{i:02}.png": x for i, x in enumerate(slices[:20])}
    files |= {f"val/{i:02}.png": x for i, x in enumerate(slices[20:])}
    for name, x in {**files, "brain_mask.png": brain[0].float()}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray((x[0, :, 3:-3] * 255).byte().numpy()).save(tmp_path / name)
    return tmp_path
