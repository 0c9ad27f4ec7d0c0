"""One window for the whole brain, and a word on scans that are not those of the model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffad import AnomalyPipeline, Volume
from diffad.data.volumes import Volumes
from diffad.inference.domain import DomainError, summarise_domain
from diffad.inference.features import measure_channels
from diffad.inference.flagged import list_share_warnings
from tests.helpers.cohorts import AFFINE, brain, inside, write, write_model

SHAPE = inside().shape


def load(folder, **settings):
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.register_to_config(**settings)
    return pipe


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pipe(model):
    return load(model)


def scan():
    """A brain that is brighter from slice to slice, so that each slice alone has another window."""
    return Volume((brain() * np.linspace(0.5, 1.5, SHAPE[2], dtype=np.float32))[None], AFFINE)


def calibration(threshold):
    return {"thresholds": {"0.01": threshold}, "scans": 1, "pixels": 9}


def said(output, words):
    return [warning for warning in output.info["warnings"] if words in warning]


@pytest.mark.parametrize("axes", [None, ["coronal"]])
@pytest.mark.parametrize("low", [None, 1.0])
def test_slice_alone_equals_slice_among_others(model, axes, low):
    pipe = load(model, space={**AnomalyPipeline.from_pretrained(model).config.space, "low": low})
    options = {"axes": axes, "threshold": 0.1}
    alone, among = pipe(scan(), slices=(5, 6), **options), pipe(scan(), slices=(3, 8), **options)
    index = (..., slice(5, 6)) if axes is None else (..., slice(5, 6), slice(None))
    torch.testing.assert_close(alone.anomaly_map[index], among.anomaly_map[index], rtol=0, atol=1e-5)
    assert alone.info["window"] == among.info["window"]
    assert (alone.info["window"]["lower"] == [0.0]) == (low is None)


def test_window_of_training_is_that_of_use(pipe, tmp_path):
    path = write(tmp_path / "a.nii.gz", scan().data[0])
    space = dict(pipe.config.space)
    from diffad.config import SpaceConfig, from_dict

    options = {"space": from_dict(SpaceConfig, space), "shares": {"train": 1.0}, "min_brain": 0.0}
    (few,), many = Volumes(str(tmp_path), slices=(5, 6), **options), Volumes(str(tmp_path), **options)
    assert any(torch.equal(few.image, item.image) for item in many)
    top = pipe(path, slices=(5, 6)).info["window"]["upper"][0]
    assert top == pytest.approx(np.percentile(scan().data[0][inside()], 99) / 0.85, rel=1e-5)


def test_batch_stores_a_window_of_each_item(pipe):
    x = torch.rand(2, 1, 24, 24) * 0.5 + 0.2
    windows = pipe(x).info["windows"]
    assert [sorted(window) for window in windows] == [["lower", "upper"]] * 2


def test_tensor_of_a_ct_model_is_in_its_window_already(model):
    ct = load(model, space={**AnomalyPipeline.from_pretrained(model).config.space, "intensity": "ct"})
    x = torch.rand(1, 1, 24, 24) * 0.5 + 0.2
    assert ct(x).info["window"] == {"lower": [0.0], "upper": [1.0]}


@pytest.mark.parametrize("scale", [1 / 120, 1.0, 10.0])
def test_ct_model_refuses_an_mri(model, scale):
    ct = load(model, space={**AnomalyPipeline.from_pretrained(model).config.space, "intensity": "ct"})
    with pytest.raises(ValueError, match="expected a CT in Hounsfield units"):
        ct(Volume((brain() * scale)[None], AFFINE))


def test_mri_model_says_that_a_scan_looks_like_a_ct(pipe):
    head = np.where(inside(), 35 + brain() / 20, -1000 + np.random.default_rng(0).random(SHAPE) * 9)
    output = pipe(Volume(head[None], AFFINE), inside())
    assert said(output, "looks like a CT")
    assert not said(pipe(scan()), "looks like a CT")


def test_scan_named_like_another_sequence_is_said(model, tmp_path):
    pipe = load(model, sequences=["T1w"])
    flair, t1 = (write(tmp_path / f"a_{name}.nii.gz", brain()) for name in ("FLAIR", "T1w"))
    assert said(pipe(flair), "trained on T1w, and this scan is named flair")
    assert not said(pipe(t1), "is named")


def test_far_more_flagged_than_calibrated_is_said_whatever_the_threshold(model, pipe):
    maps = pipe(scan()).anomaly_map[pipe(scan()).analysed]
    low, high = float(maps.quantile(0.45)), float(maps.quantile(0.97))
    for threshold in (None, "otsu", 0.5):
        output = load(model, calibration=calibration(low))(scan(), threshold=threshold)
        assert said(output, "55% of what was looked at is flagged, and about 1% of a healthy scan")
        output = load(model, calibration=calibration(high))(scan(), threshold=threshold)
        assert not said(output, "is flagged")


def test_share_of_detections_counts_where_nothing_is_calibrated(pipe):
    output = pipe(scan(), threshold=0.5)
    mask = torch.zeros_like(output.mask)
    assert list_share_warnings(output, None, 0.01) == []
    many = replace(output, mask=output.analysed.clone())
    assert "100% of what was looked at is flagged" in list_share_warnings(many, None, 0.01)[0]
    assert list_share_warnings(replace(output, mask=mask), calibration(9.0), 0.05) == []  # another rate


@pytest.mark.parametrize("way", ["path", "volume", "array"])
def test_warnings_of_reading_are_in_the_info_of_every_call(pipe, tmp_path, way):
    path = write(tmp_path / "head.nii.gz", brain() + np.random.default_rng(0).random(SHAPE, np.float32))
    mask = np.where(inside(), 2, 1).astype(np.uint8)
    calls = {"path": (path,), "volume": (Volume.load(path),), "array": (path, mask)}
    output = pipe(*calls[way])
    assert len(said(output, "does not look skull-stripped")) == 1
    assert bool(said(output, "other values than 0 and 1")) == (way == "array")
    assert not said(pipe(path, mask, mask_threshold=1.5), "does not look skull-stripped")


def test_constant_added_to_zscores_is_said_but_not_a_background_that_moved_along(pipe):
    zscores = (brain() - brain()[inside()].mean()) / brain()[inside()].std()
    assert said(pipe(Volume(np.where(inside(), zscores + 20, 0)[None], AFFINE)), "as after adding a constant")
    shifted = pipe(Volume(scan().data + 900, AFFINE), inside())
    assert not said(shifted, "as after adding a constant")
    assert said(shifted, "its background is 900, not 0")
    assert not said(pipe(scan()), "as after adding a constant")


def known_domain(factor=1.0):
    """Describe scans like ``scan``, but for the size of their voxels."""
    volume = Volume(scan().data, AFFINE @ np.diag([factor, factor, factor, 1.0]))
    return summarise_domain([measure_channels(volume, torch.from_numpy(inside()))] * 3)


def test_scan_inside_the_domain_is_said_to_be(model):
    output = load(model, domain=known_domain(), calibration=calibration(9.0))(scan(), strict=True)
    assert output.info["domain"] == {"status": "inside", "reasons": []}
    assert not said(output, "outside")


def test_scan_outside_the_domain_is_said_and_refused_if_asked(model):
    pipe = load(model, domain=known_domain(2.0), calibration=calibration(9.0))
    output = pipe(scan())
    assert output.info["domain"]["status"] == "outside"
    reasons = output.info["domain"]["reasons"]
    (warning,) = said(output, "outside what the model knows")
    assert all(reason in warning for reason in reasons[:3])
    with pytest.raises(DomainError, match="the scan: outside what the model knows: the width of its brain"):
        pipe(scan(), strict=True)


def test_far_more_flagged_than_calibrated_is_outside_too(model):
    low = float(load(model)(scan()).anomaly_map.quantile(0.5))
    pipe = load(model, domain=known_domain(), calibration=calibration(low))
    output = pipe(scan())
    assert output.info["domain"]["status"] == "outside"
    assert "is flagged" in output.info["domain"]["reasons"][0]
    with pytest.raises(DomainError, match="is flagged"):
        pipe(scan(), strict=True)


def test_model_without_a_domain_does_not_know(pipe):
    assert pipe(scan(), threshold=9.0).info["domain"]["status"] == "unknown"
    assert pipe(torch.rand(1, 1, 24, 24), threshold=9.0).info["domain"]["status"] == "unknown"


def test_each_sequence_has_a_domain_of_its_own(model):
    from diffad.inference.domain import check_domain
    from diffad.inference.scan import ScanSource

    pair = np.concatenate([scan().data, scan().data[:, :, :, ::-1]])
    brain = torch.from_numpy(inside())[None, None]
    source = ScanSource(torch.from_numpy(pair)[None], brain, Volume(pair, AFFINE))
    (near,), (far,) = known_domain(), known_domain(2.0)
    check = check_domain(source, {**load(model).config, "domain": [near, far]})
    assert all(reason.startswith("of sequence 2: ") for reason in check.reasons)
    assert check.status == "outside"


def test_domain_is_stored_with_the_model(model, tmp_path):
    load(model, domain=known_domain()).save_pretrained(tmp_path / "m")
    assert load(tmp_path / "m").config.domain == known_domain()


def test_damaged_domain_is_refused_at_load(model, tmp_path):
    from diffad.models.pretrained import ModelError

    load(model, domain=[{**known_domain()[0], "scans": "x"}]).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match="a sequence and a number of scans"):
        load(tmp_path / "m")
