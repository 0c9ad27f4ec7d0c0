"""Parts, windows and devices of a batch: what belongs to an image stays with it."""

import pytest
import torch

from diffad.inference.image_batch import ImageBatch


@pytest.fixture
def batch():
    image = torch.arange(3 * 36.0).reshape(3, 1, 6, 6)
    return ImageBatch(
        image=image,
        brain=image > 10,
        cond_image=image + 1000,
        neighbours=image.repeat(1, 2, 1, 1) + 2000,
        region=image + 3000,
        where=torch.tensor([[0.0, 0.1], [1.0, 0.2], [2.0, 0.3]]),
        keys=[7, 8, 9],
    )


NAMES = ("image", "brain", "cond_image", "neighbours", "region", "where")


def test_items_keep_all_that_is_known_of_them(batch):
    part = batch.select([2, 0])
    assert (len(part), list(part.keys)) == (2, [9, 7])
    for name in NAMES:
        assert torch.equal(getattr(part, name), getattr(batch, name)[[2, 0]])


def test_window_is_cut_from_every_image_at_its_corner_and_from_nothing_else(batch):
    part = batch.crop((2, 3), [(0, 0), (1, 2), (4, 3)])
    for name in NAMES[:-1]:
        cut, whole = getattr(part, name), getattr(batch, name)
        assert cut.shape == (3, whole.shape[1], 2, 3)
        assert torch.equal(cut[1], whole[1, :, 1:3, 2:5])
        assert torch.equal(cut[2], whole[2, :, 4:6, 3:6])
    assert torch.equal(part.where, batch.where)
    assert part.keys == batch.keys


def test_all_of_it_moves_to_a_device(batch):
    moved = batch.to(torch.device("meta"))
    assert {getattr(moved, name).device.type for name in NAMES} == {"meta"}


def test_batch_without_a_region_has_none_in_its_parts(batch):
    without = ImageBatch(**{**vars(batch), "region": None})
    assert without.select([1]).region is None
    assert without.crop((2, 2), [(0, 0)] * 3).region is None
    assert without.to(torch.device("meta")).region is None
