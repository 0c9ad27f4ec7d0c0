"""The encoder sums an image up in one vector."""

import pytest
import torch
from torch import nn

from diffad.models.encoder import Encoder

SMALL = {"depth": 10, "width": 5, "planes": 8}


def image(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("depth", [10, 18, 50])
@pytest.mark.parametrize("shape", [(2, 1, 40, 33), (2, 3, 17, 16, 20)], ids=["2-D", "3-D"])
@torch.no_grad()
def test_image_of_any_size_becomes_a_vector(depth, shape):
    encoder = Encoder(**{**SMALL, "depth": depth}, in_channels=shape[1], dims=len(shape) - 2).eval()
    c = encoder(image(*shape))
    assert c.shape == (2, 5)
    assert c.std() > 0


def vectors_of_pairs(norm):
    """The vector of one item in two batches that differ in the other item."""
    encoder = Encoder(**SMALL, norm=norm).train()
    first, other, another = (image(1, 1, 32, 32, seed=s) for s in range(3))
    return [encoder(torch.cat([first, second]))[0] for second in (other, another * 0.1)]


@torch.no_grad()
def test_group_norm_keeps_items_apart_even_in_training():
    torch.testing.assert_close(*vectors_of_pairs("group"), rtol=0, atol=1e-6)


@torch.no_grad()
def test_batch_norm_mixes_items_in_training():
    first, second = vectors_of_pairs("batch")
    assert not torch.allclose(first, second, atol=1e-3)


def test_no_batch_norm_is_left_behind():
    kinds = {type(m) for m in Encoder(**SMALL).modules()}
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm2d not in kinds


def test_widths_are_the_channels_of_the_stages():
    for depth in (10, 50):
        encoder = Encoder(depth=depth, planes=8)
        outs = [list(s.children())[-1] for s in list(encoder.resnet.children())[4:8]]
        last = "conv2" if depth == 10 else "conv3"
        assert encoder.widths == [getattr(block, last).out_channels for block in outs]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 34}, "expected depth of 10, 18, 50, got 34"),
        ({"dims": 1}, "expected dims of 2 or 3, got 1"),
        ({"norm": "layer"}, "expected norm of group, batch, got 'layer'"),
        ({"width": 0}, "expected width and in_channels of 1 or more, got 0, 1"),
        ({"planes": 12}, "expected planes divisible by 8, got 12"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Encoder(**options)


@pytest.mark.parametrize("shape", [(2, 2, 32, 32), (2, 1, 32), (2, 1, 8, 8, 8)])
def test_other_images_raise_naming_both_shapes(shape):
    with pytest.raises(ValueError, match=r"Encoder expected \(B, C, I, J\) with C = 1, got \(2"):
        Encoder(**SMALL)(image(*shape))
