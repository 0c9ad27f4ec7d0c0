"""Every config of a published method states the whole recipe of its paper, in ``variant=paper``."""

import math

import pytest
import torch

from diffad.config import list_configs, load, to_dict
from diffad.models.autoencoder_kl import AutoencoderKL
from diffad.registry import MODELS, NOISES, SAMPLERS, SCORES
from diffad.schedule import Schedule, StraightSchedule
from diffad.training.loss import learning_rate
from diffad.training.parts import build_part, build_scheduler, check_parts
from tests.helpers.toys import GaussianDenoiser, linear_schedule, white_noise

OWN = {
    "autoencoder_kl",
    "brain_any",
    "ddpm3d",
    "ixi_t1_axial",
    "ldm",
    "ldm3d",
    "one_to_normal_lite",
    "smoke",
    "wavelet3d",
}
"""Configs that follow no paper."""
OWN |= {"ae", "zscore"}
OWN |= {"asn", "fusion_unet", "gating_ano", "unet_synthetic"}
"""A paper that counts epochs of sets of unknown size, and formulas without a recipe."""
OWN |= {"ae_flow", "fae", "patch_bank", "rd4ad", "uniad", "urd"}
"""Of networks of features that are not built or need a file; ``tests/golden`` holds their numbers."""
ANODDPM = {"steps": 300_100, "batch_size": 1, "clip_norm": 1.0, "levels": (1, 800), "ema_decay": 0.9999}
BERCEA = {"batch_size": 16, "mixed_precision": "fp16"}
TRAIN = {
    "andi": {
        "batch_size": 128,
        "min_lr": 2e-5,
        "weight_decay": 0.01,
        "levels": (2, 1000),
        "ema_decay": 0.995,
    },
    "annotsim": {
        "steps": 600_000,
        "batch_size": 32,
        "clip_norm": 1.0,
        "levels": (1, 800),
        "ema_decay": 0.9999,
    },
    "anoddpm": ANODDPM,
    "autoddpm": BERCEA | {"steps": 133_000},
    "autoencoder": {"steps": 114_400, "batch_size": 64, "lr": 3e-4, "min_lr": 1e-7},
    "beside": {
        "steps": 500_000,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "snr_gamma": 1.0,
        "ema_decay": 0.9999,
        "mixed_precision": "fp16",
    },
    "cddpm": {"steps": 14_400, "batch_size": 32, "loss": "l1", "mixed_precision": "fp16"},
    "classifier": {"steps": 150_000, "batch_size": 10},
    "dae": {"steps": 67_200, "min_lr": 0.0, "weight_decay": 1e-5, "clip_norm": 0.5},
    "ddpm": ANODDPM,
    "diffuse": {"steps": 54_000, "weight_decay": 0.05},
    "disyre": {
        "steps": 100_000,
        "batch_size": 96,
        "min_lr": 0.0,
        "warmup": 500,
        "weight_decay": 1e-6,
        "clip_norm": 1.0,
        "levels": (1, 100),
        "mixed_precision": "bf16",
    },
    "guided": {"steps": 80_000, "batch_size": 10, "ema_decay": 0.9999},
    "madad": {
        "steps": 125_000,
        "batch_size": 96,
        "lr": 4e-5,
        "min_lr": 0.0,
        "warmup": 6250,
        "weight_decay": 1e-4,
        "levels": (1, 10),
        "auxiliary": {"marks_l2": 0.001},
    },
    "itermask": {"steps": 90_000, "batch_size": 32, "levels": (1, 1), "ema_decay": 0.9999},
    "mcddpm": {"steps": 115_499, "batch_size": 8},
    "pddpm": {"steps": 19_200, "batch_size": 32, "loss": "l1"},
    "reflect": {"batch_size": 192, "min_lr": 5.14e-5, "warmup": 2500, "weight_decay": 1e-4},
    "thor": BERCEA | {"steps": 64_000},
}
"""What differs from Adam at a constant rate of 1e-4 without decay, clipping, warm-up or average."""
PLAIN = {
    "batch_size": 16,
    "lr": 1e-4,
    "min_lr": 1e-4,
    "warmup": 0,
    "weight_decay": 0.0,
    "clip_norm": None,
    "levels": (1, 1000),
    "loss": "l2",
    "snr_gamma": None,
    "ema_decay": 0.0,
    "mixed_precision": "no",
}
SIZES = {
    "annotsim": 63_095_539,
    "anoddpm": 131_649_793,
    "autoddpm": 18_500_993,
    "autoencoder": 27_296 + 88_080 - 65_792,  # the published decoder has a layer that nothing uses
    "beside": 72_410_241,
    "cddpm": 68_619_329,
    "classifier": 5_452_962,
    "dae": 7_703_748,
    "ddpm": 131_649_793,
    "diffuse": 138_288_772,
    "disyre": 26_296_929,
    "guided": 113_681_160,
    "itermask": 6_600_257,  # no number is published; theirs lacks the layers for the level
    "mcddpm": 40_538_513,
    "pddpm": 37_513_857,
    "thor": 18_500_993,
}
OTHER_SIZES = {
    "andi": (9_720_964, 16_993_956),
    "madad": (257_735_941, 257_735_429),
    "reflect": (144_861_316, 145_008_004),
}
"""Published networks that are not built, and what stands for them."""
SPACES = {"andi": 128, "autoddpm": 128, "beside": 128, "cddpm": 96, "dae": 128, "pddpm": 96, "thor": 128}
SPACES |= {"disyre": 128, "itermask": 128, "mcddpm": 128}
CHANNELS = {"andi": 4, "autoencoder": 4, "classifier": 4, "dae": 4, "diffuse": 4, "guided": 4}
EVALUATIONS = {
    "andi": 125,
    "annotsim": 125,
    "anoddpm": 250,
    "beside": 50,
    "cddpm": 3,
    "dae": 1,
    "ddpm": 250,
    "disyre": 4,
    "guided": 998,
    "mcddpm": 4,
    "pddpm": 4,
    "reflect": 1,
    "thor": 351,
}
POST = {
    "andi": {"median": 5, "median_axes": 3},
    "cddpm": {
        "erosion": 3,
        "median": 5,
        "median_axes": 3,
        "min_mm3": 64,
        "filled": True,
        "median_first": False,
    },
    "dae": {
        "erosion": 2,
        "erosion_rule": "average",
        "median": 5,
        "min_mm3": 73.8,
        "filled": True,
        "median_first": False,
    },
    "diffuse": {"morphology": 5},
    "mcddpm": {
        "erosion": 5,
        "median": 5,
        "median_axes": 3,
        "min_mm3": 8 * 1.5**3,
        "filled": True,
        "median_first": False,
    },
    "pddpm": {
        "erosion": 3,
        "median": 5,
        "median_axes": 3,
        "min_mm3": 64,
        "filled": True,
        "median_first": False,
    },
}
LATENT = {"madad": 4, "reflect": 4}
"""Channels of the codes that a network sees."""
COMPARED = sorted(TRAIN)
"""Those of the comparison."""
NOTHING = {"erosion": 0, "erosion_rule": "cross", "median": 1, "median_axes": 2, "morphology": 1}
NOTHING |= {"min_size": 0, "min_mm3": 0, "filled": False, "median_first": True}


