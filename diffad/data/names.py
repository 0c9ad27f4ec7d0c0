"""What the name of a volume says: the subject, the sequence, and where the mask lies."""

from __future__ import annotations

import re
from pathlib import Path

from diffad.data.items import DataError
from diffad.io.beside import find_mask_by_pattern
from diffad.io.nifti import stem


def infer_subject_below(path: Path, root: Path) -> str | None:
    """Return the subject of a volume: its BIDS ``sub-`` entity, else the outermost folder below ``root``.

    Everything in that folder counts as one subject, visits too, so that no subject can get into two splits.

    Args:
        path: The volume.
        root: Folder of the data set.

    Returns:
        The subject; none for a file in ``root`` itself.
    """
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    for part in reversed(parts):
        if match := re.match(r"sub-[A-Za-z0-9]+", part):
            return match.group()
    return parts[0] if path.is_relative_to(root) and len(parts) > 1 else None


def parse_visit(path: Path) -> tuple[str, ...]:
    """Return the BIDS session and run of a volume, where its name has them."""
    return tuple(re.findall(r"(?:ses|run)-[A-Za-z0-9]+", path.name))


def strip_sequence(path: Path, sequence: str) -> str | None:
    """Return the name of a file without its sequence; none if it is another sequence.

    Args:
        path: The volume.
        sequence: Last word of the name ("t1" fits a_t1.nii.gz and t1.nii, not a_t1c.nii), or a pattern of the
            whole name in which ``*`` stands for anything ("*_t1_head.nii.gz").
    """
    if "*" in sequence:
        match = re.fullmatch(re.escape(sequence).replace(r"\*", "(.*)"), path.name, re.IGNORECASE | re.DOTALL)
    else:
        match = re.fullmatch(
            rf"(?:(.*)[^A-Za-z0-9])?{re.escape(sequence)}", stem(path), re.IGNORECASE | re.DOTALL
        )
    return (match.group(1) or "") if match else None


def is_mask(path: Path, pattern: str) -> bool:
    """Tell whether a file is named like a mask."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), path.name, re.DOTALL) is not None


def find_volume_mask(path: Path, pattern: str) -> Path | None:
    """Find the brain mask in the folder of a volume; none if it is not there.

    Args:
        path: The volume.
        pattern: Name of the mask, see ``find_mask_by_pattern``.

    Raises:
        DataError: If the pattern has more than one ``*``, or names do not tell which mask is meant.
    """
    if pattern.count("*") > 1:
        raise DataError(f"expected a mask name with at most one '*', got {pattern!r}")
    try:
        return find_mask_by_pattern(path, pattern)
    except ValueError as error:
        raise DataError(str(error)) from error
