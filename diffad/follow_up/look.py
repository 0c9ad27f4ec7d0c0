"""Visits looked at as ``diffad predict`` does, unless that was done before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from diffad.follow_up.options import FollowUpOptions
from diffad.follow_up.visit import FollowUpVisit, read_visit
from diffad.io.nifti import stem
from diffad.predict import Inputs, predict_scans


def look_at_visit(options: FollowUpOptions, index: int) -> FollowUpVisit:
    """Look at a visit, unless that was done before, and read its results.

    Args:
        options: Both visits, and how they are looked at.
        index: 0 for the first visit, 1 for the second.

    Raises:
        ValueError: If it cannot be used; its file is named.
        OSError: If it is not there, or its results cannot be written.
    """
    path, folder = options.paths[index], options.out / f"visit-{index + 1}"
    if not path.is_file():
        finding = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(
            f"{path}: expected the file of the scan of visit {index + 1}, found {finding}"
        )
    predict_visits(options, [path], folder, f"visit {index + 1}")
    return read_visit(path, folder, stem(path), options.predict.reading, index + 1)


def predict_visits(
    options: FollowUpOptions, paths: list[Path], folder: Path, what: str, **changes: Any
) -> None:
    """Run predict over some scans.

    Args:
        options: How they are looked at.
        paths: The scans.
        folder: Folder of their results.
        what: What messages call them.
        changes: Inputs that differ from those of the visits.

    Raises:
        ValueError: If a scan has no finished results afterwards.
    """
    inputs = Inputs(
        paths,
        options.model,
        folder,
        options.mask,
        device=options.device,
        overwrite=options.overwrite,
        layout="plain",
        page=options.page,
        prepare=options.prepare,
        verify=options.verify,
    )
    summary = predict_scans(replace(inputs, **changes), options.predict)
    names = ", ".join(path.name for path in paths)
    if reasons := [*summary.failed.values(), *summary.absent.values()]:
        raise ValueError(f"{what}: {reasons[0]}")
    if summary.other:
        finding = f"results in {folder} that were made with other options; --overwrite makes them anew"
        raise ValueError(f"{what}: expected results of {names}, found {finding}")
    if summary.busy:
        raise ValueError(f"{what}: expected results of {names}, found another program at work on it")