@pytest.fixture(params=sorted(TRAIN))
def name(request):
    return request.param


@pytest.fixture
def paper(name):
    return load(name, ["variant=paper"])


def test_every_config_of_a_method_has_the_recipe_of_its_paper():
    assert set(list_configs()) == set(TRAIN) | OWN == set(SIZES) | set(OTHER_SIZES) | OWN


def test_recipe_of_training_is_that_of_the_paper(name, paper):
    train = paper.train
    expected = PLAIN | ({"warmup": 1000} if name == "andi" else {}) | TRAIN[name]
    assert {key: getattr(train, key) for key in expected} == expected
    if expected["min_lr"] == expected["lr"]:
        assert {
            learning_rate(s, train.lr, train.warmup, train.steps, train.min_lr) for s in (0, 99, 9999)
        } == {train.lr}


def test_grid_and_sequences_are_those_of_the_paper(name, paper):
    assert paper.space.size == SPACES.get(name, 256)
    assert paper.model.get("in_channels", 1) == LATENT.get(name, CHANNELS.get(name, 1))
    assert len(paper.data.get("sequences") or [None]) == CHANNELS.get(name, 1)


def test_network_has_the_published_size_or_the_difference_is_said(name, paper, pytestconfig):
    with torch.device("meta"):
        network = build_part(MODELS, paper.model, "model")
    size = sum(p.numel() for p in network.parameters())
    text = (pytestconfig.rootpath / "configs" / f"{name}.yaml").read_text()
    if name in SIZES:
        assert size == SIZES[name]
    else:
        published, ours = OTHER_SIZES[name]
        assert size == ours
        assert f"{published:,}" in text
    assert f"{size:,}" in text


