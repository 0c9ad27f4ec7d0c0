"""A prepared scan, and the way back to its native grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from diffad.data.atlas.template_map import SHAPED, TemplateMap
from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume
from diffad.inference.output import AnomalyOutput
from diffad.prepare.fragments import drop_crumbs
from diffad.prepare.geometry import map_voxels, resample
from diffad.prepare.read import get_grid

ImageKind = Literal["map", "mask", "image", "labels"]
DTYPES = {"mask": bool, "labels": np.int32}
"""Kinds of images of which the nearest voxel is taken."""


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan that is ready for a model.

    Args:
        volume: Sequences on the prepared grid, (C, I, J, K), 0 outside the brain.
        brain: Brain mask on the prepared grid, (I, J, K), bool.
        native: The scan before it was prepared, sequences on the grid of the reference, (C, I, J, K).
        native_brain: Brain mask on the native grid, (I, J, K), bool.
        to_native: Prepared world to native world, (4, 4), RAS in mm.
        record: All steps with their options, versions, seconds and quality; and the warnings.
        bias: Bias fields, by which the scan was divided, (C, I, J, K) on the native grid; or none.
        threads: Number of threads for the way back; 0 for all cores.
    """

    volume: Volume
    brain: Array
    native: Volume
    native_brain: Array
    to_native: Array
    record: dict[str, Any]
    bias: Array | None = None
    threads: int = 0

    def back(self, image: Array | Tensor, *, kind: ImageKind = "map", fill: float = 0.0) -> Array:
        """Bring a map, mask or image from the prepared grid back to the native one.

        Args:
            image: Map, mask or image on the prepared grid, (I, J, K), or several as (..., I, J, K).
            kind: "map" and "image" are interpolated linearly; of a "mask" and of "labels" the nearest voxel
                is taken.
            fill: Value beyond the prepared grid.

        Returns:
            The same on the native grid in RAS: float32, bool for a mask, int32 for labels.

        Raises:
            ValueError: If it does not lie on the prepared grid, or the kind is unknown.
        """
        array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
        new, old = get_grid(self.volume), get_grid(self.native)
        if array.shape[-3:] != new.shape:
            raise ValueError(f"expected an image on the prepared grid {new.shape}, got {array.shape}")
        if kind not in get_args(ImageKind):
            raise ValueError(f"kind: expected map, mask, image or labels, got {kind!r}")
        matrix = map_voxels(old, new, np.linalg.inv(self.to_native))
        options: dict[str, Any] = {"nearest": kind in DTYPES, "fill": fill, "threads": self.threads}
        images = [resample(x, matrix, old.shape, **options) for x in array.reshape(-1, *new.shape)]
        native_image = np.stack(images).reshape(*array.shape[:-3], *old.shape)
        return native_image.round().astype(DTYPES[kind]) if kind in DTYPES else native_image

    def output(self, out: AnomalyOutput) -> AnomalyOutput:
        r"""Bring a whole result back to the native grid.

        Maps are interpolated linearly and cut to the analysed part of the native brain. Of the mask the
        nearest voxel is taken: the mask holds the clean-up of the prepared grid (opening, smallest size),
        which a threshold on the native map would undo, and interpolating would lose its smallest lesions;
        crumbs that detections leave on thick slices are dropped, see ``drop_crumbs``.
        What the model changed is added to the native scan, multiplied by the bias field :math:`f`:

        .. math:: \hat y = y + f \cdot back(\hat x - x)

        so that the reconstruction is the scan itself, unblurred, wherever nothing was changed.

        Args:
            out: Result for ``volume``, (1, C, I, J, K).

        Returns:
            The same on the grid of ``native``; ``info`` has the record under "prepare".
        """
        brain = torch.from_numpy(self.native_brain)[None, None]
        analysed_mask = torch.from_numpy(self.back(out.analysed.float(), kind="mask")) & brain
        scan = torch.from_numpy(self.native.data)[None]
        change = self._change_back(out.reconstruction - torch.from_numpy(self.volume.data)[None])
        return replace(
            out,
            anomaly_map=self._map_back(out.anomaly_map) * analysed_mask,
            reconstruction=scan + change,
            mask=self._mask_back(out.mask) & analysed_mask,
            info=out.info | {"prepare": self.record} | self._describe_template_map(out.info),
            image=scan,
            brain=brain,
            volume=self.native,
            std=None if out.std is None else self._change_back(out.std),
            p_value=None if out.p_value is None else self._p_value_back(out.p_value, brain),
            analysed=analysed_mask,
        )

    def _describe_template_map(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """Return the way to the template: the registration, or what is known of the prepared scan."""
        from_native = np.linalg.inv(self.to_native)
        if self.record.get("options", {}).get("register") == "affine":
            return TemplateMap(from_native).to_info()
        way = TemplateMap.from_info(info)
        return {} if way is None else TemplateMap(way.matrix @ from_native, SHAPED).to_info()

    def _mask_back(self, mask: Tensor) -> Tensor:
        labels = label_detections(mask[0, 0].cpu().numpy())
        return torch.from_numpy(drop_crumbs(self.back(labels, kind="labels")))[None, None]

    def _map_back(self, image: Tensor, fill: float = 0.0) -> Tensor:
        return torch.from_numpy(self.back(image, kind="map", fill=fill))

    def _p_value_back(self, p_value: Tensor, brain: Tensor) -> Tensor:
        return torch.where(brain, self._map_back(p_value, fill=1.0), torch.ones(()))

    def _change_back(self, image: Tensor) -> Tensor:
        """Bring a change or a spread back, in the units of the native scan, 0 outside its brain."""
        change = self.back(image, kind="image") * self.native_brain
        return torch.from_numpy(change if self.bias is None else change * self.bias[None])
