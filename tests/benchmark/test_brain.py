"""The benchmark of whole brains: groups of a set beside healthy heads, and baselines of whole volumes."""

import csv
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.benchmark.baselines import load_baseline
from diffad.benchmark.config import PLAIN_BASELINES, VOLUME_BASELINES, load_benchmark
from diffad.benchmark.run import run_benchmark
from diffad.benchmark.test_sets import TestSets
from diffad.cli import main
from diffad.data.lesions import KINDS
from diffad.distributed import Process


@pytest.fixture
def config(tmp_path):
    axes = [torch.linspace(-1, 1, n) for n in (28, 34, 28)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    for number in range(3):
        noise = 4 * torch.rand(distance.shape, generator=torch.Generator().manual_seed(number))
        image = (100 + 20 * torch.sin(9 * distance) + noise) * (distance < 0.9)
        (tmp_path / "healthy").mkdir(exist_ok=True)
        path = tmp_path / "healthy" / f"sub-0{number}_T1w.nii.gz"
        nib.save(nib.Nifti1Image(image.numpy(), np.diag([5.0, 5.0, 5.0, 1.0])), path)
    words = ["--out", str(tmp_path / "implants"), "--healthy", "--per-scan", "4", "--limit", "2"]
    assert main(["implant", str(tmp_path / "healthy"), *words]) == 0
    changes = [f"data.root={tmp_path / 'implants'}", f"data.healthy={tmp_path / 'healthy'}", "methods=[]"]
    return load_benchmark("benchmark_brain", [*changes, f"output={tmp_path / 'out'}", "resamples=20"])


def test_every_kind_is_a_column_beside_the_healthy_heads(config):
    sets = TestSets(config.data).list_sets(0)
    assert {s.kind for s in sets} == {"healthy", *KINDS}
    assert all(not item.truth.any() for s in sets if s.kind == "healthy" for item in s.read())
    outcome = run_benchmark(config, Process())
    assert not outcome.failures
    rows = list(csv.DictReader((config.out / "results.csv").open()))
    assert {row["method"] for row in rows} == set(VOLUME_BASELINES)


def test_volume_baselines_say_what_they_lack(config):
    with pytest.raises(ValueError, match="expected a brain mask _skull beside it"):
        load_baseline("atlas z-score", replace(config.data, healthy_mask="_skull"), None)


def test_other_benchmarks_may_use_the_names_of_plain_baselines():
    assert "random" in load_benchmark("benchmark_controls").labels


def test_volumes_without_healthy_scans_have_the_baselines_that_learn_nothing(config):
    alone = replace(config, data=replace(config.data, healthy=None, limit=1))
    assert alone.labels == list(PLAIN_BASELINES)
    (test_set,) = [s for s in TestSets(config.data).list_sets(0) if s.kind == "dark"]
    items = test_set.read()[:1]
    box = items[0].brain
    for label in PLAIN_BASELINES:
        (scores,) = load_baseline(label, alone.data, None).predict(items, 0).maps
        assert scores.shape == box.shape
        assert not scores[~torch.from_numpy(box)].any()
        assert scores.max() > 0
    (mirrored,) = load_baseline("mirror asymmetry", alone.data, None).predict(items, 0).maps
    (volume,) = load_baseline("mirror asymmetry", config.data, None).predict(items, 0).maps
    torch.testing.assert_close(mirrored, volume, rtol=1e-3, atol=1e-3)
