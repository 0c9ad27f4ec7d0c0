"""A result in a notebook, in memory as NIfTI, and as a table."""

import importlib.machinery
import io
import sys
import types

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


def test_repr_is_a_short_table_without_tensors(out, pipe):
    text = repr(out)
    assert text.startswith("AnomalyOutput of a & <b>\n")
    assert "tensor(" not in text
    assert text.count("\n") < 14
    assert f"({int(out.mask.sum()):,} voxels)" in text
    assert "24 x 28 x 10 voxels of 2 x 2 x 3 mm" in text
    assert "3 x 32 x 32 pixels" in repr(pipe(torch.rand(3, 1, 32, 32)))


def test_repr_survives_odd_info(out):
    bare = AnomalyOutput(**{**dict(out.items()), "info": {}})
    assert "a model without a name" in repr(bare)
    tested = {"healthy_scans": {"p_value": 0.25}, "domain": {"status": "outside"}}
    text = repr(AnomalyOutput(**{**dict(out.items()), "info": tested | {"warnings": ["odd", "too"]}}))
    assert "outside what the model knows; p = 0.25 among healthy scans" in text
    assert "odd (and 1 more in info['warnings'])" in text


def test_plot_is_a_figure_that_can_be_saved_and_shown(out, tmp_path):
    figure = out.plot()
    figure.savefig(tmp_path / "a.png")
    assert figure._repr_png_() == out._repr_png_()
    drawn, expected = (
        np.asarray(Image.open(file).convert("RGB"), dtype=int)
        for file in (tmp_path / "a.png", io.BytesIO(out._repr_png_()))
    )
    assert drawn.shape == expected.shape
    assert np.abs(drawn - expected).mean() < 1
    with pytest.raises(ValueError, match="expected a result with a threshold"):
        AnomalyOutput(**{**dict(out.items()), "info": {}}).plot()


def test_show_is_the_figure_where_there_is_no_viewer(out, monkeypatch):
    monkeypatch.setattr("diffad.report.notebook.importlib.util.find_spec", lambda name: None)
    assert out.show().get_size_inches().min() > 2


def test_show_is_a_viewer_where_ipyniivue_is_installed(out, pipe, monkeypatch):
    class NiiVue:
        def __init__(self, height):
            self.height = height

        def load_volumes(self, volumes):
            self.volumes = volumes

    stand_in = types.ModuleType("ipyniivue")
    stand_in.NiiVue = NiiVue
    stand_in.__spec__ = importlib.machinery.ModuleSpec("ipyniivue", None)
    monkeypatch.setitem(sys.modules, "ipyniivue", stand_in)
    scan, heat = out.show().volumes
    assert heat["cal_min"] == out.info["threshold"] < heat["cal_max"]
    image = nib.Nifti1Image.from_bytes(scan["data"])
    assert np.array_equal(np.asarray(image.dataobj), out.to_nifti()["twin"].dataobj) is False
    assert np.array_equal(image.affine, out.to_nifti()["anomaly"].affine)
    assert not isinstance(pipe(torch.rand(1, 1, 32, 32)).show(), NiiVue)
