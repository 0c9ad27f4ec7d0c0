"""One synthetic scan, or a slice of one, from a label map: shape, contrast, scanner and stripping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.slices import to_slices
from diffad.data.space import Space
from diffad.data.synthesis.contrast import Palette, draw_palette
from diffad.data.synthesis.geometry import draw_points, read_linear, read_nearest
from diffad.data.synthesis.grid import PaintGrid
from diffad.data.synthesis.head import Head
from diffad.data.synthesis.label_map import DEPTH_SCALE, LabelMap
from diffad.data.synthesis.scanner import Scanner
from diffad.data.synthesis.stripping import Stripping


@dataclass(frozen=True, eq=False)
class Scan:
    """How one synthetic scan comes about; all of it is drawn before anything is painted.

    Args:
        palette: Intensities of the tissues.
        scanner: Flaws of the scanner.
        stripping: Flaws of the stripping.
    """

    palette: Palette
    scanner: Scanner
    stripping: Stripping

    @classmethod
    def draw(cls, contrasts: Mapping[str, float], strip: bool, generator: torch.Generator) -> Scan:
        """Draw a contrast by its weight, a scanner, and a stripping that may go wrong."""
        palette = draw_palette(contrasts, generator)
        scanner = Scanner.draw(palette.ct, generator)
        return cls(palette, scanner, Stripping.draw(generator) if strip else Stripping())

    def find_window(self, label_map: LabelMap, space: Space, generator: torch.Generator) -> IntensityWindow:
        """Find the window of the whole synthetic head in its probes, as ``volumes`` finds it in a scan."""
        values = self.palette.means[label_map.probes.long()].mean(1)
        deviations = self.palette.deviations[label_map.probes[:, 0].long()]
        values = values + deviations * torch.randn(values.shape, generator=generator)
        values = self.scanner.show(values, self.scanner.probe_bias(label_map.probe_places))
        values = self.scanner.add_noise(values, generator)
        brain = self.stripping.cut_probes(label_map.probe_depth, generator)
        return space.window((values * brain)[None], brain[None])


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
        scan = Scan.draw(self.contrasts, self.strip, generator)
        window = scan.find_window(head.label_map, self.space, generator)
        grid = self.lay_grid(head)
        points = draw_points(grid.fine_axes, self._mirror_axis, self.deform, generator)
        image, share = _paint_tissues(scan, head, key, grid, points, generator)
        image = scan.scanner.show(image, self._evaluate_bias(scan.scanner, head, key, grid))
        image = scan.scanner.digitise(image[None], generator)
        depth = read_linear(head.depth[key], grid.average(points), head.spacing) / DEPTH_SCALE
        brain = scan.stripping.cut(depth, grid.axes, generator) & (share > 0.5)
        image = window.apply(image, channel_axis=0) * brain
        return grid.pad(image), grid.pad(brain[None].to(image.dtype))

    def lay_grid(self, head: Head) -> PaintGrid:
        """Return the grid that a head is painted on."""
        if self.box is not None:
            pitch = head.spacing if self.voxel is None else (self.voxel,) * 3
            return PaintGrid(self.box, self.box, pitch)
        config = self.space.config
        field = config.fov or head.label_map.measure_field(config.axis)
        return PaintGrid.around(head.sides, config.size, field)

    @property
    def _mirror_axis(self) -> int | None:
        if self.space.whole:
            return 0
        return None if self.space.config.axis == "sagittal" else 1

    def _evaluate_bias(self, scanner: Scanner, head: Head, key: int, grid: PaintGrid) -> Tensor:
        fractions = [a / side + 0.5 for a, side in zip(grid.axes, head.sides, strict=True)]
        if self.space.whole:
            return scanner.evaluate_bias(scanner.bias, fractions)
        through = torch.tensor([(key + 0.5) / len(head.tissues)])
        controls = to_slices(scanner.bias, self.space.config.axis)[None, :, 0]
        return scanner.evaluate_bias(controls, [through, *fractions])[0]


def _paint_tissues(
    scan: Scan, head: Head, key: int, grid: PaintGrid, points: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the tissues in their intensities, (*S), and how much of each pixel they fill, (*S)."""
    planes, spacing = head.read_planes(key, scan.scanner.thickness)
    tissues = read_nearest(planes, points, spacing).long()
    middle = tissues[len(tissues) // 2]
    layers = [scan.palette.means[tissues].mean(0), scan.palette.deviations[middle], (middle > 0).float()]
    means, deviations, share = grid.average(torch.stack(layers))
    return means + deviations * grid.draw_texture(generator), share
