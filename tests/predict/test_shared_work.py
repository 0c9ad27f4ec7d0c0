"""Several processes share a cohort; one that is killed loses nothing, and nothing is done twice."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from diffad.distributed import Process
from diffad.io.subjects import find_scans, group_subjects
from diffad.pipeline import AnomalyPipeline
from diffad.predict import Cohort, Options
from diffad.predict.results import ResultRow, Results
from tests.helpers.cohorts import all_files, brain, load, names, table, write


@pytest.fixture
def many(tmp_path):
    for k in range(12):
        write(tmp_path / "scans" / f"s{k:02}.nii.gz", brain(k))
    return tmp_path / "scans"


def test_processes_share_scans_and_one_table(model, many, tmp_path):
    pipe, found = AnomalyPipeline.from_pretrained(model), group_subjects(find_scans([many]).scans)
    out = tmp_path / "out"
    parts = [Cohort(pipe, out, Options(), share=Process(index, 2)) for index in (1, 0)]
    parts[0].run(found)  # one after the other, as nobody waits here
    assert list(table(out)) == [s.name for s in found[1::2]]
    parts[0].results.add(ResultRow("s99", "failed", error="left from before"))
    summary = parts[1].run(found)
    assert (len(summary.done), len(table(out))) == (6, 13)
    assert [name for name in table(out) if name != "s99"] == [s.name for s in found]


def test_tables_of_several_programs_keep_each_others_rows_in_the_order_of_the_cohort(tmp_path):
    first, second = Results(tmp_path / "results.csv"), Results(tmp_path / "results.csv")
    first.add(ResultRow("old", "ok"))
    first.add(ResultRow("c", "failed", error="first"))
    second.add(ResultRow("b", "ok"), ResultRow("c", "ok"))
    first.add(order=["a", "b", "c"])
    assert list(table(tmp_path)) == list(first.rows) == ["old", "b", "c"]
    assert table(tmp_path)["c"]["status"] == "ok"
    assert names(tmp_path) == ["results.csv"]


@pytest.mark.slow
def test_two_processes_killed_and_resumed_do_every_scan_once(model, many, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "diffad.predict"]
    words += [str(many), "--model", str(model), "--out", str(out)]
    run = subprocess.Popen(
        words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    until = time.monotonic() + 120
    while len(list(out.glob("*_info.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    subprocess.run(["pkill", "-9", "-f", str(out)], check=False)  # workers have sessions of their own
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*_info.json")}
    assert 3 <= len(before) <= 12
    again = subprocess.run(words, capture_output=True, text=True, timeout=240, check=True)
    told = f"{12 - len(before)} done, {len(before)} done before"
    assert told in again.stdout or len(before) == 12
    assert names(out) == all_files(*(f"s{k:02}" for k in range(12)))
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("*_info.json") if p.name in before} == before
    assert all(np.isfinite(load(out / f"s{k:02}_anomaly.nii.gz")).all() for k in range(12))
    assert [row["status"] for row in table(out).values()] == ["ok"] * 12
