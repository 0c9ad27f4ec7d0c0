"""What the results of a scan are called in a BIDS derivative, now and in former versions."""

from __future__ import annotations

from diffad.io.spaces import CARRIED_SUFFIXES, TRANSFORM, format_carried, format_transform

SUFFIX_LABELS = {
    "mask": ("anomaly", "mask.nii.gz"),
    "seen": ("seen", "mask.nii.gz"),
    "unseen": ("unseen", "mask.nii.gz"),
    "labels": ("anomaly", "dseg.nii.gz"),
    "lesions_csv": ("anomaly", "dseg.tsv"),
    "lesions_json": ("anomaly", "dseg.json"),
}
"""Kinds that BIDS has a suffix for: their description, and suffix and extension."""

MAP_LABELS = {
    "anomaly": ("anomaly", ".nii.gz"),
    "scan": ("scan", ".nii.gz"),
    "info": ("anomaly", ".json"),
    "twin": ("twin", ".nii.gz"),
    "std": ("std", ".nii.gz"),
    "pvalue": ("pvalue", ".nii.gz"),
    "report": ("report", ".png"),
    "page": ("report", ".html"),
    "preparation": ("prepare", ".png"),
}
"""Kinds that keep the suffix of the scan: their description, and extension."""

SIDECAR = "_sidecar"
"""End of the kind of a sidecar: ``mask_sidecar`` is that of ``mask``."""
SIDECAR_KINDS = ("mask", "twin", "seen", "unseen", "std", "pvalue")
"""Kinds with a sidecar of their own; that of ``anomaly`` is ``info``, that of ``labels`` ``lesions_json``."""

BIDS_KINDS = ("labels", *(f"{kind}{SIDECAR}" for kind in (*SIDECAR_KINDS, *CARRIED_SUFFIXES)))
"""Kinds that only a BIDS derivative has; not every run makes them."""


def format_bids_name(name: str, kind: str) -> str:
    """Name a result of a scan in a BIDS derivative.

    A suffix such as ``mask`` takes the place of that of the scan, which then stands in the description: BIDS
    has no ``mod-`` for masks, and masks of two sequences would share a name otherwise.

    Args:
        name: Name of the scan, with its entities and its suffix.
        kind: Kind of the result.
    """
    if kind.endswith(SIDECAR):
        return format_bids_name(name, kind.removesuffix(SIDECAR)).removesuffix(".nii.gz") + ".json"
    entities, labels, suffix = _split_name(name)
    if kind == TRANSFORM:
        return format_transform(entities, labels, suffix)
    if kind in CARRIED_SUFFIXES:
        entities, labels = format_carried(entities, labels)
        kind = kind.removeprefix("template_")
    if kind in SUFFIX_LABELS:
        label, end = SUFFIX_LABELS[kind]
        return "_".join(
            [*entities, f"desc-{_join_labels([*labels, label])}{suffix[:1].upper()}{suffix[1:]}", end]
        )
    label, end = MAP_LABELS[kind]
    return "_".join([*entities, f"desc-{_join_labels([*labels, label])}", suffix]) + end


def format_former_name(name: str, kind: str) -> str | None:
    """Name a result as versions before the derivative passed the BIDS validator did; none if as now."""
    entities, labels, suffix = _split_name(name)
    if kind in ("mask", "seen", "unseen"):
        label = SUFFIX_LABELS[kind][0]
        return "_".join([*entities, f"mod-{suffix}", f"desc-{_join_labels([*labels, label])}", "mask.nii.gz"])
    if kind in ("lesions_csv", "lesions_json"):
        end = kind.removeprefix("lesions_")
        return "_".join([*entities, f"desc-{_join_labels([*labels, 'lesions'])}", f"{suffix}.{end}"])
    return None


def _split_name(name: str) -> tuple[list[str], list[str], str]:
    """Split a name into entities other than ``desc-``, the labels of that, and the suffix."""
    *parts, suffix = name.split("_")
    entities = [part for part in parts if not part.startswith("desc-")]
    return entities, [part.removeprefix("desc-") for part in parts if part.startswith("desc-")], suffix


def _join_labels(labels: list[str]) -> str:
    """Join labels into one of letters and digits alone, as BIDS wants: ``preproc`` and ``anomaly``."""
    first, *rest = labels
    return first + "".join(label[:1].upper() + label[1:] for label in rest)
