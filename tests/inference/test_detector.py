"""The part of a pipeline without files: what noise follows from, how channels and regions travel."""

from dataclasses import dataclass, field, replace

import pytest
import torch

from diffad.config import SpaceConfig
from diffad.data.space import Space
from diffad.inference.detector import DetectorRun, Stack
from diffad.inference.postprocess import Postprocess
from diffad.samplers.oneshot import OneShot
from diffad.score.residual import L1Score
from diffad.types import Reconstruction
from tests.helpers.toys import GaussianDenoiser, white_noise


def detector(**options):
    parts = {
        "denoiser": GaussianDenoiser(),
        "noise": white_noise,
        "sampler": OneShot(300),
        "score": L1Score(),
        "post": Postprocess(median=1),
        "space": Space(SpaceConfig(size=16)),
    }
    return DetectorRun(**(parts | options))


def stack(n=2, channels=1, shape=(16, 16), **options):
    x = torch.rand(n, channels, *shape, generator=torch.Generator().manual_seed(0)) + 0.5
    brain = torch.zeros(n, 1, *shape, dtype=torch.bool)
    brain[..., 2:-2, 3:-3] = True
    return Stack(**({"image": x * brain, "brain": brain, "keys": range(n)} | options))


def anomaly(*stacks, **options):
    return [result.anomaly for result in detector(**options)(stacks)]


def test_noise_follows_from_positions_unless_other_keys_are_given():
    (first,), (moved,) = anomaly(stack()), anomaly(stack(keys=[7, 9]))
    assert not torch.equal(first, moved)
    assert torch.equal(anomaly(stack(noise_keys=[7, 9]))[0], moved)
    assert torch.equal(anomaly(stack(keys=[7, 9], noise_keys=[0, 1]))[0], first)


def test_noise_follows_from_the_seed():
    assert not torch.equal(anomaly(stack())[0], anomaly(stack(), seed=1)[0])


def test_scans_that_share_batches_are_found_as_alone():
    one, other = stack(3), replace(stack(2, noise_keys=[4, 5]), image=stack(2).image * 3)
    together = anomaly(one, other, batch_size=4)
    assert [len(part) for part in together] == [3, 2]
    for part, alone in zip(together, (one, other), strict=True):
        assert torch.equal(part, anomaly(alone, batch_size=1)[0])


def test_progress_counts_every_slice_once():
    counted = []
    anomaly(stack(5), batch_size=2, progress=counted.append)
    assert counted == [2, 2, 1]


def test_several_channels_have_one_map_and_a_reconstruction_each():
    (result,) = detector()([stack(channels=2)])
    assert result.anomaly.shape == (2, 1, 16, 16)
    assert result.reconstruction.shape == (2, 2, 16, 16)


@dataclass
class Regional:
    """A sampler that remembers where it was told to look."""

    regions: list = field(default_factory=list)

    def restricted_to(self, region):
        self.regions.append(region)
        return self

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        return Reconstruction(x, nfe=0)


@pytest.mark.parametrize("size", [16, 24, 11])
def test_region_stays_a_weight_on_the_grid_of_the_network(size):
    region = torch.zeros(1, 1, 16, 16)
    region[..., 4:9, 5:12] = 1
    sampler = Regional()
    space = Space(SpaceConfig(size=size))
    anomaly(stack(1, region=region), sampler=sampler, space=space)
    (weight,) = sampler.regions
    assert weight.shape == (1, 1, size, size)
    assert float(weight.min()) == 0
    assert 0.9 < float(weight.max()) <= 1
    fraction = float(weight.mean())
    assert fraction == pytest.approx(float(region.mean()), rel=0.02)


def test_region_is_wanted_for_every_scan_of_a_batch_or_for_none():
    region = torch.ones(2, 1, 16, 16)
    with pytest.raises(ValueError, match="a region for every scan of a batch, or for none"):
        anomaly(stack(region=region), stack(), sampler=Regional())


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_slices_of_each_scan_are_smoothed_together_and_with_no_other(batch_size):
    post = Postprocess(erosion=1, median_axes=3, median_first=False)
    one, other = stack(5), replace(stack(3, noise_keys=[4, 5, 6]), image=stack(3).image * 3)
    raw = anomaly(one, other)
    smooth = anomaly(one, other, post=post, batch_size=batch_size)
    for before, after, scan in zip(raw, smooth, (one, other), strict=True):
        assert torch.equal(after, post.smooth_stack(before, scan.brain) * scan.brain)
        assert not torch.equal(after, post.smooth(before, scan.brain) * scan.brain)
