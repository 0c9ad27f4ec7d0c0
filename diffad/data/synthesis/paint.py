"""One synthetic scan, or a slice of one, from a label map: shape, contrast, scanner and stripping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.space import Space
from diffad.data.synthesis.brush import Brush
from diffad.data.synthesis.contrast import Palette, draw_palette
from diffad.data.synthesis.geometry import draw_points
from diffad.data.synthesis.grid import PaintGrid
from diffad.data.synthesis.head import Head
from diffad.data.synthesis.label_map import LabelMap
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
        raw: Whether intensities stay those of the scanner, where the brightest tissue of MR is about 1 and CT
            is in Hounsfield units; by default they go through the window of the space, which clips them.
    """

    space: Space
    contrasts: Mapping[str, float]
    deform: float = 1.0
    strip: bool = True
    box: tuple[int, ...] | None = None
    voxel: float | None = None
    raw: bool = False

    def paint(self, head: Head, key: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Paint slice ``key`` of a head, or all of it.

        Returns:
            Image in [0, 1], or as ``raw`` has it, (1, *S), and brain mask in {0, 1}, (1, *S).
        """
        image, mask, _ = self.paint_beside(head, key, generator, 0)
        return image, mask

    def paint_beside(
        self, head: Head, key: int, generator: torch.Generator, count: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Paint a slice as ``paint`` does, and ``count`` slices below and above it in the same scan.

        Returns:
            Image in [0, 1], (1, *S), brain mask in {0, 1}, (1, *S), and neighbours, (2 N, *S), inside that.
        """
        scan = Scan.draw(self.contrasts, self.strip, generator)
        window = scan.find_window(head.label_map, self.space, generator)
        grid = self.lay_grid(head)
        points = draw_points(grid.fine_axes, head.mirror_axis, self.deform, generator)
        brush = Brush(head, grid, points, scan.palette, scan.scanner)
        image, share = brush.paint(key, generator)
        rim = scan.stripping.draw_rim(grid.axes, generator)
        brain = (brush.read_depth(key) <= rim) & (share > 0.5)
        slices = {key: self._scale(image, window) * brain}
        keys = brush.list_neighbours(key, count) if count else []
        for other in dict.fromkeys(k for k in keys if k != key):
            values, share = brush.paint(other, generator)
            region = brain & (brush.read_depth(other) <= rim) & (share > 0.5)
            slices[other] = self._scale(values, window) * region
        images = grid.pad(torch.cat([slices[k] for k in [key, *keys]]))
        return images[:1], grid.pad(brain[None].to(image.dtype)), images[1:]

    def _scale(self, image: Tensor, window: IntensityWindow) -> Tensor:
        return image if self.raw else window.apply(image, channel_axis=0)

    def lay_grid(self, head: Head) -> PaintGrid:
        """Return the grid that a head is painted on."""
        if self.box is not None:
            pitch = head.spacing if self.voxel is None else (self.voxel,) * 3
            return PaintGrid(self.box, self.box, pitch)
        config = self.space.config
        field = config.fov or head.label_map.measure_field(head.axis)
        return PaintGrid.around(head.sides, config.size, field)
