"""What a pipeline is, in a few lines: for its repr and for its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffad.config import PartSpec, SpaceConfig, from_dict


def list_facts(config: Mapping[str, Any], network: Any, channels: int | None = None) -> list[tuple[str, str]]:
    """Return what a pipeline is, as titles and texts.

    Args:
        config: Settings of the pipeline.
        network: The network that denoises.
        channels: Sequences of a scan; none where they are the channels of the network.
    """
    channels = network.config.in_channels if channels is None else channels
    parts = [(name, describe_part(config.get(name))) for name in ("noise", "sampler", "score", "guidance")]
    return [
        ("network", describe_network(network)),
        *((name, text) for name, text in parts if text != "none"),
        ("takes", describe_input(config, channels)),
        ("knows", describe_domain(config)),
        ("calibration", summarise_calibration(config)),
        *(
            (f"for {contrast}", describe_contrast(config, contrast))
            for contrast in config.get("contrasts") or {}
        ),
    ]


def name_pipeline(config: Mapping[str, Any]) -> str:
    """Return the name that a pipeline was trained under, or "unnamed"."""
    return str(dict(config.get("provenance") or {}).get("name") or "unnamed")


def describe_network(network: Any) -> str:
    """Say class and size of a network, and where it is."""
    first = next(network.parameters(), None)
    count = sum(p.numel() for p in network.parameters())
    name = network.config.get("part") or type(network).__name__
    size = f"{count / 1e6:.1f} million" if count > 1e5 else f"{count:,}"
    place = "" if first is None else f", {str(first.dtype).removeprefix('torch.')} on {first.device}"
    return f"{name} of {size} parameters{place}"


def describe_part(spec: PartSpec | None) -> str:
    """Say name and options of a part, or "none"."""
    if not spec:
        return "none"
    options = ", ".join(f"{k}={_format(v)}" for k, v in spec.items() if k != "name")
    return f"{spec['name']}({options})" if options else str(spec["name"])


def _format(value: Any) -> str:
    if isinstance(value, Mapping):
        return describe_part(dict(value)) if "name" in value else str(dict(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_format(v) for v in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_input(config: Mapping[str, Any], count: int) -> str:
    """Say which scans of so many sequences a network takes, and what it looks at."""
    space = from_dict(SpaceConfig, dict(config["space"]), "space.")
    names = ", ".join(config.get("sequences") or []) or f"{count} sequence{'s' if count > 1 else ''}"
    code = {"latent": ", as latent codes", "haar": ", as wavelets"}.get(space.code, "")
    if space.axis == "volume":
        return f"{names}, whole volumes{code}"
    size = f"{space.size} x {space.size} pixels" + (
        f" of {space.fov / space.size:.2g} mm" if space.fov else ""
    )
    window = "" if space.window is None else f", in a window of {space.window[0]} x {space.window[1]}"
    ends = (space.centre - space.width / 2, space.centre + space.width / 2)
    unit = f", CT from {ends[0]:g} to {ends[1]:g} HU" if space.intensity == "ct" else ""
    return f"{names}, {' and '.join(space.axes)} slices of {size}{window}{unit}{code}"


def describe_domain(config: Mapping[str, Any]) -> str:
    """Say how many scans a pipeline compares others with."""
    domain = config.get("domain")
    if not domain:
        return "nothing is stored of the scans it was trained on, so no scan is said to be unlike them"
    return f"{_count_scans(domain[0]['scans'])}, with which every other is compared"


def summarise_calibration(config: Mapping[str, Any]) -> str:
    """Say on how many scans thresholds were measured, and which one is used."""
    values = config.get("calibration")
    if not values:
        return "none: maps are cut at Otsu's threshold, scan by scan"
    fpr = config["postprocess"]["fpr"]
    cuts = {float(rate): value for rate, value in values["thresholds"].items()}
    cut = f"{cuts[fpr]:.4g}" if fpr in cuts else "none"
    share = f"{100 * fpr:g} % of healthy voxels"
    engine = f"; maps of {values['engine']} in {values['precision']}" if values.get("engine") else ""
    return f"{_count_scans(values['scans'])}; threshold {cut} lets {share} through{engine}"


def _count_scans(count: int) -> str:
    return f"{count} healthy scan{'s' * (count != 1)}"


def describe_contrast(config: Mapping[str, Any], contrast: str) -> str:
    """Say what a pipeline does otherwise for scans of a contrast."""
    own = {**config["contrasts"][contrast], "postprocess": config["postprocess"]}
    parts = [
        f"{name} {describe_part(own[name])}" for name in ("sampler", "score", "guidance") if own.get(name)
    ]
    return "; ".join([*parts, summarise_calibration(own)])
