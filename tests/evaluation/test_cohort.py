"""Maps against lesion masks: what is counted, where, and what is left out."""

import csv
import json
import math

import numpy as np
import pytest

from diffad.cli import main
from diffad.data.volume import Volume, VolumeError
from diffad.evaluation import RankCurve, dice
from diffad.evaluation.cohort import evaluate_predictions
from diffad.evaluation.predictions import collect_predictions
from diffad.evaluation.protocols.evaluate import evaluate_samples
from diffad.evaluation.reading import find_mask
from diffad.registry import PROTOCOLS
from tests.helpers.cohorts import AFFINE, SHAPE, inside, write


def lesion():
    mask = np.zeros(SHAPE, bool)
    mask[8:12, 10:14, 3:6] = True
    return mask


def anomaly(seed):
    return (np.random.default_rng(seed).random(SHAPE) + 0.3 * lesion()).astype(np.float32) * inside()


def add(root, name, seed, truth=None, threshold=0.9, seen=None, **info):
    """Write what predict would, and a lesion mask."""
    maps = root / "maps"
    write(maps / f"{name}_anomaly.nii.gz", anomaly(seed))
    write(maps / f"{name}_mask.nii.gz", np.uint8(anomaly(seed) > threshold))
    write(maps / f"{name}_seen.nii.gz", np.uint8(inside() if seen is None else seen))
    (maps / f"{name}_info.json").write_text(json.dumps({"image_score": seed / 10, "axis": "axial"} | info))
    if truth is not None:
        write(root / "masks" / f"{name}_lesion.nii.gz", np.uint8(truth))


@pytest.fixture
def study(tmp_path):
    """Two lesioned scans and two healthy ones."""
    for seed, truth in enumerate([lesion() & False, lesion() & False, lesion(), lesion()]):
        add(tmp_path, f"s{seed}", seed, truth)
    return tmp_path


def evaluated(study, **options):
    return evaluate_predictions(collect_predictions(study / "maps", study / "masks", **options))


def test_pooled_figures_are_the_metrics_of_all_brain_voxels(study):
    pooled, brain = evaluated(study).pooled, inside()
    scores = np.concatenate([anomaly(seed)[brain] for seed in range(4)])
    empty = np.zeros(brain.sum(), bool)
    truth = np.concatenate([empty, empty, lesion()[brain], lesion()[brain]])
    curve = RankCurve.of(scores, truth)
    assert pooled["pixel_ap"] == curve.average_precision()
    assert pooled["pixel_auroc"] == curve.auroc()
    assert (pooled["oracle_dice"], pooled["oracle_threshold"]) == curve.best_dice()
    assert pooled["dice"] == dice(scores > 0.9, truth)
    assert pooled["dice"] <= pooled["oracle_dice"]
    healthy = scores[: 2 * brain.sum()]
    assert pooled["healthy_voxels_flagged"] == pytest.approx((healthy > 0.9).mean())


def test_image_figures_come_from_the_stored_scores(study):
    pooled = evaluated(study).pooled
    assert (pooled["scans"], pooled["lesioned"]) == (4, 2)
    assert (pooled["image_auroc"], pooled["image_ap"]) == (1.0, 1.0)
    add(study, "s0", 9, lesion() & False)
    assert evaluated(study).pooled["image_auroc"] == 0.5


def test_each_scan_has_its_own_figures(study):
    rows = {row["scan"]: row for row in evaluated(study).volumes}
    brain = inside()
    assert rows["s2"]["lesion_voxels"] == lesion().sum()
    assert rows["s2"]["dice"] == dice(anomaly(2)[brain] > 0.9, lesion()[brain])
    assert rows["s0"]["false_alarm_rate"] == pytest.approx((anomaly(0)[brain] > 0.9).mean())
    assert math.isnan(rows["s0"]["dice"])
    assert math.isnan(rows["s0"]["pixel_ap"])


def test_share_of_healthy_scans_with_a_detection(study):
    add(study, "s0", 0, lesion() & False, threshold=99)
    assert evaluated(study).pooled["healthy_scans_flagged"] == 0.5


def test_only_what_was_looked_at_counts(study):
    half = inside()
    half[..., 5:] = False
    add(study, "s2", 2, lesion(), seen=half)
    result = evaluated(study)
    assert result.volumes[2]["pixel_ap"] == RankCurve.of(anomaly(2)[half], lesion()[half]).average_precision()
    assert any("s2: 16 of 48 lesion voxels lie outside" in w for w in result.warnings)


def test_scan_whose_lesion_was_not_looked_at_is_left_out_not_called_healthy(study):
    top = inside()
    top[..., :6] = False
    add(study, "s2", 2, lesion(), seen=top)
    result = evaluated(study)
    assert [row["scan"] for row in result.volumes] == ["s0", "s1", "s3"]
    assert any("s2: left out" in w for w in result.warnings)


