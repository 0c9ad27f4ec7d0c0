"""The autoencoder of Kascenas et al. (2022): its size, its standardised filters, its mirrored borders."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from diffad.models.dae import (
    DAEUNet,
    StandardisedConv,
    find_middle_divisor,
    make_block,
    mirror_pad,
    standardise_filters,
)

LABELS = torch.tensor([0, 999])


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"in_channels": 4, "out_channels": 4}, 7_703_748),
        ({}, 7_701_825),
        ({"in_channels": 4, "out_channels": 4, "width_exponent": 7}, 30_792_068),
        ({"in_channels": 4, "out_channels": 4, "depth": 5}, 31_044_292),
        ({"in_channels": 4, "out_channels": 4, "width_exponent": 5}, 1_928_804),
        ({"width_exponent": 5}, 1_927_841),
    ],
    ids=str,
)
def test_number_of_weights_is_the_published_one(options, parameters):
    with torch.device("meta"):
        network = DAEUNet(**options)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_one_image_costs_what_was_published():
    with torch.device("meta"):
        network, x = DAEUNet(4, 4).eval(), torch.zeros(1, 4, 128, 128)
    with FlopCounterMode(display=False) as counter:
        network(x, LABELS[:1])
    assert counter.get_total_flops() == pytest.approx(18.4e9, rel=0.01)


@pytest.mark.parametrize(
    ("channels", "groups"), [(32, 8), (64, 8), (128, 16), (256, 16), (512, 32), (1024, 32)]
)
def test_groups_are_the_middle_divisor(channels, groups):
    assert find_middle_divisor(channels) == groups
    with torch.device("meta"):
        norms = [part for part in make_block(2, 4, channels) if isinstance(part, nn.GroupNorm)]
    assert [(norm.num_groups, norm.num_channels) for norm in norms] == [(groups, channels)] * 2


def test_each_filter_is_standardised_over_all_its_inputs(generators):
    weight = 3 + 0.02 * torch.randn(8, 5, 3, 3, generator=generators(0)[0])
    std, mean = torch.std_mean(standardise_filters(weight), dim=(1, 2, 3))
    s = weight.std(dim=(1, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(std, s / (s + 1e-5))
    torch.testing.assert_close(
        standardise_filters(7 * weight), standardise_filters(weight), rtol=0, atol=3e-3
    )


def test_constant_filter_becomes_zero_and_its_gradient_stays_finite():
    weight = torch.full((2, 1, 3, 3), 0.5, requires_grad=True)
    standardise_filters(weight).square().sum().backward()
    assert not standardise_filters(weight).any()
    assert weight.grad.isfinite().all()


def test_filters_are_standardised_in_single_precision_under_autocast(generators):
    conv = StandardisedConv(2, 8, 8)
    with torch.no_grad():  # a mean far above the deviation, which bfloat16 could not tell apart
        conv.weight.copy_(100 + 0.01 * torch.randn(8, 8, 3, 3, generator=generators(0)[0]))
    x = torch.rand(1, 8, 12, 12, generator=generators(1)[0])
    with torch.autocast("cpu", torch.bfloat16):
        narrow = conv(x)
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), conv(x), rtol=0.05, atol=0.05)


def test_convolution_mirrors_without_repeating_the_edge(generators):
    conv, x = StandardisedConv(2, 2, 3), torch.rand(1, 2, 6, 7, generator=generators(0)[0])
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(conv(x), F.conv2d(padded, standardise_filters(conv.weight), conv.bias))


def test_axis_of_one_voxel_is_repeated_and_the_others_are_mirrored():
    x = torch.arange(3.0)[None, None, None]
    assert mirror_pad(x).tolist() == [[[[1, 0, 1, 2, 1]] * 3]]
    assert mirror_pad(x[..., None, :]).shape == (1, 1, 3, 3, 5)
    assert mirror_pad(x.mT)[0, 0].T.tolist() == [[1, 0, 1, 2, 1]] * 3


def test_activation_comes_before_normalisation():
    order = [type(part) for part in make_block(2, 1, 8)]
    assert order == [StandardisedConv, nn.SiLU, nn.GroupNorm] * 2


@torch.no_grad()
def test_level_plays_no_part(generators):
    network = DAEUNet(width_exponent=2, depth=2).eval()
    x = torch.rand(2, 1, 8, 8, generator=generators(0)[0])
    assert torch.equal(network(x, LABELS), network(x, LABELS // 7))


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("shape", [(13, 7), (1, 1), (3, 9, 1)], ids=str)
def test_any_channels_and_sides_work(channels, shape):
    network = DAEUNet(channels, channels, width_exponent=2, depth=3, dims=len(shape)).eval()
    x = torch.rand(2, channels, *shape)
    assert network.multiple == 4
    assert network(x, LABELS).shape == x.shape
    assert network(x, LABELS).isfinite().all()


@torch.no_grad()
def test_skips_carry_detail_that_pooling_lost():
    torch.manual_seed(0)
    network = DAEUNet(width_exponent=2, depth=2).eval()
    checks = torch.ones(1, 1, 8, 8)
    checks[..., 1::2, ::2] = checks[..., ::2, 1::2] = -1
    assert not torch.allclose(network(checks, LABELS[:1]), network(-checks, LABELS[:1]))


@torch.no_grad()
def test_answer_is_linear_in_the_last_weights_and_not_clamped():
    torch.manual_seed(0)
    network = DAEUNet(width_exponent=2, depth=1).eval()
    x = torch.rand(1, 1, 8, 8)
    before = network(x, LABELS[:1])
    network.head.weight.mul_(100)
    network.head.bias.mul_(100)
    torch.testing.assert_close(network(x, LABELS[:1]), 100 * before)
    assert (100 * before).abs().max() > 1


def test_untrained_answer_spreads_as_the_published_one(generators):
    torch.manual_seed(0)
    network = DAEUNet(width_exponent=5).eval()
    with torch.no_grad():
        y = network(torch.rand(1, 1, 64, 64, generator=generators(0)[0]), LABELS[:1])
    assert math.isclose(float(y.std()), 0.58, abs_tol=0.2)


@pytest.mark.parametrize("options", [{"depth": 0}, {"width_exponent": 1}, {"dims": 4}], ids=str)
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match=r"expected depth >= 1, width_exponent >= 2 and dims of 2 or 3, got"):
        DAEUNet(**options)
