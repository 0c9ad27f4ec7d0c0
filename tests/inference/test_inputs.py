"""Whatever a caller holds is read as the same scan, or refused by one sentence."""

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffad import AnomalyPipeline, Volume
from diffad.data.nibabel_image import read_nibabel_image
from diffad.inference.inputs import KINDS, adapt_scan, read_input
from tests.helpers.brains import brain, save_image, save_volume
from tests.helpers.cohorts import write_model

LAS = np.diag([-1.0, 1, 2, 1])


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("inputs") / "m"))


@pytest.fixture
def path(tmp_path):
    return save_volume(tmp_path / "sub-01_T1w.nii.gz", affine=LAS)


def same(one, two):
    return torch.equal(one.image, two.image) and torch.equal(one.brain, two.brain)


def read(scan, mask=None, region=None, channels=1):
    return read_input(scan, mask, region, channels)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_nibabel_image_is_its_file(tmp_path, kind):
    path = save_volume(tmp_path / "a.nii.gz", affine=LAS, data=brain().astype(kind))
    image, source = nib.load(path), read(path)
    for scan in (
        image,
        nib.Nifti1Image(np.asarray(image.dataobj), image.affine),
        nib.Nifti2Image.from_image(image),
    ):
        other = read(scan)
        assert same(other, source)
        assert np.array_equal(other.volume.affine, source.volume.affine)
        assert other.warnings == source.warnings
    assert read(image).volume.path == path
    assert read(nib.Nifti1Image(brain(), LAS)).name == "scan.nii.gz"


def test_scaled_image_of_integers_is_read_as_its_file_is(tmp_path):
    image = nib.Nifti1Image(brain(), LAS)
    image.set_data_dtype(np.uint8)
    nib.save(image, tmp_path / "scaled.nii")
    assert same(read(nib.load(tmp_path / "scaled.nii")), read(tmp_path / "scaled.nii"))


@pytest.mark.parametrize("kind", [nib.MGHImage, nib.Nifti1Pair, nib.Spm99AnalyzeImage])
def test_images_of_other_formats_are_read(kind):
    source = read(kind(brain(), np.eye(4)))
    assert sorted(source.image.flatten().tolist()) == sorted(brain().flatten().tolist())


def test_maps_of_a_nibabel_image_lie_on_its_grid(pipe, path):
    image = nib.load(path)
    out = pipe(image)
    assert torch.equal(out.anomaly_map, pipe(path).anomaly_map)
    assert np.array_equal(out.to_nifti()["anomaly"].affine, image.affine)
    assert out.name == "sub-01_T1w"


def test_sequences_may_be_nibabel_images(tmp_path):
    paths = [save_volume(tmp_path / f"{s}.nii.gz", seed=s) for s in range(2)]
    assert same(read([nib.load(p) for p in paths], channels=2), read(paths, channels=2))


def test_mask_and_region_may_be_nibabel_images(path):
    image = nib.load(path)
    values = (brain() > 0).astype(np.uint8)
    mask, half = (nib.Nifti1Image(v, image.affine) for v in (values, values * (np.arange(10) < 5)))
    source = read(path, mask, half)
    assert same(source, read(path))
    assert 0 < source.region.sum() < source.brain.sum()
    with pytest.raises(ValueError, match="expected the grid of"):
        read(path, nib.Nifti1Image(values, np.eye(4) * 3))
    with pytest.raises(TypeError, match="expected the mask of a tensor as a tensor"):
        read(torch.rand(1, 1, 9, 9), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 3])
def test_slice_is_the_same_as_path_picture_array_and_tensor(tmp_path, dtype, channels):
    if channels and dtype == np.uint16:
        pytest.skip("no PNG of 16 bits and colours")
    path = save_image(tmp_path / "slice.png", dtype=dtype, channels=channels)
    source = read(str(path))
    assert source.image.shape == (1, 1, 20, 16)
    assert source.name == str(path)
    assert same(read(Image.open(path)), source)
    pixels = np.asarray(Image.open(path))
    plane = pixels if channels is None else pixels[..., 0]
    assert same(read(plane), source)
    assert same(read(plane / np.float64(np.iinfo(dtype).max)), source)
    assert same(read(torch.from_numpy(plane.astype(np.float32))[None, None] / np.iinfo(dtype).max), source)
    assert read(path, channels=3).image.shape[1] == (channels or 1)


