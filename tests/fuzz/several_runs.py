"""Kills and double runs of ``diffad predict`` over one folder: ``python -m tests.fuzz.several_runs``.

Pairs of programs work on one folder of results, over the same scans and over different ones; one of two is
killed at a random moment, again and again. Afterwards every scan is whole, by the digests that were stored
with it, every row is in the table, and nothing else is in the folder. Programs are forked from this one,
which has loaded all that is needed, so that most of their time goes into what is tried.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from diffad.cli import main
from diffad.io.naming import Naming
from diffad.predict.finished import inspect_results
from tests.helpers.cohorts import all_files, brain, names, table, write, write_model

LIMIT_SECONDS = 300.0


def fork_predict(words: list[str], log: Path) -> int:
    """Start ``diffad predict`` with these words in a process of its own, and return its number."""
    if pid := os.fork():
        return pid
    code = 99
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        torch.set_num_threads(1)
        code = main(["predict", *words])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(pid: int) -> int:
    """Return the exit code of a process; one that takes too long is killed."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1000


def find_faults(out: Path, scans: list[Path], codes: list[int]) -> list[str]:
    """Say what is not as it must be in a folder of results."""
    stems = [scan.name.removesuffix(".nii.gz") for scan in scans]
    faults = [f"exit code {code}" for code in codes if code]
    for stem in stems:
        scan = inspect_results(Naming(stem).files(out), verify=True)
        if scan.info is None or scan.damage:
            faults.append(f"{stem}: {scan.damage or 'not finished'}")
    rows = table(out)
    faults += [f"{stem}: no good row" for stem in stems if rows.get(stem, {}).get("status") != "ok"]
    faults += [f"{name} is left over or missing" for name in set(names(out)) ^ set(all_files(*stems))]
    return faults


def run_pair(folder: Path, model: Path, scans: list[Path], same: bool) -> list[str]:
    """Let two programs work on one folder at the same time, and return what went wrong."""
    half = len(scans) // 2
    shares = (scans, scans) if same else (scans[:half], scans[half:])
    common = ["--model", str(model), "--out", str(folder / "out")]
    pids = [fork_predict([*map(str, share), *common], folder / f"log{k}") for k, share in enumerate(shares)]
    return find_faults(folder / "out", scans, [wait_for(pid) for pid in pids])


def kill_often(folder: Path, model: Path, scans: list[Path], kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill one of two programs at random moments, then let both finish; return kills and what went wrong."""
    draw, words, count = random.Random(seed), [*map(str, scans)], 0
    words += ["--model", str(model), "--out", str(folder / "out")]
    pids = [fork_predict(words, folder / "log") for _ in range(2)]
    while count < kills:
        time.sleep(draw.uniform(0.05, 1.5))
        victim = draw.randrange(2)
        os.kill(pids[victim], signal.SIGKILL)
        _, status = os.waitpid(pids[victim], 0)
        count += os.WIFSIGNALED(status)
        if len(list((folder / "out").glob("*_info.json"))) == len(scans):
            break
        pids[victim] = fork_predict(words, folder / "log")
    others = [wait_for(pid) for pid in pids[:victim] + pids[victim + 1 :]]
    return count, find_faults(folder / "out", scans, [*others, wait_for(fork_predict(words, folder / "log"))])


def run() -> int:
    """Do it all, say what was found, and return how many faults there are."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--scans", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    faults, kills = 0, 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        model = write_model(root / "model")
        scans = [write(root / "scans" / f"s{k:02}.nii.gz", brain(k)) for k in range(arguments.scans)]
        for pair in range(arguments.pairs):
            folder = root / f"pair{pair}"
            folder.mkdir()
            found = run_pair(folder, model, scans, same=pair % 2 == 0)
            print(
                f"pair {pair + 1} of {arguments.pairs}: {len(found)} faults",
                *found[:5],
                sep="\n  ",
                flush=True,
            )
            faults += len(found)
        while kills < arguments.kills:
            folder = Path(tempfile.mkdtemp(dir=root))
            count, found = kill_often(folder, model, scans, arguments.kills - kills, arguments.seed + kills)
            kills += count
            print(
                f"{kills} of {arguments.kills} kills: {len(found)} faults", *found[:5], sep="\n  ", flush=True
            )
            faults += len(found)
    print(f"{arguments.pairs} double runs, {kills} kills: {faults} faults")
    return faults


if __name__ == "__main__":
    sys.exit(min(run(), 100))
