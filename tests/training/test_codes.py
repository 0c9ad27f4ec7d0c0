"""Training of codecs, and of networks on the codes of another run."""

import json

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError, CorruptConfig
from diffad.data.corruptions import corrupt_codes
from diffad.models.auxiliary import load_network
from diffad.models.coding import Coding
from diffad.noise.gaussian import GaussianNoise
from diffad.samplers import resampled
from diffad.samplers.chain import Chain
from diffad.schedule import Schedule
from diffad.training.auxiliary import LOSSES, marking_loss, sum_auxiliary
from diffad.training.batch import Batch, corrupt_items
from diffad.training.calibration import collect_healthy
from diffad.training.codes import RememberingCodec, build_coding
from diffad.training.compressing import measure_divergence
from diffad.training.example import make_batch_example
from diffad.training.parts import build_data, check_parts
from diffad.training.run import train
from diffad.types import Example
from tests.test_pipeline_codes import build_codec
from tests.training.test_objectives import log_of

CODEC = "model={name: autoencoder_kl, channels: [8, 8], latent: 3, layers: 1, groups: 4, attention: false}"
COMPRESS = ["task=compress", CODEC, "noise={name: gaussian}", "train.lr=0.003"]
NETWORK = "model={name: unet2d, in_channels: 3, out_channels: 3, channels: [8], layers: 1, attention: false}"
MARKED = NETWORK.replace("attention", "marks: true, attention")
WAVELETS = ["space.code=haar", NETWORK.replace("channels: 3", "channels: 4"), "noise={name: gaussian}"]


@pytest.fixture
def folder(tmp_path):
    """A codec on disk."""
    build_codec().save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


@pytest.fixture
def latent(folder):
    """What makes a small config one of latents."""
    return ["space.code=latent", f"networks.codec={folder}", NETWORK, "noise={name: gaussian}"]


def test_codec_is_trained_and_its_codes_have_a_deviation_of_1(small, tmp_path):
    folder = train(small(*COMPRESS, "name=codec", "train.steps=12"))
    codec = load_network(folder)
    rows = log_of(tmp_path / "runs" / "codec")
    validations = [row["val_loss"] for row in rows if "val_loss" in row]
    assert validations[-1] < validations[0]
    assert float(codec.scale) != 1
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    assert codec.decode(codec.encode(x)).shape == x.shape
    held_out = json.loads((folder / "training.json").read_text())["held_out"]
    assert held_out["code_std"] == pytest.approx(1, abs=1e-3)


def test_divergence_is_that_of_normal_distributions():
    mean, std = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4) + 0.2
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, std), normal(mean * 0, std * 0 + 1))
    torch.testing.assert_close(measure_divergence(mean, std), expected.sum((1, 2, 3)))


@pytest.mark.parametrize(
    "sampler", ["{name: chain, level: 20, steps: 2}", "{name: levels, first: 10, last: 12}"]
)
def test_network_is_trained_on_latents_and_finds(small, latent, sampler):
    pipe = AnomalyPipeline.from_pretrained(train(small(*latent, f"sampler={sampler}", "train.steps=2")))
    found = pipe(torch.rand(2, 1, 16, 16) * 0.5 + 0.2)
    assert found.anomaly_map.max() > 0
    assert pipe.config.calibration


def test_network_is_trained_on_wavelets_and_finds(small):
    pipe = AnomalyPipeline.from_pretrained(train(small(*WAVELETS, "train.steps=2")))
    assert pipe(torch.rand(2, 1, 16, 16) * 0.5 + 0.2).anomaly_map.max() > 0


@pytest.mark.parametrize("fpr", [0.05, 0.3])
def test_cut_of_a_sampler_in_codes_is_one_of_healthy_cells(small, latent, fpr, monkeypatch):
    """As much of the healthy brains it was measured on lies in suspicious cells as was asked for."""
    coarse = "coarse: {name: chain, level: 20, steps: 2}, score: {name: l1}"
    sampler = f"sampler={{name: resampled, {coarse}, level: 9, steps: 2, fpr: {fpr}}}"
    config = small(*latent, sampler, "train.steps=2", "train.validate_items=8")
    pipe = AnomalyPipeline.from_pretrained(train(config))
    shares, find = [], resampled.find_suspects

    def watch(likelihood, threshold, share, brain):
        assert threshold == pipe.config.sampler["threshold"]
        assert likelihood.shape[2:] == (8, 8)  # cells, for slices of 16 pixels
        suspects = find(likelihood, threshold, share, brain)
        shares.append((suspects * brain).sum((1, 2, 3)) / brain.sum((1, 2, 3)))
        return suspects

    monkeypatch.setattr(resampled, "find_suspects", watch)
    x, brain = collect_healthy(build_data(config, "val"))
    pipe.detector().maps(x, brain, range(len(x)))
    assert float(torch.cat(shares).mean()) == pytest.approx(fpr, abs=0.03)


