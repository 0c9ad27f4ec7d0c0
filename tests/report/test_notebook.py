"""A result in a notebook, in memory as NIfTI, and as a table."""

import io

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from diffad.inference.lesions import find_lesions
from diffad.inference.output import AnomalyOutput
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import brain, write, write_model


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def out(pipe, tmp_path_factory):
    return pipe(write(tmp_path_factory.mktemp("scan") / "a & <b>.nii.gz", brain(0)))


def test_picture_is_a_picture(out):
    image = np.asarray(Image.open(io.BytesIO(out._repr_png_())).convert("L"))
    assert min(image.shape) > 200
    assert image.std() > 10


def test_html_has_figures_picture_and_lesions(out):
    text = out._repr_html_()
    assert "Image score" in text
    assert "data:image/png;base64," in text
    assert text.count("<tr>") == 1 + min(10, len(out.lesions()))


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (3, 1, 32, 32)])
def test_result_of_a_tensor_shows_what_it_can(pipe, shape):
    result = pipe(torch.rand(shape))
    assert f"{int(result.mask.sum()):,} voxels detected" in result._repr_html_()


def test_result_without_detections_or_with_odd_info_is_shown_too(out):
    empty = AnomalyOutput(**{**dict(out.items()), "info": {}, "mask": torch.zeros_like(out.mask)})
    assert "Nothing was detected" in empty._repr_html_()


def test_nifti_in_memory_is_what_save_writes(out, tmp_path):
    out.save(tmp_path, "a")
    images = out.to_nifti()
    assert set(images) == {"anomaly", "mask", "twin", "seen"}
    for kind, image in images.items():
        file = nib.load(tmp_path / f"a_{kind}.nii.gz")
        assert np.array_equal(image.affine, file.affine)
        assert image.get_data_dtype() == file.get_data_dtype()
        assert np.array_equal(np.asarray(image.dataobj), np.asarray(file.dataobj))


def test_tensor_lies_nowhere(pipe):
    with pytest.raises(ValueError, match="no affine"):
        pipe(torch.rand(1, 1, 32, 32)).to_nifti()


def test_lesions_are_those_of_the_table(out):
    arrays = (out.mask[0, 0].numpy(), out.anomaly_map[0, 0].numpy(), out.volume)
    lesions = find_lesions(*arrays, connectivity=6, smallest_ml=0.05)
    assert lesions
    assert out.lesions(6, 0.05) == lesions
