"""Healthy scans of a user, read with their brains; a head without a mask is none of them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from diffad.data.head import head_warning
from diffad.data.volume import Volume, VolumeError
from diffad.inference.scan import ScanSource, read_source
from diffad.io.subjects import Subject, find_subject_mask
from diffad.predict.options import Options


def read_healthy(subject: Subject, options: Options, mask: str | Path | None = None) -> tuple[Volume, Tensor]:
    """Read a healthy scan and its brain mask (I, J, K).

    Raises:
        ValueError: If it cannot be used, or is a head without a mask.
        OSError: If it cannot be read.
    """
    source = read_healthy_source(subject, options, mask)
    assert source.volume is not None
    return source.volume, source.brain[0, 0]


def read_healthy_source(subject: Subject, options: Options, mask: str | Path | None) -> ScanSource:
    """Read a scan and its brain.

    Raises:
        VolumeError: If it cannot be used, or is a head without a mask, which would shift the thresholds.
    """
    path = find_subject_mask(subject, mask)
    source = read_source(Volume.load(subject.paths, options=options.reading), path)
    assert source.volume is not None
    warning = head_warning(source.brain[0, 0].numpy(), source.volume.voxel_ml)
    if path is None and warning:
        raise VolumeError(f"{source.name}: {warning}")
    return source
