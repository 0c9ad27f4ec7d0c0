"""Networks that are shown the slices below and above: at first as those that are not, in any batch alike."""

import pytest
import torch
from torch import nn

from diffad import AnomalyPipeline
from diffad.denoise import NetworkDenoiser, bind, takes_neighbours
from diffad.models.chunked import Chunked
from diffad.models.wrapped import wrap_network
from diffad.registry import MODELS
from diffad.schedule import Schedule
from diffad.training.checkpoint import CheckpointError
from diffad.training.transfer import load_weights

OPTIONS = {"channels": (8, 16), "layers": 1, "groups": 4, "patch": 2}


def build(**options):
    torch.manual_seed(0)
    return MODELS.build("unet2d", **{**OPTIONS, **options}).eval()


def make_input(count=4, neighbours=1, channels=1):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, channels, 12, 8, generator=generator)
    beside = torch.randn(count, 2 * neighbours * channels, 12, 8, generator=generator)
    return x, torch.arange(count) * 7, beside


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("options", [{}, {"place": True, "marks": True}])
def test_a_network_of_old_weights_answers_as_before(tmp_path, channels, options):
    """The new input channels begin with weights of 0, whatever the neighbours show."""
    old = build(in_channels=channels, out_channels=channels)
    old.save_pretrained(tmp_path)
    network = build(in_channels=channels, out_channels=channels, neighbours=2, **options)
    load_weights(network, tmp_path)
    x, labels, beside = make_input(neighbours=2, channels=channels)
    torch.testing.assert_close(network(x, labels, neighbours=beside)[:, :channels], old(x, labels))


def test_weights_of_other_neighbours_do_not_load(tmp_path):
    """Those of a network with neighbours into one without, or with more, would be cut or mixed up."""
    build(neighbours=1).save_pretrained(tmp_path)
    for count in (0, 2):
        with pytest.raises(CheckpointError, match=r"conv_in\.weight has shape"):
            load_weights(build(neighbours=count), tmp_path)


@torch.no_grad()
def test_neighbours_change_the_answer_and_it_has_the_channels_of_the_slice(tmp_path):
    network = build(neighbours=1)
    network.save_pretrained(tmp_path)
    again = type(network).from_pretrained(tmp_path).eval()
    x, labels, beside = make_input()
    answer = network(x, labels, neighbours=beside)
    assert answer.shape == x.shape
    assert not torch.allclose(answer, network(x, labels, neighbours=beside.flip(1)), atol=1e-3)
    assert takes_neighbours(again) == 1
    assert torch.equal(again(x, labels, neighbours=beside), answer)


def test_missing_and_surplus_neighbours_are_refused():
    x, labels, beside = make_input()
    with pytest.raises(
        ValueError, match=r"expected the neighbours \(4, 2, 12, 8\) of the slices .* got none"
    ):
        build(neighbours=1)(x, labels)
    with pytest.raises(ValueError, match=r"got \(4, 1, 12, 8\)"):
        build(neighbours=1)(x, labels, neighbours=beside[:, :1])
    with pytest.raises(ValueError, match="expected no neighbours"):
        build()(x, labels, neighbours=beside)
    with pytest.raises(ValueError, match="neighbours of at least 0"):
        build(neighbours=-1)


@torch.no_grad()
@pytest.mark.parametrize("stack", [1, 3])
def test_bound_neighbours_follow_their_items_at_every_level(stack):
    """In stacks "(k b)", chunks and selections, each item has its own, noised to the level of its state."""
    network, schedule = build(neighbours=1), Schedule.linear()
    denoiser = NetworkDenoiser(Chunked(network, 3), schedule)
    assert denoiser.takes_neighbours == 1
    x, _, clean = make_input()
    z, t = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2)), torch.tensor([40, 70, 100])
    bound = bind(denoiser, {"neighbours": clean, "neighbour_noise": z})
    levels = t[:stack].repeat_interleave(len(x))
    answer = bound(x.repeat(stack, 1, 1, 1), levels)
    for n, level in enumerate(levels.tolist()):
        i = n % len(x)
        noised = schedule.add_noise(clean[i : i + 1], z[i : i + 1], level)
        alone = NetworkDenoiser(network, schedule)(x[i : i + 1], torch.tensor(level), neighbours=noised)
        torch.testing.assert_close(answer[n : n + 1], alone, atol=1e-5, rtol=1e-4)
    chosen = torch.tensor([2, 0])
    few = bound.select(chosen)(x[chosen], torch.tensor(int(t[0])))
    torch.testing.assert_close(few, bound(x, torch.tensor(int(t[0])))[chosen], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_networks_around_a_network_hand_neighbours_on():
    backbone = {"name": "unet2d", **OPTIONS, "neighbours": 1}
    x, labels, beside = make_input()
    for name, cond in (("labelled", {}), ("conditioned", {"image": torch.rand(4, 1, 12, 8)})):
        network = MODELS.build(name, backbone=backbone).eval()
        assert takes_neighbours(network) == 1
        answer = network(x, labels, neighbours=beside, **cond)
        assert not torch.allclose(answer, network(x, labels, neighbours=-beside, **cond), atol=1e-4)
    with pytest.raises(ValueError, match=r"without .*neighbours"):
        MODELS.build("beside", backbone=backbone)


class Shown(nn.Module):
    """A module of others that is shown neighbours."""

    takes_neighbours = 1

    def forward(self, x_t, labels, neighbours):
        return neighbours.mean(1, keepdim=True)


def test_modules_of_others_may_be_shown_neighbours():
    assert takes_neighbours(wrap_network("", {}, Shown())) == 1


@pytest.mark.parametrize(("network", "space"), [(0, 1), (1, 0), (1, 2)])
def test_a_pipeline_refuses_a_network_of_other_neighbours_than_its_space(network, space):
    from diffusers import DDPMScheduler

    with pytest.raises(ValueError, match=rf"space\.neighbours = {space} .* shown {network}"):
        AnomalyPipeline(build(neighbours=network), DDPMScheduler(), space={"size": 16, "neighbours": space})
