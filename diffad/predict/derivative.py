"""What a BIDS derivative says of the files of one scan: sidecars, and its detections as a segmentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from diffad.inference.lesion_labels import describe_columns, format_lookup_table, paint_numbers
from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_text
from diffad.io.bids_naming import SIDECAR, SIDECAR_KINDS
from diffad.io.naming import Naming
from diffad.io.spaces import CARRIED_SUFFIXES, TEMPLATE_URL, TRANSFORM, TRANSFORM_KEY
from diffad.predict.dataset import format_uri

DESCRIPTIONS = {
    "anomaly": "Anomaly map: how far the scan differs from its pseudo-healthy reconstruction; higher is less "
    "healthy. Not a probability.",
    "mask": "Detections: voxels of the anomaly map above the threshold. No person has judged them.",
    "labels": "Detections, numbered by connected component, the highest peak first. Nobody has judged them.",
    "scan": "The scan.",
    "twin": "Pseudo-healthy reconstruction of the scan by a diffusion model, in the intensities of the scan.",
    "seen": "Part of the brain that was analysed.",
    "unseen": "Part of the brain that was not analysed; nothing is known of it.",
    "std": "Standard deviation of several reconstructions, in the intensities of the scan.",
    "pvalue": "Conformal p-value of each voxel among healthy scans, not corrected for the number of "
    "voxels; 1 where nothing was analysed.",
}
"""What each kind of file is."""
FROM_MAP = ("mask", "labels", "pvalue")
"""Kinds that follow from the anomaly map; all others from the scan."""
MASKS = ("mask", "seen", "unseen")


def describe_scan_files(
    output: AnomalyOutput, lesions: list[Lesion], naming: Naming, out: Path, folder: Path
) -> dict[str, Path]:
    """Write what BIDS wants beside the maps of a scan, into a scratch folder.

    Args:
        output: What was found; its ``info`` gets the keys of a sidecar.
        lesions: Its detections.
        naming: What its files are called.
        out: Folder of all results.
        folder: Scratch folder, which holds the files as they are called in a plain folder.

    Returns:
        The written files by kind.

    Raises:
        OSError: If a file cannot be written.
    """
    images, sources = _list_images(output), _find_sources(output.info, out)
    about = {kind: _describe_image(kind, images[kind], output, sources, naming) for kind in images}
    output.info |= about["anomaly"]
    files = {
        f"{kind}{SIDECAR}": folder / f"{naming.name}_{kind}.json" for kind in SIDECAR_KINDS if kind in images
    }
    for kind, path in files.items():
        write_text(path, json.dumps(about[kind.removesuffix(SIDECAR)], indent=1))
    return files | _write_detections(output, lesions, about["labels"], folder, naming.name)


def _list_images(output: AnomalyOutput) -> dict[str, Tensor]:
    images = {"anomaly": output.anomaly_map, "mask": output.mask, "labels": output.mask}
    images |= {"twin": output.reconstruction, "seen": output.analysed}
    optional = {"std": output.std, "pvalue": output.p_value}
    optional["unseen"] = output.unseen_mask if output.unseen_mask.any() else None
    return images | {kind: image for kind, image in optional.items() if image is not None}


def _find_sources(info: Mapping[str, Any], out: Path) -> dict[str, list[str]]:
    """Return BIDS URIs of the scans, and of all files that the maps were made of."""
    scans = [format_uri(Path(path), out) for path in info.get("scan", [])]
    masks = [format_uri(Path(path), out) for path in [info.get("brain_mask")] if path]
    return {"scan": scans, "all": [*scans, *masks]}


def _describe_image(
    kind: str, image: Tensor, output: AnomalyOutput, sources: Mapping[str, list[str]], naming: Naming
) -> dict[str, Any]:
    from_map = [_format_own_uri(naming, "anomaly")]
    about: dict[str, Any] = {
        "Description": DESCRIPTIONS[kind],
        "Sources": from_map if kind in FROM_MAP else sources["all"],
        "SpatialReference": (sources["scan"] or ["orig"])[0],
    }
    if kind in MASKS:
        return about | {"Type": "ROI"}
    has_no_skull = not bool((image != 0).logical_and(~output.brain.bool()).any())
    return about | ({} if kind == "labels" else {"SkullStripped": has_no_skull})


def describe_carried_files(
    files: Mapping[str, Path], output: AnomalyOutput, naming: Naming, out: Path
) -> dict[str, Path]:
    """Write a sidecar of each image in the space of the template, beside it.

    Args:
        files: The images by kind, as ``template_mask``, and the transform.
        output: The result on the scan's own grid.
        naming: What its files are called.
        out: Folder of all results.

    Returns:
        The written files by kind.

    Raises:
        OSError: If a file cannot be written.
    """
    scans = _find_sources(output.info, out)["scan"]
    has_no_skull = not bool((output.image != 0).logical_and(~output.brain.bool()).any())
    sidecars = dict[str, Path]()
    for kind in (kind for kind in files if kind in CARRIED_SUFFIXES):
        native_kind = kind.removeprefix("template_")
        about: dict[str, Any] = {
            "Description": f"{DESCRIPTIONS[native_kind]} In the space of the template, by an affine map.",
            "Sources": scans if native_kind == "scan" else [_format_own_uri(naming, native_kind)],
            TRANSFORM_KEY: _format_own_uri(naming, TRANSFORM),
            "SpatialReference": TEMPLATE_URL,
        }
        about |= {"Type": "ROI"} if native_kind in MASKS else {"SkullStripped": has_no_skull}
        sidecars[f"{kind}{SIDECAR}"] = path = files[kind].with_name(f"{naming.name}_{kind}.json")
        write_text(path, json.dumps(about, indent=1))
    return sidecars


def _format_own_uri(naming: Naming, kind: str) -> str:
    return f"bids::{naming.path(kind).as_posix()}"


def _write_detections(
    output: AnomalyOutput, lesions: list[Lesion], about: Mapping[str, Any], folder: Path, name: str
) -> dict[str, Path]:
    """Write the numbers of the detections, and their table with its sidecar, which holds them, too."""
    assert output.volume is not None
    ends = {"labels": "labels.nii.gz", "lesions_csv": "lesions.csv", "lesions_json": "lesions.json"}
    files = {kind: folder / f"{name}_{end}" for kind, end in ends.items()}
    numbers = paint_numbers(lesions, output.mask[0, 0].bool().numpy(), output.volume)
    output.volume.save(numbers, files["labels"], dtype=numbers.dtype)
    write_lookup_table(lesions, about, files)
    return files


def write_lookup_table(lesions: list[Lesion], about: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Write the table of the detections, and its sidecar.

    Args:
        lesions: The detections.
        about: What the sidecar says of the volume of numbers.
        files: Where both go, as ``lesions_csv`` and ``lesions_json``.

    Raises:
        OSError: If a file cannot be written.
    """
    write_text(files["lesions_csv"], format_lookup_table(lesions))
    record = json.loads(files["lesions_json"].read_text(encoding="utf-8"))
    write_text(files["lesions_json"], json.dumps({**about, **describe_columns(), **record}, indent=1))
