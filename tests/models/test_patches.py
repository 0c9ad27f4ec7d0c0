"""Pixels become channels and come back to their place."""

import pytest
import torch

from diffad.models.patches import fold_patches, unfold_patches


@pytest.mark.parametrize("shape", [(12, 6), (6, 12, 18)])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_unfold_undoes_fold(shape, patch):
    x = torch.rand(2, 3, *shape)
    patches = fold_patches(x, patch)
    assert patches.shape == (2, 3 * patch ** len(shape), *(n // patch for n in shape))
    assert torch.equal(unfold_patches(patches, patch), x)


def test_one_position_holds_one_block_of_pixels():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert fold_patches(x, 2)[0, :, 0, 1].tolist() == [2, 3, 6, 7]


def test_one_position_holds_one_block_of_voxels():
    x = torch.arange(16.0).reshape(1, 1, 2, 2, 4)
    assert fold_patches(x, 2)[0, :, 0, 0, 1].tolist() == [2, 3, 6, 7, 10, 11, 14, 15]
