"""What a reader should know of the names of places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffad.data.atlas.template_map import REGISTERED, SHAPED

SIDES = "Left and right are those of the person."
SENTENCES = {
    REGISTERED: f"Places are those of an atlas of healthy adults, to which the scan was registered. {SIDES}",
    SHAPED: (
        f"Without registration, places are rough, by the shape of the brain; --prepare registers it. {SIDES}"
    ),
}


def explain_places(info: Mapping[str, Any]) -> str:
    """Return what the record of a result says of its names of places, in sentences, or ""."""
    entry = info.get("to_template")
    if not isinstance(entry, Mapping):
        return ""
    if sentences := SENTENCES.get(str(entry.get("source"))):
        return sentences
    reason = str(entry.get("reason", "")).strip()
    return f"Places have no names: {reason}." if reason else ""
