"""Keeps the results of two benchmarks apart: a folder belongs to one name, one data set and its methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from diffad.benchmark.config import BenchmarkConfig, hash_values
from diffad.benchmark.train import list_assignments
from diffad.config import load
from diffad.config.schema import ConfigError, read_yaml, to_dict
from diffad.io.atomic import write_text

FILE = "benchmark.yaml"


def describe_identity(config: BenchmarkConfig) -> dict[str, Any]:
    """Return what must stay the same, and what may only grow."""
    plain = config.to_dict()
    data = dict(plain["data"])
    data |= {key: str(Path(data[key]).resolve()) for key in ("slices", "root") if data[key]}
    specs = {m.label: m for m in (*config.methods, *config.networks)}
    methods = {label: _spec(spec, config) for label, spec in specs.items()}
    return {"name": config.name, "data": data, "methods": methods}


def _spec(spec: Any, config: BenchmarkConfig) -> dict[str, Any]:
    plain = {key: value for key, value in to_dict(spec).items() if key not in ("label", "seeds")}
    if spec.train is None:
        return plain
    here = "data" if config.data.slices else None  # where data and results lie does not matter
    try:
        trained = load(spec.train, list_assignments(spec, here, "runs")).to_dict()
    except (ValueError, OSError):  # training says why
        return plain
    return plain | {"config": hash_values(trained)}


def check_manifest(config: BenchmarkConfig) -> None:
    """Refuse a folder of another benchmark.

    Raises:
        ConfigError: With what differs.
    """
    path = config.out / FILE
    if not path.is_file():
        return
    ours, theirs = describe_identity(config), read_yaml(path).get("identity") or {}
    for key in ("name", "data"):
        if key in theirs and theirs[key] != ours[key]:
            raise _other(path, key, *_difference(theirs[key], ours[key]))
    for label, spec in (theirs.get("methods") or {}).items():
        if label not in ours["methods"]:
            raise _other(path, f"method {label!r}", "it", "none")
        if spec != ours["methods"][label]:
            raise _other(path, f"method {label!r}", *_difference(spec, ours["methods"][label]))


def _difference(theirs: Any, ours: Any) -> tuple[Any, Any]:
    if not isinstance(theirs, dict):
        return theirs, ours
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    return {k: theirs.get(k) for k in keys}, {k: ours.get(k) for k in keys}


def _other(path: Path, what: str, theirs: Any, ours: Any) -> ConfigError:
    hint = "choose another output, or only add methods, seeds and protocols"
    return ConfigError(f"{path}: holds another benchmark: {what} was {theirs!r}, now {ours!r}; {hint}")


def write_manifest(config: BenchmarkConfig) -> None:
    """Write down whose folder this is.

    Raises:
        OSError: If it cannot be written.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    told = {"identity": describe_identity(config), "settings": config.to_dict()}
    write_text(config.out / FILE, yaml.safe_dump(told, sort_keys=False))
