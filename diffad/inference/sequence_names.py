"""Which sequence the name of a scan says it is, beside those that a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from diffad.data.names import strip_sequence
from diffad.io.nifti import stem

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
BIDS_AGENT = re.compile(r"(?:^|_)(ce-[A-Za-z0-9]+)_")
"""What BIDS says of a contrast agent."""


AFTER_AGENT = "T1 after a contrast agent"
"""Which of them is a T1, too."""
AGENT = re.compile(r"(?:^|[^a-z0-9])(t1w?[^a-z0-9]?(?:c|ce|gd|gad|post)|gd)$", re.IGNORECASE)
"""Last words of names after a contrast agent; "post" alone may be after surgery."""


def read_sequence_word(path: Path) -> str:
    """Return the last word of a name that says a sequence, as it is written; empty where there is none."""
    words = (word for alike in SAME_NAMES.values() for word in alike)
    length = next((len(word) for word in words if strip_sequence(path, word) is not None), 0)
    return stem(path)[-length:] if length else ""


def find_agent_word(path: Path) -> str:
    """Return what a name says of a contrast agent, by BIDS ``ce-`` or its end; empty for nothing."""
    match = BIDS_AGENT.search(path.name) or AGENT.search(stem(path))
    return match.group(1) if match else ""


def name_sequence(word: str) -> str:
    """Return what all names of a sequence have in common, "T1" of one after a contrast agent, too."""
    name = _name_alike(word)
    return "T1" if name == AFTER_AGENT or AGENT.search(word) else name


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
    if agent := BIDS_AGENT.search(path.name):
        words = [agent.group(1)]
    elif any(strip_sequence(path, name) is not None for name in names):
        return None
    if not words or _name_alike(words[-1]) in known:
        return None
    return f"the model was trained on {', '.join(names)}, and this scan is named {words[-1]}"


def _name_alike(name: str) -> str:
    """Return what all names of a sequence have in common; the name itself where it is no known one."""
    if name.startswith("ce-"):
        return AFTER_AGENT
    return next((common for common, words in SAME_NAMES.items() if name.lower() in words), name)
