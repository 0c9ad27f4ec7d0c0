"""Which sequence the name of a scan says it is, beside those that a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from diffad.data.names import strip_sequence

SAME_NAMES = {
    "T1": ("t1", "t1w"),
    "T1 after a contrast agent": ("t1c", "t1ce", "t1gd", "t1post"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair",),
    "PD": ("pd", "pdw"),
    "DWI": ("dwi",),
    "ADC": ("adc",),
    "SWI": ("swi",),
    "CT": ("ct",),
}
"""Last words of names that say which sequence a scan is."""


def compare_sequence_names(path: Path | None, names: Sequence[str] | None) -> str | None:
    """Say so if a file is named like another sequence than those of a model; BIDS ``ce-`` counts as a name.

    Args:
        path: The scan, or none.
        names: Sequences of the model, as ``data.names.strip_sequence`` takes them, or none.
    """
    if path is None or not names:
        return None
    known = {_name_alike(name) for name in names}
    words = [
        word for alike in SAME_NAMES.values() for word in alike if strip_sequence(path, word) is not None
    ]
    if agent := re.search(r"(?:^|_)(ce-[A-Za-z0-9]+)_", path.name):
        words = [agent.group(1)]
    elif any(strip_sequence(path, name) is not None for name in names):
        return None
    if not words or _name_alike(words[-1]) in known:
        return None
    return f"the model was trained on {', '.join(names)}, and this scan is named {words[-1]}"


def _name_alike(name: str) -> str:
    """Return what all names of a sequence have in common; the name itself where it is no known one."""
    if name.startswith("ce-"):
        return "T1 after a contrast agent"
    return next((common for common, words in SAME_NAMES.items() if name.lower() in words), name)
