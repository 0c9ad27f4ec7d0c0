"""Reads results of ``predict`` from disk, as they were in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.inference.scan import read_source


def read_maps(files: Mapping[str, Path]) -> AnomalyOutput:
    """Read what ``predict`` wrote of one scan, and the scan itself.

    The brain is the analysed mask. The scan of ``--prepare`` still has the head around it.

    Args:
        files: Its files by kind, see ``Naming.files``.

    Raises:
        ValueError: If a volume cannot be used; it is named.
        OSError: If a file is missing.
    """
    info = json.loads(files["info"].read_text(encoding="utf-8"))
    scan = Volume.load(Path(info["scan"][0]))
    kinds = ("anomaly", "twin", "mask", "seen", "pvalue")
    maps = {
        kind: torch.from_numpy(Volume.load(files[kind], allow_constant=True).data)[None]
        for kind in kinds
        if kind != "pvalue" or files[kind].is_file()
    }
    return AnomalyOutput(
        maps["anomaly"],
        maps["twin"],
        maps["mask"] > 0,
        torch.tensor([info["image_score"]]),
        info,
        torch.from_numpy(scan.data)[None],
        maps["seen"] > 0,
        scan,
        p_value=maps.get("pvalue"),
    )


def read_result(folder: Path, name: str, scan: Path) -> AnomalyOutput:
    """Read the maps of one scan, for example to draw or score them.

    Args:
        folder: Folder that ``diffad predict`` wrote.
        name: First part of the names of the files.
        scan: The scan they belong to, skull-stripped.

    Raises:
        ValueError: If a volume cannot be used.
        OSError: If the information file is missing.
    """
    info = json.loads((folder / f"{name}_info.json").read_text(encoding="utf-8"))
    source = read_source(scan)
    files = (folder / f"{name}_{kind}.nii.gz" for kind in ("anomaly", "twin", "mask"))
    maps = (Volume.load(file, allow_constant=True).data for file in files)
    anomaly, reconstruction, mask = (torch.from_numpy(data)[None] for data in maps)
    score = torch.tensor([info["image_score"]])
    scan_parts = (source.image, source.brain, source.volume)
    return AnomalyOutput(anomaly, reconstruction, mask > 0, score, info, *scan_parts)
