"""Options and inputs of a run check themselves, and name what cannot be used."""

from pathlib import Path

import pytest
import torch

from diffad.predict import Inputs, Options

WRONG_OPTIONS = [
    ({"sampler": "chain"}, "sampler: expected a mapping of its name and options, got 'chain'"),
    ({"threshold": float("nan")}, "threshold: expected a number, 'otsu' or none, got nan"),
    ({"threshold": "high"}, "threshold: expected a number, 'otsu' or none, got 'high'"),
    ({"slices": (5, 5)}, "slices: expected FIRST:LAST with 0 <= FIRST < LAST, got '5:5'"),
    ({"slices": (-1, 5)}, "slices: expected FIRST:LAST with 0 <= FIRST < LAST, got '-1:5'"),
    ({"seed": -1}, "seed: expected a number of at least 0, got -1"),
    ({"batch_size": 0}, "batch_size: expected at least 1 slice, got 0"),
    ({"precision": "fp8"}, "precision: expected one of auto, fp32, bf16, fp16, int8, got 'fp8'"),
    ({"axes": ("axial", "axial")}, "axes: expected some of sagittal, coronal, axial, each once"),
    ({"axes": ("oblique",)}, "axes: expected some of sagittal, coronal, axial, each once"),
    ({"axes": ()}, "axes: expected some of sagittal, coronal, axial, each once"),
    ({"fusion": "sum"}, "fusion: expected one of mean, median, min, max, geometric, got 'sum'"),
    ({"trust": "header"}, "trust: expected one of qform, sform, got 'header'"),
    ({"max_voxels": 0}, "max_voxels: expected at least 1 voxel, got 0"),
    ({"noise_across": "cohort"}, "noise_across: expected one of slice, scan, got 'cohort'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_option_that_cannot_be_used_is_named(options, message):
    with pytest.raises(ValueError, match="expected") as error:
        Options(**options)
    assert str(error.value).startswith(message)


def test_every_option_has_a_value_that_can_be_used():
    parts = {name: {"name": "x"} for name in ("sampler", "score", "noise", "guidance")}
    options = Options(
        **parts,
        threshold="otsu",
        slices=(0, 1),
        seed=3,
        batch_size=1,
        precision="bf16",
        axes=("axial", "coronal"),
        fusion="median",
        noise_across="scan",
    )
    assert options.call()["axes"] == ("axial", "coronal")
    assert options.method.sampler == {"name": "x"}


GOOD = {"sources": [Path("scan.nii.gz")], "model": "ixi-t1-axial", "out": Path("out")}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sources": []}, "sources: expected a scan or a folder"),
        ({"device": "tpu"}, "device: expected auto, cpu or a GPU"),
        ({"layout": "flat"}, "layout: expected one of auto, plain, bids, got 'flat'"),
        ({"on_failure": "some"}, "on_failure: expected one of any, all, never, got 'some'"),
    ],
)
def test_input_that_cannot_be_used_is_named(values, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Inputs(**{**GOOD, **values})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device: expected auto, cpu or a GPU"):
        Inputs(**GOOD, device="cuda")
