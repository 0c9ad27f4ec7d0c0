"""The data set of synthetic scans: what its items are, and what it refuses."""

import re

import numpy as np
import pytest
import torch

from diffad.config import SpaceConfig
from diffad.data.items import DataError, Generative, HoldsScans
from diffad.data.space import Space
from diffad.data.synthesis.tissues import TISSUES
from diffad.data.synthetic import WHOLE_BOX, LabelMaps, weigh_contrasts
from diffad.inference.features import measure_features
from diffad.registry import UnknownNameError
from diffad.types import generator_for
from tests.helpers.label_maps import make_labels, save_labels

SPACE = SpaceConfig(size=48, fov=200.0)
ALL = {"train": 1.0}


def build(folder, **options):
    return LabelMaps(str(folder), **{"space": SPACE, "shares": ALL, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("maps")
    save_labels(path / "a.nii.gz")
    return path


def test_draw_follows_from_the_generator_alone_and_differs_between_two(folder):
    data = build(folder)
    assert isinstance(data, Generative)
    one, same, other = (data.draw(20, generator_for(1, g)) for g in (5, 5, 6))
    assert torch.equal(one.image, same.image)
    assert torch.equal(one.mask, same.mask)
    assert not torch.equal(one.image, other.image)


@pytest.mark.parametrize("contrast", ["t1", "t1-like", "t2", "flair", "pd", "ct", "random"])
def test_items_of_every_contrast_are_images_in_the_unit_range(folder, contrast):
    data = build(folder, contrast=contrast)
    for seed in range(4):
        item = data.draw(len(data) // 2, generator_for(seed))
        assert item.image.isfinite().all()
        assert 0 <= float(item.image.min()) <= 0.5 < float(item.image.max()) <= 1
        assert not item.image[item.mask == 0].any()
        assert 0.15 < float(item.mask.mean()) < 0.6


def measure_tissues(folder, contrast, seeds=8):
    """Return the mean intensity of cortex, white matter and ventricle over draws without changes of shape."""
    data = build(folder, contrast=contrast, deform=0, strip=False)
    labels = make_labels()
    k = int(np.flatnonzero((labels == 4).any((0, 1))).mean())
    rows = []
    for seed in range(seeds):
        image = data.draw(len(data) // 2, generator_for(seed)).image[0].numpy()
        rows.append([image[24, 24 - 14], image[24 - 12, 24 - 4], np.median(image[21:27, 20:22])])
    assert (labels[:, :, k] == 4).any()
    return np.mean(rows, 0)


def test_t1_shows_white_matter_brightest_and_fluid_darkest(folder):
    cortex, white, fluid = measure_tissues(folder, "t1")
    assert fluid < cortex < white


def test_t2_shows_fluid_brightest_and_white_matter_darkest(folder):
    cortex, white, fluid = measure_tissues(folder, "t2")
    assert white < cortex < fluid


def test_flair_shows_fluid_darkest_and_cortex_brightest(folder):
    cortex, white, fluid = measure_tissues(folder, "flair")
    assert fluid < white < cortex


@pytest.mark.parametrize("kind", ["freesurfer", "muse", "tissue"])
def test_table_is_recognised(tmp_path, kind):
    save_labels(tmp_path / "a.nii.gz", kind)
    data = build(tmp_path, contrast="t2", strip=False)
    assert data.draw(len(data) // 2, generator_for(0)).mask.sum() > 300


def test_maps_without_outer_fluid_get_a_rim_of_it(tmp_path):
    save_labels(tmp_path / "a.nii.gz", "muse")
    head = build(tmp_path)._items[0][0]
    rim = (head.depth > 0) & (head.depth < 8 * 3)
    assert (head.tissues[rim] == TISSUES.index("csf")).float().mean() > 0.9


def test_lesions_among_the_labels_become_white_matter(tmp_path):
    data = make_labels()
    data[20:26, 40:44, 30:34] = 77
    save_labels(tmp_path / "lesion.nii.gz", data=data)
    data[data == 77] = 2
    save_labels(tmp_path / "none.nii.gz", data=data)
    items = build(tmp_path)._items
    assert items[0][0] is not items[-1][0]
    assert torch.equal(items[0][0].tissues, items[-1][0].tissues)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_of_every_axis_show_a_brain(folder, axis):
    data = build(folder, space=SpaceConfig(size=48, fov=220.0, axis=axis))
    assert float(data[len(data) // 2].mask.mean()) > 0.1


@pytest.mark.parametrize(("axis", "plane"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_slices_know_their_place_in_the_brain(folder, axis, plane):
    data = build(folder, space=SpaceConfig(size=48, fov=220.0, axis=axis), min_brain=0)
    places = [data[i].place for i in range(len(data))]
    assert {place.orientation for place in places} == {plane}
    positions = [place.position for place in places]
    assert positions == sorted(positions)
    assert positions[0] < 0.03
    assert positions[-1] > 0.97


def test_one_data_set_holds_slices_of_several_planes(folder):
    data = build(folder, space=SpaceConfig(size=48, fov=220.0, further_axes=["coronal", "sagittal"]))
    assert {data[i].place.orientation for i in range(0, len(data), 10)} == {0, 1, 2}
    assert all(float(data[i].mask.mean()) > 0.02 for i in range(5, len(data), 20))


def test_axis_volume_paints_boxes(folder):
    data = build(folder, space=SpaceConfig(axis="volume"), box=[40, 48, 40], voxel=4.0)
    item = data[0]
    assert len(data) == 1
    assert item.image.shape == item.mask.shape == (1, 40, 48, 40)
    assert 0.25 < float(item.mask.mean()) < 0.7


def test_window_of_a_slice_is_that_of_the_whole_head(folder):
    """A slice at the top, with little white matter, is not stretched to the full range."""
    data = build(folder, contrast="t1", strip=False, deform=0)
    images = [data.draw(i, generator_for(3)).image for i in range(len(data))]
    top, middle = images[-1], images[len(images) // 2]
    assert float(top.max()) < float(middle.max())


def test_ct_window_takes_hounsfield_units(folder):
    space = SpaceConfig(size=48, fov=200.0, intensity="ct")
    item = build(folder, space=space).draw(20, generator_for(0))
    assert 0.2 < float(item.image[item.mask > 0].median()) < 0.6


def test_thin_and_thick_voxels_make_brains_of_one_size(tmp_path):
    save_labels(tmp_path / "fine" / "a.nii.gz", spacing=(2.0, 2.0, 2.0))
    save_labels(tmp_path / "coarse" / "a.nii.gz", spacing=(3.0, 3.0, 3.0))
    options = {"deform": 0, "strip": False, "contrast": "t2"}
    areas = []
    for name in ("fine", "coarse"):
        data = build(tmp_path / name, **options)
        areas.append(max(float(data[i].mask.sum()) for i in range(len(data))))
    assert areas[0] == pytest.approx(areas[1], rel=0.06)


# What it refuses.


def test_unknown_labels_are_named_with_the_file(tmp_path):
    data = make_labels()
    data[0, 0, :2] = (9001, 9002)
    path = save_labels(tmp_path / "a.nii.gz", data=data)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}.*freesurfer.*9001, 9002.*data\.table"):
        build(tmp_path)


def test_table_of_a_user_names_the_tissues(tmp_path):
    data = make_labels("tissue") * 100
    save_labels(tmp_path / "a.nii.gz", data=data)
    table = tmp_path / "table.csv"
    table.write_text("label,tissue\n100,csf\n200,cortex\n300,white\n")
    assert len(build(tmp_path, table="table.csv")) > 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,name\n1,csf\n", "columns label and tissue"),
        ("label,tissue\nx,csf\n", "line 2: expected a label"),
        ("label,tissue\n1,fat\n", "expected a tissue .*found 'fat'"),
        ("label,tissue\n1,csf\n1,white\n", "one tissue for label 1"),
    ],
)
def test_table_that_cannot_be_used_is_refused(folder, tmp_path, text, message):
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        build(folder, table=str(table))


def test_scan_given_as_labels_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, make_labels().shape).astype(np.int16)
    save_labels(tmp_path / "a.nii.gz", data=noise)
    with pytest.raises(DataError, match=r"a\.nii\.gz: expected a label map.*it looks like a scan.*volumes"):
        build(tmp_path)


def test_scan_whose_values_could_be_labels_is_refused(tmp_path):
    data = np.random.default_rng(0).integers(100, 200, make_labels().shape).astype(np.int16)
    save_labels(tmp_path / "a.nii.gz", data=data)
    with pytest.raises(DataError, match=r"it looks like a scan"):
        build(tmp_path)


def test_fractions_given_as_labels_are_refused(tmp_path):
    save_labels(tmp_path / "a.nii.gz", data=make_labels().astype(np.float32) / 3)
    with pytest.raises(DataError, match=r"whole numbers.*looks like a scan"):
        build(tmp_path)


def test_mask_given_as_labels_is_refused(tmp_path):
    save_labels(tmp_path / "a.nii.gz", data=(make_labels() > 0).astype(np.int16))
    with pytest.raises(DataError, match=r"labels of a whole brain.*found background, csf only"):
        build(tmp_path)


def test_thick_voxels_in_the_plane_are_refused_with_a_plane_that_works(tmp_path):
    save_labels(tmp_path / "a.nii.gz", spacing=(2.0, 2.0, 6.0))
    with pytest.raises(DataError, match=r"2 x 2 x 6 mm; take slices with space\.axis=axial"):
        build(tmp_path, space=SpaceConfig(size=48, fov=220.0, axis="coronal"))
    with pytest.warns(UserWarning, match="uneven, 2 x 2 x 6 mm"):
        assert len(build(tmp_path)) > 5


def test_half_a_brain_is_painted_with_a_warning(tmp_path):
    save_labels(tmp_path / "a.nii.gz", data=make_labels()[:, :, :32])
    with (
        pytest.warns(UserWarning, match="cut at the top"),
        pytest.warns(UserWarning, match="ml, and adults have"),
    ):
        assert len(build(tmp_path)) > 5


def test_subject_in_two_splits_is_refused(tmp_path):
    for split in ("train", "val"):
        save_labels(tmp_path / split / "sub-1_seg.nii.gz")
    with pytest.raises(DataError, match=r"sub-1 \(train, val\)"):
        build(tmp_path, shares={"train": 0.8, "val": 0.2})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": [8, 8, 8]}, r"data\.box with space\.axis=volume only"),
        ({"space": SpaceConfig(axis="volume")}, r"data\.box of three sizes"),
        (
            {"slices": [1, 2], "space": SpaceConfig(fov=200.0, further_axes=["coronal"])},
            "slices along one axis only",
        ),
        ({"contrast": {}}, "weight .* for each contrast"),
        ({"contrast": {"t1": -1}}, "at least 0"),
        ({"contrast": {"t1": 0}}, "above 0"),
        ({"contrast": "t1", "space": SpaceConfig(intensity="ct")}, "expected the contrast ct"),
        ({"deform": 2.0}, r"deform in \[0, 1\]"),
        ({"min_brain": 0.9}, "brain on at least 90.00% of the grid"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, options, message):
    with pytest.raises(DataError, match=message):
        build(folder, **options)


def test_unknown_contrast_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'flair'"):
        weigh_contrasts(["t1", "flar"], "percentile")


def test_whole_heads_are_painted_in_nominal_contrasts_for_calibration(tmp_path):
    for name in "abc":
        save_labels(tmp_path / f"{name}.nii.gz")
    data = build(tmp_path, contrast={"random": 1, "t1": 1, "t2": 2, "flair": 0})
    assert isinstance(data, HoldsScans)
    scans = list(data.read_scans())
    assert [site for site, *_ in scans] == ["painted t1", "painted t2", "painted t1"]
    for site, volume, brain in scans:
        assert volume.data.shape == (1, *WHOLE_BOX) == (1, *brain.shape)
        assert volume.spacing.tolist() == [2, 2, 2]
        assert not volume.data[0, ~brain].any()
        values = volume.data[0, brain]
        assert 100 < float(np.median(values)) < 2000, site
        assert 300 < measure_features(volume, torch.from_numpy(brain)).numbers["volume"] < 2500
    again = list(data.read_scans())
    assert all(np.array_equal(a[1].data, b[1].data) for a, b in zip(scans, again, strict=True))
    assert [site for site, *_ in data.read_scans(every=2)] == ["painted t1", "painted t2"]


def test_no_window_clips_the_brightest_fluid_of_whole_heads(folder):
    space = SpaceConfig(size=48, fov=200.0, high=90.0, headroom=0.05)
    ((_, volume, brain), *_) = build(folder, space=space, contrast="t2").read_scans()
    top = Space(space).window(volume.data, brain).upper[0]
    values = volume.data[0, brain]
    assert float(values.max()) > 1.1 * top
    assert np.isfinite(volume.data).all()
    assert 1 <= float(values.min()) < float(values.max()) < np.iinfo(np.int16).max


def test_whole_heads_of_a_ct_are_in_hounsfield_units(folder):
    data = build(folder, space=SpaceConfig(size=48, fov=200.0, intensity="ct"), contrast="ct")
    (site, volume, brain), *_ = data.read_scans()
    assert site == "painted ct"
    assert 10 < float(np.median(volume.data[0, brain])) < 60


def test_random_contrasts_have_no_whole_heads(folder):
    assert list(build(folder, contrast="random").read_scans()) == []
