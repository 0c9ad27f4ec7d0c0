"""Every detection names where it lies: in memory, in its tables, and with its side on any grid."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.data.atlas.place_atlas import load_place_atlas
from diffad.data.volume import Volume
from diffad.inference.lesions import describe_place, read_lesions, write_lesions
from diffad.inference.output import AnomalyOutput
from diffad.inference.placing import describe_template_map
from diffad.prepare.prepared_scan import PreparedScan
from diffad.report.places import explain_places
from tests.data.test_atlas import GRIDS, nod, write_head

PLACES = {
    "left": ((-24, 40, 8), "left frontal lobe"),
    "right": ((24, 40, 8), "right frontal lobe"),
}


def detect(volume, to_template, side, info=None):
    """Return a result whose one detection is a ball at a place of the template."""
    shape = volume.data.shape[1:]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    points = points @ to_template[:3, :3].T + to_template[:3, 3]
    mask = torch.from_numpy(((points - np.array(PLACES[side][0])) ** 2).sum(-1) <= 49)[None, None]
    image = torch.from_numpy(volume.data)[None]
    info = describe_template_map(image > 0, volume) if info is None else info
    return AnomalyOutput(mask.float(), image, mask, torch.zeros(1), info, image, image > 0, volume)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("side", PLACES)
def test_detection_names_its_side_on_any_grid(tmp_path, grid, side):
    to_template = write_head(tmp_path / "a.nii.gz", grid)
    volume = Volume.load(tmp_path / "a.nii.gz")
    (lesion,) = detect(volume, to_template, side).lesions()
    assert lesion.place.startswith(PLACES[side][1])
    assert (lesion.side, lesion.place_source) == (side, "brain shape")
    assert describe_place(lesion) == f"about {lesion.place}"
    assert lesion.centre_mm[0] * (1 if side == "right" else -1) > 0


@pytest.mark.parametrize("side", PLACES)
def test_tables_have_the_place(tmp_path, side):
    to_template = write_head(tmp_path / "a.nii.gz", "las")
    lesions = detect(Volume.load(tmp_path / "a.nii.gz"), to_template, side).lesions()
    paths = write_lesions(lesions, tmp_path, "a")
    assert read_lesions(paths["json"]) == lesions
    (row,) = csv.DictReader(paths["csv"].open())
    (entry,) = json.loads(paths["json"].read_text())["lesions"]
    for table in (row, entry):
        assert table["place"].startswith(PLACES[side][1])
        assert (table["side"], table["structure"], table["tissue"]) == (side, "frontal lobe", "white matter")
        assert table["place_source"] == "brain shape"


def test_table_from_before_places_had_names_is_read(tmp_path):
    to_template = write_head(tmp_path / "a.nii.gz", "ras")
    lesions = detect(Volume.load(tmp_path / "a.nii.gz"), to_template, "left").lesions()
    path = write_lesions(lesions, tmp_path, "a")["json"]
    table = json.loads(path.read_text())
    for key in ("place", "side", "structure", "tissue", "zone", "place_source"):
        del table["lesions"][0][key]
    path.write_text(json.dumps(table))
    (lesion,) = read_lesions(path)
    assert (lesion.place, describe_place(lesion)) == ("", "not known")
    table["lesions"][0]["place"] = 5
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match="expected lesions"):
        read_lesions(path)


def test_what_is_no_whole_brain_says_why_it_has_no_names(tmp_path):
    to_template = write_head(tmp_path / "a.nii.gz", "ras")
    volume = Volume.load(tmp_path / "a.nii.gz")
    half = volume.data.copy()
    half[:, :, :, :30] = 0
    out = detect(Volume(half, volume.affine), to_template, "left")
    assert all(lesion.place == "" for lesion in out.lesions())
    assert explain_places(out.info).startswith("Places have no names: expected the shape of a whole brain")
    assert explain_places({}) == ""


@pytest.mark.parametrize("register", ["affine", "rigid", "none"])
@pytest.mark.parametrize("side", PLACES)
def test_prepared_scan_names_places_by_its_registration(tmp_path, register, side):
    write_head(tmp_path / "a.nii.gz", "las")
    native = Volume.load(tmp_path / "a.nii.gz")
    to_native = np.linalg.inv(nod()) if register != "none" else np.eye(4)
    prepared = Volume(native.data, nod() @ native.affine if register != "none" else native.affine)
    brain = native.data[0] > 0
    record = {"options": {"register": register}}
    scan = PreparedScan(prepared, brain, native, brain, to_native, record)
    to_template = np.eye(4) if register != "none" else nod()
    out = scan.output(detect(prepared, to_template, side))
    (lesion,) = out.lesions()
    assert lesion.place.startswith(PLACES[side][1])
    assert lesion.place_source == ("registration" if register == "affine" else "brain shape")
    assert describe_place(lesion).startswith("about" if register != "affine" else side)
    if register == "affine":
        assert np.allclose(out.info["to_template"]["matrix"], nod(), atol=1e-5)


@pytest.mark.parametrize(
    ("shift", "code", "source"), [(0, 4, "registration"), (25, 4, "brain shape"), (0, 1, "brain shape")]
)
def test_scan_in_the_space_of_the_template_is_taken_as_registered(tmp_path, shift, code, source):
    atlas = load_place_atlas()
    affine = np.diag([-1.0, 1, 1, 1]) @ atlas.affine  # LAS: left and right as stored are the other way round
    affine[1, 3] += shift
    image = nib.Nifti1Image((atlas.labels > 0).astype(np.float32), affine)
    image.set_sform(affine, code=code)
    nib.save(image, tmp_path / "a.nii.gz")
    volume = Volume.load(tmp_path / "a.nii.gz")
    to_template = np.eye(4)
    to_template[1, 3] = -shift
    out = detect(volume, to_template, "left")
    assert out.info["to_template"]["source"] == source
    (lesion,) = out.lesions()
    assert lesion.place.startswith("left frontal lobe")
    slab = volume.data.copy()
    slab[..., :30] = slab[..., 50:] = 0
    slab_info = describe_template_map(torch.from_numpy(slab)[None] > 0, volume)
    expected = "registration" if code == 4 and not shift else "none"
    assert slab_info["to_template"]["source"] == expected


@pytest.mark.shared
@pytest.mark.parametrize(
    ("scan", "lesions"),
    [
        ("ms_patient07/p07_FLAIR", "ms_patient07/p07_lesions"),
        ("glioma_pat0001/pat0001_FLAIR", "glioma_pat0001/pat0001_lesions"),
        ("glioma_pat0005/pat0005_FLAIR", "glioma_pat0005/pat0005_lesions"),
    ],
)
def test_real_lesions_away_from_the_middle_are_named_on_their_side(shared_dir, scan, lesions):
    folder = shared_dir / "data" / "brains"
    volume = Volume.load(folder / f"{scan}.nii.gz")
    mask = torch.from_numpy(Volume.load(folder / f"{lesions}.nii.gz").data)[None] > 0
    image = torch.from_numpy(volume.data)[None]
    brain = image > float(image.flatten()[0])
    info = describe_template_map(brain, volume)
    out = AnomalyOutput(mask.float(), image, mask, torch.zeros(1), info, image, brain, volume)
    points = np.argwhere(brain[0, 0].numpy())
    middle = (points @ volume.affine[:3, :3].T + volume.affine[:3, 3])[:, 0].mean()
    checked = [lesion for lesion in out.lesions(smallest_ml=0.01) if abs(lesion.centre_mm[0] - middle) > 10]
    assert checked
    for lesion in checked:
        assert lesion.side in ("both", "left" if lesion.centre_mm[0] < middle else "right"), lesion
