"""Layers of a normalising flow: they turn back, and their determinant is exact."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.models.coupling import SUBNETWORKS, AffineCoupling, CouplingFlow, measure_bits

KINDS = sorted(SUBNETWORKS)


def make_flow(channels=4, blocks=3, kind="plain", hidden=6, seed=0):
    """A flow far from doing nothing."""
    torch.manual_seed(seed)
    flow = CouplingFlow(channels, blocks, kind, hidden).eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    for module in flow.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return flow


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [4, 5])
def test_determinant_is_that_of_the_jacobian(kind, channels):
    flow = make_flow(channels, kind=kind).double()
    x = torch.randn(1, channels, 2, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0].flatten(), x)
    expected = torch.linalg.slogdet(jacobian.reshape(4 * channels, 4 * channels))[1]
    assert abs(float(flow(x)[1].detach() - expected)) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_determinants_belong_to_items(kind):
    flow, x = make_flow(kind=kind), torch.randn(3, 4, 3, 2)
    whole = flow(x)[1]
    assert whole.shape == (3,)
    assert whole.std() > 0
    for i in range(3):
        torch.testing.assert_close(flow(x[i : i + 1])[1], whole[i : i + 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(1, 8), st.sampled_from(KINDS), st.integers(0, 99))
def test_a_flow_turns_back(channels, blocks, kind, seed):
    flow = make_flow(channels, blocks, kind, seed=seed).double()
    x = torch.randn(2, channels, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        z, log_det = flow(x)
        back, log_det_back = flow.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-8, atol=1e-8)


def test_published_flow_turns_back_in_single_precision():
    torch.manual_seed(0)
    flow = CouplingFlow(1024, 8, "residual", 1024).eval()
    z = torch.randn(1, 1024, 4, 4)
    with torch.no_grad():
        y, log_det = flow(z)
        back, log_det_back = flow.inverse(y)
    assert float((back - z).abs().max()) < 1e-4
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-5, atol=1e-2)


def test_bits_of_a_dimension():
    zeros = torch.zeros(2, 4, 3, 3)
    torch.testing.assert_close(
        measure_bits(zeros, torch.zeros(2)), torch.full((2,), 1.32575), rtol=0, atol=1e-5
    )
    drawn = torch.randn(1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    assert float(measure_bits(drawn, torch.zeros(1))) == pytest.approx(2.04710, abs=0.01)
    # a flow that doubles all of them saves a bit each
    bits = measure_bits(zeros, torch.full((2,), 36 * math.log(2)))
    torch.testing.assert_close(bits, torch.full((2,), 0.32575), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_large_features_do_not_grow_before_anything_is_learned(kind):
    torch.manual_seed(0)
    flow, x = CouplingFlow(16, 8, kind, 16).train(), 50 * torch.randn(4, 16, 4, 4)
    assert float(flow(x)[0].std().detach()) < 2 * float(x.std())


def test_scales_stay_within_their_reach():
    block = AffineCoupling(4, "plain", 4, 0)
    with torch.no_grad():
        for parameter in block.network.parameters():
            parameter.normal_(0, 1e4)
        _, log_det = block(torch.randn(1, 4, 2, 2) * 100)
    assert log_det.abs().max() <= 2 * 2 * 4 + 1e-4


def test_every_channel_is_moved_by_two_blocks_of_a_seed():
    orders = [AffineCoupling(16, "plain", 1, seed).order for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[2].sort().values, torch.arange(16))


def test_published_plain_network_has_published_weights():
    block = AffineCoupling(1024, "plain", 256, 0)
    assert sum(p.numel() for n, p in block.network.named_parameters() if n.endswith("weight")) == 1_441_792
    assert sum(p.numel() for p in block.network.parameters()) == 1_443_072


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((1, 1, "plain", 4), "at least 2 channels"),
        ((4, 0, "plain", 4), "at least 1 block"),
        ((4, 1, "dense", 4), "expected a sub-network of plain, residual, got 'dense'"),
        ((4, 1, "plain", 0), "1 hidden"),
    ],
)
def test_what_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        CouplingFlow(*options)
