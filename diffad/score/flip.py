"""FLIP: the difference that a viewer sees who flips between scan and reconstruction."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import PlainRun, average_inside, from_pictures, pair_images, to_pictures
from diffad.types import Reconstruction


@SCORES.register("flip")
class FLIPScore:
    r"""Visible difference of edges and of filtered intensities, in [0, 1], mean over the channels.

    .. math:: a = (\Delta E_c)^{1 - \Delta E_f}

    It has no weights. Each channel is a grey picture, volumes are looked at slice by slice along the last
    axis. Needs the package flip-evaluator (``pip install flip-evaluator``), which runs on the CPU.
    Thresholds do not carry over from another viewing distance or another score.

    Args:
        ppd: Pixels per degree of the viewer's eye; fewer look closer.

    Raises:
        ValueError: If ``ppd`` is not positive, or on call, the shapes do not fit.
        ImportError: On call, if the package is not there.

    Reference:
        FLIP: A Difference Evaluator for Alternating Images (Andersson et al., 2020, eq. 8).
    """

    def __init__(self, ppd: float = 67.02) -> None:
        if not 0 < ppd < math.inf:
            raise ValueError(f"expected ppd positive and finite, got {ppd}")
        self.ppd = ppd

    def begin(self, x: Tensor, schedule: Schedule) -> PlainRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1]; a missing package raises at once."""
        _import_package()
        return PlainRun(self)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x, x_hat = pair_images(x, restoration)
        evaluate = _import_package().evaluate
        pictures, pictures_hat = (_to_grey_pictures(to_pictures(v)) for v in (x, x_hat))
        options: dict[str, Any] = {"applyMagma": False, "computeMeanError": False}
        maps = [
            evaluate(*pair, "LDR", parameters={"ppd": self.ppd}, **options)[0][..., 0]
            for pair in zip(pictures, pictures_hat, strict=True)
        ]
        return average_inside(from_pictures(torch.from_numpy(np.stack(maps)), x).to(x), mask)


def _to_grey_pictures(pictures: Tensor) -> np.ndarray:
    """Turn pictures (N, H, W) into ones of three equal colours, (N, H, W, 3)."""
    colours: np.ndarray = repeat(pictures.detach().clamp(0, 1).float().cpu(), "n h w -> n h w c", c=3).numpy()
    return np.ascontiguousarray(colours)


def _import_package() -> Any:
    try:
        return import_module("flip_evaluator")
    except ImportError as error:
        raise ImportError(
            "score 'flip' expected the package flip-evaluator, found none: run `pip install flip-evaluator`"
        ) from error
