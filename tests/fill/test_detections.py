"""Which mask of predict belongs to a scan that is to be filled: in plain folders, and in BIDS derivatives."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffad.cli import main
from diffad.fill.detections import find_lesion
from diffad.io.digests import hash_file
from diffad.io.naming import Naming
from tests.helpers.cohorts import brain, load, write


def detect(folder, naming, scan=None):
    """Lay down what predict leaves of a scan: a map, detections and a record, of a file or of nobody's."""
    for kind, path in naming.files(folder).items():
        if kind in ("anomaly", "mask", "seen"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}")
    request = {"request": {"scan": [hash_file(scan)]}} if scan else {}
    naming.files(folder)["info"].write_text(json.dumps(request))
    return naming.files(folder)["mask"]


def scans_of(folder, *names):
    for name in names:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.nii.gz").write_bytes(name.encode())
    return [folder / f"{name}.nii.gz" for name in names]


def test_detections_are_found_by_name(tmp_path):
    mask = detect(tmp_path, Naming("a"))
    assert find_lesion(tmp_path / "a.nii.gz", "a", tmp_path) == (mask, [])
    with pytest.raises(ValueError, match=r"expected its detections in .*, found those of a"):
        find_lesion(tmp_path / "b.nii.gz", "b", tmp_path)


@pytest.mark.parametrize("name", ["sub-01_T1w", "sub-01_ses-1_run-2_FLAIR", "sub-01_desc-preproc_T1w"])
def test_derivative_has_the_detections_of_each_sequence(tmp_path, name):
    (scan,) = scans_of(tmp_path / "in", name)
    out = tmp_path / "out"
    mask = detect(out, Naming(name, folder=Path("sub-01/anat"), bids=True))
    for other in ("sub-01_T2w", "sub-01_ses-2_run-2_FLAIR", "sub-02_T1w", "sub-01_desc-other_T1w"):
        detect(out, Naming(other, Path("sub-01/anat"), bids=True))
    assert "nomaly" in mask.name
    assert find_lesion(scan, name, out) == (mask, [])


def test_content_counts_where_names_differ(tmp_path):
    """Predict adds the session of the folder to a name; a fill does not."""
    one, two = scans_of(tmp_path / "in", "sub-01_T1w", "other")
    out = tmp_path / "out"
    mask = detect(out, Naming("sub-01_ses-1_T1w", bids=True), one)
    detect(out, Naming("sub-01_T1w", bids=True), two)
    assert find_lesion(one, "sub-01_T1w", out) == (mask, [])


def test_detections_of_another_file_of_this_name_are_named(tmp_path):
    one, two = scans_of(tmp_path / "in", "a", "b")
    mask = detect(tmp_path / "out", Naming("a"), two)
    path, notes = find_lesion(one, "a", tmp_path / "out")
    assert path == mask
    assert notes == [f"{mask}: detected in a scan of this name with other content than {one}"]


def test_two_results_of_one_name_are_refused(tmp_path):
    (scan,) = scans_of(tmp_path / "in", "sub-01_T1w")
    out = tmp_path / "out"
    masks = [detect(out, Naming("sub-01_T1w", Path(k), bids=True)) for k in ("a", "b")]
    with pytest.raises(ValueError, match=f"expected its detections once in {out}, found {masks[0]} and"):
        find_lesion(scan, "sub-01_T1w", out)


def test_result_whose_mask_is_lost_is_refused(tmp_path):
    detect(tmp_path, Naming("a")).unlink()
    with pytest.raises(ValueError, match=r"expected its detections in .*, found those of no scan"):
        find_lesion(tmp_path / "a.nii.gz", "a", tmp_path)


@pytest.mark.parametrize(
    ("scan", "mask", "fits"),
    [
        ("sub-1_T1w", "sub-1_desc-anomalyT1w_mask", True),
        ("sub-1_FLAIR", "sub-1_desc-anomalyT1w_mask", False),
        ("sub-1_FLAIR", "sub-1_desc-preprocAnomalyT1w_mask", False),
        ("sub-1_desc-preproc_T1w", "sub-1_desc-preprocAnomalyT1w_mask", True),
        ("sub-1_FLAIR", "sub-1_desc-unseenT1w_mask", False),
        ("sub-1_FLAIR", "sub-1_desc-brain_mask", True),
        ("sub-1_FLAIR", "sub-1_desc-anomalyScore_mask", True),
    ],
)
def test_detections_beside_a_scan_are_of_their_sequence(tmp_path, scan, mask, fits):
    path, expected = scans_of(tmp_path, scan, mask)
    if fits:
        assert find_lesion(path, scan, "_mask") == (expected, [])
        return
    with pytest.raises(ValueError, match="expected a lesion mask _mask beside it, found none"):
        find_lesion(path, scan, "_mask")


def test_what_predict_found_in_a_data_set_is_filled(tmp_path, model):
    root, out = tmp_path / "bids", tmp_path / "maps"
    scan = write(root / "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz", brain())
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    assert main(["predict", str(root), "--model", str(model), "--out", str(out)]) == 0
    mask = out / "sub-01/ses-a/anat/sub-01_ses-a_desc-anomalyT1w_mask.nii.gz"
    lesion = np.zeros(load(mask).shape, np.uint8)
    lesion[10:14, 12:16, 4:6] = 1
    write(mask, lesion)
    words = ["--lesion", str(out), "--model", str(model), "--start-level", "20", "--steps", "1"]
    assert main(["fill", str(scan), *words, "--dilate", "0", "--out", str(tmp_path / "filled")]) == 0
    assert np.array_equal(load(tmp_path / "filled" / "sub-01_ses-a_T1w_fillmask.nii.gz"), lesion)
    record = json.loads((tmp_path / "filled" / "sub-01_ses-a_T1w_filled.json").read_text())
    assert record["lesion"] == str(mask)
    assert not any("other content" in text for text in record["warnings"])
