"""Keeps the results of two benchmarks apart: a folder belongs to one name, one data set and its methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from diffad.benchmark.config import BenchmarkConfig, MethodConfig, hash_values
from diffad.benchmark.train import list_assignments
from diffad.config import load
from diffad.config.schema import ConfigError, to_dict
from diffad.config.yaml import read_yaml
from diffad.io.atomic import write_text
from diffad.io.paths import resolve_path

FILE = "benchmark.yaml"
HINT = "choose another output, or only add methods, seeds and protocols"


def describe_identity(config: BenchmarkConfig) -> dict[str, Any]:
    """Return what must stay the same, and what may only grow."""
    values = config.to_dict()
    data = dict(values["data"])
    data |= {key: str(resolve_path(Path(data[key]))) for key in ("slices", "root") if data[key]}
    specs = {m.label: m for m in (*config.methods, *config.networks)}
    methods = {label: _describe_method(spec, config) for label, spec in specs.items()}
    return {"name": config.name, "data": data, "methods": methods}


def _describe_method(spec: MethodConfig, config: BenchmarkConfig) -> dict[str, Any]:
    values = {key: value for key, value in to_dict(spec).items() if key not in ("label", "seeds")}
    if spec.noise_seed is None:
        del values["noise_seed"]  # folders of benchmarks that had no such key stay theirs
    if spec.train is None:
        return values
    root = "data" if config.data.slices else None  # where data and results lie does not matter
    try:
        training = load(spec.train, list_assignments(spec, root, "runs")).to_dict()
    except (ValueError, OSError):  # training says why
        return values
    training.pop("plugins", None)  # where a plug-in lies does not matter
    return values | {"config": hash_values(training)}


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
            raise _refuse(path, _describe_difference(key, theirs[key], ours[key]))
    for label, spec in (theirs.get("methods") or {}).items():
        if label not in ours["methods"]:
            raise _refuse(path, f"expected method {label!r}, found none")
        if spec != ours["methods"][label]:
            difference = _describe_difference(f"method {label!r}", spec, ours["methods"][label])
            raise _refuse(path, difference)


def _describe_difference(subject: str, theirs: Any, ours: Any) -> str:
    if isinstance(theirs, dict):
        keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
        theirs, ours = ({key: values.get(key) for key in keys} for values in (theirs, ours))
    return f"expected {subject} {theirs!r}, found {ours!r}"


def _refuse(path: Path, difference: str) -> ConfigError:
    return ConfigError(f"{path}: belongs to another benchmark: {difference}; {HINT}")


def write_manifest(config: BenchmarkConfig) -> None:
    """Write down whose folder this is.

    Raises:
        OSError: If it cannot be written.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    values = {"identity": describe_identity(config), "settings": config.to_dict()}
    write_text(config.out / FILE, yaml.safe_dump(values, sort_keys=False))
