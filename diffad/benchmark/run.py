"""The benchmark: trains what is missing, predicts, scores, collects and reports."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from diffad.benchmark.config import BenchmarkConfig, load_benchmark
from diffad.config.plugins import load_argument_plugins
from diffad.io.terminal import format_error, is_debugging, say, tell
from diffad.report.benchmark.outcome import Outcome

USAGE = "usage: accelerate launch -m diffad.benchmark [--plugin FILE]... CONFIG [key=value ...]"
STOP_MESSAGE = "stopped; finished work is kept, and the same command goes on from there"


def run_benchmark(config: BenchmarkConfig, process: Any = None) -> Outcome | None:
    """Run a benchmark, or what remains of it.

    Args:
        config: Methods, data, seeds and protocols.
        process: Which of several processes this is; asks the launcher by default.

    Returns:
        The outcome; none in all processes but the first.

    Raises:
        ClaimedError: If another run is at work in the folder.
        ConfigError: If the folder belongs to another benchmark.
        UnknownNameError: If a protocol is unknown.
        OSError: If data cannot be read, or results cannot be written.
        ValueError: If data cannot be used.
    """
    from diffad.benchmark import manifest
    from diffad.benchmark.failures import forget_failures
    from diffad.benchmark.predict import predict_missing
    from diffad.benchmark.score import score_missing
    from diffad.benchmark.storage import sweep_partial_files
    from diffad.benchmark.test_sets import TestSets
    from diffad.benchmark.train import order_waves, train_missing
    from diffad.distributed import Process
    from diffad.registry import PROTOCOLS

    for name in config.protocols:
        PROTOCOLS.build(name)  # an unknown one fails before anything is made
    order_waves(config)
    manifest.check_manifest(config)
    tests = TestSets(config.data)
    tests.list_sets(config.seeds[0])
    process = process or Process.from_launcher()
    with _claim_folder(config.out) if process.is_main else nullcontext():
        process.wait()
        if process.is_main:
            manifest.write_manifest(config)
            forget_failures(config.out)
            sweep_partial_files(config.out)
        process.wait()
        train_missing(config, process)
        predict_missing(config, tests, process)
        process.wait()
        score_missing(config, tests, process)
        process.wait()
        return _report_outcome(config, tests) if process.is_main else None


def _claim_folder(out: Path) -> AbstractContextManager[None]:
    """Keep other runs out of the folder; processes of one launch share it, as its first one holds it."""
    from diffad.io.claims import RUNNING, hold_claim

    return hold_claim(out / RUNNING / "benchmark.lock", what=str(out))


def _report_outcome(config: BenchmarkConfig, tests: Any) -> Outcome:
    from diffad.benchmark.collect import collect_outcome

    outcome = collect_outcome(config, tests)
    for label, reason in outcome.failures.items():
        say(f"failed: {label}: {reason}")
    for warning in outcome.warnings:
        say(f"warning: {warning}")
    # the tables are written by now, whatever becomes of the page
    from diffad.report.benchmark import write_report

    tell(str(config.out / "results.csv"), str(write_report(outcome, config.out)))
    return outcome


def run_command(source: str, assignments: Sequence[str]) -> int:
    """Run a benchmark file and return the exit code: 1 if a method failed, 130 if it was stopped.

    Raises:
        ValueError: If the file or its data cannot be used.
        OSError: If a file cannot be read or written.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcome = run_benchmark(load_benchmark(source, assignments))
    except KeyboardInterrupt:
        say(STOP_MESSAGE)
        return 130
    return 1 if outcome is not None and outcome.failures else 0


def run_benchmark_arguments(arguments: Sequence[str]) -> int:
    """Run `CONFIG [key=value ...]`; return the exit code."""
    try:
        words = load_argument_plugins(arguments)
        if not words or words[0] in ("-h", "--help"):
            print(USAGE)
            return 0 if words else 2
        return run_command(words[0], words[1:])
    except (ValueError, OSError, LookupError) as error:
        if is_debugging():
            raise
        say(f"error: {format_error(error)}")
        return 1
    finally:
        _disconnect()


def _disconnect() -> None:
    """End what connects the processes of a launcher, which would otherwise complain."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
