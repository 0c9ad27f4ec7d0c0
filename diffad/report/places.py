"""What a reader should know of the names of places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffad.data.atlas.template_map import REGISTERED, SHAPED

SIDES = "Left and right are those of the person."
SENTENCES = {
    REGISTERED: f"Places are those of an atlas of healthy adults, to which the scan was registered. {SIDES}",
    SHAPED: (
        "Places are rough, by the shape of the brain, as the scan was not registered; --prepare registers it. "
        f"{SIDES}"
    ),
}


def explain_places(info: Mapping[str, Any]) -> str:
    """Return what the record of a result says of its names of places, in sentences; "" where it says nothing."""
    entry = info.get("to_template")
    if not isinstance(entry, Mapping):
        return ""
    if sentences := SENTENCES.get(str(entry.get("source"))):
        return sentences
    reason = str(entry.get("reason", "")).strip()
    return f"Places have no names: {reason}." if reason else ""
