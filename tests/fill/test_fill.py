"""Scans filled by a tiny network: what stays, what is written, what is refused."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from diffad.fill import FillOptions, fill_scan
from diffad.fill.fill import find_top_level
from diffad.predict.run import load_model
from tests.helpers.cohorts import brain

QUICK = FillOptions(level=20, steps=2)


@pytest.fixture(scope="module")
def pipe(model):
    return load_model(str(model), "cpu")


@pytest.fixture
def files(tmp_path):
    """A scan of scaled integers, stored from left to right and back, and a lesion in it."""
    data = np.asarray(brain(0)).squeeze()
    volume = np.round(data / data.max() * 2000).astype(np.int16)
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    scan = nib.Nifti1Image(volume, affine)
    content = bytearray(scan.to_bytes())
    content[112:120] = np.array([0.5, 0.0], "<f4").tobytes()
    lesion = np.zeros(volume.shape, np.uint8)
    middle = np.argwhere(volume > 0).mean(0).round().astype(int)
    lesion[tuple(slice(m - 2, m + 3) for m in middle)] = 1
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.nii.gz").write_bytes(gzip.compress(bytes(content)))
    nib.save(nib.Nifti1Image(lesion, affine), tmp_path / "in" / "a_lesion.nii.gz")
    return tmp_path / "in" / "a.nii.gz", tmp_path / "in" / "a_lesion.nii.gz"


def run(files, model, out, *words):
    quick = ["--start-level", "20", "--steps", "2"]
    scan, lesion = map(str, files)
    return main(["fill", scan, "--lesion", lesion, "--model", str(model), "--out", str(out), *quick, *words])


def test_file_stays_byte_for_byte_outside_the_grown_mask(files, model, tmp_path):
    assert run(files, model, tmp_path / "out") == 0
    before = gzip.decompress(files[0].read_bytes())
    after = gzip.decompress((tmp_path / "out" / "a_filled.nii.gz").read_bytes())
    assert before[:352] == after[:352]
    old, new = (np.frombuffer(raw[352:], "<i2") for raw in (before, after))
    inside = np.asarray(nib.load(tmp_path / "out" / "a_fillmask.nii.gz").dataobj).ravel("F") > 0
    assert np.array_equal(old[~inside], new[~inside])
    assert (old[inside] != new[inside]).mean() > 0.5


def test_what_is_written_says_how(files, model, tmp_path):
    assert run(files, model, tmp_path / "out", "--members", "2", "--seed", "3") == 0
    facts = json.loads((tmp_path / "out" / "a_filled.json").read_text())
    assert {"model", "nfe", "seed", "rim_step", "share", "dilate_mm", "members"} <= set(facts)
    assert facts["seed"] == 3
    assert 0 < facts["share"] < 0.5
    spread = nib.load(tmp_path / "out" / "a_fillstd.nii.gz").get_fdata()
    inside = nib.load(tmp_path / "out" / "a_fillmask.nii.gz").get_fdata() > 0
    assert spread[inside].max() > 0
    assert spread[~inside].max() == 0
    assert (tmp_path / "out" / "a_filled.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_of_the_lesion_is_seen(files, pipe):
    scan, lesion = files
    plain = fill_scan(pipe, scan, lesion, options=QUICK)
    bright = plain.scan.data.copy()
    bright[0][plain.region.fill_mask] = 99_999
    other = fill_scan(
        pipe,
        type(plain.scan)(bright, plain.scan.affine),
        plain.region.lesion.astype(np.float32),
        plain.region.brain,
        options=QUICK,
    )
    assert np.array_equal(other.image, plain.image)


def test_feather_fades_into_the_scan_inside_the_mask_alone(files, pipe):
    hard = fill_scan(pipe, *files, options=QUICK)
    soft = fill_scan(pipe, *files, options=FillOptions(level=20, steps=2, feather=3))
    outside, scan = ~hard.region.fill_mask, hard.scan.data[0]
    assert np.array_equal(soft.image[outside], scan[outside])
    assert np.abs(soft.image - scan).sum() < np.abs(hard.image - scan).sum()


def test_same_seed_gives_the_same_fill_and_another_another(files, pipe):
    first, again = (fill_scan(pipe, *files, options=QUICK).image for _ in range(2))
    assert np.array_equal(first, again)
    other = fill_scan(pipe, *files, options=FillOptions(level=20, steps=2, seed=1)).image
    assert not np.array_equal(first, other)


def test_bad_scan_ends_no_other(files, model, tmp_path, capsys):
    (files[0].parent / "b.nii.gz").write_bytes(files[0].read_bytes())
    words = ["--lesion", "_lesion", "--model", str(model), "--out", str(tmp_path / "out"), "--steps", "1"]
    assert main(["fill", str(files[0].parent), *words]) == 1
    assert (tmp_path / "out" / "a_filled.nii.gz").is_file()
    told = capsys.readouterr()
    assert "b.nii.gz: expected a lesion mask _lesion beside it" in told.out + told.err


def test_finished_scan_is_kept(files, model, tmp_path):
    assert run(files, model, tmp_path / "out") == 0
    before = (tmp_path / "out" / "a_filled.nii.gz").stat().st_mtime_ns
    assert run(files, model, tmp_path / "out") == 0
    assert (tmp_path / "out" / "a_filled.nii.gz").stat().st_mtime_ns == before


def test_selftest_compares_with_simple_fills(files, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("diffad.fill.selftest.VOLUMES_ML", (0.1,))
    monkeypatch.setattr("diffad.fill.selftest.MIN_DEPTH", 1.0)
    words = ["--selftest", "--model", str(model), "--steps", "1", "--out", str(tmp_path / "out")]
    assert main(["fill", str(files[0]), *words]) == 0
    table = capsys.readouterr().out
    assert all(f"| {name} |" in table for name in ("rim mean", "harmonic", "mirror", "network"))
    assert (tmp_path / "out" / "selftest.csv").read_text().startswith("fill,scans,mse,mse_sd")


def test_lesion_or_selftest_is_needed(files):
    assert main(["fill", str(files[0])]) == 2


def test_levels_of_shipped_networks_are_known():
    assert find_top_level(load_model("brain-any", "cpu")) == 150


@pytest.mark.parametrize("wrong", [{"dilate": -1}, {"members": 0}, {"level": 0}, {"steps": 0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        FillOptions(**wrong)
