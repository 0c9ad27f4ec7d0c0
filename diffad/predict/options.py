"""Which scans a run is about, and how they are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from diffad.config.choices import (
    AXES,
    EngineName,
    FailurePolicy,
    Fusion,
    NoiseScope,
    Precision,
    ResultLayout,
    Space,
    require,
    require_choice,
)
from diffad.config.reading import MAX_VOXELS, ReadOptions
from diffad.config.schema import PartSpec
from diffad.dicom.choice import check_series_option
from diffad.inference.slice_range import check_slices
from diffad.inference.thresholding import check_threshold_option
from diffad.method import PARTS, Method

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions


@dataclass(frozen=True)
class Options:
    """How scans are looked at; see ``AnomalyPipeline.__call__``.

    Args:
        sampler: Another sampler than the model's own, by name with options; options without a name change
            those of the model's own.
        score: Another score, alike.
        noise: Another noise, alike.
        guidance: Another guidance, alike.
        threshold: A number, "otsu", or none for the model's own.
        slices: "LOW:HIGHmm" in mm of MNI152, "all", first and last (exclusive) slice of the grid that
            is looked at, or none or "auto" for those that the model knows.
        seed: Seed of all noise.
        batch_size: Slices per network evaluation; does not change the result.
        precision: A ``Precision``.
        engine: What runs the denoising network, an ``EngineName``; none for that of the pipeline.
        axes: Axes that slices are cut along, their maps fused; none for the model's own.
        fusion: How the maps of several axes become one, a ``Fusion``; none for the mean.
        noise_across: What shares its noise, "slice" or "scan"; none for a noise of its own for every slice.
        mask_threshold: What of a brain mask lies above it is brain; none takes 0, or .5 of probabilities.
        trust: Which orientation of a file is taken where it has two, "qform" or "sform"; none for sform.
        max_voxels: Most voxels of a file, over all channels; does not change the result.
        strict: Refuse a scan outside what the model knows; does not change the result of another.
        keep_small: Keep detections no larger than those of healthy heads.

    Raises:
        ValueError: If an option cannot be used; it is named.
    """

    sampler: PartSpec | None = None
    score: PartSpec | None = None
    noise: PartSpec | None = None
    guidance: PartSpec | None = None
    threshold: float | str | None = None
    slices: tuple[int, int] | str | None = None
    seed: int = 0
    batch_size: int = 8
    precision: str = "auto"
    engine: str | None = None
    axes: tuple[str, ...] | None = None
    fusion: str | None = None
    noise_across: str | None = None
    mask_threshold: float | None = None
    trust: str | None = None
    max_voxels: int = MAX_VOXELS
    strict: bool = False
    keep_small: bool = False

    def __post_init__(self) -> None:
        for name in PARTS:
            part = getattr(self, name)
            mapping = part is None or isinstance(part, Mapping)
            require(mapping, name, "a mapping of its name and options", part)
        check_threshold_option(self.threshold)
        check_slices(self.slices)
        require(self.seed >= 0, "seed", "a number of at least 0", self.seed)
        require(self.batch_size >= 1, "batch_size", "at least 1 slice", self.batch_size)
        require_choice("precision", self.precision, Precision)
        if self.engine is not None:
            require_choice("engine", self.engine, EngineName)
        if self.axes is not None:
            unique = 0 < len(set(self.axes)) == len(self.axes)
            fits = unique and set(self.axes) <= set(AXES)
            require(fits, "axes", f"some of {', '.join(AXES)}, each once", self.axes)
        if self.fusion is not None:
            require_choice("fusion", self.fusion, Fusion)
        if self.noise_across is not None:
            require_choice("noise_across", self.noise_across, NoiseScope)
        ReadOptions(self.trust, self.max_voxels, self.mask_threshold)

    @property
    def reading(self) -> ReadOptions:
        """How files are read."""
        return ReadOptions(self.trust, self.max_voxels, self.mask_threshold)

    @property
    def method(self) -> Method:
        """The parts that take the place of the model's own."""
        return Method(self.noise, self.sampler, self.score, self.guidance)

    def call(self) -> dict[str, Any]:
        """Return what ``AnomalyPipeline.__call__`` is to be called with for a scan that was read."""
        late = ("axes", "fusion", "noise_across")
        reading = ("trust", "max_voxels", "mask_threshold", "engine")
        values = {k: v for k, v in asdict(self).items() if k not in reading}
        late_flags = () if self.keep_small else ("keep_small",)
        return {k: v for k, v in values.items() if k not in late_flags and (k not in late or v is not None)}

    def to_request(self) -> dict[str, Any]:
        """Return what the maps follow from: all but batches, limits of voxels and refusals."""
        reading = {"trust": self.trust, "mask_threshold": self.mask_threshold}
        reading["engine"] = None if self.engine == "torch" else self.engine  # as results of torch always were
        chosen = {k: v for k, v in reading.items() if v is not None}
        return {k: v for k, v in self.call().items() if k not in ("batch_size", "strict")} | chosen


@dataclass(frozen=True)
class Inputs:
    """Which scans are looked at by which model, and where results go.

    Args:
        sources: NIfTI files, DICOM files, and folders that are searched for them.
        model: Name of a shipped model, a pipeline folder, or a hub id; or "auto" or "auto:PLACE,...", which
            give each scan the model that it suits best, see ``list_candidates``.
        out: Folder of the results; made if absent.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        region: Where reconstructions may differ, or the end of the names of such files; none leaves it open.
        sequences: Ends of the names of a subject's sequences, in the model's order; none for scans alone.
        device: "auto", "cpu", or a GPU such as "cuda".
        overwrite: Redo what is there.
        layout: A ``ResultLayout``.
        page: Write a web page of each scan and of all.
        on_failure: A ``FailurePolicy``, for the exit code.
        prepare: How scans are made ready first; none takes them as they are.
        verify: Compare the content of finished files with what was written, not only their size.
        spaces: Spaces that results are in, each a ``Space``; the scan's own grid is always one.
        keep_prepared: Folder in which prepared scans are kept, to be looked at; none keeps none.
        series: Which series of a DICOM folder, see ``choose_series``; empty for the one that suits best.
        keep_identifiers: Let names hold what identifies the patient of DICOM files.

    Raises:
        ValueError: If a value cannot be used; it is named.
    """

    sources: Sequence[Path]
    model: str
    out: Path
    mask: str | Path | None = None
    region: str | Path | None = None
    sequences: Sequence[str] = ()
    device: str = "auto"
    overwrite: bool = False
    layout: str = "auto"
    page: bool = True
    on_failure: str = "any"
    prepare: PrepareOptions | None = None
    verify: bool = False
    spaces: Sequence[str] = ("native",)
    keep_prepared: Path | None = None
    series: str = ""
    keep_identifiers: bool = False

    def __post_init__(self) -> None:
        for space in self.spaces:
            require_choice("space", space, Space)
        check_series_option(self.series)
        require(len(self.sources) > 0, "sources", "a scan or a folder", self.sources)
        gpu = self.device.startswith("cuda") and torch.cuda.is_available()
        gpu |= self.device == "mps" and torch.backends.mps.is_available()
        usable = gpu or self.device in ("auto", "cpu")
        require(usable, "device", "auto, cpu or a GPU (cuda, mps) that torch can use", self.device)
        require_choice("layout", self.layout, ResultLayout)
        require_choice("on_failure", self.on_failure, FailurePolicy)
