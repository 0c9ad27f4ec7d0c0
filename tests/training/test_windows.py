"""Slices of several planes in windows of their own: what the network sees in training and in use."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.registry import MODELS
from diffad.report.training_sheet import draw_training_items
from diffad.training.run import train
from tests.helpers.brains import save_volume

WINDOWS = {"axial": (14, 12), "sagittal": (10, 14)}
SPACE = "space={size: 16, fov: 22.0, window: [14, 12], further_axes: [sagittal], further_windows: [[10, 14]]}"


@pytest.fixture
def config_of(small, tmp_path):
    for split, number in (("train", 0), ("train", 1), ("val", 2)):
        path = tmp_path / "scans" / split / f"sub-{number}.nii.gz"
        save_volume(path, seed=number, shape=(14, 18, 12))
    data = f"data={{name: volumes, root: {tmp_path / 'scans'}, min_brain: 0.1}}"
    return lambda *more: small(data, SPACE, "model.place=true", "train.steps=2", *more)


@pytest.fixture
def shapes(monkeypatch):
    """Which shapes the network was shown, with whether it trained."""
    network, rows = MODELS["unet2d"], set()
    forward = network.forward

    def watch(self, x_t, *args, **cond):
        rows.add((self.training, tuple(x_t.shape[2:])))
        return forward(self, x_t, *args, **cond)

    monkeypatch.setattr(network, "forward", watch)
    return rows


def test_each_plane_has_its_window_in_training_and_in_use(config_of, shapes, tmp_path):
    folder = train(config_of("train.batch_size=8"))
    assert {shape for is_training, shape in shapes if is_training} == set(WINDOWS.values())
    pipe, scan = AnomalyPipeline.from_pretrained(folder), tmp_path / "scans" / "val" / "sub-2.nii.gz"
    assert pipe.config.space["further_windows"] == [[10, 14]]
    for axis, window in WINDOWS.items():
        shapes.clear()
        pipe(scan, axes=[axis])
        assert shapes == {(False, window)}


def test_the_loss_of_mixed_planes_is_that_of_each_alone(config_of):
    """Items of a batch keep their noise, whichever others are there; the mean is over all."""
    from diffad.training.journal import make_accelerator
    from diffad.training.parts import build_data
    from diffad.training.stream import Stream
    from diffad.training.trainer import Trainer

    config = config_of("corrupt.tasks=[fluid]", "corrupt.role=restore", "model.place_drop=0.0")
    trainer = Trainer(config, make_accelerator(config))
    data = build_data(config, "train")
    trainer.inspect(data)
    items = [Stream(data, 0)[g] for g in range(8)]
    images, masks, numbers, labels, places, others = (
        torch.stack([torch.as_tensor(v) for v in values]) for values in zip(*items, strict=True)
    )
    assert len(set(places[:, 0].tolist())) == 2
    values = (images, masks, numbers, labels, places, others)
    with torch.no_grad():
        whole = trainer.loss(*values)
        single = [trainer.loss(*(v[k : k + 1] for v in values)) for k in range(8)]
    torch.testing.assert_close(whole, torch.stack(single).mean(), rtol=1e-4, atol=1e-6)


def test_a_sheet_shows_all_planes(config_of):
    batches, _ = draw_training_items(config_of(), "train", 8)
    assert {tuple(batch.image.shape[2:]) for batch in batches} == set(WINDOWS.values())
    assert sum(len(batch.image) for batch in batches) == 8