def test_brain_masks_replace_what_was_seen_but_keep_to_its_slices(study):
    add(study, "s2", 2, lesion(), slice_range=[4, 7])
    whole = np.ones(SHAPE, np.uint8)
    for seed in range(4):
        write(study / "brains" / f"s{seed}_brain.nii.gz", whole)
    row = evaluated(study, brains=study / "brains").volumes[2]
    region = np.zeros(SHAPE, bool)
    region[..., 4:7] = True
    assert row["lesion_voxels"] == (lesion() & region).sum()
    assert row["pixel_auroc"] == RankCurve.of(anomaly(2)[region], lesion()[region]).auroc()


def test_map_of_another_tool_needs_brain_masks_and_no_more(study):
    for kind in ("mask.nii.gz", "seen.nii.gz", "info.json"):
        (study / "maps" / f"s3_{kind}").unlink()
    with pytest.raises(VolumeError, match=r"s3_seen\.nii\.gz beside it, or --brains"):
        evaluated(study)
    for seed in range(4):
        write(study / "brains" / f"s{seed}.nii.gz", np.uint8(inside()))
    result = evaluated(study, brains=study / "brains")
    top = np.sort(anomaly(3)[inside()])[-math.ceil(inside().sum() / 100) :].mean()
    assert result.volumes[3]["image_score"] == pytest.approx(float(top))
    assert math.isnan(result.volumes[3]["dice"])
    assert any("no Dice at the stored threshold" in w for w in result.warnings)


def test_scans_without_mask_are_listed_and_left_out_or_taken_for_healthy(study):
    (study / "masks" / "s0_lesion.nii.gz").unlink()
    result = evaluated(study)
    assert result.missing == ["s0"]
    assert result.pooled["scans"] == 3
    assert any("no lesion mask: s0" in w for w in result.warnings)
    result = evaluated(study, healthy_without_mask=True)
    assert (result.missing, result.pooled["scans"], result.pooled["lesioned"]) == ([], 4, 2)


@pytest.mark.parametrize(("kept", "kind"), [(["s0", "s1"], "healthy"), (["s2", "s3"], "lesioned")])
def test_one_class_of_scans_has_no_image_auroc_and_says_so(study, kept, kind):
    for path in (study / "maps").iterdir():
        if path.name.partition("_")[0] not in kept:
            path.unlink()
    result = evaluated(study)
    assert math.isnan(result.pooled["image_auroc"])
    assert math.isnan(result.pooled["image_ap"])
    assert any(f"all are {kind}" in w for w in result.warnings)
    assert math.isnan(result.pooled["healthy_voxels_flagged"]) == (kind == "lesioned")


def test_other_mask_values_than_0_and_1_count_as_lesion_with_a_warning(study):
    before = evaluated(study).pooled
    write(study / "masks" / "s2_lesion.nii.gz", np.float32(lesion()) * 4)
    result = evaluated(study)
    assert result.pooled == before
    assert any("s2_lesion.nii.gz" in w and w.endswith(": 4") for w in result.warnings)


@pytest.mark.parametrize("wrong", ["shape", "affine"])
def test_mask_on_another_grid_is_an_error_naming_both_files(study, wrong):
    mask, affine = (lesion()[1:], AFFINE) if wrong == "shape" else (lesion(), AFFINE * 1.5)
    write(study / "masks" / "s2_lesion.nii.gz", np.uint8(mask), affine)
    with pytest.raises(VolumeError, match=r"masks/s2_lesion.nii.gz: .*maps/s2_anomaly.nii.gz"):
        evaluated(study)


@pytest.mark.parametrize(
    "name", ["sub-01_T1w_seg", "sub-01_lesion", "sub-01_T1w_mask", "sub-01_T1w", "sub-01"]
)
def test_mask_is_found_by_the_documented_names(tmp_path, name):
    path = write(tmp_path / "deep" / f"{name}.nii.gz", np.uint8(lesion()))
    assert find_mask("sub-01_T1w", tmp_path, ("_lesion", "_seg", "_mask", "")) == path


def test_scan_beside_its_lesion_mask_is_not_taken_for_the_mask(tmp_path):
    write(tmp_path / "a.nii.gz", np.float32(inside()))
    path = write(tmp_path / "a_lesion.nii.gz", np.uint8(lesion()))
    assert find_mask("a", tmp_path, ("_lesion", "_seg", "")) == path


def test_two_masks_of_one_scan_are_an_error_naming_both(tmp_path):
    for name in ("a_lesion", "a_seg"):
        write(tmp_path / f"{name}.nii.gz", np.uint8(lesion()))
    with pytest.raises(ValueError, match=r"a_lesion.nii.gz and .*a_seg.nii.gz"):
        find_mask("a", tmp_path, ("_lesion", "_seg", ""))


