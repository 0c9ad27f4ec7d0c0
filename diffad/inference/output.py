"""What a pipeline returns, and how it is written to disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from diffusers.utils import BaseOutput
from torch import Tensor

from diffad.data.atlas.template_map import TemplateMap
from diffad.data.volume import Volume
from diffad.inference.lesions import Lesion, find_lesions
from diffad.inference.output_facts import format_output
from diffad.io.atomic import write_bytes, write_text
from diffad.io.nifti import stem
from diffad.registry import VIEWS

DTYPES = {"mask": np.uint8, "seen": np.uint8, "unseen": np.uint8}
"""Types on disk of what is no map or image."""


@dataclass
class AnomalyOutput(BaseOutput):
    """Maps on the grid of the scan: of a volume (1, C, I, J, K) in RAS, of a tensor as it was given.

    Args:
        anomaly_map: Anomaly map, (B, 1, *S); higher is less healthy, 0 outside the brain.
        reconstruction: Pseudo-healthy twin in the scan's intensities, (B, C, *S).
        mask: Detections above the threshold, (B, 1, *S), bool.
        score: One score for each item, (B,).
        info: What made it: config, seed, versions, threshold, network evaluations, seconds.
        image: The scan, (B, C, *S).
        brain: Brain mask that was used, (B, 1, *S), bool.
        volume: The volume the maps belong to, or none for a tensor.
        std: Standard deviation of several twins in the scan's intensities, (B, C, *S); none of a single one.
        p_value: Conformal p-values by scan, (B, 1, *S), 1 where nothing was analysed; none where the model
            keeps no calibration for these parts. See ``Survival.p_values``.
        analysed: Part of the brain that the model looked at, (B, 1, *S), bool; by default all of it.
    """

    anomaly_map: Tensor
    reconstruction: Tensor
    mask: Tensor
    score: Tensor
    info: dict[str, Any]
    image: Tensor
    brain: Tensor
    volume: Volume | None = None
    std: Tensor | None = None
    p_value: Tensor | None = None
    analysed: Tensor = None  # type: ignore[assignment]  # filled below

    def __post_init__(self) -> None:
        if self.analysed is None:
            self.analysed = self.brain
        super().__post_init__()

    @property
    def name(self) -> str:
        """Name of the scan without its suffixes; "scan" where it came from no file."""
        path = self.volume.path if self.volume else None
        return stem(path) if path else "scan"

    @property
    def unseen_mask(self) -> Tensor:
        """Part of the brain that was not analysed, (B, 1, *S), bool."""
        return self.brain.bool() & ~self.analysed.bool()

    def save(self, folder: str | Path, name: str | None = None) -> dict[str, Path]:
        """Write the maps next to what made them.

        A volume becomes ``NAME_anomaly.nii.gz``, ``NAME_mask.nii.gz``, ``NAME_twin.nii.gz`` (the
        reconstruction), ``NAME_seen.nii.gz`` (the analysed part of the brain) and, where there are any,
        ``NAME_unseen.nii.gz`` (the part of the brain that was not analysed), ``NAME_std.nii.gz`` (spread of
        several reconstructions) and ``NAME_pvalue.nii.gz`` (of a calibrated
        model), in the scan's own shape, orientation and affine. A tensor becomes
        ``NAME_maps.safetensors``. Both get ``NAME_info.json``.

        Args:
            folder: Where to write; made if absent.
            name: First part of the file names; the scan's own name by default.

        Returns:
            The written files by kind.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        prefix = name or self.name
        files = self._save_volume(folder, prefix) if self.volume else self._save_tensors(folder, prefix)
        files["info"] = folder / f"{prefix}_info.json"
        write_text(files["info"], json.dumps(self.info, indent=1))
        return files

    def lesions(self, connectivity: int = 26, smallest_ml: float = 0.0) -> list[Lesion]:
        """List the connected components of the detections, with the names of their places.

        See ``diffad.inference.lesions``; names follow from the way to the template that ``info`` has.

        Raises:
            ValueError: If this is the result of a tensor, or the connectivity is unknown.
        """
        if self.volume is None:
            raise ValueError(
                "expected the result of a volume, whose voxels lie somewhere; got that of a tensor"
            )
        p_value = None if self.p_value is None else self.p_value[0, 0].numpy()
        arrays = (self.mask[0, 0].numpy(), self.anomaly_map[0, 0].numpy(), self.volume, p_value)
        options: dict[str, Any] = {"connectivity": connectivity, "smallest_ml": smallest_ml}
        return find_lesions(*arrays, **options, to_template=TemplateMap.from_info(self.info))

    def to_nifti(self) -> dict[str, nib.Nifti1Image]:
        """Return the maps as NIfTI images in memory, as ``save`` writes them, by kind.

        Raises:
            ValueError: If this is the result of a tensor, which lies nowhere.
        """
        if self.volume is None:
            raise ValueError("expected the result of a volume, got that of a tensor, which has no affine")
        kinds = self.get_kinds()
        return {kind: self.volume.to_nifti(v[0], DTYPES.get(kind, np.float32)) for kind, v in kinds.items()}

    def plot(self) -> Any:
        """Draw scan, reconstruction, map and detections, as in the report.

        Returns:
            A matplotlib figure, which notebooks show and ``savefig`` writes.

        Raises:
            ValueError: If it cannot be drawn.
        """
        return VIEWS["figure"](self)

    def show(self) -> Any:
        """Return what a notebook shows at the end of a cell, and open a window where matplotlib can.

        Returns:
            Of a volume a viewer to scroll in, where ipyniivue is installed; else the figure of ``plot``.

        Raises:
            ValueError: If it cannot be drawn.
        """
        return VIEWS["viewer"](self)

    def __repr__(self) -> str:
        return format_output(self, f"{type(self).__name__} of {self.name}")

    def _repr_png_(self) -> bytes | None:
        picture: bytes | None = VIEWS["png"](self)
        return picture

    def _repr_html_(self) -> str:
        page: str = VIEWS["html"](self)
        return page

    def get_kinds(self) -> dict[str, Tensor]:
        """Return the images that are written, by kind, each (B, C, *S) or (B, 1, *S)."""
        kinds = {"anomaly": self.anomaly_map, "mask": self.mask, "twin": self.reconstruction}
        optional = {"std": self.std, "pvalue": self.p_value}
        kinds |= {kind: values for kind, values in optional.items() if values is not None}
        kinds |= {"seen": self.analysed}
        rest = self.unseen_mask
        return kinds | ({"unseen": rest} if self.volume is not None and rest.any() else {})

    def _save_volume(self, folder: Path, prefix: str) -> dict[str, Path]:
        assert self.volume is not None
        kinds = self.get_kinds()
        files = {kind: folder / f"{prefix}_{kind}.nii.gz" for kind in kinds}
        for kind, values in kinds.items():
            self.volume.save(values[0], files[kind], dtype=DTYPES.get(kind, np.float32))
        return files

    def _save_tensors(self, folder: Path, prefix: str) -> dict[str, Path]:
        from safetensors.torch import save

        path = folder / f"{prefix}_maps.safetensors"
        write_bytes(path, save({k: v.contiguous() for k, v in self.get_kinds().items()}))
        return {"maps": path}
