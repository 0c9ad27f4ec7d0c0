"""What a config names, built; every error says which key it comes from."""

from __future__ import annotations

import inspect
from typing import Any

from torch.nn import BatchNorm1d

from diffad.capabilities import check_asking_score, count_references
from diffad.config import Config, ConfigError, PartSpec, to_dict
from diffad.data.items import Dataset
from diffad.denoise import learns_variance
from diffad.models.auxiliary import load_network
from diffad.models.coding import Coding
from diffad.models.neighbours import check_neighbours
from diffad.protocols import Codec, MakesExamples, Sampler
from diffad.registry import DATASETS, DETECTORS, GUIDANCES, MODELS, SAMPLERS, SCORES, Registry
from diffad.samplers.coded import CodedSampler
from diffad.samplers.detect import Detect
from diffad.training.auxiliary import check_auxiliary
from diffad.training.codes import build_coding


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


def build_network(config: Config) -> Any:
    """Build the network that a config trains: a detector where its task is to detect, else a model.

    Raises:
        ConfigError: If it cannot be built.
    """
    registry = DETECTORS if config.task == "detect" else MODELS
    return build_part(registry, config.model, "model")


def check_network(network: Any, config: Config) -> None:
    """Refuse a network that does not fit the space it is trained in.

    Raises:
        ConfigError: If it is shown other neighbouring slices than the space has, a variance is of no use, a
            codec is asked for and it is none, or it learns from synthetic anomalies and there are none.
    """
    if config.task == "compress" and not isinstance(network, Codec):
        raise ConfigError(
            "config key model: expected a codec with task compress, such as autoencoder_kl or autoencoder_vq"
            f", found {config.model['name']!r}"
        )
    _check_synthetic(network, config)
    _check_batch(network, config)
    has_variance = any(learns_variance(part) for part in network.modules())
    if has_variance and not learns_variance(network):
        raise ConfigError(
            "config key model: expected learned_variance of a network by itself, found it in one inside "
            "another, which never asks for it"
        )
    if has_variance and config.schedule.prediction_type == "flow":
        raise ConfigError(
            "config key model.learned_variance: expected false with schedule.prediction_type flow, whose "
            "moves have no width"
        )
    try:
        check_neighbours(network, config.space.neighbours)
    except ValueError as error:
        raise ConfigError(f"config key model: {error}") from error


def _check_synthetic(network: Any, config: Config) -> None:
    """Refuse a detector that learns from synthetic anomalies where none are shown."""
    corrupt = config.corrupt
    is_shown = bool(corrupt.tasks) and corrupt.chance > 0
    if config.task == "detect" and network.supervision == "normal+synthetic" and not is_shown:
        raise ConfigError(
            "config key corrupt.tasks: expected some, and a chance above 0, as "
            f"{config.model['name']!r} learns from synthetic anomalies, found "
            f"tasks {list(corrupt.tasks)} and chance {corrupt.chance}"
        )


def _check_batch(network: Any, config: Config) -> None:
    """Refuse batches of one item for a network whose normalisation knows no other than those of a batch."""
    if config.train.batch_size == 1 and any(isinstance(part, BatchNorm1d) for part in network.modules()):
        name = config.model["name"]
        raise ConfigError(
            f"config key train.batch_size: expected at least 2, as {name!r} normalises over a batch, found 1"
        )


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
    _check_task(config, sampler)
    is_restored = config.corrupt.role in ("restore", "source", "severity") or config.train.teacher is not None
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
    role = config.corrupt.role
    if role in ("source", "severity") and getattr(sampler, "start", None) != "scan":
        raise ConfigError(
            f"config key sampler.start: expected scan with corrupt.role {role}, as the network sees no noise"
        )
    _check_marks(sampler, config)
    score = build_part(SCORES, config.score, "score")
    if config.space.neighbours and count_references(score):
        raise ConfigError(
            f"config key space.neighbours: expected 0 with score {config.score['name']!r}, as its references "
            "have none"
        )
    if config.guidance:
        build_part(GUIDANCES, config.guidance, "guidance")
    auxiliary = load_auxiliary(config)
    coding = build_coding(config, auxiliary.pop("codec", None))
    if coding.is_coded:
        _check_coded(sampler, coding)
    _check_asking(score, config, coding)
    for name, network in auxiliary.items():
        channels, other = config.model.get("in_channels", 1), network.config.in_channels
        if channels != other:
            raise ConfigError(f"config key networks.{name}: expected {channels} channel(s), found {other}")


