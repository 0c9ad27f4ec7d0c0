"""Names of results in the space of the template, beside those on a scan's own grid."""

from __future__ import annotations

import glob
import json
from pathlib import Path

from diffad.io.files import read_regular

TEMPLATE_SPACE = "MNI152NLin2009aSym"
"""Name that BIDS has for the template that comes with nilearn: ICBM 2009a, nonlinear, symmetric."""
TEMPLATE_URL = "http://www.bic.mni.mcgill.ca/ServicesAtlases/ICBM152NLin2009"
"""Where those who made the template describe it; sidecars name it as their reference."""
CARRIED_KINDS = ("scan", "anomaly", "mask", "twin", "seen", "unseen", "std", "pvalue")
"""What is brought to the template: the scan, and all maps and masks that there are of it."""
CARRIED_SUFFIXES = {f"template_{kind}": f"_space-{TEMPLATE_SPACE}_{kind}.nii.gz" for kind in CARRIED_KINDS}
"""Ends of the names of what is brought to the template, by kind of result, in a plain folder."""
TRANSFORM, TRANSFORM_END = "template_xfm", f"_from-native_to-{TEMPLATE_SPACE}_mode-image_xfm.tfm"
"""Kind of the transform that brings images there, and the end of its name."""
SPACE_SUFFIXES = CARRIED_SUFFIXES | {TRANSFORM: TRANSFORM_END}
"""Ends of all that is written of a scan in the space of the template, by kind of result."""
TAG = f"space-{TEMPLATE_SPACE}"
"""Entity of names in the space of the template."""
TRANSFORM_KEY, RECORD_BYTES = "Transform", 64_000_000
"""Key of a sidecar of what was brought to the template, and what no record exceeds."""


def format_carried(entities: list[str], labels: list[str]) -> tuple[list[str], list[str]]:
    """Return entities and descriptions of a scan's name in the space of the template.

    A scan that names a space of its own keeps that as a description, as a BIDS name has one space.

    Args:
        entities: Entities of the scan without its descriptions, as ``sub-01``.
        labels: Its descriptions.
    """
    own = [part.removeprefix("space-") for part in entities if part.startswith("space-")]
    rest = [part for part in entities if not part.startswith("space-")]
    return [*rest, TAG], [*(f"from{label}" for label in own), *labels]


def format_transform(entities: list[str], labels: list[str], suffix: str) -> str:
    """Return the BIDS name of the transform of a scan to the template; see ``format_carried``."""
    source = "".join(filter(str.isalnum, suffix)) or "native"
    way = [f"from-{source}", f"to-{TEMPLATE_SPACE}", "mode-image"]
    description = [f"desc-{''.join(labels)}"] if labels else []
    return "_".join([*entities, *way, *description, "xfm.tfm"])


def is_record(path: Path) -> bool:
    """Tell whether a file is the record of a scan that names the template, and no sidecar of a result there.

    Both are called alike; only a sidecar names a transform.
    """
    try:
        content = json.loads(read_regular(path, RECORD_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and TRANSFORM_KEY not in content


def is_carried(path: Path) -> bool:
    """Tell whether a volume is a result in the space of the template, and no scan that names that space.

    Its name has that space, and the transform that brought it there lies beside it.
    """
    base, tag, _ = path.name.partition(f"_{TAG}_")
    if not tag:
        return False
    if path.with_name(f"{base}{TRANSFORM_END}").is_file():
        return True
    subject = glob.escape(base.partition("_")[0])
    return subject.startswith("sub-") and any(path.parent.glob(f"{subject}*_to-{TEMPLATE_SPACE}_*xfm.tfm"))
