"""Published data sets in miniature: recognised, listed, and told what is wrong with them."""

import csv
import json
import os

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from diffad.cli import main
from diffad.data.items import DataError
from diffad.data.labels import read_rows
from diffad.data.layouts.check import check_dataset
from diffad.data.layouts.find import list_entries, recognise
from diffad.data.layouts.sheet import read_sheet
from diffad.registry import UnknownNameError

COUNT = iter(range(10**6))


def nifti(root, *names, data=None):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = any(word in name for word in ("seg", "mask", "gt", "wmh"))
        voxels = np.zeros((4, 4, 4), np.uint8) if mask else np.full((4, 4, 4), 1, np.float32)
        voxels[1:3, 1:3, 1:3] = 1 if mask else 2 + next(COUNT)
        nib.save(nib.Nifti1Image(voxels if data is None else data, np.eye(4)), path)


def png(root, *names, grey=None):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = any(word in name for word in ("mask", "label/", "annotation", "lesion", "anno_pos"))
        values = np.zeros((8, 8), np.uint8)
        values[2:5, 2:5] = (255 if mask else 1 + next(COUNT) % 250) if grey is None else grey
        values[0, 0] = 0 if mask else next(COUNT) % 250
        Image.fromarray(values).save(path)


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def brats2020(root):
    for i in (1, 2):
        case = f"BraTS20_Training_00{i}"
        nifti(root, *(f"{case}/{case}_{s}.nii" for s in ("t1", "t1ce", "t2", "flair", "seg")))


def brats2021(root):
    for i in (0, 2):
        case = f"BraTS2021_0000{i}"
        nifti(root, *(f"{case}/{case}_{s}.nii.gz" for s in ("t1", "t1ce", "t2", "flair", "seg")))


def brats2023(root):
    for visit in (0, 1):
        case = f"BraTS-GLI-00005-00{visit}"
        nifti(root, *(f"{case}/{case}-{s}.nii.gz" for s in ("t1n", "t1c", "t2w", "t2f", "seg")))


def ixi(root):
    for name in ("IXI002-Guys-0828", "IXI012-HH-1211"):
        nifti(root, *(f"IXI-{s}/{name}-{s}.nii.gz" for s in ("T1", "T2")))


def atlas2(root):
    for part, site, who in (("Training", "R001", "r001s001"), ("Testing", "R002", "r002s001")):
        stem = f"{part}/{site}/sub-{who}/ses-1/anat/sub-{who}_ses-1_space-MNI152NLin2009aSym"
        nifti(root, f"{stem}_T1w.nii.gz")
        if part == "Training":
            nifti(root, f"{stem}_label-L_desc-T1lesion_mask.nii.gz")


def mslub(root):
    for i in ("01", "02"):
        names = ("T1W", "T2W", "FLAIR", "consensus_gt")
        nifti(root, *(f"patient{i}/patient{i}_{s}.nii.gz" for s in names))


def wmh(root):
    for place in ("Utrecht/0", "Singapore/50", "Amsterdam/GE3T/100"):
        nifti(root, *(f"{place}/{s}.nii.gz" for s in ("pre/FLAIR", "pre/T1", "orig/FLAIR", "wmh")))


def upd(root):
    nifti(root, "MRI/CamCAN/CC110033/sub-CC110033_T1w_stripped_registered.nii.gz")
    case = "MRI/BraTS/MICCAI_BraTS2020_TrainingData/BraTS20_Training_001"
    nifti(root, f"{case}/BraTS20_Training_001_t2_registered.nii.gz", f"{case}/anomaly_segmentation.nii")
    case = "MRI/ATLAS/ATLAS_2/Training/R001/sub-r001s001/ses-1/anat"
    nifti(root, f"{case}/sub-r001s001_T1w_stripped_registered.nii.gz", f"{case}/anomaly_segmentation.nii.gz")


def behrendt(root):
    for name in ("IXI002-Guys-0828", "IXI012-HH-1211"):
        nifti(root, *(f"Train/ixi/{k}/{name}_{k}.nii.gz" for k in ("t1", "t2", "mask")))
    nifti(root, *(f"Test/Brats21/{k}/BraTS2021_01122_{k}.nii.gz" for k in ("t2", "mask", "seg")))