def _check_marks(sampler: Any, config: Config) -> None:
    """Refuse what trains or reads marks of a network that makes none."""
    marks = bool(config.model.get("marks"))
    check_auxiliary(config.train.auxiliary, marks)
    if getattr(sampler, "needs_marks", False) and not marks:
        name = config.sampler["name"]
        raise ConfigError(f"config key model.marks: sampler {name!r} expected true, found false")


def _check_asking(score: Any, config: Config, coding: Coding) -> None:
    try:
        check_asking_score(score, config.score["name"], config.space.neighbours, coding.is_coded)
    except ValueError as error:
        raise ConfigError(f"config key score: {error}") from error


def _check_coded(sampler: Any, coding: Coding) -> None:
    try:
        CodedSampler(sampler, coding)
    except ValueError as error:
        raise ConfigError(f"config key sampler: {error}") from error


def _check_level(sampler: Any, config: Config) -> None:
    """Refuse to train at other levels than the only one at which a sampler asks, or for something else."""
    level, name = getattr(sampler, "asked_level", None), config.sampler["name"]
    if level is None:
        return
    if config.train.levels != (level, level):
        raise ConfigError(
            f"config key train.levels: expected [{level}, {level}], as sampler {name!r} asks at this level "
            f"alone, found {list(config.train.levels)}"
        )
    if config.schedule.prediction_type != "sample":
        raise ConfigError(
            f"config key schedule.prediction_type: expected sample, as sampler {name!r} asks for the image, "
            f"found {config.schedule.prediction_type}"
        )


def _check_paths(config: Config) -> None:
    """Refuse what needs other paths than there are, and damage in the place of noise without damage."""
    prediction, role = config.schedule.prediction_type, config.corrupt.role
    follows_path = config.train.teacher is not None and config.train.teacher_rule == "path"
    if prediction != "flow" and follows_path:
        raise ConfigError(
            "config key train.teacher: expected schedule.prediction_type flow with it, or train.teacher_rule "
            "state or consistency, found another"
        )
    fitting = {"source": ("flow", "cold"), "severity": ("cold",)}.get(role)
    if fitting is not None and prediction not in fitting:
        kinds = " or ".join(fitting)
        raise ConfigError(
            f"config key corrupt.role: expected schedule.prediction_type {kinds} with it, found another"
        )
    if prediction == "cold" and fitting is None:
        raise ConfigError(
            "config key schedule.prediction_type: expected corrupt.role source or severity with cold, "
            f"found {role}"
        )
    if fitting is not None and not config.corrupt.tasks:
        raise ConfigError(f"config key corrupt.tasks: expected what a {role} is damaged by, found none")
    if fitting is not None and config.space.neighbours:
        raise ConfigError("config key space.neighbours: expected 0, as neighbours have no damaged end")


def _check_task(config: Config, sampler: Sampler) -> None:
    """Refuse a sampler, paths, levels or a teacher that do not fit what is trained."""
    _check_detecting(config, sampler)
    _check_paths(config)
    _check_level(sampler, config)
    _check_teacher(config, sampler)


def _check_detecting(config: Config, sampler: Sampler) -> None:
    """Refuse what a detector without diffusion never asks, and the sampler for one without one."""
    is_asked = isinstance(sampler, Detect)
    if config.task != "detect":
        if is_asked:
            raise ConfigError(
                f"config key sampler: expected another than 'detect' with task {config.task}, as it asks a "
                "detector without diffusion; task: detect trains one"
            )
        return
    if not is_asked:
        name = config.sampler["name"]
        raise ConfigError(f"config key sampler: expected 'detect' with task detect, found {name!r}")
    if config.guidance:
        raise ConfigError("config key guidance: expected none with task detect, as nothing is sampled")
    if config.space.code != "pixels":
        raise ConfigError("config key space.code: expected pixels with task detect, as a detector sees scans")
    if config.corrupt.tasks and config.corrupt.role != "restore":
        raise ConfigError(
            f"config key corrupt.role: expected restore with task detect, found {config.corrupt.role}"
        )


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
