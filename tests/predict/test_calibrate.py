"""A model calibrated on a user's own healthy scans, and the p-values it then writes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffad import AnomalyPipeline
from diffad.cli import main
from diffad.data.volume import Volume
from diffad.inference.postprocess import Postprocess
from diffad.inference.scan import read_source
from diffad.inference.stacking import make_stacks
from diffad.models.folder import ModelError
from diffad.predict.sensitivity import implant_sizes
from diffad.threshold import Calibration
from tests.helpers.cohorts import brain, info, inside, load, write


@pytest.fixture
def calibrated(model, cohort, tmp_path, capsys):
    code = main(["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")])
    told = capsys.readouterr().out
    assert code == 0
    return tmp_path / "ours", told


def test_thresholds_are_those_of_the_maps_predict_writes(calibrated, predict):
    folder, told = calibrated
    kept = Calibration.from_dict(AnomalyPipeline.from_pretrained(folder).config.calibration)
    code, _ = predict(model=folder)
    assert code == 0
    scores = np.concatenate([load(predict.out / f"s{i}_anomaly.nii.gz")[inside()] for i in range(2)])
    assert kept.pixels == len(scores)
    for rate, threshold in kept.thresholds.items():
        assert (scores > threshold).mean() <= rate
        assert (scores >= threshold * (1 - 1e-6)).mean() > rate
        assert f"nominal FPR {rate:g}" in told
    assert info(predict.out, "s0")["threshold"] == kept.threshold(0.01)
    assert "survival" not in info(predict.out, "s0")["config"]["calibration"]
    assert info(predict.out, "s0")["config"]["calibration"]["achieved"]


def test_p_values_lie_on_the_scan_and_fall_where_the_map_is_high(calibrated, predict):
    predict(model=calibrated[0])
    p, scores = (load(predict.out / f"s0_{kind}.nii.gz") for kind in ("pvalue", "anomaly"))
    assert p.shape == scores.shape
    assert (p[~inside()] == 1).all()
    assert p[inside()].min() >= 1 / 3 - 1e-6  # two scans cannot show more
    order = np.argsort(scores[inside()])
    assert (np.diff(p[inside()][order]) <= 0).all()


def test_other_parts_have_no_p_values(calibrated, predict):
    predict("--score", "l2", model=calibrated[0])
    assert not (predict.out / "s0_pvalue.nii.gz").exists()


def test_scan_that_cannot_be_used_is_left_out_and_named(model, cohort, tmp_path, capsys):
    (cohort / "broken.nii.gz").write_bytes(b"no scan")
    write(cohort / "nan.nii.gz", np.full_like(brain(), np.nan))
    assert main(["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]) == 0
    told = capsys.readouterr()
    assert "2 of 4 scans" in told.out
    assert "left out broken" in told.err
    assert "left out nan" in told.err


def test_folder_with_something_in_it_is_kept(model, cohort, tmp_path, capsys):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "notes.txt").write_text("mine")
    assert main(["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]) == 1
    assert "expected a new folder" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "ours").iterdir()] == ["notes.txt"]


RESAMPLED = "{name: resampled, coarse: {name: chain, level: 20, steps: 2}, level: 10, steps: 2, fpr: 0.1}"


def test_sampler_that_cuts_a_map_of_its_own_gets_its_threshold_first(model, cohort, tmp_path, capsys):
    words = ["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main([*words, "--sampler", RESAMPLED]) == 0
    pipe = AnomalyPipeline.from_pretrained(tmp_path / "ours")
    threshold = pipe.config.sampler["threshold"]
    detector = pipe.detector()
    first, likelihood = detector.sampler.calibrating()
    detector = replace(detector, sampler=first, score=likelihood, post=Postprocess(median=1))
    scores = []
    for path in sorted(cohort.glob("s?.nii.gz")):
        for stack in make_stacks(read_source(path), "axial"):
            x, inside_brain, _ = detector.space.place(
                stack.image, stack.brain, stack.spacing, stack.centre, stack.window
            )
            scores.append(detector.maps(x, inside_brain, stack.keys).anomaly[inside_brain > 0])
    share = (torch.cat(scores) > threshold).float().mean()
    assert share == pytest.approx(0.1, abs=0.01)


def test_threshold_of_a_sampler_that_was_given_stays(model, cohort, tmp_path):
    words = ["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main([*words, "--sampler", RESAMPLED, "--sampler", "threshold=0.25"]) == 0
    assert AnomalyPipeline.from_pretrained(tmp_path / "ours").config.sampler["threshold"] == 0.25


def test_no_scan_at_all_is_an_error(model, tmp_path, capsys):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "broken.nii.gz").write_bytes(b"no scan")
    words = ["calibrate", str(tmp_path / "scans"), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main(words) == 1
    assert "at least one healthy scan" in capsys.readouterr().err
    assert not (tmp_path / "ours").exists()


def test_head_among_stripped_scans_shifts_no_threshold(calibrated, model, cohort, tmp_path, capsys):
    scalp = 100 + np.random.default_rng(0).random(brain().shape, np.float32)
    write(cohort / "head.nii.gz", np.where(inside(), brain(), scalp))
    assert main(["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "three")]) == 0
    assert "left out head: " in (told := capsys.readouterr().err)
    assert "does not look skull-stripped" in told
    both = [
        AnomalyPipeline.from_pretrained(f).config.calibration for f in (calibrated[0], tmp_path / "three")
    ]
    assert both[0]["thresholds"] == both[1]["thresholds"]


def test_warnings_of_many_scans_are_said_once(model, cohort, tmp_path, capsys):
    for name in ("s0", "s1"):
        write(cohort / f"{name}_mask.nii.gz", (inside() * np.linspace(0, 1, 10)).astype(np.float32))
    words = ["calibrate", str(cohort), "--model", str(model), "--mask", "_mask", "--out"]
    assert main([*words, str(tmp_path / "ours")]) == 0
    assert capsys.readouterr().err.count("as probabilities") == 1
    assert main([*words, str(tmp_path / "other"), "--mask-threshold", "0.2"]) == 0
    assert "as probabilities" not in capsys.readouterr().err


@pytest.fixture
def normalised(model, cohort, tmp_path):
    words = ["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main([*words, "--normalise", "place"]) == 0
    return tmp_path / "ours"


def test_maps_are_in_units_of_healthy_scans_once_calibrated(normalised, model, cohort):
    pipe, raw = AnomalyPipeline.from_pretrained(normalised), AnomalyPipeline.from_pretrained(model)
    scan = cohort / "s0.nii.gz"
    output, plain = pipe(scan), raw(scan)
    expected = pipe.healthy.normalise(plain.anomaly_map, plain.analysed, plain.brain)
    torch.testing.assert_close(output.anomaly_map, expected)
    assert output.info["threshold"] == Calibration.from_dict(pipe.config.calibration).threshold(0.01)
    assert output.info["config"]["postprocess"]["normalise"] == "place"
    assert (normalised / "healthy.safetensors").stat().st_size < 200_000


def test_maps_that_cannot_be_normalised_are_as_they_were_and_it_is_said_once(normalised, cohort):
    pipe = AnomalyPipeline.from_pretrained(normalised)
    calls = (
        ((torch.rand(2, 1, 24, 28),), {}, "a tensor does not say where"),
        ((cohort / "s0.nii.gz",), {"score": {"name": "l2"}}, "other maps than the model's own"),
    )
    for scan, options, reason in calls:
        output = pipe(*scan, **options)
        assert output.info["threshold_rule"] == "otsu"
        assert output.p_value is None
        assert sum(reason in text for text in output.info["warnings"]) == 1


def test_saving_anew_keeps_or_drops_healthy_maps(normalised, tmp_path):
    pipe = AnomalyPipeline.from_pretrained(normalised)
    pipe.save_pretrained(tmp_path / "copy")
    copy = AnomalyPipeline.from_pretrained(tmp_path / "copy")
    assert torch.equal(copy.healthy.mean, pipe.healthy.mean)
    pipe.healthy = None
    pipe.save_pretrained(tmp_path / "copy")
    assert not (tmp_path / "copy" / "healthy.safetensors").exists()
    with pytest.raises(ModelError, match=r"healthy.safetensors: expected the healthy maps"):
        AnomalyPipeline.from_pretrained(tmp_path / "copy")


def test_damaged_healthy_maps_are_found(normalised):
    path = normalised / "healthy.safetensors"
    values = bytearray(path.read_bytes())
    values[-1000] ^= 1
    path.write_bytes(values)
    with pytest.raises(ModelError, match=r"healthy.safetensors is not what was written"):
        AnomalyPipeline.from_pretrained(normalised)


def test_unknown_units_are_wrong_usage(model, cohort, tmp_path, capsys):
    words = ["calibrate", str(cohort), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main([*words, "--normalise", "voxel"]) == 2
    assert "normalise" in capsys.readouterr().err


def test_detections_of_the_size_of_healthy_ones_are_dropped_unless_asked_for(normalised, cohort):
    pipe = AnomalyPipeline.from_pretrained(normalised)
    whole = Calibration.from_dict(pipe.config.calibration).whole
    limit = whole.clusters.limit("few", 0.01)
    assert limit > 0
    scan = cohort / "s0.nii.gz"
    output, everything = pipe(scan), pipe(scan, keep_small=True)
    assert output.info["least_mm3"] == pytest.approx(limit, abs=1e-3)
    assert "least_mm3" not in everything.info
    assert torch.equal(everything.mask, everything.anomaly_map > everything.info["threshold"])
    assert all(lesion.volume_ml * 1000 > limit - 1e-3 for lesion in output.lesions())
    assert len(output.lesions()) <= 3 < len(everything.lesions())
    assert "least_mm3" not in pipe(scan, threshold=0.5).info


def test_scan_is_compared_with_whole_scans_only(normalised, cohort):
    pipe = AnomalyPipeline.from_pretrained(normalised)
    comparison = pipe(cohort / "s0.nii.gz").info["healthy_scans"]
    assert comparison["scans"] == 2
    assert comparison["floor"] == pytest.approx(1 / 3)
    assert set(comparison["by"]) == {"topk", "max", "flagged"}
    assert "healthy_scans" not in pipe(cohort / "s0.nii.gz", slices=(3, 6)).info


def test_changed_rate_of_the_masks_leaves_the_comparison_as_it_is(normalised, cohort):
    pipe = AnomalyPipeline.from_pretrained(normalised)
    calibration, post = dict(pipe.config.calibration), dict(pipe.config.postprocess)
    assert calibration["whole"]["fpr"] == post["fpr"]
    row = pipe(cohort / "s0.nii.gz").info["healthy_scans"]["by"]["flagged"]
    pipe.register_to_config(postprocess={**post, "fpr": 0.1})
    info = pipe(cohort / "s0.nii.gz").info
    assert info["threshold_rule"] == "healthy pixel FPR 0.1"
    assert info["healthy_scans"]["by"]["flagged"] == row
    calibration["thresholds"] = {"0.1": calibration["thresholds"]["0.1"]}
    pipe.register_to_config(calibration=calibration)
    info = pipe(cohort / "s0.nii.gz").info
    assert "flagged" not in info["healthy_scans"]["by"]
    assert sum("calibrate it anew" in text for text in info["warnings"]) == 1


def test_rates_are_stated_by_site(model, cohort, tmp_path, capsys):
    for name in ("s0", "s1"):
        (cohort / name).mkdir()
        (cohort / f"{name}.nii.gz").rename(cohort / name / f"{name}.nii.gz")
    words = ["calibrate", str(cohort), "--model", str(model), "--out"]
    assert main([*words, str(tmp_path / "ours"), "--site", "folder", "--normalise", "place"]) == 0
    lines = capsys.readouterr().out
    assert "site s0, 1 scans: " in lines
    assert "with thresholds of the other sites" in lines
    (tmp_path / "sites.csv").write_text("scan,site\ns0,north\n")
    assert main([*words, str(tmp_path / "other"), "--site", str(tmp_path / "sites.csv")]) == 1
    assert "expected the site of" in capsys.readouterr().err
    (tmp_path / "sites.csv").write_text("scan,site\ns0,north\ns1,south\n")
    assert main([*words, str(tmp_path / "other"), "--site", str(tmp_path / "sites.csv")]) == 0
    whole = Calibration.from_dict(
        AnomalyPipeline.from_pretrained(tmp_path / "other").config.calibration
    ).whole
    assert set(whole.sites) == {"north", "south"}


def test_sites_left_out_are_told_and_kept(model, cohort, tmp_path, capsys):
    (tmp_path / "sites.csv").write_text("scan,site\ns0,north\ns1,south\n")
    words = ["calibrate", str(cohort), "--model", str(model), "--normalise", "place", "--across", "2"]
    words += ["--held-out", "site", "--out", str(tmp_path / "ours")]
    assert main(words) == 2
    assert "expected scans of several sites (--site), got 'none'" in capsys.readouterr().err
    assert main([*words, "--site", str(tmp_path / "sites.csv"), "--normalise", "none"]) == 2
    assert "expected maps by place" in capsys.readouterr().err
    assert main([*words, "--site", str(tmp_path / "sites.csv")]) == 0
    assert "each measured without its site" in capsys.readouterr().out
    config = AnomalyPipeline.from_pretrained(tmp_path / "ours").config
    assert Calibration.from_dict(config.calibration).held_out == "site"
    assert config.postprocess["across"] == 2


def test_site_that_is_alone_in_the_end_is_said(model, cohort, tmp_path, capsys):
    (tmp_path / "sites.csv").write_text("scan,site\ns0,north\ns1,south\n")
    (cohort / "s1.nii.gz").write_bytes(b"nothing")
    words = ["calibrate", str(cohort), "--model", str(model), "--site", str(tmp_path / "sites.csv")]
    words += ["--normalise", "place", "--held-out", "site", "--out", str(tmp_path / "ours")]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "scans that could be used are of one site, which is not left out" in told.out + told.err
    assert (
        Calibration.from_dict(AnomalyPipeline.from_pretrained(tmp_path / "ours").config.calibration).held_out
        == ""
    )


def test_implanted_lesions_give_a_table_with_the_model(model, tmp_path, capsys):
    shape = (40, 44, 36)
    for number in range(2):
        write(tmp_path / "heads" / f"s{number}.nii.gz", brain(number, shape), np.diag([2.0, 2.0, 2.0, 1.0]))
    words = ["calibrate", str(tmp_path / "heads"), "--model", str(model), "--out", str(tmp_path / "ours")]
    assert main([*words, "--sensitivity", "1", "--fpr", "0.1"]) == 0
    text = (tmp_path / "ours" / "sensitivity.md").read_text()
    assert text.splitlines()[0] in capsys.readouterr().out
    rows = Calibration.from_dict(
        AnomalyPipeline.from_pretrained(tmp_path / "ours").config.calibration
    ).sensitivity
    assert {row.kind for row in rows} == {"dark", "bright", "textured", "mass_effect"}
    assert {row.rate for row in rows} == {0.01, 0.1}
    assert all(row.lesions >= 1 for row in rows)


def test_implanted_lesions_lie_apart_and_change_nothing_else():
    volume = Volume(brain(0, (40, 44, 36))[None], np.diag([2.0, 2.0, 2.0, 1.0]))
    mask = torch.from_numpy(inside((40, 44, 36)))
    changed, lesions = implant_sizes(volume, mask, "dark", "key")
    again, _ = implant_sizes(volume, mask, "dark", "key")
    assert np.array_equal(changed.data, again.data)
    _, count = ndimage.label(lesions.numpy())
    assert count >= 3
    assert bool((lesions <= mask).all())
    difference = torch.from_numpy(changed.data - volume.data)[0]
    assert float(difference[~mask].abs().max()) == 0
    assert float(difference[lesions].mean()) < 0