def test_guided_network_is_told_a_class_and_learns_a_variance_as_published(pytestconfig):
    with torch.device("meta"):
        network = MODELS.build(**load("guided", ["variant=paper"]).model)
    assert (network.null, network.learns_variance) == (2, True)
    assert network.table.weight.shape == (2, 512)
    last = network.out.weight
    variance = (last.numel() + len(last)) // 2
    assert (len(last), variance) == (8, 4_612)
    assert f"{variance:,} of them" in (pytestconfig.rootpath / "configs" / "guided.yaml").read_text()


def test_published_ways_are_asked_for_by_name_in_these_recipes_alone():
    guided, diffuse = (load(name, ["variant=paper"]) for name in ("guided", "diffuse"))
    assert guided.sampler == {"name": "inversion", "level": 500, "reference": True}
    assert guided.guidance == {"name": "classifier", "scale": 100.0, "reference": True}
    assert diffuse.sampler == {
        "name": "fusion",
        "level": 500,
        "saliency": {"name": "counterfactual"},
        "variance": "fixed_large",
        "per_channel": True,
        "reference": True,
    }
    assert diffuse.score == {"name": "change", "channels": 0, "reference": True}
    for name in ("guided", "diffuse"):
        for variant in ([], ["variant=smoke"], ["variant=ixi"]):
            config = load(name, variant)
            assert not any("reference" in (part or {}) for part in (config.sampler, config.guidance))
            assert "reference" not in config.score


def test_classifier_of_diffuse_is_the_published_one(pytestconfig):
    """lr 3e-4, decay 5e-5, batches of 64, 200 epochs, a cosine to 1e-7, weighted classes; clean slices."""
    config = load("classifier", ["variant=diffuse"])
    expected = {
        "steps": 200 * math.ceil(91_735 / 64),
        "batch_size": 64,
        "lr": 3e-4,
        "min_lr": 1e-7,
        "warmup": 0,
        "weight_decay": 5e-5,
        "clip_norm": None,
        "levels": (0, 0),
        "ema_decay": 0.0,
        "class_weights": (0.603, 0.397),
    }
    assert {key: getattr(config.train, key) for key in expected} == expected
    counts = 52_051, 79_113
    assert [round(n / sum(counts), 3) for n in reversed(counts)] == list(config.train.class_weights)
    with torch.device("meta"):
        network = build_part(MODELS, config.model, "model")
    size = sum(p.numel() for p in network.parameters())
    assert size == 23_515_266
    assert f"{size:,}" in (pytestconfig.rootpath / "configs" / "classifier.yaml").read_text()
    same = ("sequences", "slices")
    assert {k: config.data[k] for k in same} == {k: load("diffuse", ["variant=paper"]).data[k] for k in same}
    check_parts(config)


