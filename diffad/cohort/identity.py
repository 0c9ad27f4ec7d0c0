"""What results follow from: which files, which model, and what is stored with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from diffad.pipeline import AnomalyPipeline

MAPS = ("_anomaly.nii.gz", "_mask.nii.gz", "_twin.nii.gz", "_seen.nii.gz", "_report.png")
"""Ends of the names of a scan's results, but for what says that they are whole."""

OPTIONAL = ("_std.nii.gz", "_pvalue.nii.gz")
"""Ends of what not every run makes: the spread of several twins, p-values of a calibrated model."""


def stored(out: Path, name: str) -> dict[str, Any] | None:
    """Read what was stored with finished maps; none if a file is not there, or cannot be read."""
    if not all((out / f"{name}{end}").is_file() for end in MAPS):
        return None
    try:
        info = json.loads((out / f"{name}_info.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) else None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or a mark that it cannot be read (which reading it will explain)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def fingerprint(pipe: AnomalyPipeline) -> str:
    """Return a hash of the weights and of all that is stored with them."""
    parts = ("noise", "score", "guidance", "space", "postprocess", "calibration")
    text = json.dumps(
        {k: pipe.config[k] for k in parts} | dict(pipe.scheduler.config), sort_keys=True, default=str
    )
    found = hashlib.sha256(text.encode())
    for network in pipe.networks.values():
        for name, weights in sorted(network.state_dict().items()):
            found.update(name.encode() + weights.cpu().double().numpy().tobytes())
    return found.hexdigest()
