"""One synthetic scan, or a slice of one, from a label map: shape, contrast, scanner and stripping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.slices import slice_spacing, to_slices
from diffad.data.space import Space
from diffad.data.synthesis.contrast import Palette, draw_palette
from diffad.data.synthesis.geometry import draw_points, read_nearest
from diffad.data.synthesis.label_map import COARSE, DEPTH_SCALE, LabelMap
from diffad.data.synthesis.scanner import Scanner
from diffad.data.synthesis.stripping import Stripping

FINE = 1.2
"""Pixels above this size are painted at half of it and averaged, in mm."""

ROOM = 1.12
"""How much larger than the map the part of the grid is that is painted."""

MOST_SLICES = 5
"""Most slices of a label map in one thick slice."""


@dataclass(frozen=True, eq=False)
class Head:
    """A label map as planes of one direction, or whole.

    Args:
        tissues: Tissues, (N, H, W), or (1, I, J, K), uint8.
        depth: Distance from the hull, of the same shape, int8.
        spacing: Pixel size in the plane, or of a voxel, in mm.
        pitch: Distance of the planes, in mm.
        label_map: The map.
    """

    tissues: Tensor
    depth: Tensor
    spacing: tuple[float, ...]
    pitch: float
    label_map: LabelMap

    @classmethod
    def cut(cls, label_map: LabelMap, axis: str) -> Head:
        """Cut a label map into planes, or leave it whole where the axis is "volume"."""
        tissues, depth = (torch.from_numpy(v)[None] for v in (label_map.tissues, label_map.depth))
        if axis == "volume":
            return cls(tissues, depth, label_map.spacing, 1.0, label_map)
        planes = [to_slices(v, axis)[:, 0].contiguous() for v in (tissues, depth)]
        spacing = slice_spacing(label_map.spacing, axis)
        pitch = math.prod(label_map.spacing) / math.prod(spacing)
        return cls(planes[0], planes[1], spacing, pitch, label_map)

    def read_planes(self, key: int, thickness: float) -> tuple[Tensor, tuple[float, ...]]:
        """Return the planes of a thick slice, (N, *S), and their pixel size; coarse pixels are cut in two."""
        reach = min(round(thickness / self.pitch), MOST_SLICES) // 2
        planes = (
            self.tissues[max(0, key - reach) : key + reach + 1] if self.tissues.ndim == 3 else self.tissues
        )
        if self.tissues.ndim == 4 or max(self.spacing) <= COARSE:
            return planes, self.spacing
        return _refine(planes), tuple(s / 2 for s in self.spacing)


@dataclass(frozen=True)
class Painter:
    """Paints synthetic scans into the space of a model.

    Args:
        space: Space of the model.
        contrasts: Weight of each contrast.
        deform: Factor of all changes of shape, in [0, 1].
        strip: Whether strippings go wrong.
        box: Voxels of a volume, (I, J, K); none for slices.
        voxel: Voxel size of a volume in mm; none takes that of the label map.
    """

    space: Space
    contrasts: Mapping[str, float]
    deform: float = 1.0
    strip: bool = True
    box: tuple[int, ...] | None = None
    voxel: float | None = None

    def paint(self, head: Head, key: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Paint slice ``key`` of a head, or all of it.

        Returns:
            Image in [0, 1], (1, *S), and brain mask in {0, 1}, (1, *S).
        """
        palette = draw_palette(self.contrasts, generator)
        scanner = Scanner.draw(palette.ct, generator)
        stripping = Stripping.draw(generator) if self.strip else Stripping()
        window = self._find_window(head.label_map, palette, scanner, stripping, generator)
        shape, part, pitch = self._lay_grid(head)
        axes = [_place_pixels(n, p) for n, p in zip(part, pitch, strict=True)]
        finer = 2 if max(pitch) > FINE else 1
        fine_axes = [_place_pixels(n * finer, p / finer) for n, p in zip(part, pitch, strict=True)]
        points = draw_points(fine_axes, self._mirror_axis, self.deform, generator)
        planes, spacing = head.read_planes(key, scanner.thickness)
        tissues = read_nearest(planes, _to_pixels(points, planes, spacing)).long()
        image = _pool(palette.means[tissues].mean(0), finer)
        middle = tissues[len(tissues) // 2]
        image += _pool(palette.deviations[middle], finer) * _draw_texture(part, generator)
        image = scanner.show(image, self._evaluate_bias(scanner, head, key, axes))
        image = scanner.digitise(image[None], generator)
        depth = _read_linear(head.depth[key], torch.stack([_pool(p, finer) for p in points]), head.spacing)
        brain = stripping.cut(depth / DEPTH_SCALE, axes, generator)
        brain &= _pool((middle > 0).float(), finer) > 0.5
        image = window.apply(image, channel_axis=0) * brain
        return _pad(image, shape), _pad(brain[None].to(image.dtype), shape)

    def measure_grid(self, head: Head) -> float:
        """Return the area of the grid, in square mm."""
        shape, _, pitch = self._lay_grid(head)
        return math.prod(n * p for n, p in zip(shape, pitch, strict=True))

    @property
    def _mirror_axis(self) -> int | None:
        if self.space.whole:
            return 0
        return None if self.space.config.axis == "sagittal" else 1

    def _lay_grid(self, head: Head) -> tuple[list[int], list[int], list[float]]:
        """Return the pixels of the grid, those of its middle that is painted, and their size in mm."""
        if self.box is not None:
            pitch = list(head.spacing) if self.voxel is None else [self.voxel] * 3
            return list(self.box), list(self.box), pitch
        size, field = self.space.config.size, self.space.config.fov
        pixel = (field or head.label_map.measure_field(self.space.config.axis)) / size
        lengths = [n * s for n, s in zip(head.tissues.shape[1:], head.spacing, strict=True)]
        part = [min(size, size % 2 + 2 * math.ceil(ROOM * length / pixel / 2)) for length in lengths]
        return [size, size], part, [pixel, pixel]

    def _find_window(
        self,
        label_map: LabelMap,
        palette: Palette,
        scanner: Scanner,
        stripping: Stripping,
        generator: torch.Generator,
    ) -> IntensityWindow:
        """Find the window of the whole synthetic head in its probes, as ``volumes`` finds it in a scan."""
        values = palette.means[label_map.probes.long()].mean(1)
        deviations = palette.deviations[label_map.probes[:, 0].long()]
        values = values + deviations * torch.randn(values.shape, generator=generator)
        values = scanner.show(values, scanner.probe_bias(label_map.probe_places))
        values = scanner.add_noise(values, generator)
        brain = stripping.cut_probes(label_map.probe_depth, generator)
        return self.space.window((values * brain)[None], brain[None])

    def _evaluate_bias(self, scanner: Scanner, head: Head, key: int, axes: list[Tensor]) -> Tensor:
        lengths = [n * s for n, s in zip(head.tissues.shape[1:], head.spacing, strict=True)]
        fractions = [a / length + 0.5 for a, length in zip(axes, lengths, strict=True)]
        if self.space.whole:
            return scanner.evaluate_bias(fractions)
        through = torch.tensor([(key + 0.5) / len(head.tissues)])
        turned_bias = to_slices(scanner.bias, self.space.config.axis)[None, :, 0]
        return scanner.evaluate_bias([through, *fractions], turned_bias)[0]


def _place_pixels(count: int, pitch: float) -> Tensor:
    return (torch.arange(count) + 0.5 - count / 2) * pitch


def _to_pixels(points: Tensor, planes: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Turn positions in mm from the middle into those in pixels of planes (N, *S)."""
    pairs = zip(points, planes.shape[1:], spacing, strict=True)
    return torch.stack([p / s + (n - 1) / 2 for p, n, s in pairs])


def _read_linear(values: Tensor, points: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Interpolate ``values`` (*S) at ``points`` (D, *T) in mm from the middle; the border goes on."""
    scale = [2 / (n * s) for n, s in zip(values.shape, spacing, strict=True)]
    grid = torch.stack([p * f for p, f in zip(points, scale, strict=True)][::-1], -1)
    result = F.grid_sample(values[None, None].float(), grid[None], padding_mode="border", align_corners=False)
    return result[0, 0]


def _refine(planes: Tensor) -> Tensor:
    """Cut the pixels of planes (N, H, W) in two along each axis; edges of tissues become smooth."""
    present = torch.unique(planes)
    shares = (planes[:, None] == present[None, :, None, None]).float()
    finer = F.interpolate(shares, scale_factor=2, mode="bilinear", align_corners=False)
    return present[finer.argmax(1)]


def _pool(image: Tensor, finer: int) -> Tensor:
    """Average ``finer`` pixels along each axis of an image (*S)."""
    if finer == 1:
        return image
    pool = F.avg_pool2d if image.ndim == 2 else F.avg_pool3d
    return pool(image[None], finer)[0]


def _draw_texture(shape: list[int], generator: torch.Generator) -> Tensor:
    """Draw the uneven inside of tissues, of standard deviation about 1: half of it smooth."""
    coarse = torch.randn([1, 1, *(math.ceil(n / 2) for n in shape)], generator=generator)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    smooth = F.interpolate(coarse, shape, mode=mode, align_corners=False)[0, 0]
    return smooth + 0.6 * torch.randn(shape, generator=generator)


def _pad(image: Tensor, shape: list[int]) -> Tensor:
    """Put an image (1, *S) into the middle of an empty grid."""
    if list(image.shape[1:]) == shape:
        return image
    grid = image.new_zeros(1, *shape)
    place = [slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape, image.shape[1:], strict=True)]
    grid[(slice(None), *place)] = image
    return grid
