"""One experiment as frozen dataclasses: which parts, on which data, trained how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from diffad.config.plugins import load_plugins, resolve_plugin, resolve_plugin_key
from diffad.config.postprocess import PostprocessConfig as PostprocessConfig
from diffad.config.schedule import ScheduleConfig as ScheduleConfig
from diffad.config.schema import ConfigError as ConfigError
from diffad.config.schema import PartSpec as PartSpec
from diffad.config.schema import expect
from diffad.config.schema import from_dict as from_dict
from diffad.config.schema import to_dict as to_dict
from diffad.config.space import SpaceConfig as SpaceConfig
from diffad.config.training import NetworksConfig as NetworksConfig
from diffad.config.training import TrainConfig as TrainConfig
from diffad.config.variety import AugmentConfig as AugmentConfig
from diffad.config.variety import CorruptConfig as CorruptConfig
from diffad.config.yaml import apply_variants, override, read_yaml
from diffad.registry import suggest_name

TASKS = ("denoise", "classify", "autoencode", "compress")
CONTRASTS = ("T1", "T2", "FLAIR")
"""Contrasts that the order of the tissues tells apart."""
CONTRAST_PARTS = ("noise", "sampler", "score", "guidance")
"""Parts that scans of a contrast may have of their own."""


@dataclass(frozen=True)
class Config:
    """One experiment: which parts, on which data, trained how.

    Args:
        noise: Noise the network is trained with.
        sampler: How the trained network rebuilds a scan.
        task: What is trained: a network to "denoise", to "classify" noisy scans as healthy or diseased, or to
            "autoencode" clean ones, or to "compress" them to the codes that other networks see.
        sampling_noise: Noise at test, where it is another.
        contrasts: Parts that are different for scans of a contrast ("T1", "T2", "FLAIR"), by contrast and by
            "noise", "sampler", "score" or "guidance"; thresholds are then measured for each.
        plugins: Python files, relative to the config's folder, and modules that register parts from outside.
    """

    name: str
    data: PartSpec
    model: PartSpec
    noise: PartSpec
    sampler: PartSpec = field(default_factory=lambda: {"name": "chain"})
    task: str = "denoise"
    networks: NetworksConfig = field(default_factory=NetworksConfig)
    corrupt: CorruptConfig = field(default_factory=CorruptConfig)
    sampling_noise: PartSpec | None = None
    score: PartSpec = field(default_factory=lambda: {"name": "l1"})
    guidance: PartSpec | None = None
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0
    output: str = "runs"
    contrasts: dict[str, dict[str, PartSpec]] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        is_plain = Path(self.name).name == self.name not in ("", ".", "..")
        expect(is_plain, "name", "a plain name, as a folder of the run is named so", self.name)
        top, levels = self.schedule.num_train_timesteps, self.train.levels
        expect(levels[1] <= top, "train.levels", f"levels of the schedule, 1..{top}", levels)
        expect(self.task in TASKS, "task", f"one of {', '.join(TASKS)}", self.task)
        has_noise = levels[0] >= 1 or self.task == "classify"
        expect(has_noise, "train.levels", "1 <= lowest <= highest", levels)
        expect(self.seed >= 0, "seed", "a number of at least 0", self.seed)
        for name, parts in self.contrasts.items():
            expect(name in CONTRASTS, "contrasts", f"names among {', '.join(CONTRASTS)}", name)
            odd = sorted(parts.keys() - set(CONTRAST_PARTS))
            expect(not odd, f"contrasts.{name}", f"keys among {', '.join(CONTRAST_PARTS)}", odd)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and scalars; plug-ins only where there are some."""
        values = to_dict(self)
        absent = {key for key in ("plugins", "contrasts") if not values[key]}
        return {k: v for k, v in values.items() if k not in absent}


def list_configs() -> list[str]:
    """Return the names of the training configs that come with the package, so no benchmarks."""
    folder = resources.files("diffad.configs")
    names = sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))
    return [name for name in names if not name.startswith("benchmark_")]


def load(source: str | Path, assignments: Sequence[str] = ()) -> Config:
    """Load a config file, or one shipped with the package by its name, with overrides, and its plug-ins.

    Raises:
        ConfigError: If it cannot be found, read or understood.
        PluginError: If a plug-in that it names cannot be used.
    """
    path = Path(source)
    names_config = path.suffix in ("", ".yaml") and str(path.parent) in (".", "configs")
    if not path.is_file() and names_config and path.stem in list_configs():
        path = Path(str(resources.files("diffad.configs") / f"{path.stem}.yaml"))
    if not path.is_file():
        names = list_configs()
        hint = suggest_name(path.stem, names)
        raise ConfigError(f"{source}: no such file; shipped configs: {', '.join(names)}{hint}")
    values, rest = apply_variants(read_yaml(path), assignments, str(path))
    config = from_dict(Config, override(resolve_plugin_key(values, path.parent), rest))
    load_plugins(config.plugins)
    return replace(config, plugins=tuple(map(resolve_plugin, config.plugins)))
