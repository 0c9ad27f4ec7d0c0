"""The benchmark file as frozen dataclasses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from diffad.config.plugins import load_plugins, resolve_plugin_key
from diffad.config.schema import ConfigError, expect, from_dict, to_dict
from diffad.config.yaml import override, read_yaml
from diffad.method import Method
from diffad.registry import suggest_name

RUNS = "{runs}"
"""Stands for the folder of the trained networks in the assignments of a method."""

PLAIN_BASELINES = ("raw intensity", "mirror asymmetry", "random")
"""Labels of the naive baselines that learn nothing."""

LEARNT_BASELINES = ("matched intensity", "z-score", "robust z-score", "PCA 16", "median of training")
"""Labels of those that learn from healthy slices."""

BASELINES = (*PLAIN_BASELINES, *LEARNT_BASELINES)
"""Labels of the naive baselines of slices."""

VOLUME_BASELINES = (
    "bright intensity",
    "dark intensity",
    "matched intensity",
    "atlas z-score",
    "robust atlas z-score",
    "mirror asymmetry",
    "atlas PCA 16",
    "random",
)
"""Labels of those of whole volumes; see ``diffad.evaluation.volume_baselines``."""


@dataclass(frozen=True)
class LesionsConfig:
    """Which synthetic lesions are put into healthy slices; every implanted kind by default.

    Args:
        implanted: Kinds of ``diffad.data.lesions``.
        corrupted: Tasks of ``diffad.data.corruptions``; leave out those a network was trained on.
    """

    implanted: tuple[str, ...] = ()
    corrupted: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataConfig:
    """What methods are tested on: synthetic lesions in healthy slices, or a data set with real ones.

    Args:
        slices: Folder with train/, val/ and brain_mask.png; the naive baselines learn from its train/.
        size: Side of the slices, in pixels.
        lesions: Which lesions are put into the slices of val/.
        limit: Number of slices or scans to test on, from the first; none for all.
        root: Folder of a data set with lesion masks, which is tested on instead of the slices.
        layout: How that data set lies on disk; none to recognise it.
        sequence: Which sequence of it.
        split: Which part of it, if the layout has parts; none for all.
        by_group: Report each group of the data set (kind of lesion, hospital) by itself; "healthy" goes with
            each of the others.
        healthy: Folder of healthy whole-brain scans that the baselines of whole volumes learn from; none
            leaves these baselines out.
        healthy_mask: End of the names of their brain masks; none for stripped scans.
    """

    slices: str | None = None
    size: int = 128
    lesions: LesionsConfig = field(default_factory=LesionsConfig)
    limit: int | None = None
    root: str | None = None
    layout: str | None = None
    sequence: str = "t1"
    split: str | None = "test"
    by_group: bool = False
    healthy: str | None = None
    healthy_mask: str | None = None

    def __post_init__(self) -> None:
        expect(bool(self.slices or self.root), "data", "slices or root", None)
        expect(self.size >= 8, "data.size", "at least 8 pixels", self.size)
        expect(self.limit is None or self.limit > 0, "data.limit", "a number above 0", self.limit)


@dataclass(frozen=True)
class MethodConfig:
    """One method, or one network that methods need.

    Args:
        label: Its name in tables, and the name of its folder.
        train: Training config; the network goes to OUTPUT/runs/LABEL, and is trained once.
        set: Changes to that config; ``{runs}`` stands for OUTPUT/runs.
        pipeline: Name or folder of a pipeline, used as it is.
        seeds: Seeds of lesions and noise; those of the benchmark by default.
        parts: Parts that replace the pipeline's own.
        noise_seed: Seed of the noise, whatever the lesions; theirs by default.
    """

    label: str
    train: str | None = None
    set: tuple[str, ...] = ()
    pipeline: str | None = None
    seeds: tuple[int, ...] | None = None
    parts: Method = field(default_factory=Method)
    noise_seed: int | None = None

    def __post_init__(self) -> None:
        is_plain = Path(self.label).name == self.label and not self.label.startswith(".")
        expect(is_plain and bool(self.label), "methods.label", "a plain name", self.label)
        expect((self.train is None) != (self.pipeline is None), self.label, "either train or pipeline", None)


@dataclass(frozen=True)
class BudgetConfig:
    """Seconds a method may take; none for no limit.

    Args:
        train_seconds: For its training.
        predict_seconds: For all its maps.
    """

    train_seconds: float | None = None
    predict_seconds: float | None = None


@dataclass(frozen=True)
class BenchmarkConfig:
    """A benchmark: methods, data, seeds and protocols.

    Args:
        name: What it is called.
        data: What methods are tested on.
        methods: Methods in the order of the tables.
        networks: Networks that methods need but that are not tested themselves, such as classifiers.
        baselines: Whether the naive baselines are tested, too.
        seeds: Seeds of lesions and noise.
        protocols: Names of evaluation protocols.
        folds: Folds over which thresholds are tuned, for protocols that tune them.
        resamples: Resamples of the confidence intervals.
        batch_size: Slices per network evaluation.
        precision: As for the pipeline.
        budget: Seconds a method may take.
        output: Folder of all results.
        plugins: Python files, relative to the folder of the benchmark file, and modules that register parts
            from outside.
    """

    name: str
    data: DataConfig
    methods: tuple[MethodConfig, ...] = ()
    networks: tuple[MethodConfig, ...] = ()
    baselines: bool = True
    seeds: tuple[int, ...] = (0,)
    protocols: tuple[str, ...] = ("diffad",)
    folds: int = 0
    resamples: int = 1000
    batch_size: int = 8
    precision: str = "auto"
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    output: str = "runs/benchmark"
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = [m.label for m in (*self.methods, *self.networks)]
        reserved = {*LEARNT_BASELINES, *(self._list_baselines() if self.baselines else ())}
        duplicates = sorted({label for label in labels if labels.count(label) > 1 or label in reserved})
        expect(not duplicates, "methods.label", "names used once", ", ".join(duplicates))
        expect(bool(self.labels), "methods", "a method, or baselines: true", self.methods)
        expect(bool(self.seeds), "seeds", "at least one", self.seeds)
        expect(bool(self.protocols), "protocols", "at least one", self.protocols)

    @property
    def labels(self) -> list[str]:
        """Labels of all rows, the naive baselines last."""
        return [m.label for m in self.methods] + list(self._list_baselines() if self.baselines else ())

    def _list_baselines(self) -> tuple[str, ...]:
        if self.data.slices:
            return BASELINES
        # the others of slices learn from training slices
        return VOLUME_BASELINES if self.data.healthy else PLAIN_BASELINES

    @property
    def out(self) -> Path:
        """Folder of all results."""
        return Path(self.output)

    def list_seeds(self, label: str) -> tuple[int, ...]:
        """Return the seeds of a method."""
        return next((m.seeds for m in self.methods if m.label == label and m.seeds), self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and scalars."""
        return to_dict(self) | {
            key: [to_dict(m) for m in getattr(self, key)] for key in ("methods", "networks")
        }


def hash_values(*values: Any) -> str:
    """Return the SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def load_benchmark(source: str | Path, assignments: Sequence[str] = ()) -> BenchmarkConfig:
    """Read a benchmark file, or a shipped one by its name, with ``key=value`` changes, and its plug-ins.

    Raises:
        ConfigError: If it cannot be found, read or understood.
        PluginError: If a plug-in that it names cannot be used.
    """
    path = Path(source)
    packaged_path = Path(str(resources.files("diffad.configs") / f"{path.stem}.yaml"))
    if not path.is_file() and path.stem.startswith("benchmark_") and packaged_path.is_file():
        path = packaged_path
    if not path.is_file():
        names = sorted(Path(f.name).stem for f in resources.files("diffad.configs").iterdir())
        names = [name for name in names if name.startswith("benchmark_")]
        hint = f"; shipped benchmarks: {', '.join(names)}{suggest_name(path.stem, names)}"
        raise ConfigError(f"{source}: expected a benchmark file, found none{hint}")
    values = resolve_plugin_key(read_yaml(path), path.parent)
    config = from_dict(BenchmarkConfig, override(values, assignments))
    load_plugins(config.plugins)
    return config


load = load_benchmark  # the name in scripts of users
