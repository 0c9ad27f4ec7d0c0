"""The network of IterMask3D against the units of MONAI that the published one is made of."""

import pytest
import torch
from monai.networks.blocks import Convolution
from torch import nn

from diffad.models.strided import StridedUNet

UNIT = {"spatial_dims": 3, "dropout": 0.2, "norm": "BATCH"}


class PublishedUnit(nn.Module):
    """Two convolutions of MONAI, with an average in the place of its shortcut."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Sequential(
            Convolution(in_channels=in_channels, out_channels=out_channels, strides=stride, **UNIT),
            Convolution(in_channels=out_channels, out_channels=out_channels, **UNIT),
        )
        width = 1 if stride == 1 else 3
        self.shortcut = nn.AvgPool3d(kernel_size=width, stride=stride, padding=width // 2)

    def forward(self, x):
        shortcut, y = self.shortcut(x), self.conv(x)
        y[:, : shortcut.shape[1]] += shortcut
        return y


def make_stage(seen, width, **last):
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        Convolution(in_channels=seen, out_channels=seen, **UNIT),
        Convolution(in_channels=seen, out_channels=width, **UNIT, **last),
    )


class PublishedNetwork(nn.Module):
    """Stages of 16 to 256 channels, written out as in the code of the paper."""

    def __init__(self):
        super().__init__()
        pairs = [(2, 16, 2), (16, 32, 2), (32, 64, 2), (64, 128, 2), (128, 256, 1)]
        self.down = nn.ModuleList(PublishedUnit(*pair) for pair in pairs)
        ways = [(384, 64), (128, 32), (64, 16)]
        self.up = nn.ModuleList([*(make_stage(*way) for way in ways), make_stage(32, 1, conv_only=True)])

    def forward(self, x):
        one = self.down[0](x)
        two = self.down[1](one)
        three = self.down[2](two)
        four = self.down[3](three)
        five = self.down[4](four)
        x = self.up[0](torch.cat((five, four), dim=1))
        x = self.up[1](torch.cat((x, three), dim=1))
        x = self.up[2](torch.cat((x, two), dim=1))
        return self.up[3](torch.cat((x, one), dim=1))


@pytest.fixture(scope="module")
def networks():
    """Both networks, with the same weights and moments that are not those they begin with."""
    torch.manual_seed(0)
    published = PublishedNetwork().eval()
    for part in published.modules():
        if isinstance(part, nn.BatchNorm3d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    ours = StridedUNet(in_channels=2, norm="batch", dropout=0.2).eval()
    assert sum(p.numel() for p in published.parameters()) == 8_902_626
    copies = [
        [[stage.units for stage in ours.down], [stage.conv for stage in published.down]],
        [list(ours.up), [stage[1] for stage in published.up]],
        [[*ours.narrow, ours.out], [stage[2] for stage in published.up]],
    ]
    for mine, theirs in copies:
        for to, source in zip(mine, theirs, strict=True):
            values = source.state_dict().values()
            to.load_state_dict(dict(zip(to.state_dict(), values, strict=True)))
    return ours, published


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 2, 32, 32, 32), (2, 2, 48, 32, 64)])
def test_forward_is_that_of_the_published_network(networks, shape):
    ours, published = networks
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = published(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(ours(x, torch.zeros(len(x))), expected, rtol=0, atol=1e-6)


def test_one_training_step_is_the_same(networks):
    """With moments of the batch, and without dropout, as both would draw alike only by chance."""
    ours, published = networks
    x = torch.randn((2, 2, 32, 32, 32), generator=torch.Generator().manual_seed(2))
    answers = []
    for network in (ours, published):
        network.train()
        for part in network.modules():
            if isinstance(part, nn.Dropout):
                part.eval()
        arguments = (x, torch.zeros(2)) if network is ours else (x,)
        answer = network(*arguments)
        answer.square().mean().backward()
        norm = sum(p.grad.square().sum() for p in network.parameters())
        answers.append((answer.detach(), norm))
        network.eval()
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_short_volumes_are_averaged_as_long_ones(networks):
    """The published network refuses a length of 16, which it has to halve below the width of its average."""
    ours, published = networks
    x = torch.randn((1, 2, 16, 16, 16), generator=torch.Generator().manual_seed(3))
    with pytest.raises(RuntimeError, match="smaller than kernel"):
        published(x)
    stage = ours.down[1]
    short = torch.randn((1, 16, 2, 4, 2), generator=torch.Generator().manual_seed(3))
    long = torch.nn.functional.pad(short, [0, 4, 0, 0, 0, 4])
    torch.testing.assert_close(stage._average(short), stage._average(long)[..., :1, :, :1])
    assert ours(x, torch.zeros(1)).isfinite().all()
