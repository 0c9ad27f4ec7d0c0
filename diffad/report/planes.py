"""The slices of a result that are worth a look, turned the way radiologists hang them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.config.choices import AXES
from diffad.data.masks import load_mask
from diffad.data.slices import axis_index, slice_spacing, to_slices
from diffad.data.volume import Array
from diffad.inference.output import AnomalyOutput

SIDES = (("A", "P"), ("R", "L"), ("R", "L"))
LETTERS = ("x", "y", "z")


@dataclass(frozen=True)
class PictureRow:
    """One row of a picture; all images (H, W).

    Args:
        label: What it is.
        note: A few more words.
        scan: Intensities.
        reconstruction: Pseudo-healthy reconstruction.
        anomaly: Anomaly map.
        detections: Detections, bool.
        brain: Brain mask, bool.
        unseen_mask: Brain that was not analysed, bool; none where all of it was.
        lesion: Ground truth of the lesion, bool; none if unknown.
        others: Lesions this row is not about, bool, or none.
    """

    label: str
    note: str
    scan: Array
    reconstruction: Array
    anomaly: Array
    detections: Array
    brain: Array
    unseen_mask: Array | None = None
    lesion: Array | None = None
    others: Array | None = None


@dataclass(frozen=True)
class Planes:
    """Every plane of a result.

    Slices of volumes have the patient's right (in sagittal ones, the front) on the left of the picture.

    Args:
        images: By the name they have in ``PictureRow``: a volume (1, I, J, K), or planes (N, 1, H, W).
        labels: Label and note of each plane.
        axis: Axis that a volume is cut along; none for planes.
        spacing: Pixel size (row, column) in mm; none if unknown.
        sides: Letters at the left and right edge; none if unknown.
    """

    images: dict[str, Tensor]
    labels: Sequence[tuple[str, str]]
    axis: int | None = None
    spacing: tuple[float, float] | None = None
    sides: tuple[str, str] | None = None

    @classmethod
    def of(cls, out: AnomalyOutput, lesion: Any = None) -> Planes:
        """Cut a result into planes.

        Args:
            out: What the pipeline returned.
            lesion: Ground truth on the axes of the map: (I, J, K), (B, *S) or (B, 1, *S), or a NIfTI path.

        Raises:
            ValueError: If the lesion has another shape than the map.
        """
        images = {
            "scan": out.image[:, :1],
            "reconstruction": out.reconstruction[:, :1],
            "anomaly": out.anomaly_map,
            "detections": out.mask.bool(),
            "brain": out.brain.bool(),
            "unseen_mask": out.unseen_mask,
        }
        if lesion is not None:
            images["lesion"] = fit_lesion(out, lesion)
        return _cut_volume(out, images) if out.volume else _cut_tensor(out, images)

    def cut_row(self, index: int, label: str | None = None, note: str | None = None) -> PictureRow:
        """Return plane ``index`` as a row of a picture, with its own label and note by default."""
        plane_label, plane_note = self.labels[index]
        images = {name: self._cut_image(image, index) for name, image in self.images.items()}
        return PictureRow(
            plane_label if label is None else label, plane_note if note is None else note, **images
        )

    def _cut_image(self, image: Tensor, index: int) -> Array:
        if self.axis is None:
            return image[index, 0].cpu().numpy()
        return orient_plane(image, self.axis, index)

    def choose(self, count: int, threshold: float) -> list[int]:
        """Return up to ``count`` planes, in order: of a volume the worst that are apart, else the first."""
        if self.axis is None:
            return list(range(min(count, len(self.labels))))
        others = [a for a in range(3) if a != self.axis]
        anomaly = self.images["anomaly"][0]
        excess = (anomaly - threshold).clamp(min=0).double().sum(others).cpu().numpy()
        peaks = anomaly.amax(others).cpu().numpy()
        candidates = peaks > 0 if peaks.any() else self.images["brain"][0].sum(others).cpu().numpy() > 0
        # if nothing exceeds the threshold, the highest maps come first
        ranking = [int(k) for k in np.lexsort((peaks, excess))[::-1] if candidates[k]]
        extent = max(ranking) - min(ranking) + 1 if ranking else 0
        return sorted(_choose_apart(ranking, count, gap=extent // 10))


def fit_lesion(out: AnomalyOutput, lesion: Any) -> Tensor:
    """Bring a lesion mask, or the path of one, to the shape (B, 1, *S) of the map.

    Raises:
        ValueError: If it does not fit.
    """
    if isinstance(lesion, str | Path):
        if out.volume is None:
            raise ValueError(
                f"{lesion}: expected the result of a volume for a lesion on disk, got maps of a tensor"
            )
        lesion = load_mask(lesion, out.volume)
    mask, shape = torch.as_tensor(lesion).cpu() > 0, tuple(out.anomaly_map.shape)
    if out.volume and tuple(mask.shape) == shape[2:]:
        mask = mask[None, None]
    elif tuple(mask.shape) == (shape[0], *shape[2:]):
        mask = mask[:, None]
    if tuple(mask.shape) != shape:
        raise ValueError(f"expected a lesion {shape} like the map, got shape {tuple(mask.shape)}")
    return mask


def orient_plane(data: Tensor, axis: str | int, index: int) -> Array:
    """Cut plane ``index`` (H, W) out of a volume (1, I, J, K), as radiologists hang it."""
    plane = data.narrow(1 + axis_index(axis), index, 1)
    return to_slices(plane, axis)[0, 0].flip(1).cpu().numpy()


def _cut_volume(out: AnomalyOutput, images: dict[str, Tensor]) -> Planes:
    assert out.volume is not None
    plane = out.info.get("config", {}).get("space", {}).get("axis", "axial")
    axis = axis_index("axial" if plane == "volume" else plane)
    shape = out.volume.data.shape[1:]
    place = np.append((np.array(shape) - 1) / 2, 1.0)
    labels = []
    for k in range(shape[axis]):
        place[axis] = k
        labels.append((f"{AXES[axis]} {k}", f"{LETTERS[axis]} = {(out.volume.affine @ place)[axis]:+.0f} mm"))
    spacing = slice_spacing(out.volume.spacing.tolist(), axis)
    return Planes({name: image[0] for name, image in images.items()}, labels, axis, spacing, SIDES[axis])


def _cut_tensor(out: AnomalyOutput, images: dict[str, Tensor]) -> Planes:
    if out.anomaly_map.ndim == 5:  # the worst plane of each item stands for it
        worst = [int(item[0].amax((0, 1)).argmax()) for item in out.anomaly_map]
        images = {name: _cut_items(x, worst) for name, x in images.items()}
    return Planes(images, [(f"item {i}", f"score {float(s):.3g}") for i, s in enumerate(out.score)])


def _cut_items(x: Tensor, indices: Sequence[int]) -> Tensor:
    """Cut an axial plane out of each item (N, 1, I, J, K): (N, 1, H, W)."""
    planes = [to_slices(item[..., k : k + 1], "axial") for item, k in zip(x, indices, strict=True)]
    return torch.cat(planes)


def _choose_apart(ranking: list[int], count: int, gap: int) -> list[int]:
    """Take the best, then the best more than ``gap`` away from all of them; fill up if these are too few."""
    planes: list[int] = []
    for k in ranking:
        if len(planes) < count and all(abs(k - other) > gap for other in planes):
            planes.append(k)
    return planes + [k for k in ranking if k not in planes][: count - len(planes)]
