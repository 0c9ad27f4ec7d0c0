"""A cohort in, a folder of maps out."""

import nibabel as nib
import numpy as np
import pytest

from diffad.pipeline import AnomalyPipeline
from diffad.report.montage import save_report as draw
from tests.helpers.cohorts import all_files, brain, info, inside, load, names, table, write, write_model


def test_every_scan_gets_its_files_and_its_row(predict):
    code, told = predict()
    assert (code, "2 done" in told) == (0, True)
    assert names(predict.out) == all_files("s0", "s1")
    row, stored = table(predict.out)["s1"], info(predict.out, "s1")
    assert (row["status"], row["error"], row["nfe"]) == ("ok", "", "1")
    assert float(row["score"]) == stored["image_score"]
    ml = load(predict.out / "s1_mask.nii.gz").sum() * 12 / 1000
    assert float(row["volume_ml"]) == pytest.approx(ml, abs=1e-3)


def test_maps_lie_on_the_grid_of_the_scan(predict, cohort):
    predict()
    scan = nib.load(cohort / "s0.nii.gz")
    for kind in ("anomaly", "mask", "twin", "seen"):
        made = nib.load(predict.out / f"s0_{kind}.nii.gz")
        assert made.shape == scan.shape
        assert np.array_equal(made.affine, scan.affine)


def test_seen_is_the_brain_in_the_slices_looked_at(predict):
    predict("--slices", "3:6")
    expected = inside()
    expected[..., :3] = expected[..., 6:] = False
    assert np.array_equal(load(predict.out / "s0_seen.nii.gz") > 0, expected)
    assert not load(predict.out / "s0_anomaly.nii.gz")[~expected].any()
    assert info(predict.out, "s0")["slice_range"] == [3, 6]


def test_analysed_mask_lies_along_the_axis_that_was_cut(predict):
    predict("--axes", "coronal", "--slices", "4:9")
    expected = inside()
    expected[:, :4] = expected[:, 9:] = False
    assert expected.any()
    assert np.array_equal(load(predict.out / "s0_seen.nii.gz") > 0, expected)
    stored = info(predict.out, "s0")
    assert (stored["axis"], stored["axes"], stored["slice_range"]) == ("coronal", ["coronal"], [4, 9])


def test_analysed_mask_of_several_axes_is_the_brain(predict):
    predict("--axes", "coronal,axial")
    assert np.array_equal(load(predict.out / "s0_seen.nii.gz") > 0, inside())
    assert (info(predict.out, "s0")["axis"], info(predict.out, "s0")["slice_range"]) == ("axial", None)


def test_second_run_skips_what_is_done(predict, monkeypatch):
    predict()
    monkeypatch.setattr(AnomalyPipeline, "__call__", None)
    code, told = predict()
    assert code == 0
    assert told.splitlines() == [
        f"2 done before; see {predict.out / 'results.csv'}",
        f"2 scans to look at; results go to {predict.out}",
    ]


def test_second_run_does_what_failed_and_what_is_new(predict, cohort):
    whole = (cohort / "s1.nii.gz").read_bytes()
    (cohort / "s1.nii.gz").write_bytes(whole[:200])
    assert predict()[0] == 1
    (cohort / "s1.nii.gz").write_bytes(whole)
    write(cohort / "s2.nii.gz", brain(2))
    code, told = predict()
    assert (code, "2 done, 1 done before" in told) == (0, True)
    assert [row["status"] for row in table(predict.out).values()] == ["ok"] * 3


