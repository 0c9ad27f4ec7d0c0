"""Healthy images that training keeps for a score: which, how many, and whether they come back."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.data.items import TrainingItem
from diffad.models.references import References
from diffad.models.unet2d import UNet2D
from diffad.training.references import draw_references
from diffad.training.run import train
from diffad.training.transfer import load_weights, locate_start

TRIPLET = "score={name: triplet, pool: 5, reach: 0}"


def make_items(labels):
    """Slices of 16 x 16, each of one grey, with a brain of 10 x 12."""
    mask = torch.zeros(1, 16, 16)
    mask[:, 3:13, 2:14] = 1
    greys = [(k + 1) / 10 for k in range(len(labels))]
    pairs = zip(greys, labels, strict=True)
    return [TrainingItem(torch.full((1, 16, 16), g), mask, f"sub-{g}", label) for g, label in pairs]


def test_references_are_spread_over_the_healthy_ones_and_zero_outside_the_brain(small):
    images = draw_references(make_items([0, 0, 1, 0, None, 0]), small(), 3)
    assert images.shape == (3, 1, 16, 16)
    assert [round(float(image.max()), 1) for image in images] == [0.1, 0.4, 0.6]
    assert not images[:, :, 0].any()


def test_few_shots_are_filled_up_with_changed_copies(small):
    items = make_items([0, 0])
    changes = ["augment={gain: 0.5}", "space.window=[12, 12]"]
    images = draw_references(items, small(*changes), 5)
    assert images.shape == (5, 1, 12, 12)
    shots, copies = images[:2], images[2:]
    assert [round(float(image.max()), 1) for image in shots] == [0.1, 0.2]
    assert not any(torch.equal(copy, shot) for copy in copies for shot in shots)
    assert torch.equal(images, draw_references(items, small(*changes), 5))
    assert not torch.equal(images, draw_references(items, small(*changes, "seed=1"), 5))


def test_pipeline_keeps_its_references_and_compares_with_them_again(small):
    folder = train(small(TRIPLET))
    assert (folder / "references" / "diffusion_pytorch_model.safetensors").is_file()
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert pipe.references.images.shape == (5, 1, 16, 16)
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    first, again = pipe(x, seed=1).anomaly_map, AnomalyPipeline.from_pretrained(folder)(x, seed=1).anomaly_map
    assert torch.equal(first, again)
    assert first.max() > 0
    pipe.references.images.data.fill_(0.5)
    assert not torch.allclose(pipe(x, seed=1).anomaly_map, first)


def test_references_of_a_config_are_taken_as_they_are(small, tmp_path):
    References.of(torch.full((2, 1, 16, 16), 0.25)).save_pretrained(tmp_path / "pool")
    folder = train(small(TRIPLET, f"networks.references={tmp_path / 'pool'}"))
    pool = AnomalyPipeline.from_pretrained(folder).references
    assert torch.equal(pool.images, torch.full((2, 1, 16, 16), 0.25))


def test_scores_that_want_none_keep_none(small):
    assert AnomalyPipeline.from_pretrained(train(small())).references is None


def test_neighbours_are_refused_with_references(small):
    changes = ["space.neighbours=1", "model.neighbours=1", TRIPLET]
    with pytest.raises(ConfigError, match=r"space\.neighbours: expected 0 with score 'triplet', as its ref"):
        train(small(*changes))


def test_weights_are_those_of_a_shipped_model_by_its_name(tmp_path, monkeypatch):
    network = UNet2D(channels=[64, 96, 128], layers=2, patch=2)
    load_weights(network, locate_start("ixi-t1-axial"))
    shipped = AnomalyPipeline.from_pretrained("ixi-t1-axial").network
    assert torch.equal(network.unet.conv_in.weight, shipped.unet.conv_in.weight)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ixi-t1-axial").mkdir()  # a folder of one's own goes first
    assert locate_start("ixi-t1-axial").resolve() == tmp_path / "ixi-t1-axial"
