"""``itermask`` from its config to the map of a scan, in slices and volumes, with masks as users have them."""

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.data.volume import VolumeError
from diffad.training.run import train
from tests.helpers.brains import save_volume

QUICK = ["train.steps=2", "train.batch_size=2", "train.warmup=0", "train.validate_every=2"]
QUICK += [
    "train.validate_items=2",
    "train.checkpoint_every=2",
    "train.device=cpu",
    'train.mixed_precision="no"',
]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    where = ["data={name: toy, size: 32, count: 6}", f"output={tmp_path_factory.mktemp('slices')}"]
    folder = train(load("itermask", ["variant=smoke", *QUICK, *where, "space.size=32"]))
    return AnomalyPipeline.from_pretrained(folder)


def slices():
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    x[..., :6], x[..., -6:] = 0, 0
    return x


def test_threshold_is_measured_in_training_and_saved(pipe):
    assert 0 < pipe.config.sampler["threshold"] < 1


def test_mask_of_the_sampler_is_the_answer_of_the_likelihood(pipe):
    x = slices()
    found = pipe(x, mask=x > 0, seed=1)
    masked = pipe(x, mask=x > 0, seed=1, score={"name": "likelihood"})
    assert found.info["nfe"] >= 2
    hidden = masked.anomaly_map > 0
    assert hidden.any()
    torch.testing.assert_close(masked.anomaly_map[hidden], found.anomaly_map[hidden])
    assert not hidden[x == 0].any()


def test_mask_that_leaves_out_the_object_is_refused(pipe):
    x = slices()
    with pytest.raises(VolumeError, match="expected contrast inside the brain mask of channel 0, got 0 at"):
        pipe(x, mask=x == 0, seed=1)


def test_slice_without_a_brain_is_refused_by_its_number(pipe):
    x = slices()
    mask = x > 0
    mask[1] = False
    with pytest.raises(ValueError, match=r"masks with pixels inside, got empty ones for items \[1\]"):
        pipe(x, mask=mask, seed=1)


SMALL_BACKBONES = {
    "unet3d": "{name: unet3d, channels: [8, 16], layers: 1}",
    "strided": "{name: strided, channels: [8, 16, 16], norm: batch}",
}


@pytest.mark.parametrize("backbone", SMALL_BACKBONES)
def test_volumes_find_their_threshold_by_themselves(tmp_path, backbone):
    for split, count in (("train", 2), ("val", 1)):
        for k in range(count):
            path = tmp_path / "data" / split / f"sub-{split}{k}.nii.gz"
            save_volume(path, seed=k + 5 * (split == "val"), shape=(16, 14, 10))
    small = [
        f"model.backbone={SMALL_BACKBONES[backbone]}",
        "sampler.looks=4",
        "sampler.passes=2",
    ]
    where = [f"data.root={tmp_path / 'data'}", f"output={tmp_path}"]
    folder = train(load("itermask", ["variant=volumes", *QUICK, *small, *where]))
    scan = save_volume(tmp_path / "scan.nii.gz", seed=9, shape=(15, 13, 8))
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert pipe.config.sampler.get("threshold") is None
    found = pipe(scan)
    assert found.anomaly_map.shape == (1, 1, 15, 13, 8)
    assert found.anomaly_map.max() > 0
    assert 1 + 3 <= found.info["nfe"] <= 1 + 3 + 2
    assert not found.anomaly_map[0, 0].numpy()[np.asarray(nib.load(scan).dataobj) == 0].any()
