"""What was painted, as files: the scan, where it may change, where it did, a picture and a record."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from diffad.data.image_file import SUFFIXES
from diffad.data.volume import Array
from diffad.fill.result import FilledScan
from diffad.fill.voxels import write_filled
from diffad.io.atomic import write_bytes, write_text
from diffad.io.digests import describe_file
from diffad.io.version import __version__
from diffad.synthesise.picture import draw_synthesis
from diffad.synthesise.result import SynthesisedScan

SCANS, LESIONS, REGIONS = "scans", "lesions", "regions"
"""Folders of painted scans with brain masks, of labels, and of where scans were allowed to change."""
RECORD = "_synthesis.json"
"""How the record of a scan ends."""


def name_record(out: Path, name: str) -> Path:
    """Return the file that says how a scan was painted."""
    return out / f"{name}{RECORD}"


def write_synthesis(result: SynthesisedScan, out: Path, name: str) -> list[Path]:
    """Write a scan as PNG where it is a single slice, else as NIfTI on its own grid; the record comes last.

    Args:
        result: The scan.
        out: Folder, which is there.
        name: How the names of the files begin.

    Returns:
        The files.

    Raises:
        OSError: If one cannot be written.
    """
    record = name_record(out, name)
    record.unlink(missing_ok=True)  # one that is stopped on its way is none
    for folder in (SCANS, LESIONS, REGIONS):
        (out / folder).mkdir(exist_ok=True)
    is_flat = result.scan.path is not None and result.scan.path.name.lower().endswith(SUFFIXES)
    end = ".png" if is_flat else ".nii.gz"
    image = out / SCANS / f"{name}{end}"
    masks = {
        out / SCANS / f"{name}_brain_mask{end}": result.region.brain,
        out / LESIONS / f"{name}_lesion{end}": result.label,
        out / REGIONS / f"{name}_region{end}": result.region.fill_mask,
    }
    (_write_pictures if is_flat else _write_volumes)(result, image, masks)
    picture = out / f"{name}_synthesis.png"
    write_bytes(picture, draw_synthesis(result, name))
    outputs = [image, *masks, picture]
    facts = result.info | {"scan": result.scan.name, "diffad": __version__}
    facts["outputs"] = {path.relative_to(out).as_posix(): describe_file(path) for path in outputs}
    write_text(record, json.dumps(facts, indent=2) + "\n")
    return [*outputs, record]


def _write_volumes(result: SynthesisedScan, image: Path, masks: Mapping[Path, Array]) -> None:
    write_filled(FilledScan(result.scan, result.image, result.region), image)
    for path, mask in masks.items():
        result.scan.save(mask, path, np.uint8)


def _write_pictures(result: SynthesisedScan, image: Path, masks: Mapping[Path, Array]) -> None:
    write_bytes(image, encode_slice(result.image))
    for path, mask in masks.items():
        write_bytes(path, encode_slice(mask.astype(np.float32)))


def encode_slice(values: Array) -> bytes:
    """Encode a volume of one slice (W, H, 1) with values in [0, 1] as an upright PNG.

    It has 16 bits where 8 do not hold what most of its pixels were read as.
    """
    upright = np.clip(values[..., 0].T[::-1], 0, 1).astype(np.float64)
    is_narrow = float((np.abs(upright * 255 - np.rint(upright * 255)) < 1e-3).mean()) > 0.5
    white, kind = (255, np.uint8) if is_narrow else (65535, np.uint16)
    pixels = np.rint(upright * white).astype(kind)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="png")
    return content.getvalue()
