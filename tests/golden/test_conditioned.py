"""Sizes and counts of the conditioned diffusion model (Behrendt et al., 2025) and its pretraining."""

import pytest
import torch

from diffad.models.cells import draw_cells, find_hidden_pixels
from diffad.models.encoder import Encoder
from diffad.models.masked import MaskedAutoencoder
from diffad.registry import MODELS


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(autouse=True)
def _no_memory():
    with torch.device("meta"):
        yield


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_encoder_has_the_size_of_a_resnet50_with_one_channel_and_512_outputs(norm):
    encoder = Encoder(depth=50, width=512, in_channels=1, norm=norm)
    assert size(encoder) == 24_550_848
    assert size(encoder) - size(encoder.resnet.fc) == 23_501_760


def test_network_with_its_encoder_has_the_published_size():
    network = MODELS.build("conditioned", backbone={"name": "adm"}, encoder={"norm": "batch"})
    assert size(network.backbone) == 44_068_481
    assert size(network) == 68_619_329


def test_masked_autoencoder_has_the_published_sizes():
    network = MaskedAutoencoder(Encoder(norm="batch"))
    # 4.16 M to fill the maps and 10.30 M to decode them, 38.0 M with the encoder less its head
    assert [size(part) for part in (network.fills, network.grows)] == [4_157_632, 10_304_896]
    assert size(network) - size(network.encoder.resnet.fc) == 37_964_305


def test_three_of_nine_cells_are_visible_in_each_item(generators):
    with torch.device("cpu"):
        cells = draw_cells((96, 96), 32, 0.65, generators(*range(20)))
        assert cells.shape == (20, 1, 3, 3)
        assert cells.flatten(1).sum(1).tolist() == [3] * 20
        visible = ~find_hidden_pixels(cells, 32, (96, 96))
        assert visible.flatten(1).sum(1).tolist() == [3_072] * 20