def test_parts_and_schedule_can_be_built(paper, tmp_path):
    if paper.networks.codec is not None:
        codec = AutoencoderKL(latent=LATENT[paper.name], channels=[8] * 4, layers=1, groups=4)
        assert codec.factor == 8
        codec.save_pretrained(tmp_path)
        paper = load(paper.name, ["variant=paper", f"networks.codec={tmp_path}"])
    check_parts(paper)
    build_part(NOISES, paper.noise, "noise")
    if paper.sampling_noise:
        build_part(NOISES, paper.sampling_noise, "sampling_noise")
    is_cold, is_flow = paper.name == "disyre", paper.name == "reflect"
    steps = {"disyre": 100, "madad": 10}.get(paper.name, 1000)
    assert build_scheduler(paper).config.num_train_timesteps == steps
    betas = (1e-3, 0.2) if is_cold else (1e-4, 0.02)
    assert (paper.schedule.beta_start, paper.schedule.beta_end) == betas
    is_cosine = paper.name in ("annotsim", "cddpm", "madad", "mcddpm", "pddpm")
    assert paper.schedule.beta_schedule == ("squaredcos_cap_v2" if is_cosine else "linear")
    is_image = paper.name in ("cddpm", "dae", "itermask", "madad", "mcddpm", "pddpm")
    kind = "cold" if is_cold else "flow" if is_flow else "sample" if is_image else "epsilon"
    assert paper.schedule.prediction_type == kind


def test_maps_are_processed_as_in_the_paper(name, paper):
    post = to_dict(paper.postprocess)
    expected = NOTHING | POST.get(name, {})
    if name in ("autoencoder", "classifier"):  # which make no maps
        return
    assert {key: post[key] for key in expected} == expected
    assert post["pool"] == ("topk" if name == "guided" else "mean")


@pytest.mark.parametrize("method", sorted(EVALUATIONS))
def test_slice_costs_as_many_evaluations_as_published(method):
    config = load(method, ["variant=paper"])
    x = torch.full((1, 1, 96, 96), 0.5)
    sampler = SAMPLERS.build(**config.sampler)
    generator = torch.Generator().manual_seed(0)
    schedules = {"reflect": StraightSchedule.of(1000)}
    denoiser = GaussianDenoiser(schedule=schedules.get(method, linear_schedule()))
    restored = sampler(x, denoiser, white_noise, generator=generator, mask=torch.ones_like(x))
    assert restored.nfe == EVALUATIONS[method]


def test_published_levels_are_indices_plus_one():
    levels = {
        "autoddpm": [("level", 51), ("coarse", {"name": "chain", "level": 201})],
        "thor": [("level", 351), ("harmonise", [301, 151, 51])],
        "cddpm": [("levels", [250, 500, 750])],
        "annotsim": [("level", 125)],
        "anoddpm": [("level", 250)],
        "ddpm": [("level", 250)],
        "andi": [("first", 76), ("last", 200)],
        "diffuse": [("level", 500)],
        "guided": [("level", 500)],
    }
    for name, options in levels.items():
        sampler = load(name, ["variant=paper"]).sampler
        assert {key: sampler[key] for key, _ in options} == dict(options), name
    assert load("pddpm", ["variant=paper"]).sampler["inner"] == {
        "name": "oneshot",
        "levels": 500,
        "clip": False,
    }


def test_resampling_takes_451_evaluations_as_published():
    sampler = SAMPLERS.build(**load("autoddpm", ["variant=paper"]).sampler)
    assert len(list(sampler._moves)) == 250
    assert sampler.coarse["level"] + len(list(sampler._moves)) == 451


def test_maps_of_harmonisation_lie_at_the_eight_published_indices():
    sampler = SAMPLERS.build(**load("thor", ["variant=paper"]).sampler)
    assert sorted(t - 1 for t in sampler._maps | sampler._blends) == [0, 50, 100, 150, 200, 250, 300, 350]
    assert sorted(t - 1 for t in sampler._blends) == [50, 150, 300]


