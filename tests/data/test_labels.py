"""Scans are healthy or diseased as folders, tables or lesion masks say; what is missing is named."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.config import SpaceConfig
from diffad.data import volumes
from diffad.data.images import Images
from diffad.data.items import DataError, TrainingItem
from diffad.data.labels import LabelRule, require_both
from diffad.data.volumes import Volumes
from tests.helpers.brains import SHAPE, brain, save_image, save_volume

SPACE = SpaceConfig(size=16)
ALL = {"shares": {"train": 1.0}, "space": SPACE}


def by_subject(data):
    return {item.subject: item.label for item in data}


def lesion(*slices):
    """A lesion mask with one voxel in each of these axial slices."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[6, 7, list(slices)] = 1
    return mask


@pytest.fixture
def pictures(tmp_path):
    """Two healthy and two diseased images, in folders of their own."""
    for i, name in enumerate(["healthy/a", "Normal/b", "lesion/c", "1/d"]):
        save_image(tmp_path / "train" / f"{name}.png", seed=i)
    return tmp_path


@pytest.fixture
def scans(tmp_path):
    """Three volumes in one folder."""
    for i in range(3):
        save_volume(tmp_path / f"sub-{i}_T1w.nii.gz", seed=i)
    return tmp_path


def test_items_have_no_label_unless_asked(scans, tmp_path):
    assert TrainingItem(torch.zeros(1, 2, 2), torch.ones(1, 2, 2), "me").label is None
    save_image(tmp_path / "a.png")
    for data in (Volumes(str(scans), **ALL), Images(str(tmp_path), **ALL)):
        assert {item.label for item in data} == {None}


def test_folders_of_images_are_labels(pictures):
    data = Images(str(pictures), labels="folder", space=SPACE)
    assert by_subject(data) == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_folders_of_images_without_splits_are_labels_too(pictures):
    data = Images(str(pictures / "train"), labels="folder", **ALL)
    assert by_subject(data) == {"a": 0, "b": 0, "c": 1, "d": 1}


@pytest.mark.parametrize("split", ["train", "val"])
def test_folders_of_volumes_are_labels_and_not_subjects(tmp_path, split):
    for i, name in enumerate(["healthy/a", "healthy/b", "tumour/c/x", "tumour/c/y"]):
        save_volume(tmp_path / "train" / f"{name}.nii.gz", seed=i)
        save_volume(tmp_path / "val" / f"{name.replace('/', '/v')}.nii.gz", seed=10 + i)
    data = Volumes(str(tmp_path), split, SPACE, labels="folder")
    mark = "v" if split == "val" else ""
    assert by_subject(data) == {f"{mark}a": 0, f"{mark}b": 0, f"{mark}c": 1}


