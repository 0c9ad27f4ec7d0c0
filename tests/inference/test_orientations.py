"""Slices along any axis, their fusion, and noise that neighbours share."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffad.data.volume import Volume
from diffad.inference.orientations import FUSIONS, derive_noise_keys, fuse_maps
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import brain, write_model

AXES = ("axial", "coronal", "sagittal")
SPACING = np.diag([2.0, 2.0, 5.0, 1.0])


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def scan():
    return Volume(brain(0)[None], SPACING)


def test_own_axis_is_what_it_is_without_asking(pipe, scan):
    plain, asked = pipe(scan), pipe(scan, axes=["axial"])
    assert torch.equal(plain.anomaly_map, asked.anomaly_map)
    assert torch.equal(plain.reconstruction, asked.reconstruction)
    assert asked.info["axes"] == ["axial"]
    assert not any("beyond what it learned" in warning for warning in asked.info["warnings"])


@pytest.mark.parametrize(("axis", "index"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_analysed_mask_is_cut_along_the_axis_in_ras(pipe, scan, axis, index):
    out = pipe(scan, axes=[axis], slices=(4, 7))
    analysed, whole = (mask[0, 0].movedim(index, 0) for mask in (out.analysed, out.brain))
    assert torch.equal(analysed[4:7], whole[4:7])
    assert analysed.any()
    assert not analysed[:4].any()
    assert not analysed[7:].any()
    assert (out.info["axis"], out.info["slice_range"]) == (axis, [4, 7])


@pytest.mark.parametrize("fusion", ["mean", "median", "min", "max"])
def test_fused_map_is_that_of_numpy(pipe, scan, fusion):
    single = np.stack([pipe(scan, axes=[axis]).anomaly_map.numpy() for axis in AXES])
    fused = pipe(scan, axes=AXES, fusion=fusion)
    assert np.allclose(fused.anomaly_map.numpy(), getattr(np, fusion)(single, 0), atol=1e-6)
    assert fused.info["threshold_rule"] == "otsu"
    assert "trained on axial" in fused.info["warnings"][0]


def test_order_of_axes_and_batch_size_change_nothing(pipe, scan):
    one, other = pipe(scan, axes=AXES), pipe(scan, axes=AXES[::-1], batch_size=3)
    assert torch.allclose(one.anomaly_map, other.anomaly_map, atol=1e-5)


def test_thick_slices_are_rebuilt_in_proportion(pipe, scan):
    out = pipe(scan, axes=["sagittal"])
    assert out.anomaly_map.shape == out.image.shape
    outside = ~out.brain
    assert torch.equal(out.reconstruction[outside], out.image[outside])
    assert out.anomaly_map[out.brain].any()


def test_noise_of_a_scan_is_shared_by_its_slices():
    keys = derive_noise_keys([3, 4, 9], "axial", "axial", "scan")
    assert keys == [0, 0, 0]
    assert derive_noise_keys([3, 4], "axial", "axial", "slice") == [3, 4]


@given(axes=st.permutations(AXES), count=st.integers(1, 2000))
def test_no_two_axes_share_noise(axes, count):
    keys = [set(derive_noise_keys(range(count), axis, "axial", "slice")) for axis in axes]
    assert len(set.union(*keys)) == 3 * count


def test_shared_noise_makes_equal_slices_of_equal_slices(pipe):
    plane = brain(0)[:, :, 5]
    scan = Volume(np.repeat(plane[:, :, None], 4, 2)[None], np.diag([2.0, 2, 3, 1]))
    alike = pipe(scan, noise_across="scan").anomaly_map[0, 0]
    assert torch.allclose(alike[..., 0], alike[..., 3], atol=1e-5)
    own = pipe(scan).anomaly_map[0, 0]
    assert not torch.allclose(own[..., 0], own[..., 3], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": ["axial", "axial"]}, "each once"),
        ({"axes": ["oblique"]}, "axes: expected sagittal"),
        ({"axes": []}, "each once"),
        ({"axes": AXES, "slices": (2, 5)}, "along one axis only"),
        ({"noise_across": "cohort"}, "noise_across: expected slice or scan"),
        ({"axes": AXES, "fusion": "vote"}, "fusion: expected mean"),
    ],
)
def test_wrong_axes_are_one_clear_error(pipe, scan, options, message):
    with pytest.raises(ValueError, match=message):
        pipe(scan, **options)


def test_image_has_no_axes(pipe):
    with pytest.raises(ValueError, match="expected none for an image"):
        pipe(torch.rand(1, 1, 32, 32), axes=["axial"])


@pytest.mark.parametrize("how", FUSIONS)
def test_fusion_of_one_is_itself_and_of_equal_ones_too(how):
    one = torch.rand(4, 5)
    assert torch.equal(fuse_maps([one], how), one)
    assert torch.allclose(fuse_maps([one, one], how), one, atol=1e-6)


def test_maps_of_other_shapes_are_not_fused():
    with pytest.raises(ValueError, match="one shape"):
        fuse_maps([torch.rand(2), torch.rand(3)])
    with pytest.raises(ValueError, match="none"):
        fuse_maps([])
