"""The distance in the features of the diffusion network: who hands it over, what it hears, what it leaves."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from diffad.capabilities import attach_networks
from diffad.registry import MODELS, SCORES
from diffad.score.base import begin_run, wants_records
from diffad.score.features import FeatureScore
from diffad.score.taps import find_modules
from diffad.types import Reconstruction
from tests.helpers.toys import linear_schedule

TINY = {"channels": (8, 16), "layers": 1, "attention": False}
BACKBONE = {"name": "unet2d", **TINY}
NETWORKS = {
    "unet2d": {**TINY, "patch": 2},
    "unet3d": {"channels": (8, 16), "layers": 1},
    "adm": {"base": 8, "mults": (1, 2), "layers": 1, "groups": 4},
    "conditioned": {"backbone": BACKBONE, "encoder": {"depth": 10, "width": 8}},
    "labelled": {"backbone": BACKBONE, "width": 8},
    "beside": {"backbone": BACKBONE},
}


def tiny(name="unet2d", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS.build(name, **NETWORKS[name])


def pair_of(shape=(2, 1, 18, 22)):
    generator = torch.Generator().manual_seed(0)
    x, x_hat = (torch.rand(shape, generator=generator) for _ in range(2))
    return x, Reconstruction(x_hat, nfe=1)


class Seeing(nn.Module):
    """A network with one stage, which remembers what it was called with."""

    def __init__(self, told=False):
        super().__init__()
        self.mid_block = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.calls = []
        if told:
            self.conditions = lambda image, mask: {"image": image * mask}

    def forward(self, x_t, labels, **cond):
        self.calls.append((x_t, labels, cond, self.training))
        return self.mid_block(x_t)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_of_every_kind_is_attached(name):
    shape = (2, 1, 10, 12, 9) if name == "unet3d" else (2, 1, 18, 22)
    x, twin = pair_of(shape)
    score, network = FeatureScore(), tiny(name)
    attach_networks(score, {"network": network})
    maps = score(x, twin)
    assert maps.shape == (2, 1, *shape[2:])
    assert maps.isfinite().all()
    assert maps.max() > 0
    assert not score(x, Reconstruction(x.clone(), nfe=1)).any()
    for item in range(2):
        alone = score(x[item : item + 1], Reconstruction(twin.image[item : item + 1], nfe=1))
        torch.testing.assert_close(alone, maps[item : item + 1], rtol=1e-4, atol=1e-6)


def test_stages_are_found_by_name():
    assert len(find_modules(tiny("unet2d"))) == len(find_modules(tiny("unet3d"))) == len(TINY["channels"]) + 1
    network = tiny("conditioned")
    assert find_modules(network) == [*network.backbone.unet.down_blocks, network.backbone.unet.mid_block]


@torch.no_grad()
def test_map_equals_the_definition():
    x, twin = pair_of((1, 1, 16, 20))
    network = Seeing()
    maps = FeatureScore(level=300, network=network)(x, twin)
    alpha = linear_schedule().alpha_bar(300).sqrt().float()
    y, y_hat = (network.mid_block(alpha * (2 * v - 1)) for v in (x, twin.image))
    y, y_hat = (v / v.norm(dim=1, keepdim=True) for v in (y, y_hat))
    expected = interpolate((y - y_hat).square().mean(1, keepdim=True), (16, 20), mode="bilinear")
    torch.testing.assert_close(maps, expected)


def test_taps_add_up():
    x, twin = pair_of()
    network = tiny()
    names = ["unet.down_blocks.0", "unet.down_blocks.1", "unet.mid_block"]
    parts = [FeatureScore(taps=[name], network=network)(x, twin) for name in names]
    torch.testing.assert_close(sum(parts), FeatureScore(network=network)(x, twin))


def test_one_call_sees_scan_and_twin_without_noise_and_told_of_the_scan():
    x, twin = pair_of()
    network = Seeing(told=True)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    FeatureScore(level=50, network=network)(x, twin, mask)
    ((x_t, labels, cond, training),) = network.calls
    alpha, _ = linear_schedule().amplitudes(50, x)
    torch.testing.assert_close(x_t, alpha * (2 * torch.cat([x, twin.image]) - 1))
    assert labels.tolist() == [49] * 4
    assert torch.equal(cond["image"], torch.cat([x * mask] * 2))
    assert not training


def test_network_is_left_as_it_was():
    x, twin = pair_of()
    network = tiny().train()
    FeatureScore(network=network)(x, twin)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(ValueError, match="C = 1"):
        FeatureScore(network=network)(x.repeat(1, 2, 1, 1), Reconstruction(x.repeat(1, 2, 1, 1), nfe=1))
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_run_takes_the_schedule_and_no_moves():
    x, twin = pair_of()
    score = FeatureScore(network=tiny())
    short = linear_schedule(100)
    run = begin_run(score, 2 * x - 1, short)
    assert not wants_records(run)
    assert torch.equal(run.map(x, twin), score(x, twin, schedule=short))
    assert not torch.equal(run.map(x, twin), score(x, twin))


def test_network_comes_from_its_folder(tmp_path):
    x, twin = pair_of()
    network = tiny()
    network.save_pretrained(tmp_path / "network", safe_serialization=True)
    score_of_folder = FeatureScore(network=tmp_path / "network")
    assert torch.equal(score_of_folder(x, twin), FeatureScore(network=network)(x, twin))
    score_of_network = FeatureScore(network=network)
    attach_networks(score_of_network, {"network": tiny(seed=1)})
    assert torch.equal(score_of_network(x, twin), score_of_folder(x, twin))


def test_without_a_network_the_remedy_is_told():
    x, twin = pair_of()
    score = SCORES.build("features")
    for call in (lambda: score(x, twin), lambda: begin_run(score, x, linear_schedule())):
        with pytest.raises(ValueError, match="expected the diffusion network, got none: give option network"):
            call()
    attach_networks(score, {"classifier": tiny()})
    with pytest.raises(ValueError, match="got none"):
        score(x, twin)


def test_unknown_taps_are_refused_with_the_known_ones():
    x, twin = pair_of()
    with pytest.raises(ValueError, match=r"modules named middle; it has .*unet\.mid_block"):
        FeatureScore(taps=["middle"], network=tiny())(x, twin)
    with pytest.raises(ValueError, match=r"stages named as in a U-Net; name taps; it has 0"):
        FeatureScore(network=nn.Sequential(nn.Conv2d(1, 1, 1)))(x, twin)


def test_lowest_level_is_the_first_of_the_schedule():
    x, twin = pair_of((1, 1, 16, 20))
    network = Seeing()
    FeatureScore(level=1, network=network)(x, twin)
    ((shown, labels, _, _),) = network.calls
    assert labels.tolist() == [0, 0]
    alpha = linear_schedule().amplitudes(1, x)[0]
    torch.testing.assert_close(shown, alpha * (2 * torch.cat([x, twin.image]) - 1))


@pytest.mark.parametrize("options", [{"level": 0}, {"taps": []}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=r"expected (level of at least 1|at least one tap)"):
        FeatureScore(**options)


@pytest.mark.parametrize("name", ["mean", "product"])
def test_combinations_hand_the_network_on(name):
    x, twin = pair_of()
    mean = {"name": "mean", "scores": [{"name": "features"}]}
    both = SCORES.build(name, scores=[{"name": "l1"}, mean])
    network = tiny()
    attach_networks(both, {"network": network})
    residual, distance = SCORES.build("l1")(x, twin), FeatureScore(network=network)(x, twin)
    expected = residual * distance if name == "product" else (residual + distance) / 2
    torch.testing.assert_close(both(x, twin), expected)