def test_subjects_of_a_table_are_below_the_folders_of_labels(tmp_path):
    for i, name in enumerate(["train/healthy/a/x", "train/healthy/b/x", "train/diseased/c/x"]):
        save_volume(tmp_path / f"{name}.nii.gz", seed=i)
    rows = [p.relative_to(tmp_path).as_posix() + ",train" for p in sorted(tmp_path.rglob("*.gz"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,split", *rows]))
    data = Volumes(str(tmp_path), csv="list.csv", labels="folder", space=SPACE)
    assert by_subject(data) == {"a": 0, "b": 0, "c": 1}


def test_unknown_folders_are_listed(pictures):
    save_image(pictures / "train" / "odd" / "e.png", seed=9)
    save_image(pictures / "train" / "Dunno" / "f.png", seed=10)
    with pytest.raises(
        DataError, match=r"expected folders with the name of a label \(healthy.*, found Dunno, odd$"
    ):
        Images(str(pictures), labels="folder", space=SPACE)


def test_scans_outside_of_folders_are_named_and_counted(pictures):
    for i in range(4):
        save_image(pictures / "train" / f"z{i}.png", seed=20 + i)
    with pytest.raises(
        DataError, match=r"in their folders, found none for 4 of 8: .*z0\.png, .*z2\.png, \.\.\.$"
    ):
        Images(str(pictures), labels="folder", space=SPACE)


@pytest.mark.parametrize(
    "text",
    [
        "file,label\nsub-0_T1w.nii.gz,healthy\nsub-1_T1w.nii.gz, Diseased\nsub-2_T1w.nii.gz,healthy\n",
        "subject,label\nsub-0,0\nsub-1,1\nsub-2,0\n",
        "path,label,more\n./sub-0_T1w.nii.gz,0,x\n,0,\nsub-1_T1w.nii.gz,1,x\nsub-2_T1w.nii.gz,0,x\n",
    ],
)
def test_table_labels_whole_volumes(scans, text):
    (scans / "labels.csv").write_text(text)
    for labels in ("labels.csv", str(scans / "labels.csv")):
        data = Volumes(str(scans), labels=labels, **ALL)
        assert by_subject(data) == {"sub-0": 0, "sub-1": 1, "sub-2": 0}
        assert len(data) > 20
    for item in Volumes(
        str(scans), labels="labels.csv", shares=ALL["shares"], space=SpaceConfig(axis="volume")
    ):
        assert item.label == int(item.subject == "sub-1")


def test_table_labels_images_by_path_where_names_repeat(tmp_path):
    for i, name in enumerate(["one/a", "two/a"]):
        save_image(tmp_path / name / "train" / "x.png", seed=i)
        (tmp_path / name / "labels.csv").write_text(f"file,label\ntrain/x.png,{i}\n")
        assert by_subject(Images(str(tmp_path / name), labels="labels.csv", space=SPACE)) == {"x": i}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,class\na,0\n",
            r"labels\.csv: expected the columns file \(or subject\) and label, found file, class",
        ),
        ("label\n0\n", r"expected the columns file .* found label"),
        ("", "found an empty file"),
        ("subject,label\nsub-0,2\n", r"labels\.csv, line 2: expected a label \(healthy, .* found '2'"),
        ("subject,label\nsub-0\n", r"line 2: expected a label .* found ''"),
        (
            "subject,label\nsub-0,0\nsub-0,1\n",
            r"line 3: expected one label for 'sub-0', found healthy and dis",
        ),
        (
            "subject,label\nsub-1,1\n",
            r"labels\.csv, found none for 2 of 3: .*sub-0_T1w\.nii\.gz, .*sub-2_T1w",
        ),
    ],
)
def test_tables_that_do_not_tell_are_refused(scans, text, message):
    (scans / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Volumes(str(scans), labels="labels.csv", **ALL)


def test_absent_table_is_named(scans):
    with pytest.raises(
        DataError, match=r"absent\.csv: expected a CSV of labels, found a file that cannot be read"
    ):
        Volumes(str(scans), labels="absent.csv", **ALL)


@pytest.mark.parametrize("labels", [{"mask": "x"}, {"masks": "a", "more": "b"}, {}])
def test_mapping_of_anything_but_masks_is_refused(labels, tmp_path):
    with pytest.raises(DataError, match=r"expected labels \{masks: NAME\}, got"):
        LabelRule.parse(labels, tmp_path, "*_lesion.png")


def test_lesion_masks_label_each_slice(scans):
    for i, slices in enumerate([(), (4, 5), (3,)]):
        save_volume(scans / f"sub-{i}_lesion.nii.gz", data=lesion(*slices))
    data = Volumes(str(scans), labels="masks", min_brain=0.0, **ALL)
    plain = Volumes(str(scans), pattern="*T1w.nii.gz", min_brain=0.0, **ALL)
    assert len(data.scans) == 3
    assert [x.image.equal(y.image) and x.mask.equal(y.mask) for x, y in zip(data, plain, strict=True)]
    result = {s: [item.label for item in data if item.subject == s] for s in ("sub-0", "sub-1", "sub-2")}
    assert not any(result["sub-0"])
    # the brain is in slices 1 to 8
    assert [k + 1 for k, label in enumerate(result["sub-1"]) if label] == [4, 5]
    assert [k + 1 for k, label in enumerate(result["sub-2"]) if label] == [3]


@pytest.mark.parametrize(("axis", "positions"), [("coronal", [7]), ("sagittal", [6]), ("volume", [0])])
def test_lesion_masks_are_cut_as_the_scan(tmp_path, axis, positions):
    data = brain() + 1
    data[0, 0, 0] = 2  # without a constant background all of it is brain
    save_volume(tmp_path / "a.nii.gz", data=data)
    save_volume(tmp_path / "a_lesion.nii.gz", data=lesion(4))
    space = SpaceConfig(size=16, axis=axis)
    data = Volumes(str(tmp_path), labels="masks", space=space, shares=ALL["shares"], min_brain=0.0)
    assert [k for k, item in enumerate(data) if item.label] == positions


def test_slices_left_out_do_not_shift_labels(tmp_path):
    save_volume(tmp_path / "a.nii.gz")
    save_volume(tmp_path / "a_lesion.nii.gz", data=lesion(1, 5))
    every, some = (Volumes(str(tmp_path), labels="masks", min_brain=m, **ALL) for m in (0.0, 0.3))
    assert len(some) < len(every)
    expected = [item.label for item in every if item.mask.mean() >= 0.3]
    assert [item.label for item in some] == expected
    assert sum(expected) == 1


def test_missing_lesion_masks_are_named_and_counted(scans):
    save_volume(scans / "sub-1_lesion.nii.gz", data=lesion(4))
    expected = (
        r"in lesion masks \*_lesion\.nii\.gz beside them, found none for 2 of 3: .*sub-0_T1w.*sub-2_T1w"
    )
    with pytest.raises(DataError, match=expected):
        Volumes(str(scans), labels="masks", **ALL)


def test_lesion_mask_of_another_shape_is_named(tmp_path):
    save_volume(tmp_path / "a.nii.gz")
    save_volume(tmp_path / "a_seg.nii.gz", data=np.zeros((12, 14, 11), np.uint8))
    with pytest.raises(ValueError, match=r"a_seg\.nii\.gz: expected the grid of .*a\.nii\.gz"):
        Volumes(str(tmp_path), labels={"masks": "*_seg.nii.gz"}, **ALL)
    save_image(tmp_path / "a.png")
    Image.new("L", (16, 19)).save(tmp_path / "a_seg.png")
    with pytest.raises(
        DataError, match=r"a_seg\.png: expected a lesion mask of the size \(20, 16\), found \(19, 16\)"
    ):
        Images(str(tmp_path), labels={"masks": "*_seg.png"}, **ALL)


def test_lesion_masks_beside_images_are_labels_and_no_scans(tmp_path):
    for i, name in enumerate(["a", "b"]):
        save_image(tmp_path / f"{name}.png", seed=i)
        mask = np.zeros((20, 16), np.uint8)
        mask[7, 8] = i
        Image.fromarray(mask).save(tmp_path / f"{name}_lesion.png")
    assert by_subject(Images(str(tmp_path), labels="masks", **ALL)) == {"a": 0, "b": 1}


def test_caches_with_and_without_labels_are_kept_apart(scans, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("kept")
    masks = [save_volume(scans / f"sub-{i}_lesion.nii.gz", data=lesion(3 + i)) for i in range(3)]

    def load(labels, **options):
        data = Volumes(str(scans), pattern="*T1w.nii.gz", labels=labels, **ALL, **options)
        return [(item.label, item.mask.sum().item(), item.image.sum().item()) for item in data]

    (scans / "labels.csv").write_text("subject,label\nsub-0,0\nsub-1,1\nsub-2,0\n")
    fresh = {labels: load(labels) for labels in (None, "masks", "labels.csv")}
    for labels, count in ((None, 3), ("masks", 6), ("labels.csv", 6)):
        assert load(labels, cache=str(folder)) == fresh[labels]
        assert len(list(folder.iterdir())) == count
    reads = []
    monkeypatch.setattr(volumes, "read_scan", lambda files, mask=None: reads.append(files))
    assert load("masks", cache=str(folder)) == fresh["masks"]
    assert load(None, cache=str(folder)) == fresh[None]
    assert not reads
    monkeypatch.undo()
    save_volume(masks[0], data=lesion())
    changed = load("masks", cache=str(folder))
    assert changed == load("masks") != fresh["masks"]


def test_classifier_needs_both_classes_and_all_labels():
    require_both([0, 1, 0], "root")
    with pytest.raises(
        DataError, match=r"root: expected healthy and diseased scans, found only healthy \(465\)$"
    ):
        require_both([0] * 465, "root")
    with pytest.raises(DataError, match=r"found only diseased \(2\)$"):
        require_both([1, 1], "root")
    with pytest.raises(DataError, match="found none for 2 of 3"):
        require_both([0, None, None], "root")
    with pytest.raises(DataError, match=r"found none$"):
        require_both([], "root")