def test_scan_whose_map_was_deleted_is_done_again(predict):
    predict()
    (predict.out / "s0_twin.nii.gz").unlink()
    assert "1 done, 1 done before" in predict()[1]
    assert names(predict.out) == all_files("s0", "s1")


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["--seed", "7"], "seed"),
        (["--slices", "3:6"], "slices"),
        (["--sampler", "levels=[30]"], "sampler"),
        (["--score", "l2"], "score"),
    ],
)
def test_results_of_other_options_are_kept_unless_overwritten(predict, words, changed):
    predict()
    before = (predict.out / "s0_anomaly.nii.gz").read_bytes()
    code, told = predict(*words)
    assert code == 1
    assert f"kept s0: made with other {changed}; --overwrite" in told
    assert (predict.out / "s0_anomaly.nii.gz").read_bytes() == before
    assert predict(*words, "--overwrite")[0] == 0
    assert (predict.out / "s0_anomaly.nii.gz").read_bytes() != before
    assert predict(*words)[1].startswith("2 done before")


def test_results_of_another_scan_or_model_are_kept(predict, cohort, tmp_path):
    predict()
    write(cohort / "s0.nii.gz", brain(9))
    assert "kept s0: made with other scan;" in predict()[1]
    other = write_model(tmp_path / "other", channels=(8, 24))
    assert "kept s1: made with other model;" in predict(model=other)[1]


def test_batch_size_changes_nothing(predict):
    predict("--batch-size", "1")
    before = load(predict.out / "s0_anomaly.nii.gz")
    assert predict("--batch-size", "7")[1].startswith("2 done before")
    predict("--batch-size", "7", "--overwrite")
    assert np.allclose(load(predict.out / "s0_anomaly.nii.gz"), before, atol=1e-5)


def test_table_keeps_rows_of_earlier_runs_and_comes_back_if_lost(predict, cohort):
    predict(scans=[cohort / "s0.nii.gz"])
    predict(scans=[cohort / "s1.nii.gz"])
    before = table(predict.out)
    assert list(before) == ["s0", "s1"]
    (predict.out / "results.csv").unlink()
    predict()
    assert table(predict.out) == before


def test_table_of_somebody_else_is_left_alone(predict):
    predict.out.mkdir()
    (predict.out / "results.csv").write_text("a,b\n1,2\n")
    code, told = predict()
    assert (code, told.count("\n")) == (1, 1)
    assert "expected the columns scan, status" in told
    assert names(predict.out) == ["results.csv"]
    assert (predict.out / "results.csv").read_text() == "a,b\n1,2\n"


def test_scans_of_one_name_do_not_overwrite_each_other(predict, tmp_path):
    for seed, folder in enumerate("ab"):
        write(tmp_path / "study" / folder / "T1.nii.gz", brain(seed))
    predict(scans=[tmp_path / "study"])
    assert names(predict.out) == all_files("a_T1", "b_T1")


def test_masks_are_found_by_their_ending(predict, cohort):
    for seed in range(2):
        write(cohort / f"s{seed}_brain.nii.gz", np.uint8(inside() & (np.indices(inside().shape)[0] > 11)))
    assert predict("--mask", "_brain")[0] == 0
    assert list(table(predict.out)) == ["s0", "s1"]
    assert np.array_equal(load(predict.out / "s1_seen.nii.gz"), load(cohort / "s1_brain.nii.gz"))


def test_sequences_become_the_channels_of_one_subject(predict, tmp_path):
    two = write_model(tmp_path / "two", in_channels=2, out_channels=2)
    for seed, name in enumerate(("A_t1", "A_flair", "B_t1")):
        write(tmp_path / "study" / f"{name}.nii.gz", brain(seed))
    code, told = predict("--sequences", "flair,t1", scans=[tmp_path / "study"], model=two)
    assert (code, "1 done, 1 failed" in told) == (1, True)
    assert info(predict.out, "A")["scan"][0].endswith("A_flair.nii.gz")
    assert "none for flair" in table(predict.out)["B"]["error"]
    assert load(predict.out / "A_twin.nii.gz").shape[-1] == 2


def test_report_is_a_picture_of_the_scan(predict, cohort, monkeypatch):
    from PIL import Image

    monkeypatch.setattr("diffad.report.montage.save_report", draw)
    assert predict("--slices", "4:6", scans=[cohort / "s0.nii.gz"])[0] == 0
    with Image.open(predict.out / "s0_report.png") as picture:
        assert min(picture.size) > 100


