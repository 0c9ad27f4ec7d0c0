"""What the results of a scan are called: in a plain folder, or as a BIDS derivative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffad.io.nifti import stem
from diffad.io.spaces import SPACE_SUFFIXES, TRANSFORM, format_carried, format_transform, is_carried

RESULT_SUFFIXES = {
    "anomaly": "_anomaly.nii.gz",
    "mask": "_mask.nii.gz",
    "twin": "_twin.nii.gz",
    "seen": "_seen.nii.gz",
    "unseen": "_unseen.nii.gz",
    "std": "_std.nii.gz",
    "pvalue": "_pvalue.nii.gz",
    "lesions_csv": "_lesions.csv",
    "lesions_json": "_lesions.json",
    "report": "_report.png",
    "preparation": "_prepare.png",
    "page": "_report.html",
    **SPACE_SUFFIXES,
    "info": "_info.json",
}
"""Ends of the names in a plain folder, by kind; the last one is written last."""

OPTIONAL_KINDS = ("unseen", "std", "pvalue", "preparation", "page", *SPACE_SUFFIXES)
"""Kinds that not every run makes: brain that was not analysed, spread of several twins, p-values, the
picture of how the scan was made ready, the web page, and all in the space of the template."""

REQUIRED_KINDS = tuple(kind for kind in RESULT_SUFFIXES if kind not in OPTIONAL_KINDS)
"""Kinds without which a scan is not finished."""

MASK_DESCRIPTIONS = {"mask": "anomaly", "seen": "seen", "unseen": "unseen"}
"""Kinds that BIDS calls a mask, with their description."""

MAP_ENDS = tuple(end.removesuffix(".nii.gz") for end in RESULT_SUFFIXES.values() if end.endswith(".nii.gz"))
"""Ends of the names of the maps that are written here; such files in a folder are no scans."""


@dataclass(frozen=True)
class Naming:
    """Where the results of one scan lie.

    A plain ``Naming("A")`` calls its map ``A_anomaly.nii.gz``. A BIDS one keeps the entities of the scan:
    ``sub-01/anat/sub-01_run-1_T1w`` has ``sub-01/anat/sub-01_run-1_desc-anomaly_T1w.nii.gz``, its detections
    ``..._mod-T1w_desc-anomaly_mask.nii.gz`` and its sidecar ``..._desc-anomaly_T1w.json``. Names in the space
    of the template have its entity, see ``diffad.io.spaces``.

    Args:
        name: Name of the scan; of a BIDS scan with its entities and its suffix.
        folder: Folder in that of the results.
        bids: Whether the results are a BIDS derivative.
    """

    name: str
    folder: Path = Path()
    bids: bool = False

    @property
    def key(self) -> str:
        """What tells the scan from all others of one folder of results."""
        return (self.folder / self.name).as_posix()

    def path(self, kind: str) -> Path:
        """Return where a kind of result lies, relative to the folder of the results."""
        end = RESULT_SUFFIXES[kind]
        return self.folder / (self._format_bids(kind, end) if self.bids else f"{self.name}{end}")

    def files(self, out: Path) -> dict[str, Path]:
        """Return where all kinds of results lie."""
        return {kind: out / self.path(kind) for kind in RESULT_SUFFIXES}

    def _format_bids(self, kind: str, end: str) -> str:
        parts, suffix = split_entities(self.name)
        entities = [part for part in parts if not part.startswith("desc-")]
        labels = [part.removeprefix("desc-") for part in parts if part.startswith("desc-")]
        if kind == TRANSFORM:
            return format_transform(entities, labels, suffix)
        is_carried_kind, kind = kind in SPACE_SUFFIXES, kind.removeprefix("template_")
        entities += [f"mod-{suffix}"] if kind in MASK_DESCRIPTIONS else []
        if is_carried_kind:
            entities, labels = format_carried(entities, labels)
        label = MASK_DESCRIPTIONS.get(kind, _describe_kind(kind))
        labels.append(label[:1].upper() + label[1:] if labels else label)
        last = "mask" if kind in MASK_DESCRIPTIONS else suffix
        return "_".join([*entities, f"desc-{''.join(labels)}", last]) + end[end.index(".") :]


def _describe_kind(kind: str) -> str:
    """Name a kind with letters alone, as BIDS wants; the record that all is whole belongs to the map."""
    labels = {"info": "anomaly", "lesions_csv": "lesions", "lesions_json": "lesions", "page": "report"}
    labels["preparation"] = "prepare"
    return labels.get(kind, kind)


def split_entities(name: str) -> tuple[list[str], str]:
    """Split a BIDS name into its entities and its suffix: ``sub-01_T1w`` into ``["sub-01"]`` and ``T1w``."""
    *entities, suffix = name.split("_")
    return entities, suffix


def parse_map_name(path: Path, out: Path) -> Naming | None:
    """Return whose anomaly map on its own grid a file is, by its name; none if it is no such map.

    Args:
        path: A file.
        out: Folder of the results it lies in.
    """
    naming = _parse_naming(stem(path), path.parent.relative_to(out))
    if naming is None or (is_carried(path) and not naming.files(out)["info"].is_file()):
        return None
    return naming


def _parse_naming(name: str, folder: Path) -> Naming | None:
    if name.endswith("_anomaly"):
        return Naming(name.removesuffix("_anomaly"), folder)
    parts = name.split("_")
    descriptions = [p for p in parts if p.startswith("desc-") and p.lower().endswith("anomaly")]
    if not name.startswith("sub-") or not descriptions or parts[-1] == "mask":
        return None
    label = descriptions[0].removeprefix("desc-")[: -len("anomaly")]
    entities = [p for p in parts if p != descriptions[0]]
    entities[-1:-1] = [f"desc-{label}"] if label else []
    return Naming("_".join(entities), folder, bids=True)


def find_maps(out: Path) -> dict[Path, Naming]:
    """Find the anomaly maps in a folder of results, in the order of their paths.

    Those of a plain folder lie in it; those of a BIDS derivative anywhere below it, as a data set may keep
    its subjects in folders such as ``test/``. Hidden files and folders are left out.

    Args:
        out: Folder of the results.
    """
    ends = (".nii.gz", ".nii")
    paths = {p for end in ends for p in out.glob(f"*_anomaly{end}")}
    paths |= {p for end in ends for p in out.rglob(f"sub-*_desc-*nomaly_*{end}")}
    visible = sorted(p for p in paths if not any(part[0] == "." for part in p.relative_to(out).parts))
    namings = {path: parse_map_name(path, out) for path in visible}
    return {path: naming for path, naming in namings.items() if naming is not None}
