"""Toy slices look like brains and need no data."""

import pytest
import torch

from diffad.config import SpaceConfig
from diffad.data.toy import Toy, draw_toy_slice


def test_toy_is_a_bright_rimmed_brain_with_dark_ventricles():
    image, mask = draw_toy_slice(64, 3)
    assert set(image.unique().tolist()) == {
        v for v in image.unique().tolist() if round(v, 4) in (0, 0.1, 0.5, 0.8)
    }
    assert len(image.unique()) == 4
    assert not image[mask == 0].any()
    assert image[mask > 0].min() > 0
    assert image[0, 32, 26] == image[0, 32, 37] == pytest.approx(0.1)


def test_slices_differ_from_each_other_and_between_splits():
    train, val = (Toy(count=4, split=split) for split in ("train", "val"))
    images = [item.image for part in (train, val) for item in part]
    assert all(not torch.equal(a, b) for i, a in enumerate(images) for b in images[:i])


def test_size_of_the_space_wins():
    assert Toy(size=16, space=SpaceConfig(size=24))[0].image.shape == (1, 24, 24)
    assert Toy(size=16)[0].image.shape == (1, 16, 16)
