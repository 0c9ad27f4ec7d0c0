"""Something painted by Stable Diffusion: slices as squares, and what changed laid back on their grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import repeat
from torch import Tensor
from torch.nn.functional import interpolate, pad

from diffad.data.intensity import IntensityWindow, make_percentile_window
from diffad.data.slices import from_slices, to_slices
from diffad.data.volume import Array
from diffad.fill.lesion import FillRegion
from diffad.inference.scan import ScanSource
from diffad.io.stages import run_stage
from diffad.synthesise.guided import GuidedImages, synthesise_images
from diffad.synthesise.losses import Scorer
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.result import SynthesisedScan, mark_change
from diffad.synthesise.stable_model import StableModel
from diffad.types import generator_for

AXIS = "axial"


@dataclass(frozen=True)
class Square:
    """Slices as square pictures of a side, and the way back.

    Args:
        shape: Height and width of a slice.
        side: Side of a picture.
    """

    shape: tuple[int, int]
    side: int

    def to(self, slices: Tensor, mode: str = "bilinear") -> Tensor:
        """Pad slices (N, C, H, W) to squares, and resize them to (N, C, side, side)."""
        smooth = {"antialias": True} if mode == "bilinear" else {}
        return interpolate(pad(slices, self._margins), size=(self.side, self.side), mode=mode, **smooth)

    def back(self, pictures: Tensor) -> Tensor:
        """Bring pictures (N, C, side, side) back to slices (N, C, H, W)."""
        edge = max(self.shape)
        whole = interpolate(pictures, size=(edge, edge), mode="bilinear", antialias=True)
        left, _, top, _ = self._margins
        return whole[..., top : top + self.shape[0], left : left + self.shape[1]]

    @property
    def _margins(self) -> tuple[int, int, int, int]:
        edge = max(self.shape)
        top, left = ((edge - n) // 2 for n in self.shape)
        return left, edge - self.shape[1] - left, top, edge - self.shape[0] - top


def synthesise_by_text(
    model: StableModel,
    source: ScanSource,
    region: FillRegion,
    options: SynthesisOptions,
    scorer: Scorer | None = None,
) -> SynthesisedScan:
    """Paint what a prompt says into the axial slices of a region, each by itself, with the same noise.

    What the network changes is added to the scan inside the region; the loss of its autoencoder is not.

    Args:
        model: Stable Diffusion.
        source: The scan, of one sequence.
        region: Where it may change.
        options: The prompt, and how strongly.
        scorer: How badly a picture suits, see ``synthesise_images``; or none.

    Raises:
        ValueError: If the word is not in the prompt, or the prompt is too long.
    """
    volume = source.volume
    assert volume is not None
    window = make_percentile_window(volume.data, source.brain[0, 0].numpy())
    slices = to_slices(torch.from_numpy(window.apply(volume.data)).float(), AXIS)
    masks = to_slices(torch.from_numpy(region.fill_mask)[None].float(), AXIS)
    change, attention = torch.zeros_like(slices), torch.zeros_like(slices)
    square, nfe = Square((slices.shape[2], slices.shape[3]), model.side), 0
    items = masks.flatten(1).any(1).nonzero()[:, 0]
    for batch in torch.split(items, options.batch_size):
        with run_stage("painting"):
            result = _paint(model, square, slices[batch], masks[batch], options, scorer)
        grey = (result.images - result.round_trip).mean(1, keepdim=True).cpu()
        change[batch], attention[batch] = square.back(grey), square.back(result.attention.cpu())
        nfe = result.nfe
    image, label = _lay_in(source, region, options, _to_volume(change), _to_volume(attention), window)
    facts = {"model": model.name, "prompt": options.prompt, "word": options.word, "nfe": nfe}
    warnings = list(dict.fromkeys([*source.warnings, *region.warnings, *model.notes]))
    mean = float(change.abs()[masks > 0].mean())
    return SynthesisedScan(volume, image, region, label, facts | {"change": mean, "warnings": warnings})


def _paint(
    model: StableModel,
    square: Square,
    slices: Tensor,
    masks: Tensor,
    options: SynthesisOptions,
    scorer: Scorer | None,
) -> GuidedImages:
    images = repeat(square.to(slices).clamp(0, 1), "n 1 h w -> n c h w", c=3).to(model.device)
    pictures = (square.to(masks) > 0).float().to(model.device)  # however small, a mask stays
    generators = [generator_for(options.seed, 0) for _ in slices]  # one noise, so that neighbours suit
    return synthesise_images(model, images, pictures, options, generators, scorer)


def _to_volume(slices: Tensor) -> Array:
    values: Array = from_slices(slices, AXIS)[0].numpy()
    return values


def _lay_in(
    source: ScanSource,
    region: FillRegion,
    options: SynthesisOptions,
    change: Array,
    attention: Array,
    window: IntensityWindow,
) -> tuple[Array, Array]:
    """Return a scan with a change, a share of the window, inside the region, and where it is visible."""
    assert source.volume is not None
    scan, mask = source.volume.data[0], region.fill_mask
    width = window.upper[0] - window.lower[0]
    image = np.where(mask, scan + width * change, scan).astype(np.float32)
    return image, mark_change(change, mask, options.visible, attention)