def test_masked_diffusion_is_trained_with_its_further_loss(small, latent):
    options = [MARKED, "train.auxiliary={marks_l2: 0.5}", "sampler={name: gated, level: 20, steps: 2}"]
    settings = ["schedule.prediction_type=sample", "train.steps=2"]
    pipe = AnomalyPipeline.from_pretrained(train(small(*latent, *options, *settings)))
    assert pipe.network.marks
    assert pipe(torch.rand(1, 1, 16, 16)).anomaly_map.isfinite().all()


def test_run_on_codes_resumes_as_if_it_had_not_stopped(small, latent, tmp_path):
    constant = [*latent, "train.warmup=0", "train.min_lr=0.001"]
    train(small(*constant, "name=whole", "train.steps=4"))
    for steps in (2, 4):
        train(small(*constant, "name=parts", f"train.steps={steps}"))
    whole, parts = (log_of(tmp_path / "runs" / name) for name in ("whole", "parts"))
    losses = [{row["step"]: row["loss"] for row in rows} for rows in (whole, parts)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["networks.codec=null"], "space.code: expected a trained codec with space.code latent"),
        (
            ["space.code=pixels"],
            "expected space.code latent with a trained codec, found 'pixels'",
        ),
        (["model.in_channels=1"], "expected a network of 3 channels, as its codec has, found 1"),
        (["space.size=17"], "space.size in multiples of 2, the factor of its codec, found 17"),
        (["space.neighbours=1", "model.neighbours=1"], "space.neighbours of 0 in codes, found 1"),
        (["task=compress"], "space.code: expected pixels with task compress"),
        (["sampler={name: gated}"], "model.marks: sampler 'gated' expected true, found false"),
        (
            ["train.auxiliary={marks_l2: 1.0}"],
            "marks_l2 needs a network that marks anomalies",
        ),
        (
            ["score={name: features}"],
            "score 'features' expected a network of single images, .* found one of codes",
        ),
        (
            ["score={name: mean, scores: [{name: l1}, {name: triplet, references: x}]}"],
            "score: score 'mean' expected a network of single images",
        ),
        (["train.auxiliary={mark_l2: 1.0}"], "unknown loss 'mark_l2'; did you mean 'marks_l2'"),
        (
            ["sampler={name: fusion, saliency: {name: counterfactual}}"],
            "sampler: expected a sampler without networks of images in codes, found Counterfactual",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(small, latent, changes, message):
    with pytest.raises(ConfigError, match=message):
        check_parts(small(*latent, *changes))


def test_codes_are_kept_only_where_no_image_changes(small, latent):
    codec = build_codec()
    device = torch.device("cpu")
    assert isinstance(build_coding(small(*latent), codec, device).codec, RememberingCodec)
    for change in ("augment.flip=0.5", "corrupt.tasks=[blend]"):
        assert build_coding(small(*latent, change), codec, device).codec is codec


def test_an_image_is_encoded_once_and_drawn_anew(generators):
    codec, calls = build_codec(), []
    find = codec.find_moments
    codec.find_moments = lambda x: calls.append(len(x)) or find(x)
    kept = RememberingCodec(codec)
    x = torch.rand(3, 1, 8, 8) * 2 - 1
    first, again = kept.encode(x[:2], generators(1, 2)), kept.encode(x, generators(1, 5, 3))
    assert calls == [2, 1]
    torch.testing.assert_close(first[0], again[0])
    assert not torch.allclose(first[1], again[1])
    torch.testing.assert_close(kept.encode(x), codec.encode(x), rtol=1e-4, atol=1e-5)
    assert kept.decode(first).shape == (2, 1, 8, 8)
    calls.clear()
    forgetful = RememberingCodec(codec, most_bytes=0)
    for _ in range(2):
        forgetful.encode(x)
    assert calls == [3, 3]


@pytest.mark.parametrize("is_drawn", [False, True])
def test_examples_are_codes_with_masks_of_their_cells(small, latent, generators, is_drawn):
    coding = build_coding(small(*latent), build_codec())
    image, brain = torch.rand(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    damage = torch.zeros_like(brain)
    damage[..., 1, 1] = 1
    batch = Batch(image, brain, image, torch.zeros(2), image, damage * 3 + 1, image * 0.5, damage)
    parts = (GaussianNoise(), Schedule.linear(), generators(1, 2))
    t = torch.tensor([100, 500])
    example = make_batch_example(Chain(20), batch, t, *parts, coding, is_drawn)
    z = coding.encode(image * 2 - 1)
    assert example.x.shape == example.x_t.shape == z.shape == (2, 3, 4, 4)
    assert torch.allclose(example.x, z, atol=1e-5) == (not is_drawn)
    assert example.damage.sum() == 2
    assert example.damage[0, 0, 0, 0] == 1
    assert example.region.shape == (2, 1, 4, 4)
    assert example.region.max() == 4
    torch.testing.assert_close(example.cond_image, (example.x / coding.reach + 1) / 2)
    a, s = Schedule.linear().amplitudes(t, z)
    torch.testing.assert_close((a * example.x + s * example.z).float(), example.x_t, rtol=1e-4, atol=1e-4)


def test_further_losses_are_summed_with_their_weights():
    logits, damage = torch.randn(2, 1, 3, 3), (torch.rand(2, 1, 3, 3) < 0.5).float()
    example = Example(logits, logits, logits, damage=damage)
    total = sum_auxiliary({"marks_entropy": 2.0, "marks_l2": 3.0}, logits, example)
    expected = 2 * marking_loss(logits, damage) + 3 * LOSSES["marks_l2"](logits, example)
    torch.testing.assert_close(total, expected)


def test_moments_come_from_the_network_in_one_call():
    """As several processes share a network by its forward alone."""
    codec, x = build_codec(), torch.rand(2, 1, 8, 8)
    mean, std, image = codec(x)
    torch.testing.assert_close(image, codec.decode(codec.encode(x)))
    assert mean.shape == std.shape == (2, 3, 4, 4)
    assert image.shape == x.shape


FLOW = "schedule={num_train_timesteps: 1000, prediction_type: flow}"
DAMAGED = ["corrupt={tasks: [cells, coarse], role: restore, codes: true, chance: 1.0, weight: 3.0}"]


@pytest.mark.parametrize("role", ["restore", "source"])
def test_network_is_trained_on_damaged_codes(small, latent, role):
    settings = [f"corrupt.role={role}", "train.steps=2", FLOW]
    sampler = "sampler={name: chain, level: 1000, steps: 1, step: euler_flow, start: scan}"
    pipe = AnomalyPipeline.from_pretrained(train(small(*latent, *DAMAGED, sampler, *settings)))
    assert pipe(torch.rand(2, 1, 16, 16)).anomaly_map.isfinite().all()


def test_damaged_codes_stand_where_damaged_images_do(generators):
    coding, noise, schedule = Coding(build_codec()), GaussianNoise(), Schedule.linear()
    config = CorruptConfig(tasks=("cells",), role="restore", codes=True, chance=1.0, weight=3.0)
    image, brain = torch.rand(3, 1, 32, 32), torch.ones(3, 1, 32, 32)
    brain[2] = 0
    batch = corrupt_items(image, brain, torch.zeros(3).long(), config, config.tasks, generators(1, 2, 3))
    t = torch.full((3,), 200)
    seeds = (4, 5, 6)
    example = make_batch_example(Chain(200), batch, t, noise, schedule, generators(*seeds), coding)
    code = coding.encode(image * 2 - 1)
    assert torch.equal(example.x, code)
    items = generators(*seeds)
    damaged, damage = corrupt_codes(code, coding.shrink(brain), ["cells"], 1.0, items)
    assert torch.equal(example.damage, damage)
    assert damage[:2].flatten(1).any(1).all()
    assert not damage[2].any()
    assert torch.equal(example.region, 1 + 2 * damage)
    z = noise(damaged, t, generator=items)
    torch.testing.assert_close(example.x_t, schedule.add_noise(damaged, z, t))
    a, s = schedule.amplitudes(t, code)
    torch.testing.assert_close(a * code + s * example.z, example.x_t, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["corrupt.tasks=[cells, disyre, sink]"], r"\(cells, coarse\), found disyre, sink"),
        (["corrupt.held_out=[walk]"], r"corrupt.tasks: expected kinds that read no .*, found walk"),
        (["corrupt.tasks=[swirl]"], "corrupt.tasks: expected a task among blend, .*, got 'swirl'"),
        (["corrupt.role=condition"], "corrupt.role: expected restore or source with corrupt.codes"),
        (
            ["space.code=pixels", "networks.codec=null"],
            "corrupt.codes: expected false with space",
        ),
    ],
)
def test_codes_that_cannot_be_damaged_are_refused(small, latent, changes, message):
    with pytest.raises(ConfigError, match=message):
        check_parts(small(*latent, *DAMAGED, *changes))
