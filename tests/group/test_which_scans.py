"""Which scans go into group maps: damaged, poor and ill-fitting ones are named, and none ends the run."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.cohorts import load
from tests.helpers.groups import COUNT, MAP, change_info, change_row, write_people

SCAN = "sub-0_T1w"


def replace_image(path, change):
    """Let an image have other values, in a file of its own."""
    image = nib.load(path)
    data = change(np.asarray(image.dataobj).astype(np.float32))
    path.unlink()
    nib.save(nib.Nifti1Image(data, image.affine), path)


def spoil_gzip(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def shift_grid(path):
    image = nib.load(path)
    data, affine = np.asarray(image.dataobj), image.affine.copy()
    affine[0, 3] += 4.0
    path.unlink()
    nib.save(nib.Nifti1Image(data, affine), path)


def put_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "truncated": spoil_gzip,
    "not a number": lambda path: replace_image(path, lambda data: np.full_like(data, np.nan)),
    "other shape": lambda path: replace_image(path, lambda data: data[1:]),
    "other place": shift_grid,
    "four axes": lambda path: replace_image(path, lambda data: np.stack([data, data], -1)),
    "folder": put_folder,
    "no image": lambda path: (path.unlink(), path.write_bytes(gzip.compress(b"text")))[0],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["anomaly", "seen"])
def test_damaged_map_costs_its_scan_alone(group, folder, damage, kind):
    DAMAGES[damage](folder / f"{SCAN}{MAP}_{kind}.nii.gz")
    code, told = group()
    assert (code, f"left out {SCAN}: " in told or f"in MNI152NLin2009aSym: {SCAN}" in told) == (0, True), told
    assert f"{COUNT - 1} all, 1 left out" in told
    assert load(group.out / "all_n.nii.gz").max() == COUNT - 1
    assert np.isfinite(load(group.out / "all_mean.nii.gz")).all()


def test_group_whose_scans_are_all_damaged_has_none(group, folder):
    """Its maps are empty, which is said; those of the others are as they are."""
    people = {f"sub-{n}": "HC" if n else "MDD" for n in range(COUNT)}
    write_people(folder / "participants.tsv", people)
    spoil_gzip(folder / f"{SCAN}{MAP}_anomaly.nii.gz")
    code, told = group("--by", "diagnosis")
    assert (code, "3 all, 3 diagnosis: HC, 0 diagnosis: MDD, 1 left out" in told) == (0, True), told
    assert "diagnosis: MDD: no scan" in told
    assert not load(group.out / "diagnosis-MDD_n.nii.gz").any()


def test_record_that_cannot_be_read_costs_its_scan_alone(group, folder):
    (folder / f"{SCAN}_info.json").write_text("[")
    assert "note: left out 1 results are gone: sub-0_T1w" in group()[1]


def test_poor_scans_are_left_out_and_named_or_taken_and_said(group, folder, tmp_path):
    change_row(folder, SCAN, quality="poor: motion, blur")
    change_row(folder, "sub-1_T1w", quality="good")
    told = group()[1]
    assert f"note: left out 1 too poor to be judged: {SCAN}" in told
    assert "3 all, 1 left out" in told
    told = group("--include-poor", out=tmp_path / "more")[1]
    assert f"1 of 4 scans are too poor to be judged, and are included: {SCAN}" in told
    assert json.loads((tmp_path / "more" / "group.json").read_text())["options"]["with_poor_scans"] is True
    for number in range(COUNT):
        change_row(folder, f"sub-{number}_T1w", quality="poor: noise")
    code, told = group()
    assert (code, "--include-poor takes them" in told) == (1, True)


def test_scans_that_fit_the_template_badly_are_named(group, folder):
    info = json.loads((folder / f"{SCAN}_info.json").read_text())
    spaces = {name: entry | {"dice": 0.61} for name, entry in info["spaces"].items()}
    change_info(folder, SCAN, spaces=spaces)
    told = group()[1]
    assert "1 of 4 scans overlap with the template by a Dice below 0.88" in told
    assert f"may lie elsewhere: {SCAN}\n" in told


def test_json_lines_tell_counts_and_what_was_left_out(group, folder, capsys):
    change_row(folder, SCAN, status="failed")
    capsys.readouterr()
    assert main(["--json", "group", str(folder), "--out", str(group.out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["groups"] == {"all": COUNT - 1}
    assert lines[-1]["left_out"] == {SCAN: "failed"}
    assert lines[-1]["out"] == str(group.out)
