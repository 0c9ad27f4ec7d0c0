"""What the results of a scan are called: in a plain folder, or as a BIDS derivative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULT_SUFFIXES = {
    "anomaly": "_anomaly.nii.gz",
    "mask": "_mask.nii.gz",
    "twin": "_twin.nii.gz",
    "seen": "_seen.nii.gz",
    "std": "_std.nii.gz",
    "pvalue": "_pvalue.nii.gz",
    "lesions_csv": "_lesions.csv",
    "lesions_json": "_lesions.json",
    "report": "_report.png",
    "page": "_report.html",
    "info": "_info.json",
}
"""Ends of the names in a plain folder, by kind; the last one is written last."""

OPTIONAL = ("std", "pvalue", "page")
"""Kinds that not every run makes: spread of several twins, p-values of a calibrated model, the web page."""

REQUIRED = tuple(kind for kind in RESULT_SUFFIXES if kind not in OPTIONAL)
"""Kinds without which a scan is not finished."""

MASKS = {"mask": "anomaly", "seen": "seen"}
"""Kinds that BIDS calls a mask, with their description."""

ENDS = tuple(end.removesuffix(".nii.gz") for end in RESULT_SUFFIXES.values() if end.endswith(".nii.gz"))
"""Ends of the names of our own maps; such files in a folder are no scans."""


@dataclass(frozen=True)
class Naming:
    """Where the results of one scan lie.

    A plain ``Naming("A")`` calls its map ``A_anomaly.nii.gz``. A BIDS one keeps the entities of the scan:
    ``sub-01/anat/sub-01_run-1_T1w`` has ``sub-01/anat/sub-01_run-1_desc-anomaly_T1w.nii.gz``, its detections
    ``..._mod-T1w_desc-anomaly_mask.nii.gz`` and its sidecar ``..._desc-anomaly_T1w.json``.

    Args:
        name: Name of the scan; of a BIDS scan with its entities and its suffix.
        folder: Folder in that of the results.
        bids: Whether the results are a BIDS derivative.
    """

    name: str
    folder: Path = Path()
    bids: bool = False

    def path(self, kind: str) -> Path:
        """Return where a kind of result lies, relative to the folder of the results."""
        end = RESULT_SUFFIXES[kind]
        return self.folder / (self._bids(kind, end) if self.bids else f"{self.name}{end}")

    def files(self, out: Path) -> dict[str, Path]:
        """Return where all kinds of results lie."""
        return {kind: out / self.path(kind) for kind in RESULT_SUFFIXES}

    def _bids(self, kind: str, end: str) -> str:
        entities, suffix = split_entities(self.name)
        own = [e for e in entities if not e.startswith("desc-")]
        described = [e.removeprefix("desc-") for e in entities if e.startswith("desc-")]
        what = MASKS.get(kind, {"pvalue": "pvalue"}.get(kind, _camel(kind)))
        desc = f"desc-{''.join([*described, what[:1].upper() + what[1:] if described else what])}"
        if kind in MASKS:
            return "_".join([*own, f"mod-{suffix}", desc, "mask.nii.gz"])
        return "_".join([*own, desc, suffix]) + end[end.index(".") :]


def _camel(kind: str) -> str:
    """Name a kind with letters alone, as BIDS wants; what says that all is whole belongs to the map."""
    return {"info": "anomaly", "lesions_csv": "lesions", "lesions_json": "lesions", "page": "report"}.get(
        kind, kind
    )


def split_entities(name: str) -> tuple[list[str], str]:
    """Split a BIDS name into its entities and its suffix: ``sub-01_T1w`` into ``["sub-01"]`` and ``T1w``."""
    *entities, suffix = name.split("_")
    return entities, suffix


def parse_map_name(path: Path, out: Path) -> Naming | None:
    """Return whose anomaly map a file is, by its name; none if it is no map of ours.

    Args:
        path: A file.
        out: Folder of the results it lies in.
    """
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    if name.endswith("_anomaly"):
        return Naming(name.removesuffix("_anomaly"), path.parent.relative_to(out))
    parts = name.split("_")
    ours = [p for p in parts if p.startswith("desc-") and p.lower().endswith("anomaly")]
    if not name.startswith("sub-") or not ours or parts[-1] == "mask":
        return None
    before = ours[0][len("desc-") : -len("anomaly")]
    kept = [p for p in parts if p != ours[0]]
    kept[-1:-1] = [f"desc-{before}"] if before else []
    return Naming("_".join(kept), path.parent.relative_to(out), bids=True)


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
