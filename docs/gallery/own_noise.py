"""A noise of your own: stripes in any direction, drawn beside two that are shipped."""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffad import NOISES, Volume
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.data.slices import to_slices
from diffad.noise.base import per_item
from diffad.types import Generators

SPACING = 2.0
WIDTH = 16.0


@NOISES.register("stripes")
class StripeNoise:
    """Draws a wave of unit variance in a random direction.

    Args:
        width: Length of the wave, in pixels.
    """

    def __init__(self, *, width: float = 16.0) -> None:
        self.width = width

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S)."""
        items = per_item(like, generator, lambda g: torch.stack([self._draw(x.shape, g) for x in like[0]]))
        return torch.stack(items).to(like)

    def _draw(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        way = torch.randn(len(shape), generator=generator)
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
        phase = 6.28 * torch.rand((), generator=generator)
        place = sum(x * w for x, w in zip(axes, way / way.norm(), strict=True))
        return 2**0.5 * torch.sin(6.28 * place / self.width + phase)


make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
scan = Volume.load("phantoms/train/sub-001/anat/sub-001_T1w.nii.gz")
planes = to_slices(torch.from_numpy(scan.data), "axial")
clean = planes[len(planes) // 2][None] / planes.max() * 2 - 1

figure = Figure(figsize=(7.5, 5.2), layout="constrained")
parts = [{"name": "gaussian"}, {"name": "simplex", "feature_size": 32}, {"name": "stripes", "width": WIDTH}]
for column, part in enumerate(parts):
    z = NOISES.build(**part)(clean, generator=torch.Generator().manual_seed(0))
    for row, image in enumerate((z, 0.8 * clean + 0.6 * z)):
        axes = figure.add_subplot(2, 3, 3 * row + column + 1, title=part["name"] if row == 0 else "")
        axes.imshow(image[0, 0], cmap="gray")
        axes.set_axis_off()
figure.savefig("own_noise.png", dpi=60)
# in a config: noise: {name: stripes, width: 16}, with plugins: [own_noise.py]
