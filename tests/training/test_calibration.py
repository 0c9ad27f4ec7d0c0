"""A sampler that cuts a map of its own gets its threshold from healthy scans, before its maps do."""

from dataclasses import replace

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import SpaceConfig
from diffad.data.toy import Toy
from diffad.data.volumes import Volumes
from diffad.inference.detector import DetectorRun
from diffad.method import Method
from diffad.training.calibration import collect_healthy, count_healthy_slices
from diffad.training.run import train
from tests.helpers.brains import save_volume

RESAMPLED = (
    "sampler={name: resampled, coarse: {name: chain, level: 20, steps: 2}, level: 10, steps: 2, fpr: 0.1}"
)


def test_threshold_is_the_quantile_of_the_likelihood_of_healthy_scans(small):
    folder = train(small(RESAMPLED, "space.size=24"))
    pipe = AnomalyPipeline.from_pretrained(folder)
    threshold = pipe.config.sampler["threshold"]
    assert threshold > 0
    x, brain = collect_healthy(Toy(size=24, count=8, split="val"))
    first = Method(sampler={**pipe.config.sampler, "threshold": 0.0}, score={"name": "likelihood"})
    detector = pipe.detector(first)
    maps = replace(detector, post=replace(detector.post, median=1)).maps(x, brain, range(len(x))).anomaly
    share = (maps[brain > 0] > threshold).float().mean()
    assert share == pytest.approx(0.1, abs=0.01)


def test_threshold_that_was_given_stays(small):
    pipe = AnomalyPipeline.from_pretrained(train(small(RESAMPLED, "sampler.threshold=0.25")))
    assert pipe.config.sampler["threshold"] == 0.25


def test_sampler_inside_others_is_calibrated_too(small):
    inner = RESAMPLED.removeprefix("sampler=")
    alone = AnomalyPipeline.from_pretrained(train(small(RESAMPLED))).config.sampler["threshold"]
    nested = f"sampler={{name: ensemble, members: 2, samplers: [{{name: oneshot, levels: 20}}, {inner}]}}"
    config = AnomalyPipeline.from_pretrained(train(small(nested))).config.sampler
    assert config["samplers"][1]["threshold"] == alone > 0
    assert "threshold" not in config["samplers"][0]


def test_every_scan_is_calibrated_on_with_noise_of_its_own(small, monkeypatch):
    keys, real = [], DetectorRun.maps
    monkeypatch.setattr(
        DetectorRun,
        "maps",
        lambda self, x, brain, k, **more: keys.append(list(k)) or real(self, x, brain, k, **more),
    )
    train(small("train.steps=2"))
    assert keys == [list(range(8))]


def test_diseased_scans_do_not_calibrate():
    class Labelled(Toy):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), label=index % 2)

    x, _ = collect_healthy(Labelled(size=16, count=6))
    assert x.shape == (3, 1, 16, 16)
    assert torch.equal(x[1], Toy(size=16, count=6)[2].image)
    with pytest.raises(ValueError, match="expected healthy scans to calibrate on, found 1 diseased"):
        collect_healthy([replace(Toy(size=16, count=1)[0], label=1)])


def test_slices_of_a_scan_calibrate_a_median_of_the_volume_together(generators):
    class Cut(list):
        slice_counts = (4, 1, 3)

    items = [Toy(size=24, count=8)[i] for i in range(8)]
    data = Cut(replace(item, label=1) if i in (3, 4) else item for i, item in enumerate(items))
    assert count_healthy_slices(data) == [3, 3]
    assert count_healthy_slices(items) == [1] * 8


def test_volumes_say_how_many_slices_each_scan_has(tmp_path):
    for k, depth in enumerate((9, 12)):
        save_volume(tmp_path / "train" / f"sub-{k}.nii.gz", seed=k, shape=(16, 14, depth))
    data = Volumes(str(tmp_path), space=SpaceConfig(size=16))
    assert len(data.slice_counts) == 2
    assert sum(data.slice_counts) == len(data) > max(data.slice_counts)


def test_volumes_calibrate_as_whole_scans_and_give_healthy_maps_by_place(small, tmp_path):
    root = tmp_path / "scans"
    for split, number in (("train", 0), ("val", 3), ("val", 4), ("val", 5)):
        save_volume(root / split / f"sub-{number}.nii.gz", seed=number, shape=(20, 18, 10))
    data = f"data={{name: volumes, root: {root}}}"
    folder = train(small(data, "postprocess.normalise=place", "train.steps=2"))
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert pipe.healthy.scans == pipe.config.calibration["scans"] == 3
    assert pipe.config.postprocess["normalise"] == "place"
    output = pipe(root / "val" / "sub-3.nii.gz")
    assert output.info["threshold_rule"] == "healthy pixel FPR 0.01"
    assert not any("not normalised" in text for text in output.info["warnings"])
    # units of the spread of healthy scans, not of intensities
    assert 0.1 < float(output.anomaly_map[output.analysed].mean()) < 3


def test_slices_that_are_no_volumes_leave_maps_as_they_are(small, capsys):
    pipe = AnomalyPipeline.from_pretrained(train(small("postprocess.normalise=place", "train.steps=2")))
    assert pipe.healthy is None
    assert pipe.config.postprocess["normalise"] == "none"
    assert capsys.readouterr().err.count("not normalised by place") == 1


def test_a_table_says_where_scans_were_made(tmp_path):
    for name in ("a", "b"):
        save_volume(tmp_path / f"{name}.nii.gz", seed=ord(name), shape=(16, 14, 9))
    (tmp_path / "scans.csv").write_text("path,split,site\na.nii.gz,val,north\nb.nii.gz,val,south\n")
    data = Volumes(str(tmp_path), "val", SpaceConfig(size=16), csv="scans.csv")
    sites = {site: volume.name for site, volume, _ in data.read_scans()}
    assert {site: name.rpartition("/")[2] for site, name in sites.items()} == {
        "north": "a.nii.gz",
        "south": "b.nii.gz",
    }


def test_diseased_volumes_are_not_read_for_calibration(tmp_path):
    for name in ("a", "b"):
        save_volume(tmp_path / f"{name}.nii.gz", seed=ord(name), shape=(16, 14, 9))
    (tmp_path / "scans.csv").write_text("path,split\na.nii.gz,val\nb.nii.gz,val\n")
    (tmp_path / "labels.csv").write_text("file,label\na.nii.gz,diseased\nb.nii.gz,healthy\n")
    labels = str(tmp_path / "labels.csv")
    data = Volumes(str(tmp_path), "val", SpaceConfig(size=16), csv="scans.csv", labels=labels)
    assert [volume.name.rpartition("/")[2] for _, volume, _ in data.read_scans()] == ["b.nii.gz"]
