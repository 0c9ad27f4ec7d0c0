"""What is known of the separation network in numbers."""

import pytest
import torch

from diffad.config import load
from diffad.detectors.losses import separation_loss
from diffad.registry import DETECTORS
from diffad.types import DetectorExample


def test_loss_of_two_lesions_and_two_healthy_patches():
    """.2 of the hinge, .02 of the variance of lesions, .15 and .0005 of healthy patches."""
    loss = separation_loss(torch.tensor([0.5, 0.7]), torch.tensor([0.1, 0.2]))
    assert loss.item() == pytest.approx(0.3705)


def test_loss_is_zero_for_perfect_separation_alone():
    healthy = torch.zeros(3)
    assert separation_loss(torch.tensor([0.8, 0.8]), healthy) == 0
    assert separation_loss(torch.tensor([0.9, 0.9]), healthy) == 0
    assert separation_loss(torch.tensor([0.7, 0.7]), healthy) > 0.09
    assert separation_loss(torch.tensor([0.8, 0.9]), healthy) > 0
    assert separation_loss(torch.tensor([0.8, 0.8]), torch.tensor([0.0, 0.1, 0.0])) > 0


@pytest.mark.parametrize(("error", "slope"), [(0.7, -0.5), (0.9, 0.0)])
def test_hinge_pulls_up_to_beta_and_no_further(error, slope):
    lesions = torch.full((2,), error, requires_grad=True)
    separation_loss(lesions, torch.zeros(0)).backward()
    torch.testing.assert_close(lesions.grad, torch.full((2,), slope))


def test_healthy_patches_alone_have_their_mean_and_a_tenth_of_their_variance():
    healthy = torch.tensor([0.1, 0.4, 0.3])
    expected = healthy.mean() + 0.1 * healthy.var()
    torch.testing.assert_close(separation_loss(torch.zeros(0), healthy), expected)


def test_single_members_have_no_variance_and_no_members_no_loss():
    assert separation_loss(torch.tensor([0.5]), torch.tensor([0.1])).item() == pytest.approx(0.4)
    assert separation_loss(torch.zeros(0), torch.zeros(0)) == 0


def test_published_network_has_as_many_weights():
    with torch.device("meta"):
        network = DETECTORS.build(**load("asn", ["variant=published"]).model)
    assert sum(p.numel() for p in network.parameters()) == 1_151_637


def test_published_network_ends_in_one_channel_and_the_default_in_its_width():
    ends = [
        DETECTORS.build("asn", reference=is_published).network.leave[0][0] for is_published in (True, False)
    ]
    assert [end.out_channels for end in ends] == [1, 32]


def make_example():
    """Two scans with a lesion, and two without."""
    x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    damage = torch.zeros_like(x)
    damage[:2, :, 4:8, 4:9] = 1
    return DetectorExample(x, x, torch.ones_like(x), damage, torch.zeros(4), ())


@pytest.mark.parametrize("error", ["lesion", "image", "voxel"])
def test_groups_are_those_of_each_form_of_the_loss(error):
    torch.manual_seed(0)
    network, example = DETECTORS.build("asn", error=error, channels=[4, 8]).eval(), make_example()
    r = network.detect(example.seen, example.brain).map
    lesions = {
        "lesion": torch.stack([r[i, 0, 4:8, 4:9].mean() for i in range(2)]),
        "image": r[:2].mean((1, 2, 3)),
        "voxel": r[example.damage > 0],
    }
    healthy = r[example.damage == 0] if error == "voxel" else r[2:].mean((1, 2, 3))
    expected = separation_loss(lesions[error], healthy)
    torch.testing.assert_close(network(example), expected.expand(4))


def test_lesions_are_widened_by_whole_voxels():
    network, example = DETECTORS.build("asn", dilate=2, channels=[4, 8]), make_example()
    wide = network._widen(example.damage)
    assert wide[0, 0, 2:10, 2:11].all()
    assert wide.sum() == 2 * 8 * 9
