"""Trains what is missing: each network in a process of its own, after those it needs."""

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
from diffad.benchmark.failures import note_failure, read_failures
from diffad.config import Config, load
from diffad.config.plugins import plugin_arguments
from diffad.config.schema import ConfigError
from diffad.distributed import Process
from diffad.io.atomic import write_text
from diffad.io.terminal import say
from diffad.io.text import read_text

LAUNCHER_PREFIXES = (
    "RANK", "WORLD_SIZE", "MASTER_", "GROUP_", "ROLE_", "LOCAL_", "TORCHELASTIC_", "ACCELERATE_",
)  # fmt: skip
"""Beginnings of what launchers put into the environment; training is a process of its own."""


def order_waves(config: BenchmarkConfig) -> list[list[MethodConfig]]:
    """Order what is trained so that every network comes after those it needs.

    Raises:
        ConfigError: If networks need each other in a circle.
    """
    rest = [m for m in (*config.networks, *config.methods) if m.train is not None]
    waves: list[list[MethodConfig]] = []
    while rest:
        labels = {m.label for m in rest}
        wave = [m for m in rest if not find_dependencies(m) & labels]
        if not wave:
            names = ", ".join(sorted(labels))
            raise ConfigError(
                f"expected networks that can be trained one after another, got a circle: {names}"
            )
        waves.append(wave)
        rest = [m for m in rest if m not in wave]
    return waves


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
    changes = [text.replace(RUNS, runs) for text in spec.set]
    has_root = any(text.startswith("data.root=") for text in changes)
    root = [f"data.root={slices}"] if slices and not has_root else []
    variants = [text for text in changes if text.startswith("variant=")]
    others = [text for text in changes if not text.startswith("variant=")]
    return [*variants, *others, *root, f"name={spec.label}", f"output={runs}"]


def locate_product(config: Config) -> Path:
    """Return the folder that a finished run leaves behind, which appears whole or not at all."""
    from diffad.training.run import PRODUCTS

    return Path(config.output) / config.name / PRODUCTS[config.task]


def train_missing(config: BenchmarkConfig, process: Process) -> None:
    """Train what has no finished run; what fails is noted, and the rest goes on."""
    for wave in order_waves(config):
        for spec in process.shard(wave):
            if reason := _train_network(spec, config, process.device):
                note_failure(config.out, spec.label, reason)
                say(f"{spec.label}: {reason}")
        process.wait()


def _train_network(spec: MethodConfig, config: BenchmarkConfig, device: torch.device) -> str:
    """Train one network unless that is done; return why it failed, or nothing."""
    if failures := sorted(find_dependencies(spec) & set(read_failures(config.out))):
        return f"not trained, as it needs {', '.join(failures)}"
    arguments = [str(spec.train), *list_assignments(spec, config.data.slices, str(config.out / "runs"))]
    try:
        product = locate_product(load(arguments[0], arguments[1:]))
    except (ValueError, OSError) as error:
        return f"cannot be trained: {error}"
    if product.is_dir():
        return ""
    say(f"training {spec.label}; see {config.out / 'runs' / spec.label}.log")
    reason = _run_training(spec.label, arguments, config, device)
    return reason or ("" if product.is_dir() else f"training ended, but left no {product}")


def _run_training(label: str, arguments: list[str], config: BenchmarkConfig, device: torch.device) -> str:
    """Train for as long as the budget allows, earlier runs counted; return why it failed, or nothing."""
    log, clock = config.out / "runs" / f"{label}.log", config.out / "runs" / f"{label}.seconds"
    log.parent.mkdir(parents=True, exist_ok=True)
    spent_seconds = float(clock.read_text()) if clock.is_file() else 0.0
    budget = config.budget.train_seconds
    rest = None if budget is None else budget - spent_seconds
    excess = f"training took more than its {budget:g} s" if budget is not None else ""
    if rest is not None and rest <= 0:
        return excess
    start = time.monotonic()
    try:
        code = _launch(arguments, log, device, rest)
    finally:
        write_text(clock, repr(spent_seconds + time.monotonic() - start))
    if code is None:
        return excess
    return "" if code == 0 else f"training failed with exit code {code}: {_read_last_line(log)}"


def _launch(arguments: list[str], log: Path, device: torch.device, timeout: float | None) -> int | None:
    """Run training and return its exit code, or none if it had to be stopped; it never outlives us."""
    command = [sys.executable, "-m", "diffad.training", *plugin_arguments(), *arguments]
    with log.open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        options: dict[str, Any] = {"env": clean_environment(device), "preexec_fn": _end_with_parent}
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
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
    variables = {key: value for key, value in os.environ.items() if not key.startswith(LAUNCHER_PREFIXES)}
    if device.type == "cuda":
        visible = variables.get("CUDA_VISIBLE_DEVICES", "")
        devices = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
        variables["CUDA_VISIBLE_DEVICES"] = devices[device.index or 0]
    return variables


def _end_with_parent() -> None:
    """Ask Linux to kill this process if its parent is killed, lest two runs write one checkpoint."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _read_last_line(log: Path) -> str:
    lines = read_text(log, errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
