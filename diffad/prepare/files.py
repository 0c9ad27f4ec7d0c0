"""The files of a prepared scan: written whole or not at all, and recognised by a later run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from diffad.config.reading import ReadOptions
from diffad.io.atomic import write_text
from diffad.io.digests import compare_file, describe_file
from diffad.io.scratch import scratch_folder
from diffad.io.text import read_json
from diffad.prepare.geometry import format_itk
from diffad.prepare.options import PrepareOptions
from diffad.prepare.prepared_scan import PreparedScan

ENDS = (".nii.gz", "_brain_mask.nii.gz", "_to_native.txt", "_xfm.tfm", "_prepare.json")
"""Ends of the files of a scan; the last one is there only if all are whole."""


def describe_request(
    paths: list[Path],
    mask: Path | None,
    options: PrepareOptions,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Return what determines a prepared scan: files by name, size and time of change, and options."""
    files = [_identify(path) for path in (*paths, *([mask] if mask else []))]
    values = {key: value for key, value in asdict(options).items() if key != "threads"}
    choices = {"trust": reading.trust, "mask_threshold": reading.mask_threshold}
    return {"files": files, "options": values, **{k: v for k, v in choices.items() if v is not None}}


def _identify(path: Path) -> list[Any]:
    try:
        stat = path.stat()
    except OSError:  # reading the file will raise a better error
        return [str(path.absolute()), None, None]
    return [str(path.absolute()), stat.st_size, stat.st_mtime_ns]


def read_finished(out: Path, name: str) -> dict[str, Any] | None:
    """Read the record of a finished scan; none if there are no files of it.

    Raises:
        FileExistsError: If there are files of that name that no finished run wrote, or that have another size
            than they were written with.
    """
    paths = [out / f"{name}{end}" for end in ENDS if (out / f"{name}{end}").exists()]
    if not paths:
        return None
    try:
        record = read_json(out / f"{name}{ENDS[-1]}")
    except (OSError, ValueError):
        record = None
    if len(paths) == len(ENDS) and isinstance(record, dict) and "request" in record:
        _require_whole(paths, record.get("written"))
        return record
    raise FileExistsError(f"{paths[0]}: expected no such file, found one; as nothing is overwritten, move it")


def _require_whole(paths: list[Path], records: Any) -> None:
    for path, record in zip(paths, records if isinstance(records, list) else (), strict=False):
        if damage := compare_file(path, record):
            raise FileExistsError(f"{path}: {damage}; as nothing is overwritten, move the files of this scan")


def write_prepared(scan: PreparedScan, out: Path, name: str, request: dict[str, Any]) -> dict[str, Path]:
    """Write a prepared scan: all files into a scratch folder first, then to their place, the record last.

    Args:
        scan: The prepared scan.
        out: Folder; made if absent.
        name: First part of the file names.
        request: What determines the scan; see ``describe_request``.

    Returns:
        The written files by their ends.

    Raises:
        FileExistsError: If one of the files is there.
        OSError: If they cannot be written.
    """
    with scratch_folder(out / name) as scratch:
        scan.volume.save(scan.volume.data, scratch / f"{name}{ENDS[0]}")
        scan.volume.save(scan.brain, scratch / f"{name}{ENDS[1]}", dtype=np.uint8)
        rows = [" ".join(f"{value:.12g}" for value in row) for row in scan.to_native]
        write_text(scratch / f"{name}{ENDS[2]}", "\n".join(rows) + "\n")
        write_text(scratch / f"{name}{ENDS[3]}", format_itk(scan.to_native))
        records = [describe_file(scratch / f"{name}{end}") for end in ENDS[:-1]]
        record = scan.record | {"request": request, "written": records}
        write_text(scratch / f"{name}{ENDS[4]}", json.dumps(record, indent=1))
        return {end: _move(scratch / f"{name}{end}", out / f"{name}{end}") for end in ENDS}


def _move(path: Path, target: Path) -> Path:
    if target.exists():
        raise FileExistsError(
            f"{target}: expected no such file, found one; move it, as nothing is overwritten"
        )
    return path.rename(target)
