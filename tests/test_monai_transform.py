"""diffad among MONAI transforms: same maps, same grid, whatever the orientation."""

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, LoadImaged, SaveImaged

from diffad.monai import AnomalyDetectiond, AnomalyInferer
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import brain, inside, write, write_model

TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
GRIDS = {
    "las": np.diag([-2.0, 2, 3, 1]),
    "oblique": np.block(
        [[TURN @ np.diag([-2.0, 2, 3]), np.array([[9.0], [-5], [3]])], [np.zeros((1, 3)), 1]]
    ),
    "turned": np.array([[0, 0, 3.0, 0], [-2, 0, 0, 5], [0, 2, 0, 0], [0, 0, 0, 1]]),
}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("grid", GRIDS)
def test_maps_are_those_of_the_pipeline_on_the_grid_of_the_file(pipe, tmp_path, grid):
    path = write(tmp_path / "a.nii.gz", brain(0), GRIDS[grid])
    chain = Compose(
        [LoadImaged("image", ensure_channel_first=True), AnomalyDetectiond("image", pipe, seed=3)]
    )
    found = chain({"image": str(path)})
    expected = pipe(path, seed=3)
    saved = {kind: np.asarray(image.dataobj) for kind, image in expected.to_nifti().items()}
    for kind in ("anomaly", "mask", "twin"):
        made = found[f"image_{kind}"]
        assert np.allclose(made.affine, GRIDS[grid])
        assert np.allclose(made[0].numpy(), saved[kind], atol=1e-5)
    assert found["image_score"] == pytest.approx(float(expected.score[0]))


def test_saved_by_monai_it_overlays_on_the_scan(pipe, tmp_path):
    path = write(tmp_path / "a.nii.gz", brain(0), GRIDS["oblique"])
    chain = Compose(
        [
            LoadImaged("image", ensure_channel_first=True),
            AnomalyDetectiond("image", pipe),
            SaveImaged("image_anomaly", output_dir=tmp_path, output_postfix="map", separate_folder=False),
        ]
    )
    list(DataLoader(Dataset([{"image": str(path)}], chain), collate_fn=lambda items: items))
    saved = nib.load(tmp_path / "a_map.nii.gz")
    assert saved.shape == inside().shape
    assert np.allclose(saved.affine, GRIDS["oblique"], atol=1e-5)


def test_mask_is_used_and_the_dictionary_left_alone(pipe):
    image = MetaTensor(torch.from_numpy(brain(0))[None], affine=torch.eye(4))
    mask = torch.from_numpy(inside() & (np.indices(inside().shape)[0] > 11))[None]
    data = {"image": image, "brain": mask}
    found = AnomalyDetectiond("image", pipe, mask_key="brain")(data)
    assert not found["image_anomaly"][~mask].any()
    assert set(data) == {"image", "brain"}


def test_inferer_answers_like_a_network(pipe):
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(AnomalyInferer(pipe, seed=1)(images), pipe(images, seed=1).anomaly_map)
    volumes = torch.from_numpy(np.stack([brain(0), brain(1)]))[:, None]
    maps = AnomalyInferer(pipe)(volumes, network=None)
    assert maps.shape == volumes.shape
    assert torch.equal(maps[1:], AnomalyInferer(pipe)(volumes[1:]))


def test_image_without_channel_is_refused(pipe):
    with pytest.raises(ValueError, match=r"expected an image \(C, H, W, D\)"):
        AnomalyDetectiond("image", pipe)({"image": torch.rand(8, 8, 8)})