def test_mask_of_a_slice_may_be_a_picture_too(tmp_path):
    path, mask = save_image(tmp_path / "slice.png"), np.zeros((20, 16), np.uint8)
    mask[5:15, 4:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    sources = [read(path, m) for m in (tmp_path / "mask.png", Image.open(tmp_path / "mask.png"), mask)]
    assert all(int(source.brain.sum()) == 80 for source in sources)


def test_batch_may_be_an_array(pipe):
    x = torch.rand(2, 1, 18, 15)
    assert torch.equal(pipe(x.numpy()).anomaly_map, pipe(x).anomaly_map)


REFUSED = [
    (None, TypeError, "expected a scan as a path, .* got NoneType"),
    (5, TypeError, "expected a scan as"),
    ({}, TypeError, "expected a scan as"),
    ([], TypeError, "expected a scan as"),
    (b"scan", TypeError, "expected a scan as"),
    ([np.zeros((9, 9))], TypeError, "expected a list of paths or of nibabel images, .* got one of ndarray"),
    (["a.nii.gz", 3], TypeError, "expected a list of paths or of nibabel images"),
    (["a.png"], ValueError, r"a\.png: expected the sequences of one volume in a list, found an image"),
    (
        np.zeros((3, 4, 5)),
        ValueError,
        r"got shape \(3, 4, 5\); as a volume it lacks the size .* diffad\.Volume",
    ),
    (np.zeros(4), ValueError, r"expected an array \(H, W\) or \(B, C, \*S\) of numbers"),
    (np.array([["a"]]), ValueError, r"expected an array \(H, W\) or \(B, C, \*S\) of numbers"),
    (np.full((9, 9), 7.0), ValueError, r"expected a tensor in \[0, 1\], got values 7 to 7"),
    (nib.Nifti1Image(np.full((3, 3, 3), np.nan, np.float32), None), ValueError, "expected finite voxels"),
    (nib.Nifti1Image(np.zeros((3, 3, 3), np.complex64), np.eye(4)), ValueError, "one real number"),
    ("nowhere.png", ValueError, r"nowhere\.png: expected an image, found no such file"),
]


@pytest.mark.parametrize(("scan", "kind", "said"), REFUSED)
def test_what_is_no_scan_is_refused_by_one_sentence(scan, kind, said):
    with pytest.raises(kind, match=said) as error:
        read(scan)
    assert "\n" not in str(error.value)


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.none(), st.integers(), st.booleans(), st.floats(allow_subnormal=False), st.binary(max_size=3),
        st.complex_numbers(allow_subnormal=False),
        st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
        st.lists(st.sampled_from([np.zeros(3), "a.nii", 4, None, nib.Nifti1Image]), min_size=1, max_size=3),
    )
)  # fmt: skip
def test_nothing_else_ends_in_another_error(scan):
    """Whatever it is: a sentence, or names of files that are looked for."""
    sentence = refuse(scan)
    assert sentence is None or sentence.startswith("expected ")


def refuse(scan):
    """What is said of a scan; none for names of files, which are looked for later."""
    try:
        assert adapt_scan(scan, 1) is scan
    except (TypeError, ValueError) as error:
        return str(error)
    return None if all(isinstance(word, str) for word in scan) else "it passed"


def test_kinds_are_those_of_the_documentation():
    text = AnomalyPipeline.__call__.__doc__
    for word in ("nibabel image", "Volume", "Pillow image", "PNG", "array (H, W)"):
        assert word in text
    assert "nibabel image" in KINDS


def test_volume_and_tensor_pass_as_they_are():
    volume, tensor = Volume(np.ones((1, 2, 2, 2)), np.eye(4)), torch.rand(1, 1, 4, 4)
    assert adapt_scan(volume, 1) is volume
    assert adapt_scan(tensor, 1) is tensor
    with pytest.raises(ValueError, match="expected contrast"):
        read_nibabel_image(nib.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4)))
