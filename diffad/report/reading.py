"""Reads results of ``predict`` from disk, as they were in memory, and only beside the scan they are of."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from diffad.config.reading import recall_options
from diffad.data.volume import Volume, VolumeError, require_same_grid
from diffad.dicom.read import read_series
from diffad.dicom.stored import hash_series, restore_source
from diffad.inference.output import AnomalyOutput
from diffad.inference.scan import read_source
from diffad.io.files import open_regular, require_file
from diffad.io.own_maps import read_scan_info

BLOCK_BYTES = 1 << 20
"""How much of a file is read at once."""
LARGEST_NUMBER = 1e30
"""Largest score or threshold that is drawn; single precision holds no more than a few times that."""

OTHER_FILE = (
    "the scan that the maps were made of, as {record} stores its SHA-256, "
    "found another file; run diffad predict again, or bring the scan back"
)


def read_maps(files: Mapping[str, Path]) -> AnomalyOutput:
    """Read what ``predict`` wrote of one scan, and the scan itself.

    The brain is what was analysed and what was not. The scan of ``--prepare`` still has the head around it.

    Args:
        files: Its files by kind, see ``Naming.files``.

    Raises:
        ValueError: If a volume or the record cannot be used, lies on another grid than the scan, or is of
            another scan than the one that lies there; it is named.
        OSError: If a file is missing.
    """
    info = read_record(files["info"])
    scan = _read_scan(files["info"], info)
    kinds, optional = ("anomaly", "twin", "mask", "seen", "unseen", "pvalue"), ("unseen", "pvalue")
    maps = {
        kind: torch.from_numpy(_read_map(files[kind], scan))[None]
        for kind in kinds
        if kind not in optional or files[kind].is_file()
    }
    seen = maps["seen"] > 0
    return AnomalyOutput(
        maps["anomaly"],
        maps["twin"],
        maps["mask"] > 0,
        torch.tensor([info["image_score"]]),
        info,
        torch.from_numpy(scan.data)[None],
        seen | (maps["unseen"] > 0) if "unseen" in maps else seen,
        scan,
        p_value=maps.get("pvalue"),
        analysed=seen,
    )


def _read_scan(record: Path, info: Mapping[str, Any]) -> Volume:
    """Read the scan that maps were made of, files or a DICOM series.

    Raises:
        VolumeError: If it is lost or another one.
    """
    if source := restore_source(info, record):
        digests = info.get("request", {}).get("scan")
        if isinstance(digests, list) and digests != [hash_series(source.files)]:
            raise VolumeError(f"{source.folder}: expected {OTHER_FILE.format(record=record.name)}")
        return read_series(source, recall_options(info))
    _check_digests(record, info)
    return Volume.load(Path(info["scan"][0]), options=recall_options(info))


def read_result(folder: Path, name: str, scan: Path) -> AnomalyOutput:
    """Read the maps of one scan, for example to draw or score them.

    Args:
        folder: Folder that ``diffad predict`` wrote.
        name: First part of the names of the files.
        scan: The scan they belong to, skull-stripped.

    Raises:
        ValueError: If a volume cannot be used, or lies on another grid than the scan.
        OSError: If the information file is missing.
    """
    info = read_record(folder / f"{name}_info.json")
    source = read_source(Volume.load(scan, options=recall_options(info)))
    assert source.volume is not None
    files = [folder / f"{name}_{kind}.nii.gz" for kind in ("anomaly", "twin", "mask")]
    anomaly, reconstruction, mask = (torch.from_numpy(_read_map(f, source.volume))[None] for f in files)
    score = torch.tensor([info["image_score"]])
    scan_parts = (source.image, source.brain, source.volume)
    return AnomalyOutput(anomaly, reconstruction, mask > 0, score, info, *scan_parts)


def read_record(path: Path) -> dict[str, Any]:
    """Read what ``predict`` stored with the maps of a scan, with all that pages and figures need.

    Raises:
        ValueError: If it cannot be read, or something is missing; it is named.
    """
    info = read_scan_info(path)
    if lacks := [
        key for key in ("image_score", "scan", "threshold") if not info.get(key) and info.get(key) != 0
    ]:
        raise VolumeError(f"{path}: expected {', '.join(lacks)}, as predict stores them, found none")
    for key in ("image_score", "threshold"):
        if abs(info[key]) > LARGEST_NUMBER or not math.isfinite(info[key]):
            raise VolumeError(f"{path}: expected a finite number for {key}, found {info[key]!r:.40}")
    return info


def _read_map(path: Path, scan: Volume) -> Any:
    volume = Volume.load(path, allow_constant=True, options=scan.options)
    require_same_grid(volume, scan)
    return volume.data


def _check_digests(path: Path, info: Mapping[str, Any]) -> None:
    """Refuse scans that are lost, or changed since their maps were made."""
    for scan in info["scan"]:
        require_file(scan, f"the scan of the maps, as {path.name} names it")
    digests = info.get("request", {}).get("scan")
    for scan, digest in zip(info["scan"], digests if isinstance(digests, list) else (), strict=False):
        if digest != _hash_file(scan):
            raise VolumeError(f"{scan}: expected {OTHER_FILE.format(record=path.name)}")


def _hash_file(path: str) -> str:
    digest = hashlib.sha256()
    with open_regular(path, "the scan of the maps") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
