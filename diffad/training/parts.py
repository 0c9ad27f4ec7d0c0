"""What a config names, built; every error says which key it comes from."""

from __future__ import annotations

import inspect
from typing import Any

from diffad.capabilities import count_references
from diffad.config import Config, ConfigError, PartSpec, to_dict
from diffad.data.items import Dataset
from diffad.models.auxiliary import load_network
from diffad.models.neighbours import check_neighbours
from diffad.protocols import MakesExamples, Sampler
from diffad.registry import DATASETS, GUIDANCES, SAMPLERS, SCORES, Registry


def build_part(registry: Registry, part: PartSpec, key: str, **arguments: Any) -> Any:
    """Build the part that ``key`` of a config names.

    Args:
        registry: Where its name is known.
        part: Name and options.
        key: Key of the config, for messages.
        arguments: Options that are not the config's to choose.

    Raises:
        ConfigError: If the name, an option or a value is wrong, or an option is missing.
    """
    options = {**part, **arguments}
    try:
        parameters = inspect.signature(registry[part["name"]]).parameters.values()
        required = (p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD)
        for name in (p.name for p in required):
            if name not in options:
                raise ConfigError(f"{registry.kind} {part['name']!r} needs {key}.{name}, which is missing")
        return registry.build(**options)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"config key {key}: {error}") from error


def build_scheduler(config: Config) -> Any:
    """Build the diffusers scheduler that the pipeline folder will hold."""
    from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

    if config.schedule.prediction_type == "flow":
        return FlowMatchEulerDiscreteScheduler(config.schedule.num_train_timesteps)
    return DDPMScheduler(**to_dict(config.schedule), clip_sample=False)


def check_network(network: Any, config: Config) -> None:
    """Refuse a network that does not fit the space it is trained in.

    Raises:
        ConfigError: If it is shown other neighbouring slices than the space has.
    """
    try:
        check_neighbours(network, config.space.neighbours)
    except ValueError as error:
        raise ConfigError(f"config key model: {error}") from error


def build_data(config: Config, split: str) -> Dataset:
    """Build one split of the config's data set in the config's space.

    Raises:
        ConfigError: If the data set cannot be built, or the split is empty.
    """
    data: Dataset = build_part(DATASETS, config.data, "data", split=split, space=config.space)
    if not len(data):
        raise ConfigError(
            f"config key data: expected items to train and validate on, found none in {split!r}"
        )
    if config.space.neighbours and data[0].neighbours is None:
        name = config.data.get("name")
        raise ConfigError(f"config key space.neighbours: expected 0, as the data set {name!r} shows none")
    return data


def check_parts(config: Config) -> None:
    """Build what training does not use but the exported pipeline will: no typo may wait for the last step.

    Raises:
        ConfigError: If sampler, score or guidance cannot be built, or a network beside takes other channels.
        ModelError: If the folder of a network beside holds none.
    """
    sampler = build_part(SAMPLERS, config.sampler, "sampler")
    _check_paths(config)
    _check_teacher(config, sampler)
    is_restored = config.corrupt.role in ("restore", "source") or config.train.teacher is not None
    if is_restored and config.corrupt.tasks and isinstance(sampler, MakesExamples):
        name = config.sampler["name"]
        raise ConfigError(
            f"config key corrupt.role: sampler {name!r} makes examples of its own, which cannot be restored; "
            "expected condition or class"
        )
    if config.space.neighbours and isinstance(sampler, MakesExamples):
        name = config.sampler["name"]
        raise ConfigError(
            f"config key space.neighbours: sampler {name!r} makes examples of its own, which show no "
            "neighbouring slices; expected 0"
        )
    if config.corrupt.role == "source" and getattr(sampler, "start", None) != "scan":
        raise ConfigError(
            "config key sampler.start: expected scan with corrupt.role source, as the network sees no noise"
        )
    score = build_part(SCORES, config.score, "score")
    if config.space.neighbours and count_references(score):
        raise ConfigError(
            f"config key space.neighbours: expected 0 with score {config.score['name']!r}, as its references "
            "have none"
        )
    if config.guidance:
        build_part(GUIDANCES, config.guidance, "guidance")
    for name, network in load_auxiliary(config).items():
        channels, other = config.model.get("in_channels", 1), network.config.in_channels
        if channels != other:
            raise ConfigError(f"config key networks.{name}: expected {channels} channel(s), found {other}")


def _check_paths(config: Config) -> None:
    """Refuse what needs straight paths without them, and damage in the place of noise without damage."""
    is_straight, role = config.schedule.prediction_type == "flow", config.corrupt.role
    follows_path = config.train.teacher is not None and config.train.teacher_rule == "path"
    if not is_straight and (role == "source" or follows_path):
        key = "train.teacher" if follows_path else "corrupt.role"
        rule = ", or train.teacher_rule state or consistency" if follows_path else ""
        raise ConfigError(
            f"config key {key}: expected schedule.prediction_type flow with it{rule}, found another"
        )
    if role == "source" and not config.corrupt.tasks:
        raise ConfigError("config key corrupt.tasks: expected what a source is damaged by, found none")
    if role == "source" and config.space.neighbours:
        raise ConfigError("config key space.neighbours: expected 0, as neighbours have no damaged end")


def _check_teacher(config: Config, sampler: Sampler) -> None:
    """Refuse a teacher where it cannot walk on from what the student is shown."""
    train = config.train
    if train.teacher is None:
        return
    if config.space.neighbours:
        raise ConfigError("config key space.neighbours: expected 0, as a teacher has neighbours of one level")
    if train.teacher_rule != "path" and isinstance(sampler, MakesExamples):
        name = config.sampler["name"]
        raise ConfigError(
            f"config key train.teacher_rule: sampler {name!r} makes examples of its own, from which a "
            "teacher cannot walk on; expected path"
        )
    if train.steps and train.teacher_rule != "path" and train.teacher_steps > train.levels[1]:
        raise ConfigError(
            f"config key train.teacher_steps: expected at most the highest level, {train.levels[1]}, "
            f"got {train.teacher_steps}"
        )


def load_auxiliary(config: Config) -> dict[str, Any]:
    """Load the networks that a config names beside the one that denoises.

    Raises:
        ModelError: If a folder holds none.
    """
    return {name: load_network(path) for name, path in to_dict(config.networks).items() if path is not None}
