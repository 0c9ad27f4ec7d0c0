"""Full disks, Ctrl-C and worse: nothing that is finished is ever harmed."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from diffad.io.terminal import hold_interrupts
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import all_files, brain, load, names, table, write
from tests.helpers.disk import fill_disk

GO_ON = "the files of finished scans are whole; run the same command to go on"


def test_full_disk_stops_with_one_error_and_leaves_finished_files_whole(predict, monkeypatch):
    fill_disk(monkeypatch, "s1_twin.nii.gz")
    code, told = predict()
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert (code, len(lines)) == (1, 1)
    assert f"error: {predict.out}: cannot write s1 (No space left on device)" in told
    assert names(predict.out) == all_files("s0", ended=False)
    assert list(table(predict.out)) == ["s0"]
    monkeypatch.undo()
    assert predict()[1].startswith("1 done, 1 done before")


def test_full_disk_while_overwriting_keeps_the_old_results(predict, monkeypatch):
    predict()
    before = {p.name: p.read_bytes() for p in predict.out.iterdir()}
    fill_disk(monkeypatch, "*_lesions.json")
    assert predict("--overwrite", "--seed", "5")[0] == 1
    assert {p.name: p.read_bytes() for p in predict.out.iterdir()} == before


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENAMETOOLONG, "File name too long"), ValueError("no"), MemoryError(), KeyError("x")],
)
def test_scan_that_cannot_be_written_costs_no_other(predict, monkeypatch, error):
    fill_disk(monkeypatch, "s0_twin.nii.gz", error)
    code, told = predict()
    assert (code, "1 done, 1 failed; see " in told, "failed s0: " in told) == (1, True, True)
    assert names(predict.out) == all_files("s1")
    assert {name: row["status"] for name, row in table(predict.out).items()} == {"s0": "failed", "s1": "ok"}


@pytest.mark.parametrize("number", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_disk_that_takes_nothing_ends_the_run(predict, monkeypatch, number):
    fill_disk(monkeypatch, "s0_twin.nii.gz", OSError(number, "gone"))
    code, told = predict()
    assert (code, told.splitlines()[-1]) == (1, f"error: {predict.out}: cannot write s0 (gone); {GO_ON}")
    assert names(predict.out) == []


def test_out_that_cannot_be_made_is_one_clear_error(predict):
    predict.out.write_text("a file")
    code, told = predict()
    assert (code, told) == (1, f"error: {predict.out}: File exists\n")


def interrupt_the_second_scan(patch):
    real, calls = AnomalyPipeline.__call__, []

    def second_is_interrupted(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    patch.setattr(AnomalyPipeline, "__call__", second_is_interrupted)


@pytest.mark.parametrize("where", ["network", "s1_anomaly.nii.gz", "s1_lesions.json", "s1_info.json"])
def test_ctrl_c_leaves_finished_files_whole_and_no_partial_ones(predict, monkeypatch, where):
    if where == "network":
        interrupt_the_second_scan(monkeypatch)
    else:
        fill_disk(monkeypatch, where, KeyboardInterrupt())
    code, told = predict()
    assert (code, "stopped; finished scans are whole" in told) == (130, True)
    assert names(predict.out) == all_files("s0", ended=False)
    monkeypatch.undo()
    assert predict()[1].startswith("1 done, 1 done before")


def test_leftovers_of_a_killed_run_are_cleared(predict):
    (predict.out / ".s0.partial").mkdir(parents=True)
    (predict.out / ".s0.partial" / "s0_twin.nii.gz").write_bytes(b"half")
    predict()
    assert names(predict.out) == all_files("s0", "s1")


def test_unforeseen_error_of_one_scan_is_told_with_its_kind(predict, monkeypatch):
    real = AnomalyPipeline.__call__

    def breaks(self, scan, *rest, **options):
        if scan.path.name == "s0.nii.gz":
            raise RuntimeError("out of\nmemory")
        return real(self, scan, *rest, **options)

    monkeypatch.setattr(AnomalyPipeline, "__call__", breaks)
    code, told = predict()
    assert (code, "failed s0: RuntimeError: out of memory\n" in told) == (1, True)
    assert table(predict.out)["s1"]["status"] == "ok"


def test_ctrl_c_waits_for_steps_that_belong_together():
    # shells in the background let their children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []
    with pytest.raises(KeyboardInterrupt), hold_interrupts():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append(True)
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_real_signal_in_a_real_run_leaves_whole_files_only(model, tmp_path, number):
    for k in range(40):
        write(tmp_path / "scans" / f"s{k}.nii.gz", brain(k))
    out = tmp_path / "out"
    words = [
        sys.executable,
        "-m",
        "diffad.predict",
        str(tmp_path / "scans"),
        "--model",
        str(model),
        "--out",
        str(out),
    ]
    run = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while len(list(out.glob("*_info.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    run.send_signal(number)
    _, told = run.communicate(timeout=60)
    assert run.returncode == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in told
    done = [p.name.removesuffix("_info.json") for p in out.glob("*_info.json")]
    assert 2 <= len(done) < 40
    for name in done:
        assert np.isfinite(load(out / f"{name}_anomaly.nii.gz")).all()
    if number != signal.SIGKILL:
        assert names(out) == all_files(*done, ended=False)
