"""Which contrasts the model of a run knows, the best first, as series of DICOM are chosen by them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from diffad.inference.candidates import is_auto, list_candidates
from diffad.inference.sequence_names import name_sequence
from diffad.inference.stored import INDEX
from diffad.models.folder import ModelError, read_mapping
from diffad.models.pretrained import locate_model

MRI = ("T1", "FLAIR", "T2")
"""Contrasts of MRI, in the order in which they are preferred."""
AFTER_AGENT = "T1 after a contrast agent"
"""Is looked at by a model of T1 where there is nothing else."""


def list_contrasts(model: str, is_ct: bool = False) -> tuple[str, ...]:
    """Return the contrasts that a model knows, or several to choose among, from its index alone.

    A model that says nothing of it, or lies on a hub, is taken to know all of MRI.

    Args:
        model: As ``predict`` takes it.
        is_ct: Whether scans are prepared as CT.
    """
    try:
        names = [c.name for c in list_candidates(model)[0]] if is_auto(model) else [model]
        indices = [read_mapping(Path(locate_model(name)) / INDEX) for name in names]
    except (ModelError, OSError, ValueError):  # loading the model will say what is wrong
        indices = []
    finding = {contrast for index in indices for contrast in _read_contrasts(index)}
    if is_ct or finding == {"CT"}:
        return ("CT",)
    contrasts = tuple(contrast for contrast in MRI if contrast in finding) or MRI
    return contrasts + ((AFTER_AGENT,) if "T1" in contrasts else ()) + (("CT",) if "CT" in finding else ())


def _read_contrasts(index: dict[str, Any]) -> set[str]:
    if (index.get("space") or {}).get("intensity") == "ct":
        return {"CT"}
    if names := index.get("sequences"):
        return {name_sequence(str(name)) for name in names} & set(MRI)
    text = str((index.get("scope") or {}).get("modality") or "")
    return set(re.findall(r"T1|T2|FLAIR", text)) | (set(index.get("contrasts") or {}) & set(MRI))
