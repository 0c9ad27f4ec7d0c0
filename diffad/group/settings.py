"""How the maps of a scan were made, and whether those of two scans can be summed up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from diffad.io.search import list_names
from diffad.predict.request import compare_requests

OWN_KEYS = ("scan", "mask", "region")
"""What of a request is of one scan."""
NAMED_KEYS = ("prepare", "trust", "mask_threshold", "seed", "precision", "engine")
"""What of a request may differ in a group, and is said where it does."""


def read_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the maps of a scan follow from beside it: model, parts, options, contrast, threshold.

    Args:
        info: What is stored of its result.
    """
    request = info.get("request")
    settings = {k: v for k, v in request.items() if k not in OWN_KEYS} if isinstance(request, Mapping) else {}
    rule = str(info.get("threshold_rule", ""))
    settings |= {"contrast": info.get("contrast", ""), "threshold_rule": rule, "units": _read_units(info)}
    return settings if rule == "otsu" else settings | {"threshold_value": info.get("threshold")}


def _read_units(info: Mapping[str, Any]) -> str:
    """Return in what units the map is: a model's maps by place are others where they do not apply."""
    is_raw = any("the map is not normalised by place" in str(text) for text in info.get("warnings") or ())
    return "raw" if is_raw else "usual"


def get_model_name(info: Mapping[str, Any]) -> str:
    """Return the name of the model that made a result; "a model without a name" where there is none."""
    model = info.get("model")
    name = model.get("name") if isinstance(model, Mapping) else model
    return str(name or "a model without a name")


def require_one_kind(settings: Mapping[str, Mapping[str, Any]], models: Mapping[str, str]) -> list[str]:
    """Refuse scans whose maps cannot be summed up, as models, parts, thresholds or contrasts differ.

    Args:
        settings: Settings of each scan, see ``read_settings``.
        models: Name of the model of each scan.

    Returns:
        What differs and was let pass, in sentences.

    Raises:
        ValueError: With how many scans there are of each kind, and in what they differ.
    """
    keys = {scan: _format_key(values, NAMED_KEYS) for scan, values in settings.items()}
    kinds: dict[str, list[str]] = {}
    for scan, key in keys.items():
        kinds.setdefault(key, []).append(scan)
    if len(kinds) > 1:
        firsts = [settings[scans[0]] for scans in kinds.values()]
        names = [n for n in _list_differences(firsts) if n not in NAMED_KEYS]
        counts = (f"{len(scans)} by {models[scans[0]]} ({scans[0]})" for scans in kinds.values())
        raise ValueError(
            f"expected results of one model with one set of settings, found {len(kinds)} kinds, which differ "
            f"in {', '.join(names)}: {list_names(counts)}; their maps are not comparable, so choose with "
            "--model, or keep them in folders of their own"
        )
    return _describe_named(list(settings.values()))


def _format_key(settings: Mapping[str, Any], without: Sequence[str]) -> str:
    return json.dumps({k: v for k, v in settings.items() if k not in without}, sort_keys=True)


def _list_differences(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    pairs = (compare_requests(settings[0], other) for other in settings[1:])
    return sorted({name for names in pairs for name in names})


def _describe_named(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    for name in NAMED_KEYS:
        counts = Counter(_describe_value(name, values.get(name)) for values in settings)
        if len(counts) > 1:
            text = ", ".join(f"{count} {value}" for value, count in counts.most_common())
            notes.append(f"scans differ in {name}: {text}")
    return notes


def _describe_value(name: str, value: Any) -> str:
    if name == "prepare":
        return "prepared with --prepare" if value else "taken as they came"
    if name == "engine":
        return f"by {value or 'torch'}"
    return f"with {json.dumps(value)}"
