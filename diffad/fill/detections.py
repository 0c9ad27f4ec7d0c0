"""The lesion mask of a scan: a file, one beside the scan, or what predict detected in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from diffad.io.beside import find_mask_beside
from diffad.io.digests import hash_file
from diffad.io.naming import Naming, find_maps
from diffad.io.nifti import stem
from diffad.io.own_maps import read_scan_info
from diffad.io.wording import shorten


def find_lesion(scan: Path, name: str, lesion: str | Path) -> tuple[Path, list[str]]:
    """Find the lesion mask of a scan, and say what a reader should know of the choice.

    Args:
        scan: File of the scan.
        name: What its results are called.
        lesion: Mask of all scans, the end of the masks' names, or a folder of results of predict.

    Raises:
        ValueError: If there is none, or the names do not tell which is meant.
    """
    if isinstance(lesion, Path):
        return find_detections(scan, name, lesion) if lesion.is_dir() else (lesion, [])
    mask = find_mask_beside(scan, lesion)
    if mask is None:
        raise ValueError(f"{scan}: expected a lesion mask {lesion} beside it, found none")
    return mask, []


def find_detections(scan: Path, name: str, folder: Path) -> tuple[Path, list[str]]:
    """Find the detections of a scan in a folder of results, plain or a BIDS derivative.

    Those of a scan of the same content are taken, whatever they are called; else those of its name, with a
    warning where they are of other content.

    Raises:
        ValueError: If there are none, or those of several scans.
    """
    namings = list(find_maps(folder).values())
    namesakes = [naming for naming in namings if naming.name in (name, stem(scan))]
    digest = hash_file(scan)
    twins = _keep_twins(namesakes, folder, digest) or _keep_twins(namings, folder, digest)
    candidates = twins or namesakes
    masks = list(dict.fromkeys(naming.find_files(folder)["mask"] for naming in candidates))
    if len(masks) > 1:
        raise ValueError(f"{scan}: expected its detections once in {folder}, found {masks[0]} and {masks[1]}")
    if not masks or not masks[0].is_file():
        names = _join_names(naming.name for naming in namings if naming not in candidates)
        raise ValueError(f"{scan}: expected its detections in {folder}, found those of {names}")
    is_other = not twins and bool(_list_digests(candidates[0], folder))
    note = f"{masks[0]}: detected in a scan of this name with other content than {scan}"
    return masks[0], [note] if is_other else []


def _keep_twins(namings: Sequence[Naming], folder: Path, digest: str) -> list[Naming]:
    """Keep the results that are of a file of this content."""
    return [naming for naming in namings if digest in _list_digests(naming, folder)]


def _list_digests(naming: Naming, folder: Path) -> Sequence[str]:
    """List the digests of the files that a result was made of; none where nothing is stored."""
    try:
        digests = read_scan_info(naming.find_files(folder)["info"]).get("request", {}).get("scan", ())
    except (ValueError, OSError):
        return ()
    return digests if isinstance(digests, list) else ()


def _join_names(names: Iterable[str]) -> str:
    return shorten(", ".join(sorted(names))) or "no scan"
