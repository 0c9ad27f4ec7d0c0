"""Golden facts of REFLECT in latents: its map, its networks, and what an untrained one does."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from scipy import ndimage

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.models.coding import Coding
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import MODELS, SCORES
from diffad.samplers.chain import Chain
from diffad.schedule import StraightSchedule
from diffad.training.batch import Batch
from diffad.training.example import make_batch_example
from diffad.training.run import train
from diffad.types import Reconstruction
from tests.test_pipeline_codes import GAUSSIAN, LATENT, build_codec, build_network


def compute_map(x, reference, image, change):
    """The map of ``variant=paper``."""
    score = SCORES.build(**load("reflect", ["variant=paper"]).score)
    return score(x, Reconstruction(image, 1, reference=reference, code_change=change))


@pytest.mark.parametrize(("image", "code", "expected"), [(0.2, 0.0, 0.5), (0.7, 3.0, 1.0), (0.0, 0.2, 0.25)])
def test_constant_differences_give_the_published_map(image, code, expected):
    """Fact 7; a difference of .4 in [-1, 1] is one of .2 in [0, 1]."""
    x, z = torch.zeros(1, 1, 64, 64), torch.zeros(1, 4, 8, 8)
    found = compute_map(x + 0.5, x, x + image, z - code)
    torch.testing.assert_close(found, torch.full_like(x, expected))


def test_map_is_the_mean_of_both_differences_as_published():
    """Section 4: cut at .4, times 2.5, blurred by 3 pixels and 1 cell, enlarged bilinearly, averaged."""
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 64, 64)) * 2 - 1
    change = rng.normal(size=(4, 8, 8)) * 0.3
    a = ndimage.gaussian_filter(2.5 * np.abs(second - first).clip(0, 0.4), 3)
    b = ndimage.gaussian_filter(2.5 * np.abs(change).mean(0).clip(0, 0.4), 1)
    expected = (a + ndimage.zoom(b, 8, order=1, mode="reflect", grid_mode=True)) / 2
    reference, image = (torch.tensor(v)[None, None] / 2 + 0.5 for v in (first, second))
    found = compute_map(reference * 0, reference, image, torch.tensor(change)[None])
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("width", "published"), [(64, 16_125_316), (128, 64_412_420), (192, 144_861_316), (256, 257_472_004)]
)
def test_network_has_the_published_size_but_for_its_time(width, published):
    """Fact 8; the published one maps the bare time to 4 c numbers, ours c numbers of its waves."""
    options = load("reflect", ["variant=paper"]).model
    with torch.device("meta"):
        network = MODELS.build(**options | {"channels": [width, 2 * width, 4 * width]})
    size = sum(p.numel() for p in network.parameters())
    waves, bare = (width + 1) * 4 * width, (1 + 1) * 4 * width
    assert size - waves + bare == published


def test_paper_and_latent_differ_by_the_size_of_slices_alone():
    score, blurs = {}, {}
    for variant in ("paper", "latent"):
        config = load("reflect", [f"variant={variant}"])
        assert config.space.code == "latent"
        change, code = config.score["scores"]
        blurs[variant] = change["blur"] / config.space.size
        score[variant] = ({k: v for k, v in change.items() if k != "blur"}, code)
        assert config.sampler == load("reflect").sampler
    assert blurs["paper"] == blurs["latent"]
    assert score["paper"] == score["latent"]


@pytest.mark.parametrize("steps", [1, 3])
def test_untrained_network_changes_nothing_and_its_map_is_zero(steps):
    """Fact 5."""
    score = load("reflect", ["variant=latent"]).score
    sampler = {"name": "chain", "level": 1000, "steps": steps, "step": "euler_flow", "start": "scan"}
    scheduler, network = FlowMatchEulerDiscreteScheduler(1000), build_network(3, silent=True)
    parts = {"noise": GAUSSIAN, "space": LATENT, "codec": build_codec()}
    pipe = AnomalyPipeline(network, scheduler, sampler=sampler, score=score, **parts)
    found = pipe(torch.rand(2, 1, 16, 16) * 0.5 + 0.2)
    assert found.info["nfe"] == steps
    assert found.anomaly_map.abs().max() < 1e-5


def test_codes_of_a_slice_and_of_its_damage_differ_by_the_damage_alone(generators):
    """The velocity is 0 outside the blobs, also where codes are drawn."""
    coding, image = Coding(build_codec()), torch.rand(2, 1, 32, 32)
    damaged = image.clone()
    damaged[1, :, :4, :4] = 0
    batch = Batch(image, image * 0 + 1, damaged, torch.zeros(2), image, None, damaged, is_source=True)
    parts = (torch.tensor([1000, 300]), GaussianNoise(), StraightSchedule.of(1000), generators(1, 2))
    example = make_batch_example(Chain(1000), batch, *parts, coding, is_drawn=True)
    assert torch.equal(example.x[0], example.z[0])
    change = (example.z - example.x)[1].abs().amax(0)
    assert change[:2, :2].max() > 0.1
    assert change[-2:, -2:].max() < 0.2 * change[:2, :2].max()
    torch.testing.assert_close(example.x_t[0], example.x[0])


def test_method_is_trained_in_latents_from_its_config(tmp_path):
    quick = ["data={name: toy, size: 32, count: 6}", "space.size=32", f"output={tmp_path}"]
    quick += ["train.steps=3", "train.batch_size=2", "train.validate_items=2"]
    codec = train(load("autoencoder_kl", ["variant=smoke", *quick]))
    changes = ["variant=smoke_latent", *quick, f"networks.codec={codec}"]
    pipe = AnomalyPipeline.from_pretrained(train(load("reflect", changes)))
    found = pipe(torch.rand(2, 1, 40, 36) * 0.8 + 0.1)
    assert found.anomaly_map.max() > 0
    assert found.info["nfe"] == 1
    assert pipe.codec is not None
