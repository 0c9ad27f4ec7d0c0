"""What the results of a scan are called: in a plain folder, or as a BIDS derivative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffad.io.bids_naming import BIDS_KINDS, format_bids_name, format_former_name
from diffad.io.nifti import stem
from diffad.io.spaces import SPACE_SUFFIXES, is_carried, is_record

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

MAP_ENDS = tuple(end.removesuffix(".nii.gz") for end in RESULT_SUFFIXES.values() if end.endswith(".nii.gz"))
"""Ends of the names of the maps that are written here; such files in a folder are no scans."""


@dataclass(frozen=True)
class Naming:
    """Where the results of one scan lie.

    A plain ``Naming("A")`` calls its map ``A_anomaly.nii.gz``. A BIDS one keeps the entities of the scan:
    ``sub-01/anat/sub-01_run-1_T1w`` has ``sub-01/anat/sub-01_run-1_desc-anomaly_T1w.nii.gz``, its detections
    ``..._desc-anomalyT1w_mask.nii.gz`` and its sidecar ``..._desc-anomaly_T1w.json``. Names in the space of
    the template have its entity, see ``diffad.io.spaces``.

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
        if self.bids:
            return self.folder / format_bids_name(self.name, kind)
        return self.folder / f"{self.name}{RESULT_SUFFIXES[kind]}"

    def files(self, out: Path) -> dict[str, Path]:
        """Return where all kinds of results lie, that which says that they are whole last."""
        kinds = (*(BIDS_KINDS if self.bids else ()), *RESULT_SUFFIXES)
        return {kind: out / self.path(kind) for kind in kinds}

    def former_files(self, out: Path) -> dict[str, Path]:
        """Return where results lie that former versions named in another way, by kind."""
        names = {kind: format_former_name(self.name, kind) for kind in RESULT_SUFFIXES} if self.bids else {}
        return {kind: out / self.folder / name for kind, name in names.items() if name}

    def find_files(self, out: Path) -> dict[str, Path]:
        """Return where all kinds of results lie, by their former names where they are only there."""
        files = self.files(out)
        former_files = {
            k: p for k, p in self.former_files(out).items() if not files[k].exists() and p.exists()
        }
        return files | former_files


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
    if naming is None or (is_carried(path) and not is_record(naming.files(out)["info"])):
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
