"""Folders of DICOM files through the command: what is made of them, and what never is said."""

import gzip
import json
import re

import nibabel as nib
import numpy as np
import pydicom
import pytest

from diffad.cli import main
from diffad.dicom.stored import hash_series
from tests.dicom.conftest import list_files
from tests.helpers.cohorts import brain, table
from tests.helpers.dicom_heads import SHAPE, axial, oblique
from tests.helpers.dicom_series import Study, write_series

pytest.importorskip("SimpleITK")
QUICK = ("--no-page",)
PREPARE = ("--prepare", "--brain", "none", "--register", "none", "--no-bias")
STUDY = Study(patient="MUSTERMANN^ERIKA", patient_id="KH-4711-88", birth="19640812")
SECRETS = ("mustermann", "erika", "kh-4711-88", "kh471188", "19640812", "klinikum", "refer^ann", "a99887766")
TAGS = {"InstitutionName": "Klinikum Musterstadt", "AccessionNumber": "A99887766"}


def head(seed=3):
    return np.round(brain(seed, SHAPE) * 100).astype(np.uint16)


def write_visit(folder, affine=None, seed=3, **options):
    options = {"study": Study(patient=f"P{seed}^X", patient_id=f"I-{seed}-I")} | options
    return write_series(folder, head(seed), oblique() if affine is None else affine, **options)


@pytest.fixture
def scans(tmp_path):
    return tmp_path / "dicom"


def info(folder, name):
    return json.loads((folder / f"{name}_info.json").read_text())


def test_map_of_dicom_is_that_of_the_same_nifti(predict, scans, tmp_path):
    write_visit(scans / "case", axial(), shuffle=True)
    nib.save(nib.Nifti1Image(head().astype(np.int16), axial()), tmp_path / "case2.nii.gz")
    code, told = predict(*QUICK, scans=(scans, tmp_path / "case2.nii.gz"))
    assert code == 0, told
    maps = [
        nib.as_closest_canonical(nib.load(predict.out / f"{n}_anomaly.nii.gz")) for n in ("case", "case2")
    ]
    assert np.allclose(maps[0].affine, maps[1].affine, atol=1e-3)
    values = [image.get_fdata() for image in maps]
    assert values[0].max() > 0.01
    assert np.abs(values[0] - values[1]).max() < 1e-6


def test_results_say_which_files_they_are_of(predict, scans):
    uid = write_visit(scans / "case")
    assert predict(*QUICK, scans=(scans,))[0] == 0
    stored = info(predict.out, "case")
    facts = stored["dicom"]
    assert (facts["series_uid"], facts["images"], facts["contrast"]) == (uid, SHAPE[2], "T1")
    assert stored["scan"] == [str(scans / "case")] == [facts["folder"]]
    files = [scans / "case" / name for name in facts["files"]]
    heights = [pydicom.dcmread(path).InstanceNumber for path in files]
    assert heights in (sorted(heights), sorted(heights, reverse=True))
    assert stored["request"]["scan"] == [hash_series(files)]
    assert set(files) == set(list_files(scans))


def test_second_run_reads_nothing_and_report_finds_the_series(predict, scans, capsys, monkeypatch):
    write_visit(scans / "case")
    predict(*QUICK, scans=(scans,))
    assert main(["report", str(predict.out)]) == 0
    with monkeypatch.context() as patch:
        patch.setattr("diffad.predict.load.read_series", lambda *_: pytest.fail("was read again"))
        assert "1 done before" in predict(*QUICK, scans=(scans,))[1]
    capsys.readouterr()
    list_files(scans)[0].unlink()
    assert main(["report", str(predict.out)]) == 1
    assert "1 of 24 missing" in capsys.readouterr().err


def test_one_bad_folder_costs_no_other(predict, scans):
    write_visit(scans / "good", seed=1)
    write_visit(scans / "gap", seed=2, skip=(9,))
    write_visit(scans / "two", seed=4, number=1)
    write_visit(scans / "two", seed=5, number=2)
    write_visit(scans / "scout", seed=6, description="localizer")
    code, told = predict(*QUICK, scans=(scans,))
    rows = {name: (row["status"], row["error"]) for name, row in table(predict.out).items()}
    assert (code, rows["good"]) == (1, ("ok", ""))
    assert "slices are missing" in rows["gap"][1]
    assert "found those of 2 patients in one folder" in rows["two_visit-1"][1]
    assert "found series 2: localiser" in rows["scout"][1]
    assert "slices are missing" in told
    assert len(rows) == 5