def bmad(root):
    png(root, "train/good/img/00001_60.png", "test/good/img/00002_60.png", "test/Ungood/img/00003_60.png")
    png(root, "test/Ungood/anomaly_mask/00003_60.png", "valid/good/img/00004_70.png")


def bmad_zip(root):
    png(root, "train/good/00001_60.png", "valid/Ungood/img/00003_60.png", "valid/Ungood/label/00003_60.png")
    png(root, "test/good/img/00005_60.png", "test/good/label/00005_60.png")


def bmad_labels(root):
    png(root, "train/good/a.png", "val/good/b.png", "val/Ungood/c.png", "test/Ungood/d.png")


def medianomaly_brats(root):
    png(root, "train/BraTS2021_00001_flair_80.png", "test/normal/BraTS2021_00002_flair_80.png")
    png(root, "test/tumor/BraTS2021_00003_flair_80.png", "test/annotation/BraTS2021_00003_seg_80.png")


def medianomaly_json(root):
    png(root, "images/a.png", "images/b.png", "images/c.png")
    text = {"train": {"0": ["a.png"]}, "test": {"0": ["b.png"], "1": ["c.png"]}}
    (root / "data.json").write_text(json.dumps(text))


def slices(root):
    png(root, "train/sub-01_z95.png", "val/sub-02_z95.png", "val/sub-03_z95.png", "val/sub-03_z95_lesion.png")
    png(root, "brain_mask.png")


def plain(root):
    nifti(root, "scans/a.nii.gz", "scans/b.nii.gz", "masks/b_seg.nii.gz")
    rows = [{"path": "scans/a.nii.gz", "subject": "A", "lesion": "", "split": "train", "label": "0"}]
    rows += [
        {
            "path": "scans/b.nii.gz",
            "subject": "B",
            "lesion": "masks/b_seg.nii.gz",
            "split": "test",
            "label": "1",
        }
    ]
    table(root / "mine.csv", rows)


def bercea(root):
    png(root, "data/brain_mid_png/file_1.png", "data/brain_mid_png/file_2.png")
    png(root, "data/brain_mid_anno_pos_png/file_2_mass_0.png")
    table(root / "splits/normal_train.csv", [{"filename": "./data/brain_mid_png/file_1.png"}])
    table(root / "splits/mass.csv", [{"filename": "./data/brain_mid_png/file_2.png"}])


def fastmri_plus(root):
    nifti(root, "file_brain_1.nii.gz")
    box = {"x": 1, "y": 2, "width": 3, "height": 4, "study_level": "No"}
    rows = [{"file": "file_brain_1", "slice": 0, "label": "Mass", **box}] * 2
    table(root / "Annotations/brain.csv", rows)


