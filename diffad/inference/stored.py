"""A stored pipeline, read whole before it is built: what is wrong shows at load, by file and key."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from diffad.config import PostprocessConfig, SpaceConfig, from_dict
from diffad.inference.contrasts import check_contrasts, name_healthy_file
from diffad.inference.healthy import HealthyMaps
from diffad.inference.known import KnownScans
from diffad.inference.scope import check_scope
from diffad.io.digests import find_damage
from diffad.io.wording import shorten
from diffad.method import PARTS
from diffad.models.coding import count_sequences
from diffad.models.folder import ModelError, check_network_folder, pick_options, read_mapping
from diffad.models.pretrained import AUXILIARY_NETWORKS, check_folder
from diffad.models.wrapped import list_network_classes
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES, UnknownNameError
from diffad.schedule import Schedule
from diffad.threshold import Calibration

INDEX = "model_index.json"
REGISTRIES = {"noise": NOISES, "sampler": SAMPLERS, "score": SCORES, "guidance": GUIDANCES}
SCHEDULE_OPTIONS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type")
"""Options whose defaults would be another schedule than the one trained with."""
FLOW, FLOW_OPTIONS = "FlowMatchEulerDiscreteScheduler", ("num_train_timesteps", "shift")
"""Scheduler of straight paths, and its options of that kind."""
NEEDED = ("noise", "sampler", "score", "space", "postprocess")
"""Keys of the index whose defaults would be another method than the one stored."""
MAX_LEVELS = 10_000
"""Levels of a schedule."""


def check_model(folder: Path, names: Collection[str], replaced: Collection[str] = ()) -> None:
    """Refuse a pipeline folder of which any file does not say what it should; nothing large is allocated.

    Args:
        folder: Folder of the pipeline.
        names: What its index may hold.
        replaced: Parts that the caller brings along, which are not looked at.

    Raises:
        ModelError: With the file, what was expected, and what was found.
    """
    check_folder(folder)
    path, index = folder / INDEX, read_mapping(folder / INDEX)
    values = {k: v for k, v in index.items() if not k.startswith("_") and k not in replaced}
    if odd := sorted(values.keys() - set(names)):
        raise ModelError(f"{path}: expected keys of a pipeline, found {shorten(odd[0])!r}")
    if absent := [k for k in NEEDED if k not in index and k not in replaced]:
        raise ModelError(f"{path}: expected {absent[0]}, found none")
    channels = _check_networks(folder, index, replaced)
    levels = None if "scheduler" in replaced else _check_scheduler(folder / "scheduler", index["scheduler"])
    try:
        _check_settings(values, channels)
        for settings in (values, *(values.get("contrasts") or {}).values()):
            _check_parts(settings, levels)
    except (ValueError, UnknownNameError) as error:
        raise ModelError(f"{path}: {error}") from error
    _check_healthy_maps(folder, values)
    if damage := find_damage(folder, replaced):
        raise ModelError(f"{folder}: expected the files as they were written, found that {damage}")


def _check_healthy_maps(folder: Path, values: Mapping[str, Any]) -> None:
    needs_maps = (values.get("postprocess") or {}).get("normalise") == "place"
    for contrast, settings in {"": values, **(values.get("contrasts") or {})}.items():
        file = name_healthy_file(contrast)
        if HealthyMaps.load(folder, file) is None and needs_maps and settings.get("calibration"):
            expectation = "the healthy maps by which postprocess.normalise: place"
            raise ModelError(f"{folder / file}: expected {expectation} measures scans, found no such file")


def _check_networks(folder: Path, index: Mapping[str, Any], replaced: Collection[str]) -> int | None:
    """Check all networks; return how many sequences they take."""
    classes = {(kind.__module__, kind.__name__): kind for kind in list_network_classes()}
    channels = None
    for part in ("network", *AUXILIARY_NETWORKS):
        if part in replaced or not any(index.get(part) or ()):
            continue
        options = check_network_folder(folder / part, classes[tuple(index[part])])
        if part == "network":
            channels = options.get("in_channels", 1)
    if channels is None or "codec" in replaced:
        return channels
    codec = read_mapping(folder / "codec" / "config.json") if any(index.get("codec") or ()) else None
    return count_sequences(index.get("space") or {}, channels, codec)


def _check_scheduler(folder: Path, kind: Any) -> int:
    """Check the scheduler and the levels it makes; return how many."""
    import diffusers

    path = folder / "scheduler_config.json"
    if (build := getattr(diffusers, str(kind[1]), None)) is None:
        raise ModelError(f"{path}: expected a scheduler of diffusers, found {kind[1]}")
    values = read_mapping(path)
    needed = FLOW_OPTIONS if kind[1] == FLOW else SCHEDULE_OPTIONS
    if absent := [k for k in needed if k not in values]:
        raise ModelError(f"{path}: expected {absent[0]}, found none")
    levels = values["num_train_timesteps"]
    if not isinstance(levels, int) or isinstance(levels, bool) or not 1 <= levels <= MAX_LEVELS:
        raise ModelError(f"{path}: expected num_train_timesteps in 1..{MAX_LEVELS}, found {shorten(levels)}")
    if kind[1] == FLOW:  # diffusers says of options that may be none that they are numbers
        values = {key: value for key, value in values.items() if value is not None}
    options = pick_options(path, values, build)
    try:
        table = Schedule.from_diffusers(build(**options)).alphas_cumprod
    except Exception as error:  # whatever a scheduler says of options from a stranger
        raise ModelError(f"{path}: expected options that fit, found {shorten(error)}") from error
    is_schedule = table.shape == (levels,) and bool(((table >= 0) & (table < 1)).all())
    if not is_schedule or not bool((table.diff() < 0).all()):
        raise ModelError(f"{path}: expected {levels} levels that hold ever less of the scan, found others")
    kinds = ("epsilon", "v_prediction", "sample", "cold")
    if kind[1] != FLOW and values["prediction_type"] not in kinds:
        name = shorten(repr(values["prediction_type"]))
        raise ModelError(f"{path}: expected prediction_type {', '.join(kinds[:-1])} or cold, found {name}")
    return levels


def _check_settings(values: Mapping[str, Any], channels: int | None) -> None:
    space = from_dict(SpaceConfig, values.get("space") or {}, "space.")
    post = from_dict(PostprocessConfig, values.get("postprocess") or {}, "postprocess.")
    if space.axis != "volume" and 2 * post.erosion >= space.size:
        raise ValueError(
            f"expected postprocess.erosion below half of space.size = {space.size}, found {post.erosion}"
        )
    _check_sequences(values.get("sequences"), channels)
    if not isinstance(values.get("provenance") or {}, dict):
        raise ValueError(f"expected provenance as a mapping, found {shorten(repr(values['provenance']))}")
    if values.get("scope") is not None:
        check_scope(values["scope"])
    check_contrasts(values.get("contrasts"))
    for settings in (values, *(values.get("contrasts") or {}).values()):
        for known in settings.get("domain") or []:
            KnownScans.from_dict(known)
        if settings.get("calibration") is not None:
            _check_calibration(settings["calibration"], post.fpr)


def _check_sequences(sequences: object, channels: int | None) -> None:
    if sequences is None:
        return
    is_list = isinstance(sequences, list) and all(isinstance(s, str) and s for s in sequences)
    if not is_list or (channels is not None and len(sequences) != channels):  # type: ignore[arg-type]
        text = shorten(repr(sequences))
        raise ValueError(f"expected sequences as {channels or 'some'} names, one a channel, found {text}")


def _check_calibration(values: object, fpr: float) -> None:
    if not isinstance(values, Mapping):
        raise ValueError(f"expected calibration as a mapping, found {shorten(repr(values))}")
    try:
        Calibration.from_dict(values).threshold(fpr)
    except ValueError as error:
        raise ValueError(f"calibration: {error}") from error


def _check_parts(values: Mapping[str, Any], levels: int | None) -> None:
    for key in PARTS:
        spec = values.get(key)
        if spec is None:
            continue
        if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
            raise ValueError(f"expected {key} as a mapping with a name, found {shorten(repr(spec))}")
        try:
            part = REGISTRIES[key].build(**spec)
        except (OSError, ImportError):
            continue  # a file or package that only its use needs
        level = getattr(part, "level", None)
        if levels is not None and isinstance(level, int | float) and not 0 <= level <= levels:
            raise ValueError(f"{key}: expected a level in 0..{levels}, found {math.trunc(level)}")
