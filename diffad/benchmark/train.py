"""Trains what is missing: each network in a process of its own, those it needs before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from diffad.benchmark.config import RUNS, BenchmarkConfig, MethodConfig
from diffad.benchmark.storage import note_failure, read_failures
from diffad.config import Config, load
from diffad.config.schema import ConfigError
from diffad.distributed import Process
from diffad.io.atomic import write_text
from diffad.io.terminal import say

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_", "GROUP_", "ROLE_", "LOCAL_", "TORCHELASTIC_", "ACCELERATE_")
"""Beginnings of what launchers put into the environment; training is a process of its own."""


def order_waves(config: BenchmarkConfig) -> list[list[MethodConfig]]:
    """Order what is trained so that every network comes after those it needs.

    Raises:
        ConfigError: If networks need each other in a circle.
    """
    rest = [m for m in (*config.networks, *config.methods) if m.train is not None]
    found: list[list[MethodConfig]] = []
    while rest:
        labels = {m.label for m in rest}
        ready = [m for m in rest if not find_dependencies(m) & labels]
        if not ready:
            raise ConfigError(f"expected networks that can be trained in some order, got {sorted(labels)}")
        found.append(ready)
        rest = [m for m in rest if m not in ready]
    return found


def find_dependencies(spec: MethodConfig) -> set[str]:
    """Return the labels of the runs that the assignments of a method name."""
    return {text.split(f"{RUNS}/")[1].split("/")[0] for text in spec.set if f"{RUNS}/" in text}


def list_assignments(spec: MethodConfig, slices: str | None, runs: str) -> list[str]:
    """Return all changes to the training config.

    Args:
        spec: What is trained.
        slices: Slices of the benchmark, which are the data of the training, too.
        runs: Folder of the trained networks.
    """
    told = [text.replace(RUNS, runs) for text in spec.set]
    ours = slices and not any(text.startswith("data.root=") for text in told)
    where = [f"data.root={slices}"] if ours else []
    variants = [text for text in told if text.startswith("variant=")]
    others = [text for text in told if not text.startswith("variant=")]
    return [*variants, *others, *where, f"name={spec.label}", f"output={runs}"]


def locate_product(config: Config) -> Path:
    """Return the folder that a finished run leaves behind, which appears whole or not at all."""
    from diffad.training.run import PRODUCTS

    return Path(config.output) / config.name / PRODUCTS[config.task]


def train_missing(config: BenchmarkConfig, process: Process) -> None:
    """Train what has no finished run; what fails is noted, and the rest goes on."""
    for wave in order_waves(config):
        for spec in process.shard(wave):
            if reason := _trained(spec, config, process.device):
                note_failure(config.out, spec.label, reason)
                say(f"{spec.label}: {reason}")
        process.wait()


def _trained(spec: MethodConfig, config: BenchmarkConfig, device: torch.device) -> str:
    """Train one network; return why it failed, or nothing."""
    if missing := sorted(find_dependencies(spec) & set(read_failures(config.out))):
        return f"not trained, as it needs {', '.join(missing)}"
    words = [str(spec.train), *list_assignments(spec, config.data.slices, str(config.out / "runs"))]
    try:
        target = locate_product(load(words[0], words[1:]))
    except (ValueError, OSError) as error:
        return f"cannot be trained: {error}"
    if target.is_dir():
        return ""
    say(f"training {spec.label}; see {config.out / 'runs' / spec.label}.log")
    return _run(spec.label, words, config, device) or ("" if target.is_dir() else f"left no {target}")


def _run(label: str, words: list[str], config: BenchmarkConfig, device: torch.device) -> str:
    log, spent = config.out / "runs" / f"{label}.log", config.out / "runs" / f"{label}.seconds"
    log.parent.mkdir(parents=True, exist_ok=True)
    before = float(spent.read_text()) if spent.is_file() else 0.0
    budget = config.budget.train_seconds
    left = None if budget is None else budget - before
    over = f"training took more than its {budget:g} s" if budget is not None else ""
    if left is not None and left <= 0:
        return over
    began = time.monotonic()
    try:
        code = _launched(words, log, device, left)
    finally:
        write_text(spent, repr(before + time.monotonic() - began))
    if code is None:
        return over
    return "" if code == 0 else f"training failed with exit code {code}: {_last_line(log)}"


def _launched(words: list[str], log: Path, device: torch.device, timeout: float | None) -> int | None:
    """Run training and return its exit code, or none if it had to be stopped; it never outlives us."""
    command = [sys.executable, "-m", "diffad.training", *words]
    with log.open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        how: dict[str, Any] = {"env": clean_environment(device), "preexec_fn": _end_with_parent}
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **how)
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if child.poll() is None:  # a first signal lets it save a checkpoint
                child.terminate()
                child.wait()


def clean_environment(device: torch.device) -> dict[str, str]:
    """Return our environment without what launchers put there, and with no device but ours."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(LAUNCHED)}
    if device.type == "cuda":
        seen = kept.get("CUDA_VISIBLE_DEVICES", "")
        devices = seen.split(",") if seen else [str(i) for i in range(torch.cuda.device_count())]
        kept["CUDA_VISIBLE_DEVICES"] = devices[device.index or 0]
    return kept


def _end_with_parent() -> None:
    """Ask Linux to kill this process if its parent is killed, lest two runs write one checkpoint."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
