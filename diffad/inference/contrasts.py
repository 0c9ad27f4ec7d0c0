"""Settings that a model has of its own for scans of one contrast: another score, other thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from diffad.config import CONTRAST_PARTS, CONTRASTS
from diffad.data.volume import Volume
from diffad.inference.features import measure_tissues
from diffad.inference.healthy import FILE
from diffad.inference.scan_contrast import ScanContrast
from diffad.inference.scope import check_scope

MEASURES = ("calibration", "domain")
"""What healthy scans of the contrast said, which holds for no other."""
KEYS = (*CONTRAST_PARTS, *MEASURES, "scope")
"""What a contrast may set."""


def check_contrasts(contrasts: Mapping[str, Any] | None) -> None:
    """Check the settings of contrasts.

    Args:
        contrasts: A mapping for each of ``CONTRASTS``, or none.

    Raises:
        ValueError: If a contrast or a setting is unknown.
    """
    if not isinstance(contrasts or {}, Mapping):
        raise ValueError(f"expected contrasts as a mapping, got {contrasts!r}")
    for name, settings in (contrasts or {}).items():
        if name not in CONTRASTS:
            raise ValueError(f"contrasts: expected {', '.join(CONTRASTS)}, got {name!r}")
        if not isinstance(settings, Mapping):
            raise ValueError(f"contrasts.{name}: expected a mapping, got {settings!r}")
        if odd := sorted(settings.keys() - set(KEYS)):
            raise ValueError(f"contrasts.{name}: expected {', '.join(KEYS)}, got {odd[0]!r}")
        if settings.get("scope") is not None:
            check_scope(settings["scope"])


def find_contrast(volume: Volume | None, brain: Tensor) -> str:
    """Tell of which contrast a scan is: by the order of its tissues, else by its name, else "".

    A picture comes first, as names are often wrong. Scans of several sequences, and tensors, have none.

    Args:
        volume: The scan, or none of a tensor.
        brain: Its brain mask, (I, J, K), boolean.
    """
    if volume is None or len(volume.data) > 1:
        return ""
    return ScanContrast.of(volume.path, measure_tissues(volume, brain)).choice


def choose_settings(options: Mapping[str, Any], contrast: str) -> dict[str, Any]:
    """Return the options of a model for one of its contrasts: its own parts, and what it measured of it.

    Args:
        options: Options of the model, with its contrasts.
        contrast: One of these.
    """
    settings = options["contrasts"][contrast]
    measures = {key: settings.get(key) for key in MEASURES}
    parts = {key: settings[key] for key in CONTRAST_PARTS if settings.get(key) is not None}
    scope = {k: v for k, v in (options.get("scope") or {}).items() if k != "calibrated_on"}
    scope |= settings.get("scope") or {}
    return {**options, **measures, **parts, "scope": scope or None, "contrasts": None}


def list_contrast_warnings(contrast: ScanContrast, config: Mapping[str, Any]) -> list[str]:
    """Say so if picture and name of a scan disagree, or neither says a contrast, of a model that has several.

    Args:
        contrast: What they say.
        config: Settings of the model; those of its own domain say which contrast its other settings are for.
    """
    if not config["contrasts"]:
        return []
    domain = config.get("domain") or []
    own = domain[0].get("sequence") if len(domain) == 1 else None
    return contrast.list_warnings(config["contrasts"], own or "")


def adapt_pipeline(pipe: Any, contrast: str) -> Any:
    """Return a pipeline with what it sets for a contrast; itself where it sets nothing for that.

    Args:
        pipe: The pipeline.
        contrast: A name, as ``find_contrast`` returns it.
    """
    if contrast not in (pipe.config.contrasts or {}):
        return pipe
    parts = pipe.components
    options = {k: v for k, v in pipe.config.items() if not k.startswith("_") and k not in parts}
    view = type(pipe)(**parts, **choose_settings(options, contrast))
    view.healthy, view.progress_bar = pipe.contrast_maps.get(contrast), pipe.progress_bar
    view.engine, view.memory = pipe.engine, pipe.memory
    return view


def name_healthy_file(contrast: str) -> str:
    """Name the file of the healthy maps of a contrast in the folder of a model."""
    stem, dot, suffix = FILE.partition(".")
    return f"{stem}-{contrast}{dot}{suffix}" if contrast else FILE
