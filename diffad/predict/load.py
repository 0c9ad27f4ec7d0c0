"""Scans as the scanner left them: made ready in memory, and results brought back to their own grid."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffad.config.reading import ReadOptions
from diffad.data.head import head_warning
from diffad.data.volume import Array, Volume, VolumeError
from diffad.data.volume_file import read_volume_header
from diffad.dicom.read import read_series
from diffad.inference.output import AnomalyOutput
from diffad.io.dicom_files import DicomSource
from diffad.io.stages import run_stage

if TYPE_CHECKING:
    from diffad.prepare import PreparedScan
    from diffad.prepare import PrepareOptions as PrepareOptions

TEMPLATE_VOXELS = 197 * 233 * 189
"""Voxels of the grid of the template."""


class LoadedScan:
    """A scan that a model can look at, and the way back to its own grid, if it was made ready here.

    Args:
        volume: The scan on the grid the model looks at.
        brain: Its brain, (I, J, K), bool.
        warnings: What should be known.
        preparation: The prepared scan with its way back; none for a scan that is looked at as it is.
    """

    def __init__(
        self,
        volume: Volume,
        brain: Array,
        warnings: Sequence[str] = (),
        preparation: PreparedScan | None = None,
    ) -> None:
        self.volume, self.brain, self.warnings, self.preparation = volume, brain, list(warnings), preparation

    def draw_preparation(self) -> bytes | None:
        """Draw how the scan was made ready, as PNG; none where it was taken as it is."""
        if self.preparation is None:
            return None
        from diffad.report.preparation import draw_preparation

        return draw_preparation(self.preparation)

    def back(self, output: AnomalyOutput) -> AnomalyOutput:
        """Bring a result to the grid of the scan as it came."""
        return output if self.preparation is None else self.preparation.output(output)


def load_scan(
    scan: Sequence[Path] | DicomSource,
    mask: Path | None,
    options: PrepareOptions | None,
    region: bool = False,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> LoadedScan:
    """Read a scan; with options make it ready.

    Args:
        scan: One file for each sequence, or the images of a DICOM series.
        mask: Its brain mask on its own grid, or none.
        options: How it is made ready; none takes it as it is, skull-stripped.
        region: Whether a region is given too, which lies on the scan's own grid.
        reading: How its files are read.

    Raises:
        ValueError: If a file cannot be used; it is named.
    """
    from diffad.inference import scan as scans

    if options is None:
        with run_stage("reading"):
            source = scans.read_source(_read_volume(scan, reading), mask)
        assert source.volume is not None
        if mask is None:
            _refuse_head(source.volume, source.brain[0, 0].numpy())
        return LoadedScan(source.volume, source.brain[0, 0].numpy(), source.warnings)
    if region:
        name = scan.label if isinstance(scan, DicomSource) else scan[0]
        raise ValueError(f"{name}: expected no region with --prepare, as it lies on another grid")
    from diffad.prepare import prepare

    native = _read_volume(scan, reading) if isinstance(scan, DicomSource) else list(scan)
    ready = prepare(native, options, mask, reading=reading)
    return LoadedScan(ready.volume, ready.brain, ready.record.get("warnings", []), ready)


def _read_volume(scan: Sequence[Path] | DicomSource, reading: ReadOptions) -> Volume:
    """Read a scan as it is."""
    if isinstance(scan, DicomSource):
        return read_series(scan, reading)
    return Volume.load(scan, options=reading)


def _refuse_head(volume: Volume, brain: Array) -> None:
    """Refuse a head that comes without a mask, as the map of a skull says nothing of a brain."""
    if warning := head_warning(brain, volume.voxel_ml):
        raise VolumeError(f"{volume.name}: expected a brain without its skull, found {warning}")


def count_voxels(scan: Sequence[Path] | DicomSource, prepares: bool) -> int:
    """Return how many voxels a scan has in memory, from its header alone; 0 if that cannot be read.

    Args:
        scan: One file for each sequence, or the images of a DICOM series.
        prepares: Whether it is also held on the grid of the template.
    """
    if isinstance(scan, DicomSource):
        voxels = scan.voxels
        return voxels + (TEMPLATE_VOXELS if prepares else 0)
    try:
        voxels = sum(read_volume_header(path, ReadOptions(max_voxels=sys.maxsize)).voxels for path in scan)
    except Exception:  # reading it will say what is wrong
        return 0
    return voxels + (TEMPLATE_VOXELS * len(scan) if prepares else 0)
