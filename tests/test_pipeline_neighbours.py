"""A pipeline that looks at neighbouring slices: the same map in any batch and range, saved and loaded."""

import json

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from diffad import AnomalyPipeline
from diffad.method import Method
from diffad.models.folder import ModelError
from diffad.models.unet2d import UNet2D
from tests.helpers.brains import brain, save_volume

SPACE = {"size": 16, "window": [16, 12], "neighbours": 1}


def make(neighbours=1, **options):
    torch.manual_seed(0)
    network = UNet2D(channels=(8, 16), layers=1, groups=4, attention=False, neighbours=neighbours)
    scheduler = DDPMScheduler(num_train_timesteps=100, clip_sample=False)
    options = {"noise": {"name": "simplex", "octaves": 2, "feature_size": 8}} | options
    space, sampler = {**SPACE, "neighbours": neighbours}, {"name": "oneshot", "levels": [20], "repeats": 2}
    return AnomalyPipeline(network, scheduler, **{"space": space, "sampler": sampler, **options})


@pytest.fixture(scope="module")
def pipe():
    return make()


@pytest.fixture
def path(tmp_path):
    return save_volume(tmp_path / "scan.nii.gz", affine=np.diag([-1.0, 1, 2, 1]))


@pytest.mark.parametrize("axis", ["axial", "sagittal"])
def test_maps_are_the_same_in_any_batch(pipe, path, axis):
    one, many = (pipe(path, batch_size=n, axes=[axis]) for n in (1, 8))
    torch.testing.assert_close(one.anomaly_map, many.anomaly_map, atol=1e-5, rtol=1e-4)
    assert float(one.anomaly_map.max()) > 0


def test_the_map_of_a_slice_does_not_depend_on_the_range(pipe, path):
    whole, part = pipe(path), pipe(path, slices=(4, 6))
    expected = whole.anomaly_map[..., 4:6]
    torch.testing.assert_close(part.anomaly_map[..., 4:6], expected, atol=1e-5, rtol=1e-4)


def test_a_map_depends_on_the_slices_next_to_it_alone(pipe, tmp_path):
    """Another slice 7 changes the maps of slices 6 to 8; its intensities stay those of the window."""
    values = brain()
    other = values.copy()
    other[..., 7] = np.where(values[..., 7] > 0, 250 - values[..., 7], 0)
    axis = ["axial"]
    window = {"size": 16, "low": 0.0, "high": 100.0, "neighbours": 1}
    pipe = make(space=window)
    maps = []
    for k, data in enumerate((values, other)):
        data[6, 7, 5], data[6, 7, 4] = 300, 40  # the ends of the window, in slices far from it
        maps.append(pipe(save_volume(tmp_path / f"{k}.nii.gz", data=data), axes=axis).anomaly_map[0, 0])
    changed = [k for k in range(values.shape[2]) if not torch.equal(maps[0][..., k], maps[1][..., k])]
    assert changed == [6, 7, 8]


def test_a_saved_pipeline_answers_as_before_and_a_spoilt_one_is_refused(pipe, path, tmp_path):
    pipe.save_pretrained(folder := tmp_path / "model")
    again = AnomalyPipeline.from_pretrained(folder)
    assert again.config.space["neighbours"] == 1
    assert torch.equal(again(path).anomaly_map, pipe(path).anomaly_map)
    index = json.loads((folder / "model_index.json").read_text())
    index["space"]["neighbours"] = 2
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"space\.neighbours = 2 .* shown 1"):
        AnomalyPipeline.from_pretrained(folder)


def test_volumes_in_memory_have_neighbours_and_images_are_refused(pipe):
    volume = torch.from_numpy(brain(1) / 255)[None, None]
    assert pipe(volume).anomaly_map.shape == volume.shape
    with pytest.raises(ValueError, match=r"expected a volume, as the model looks at 1 slice\(s\) below and"):
        pipe(volume[..., 5])


def test_a_model_without_neighbours_ignores_them(path):
    """Its maps are those of a network that knows no such option."""
    pipe = make(0)
    assert pipe.config.space["neighbours"] == 0
    assert pipe(path).anomaly_map.max() > 0


@pytest.mark.parametrize(
    "sampler",
    [
        {"name": "chain", "level": 20, "steps": 2},
        {"name": "levels", "first": 10, "last": 20, "stride": 5},
        {"name": "ensemble", "inner": {"name": "oneshot", "levels": [20]}, "members": 2},
        {"name": "inversion", "level": 20, "steps": 2},
        {"name": "patched", "box": 8, "inner": {"name": "oneshot", "levels": [20]}},
    ],
    ids=lambda s: s["name"],
)
def test_samplers_show_neighbours_at_every_level(pipe, path, sampler):
    score = {"name": "l1"}
    assert pipe(path, sampler=sampler, score=score, slices=(4, 6)).anomaly_map.isfinite().all()


@pytest.mark.parametrize(
    "score", [{"name": "features"}, {"name": "mean", "scores": [{"name": "l1"}, {"name": "features"}]}]
)
def test_features_of_single_images_are_refused_before_a_scan_is_read(score):
    message = f"score '{score['name']}' expected a network of single images, .* one of 1 neighbouring slice"
    with pytest.raises(ValueError, match=message):
        make().detector(Method(score=score))
    make(neighbours=0).detector(Method(score=score))
