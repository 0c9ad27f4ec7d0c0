"""MONAI's network answers as it does on its own."""

import pytest
import torch

from diffad.models.unet3d import UNet3D

SMALL = {"channels": (8, 16), "layers": 1, "groups": 4}


@torch.no_grad()
def test_fitting_volume_gets_the_answer_of_the_network_inside():
    network = UNet3D(**SMALL).eval()
    x, labels = torch.rand(1, 1, 4, 6, 8), torch.tensor([7])
    torch.nn.init.normal_(network.unet.out[-1].conv.weight)  # MONAI begins with an answer of zeros
    y = network(x, labels)
    assert y.std() > 0
    assert torch.equal(y, network.unet(x, labels))


@pytest.mark.parametrize("attention", [True, False])
def test_attention_is_optional(attention):
    names = [n for n, _ in UNet3D(**SMALL, attention=attention).named_modules() if "attentions" in n]
    assert bool(names) == attention
