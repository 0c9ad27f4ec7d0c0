"""What became of a cohort, and what that means for the exit code; which device and sequences it gets."""

import pytest
import torch

from diffad.distributed import Process
from diffad.io.escape import escape_text
from diffad.io.naming import Naming
from diffad.predict import load, writer
from diffad.predict.run import check_sequence_names, choose_device
from diffad.predict.summary import CohortSummary
from tests.helpers.cohorts import AFFINE, SHAPE, brain, write

PART = CohortSummary(done=["a"], failed={"b": "no"})


@pytest.mark.parametrize(
    ("summary", "codes"),
    [
        (CohortSummary(), (0, 0, 0)),
        (CohortSummary(done=["a"], skipped=["b"]), (0, 0, 0)),
        (PART, (1, 0, 0)),
        (CohortSummary(skipped=["a"], failed={"b": "no"}), (1, 0, 0)),
        (CohortSummary(failed={"b": "no"}), (1, 1, 0)),
        (CohortSummary(other=["a"]), (1, 1, 0)),
        (CohortSummary(done=["a"], busy=["b"]), (1, 0, 0)),
        (CohortSummary(done=["a"], absent={"b": "no content"}), (1, 0, 0)),
    ],
)
def test_exit_code_follows_from_the_policy(summary, codes):
    assert tuple(summary.code(policy) for policy in ("any", "all", "never")) == codes


def test_sums_keep_every_list():
    other = CohortSummary(["c"], ["d"], ["e"], {"f": "why"}, busy=["g"], ignored_files=2, notes=["n"])
    total = PART + other
    assert (total.done, total.skipped, total.other) == (["a", "c"], ["d"], ["e"])
    assert (total.failed, total.busy) == ({"b": "no", "f": "why"}, ["g"])
    assert (total.ignored_files, total.notes) == (2, ["n"])


@pytest.mark.parametrize(
    ("name", "world_size", "device"),
    [
        ("cpu", 1, "cpu"),
        ("cpu", 2, "cpu"),
        ("auto", 2, "cuda:1"),
        ("cuda", 2, "cuda:1"),
        ("cuda:3", 1, "cuda:3"),
    ],
)
def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch, name, world_size, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    process = Process(1 if world_size > 1 else 0, world_size, torch.device("cuda:1"))
    assert choose_device(name, process) == device
    assert choose_device("cpu") == "cpu"


def test_sequences_must_be_those_of_the_model_in_its_order():
    check_sequence_names(["T1", "Flair"], ["t1", "flair"])
    check_sequence_names([], ["t1"])
    check_sequence_names(["t1"], None)
    for names in (["flair", "t1"], ["t1"], ["t1", "t2"]):
        with pytest.raises(
            ValueError, match=r"^sequences: expected t1,flair, as the model was trained on, got "
        ):
            check_sequence_names(names, ["t1", "flair"])


def test_name_of_the_greatest_length_is_taken_and_a_longer_one_is_not(tmp_path, monkeypatch):
    longest = len("_anomaly.nii.gz")
    monkeypatch.setattr(writer.os, "pathconf", lambda *_: 20)
    writer.check_names(Naming("x" * (20 - longest)), tmp_path)
    with pytest.raises(ValueError, match=r"at most 20 bytes, found 21"):
        writer.check_names(Naming("x" * (21 - longest)), tmp_path)


def test_voxels_in_memory_are_those_of_the_scan_and_of_the_template(tmp_path):
    scan = write(tmp_path / "s.nii.gz", brain(), AFFINE)
    size = SHAPE[0] * SHAPE[1] * SHAPE[2]
    assert load.count_voxels([scan, scan], prepares=False) == 2 * size
    assert load.count_voxels([scan, scan], prepares=True) == 2 * (size + 197 * 233 * 189)


def test_every_byte_that_is_no_text_is_shown_as_a_byte():
    raw = bytes(range(0x80, 0x100))
    shown = "".join(f"\\x{number:02x}" for number in raw)
    assert escape_text(raw.decode("utf-8", "surrogateescape")) == shown