def test_series_is_chosen_by_number_uid_or_all(predict, scans):
    study = Study(patient="P^X")
    write_visit(scans / "case" / "a", study=study, number=3)
    uid = write_visit(scans / "case" / "b", study=study, number=4, description="t1 gd", seed=4)
    _, told = predict(*QUICK, scans=(scans,))
    assert "case: takes series 3 (t1_mprage_sag, T1, 3 x 3 x 4 mm) of 2" in told
    assert predict(*QUICK, "--series", uid, scans=(scans,))[0] == 0
    assert "after a contrast agent" in table(predict.out)["case_series-004"]["warnings"]
    assert predict(*QUICK, "--series", "all", scans=(scans,))[0] == 0
    assert set(table(predict.out)) == {"case", "case_series-003", "case_series-004"}
    assert predict("--series", "first", scans=(scans,))[0] == 2
    code, told = predict(*QUICK, "--series", "9", scans=(scans,))
    assert (code, "expected a series 9, found the numbers 3, 4" in told) == (1, True)


def test_dicom_beside_nifti_is_passed_over_with_a_note(predict, scans):
    write_visit(scans)
    nib.save(nib.Nifti1Image(head().astype(np.int16), axial()), scans / "converted.nii.gz")
    code, told = predict(*QUICK, scans=(scans,))
    assert (code, set(table(predict.out))) == (0, {"converted"})
    assert "passed over the DICOM files of" in told


def test_sequences_and_empty_folders_are_refused(predict, scans):
    scans.mkdir()
    assert "expected scans" in predict(*QUICK, scans=(scans,))[1]
    write_visit(scans)
    assert "sequences: expected NIfTI files" in predict("--sequences", "t1,flair", scans=(scans,))[1]


def write_secret(folder):
    write_series(folder, head(), oblique(), study=STUDY, description="t1 Mustermann", tags=TAGS)


def search_secrets(folder, *texts):
    """Return what identifies the patient in texts, and in names and contents of all files of a folder."""
    found = [s for s in SECRETS for text in texts if s in text.lower()]
    for path in folder.rglob("*"):
        content = path.read_bytes().lower() if path.is_file() else b""
        if path.name.endswith(".gz"):
            content = gzip.decompress(path.read_bytes()).lower()
        found += [f"{s} in {path.name}" for s in SECRETS if s.encode() in content or s in path.name.lower()]
    return found


def test_identifiers_reach_no_file_and_no_console(predict, scans, tmp_path, capsys):
    folder = scans / "Mustermann_Erika_19640812"
    write_secret(folder)
    log = tmp_path / "log" / "run.txt"
    log.parent.mkdir()
    page = (*PREPARE, "--verbose", "--log", str(log))
    code, told = predict(*page, scans=(folder,))
    assert code == 0, told
    (name,) = table(predict.out)
    assert re.fullmatch(r"sub-[0-9a-f]{8}", name)
    assert f"its results are called {name}" in told
    prepared = tmp_path / "prepared"
    words = ["--register", "none", "--no-bias", "--brain", "none", "--spacing", "3"]
    assert main(["prepare", str(folder), "--out", str(prepared), *words]) == 0
    assert main(["info", str(folder)]) == 0
    assert main(["info", str(folder), "--json"]) == 0
    assert main(["report", str(predict.out)]) == 1  # the place of the series is not stored
    output = capsys.readouterr()
    texts = (told, output.out, output.err)
    assert "named after its patient" in told
    assert not search_secrets(predict.out, *texts) + search_secrets(prepared) + search_secrets(log.parent)
    uid = pydicom.dcmread(list_files(scans)[0]).SeriesInstanceUID
    assert not [path for path in predict.out.rglob("*") if uid in path.name]


def test_failures_name_no_patient_either(predict, scans):
    folder = scans / "KH-4711-88"
    write_secret(folder)
    for path in list_files(folder):
        item = pydicom.dcmread(path)
        item.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        item.PixelData = pydicom.encaps.encapsulate([b"no image"])
        item["PixelData"].is_undefined_length = True
        item.save_as(path)
    code, told = predict(*QUICK, scans=(scans,))
    assert (code, search_secrets(predict.out, told)) == (1, [])
    assert "found MPEG2" in told


def test_names_are_kept_if_that_is_asked_for(predict, scans):
    write_secret(scans / "Mustermann")
    assert predict(*QUICK, "--keep-identifiers", scans=(scans,))[0] == 0
    assert set(table(predict.out)) == {"Mustermann"}
    assert info(predict.out, "Mustermann")["dicom"]["description"] == "t1 Mustermann"
    assert search_secrets(predict.out)
