"""What a pipeline returns, and how it is written to disk."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from diffusers.utils import BaseOutput
from torch import Tensor

from diffad.data.volume import Volume

if TYPE_CHECKING:
    from diffad.lesions import Lesion


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
        p_value: Conformal p-values by scan, (B, 1, *S), 1 where nothing was looked at; none where the model
            keeps no calibration for these parts. See ``Survival.p_values``.
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

    def save(self, folder: str | Path, name: str | None = None) -> dict[str, Path]:
        """Write the maps next to what made them.

        A volume becomes ``NAME_anomaly.nii.gz``, ``NAME_mask.nii.gz``, ``NAME_twin.nii.gz`` and, where there
        are any, ``NAME_std.nii.gz`` (spread of several twins) and ``NAME_pvalue.nii.gz`` (of a calibrated
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
        stem = name or scan_name(self.volume.path if self.volume else None)
        files = self._save_volume(folder, stem) if self.volume else self._save_tensors(folder, stem)
        files["info"] = folder / f"{stem}_info.json"
        write_text(files["info"], json.dumps(self.info, indent=1))
        return files

    def lesions(self, connectivity: int = 26, smallest_ml: float = 0.0) -> list[Lesion]:
        """List the connected components of the detections; see ``diffad.lesions.lesions``."""
        from diffad.lesions import lesions

        return lesions(self, connectivity, smallest_ml)

    def to_nifti(self) -> dict[str, nib.Nifti1Image]:
        """Return the maps as NIfTI images in memory, as ``save`` writes them, by kind.

        Raises:
            ValueError: If this is the result of a tensor, which lies nowhere.
        """
        if self.volume is None:
            raise ValueError("expected the result of a volume, got that of a tensor, which has no affine")
        types = {kind: np.uint8 if kind == "mask" else np.float32 for kind in self._kinds()}
        return {kind: self.volume.to_nifti(v[0], types[kind]) for kind, v in self._kinds().items()}

    def _repr_png_(self) -> bytes | None:
        from diffad.notebook import png

        return png(self)

    def _repr_html_(self) -> str:
        from diffad.notebook import html

        return html(self)

    def _kinds(self) -> dict[str, Tensor]:
        kinds = {"anomaly": self.anomaly_map, "mask": self.mask, "twin": self.reconstruction}
        optional = {"std": self.std, "pvalue": self.p_value}
        return kinds | {kind: values for kind, values in optional.items() if values is not None}

    def _save_volume(self, folder: Path, stem: str) -> dict[str, Path]:
        assert self.volume is not None
        kinds = self._kinds()
        files = {kind: folder / f"{stem}_{kind}.nii.gz" for kind in kinds}
        for kind, values in kinds.items():
            self.volume.save(values[0], files[kind], dtype=np.uint8 if kind == "mask" else np.float32)
        return files

    def _save_tensors(self, folder: Path, stem: str) -> dict[str, Path]:
        from safetensors.torch import save

        maps = self._kinds()
        path = folder / f"{stem}_maps.safetensors"
        write_bytes(path, save({k: v.contiguous() for k, v in maps.items()}))
        return {"maps": path}


def scan_name(path: Path | None) -> str:
    """Return the name of a scan without its suffixes."""
    return path.name.removesuffix(".gz").removesuffix(".nii") if path else "scan"


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: If it cannot be written; the file is named.
    """
    partial = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