TREES = {
    "brats2020": (brats2020, 2, 2), "brats2021": (brats2021, 2, 2), "brats2023": (brats2023, 2, 1),
    "ixi": (ixi, 2, 2), "atlas2": (atlas2, 2, 2), "mslub": (mslub, 2, 2), "wmh": (wmh, 3, 3),
    "upd": (upd, 3, 3), "behrendt": (behrendt, 3, 3), "bmad": (bmad, 4, 4),
    "medianomaly_brats": (medianomaly_brats, 3, 3), "medianomaly_json": (medianomaly_json, 3, 3),
    "slices": (slices, 3, 3), "table": (plain, 2, 2), "bercea": (bercea, 2, 2),
    "fastmri_plus": (fastmri_plus, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_each_layout_is_recognised_and_whole(name, tmp_path):
    make, entries, subjects = TREES[name]
    make(tmp_path)
    assert recognise(tmp_path)[0][0] == name
    listing = list_entries(tmp_path)
    assert listing.layout == name
    assert len(listing.entries) == entries
    assert len({e.subject for e in listing.entries}) == subjects
    assert listing.problems == []
    for entry in listing.entries:
        assert all(path.is_file() for path in entry.images.values())
    report = check_dataset(tmp_path)
    assert report.problems == []
    assert report.counts["entries"] == entries


@pytest.mark.parametrize("name", TREES)
def test_hidden_files_change_nothing(name, tmp_path):
    TREES[name][0](tmp_path)
    before = list_entries(tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"mac")
    after = list_entries(tmp_path)
    assert (after.entries, after.problems) == (before.entries, before.problems)


@pytest.mark.parametrize("name", [n for n in TREES if n not in ("ixi", "fastmri_plus", "atlas2")])
def test_half_the_files_gone_is_told(name, tmp_path):
    TREES[name][0](tmp_path)
    files = sorted(p for p in tmp_path.rglob("*") if p.suffix in (".gz", ".nii", ".png"))
    for path in files[::2]:
        path.unlink()
    after = list_entries(tmp_path, name)
    assert after.problems or len(after.entries) < TREES[name][1]
    if name not in ("bmad", "slices"):  # where a missing slice leaves no trace
        assert after.problems


def test_variants_of_bmad(tmp_path):
    for make, splits in ((bmad_zip, {"train", "val", "test"}), (bmad_labels, {"train", "val", "test"})):
        root = tmp_path / make.__name__
        make(root)
        listing = list_entries(root)
        assert listing.layout == "bmad"
        assert {e.split for e in listing.entries} == splits
        assert {e.label for e in listing.entries} == {0, 1}
        assert listing.problems == []


def test_what_the_names_say(tmp_path):
    for name in ("brats2023", "wmh", "ixi", "atlas2", "slices"):
        TREES[name][0](tmp_path / name)
    gli = list_entries(tmp_path / "brats2023").entries[0]
    assert set(gli.images) == {"t1", "t1ce", "t2", "flair"}
    assert gli.subject == "BraTS-GLI-00005"
    lesion = list_entries(tmp_path / "wmh").entries[0]
    assert (lesion.positive, lesion.ignored) == ((1,), (2,))
    assert "pre" in lesion.images["flair"].parts
    assert {e.group for e in list_entries(tmp_path / "ixi").entries} == {"Guys", "HH"}
    assert {e.label for e in list_entries(tmp_path / "ixi").entries} == {0}
    assert [e.split for e in list_entries(tmp_path / "atlas2").entries] == ["train", "test"]
    ours = {e.subject: e for e in list_entries(tmp_path / "slices").entries}
    assert (ours["sub-02"].label, ours["sub-03"].label) == (0, 1)
    assert ours["sub-02"].brain.name == "brain_mask.png"


def test_missing_mask_and_stranger_are_named(tmp_path):
    brats2021(tmp_path)
    (tmp_path / "BraTS2021_00002/BraTS2021_00002_seg.nii.gz").unlink()
    (tmp_path / "BraTS2021_00000/BraTS2021_00000_t2.nii.gz").unlink()
    nifti(tmp_path, "BraTS2021_00002/notes.nii.gz")
    problems = "\n".join(list_entries(tmp_path).problems)
    assert "lesion mask of BraTS2021_00002" in problems
    assert "t2" in problems
    assert "notes.nii.gz" in problems


def test_leak_of_the_published_splits_is_told(tmp_path):
    behrendt(tmp_path)
    table(tmp_path / "splits/IXI_train_fold0.csv", [{"img_name": "IXI002-Guys-0828"}])
    table(tmp_path / "splits/IXI_test.csv", [{"img_name": "IXI002-HH-9999"}, {"img_name": "IXI012-HH-1211"}])
    problems = "\n".join(list_entries(tmp_path).problems)
    assert "IXI002" in problems
    assert "IXI012" not in problems


def test_nothing_recognised_and_unknown_layout(tmp_path):
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(DataError, match="brats2021"):
        list_entries(tmp_path)
    with pytest.raises(DataError, match="expected a folder"):
        list_entries(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="brats2021"):
        list_entries(tmp_path, "brats2012")


def test_damage_is_a_line_that_names_the_file(tmp_path):
    brats2021(tmp_path)
    a, b = (tmp_path / f"BraTS2021_0000{i}" for i in (0, 2))
    whole = (a / "BraTS2021_00000_t1.nii.gz").read_bytes()
    (a / "BraTS2021_00000_t1.nii.gz").write_bytes(whole[: len(whole) // 2])
    nifti(a, "BraTS2021_00000_flair.nii.gz", data=np.full((4, 4, 4), np.nan, np.float32))
    nifti(b, "BraTS2021_00002_seg.nii.gz", data=np.ones((4, 4, 5), np.uint8))
    (b / "BraTS2021_00002_t2.nii.gz").write_bytes((b / "BraTS2021_00002_t1.nii.gz").read_bytes())
    problems = check_dataset(tmp_path).problems
    for name in ("00000_t1.nii.gz", "00000_flair.nii.gz", "00002_seg.nii.gz"):
        assert sum(name in line for line in problems) == 1
    assert any("expected each scan once" in line and "00002_t2" in line for line in problems)
    assert check_dataset(tmp_path, deep=False).problems == []


def test_same_slice_in_two_splits_comes_first(tmp_path):
    slices(tmp_path)
    copy = (tmp_path / "train/sub-01_z95.png").read_bytes()
    (tmp_path / "val/sub-09_z95.png").write_bytes(copy)
    png(tmp_path, "val/sub-01_z80.png")
    problems = check_dataset(tmp_path).problems
    assert "in the splits train and val" in problems[0]
    assert any("each subject in one split, found sub-01 in train, val" in line for line in problems)


def test_empty_and_grey_masks_are_told(tmp_path):
    bmad(tmp_path)
    png(tmp_path, "test/Ungood/anomaly_mask/00003_60.png", grey=0)
    assert any("empty" in line for line in check_dataset(tmp_path).problems)
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "test/Ungood/anomaly_mask/00003_60.png")
    assert any("all above 0 count" in line for line in check_dataset(tmp_path).problems)


def test_command_says_what_it_found_and_writes_a_table_that_reads_back(tmp_path, capsys):
    root = tmp_path / "data"
    slices(root)
    out = tmp_path / "checked.csv"
    assert main(["data", "check", str(root), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "layout slices" in " ".join(text.split())
    again = {e.images["image"]: e for e in list_entries(out, "table").entries}
    for entry in list_entries(root).entries:
        item = again[entry.images["image"]]
        assert (item.subject, item.split, item.label, item.lesion) == (
            entry.subject, entry.split, entry.label, entry.lesion,
        )  # fmt: skip
    for i in range(4):
        (root / f"val/x{i}.png").write_bytes(b"no picture")
    assert main(["data", "check", str(root), "--show", "2"]) == 1
    text = capsys.readouterr().out
    assert text.count("problem:") == 2
    assert "and 2 more" in text


def test_table_keeps_which_values_of_a_mask_are_lesion(tmp_path):
    wmh(tmp_path / "data")
    out = tmp_path / "checked.csv"
    assert main(["data", "check", str(tmp_path / "data"), "--out", str(out)]) == 0
    again = list_entries(out, "table")
    assert again.problems == []
    assert {(e.positive, e.ignored) for e in again.entries} == {((1,), (2,))}


def test_second_file_of_a_case_does_not_change_its_label(tmp_path):
    medianomaly_brats(tmp_path)
    png(tmp_path, "train/BraTS2021_00003_flair_80.png")
    listing = list_entries(tmp_path, "medianomaly_brats")
    entry = next(e for e in listing.entries if "00003" in e.name)
    assert (entry.split, entry.label, entry.images["image"].parent.name) == ("test", 1, "tumor")
    assert any("found a second beside" in line for line in listing.problems)


def test_files_without_content_are_a_problem_and_linked_cases_are_entries(tmp_path):
    brats2021(tmp_path / "set")
    case = "BraTS2021_00004"
    nifti(tmp_path / "store", *(f"{case}_{s}.NII.gz" for s in ("t1", "t1ce", "t2", "flair", "seg")))
    (tmp_path / "set" / case).symlink_to(tmp_path / "store")
    path = tmp_path / "set" / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz"
    path.unlink()
    path.symlink_to("../.git/annex/objects/x")
    report = check_dataset(tmp_path / "set", deep=False)
    assert report.counts["entries"] == 3
    assert "files without content; fetch it first (datalad get" in report.problems[0]
    assert "(1): BraTS2021_00000/BraTS2021_00000_t1.nii.gz" in report.problems[0]


def test_folder_without_any_content_says_so(tmp_path):
    (tmp_path / "x.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match=r"found none of them; .*files without content; fetch it first"):
        check_dataset(tmp_path)


def test_pipes_and_damaged_tables_are_no_tables_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text('"' + "x" * 200_000)
    with pytest.raises(DataError, match="found none of them"):
        check_dataset(tmp_path)
    os.mkfifo(tmp_path / "data.json")
    with pytest.raises(DataError, match=r"found a named pipe|found none"):
        list_entries(tmp_path, "medianomaly_json")
    with pytest.raises(DataError, match="named pipe"):
        read_rows(tmp_path / "a.csv", "labels")
    assert "named pipe" in read_sheet(tmp_path / "a.csv")[1][0]
