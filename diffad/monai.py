"""diffad in a MONAI pipeline: a dictionary transform, and an inferer."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform
from nibabel import orientations
from torch import Tensor

from diffad.data.volume import RAS, Volume
from diffad.inference.output import AnomalyOutput
from diffad.pipeline import AnomalyPipeline

KINDS = ("anomaly", "mask", "twin")


class AnomalyDetectiond(MapTransform):
    """Adds the anomaly map, the detections and the pseudo-healthy twin of an image to a dictionary.

    For the key ``image`` it adds ``image_anomaly``, ``image_mask`` and ``image_twin``, (1 or C, H, W, D), on
    the very grid and with the affine of the image, whatever its orientation, ``image_score``, and
    ``image_warnings``, what a reader should know of them.

    Args:
        keys: Images, (C, H, W, D) with an affine, as ``LoadImaged(ensure_channel_first=True)`` gives them.
        pipeline: What finds anomalies.
        mask_key: Brain mask on the same grid, (1, H, W, D); none takes the non-zero voxels.
        allow_missing_keys: Leave out keys that are not there.
        options: More arguments of the pipeline's call, as ``sampler`` or ``seed``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        pipeline: AnomalyPipeline,
        mask_key: str | None = None,
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.pipeline, self.mask_key, self.options = pipeline, mask_key, options

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Find anomalies in the images of a dictionary, which is left as it is.

        Raises:
            ValueError: If an image is no volume, or cannot be used.
        """
        results = dict(data)
        for key in self.key_iterator(results):
            image = results[key]
            mask = results[self.mask_key] if self.mask_key else None
            out, turn = detect_image(self.pipeline, image, mask, **self.options)
            maps = {"anomaly": out.anomaly_map, "mask": out.mask.float(), "twin": out.reconstruction}
            results |= {f"{key}_{kind}": copy_geometry(turn(value[0]), image) for kind, value in maps.items()}
            results |= {f"{key}_score": float(out.score[0]), f"{key}_warnings": out.info["warnings"]}
        return results


class AnomalyInferer(Inferer):
    """Returns anomaly maps (B, 1, H, W[, D]) of a batch, in the place of a network's answer.

    Args:
        pipeline: What finds anomalies.
        options: More arguments of the pipeline's call.
    """

    def __init__(self, pipeline: AnomalyPipeline, **options: Any) -> None:
        super().__init__()
        self.pipeline, self.options = pipeline, options

    def __call__(self, inputs: Tensor, network: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        """Find anomalies in images (B, C, H, W) in [0, 1], or in volumes (B, C, H, W, D) of any intensity.

        ``network`` is not asked: the pipeline brings its own.
        """
        if inputs.ndim == 4:
            plain = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
            return self.pipeline(plain, **self.options).anomaly_map
        maps = []
        for image in inputs:
            out, turn = detect_image(self.pipeline, image, None, **self.options)
            for warning in out.info["warnings"]:
                warnings.warn(warning, stacklevel=2)
            maps.append(turn(out.anomaly_map[0]))
        return torch.stack(maps)


def detect_image(
    pipeline: AnomalyPipeline, image: Tensor, mask: Tensor | None, **options: Any
) -> tuple[AnomalyOutput, Any]:
    """Look at an image (C, H, W, D), and return the result with what turns its maps to the image's axes.

    Raises:
        ValueError: If the image has not four axes.
    """
    if image.ndim != 4:
        raise ValueError(f"expected an image (C, H, W, D), got shape {tuple(image.shape)}")
    affine = np.asarray(image.affine.cpu()) if isinstance(image, MetaTensor) else np.eye(4)
    orientation = orientations.io_orientation(affine)
    spatial = affine @ orientations.inv_ornt_aff(orientation, tuple(image.shape[1:]))
    volume = Volume(_reorient(_to_array(image), orientation), spatial)
    brain = None if mask is None else _reorient(_to_array(mask), orientation)[0]

    def turn(values: Tensor) -> Tensor:
        way = orientations.ornt_transform(RAS, orientation)
        return torch.from_numpy(_reorient(values.cpu().numpy(), way))

    return pipeline(volume, brain, **options), turn


def copy_geometry(values: Tensor, image: Tensor) -> Tensor:
    """Give values the affine and the header of an image."""
    if not isinstance(image, MetaTensor):
        return values
    meta = {key: value for key, value in image.meta.items() if key != "affine"}
    return MetaTensor(values, affine=image.affine.clone(), meta=meta)


def _to_array(image: Tensor) -> np.ndarray[Any, Any]:
    tensor = image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)
    return tensor.detach().float().cpu().numpy()


def _reorient(values: np.ndarray[Any, Any], way: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn the spatial axes of (C, H, W, D)."""
    return np.stack([np.ascontiguousarray(orientations.apply_orientation(v, way)) for v in values])