def test_head_without_a_mask_is_refused_and_the_others_go_on(predict, tmp_path, cohort):
    scalp = 100 + np.random.default_rng(0).random(brain().shape, np.float32)
    scan = write(tmp_path / "head.nii.gz", np.where(inside(), brain(), scalp))
    code, told = predict(scans=[scan, cohort / "s0.nii.gz"])
    assert code == 1
    assert "does not look skull-stripped" in told
    assert "--mask, or let --prepare find the brain" in told
    assert not (predict.out / "head_anomaly.nii.gz").exists()
    assert table(predict.out)["head"]["status"] == "failed"
    assert table(predict.out)["s0"]["status"] == "ok"
    mask = write(tmp_path / "m.nii.gz", np.uint8(inside()))
    code, told = predict("--mask", str(mask), "--overwrite", scans=[scan])
    assert code == 0
    assert "does not look skull-stripped" not in told
    assert "does not look" not in str(info(predict.out, "head")["warnings"])


def test_limit_of_the_mask_decides_and_is_part_of_the_request(predict, tmp_path, cohort):
    mask = write(tmp_path / "p.nii.gz", (inside() * np.linspace(0, 1, 10)).astype(np.float32))
    scan = [cohort / "s0.nii.gz"]
    assert (
        "as probabilities; what is above 0.5 counts as brain" in predict("--mask", str(mask), scans=scan)[1]
    )
    assert "above 0.5" in info(predict.out, "s0")["warnings"][0]
    half = load(predict.out / "s0_seen.nii.gz").sum()
    told = predict("--mask", str(mask), "--mask-threshold", "0.1", scans=scan)[1]
    assert "made with other mask_threshold" in told
    predict("--mask", str(mask), "--mask-threshold", "0.1", "--overwrite", scans=scan)
    assert load(predict.out / "s0_seen.nii.gz").sum() > half
    assert not any("probabilities" in warning for warning in info(predict.out, "s0")["warnings"])


FUSION = "{name: fusion, level: 10, steps: 2}"


def regions(cohort, seeds=(0, 1)):
    """Write a region of a few voxels beside the scans."""
    region = np.zeros(inside().shape, np.uint8)
    region[10:13, 12:15, 3:5] = 1
    for seed in seeds:
        scan = nib.load(cohort / f"s{seed}.nii.gz")
        nib.save(nib.Nifti1Image(region, scan.affine), cohort / f"s{seed}_region.nii.gz")
    return region > 0


def test_twin_differs_from_the_scan_in_the_region_beside_it_only(predict, cohort):
    region = regions(cohort)
    code, told = predict("--region", "_region", "--sampler", FUSION, "--score", "{name: change}")
    assert (code, "passed over 2 masks" in told) == (0, True), told
    map_ = load(predict.out / "s0_anomaly.nii.gz")
    near = np.zeros_like(region)
    near[8:15, 10:17, 3:5] = True
    assert map_[region].max() > 0
    assert map_[~near].max() < 1e-5


def test_another_region_is_another_request(predict, cohort):
    regions(cohort)
    words = ("--region", "_region", "--sampler", FUSION)
    predict(*words)
    assert "2 done before" in predict(*words)[1]
    scan = nib.load(cohort / "s0.nii.gz")
    other = np.zeros(scan.shape, np.uint8)
    other[12:14, 12:14, 4] = 1
    nib.save(nib.Nifti1Image(other, scan.affine), cohort / "s0_region.nii.gz")
    assert "kept s0: made with other region" in predict(*words)[1]


def test_region_that_is_missing_is_told_of_its_scan(predict, cohort):
    regions(cohort, seeds=(0,))
    code, told = predict("--region", "_region", "--sampler", FUSION)
    assert code == 1
    assert "s1.nii.gz: expected its region s1_region.nii.gz beside it, found none" in told


def test_sampler_that_takes_no_region_says_so(predict, cohort):
    regions(cohort)
    code, told = predict("--region", "_region")
    assert code == 1
    assert "expected no region, as sampler" in told