def test_own_detections_are_never_taken_for_the_truth(study):
    (study / "masks" / "s0_lesion.nii.gz").rename(study / "maps" / "s0_lesion.nii.gz")
    predictions = collect_predictions(study / "maps", study, healthy_without_mask=True)
    assert [sample.anomalous for sample in predictions.read()] == [False, False, True, True]


def test_single_mask_serves_a_single_scan_only(study):
    mask = study / "masks" / "s2_lesion.nii.gz"
    with pytest.raises(ValueError, match="a folder of lesion masks for 4 scans"):
        collect_predictions(study / "maps", mask)
    for path in [p for p in (study / "maps").iterdir() if not p.name.startswith("s2")]:
        path.unlink()
    assert evaluate_predictions(collect_predictions(study / "maps", mask)).pooled["lesioned"] == 1


def test_command_prints_a_table_and_writes_json_and_csv(study, capsys):
    out = [study / "new" / "scores.json", study / "new" / "scores.csv"]
    words = ["evaluate", str(study / "maps"), "--masks", str(study / "masks")]
    assert main([*words, "--out", str(out[0]), "--out", str(out[1])]) == 0
    told = capsys.readouterr()
    assert "best Dice (oracle" in told.out
    assert told.err == ""
    whole = json.loads(out[0].read_text())
    assert whole["volumes"][0]["dice"] is None
    assert whole["pooled"]["pixel_ap"] == evaluated(study).pooled["pixel_ap"]
    rows = list(csv.DictReader(out[1].open()))
    assert [row["scan"] for row in rows] == ["s0", "s1", "s2", "s3", "pooled"]
    assert float(rows[-1]["pixel_ap"]) == whole["pooled"]["pixel_ap"]


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        ("masks", "masks", "expected maps NAME_anomaly.nii.gz"),
        ("maps", "nowhere", "nowhere: expected lesion masks, found no such file or folder"),
        ("maps", "empty", "found none that can be scored"),
    ],
)
def test_nothing_to_score_is_one_clear_error(study, capsys, maps, masks, message):
    (study / "empty").mkdir()
    assert main(["evaluate", str(study / maps), "--masks", str(study / masks)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in told
    assert told.count("\n") == 1


def test_every_file_is_read_once_for_all_protocols(study, monkeypatch):
    paths, load = [], Volume.load
    monkeypatch.setattr(Volume, "load", lambda path, **options: paths.append(path) or load(path, **options))
    protocols = [PROTOCOLS.build(name) for name in ("diffad", "lesioned", "kascenas")]
    predictions = collect_predictions(study / "maps", study / "masks")
    evaluation = evaluate_predictions(predictions, protocols, folds=2)
    assert [result.protocol for result in evaluation.protocols] == ["diffad", "lesioned", "kascenas"]
    assert len(paths) == len(set(paths)) == 4 * 4  # map, region, detections and lesion mask of four scans


def test_tables_say_what_the_protocol_of_stored_detections_says(study):
    evaluation = evaluated(study)
    samples = list(collect_predictions(study / "maps", study / "masks").read())
    stored = evaluate_samples(samples, "stored")
    for name in ("pixel_ap", "pixel_auroc", "oracle_dice", "dice", "mean_dice", "image_auroc"):
        assert evaluation.pooled[name] == stored.figures[name].value
    assert [row["pixel_ap"] for row in evaluation.volumes][2:] == [r["pixel_ap"] for r in stored.rows][2:]


def test_lesioned_scans_alone_are_pooled_by_their_protocol(study):
    samples = list(collect_predictions(study / "maps", study / "masks").read())
    brain = inside()
    scores = np.concatenate([anomaly(seed)[brain] for seed in (2, 3)])
    curve = RankCurve.of(scores, np.tile(lesion()[brain], 2))
    result = evaluate_samples(samples, "lesioned", resamples=0)
    assert result.figures["pixel_ap"].value == curve.average_precision()
    assert result.figures["oracle_dice"].value == curve.best_dice().dice
    assert result.figures["dice"].value == curve.best_dice().dice


def test_two_maps_of_one_scan_are_an_error_naming_both(study):
    write(study / "maps/other/sub-1/sub-1_desc-anomaly_T1w.nii.gz", anomaly(0))
    write(study / "maps/sub-1/sub-1_desc-anomaly_T1w.nii.gz", anomaly(0))
    with pytest.raises(ValueError, match=r"maps/other/sub-1/.* and .*maps/sub-1/"):
        collect_predictions(study / "maps", study / "masks")


def test_cohort_whose_lesions_were_not_looked_at_is_an_error_that_names_them(study):
    for path in [p for p in (study / "maps").iterdir() if not p.name.startswith("s2")]:
        path.unlink()
    top = inside()
    top[..., :6] = False
    add(study, "s2", 2, lesion(), seen=top)
    with pytest.raises(ValueError, match=r"expected a scan whose lesion was analysed.*s2: left out"):
        evaluated(study)