@pytest.mark.parametrize("method", ["pddpm", "cddpm", "mcddpm"])
def test_default_levels_are_as_noisy_with_unit_noise_as_the_published_ones(method):
    default, paper = (load(method, changes) for changes in ([], ["variant=paper"]))
    ours, published = (
        config.sampler["levels"] if method == "cddpm" else config.sampler["inner"]["levels"]
        for config in (default, paper)
    )
    schedule = Schedule.from_diffusers(build_scheduler(paper))
    ratios = [(1 / schedule.alpha_bar(t) - 1).sqrt().item() for t in range(1, 1001)]
    assert paper.noise == {**default.noise, "reference": True, "dims": 2}
    for t, level in zip(*([v] if isinstance(v, int) else v for v in (ours, published)), strict=True):
        wanted = 0.586 * ratios[level - 1]
        assert t == 1 + min(range(1000), key=lambda i: abs(ratios[i] - wanted))


def test_default_level_of_annotsim_is_as_noisy_with_unit_noise_as_the_published_one():
    default, paper = (load("annotsim", changes) for changes in ([], ["variant=paper"]))
    assert paper.noise == {**default.noise, "reference": True, "correlated": True}
    schedule = Schedule.from_diffusers(build_scheduler(paper))
    ratios = [(1 / schedule.alpha_bar(t) - 1).sqrt().item() for t in range(1, 1001)]
    std = build_part(NOISES, paper.noise, "noise").std
    assert std == pytest.approx(0.4795, abs=1e-4)
    level, published = default.sampler["level"], paper.sampler["level"]
    assert level == 1 + min(range(1000), key=lambda i: abs(ratios[i] - std * ratios[published - 1]))


def test_noise_of_the_papers_is_the_published_field():
    fields = {n: load(n, ["variant=paper"]).noise for n in ("anoddpm", "pddpm", "cddpm", "dae", "andi")}
    assert all(noise["reference"] for noise in fields.values())
    like = torch.zeros(60, 1, 96, 96)
    generators = [torch.Generator().manual_seed(s) for s in range(60)]
    z = build_part(NOISES, fields["pddpm"], "noise")(like, torch.tensor(500), generator=generators)
    assert z.std() == pytest.approx(0.586, abs=0.03)
    assert (z[..., 0, 0] == 0).all()


def test_volume_of_the_smallest_detection_is_that_of_the_published_voxels():
    assert load("pddpm").postprocess.min_mm3 == load("cddpm").postprocess.min_mm3 == 8 * 2**3
    voxel = (240 / 128) ** 2
    assert 20 * voxel < load("dae").postprocess.min_mm3 <= 21 * voxel
    assert math.ceil(load("dae").postprocess.min_mm3 / voxel) == 21


def test_map_of_fusion_is_that_of_the_first_sequence_alone():
    config = load("diffuse", ["variant=paper"])
    assert config.data["sequences"][config.score["channels"]] == "flair"
    score = SCORES.build(**config.score)
    assert score.channels == 0


def test_former_variants_keep_the_recipes_that_the_tables_were_made_with():
    """docs/methods/comparison.md was measured with these; defaults that moved may not move them."""
    levels = {"thor": ("level", 350), "autoddpm": ("level", 50), "cddpm": ("levels", [150, 350, 620])}
    for name, (key, value) in levels.items():
        assert load(name, ["variant=ixi"]).sampler[key] == value
    assert load("pddpm", ["variant=ixi"]).sampler["inner"]["levels"] == 350
    for name in COMPARED:
        train = load(name, ["variant=ixi"]).train
        assert (train.min_lr, train.clip_norm) == (0.0, 1.0), name
        assert train.weight_decay == (0.05 if name == "classifier" else 0.01), name
    for name in sorted(set(COMPARED) - {"autoencoder", "classifier"}):
        post = to_dict(load(name, ["variant=ixi"]).postprocess)
        expected = NOTHING | {"median": 5, "pool": "topk"}
        assert {key: post[key] for key in expected} == expected, name
