"""Detectors that learn from synthetic anomalies: losses, what they are shown, and what they refuse."""

import pytest
import torch

from diffad.config import ConfigError, load
from diffad.detectors.losses import dice_loss, focal_loss
from diffad.registry import DETECTORS
from diffad.training.run import train
from diffad.types import DetectorExample

SMALL = {"channels": [4, 8]}
NAMES = ["asn", "fusion_unet", "unet_synthetic"]
SINGLE = {name: ["model.in_channels=1"] if name == "fusion_unet" else [] for name in NAMES}
"""What makes the toy, of one sequence, fit."""


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def build(name, **options):
    torch.manual_seed(0)
    return DETECTORS.build(name, **{**SMALL, **options})


def make_example(seen, damage):
    return DetectorExample(seen, seen, torch.ones_like(damage), damage, torch.zeros(len(seen)), ())


def test_focal_loss_without_its_exponent_is_the_cross_entropy():
    logits, target = torch.tensor([[0.3, -2.0]]), torch.tensor([[1.0, 0.0]])
    p = logits.sigmoid()
    entropy = -(p[0, 0].log() + (1 - p[0, 1]).log()) / 2
    torch.testing.assert_close(focal_loss(logits, target, 0.0)[0], entropy)


def test_focal_loss_weighs_by_what_was_missed():
    """Of p_t .5: log 2 / 4. Of p_t .9: .01 log 10 / 9."""
    logits = torch.tensor([[0.0], [torch.log(torch.tensor(9.0))]])
    found = focal_loss(logits, torch.ones(2, 1))
    torch.testing.assert_close(found, torch.tensor([0.1732868, 0.001053605]))


def test_dice_loss_of_full_half_and_no_overlap():
    target = torch.tensor([[1.0, 1, 0, 0]])
    for answer, loss in (([1.0, 1, 0, 0], 0.0), ([0.0, 1, 1, 0], 0.5), ([0.0, 0, 1, 1], 1.0)):
        assert dice_loss(torch.tensor([answer]), target, smooth=0.0).item() == pytest.approx(loss)


def test_dice_loss_of_healthy_scans_counts_false_alarms():
    healthy = torch.zeros(1, 2)
    assert dice_loss(healthy, healthy) == 0
    assert dice_loss(torch.tensor([[0.5, 0.5]]), healthy).item() == pytest.approx(0.5)


def test_dice_loss_counts_all_items_of_a_batch_together():
    """Two of three marked voxels are right, of two and no others: 1 - 4 / 5."""
    answer, target = torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert dice_loss(answer, target, smooth=0.0).item() == pytest.approx(0.2)


def test_unet_adds_both_losses_by_their_weights():
    torch.manual_seed(1)
    seen, damage = torch.rand(2, 1, 16, 16), torch.zeros(2, 1, 16, 16)
    damage[0, :, 3:9, 3:9] = 1
    example, network = make_example(seen, damage), build("unet_synthetic", focal=3.0, dice=0.5).eval()
    logits = torch.logit(network.detect(seen, damage).map)
    expected = 3 * focal_loss(logits, damage) + 0.5 * dice_loss(logits.sigmoid(), damage)
    torch.testing.assert_close(network(example), expected)


def test_map_grows_over_synthetic_lesions_in_a_few_steps(name):
    torch.manual_seed(1)
    network = build(name).train()
    clean = 0.2 + 0.05 * torch.rand(8, 1, 16, 16)
    damage = torch.zeros_like(clean)
    damage[:4, :, 4:10, 6:12] = 1
    seen = torch.where(damage > 0, 0.9, clean)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        network(make_example(seen, damage)).mean().backward()
        optimizer.step()
    anomaly = network.eval().detect(seen, damage).map
    assert anomaly[damage > 0].mean() > 2 * anomaly[damage == 0].mean()


def test_no_channel_is_normalised_alone(name):
    """Behind a single normalised channel nothing was learned in hundreds of steps."""
    norms = [part for part in build(name).modules() if hasattr(part, "num_features")]
    assert norms
    assert min(norm.num_features for norm in norms) > 1


@pytest.mark.parametrize("sides", [(17, 23), (9, 12, 10)])
def test_sides_need_be_no_multiple(name, sides):
    network = build(name, channels=[4, 8, 8], dims=len(sides)).eval()
    x = torch.rand(2, 1, *sides)
    assert network.detect(x, x).map.shape == x.shape


def test_single_constant_scan_without_lesions_has_a_finite_loss(name):
    x = torch.full((1, 1, 16, 16), 0.5)
    assert build(name).train()(make_example(x, torch.zeros_like(x))).isfinite().all()


def test_too_short_sides_are_refused(name):
    x = torch.rand(1, 1, 32, 8)
    with pytest.raises(ValueError, match=r"sides of at least 9 voxels for 4 scales, got \(32, 8\)"):
        build(name, channels=[4, 8, 8, 8]).detect(x, x)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("asn", {"error": "sum"}, "an error of lesion, image, voxel, got 'sum'"),
        ("asn", {"beta": 0.0}, r"beta in \(0, 1\]"),
        ("asn", {"dilate": -1}, "of at least 0, got"),
        ("asn", {"dims": 4}, "dims of 2 or 3"),
        ("fusion_unet", {"sites": []}, r"sites of early, middle, late, each once, got \[\]"),
        ("fusion_unet", {"sites": ["late", "late"]}, "each once"),
        ("fusion_unet", {"sites": ["last"]}, "sites of early, middle, late"),
        ("fusion_unet", {"fusion": "mean"}, "a fusion of sum, mixture, concat, gated, got 'mean'"),
        ("fusion_unet", {"focal": 0.0, "dice": 0.0}, "focal or dice above it"),
        ("fusion_unet", {"channels": [8]}, "at least two channels"),
        ("unet_synthetic", {"focal": 0.0, "dice": 0.0}, "one of the weights above it"),
        ("unet_synthetic", {"layers": 0}, "layers of at least 1"),
        ("unet_synthetic", {"channels": [8]}, "at least two channels"),
    ],
)
def test_options_out_of_range_are_refused(name, options, says):
    with pytest.raises(ValueError, match=says):
        build(name, **options)


@pytest.mark.parametrize("change", ["corrupt.tasks=[]", "corrupt.chance=0"])
def test_training_without_anomalies_is_refused(name, change, tmp_path):
    toy = [
        "data={name: toy, size: 32, count: 6}",
        "space.size=32",
        *SINGLE[name],
        f"output={tmp_path}",
        change,
    ]
    with pytest.raises(ConfigError, match=f"expected tasks and a chance above 0, as '{name}'"):
        train(load(name, ["variant=smoke", *toy]))


@pytest.mark.parametrize("role", ["condition", "class"])
def test_anomalies_in_another_role_are_refused(name, role, tmp_path):
    toy = ["data={name: toy, size: 32, count: 6}", "space.size=32", *SINGLE[name], f"output={tmp_path}"]
    with pytest.raises(ConfigError, match=f"expected restore with task detect, found {role}"):
        train(load(name, ["variant=smoke", *toy, f"corrupt.role={role}"]))


@pytest.mark.parametrize("size", [32, 30])
def test_a_single_scan_is_enough_to_train(name, size, tmp_path):
    toy = [f"data={{name: toy, size: {size}, count: 1}}", f"space.size={size}", f"output={tmp_path}"]
    toy += SINGLE[name]
    quick = ["train.steps=2", "train.warmup=0", "train.validate_every=2", "train.checkpoint_every=2"]
    assert train(load(name, ["variant=smoke", *toy, *quick])).is_dir()
